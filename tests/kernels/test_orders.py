"""The order side of a compiled backtest: slots, reserves and gates follow what the venue says."""

from __future__ import annotations

from kernels import dtypes as d
from kernels import orders, paper
from kernels.backtest_state import (
    ASK_CANCEL,
    IN_DOUBT,
    K_KEY,
    K_STATE,
    PARTIALLY_FILLED,
    PENDING_CANCEL,
    PENDING_NEW,
    PENDING_REPLACE,
    SAY_REPLACED,
    SHUT_DOUBT,
    STEP_REPLACED,
    W_KEY,
    W_KIND,
    W_ORDER_LOTS,
    WHY_HALTED_REJECTIONS,
    WORKING,
)
from kernels.dtypes import AMEND, BUY, CANCEL, REST, SELL, STOP, TARGET


def state(ground, slot=0):
    return int(ground.t["orders"][slot, K_STATE])


def slot_of(ground, slot=0):
    return ground.mem["working"][0, slot].tolist()


def test_an_order_is_shown_and_reserved_from_the_moment_it_is_sent_until_its_end_is_told(new_ground):
    ground = new_ground(balances={"USDT": 10_000})
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 99.0, 300, slot=2)
    assert state(ground, 2) == PENDING_NEW
    shown = [d.SLOT_PENDING_NEW, REST, 2, BUY, 9_900, 300, float(ground.sent["now_ns"][0])]
    assert slot_of(ground, 2) == shown
    assert ground.account[d.A_FREE_QUOTE] == 10_000 - 0.3 * 99
    ground.arrive()
    assert state(ground, 2) == PENDING_NEW
    ground.hear()
    assert slot_of(ground, 2)[0] == d.SLOT_WORKING
    ground.change(CANCEL, 2)
    assert (state(ground, 2), slot_of(ground, 2)[0]) == (PENDING_CANCEL, d.SLOT_PENDING_CANCEL)
    ground.arrive()
    ground.hear()
    assert (state(ground, 2), slot_of(ground, 2)) == (0, [0.0] * d.WORKING_COLUMNS)
    assert ground.account[d.A_FREE_QUOTE] == 10_000
    assert ground.sent["verb"][:2].tolist() == [d.PLACE, CANCEL]


def test_fills_move_position_leaves_and_reserve(new_ground):
    ground = new_ground(balances={"USDT": 10_000})
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 100.0, 300)
    ground.arrive()
    ground.hear_all()
    ground.trade(99.5, 0.1, SELL)
    paper.absorb(ground.t, ground.matcher, ground.rings, ground.book, ground.shown, ground.trips)
    assert ground.hear()
    assert (state(ground), slot_of(ground)[d.W_LEAVES_LOTS]) == (PARTIALLY_FILLED, 200)
    assert ground.mem["position"][0, d.P_QTY] == 0.1 - 0.0001
    assert ground.account[d.A_FREE_QUOTE] == 10_000 - 10 - 20
    assert ground.filled["position"][0] == 0.1 - 0.0001


def test_an_amend_that_was_refused_leads_to_a_question_and_then_to_a_cancel(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 100.0, 300)
    ground.arrive()
    ground.hear_all()
    ground.change(AMEND, 0, 100)
    assert state(ground) == PENDING_REPLACE
    ground.trade(99.5, 0.15, SELL)  # 150 of 300 are gone when the amend down to 100 arrives
    ground.arrive()
    ground.hear()
    assert state(ground) == PENDING_REPLACE
    ground.hear()
    assert (state(ground), int(ground.t["gate"])) == (IN_DOUBT, d.GATE_UNKNOWN_ORDER)
    assert ground.t["shut"] & SHUT_DOUBT
    ground.arrive()  # the question
    ground.hear()
    assert (state(ground), int(ground.t["gate"])) == (PARTIALLY_FILLED, 0)
    ground.change(AMEND, 0, 100)
    assert state(ground) == PENDING_CANCEL
    assert ground.t["requests"][ground.t["requests_end"] - 1, W_KIND] == ASK_CANCEL


def test_an_order_that_was_lowered_as_often_as_the_venue_permits_is_cancelled(new_ground):
    ground = new_ground()
    ground.t["amends_max"] = 2
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 100.0, 300)
    ground.arrive()
    ground.hear_all()
    for lots in (200, 100):
        ground.change(AMEND, 0, lots)
        assert state(ground) == PENDING_REPLACE
        ground.arrive()
        ground.hear_all()
        assert state(ground) == WORKING
    ground.change(AMEND, 0, 50)
    assert state(ground) == PENDING_CANCEL


def test_what_cannot_be_lowered_is_refused(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 99.0, 300)
    ground.change(AMEND, 0, 100)  # no word of it yet
    ground.change(AMEND, 1, 100)  # there is none
    refused = {code: int(count) for code, count in enumerate(ground.t["refusals"]) if count}
    assert refused == {d.REFUSED_QTY: 1, d.REFUSED_NO_SLOT: 1}


def test_so_many_rejections_in_a_row_throw_the_kill_switch_which_cancels_what_stands(new_ground):
    ground = new_ground(orders_per_s_max=1000.0)
    ground.quote(99.0, 101.0)
    ground.place(REST, SELL, 110.0, 100, slot=1)
    ground.arrive()
    ground.hear_all()
    for number in range(int(ground.t["rejections_max"])):
        assert ground.t["halted_ns"] == 0, number
        ground.place(REST, BUY, 101.0, 100)
        ground.arrive()
        ground.hear_all()
    assert ground.t["halted_why"] == WHY_HALTED_REJECTIONS
    assert (state(ground, 1), int(ground.t["gate"])) == (PENDING_CANCEL, d.GATE_HALTED)
    ground.place(REST, BUY, 99.0, 100)
    assert ground.t["refusals"][d.GATE_HALTED] == 1


def test_a_report_that_contradicts_the_table_is_an_error(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 99.0, 300)
    assert ground.t["next"][PENDING_NEW, STEP_REPLACED] == 0
    report = ground.t["reports"][0]
    report[W_KEY], report[W_KIND], report[W_ORDER_LOTS] = 1, SAY_REPLACED, 300
    ground.hear()
    assert ground.t["error"] == paper.ERROR_ORDER


def test_a_protective_stop_is_an_error(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(STOP, SELL, 90.0, 100)
    assert ground.t["error"] == orders.ERROR_STOP


def test_orders_are_found_from_the_oldest_on(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    for slot in (3, 0, 2):
        ground.place(REST, BUY, 99.0 - slot, 100, slot=slot)
    found, slot = [], orders.next_slot(ground.t, 0)
    while slot >= 0:
        found.append(slot)
        slot = orders.next_slot(ground.t, int(ground.t["orders"][slot, K_KEY]))
    assert found == [3, 0, 2]


def test_an_order_that_was_taken_whole_is_working_no_more(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(TARGET, SELL, 99.0, 100)
    ground.arrive()
    ground.hear()
    assert state(ground) == WORKING
    ground.hear_all()
    assert state(ground) == 0
    assert ground.mem["position"][0, d.P_QTY] == -0.1
