"""The numbers that kernels and the daemon both use for states and steps of an order."""

from __future__ import annotations

from daemon.orders.order import State
from daemon.orders.state import Event
from kernels import backtest_state as names
from kernels.dtypes import REFUSAL_NAMES

STATES = {
    "PENDING_NEW": State.PENDING_NEW,
    "WORKING": State.WORKING,
    "PARTIALLY_FILLED": State.PARTIALLY_FILLED,
    "PENDING_REPLACE": State.PENDING_REPLACE,
    "PENDING_CANCEL": State.PENDING_CANCEL,
    "IN_DOUBT": State.UNKNOWN,
    "FILLED": State.FILLED,
}


def test_states_are_numbered_as_the_daemon_numbers_them():
    assert {name: getattr(names, name) for name in STATES} == {name: int(one) for name, one in STATES.items()}
    assert len(State) + 1 == names.STATES


def test_steps_are_numbered_as_the_daemon_numbers_them():
    ours = {name[5:]: value for name, value in vars(names).items() if name.startswith("STEP_")}
    assert ours == {one.name: int(one) for one in Event if one is not Event.ABSENT}
    assert len(Event) == names.STEPS


def test_every_refusal_has_a_place_to_be_counted_in():
    assert max(REFUSAL_NAMES) < names.BACKTEST["refusals"].shape[0]
