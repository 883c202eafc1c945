"""What is refused beside the limits kernel, and which of several reasons is shown."""

from __future__ import annotations

import pytest

from daemon.orders.gates import GRAVITY
from kernels import dtypes as d
from kernels import gates
from kernels.backtest_state import (
    SHUT_BOOK_GAP,
    SHUT_DOUBT,
    SHUT_HALTED,
    SHUT_LIQUIDATION,
    SHUT_STALE,
    SHUT_WARMING,
)
from kernels.dtypes import BUY, REST, SELL, TARGET

CODES = {
    SHUT_HALTED: d.GATE_HALTED,
    SHUT_WARMING: d.GATE_NOT_READY,
    SHUT_DOUBT: d.GATE_UNKNOWN_ORDER,
    SHUT_LIQUIDATION: d.GATE_LIQUIDATION,
    SHUT_BOOK_GAP: d.GATE_BOOK_GAP,
    SHUT_STALE: d.GATE_STALE_FEED,
}


def refusals(ground):
    return {code: int(count) for code, count in enumerate(ground.t["refusals"]) if count}


def test_the_gravest_of_several_reasons_is_the_daemons():
    for bits in range(1 << len(CODES)):
        for late in (0, 1):
            closed = {code for bit, code in CODES.items() if bits & bit} | (
                {d.GATE_TICK_AGE} if late else set()
            )
            expected = next((code for code in GRAVITY if code in closed), 0)
            assert gates.gravest(bits, late) == expected


def test_a_reason_that_goes_leaves_the_others(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.t["shut"] = 0
    gates.shut(ground.t, SHUT_STALE, gates.YES)
    gates.shut(ground.t, SHUT_HALTED, gates.YES)
    assert ground.t["gate"] == d.GATE_HALTED
    gates.shut(ground.t, SHUT_HALTED, gates.NO)
    assert ground.t["gate"] == d.GATE_STALE_FEED


def test_orders_beyond_the_rate_are_refused_and_a_part_is_kept_for_those_that_reduce(new_ground):
    ground = new_ground(orders_per_s_max=10.0)
    ground.quote(99.0, 101.0)
    ground.t["shut"] = 0
    for slot in range(12):
        ground.place(REST, BUY, 99.0 - slot, 10, slot=slot)
    assert (int(ground.t["sent"]), refusals(ground)) == (8, {d.REFUSED_ORDER_RATE: 4})
    ground.place(REST, SELL, 120.0, 10, slot=12, x_reduces=1)
    assert ground.t["sent"] == 9
    ground.t["now_ns"] += 150_000_000  # one and a half more, of which 2 are kept
    ground.place(REST, BUY, 80.0, 10, slot=13)
    assert ground.t["sent"] == 9
    ground.t["now_ns"] += 60_000_000
    ground.place(REST, BUY, 80.0, 10, slot=13)
    assert ground.t["sent"] == 10


@pytest.mark.parametrize(
    ("kind", "side", "price", "level", "code"),
    [
        (TARGET, SELL, 99.0, 5, d.REFUSED_SELF_TRADE),
        (TARGET, SELL, 99.01, 5, 0),
        (REST, BUY, 98.0, 0, d.REFUSED_DUPLICATE),
        (REST, BUY, 98.0, 1, 0),
    ],
)
def test_an_order_must_not_meet_our_own_nor_double_one(new_ground, kind, side, price, level, code):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.t["shut"] = 0
    ground.place(REST, BUY, 99.0, 10)
    ground.place(kind, side, price, 10, slot=1, x_level=level)
    assert refusals(ground) == ({code: 1} if code else {})


def test_a_slot_that_is_taken_is_none(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.t["shut"] = 0
    ground.place(REST, BUY, 99.0, 10)
    ground.place(REST, BUY, 98.0, 10, x_level=7)
    assert refusals(ground) == {d.REFUSED_NO_SLOT: 1}


def test_more_orders_than_the_venue_lets_stand_are_refused_but_for_those_that_reduce(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.t["shut"], ground.t["orders_max"] = 0, 1
    ground.place(REST, BUY, 99.0, 10)
    ground.place(REST, BUY, 98.0, 10, slot=1)
    assert refusals(ground) == {d.REFUSED_OPEN_ORDERS: 1}
    ground.place(REST, SELL, 120.0, 10, slot=1, x_reduces=1)
    assert ground.t["sent"] == 2


@pytest.mark.parametrize(
    ("held", "lots", "kind", "passes"),
    [
        (0.01, 10, TARGET, True),
        (0.009, 10, TARGET, False),
        (-0.01, 10, TARGET, False),
        (0.01, 10, REST, False),
    ],
)
def test_a_closed_gate_lets_through_what_really_reduces(new_ground, held, lots, kind, passes):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.t["shut"] = SHUT_HALTED
    ground.mem["position"][0, d.P_QTY] = held
    ground.place(kind, SELL, 102.0, lots, x_reduces=1)
    assert (int(ground.t["sent"]), refusals(ground)) == ((1, {}) if passes else (0, {d.GATE_HALTED: 1}))


@pytest.mark.parametrize(
    ("held", "lots", "kind", "refusal", "sent"),
    [
        (0.01, 15, TARGET, 0, 10),
        (0.01, 15, TARGET, d.GATE_HALTED, 10),  # as the limits kernel saw it
        (0.01, 15, TARGET, d.REFUSED_QTY, 0),
        (0.01, 15, REST, 0, 0),
        (-0.01, 15, TARGET, 0, 0),
        (0.0, 15, TARGET, 0, 0),
    ],
)
def test_of_a_target_across_zero_a_closed_gate_lets_through_what_reduces(
    new_ground, held, lots, kind, refusal, sent
):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.t["shut"] = SHUT_HALTED
    ground.mem["position"][0, d.P_QTY] = held
    ground.place(kind, SELL, 102.0, lots, x_refusal=refusal)
    assert ground.sent["lots"][: int(ground.t["sent"])].tolist() == ([sent] if sent else [])
