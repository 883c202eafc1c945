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
