from __future__ import annotations

import pytest

from daemon.orders.gates import GRAVITY, Gates
from kernels import dtypes as d


def test_everything_begins_closed(new_world):
    world = new_world(begin=False)
    assert world.risk.gate(0) == d.GATE_NOT_READY
    assert world.desks[0].gate[0] == d.GATE_NOT_READY


def test_the_gravest_reason_shows_and_reasons_come_and_go_alone(world):
    gates = world.risk.gates
    for code in reversed(GRAVITY):
        gates.close(0, code)
        assert gates.gate(0) == code == world.memories[0]["gate"][0, 0]
    for code, following in zip(GRAVITY, [*GRAVITY[1:], 0], strict=True):
        gates.open(0, code)
        assert gates.gate(0) == following == world.memories[0]["gate"][0, 0]


def test_a_reason_for_all_and_one_for_an_instrument_are_different_reasons(new_world, pair):
    world = new_world(pair, {"both": (0, 1)})
    world.risk.close(1, d.GATE_STALE_FEED)
    world.risk.close_all(d.GATE_STALE_FEED)
    world.risk.open(1, d.GATE_STALE_FEED)
    assert [world.risk.gate(0), world.risk.gate(1)] == [d.GATE_STALE_FEED] * 2
    world.risk.open_all(d.GATE_STALE_FEED)
    assert [world.risk.gate(0), world.risk.gate(1)] == [0, 0]


def test_a_strategy_that_warms_up_is_closed_alone(new_world):
    world = new_world(strategies={"one": (0,), "two": (0,)})
    world.risk.set_ready(world.desks[1], False)
    assert [desk.gate[0] for desk in world.desks] == [0, d.GATE_NOT_READY]
    assert world.risk.gate(0) == 0
    world.risk.set_ready(world.desks[1], True)
    assert world.desks[1].gate[0] == 0


@pytest.mark.parametrize("code", GRAVITY)
def test_every_gate_closes_risk_and_lets_cancels_amends_and_reductions_pass(world, code):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 50)
    world.risk.close(0, code)
    assert world.check(level=9, slot=1).code == code
    assert world.check(verb=d.CANCEL, slot=0).desk is world.desks[0]
    assert type(world.check(verb=d.AMEND, slot=0, qty=10)).__name__ == "Approved"
    reducing = {"slot": 1, "kind": d.TARGET, "side": d.SELL, "price": 7_000_000, "reduces": True}
    assert type(world.check(qty=50, **reducing)).__name__ == "Approved"
    assert world.check(qty=51, **reducing).code == code
    assert world.check(qty=50, **{**reducing, "side": d.BUY}).code == code


def test_desks_added_later_see_the_gates_too(world):
    gates = Gates(1, [])
    gates.add_desk(world.desks[0])
    assert world.desks[0].gate[0] == d.GATE_NOT_READY
