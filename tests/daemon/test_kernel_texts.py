"""The texts are whole modules and name what they are of; what they compute is tested where it is compiled."""

from __future__ import annotations

import ast

import pytest

from daemon import kernel_texts
from daemon.compile import load_strategy


def names(text):
    return [one.name for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)]


@pytest.mark.parametrize("modelled", [False, True])
def test_a_strategy_s_kernels_are_those_that_the_engine_calls(modelled):
    strategy = load_strategy("ema_cross")
    live = kernel_texts.live(strategy, compiled=True, modelled=modelled)
    assert names(live) == ["absorb", "book", "drain", "turn"]
    assert "from strategies.ema_cross import decide" in live
    assert ("pipeline.predict(" in live) is modelled
    halves = kernel_texts.live(strategy, compiled=False, modelled=modelled)
    assert names(halves) == ["absorb", "book", "prepare", "finish"]
    assert "import decide" not in halves


def test_bars_are_made_and_closed_only_for_who_is_woken_by_them():
    plain = load_strategy("ema_cross")
    barred = plain._replace(bar_ns=1_000_000_000)
    for strategy, makes in ((plain, False), (barred, True)):
        live = kernel_texts.live(strategy, compiled=True, modelled=False)
        loop = kernel_texts.backtest(strategy, "somewhere", modelled=False)
        assert ("wake_bars.take(" in live, "wake_bars.close(" in live) == (makes, makes)
        assert ("wake_bars.ended(" in loop) is makes


def test_loops_stand_around_the_kernels_of_the_module_that_is_named():
    strategy = load_strategy("ema_cross")._replace(name="my-own.strategy")
    for make in (kernel_texts.backtest, kernel_texts.replay):
        for modelled in (False, True):
            text = make(strategy, "tickd_live_it", modelled=modelled)
            assert names(text) == ["run"]
            assert "from tickd_live_it import drain" in text
            assert ("nodes, roots, bits" in text) is modelled
            assert "my_own_strategy" in text
