from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numba import njit

from strategies.base import DECIDE_SIGNATURE, SHIPPED, Strategy, StrategyError, bind_params, from_module

PARTS = {
    "PARAMS": {"span": 9, "edge": 0.5},
    "STATES": 2,
    "INSTRUMENTS": 1,
    "TIMER_S": 0.0,
    "decide": lambda: 0,
}


def make() -> Strategy:
    return from_module("mine", SimpleNamespace(**PARTS), "text")


def test_a_module_that_follows_the_contract_is_a_strategy():
    strategy = make()
    assert (strategy.name, strategy.states, strategy.instruments, strategy.source) == ("mine", 2, 1, "text")
    assert strategy.params == {"span": 9.0, "edge": 0.5}


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named(part):
    parts = {name: value for name, value in PARTS.items() if name != part}
    with pytest.raises(StrategyError, match=f"strategy mine lacks {part}"):
        from_module("mine", SimpleNamespace(**parts), "")


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("PARAMS", ["span"], "strategy mine does not follow strategies/base.py: 'list' object has no attr"),
        ("PARAMS", {"span": "long"}, "could not convert string to float: 'long'"),
        ("STATES", None, "must be a string, a bytes-like object or a real number, not 'NoneType'"),
        ("STATES", -1, "STATES and TIMER_S at least 0"),
        ("INSTRUMENTS", 0, "INSTRUMENTS is at least 1"),
        ("INSTRUMENTS", float("inf"), "cannot convert float infinity to integer"),
        ("TIMER_S", -1.0, "STATES and TIMER_S at least 0"),
        ("TIMER_S", float("nan"), "STATES and TIMER_S at least 0"),
        ("decide", 3, "strategy mine: decide is no function"),
        ("ON_GAP", "forget", "ON_GAP is 'forget', and can be reset or mark"),
        ("ON_SILENCE", "wait", "ON_SILENCE is 'wait', and can be withdraw or leave"),
    ],
)
def test_a_part_that_is_not_what_the_contract_says_is_refused_in_one_sentence(part, value, sentence):
    with pytest.raises(StrategyError) as caught:
        from_module("mine", SimpleNamespace(**{**PARTS, part: value}), "")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parameters_are_bound_in_order_over_their_defaults():
    assert bind_params(make(), {"edge": 2}).tolist() == [9.0, 2.0]
    assert bind_params(make(), {}).dtype == np.float64


def test_an_unknown_parameter_is_refused_with_those_there_are():
    with pytest.raises(StrategyError, match="no parameter 'spam'; it has span, edge"):
        bind_params(make(), {"spam": 1.0})


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_strategy_follows_the_contract_and_compiles_to_its_signature(name):
    from importlib import import_module

    module = import_module(f"strategies.{name}")
    strategy = from_module(name, module, "")
    compiled = njit(DECIDE_SIGNATURE)(strategy.decide.py_func)
    assert len(compiled.signatures) == 1


def test_every_shipped_strategy_says_what_a_gap_means_to_it():
    from importlib import import_module

    says = {name: from_module(name, import_module(f"strategies.{name}"), "").on_gap for name in SHIPPED}
    assert says == {"ema_cross": "mark", "market_maker": "reset", "pairs": "mark", "ml": "reset"}
