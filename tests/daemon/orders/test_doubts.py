from __future__ import annotations

from itertools import pairwise

import pytest

from daemon.events import VenueStatus
from daemon.orders.doubts import OrderRules
from daemon.orders.order import State
from kernels import dtypes as d
from tests.daemon.orders.conftest import HOUR


def doubted(world, **more):
    order = world.place(**more)
    world.later(2.5)
    assert order.state is State.UNKNOWN
    return order


#: growing up to a limit, but for the one when the order may be absent
DISTANCES = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0, 4.25, 10.0]


def test_queries_grow_apart_up_to_a_limit_and_one_comes_as_soon_as_it_could_end_the_doubt(world):
    asked_ns = []
    world.venue.query = lambda order: asked_ns.append(world.time.now_ns())
    doubted(world)
    world.later(70)
    assert [(b - a) / 1e9 for a, b in pairwise(asked_ns)] == DISTANCES


def test_nobody_is_asked_while_the_venue_is_down_and_all_soon_after(world):
    order = world.place()
    world.venue.up = False
    world.later(100)
    assert order.state is State.UNKNOWN
    assert world.venue.queried == []
    world.venue.up = True
    world.meet()
    world.later(0.3)
    assert world.venue.queried == [order.client_order_id]


def test_an_answer_ends_the_asking(world):
    order = doubted(world)
    world.report("STATUS", order, status="NEW", qty_lots=100)
    assert order.state is State.WORKING
    count = len(world.venue.queried)
    world.later(100)
    assert len(world.venue.queried) == count
    assert world.time.next_ns is None


def not_found_for(world, order, seconds, every=5):
    for _ in range(int(seconds / every)):
        world.later(every)
        world.report("NOT_FOUND", order, code=-2013)


def test_not_found_for_half_a_minute_is_no_proof(world):
    order = doubted(world)
    not_found_for(world, order, 30)
    assert order.state is State.UNKNOWN


def test_absence_needs_time_answers_and_a_look_at_the_trades(world):
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(world.time.now_ns())
    order = doubted(world)
    not_found_for(world, order, 90)
    assert order.state is State.UNKNOWN  # nobody looked at the trades yet
    assert asked
    world.meet()
    assert order.state is State.UNKNOWN
    world.report("NOT_FOUND", order, code=-2013)
    assert order.state is State.VOID
    assert world.alarms() == ["void"]
    assert world.risk.gate(0) == 0
    assert world.slot()[d.W_STATE] == d.SLOT_EMPTY


def test_a_look_at_the_trades_before_the_window_closed_proves_nothing(world):
    order = doubted(world)
    not_found_for(world, order, 50)
    world.meet()
    not_found_for(world, order, 20)
    assert order.state is State.UNKNOWN


def found_nowhere_for(world, order, seconds):
    """Answer "not found" four times a second, and look at the lists every five."""
    for number in range(4 * seconds):
        world.later(0.25)
        world.report("NOT_FOUND", order, code=-2013)
        if not number % 20:
            world.meet()


def long_ago(world):
    order = world.place()
    world.report("NEW", order, venue_order_id="5")
    world.later(3600)
    return order


def test_an_order_that_has_stood_for_long_is_not_absent_sooner_than_a_new_one(world):
    order = long_ago(world)
    world.meet()
    assert order.state is State.UNKNOWN
    found_nowhere_for(world, order, 59)
    assert order.state is State.UNKNOWN
    found_nowhere_for(world, order, 6)
    assert order.state is State.VOID


def test_what_a_run_before_sent_long_ago_is_not_absent_sooner_either(world):
    order = long_ago(world)
    again = world.restarted()
    order = again.orders.life.open[order.client_order_id]
    found_nowhere_for(again, order, 59)
    assert order.state is State.UNKNOWN
    found_nowhere_for(again, order, 6)
    assert order.state is State.VOID


def test_an_order_of_which_only_the_status_is_not_understood_is_there(world):
    order = doubted(world)
    found_nowhere_for(world, order, 50)
    world.report("STATUS", order, status="MELTED")
    found_nowhere_for(world, order, 50)
    assert order.state is State.UNKNOWN


def test_while_the_venue_was_away_nobody_could_be_asked(world):
    order = doubted(world)
    world.orders.venue_status(VenueStatus(up=False, reason="cut", wire_ns=world.time.now_ns()))
    world.later(300)
    world.orders.venue_status(VenueStatus(up=True, reason="back", wire_ns=world.time.now_ns()))
    found_nowhere_for(world, order, 50)
    assert order.state is State.UNKNOWN
    found_nowhere_for(world, order, 20)
    assert order.state is State.VOID


def test_answers_about_an_order_that_owes_trades_do_not_hurry_the_next(world):
    order = world.place(qty=100)
    asked = []

    def answer(order):
        asked.append(order)
        world.report("STATUS", order, status="CANCELED", qty_lots=100, cum_lots=40)

    world.venue.query = answer
    world.report("CANCELED", order, cum_lots=40)
    world.later(60)
    assert order.state is State.UNKNOWN
    assert len(asked) == 10


def test_few_answers_are_no_absence_however_late(new_world):
    world = new_world(rules=OrderRules(not_found_min=3))
    order = doubted(world)
    world.later(600)
    world.meet()
    for _ in range(2):
        world.report("NOT_FOUND", order)
    assert order.state is State.UNKNOWN
    world.report("NOT_FOUND", order)
    assert order.state is State.VOID


def part_filled(world):
    """Return an order whose cancel was not answered after a part of it had traded."""
    order = world.place(qty=1000)
    world.report("NEW", order, venue_order_id="5")
    world.fill(order, 1, 400)
    world.later(3600)
    world.report("TIMEOUT", order)
    assert order.state is State.UNKNOWN
    return order


def test_the_rest_of_what_traded_in_part_is_void_by_the_same_rule_and_what_traded_counts(world):
    order = part_filled(world)
    found_nowhere_for(world, order, 59)
    assert order.state is State.UNKNOWN
    found_nowhere_for(world, order, 6)
    assert (order.state, order.filled_lots, world.alarms()) == (State.VOID, 400, ["void"])
    assert (world.position(d.P_QTY), world.risk.gate(0)) == (0.004, 0)
    again = world.restarted()
    assert (again.position(d.P_QTY), list(again.orders.life.open)) == (0.004, [])
    again.fill(order, 2, 600)
    assert again.position(d.P_QTY) == 0.01
    assert again.alarms() == ["void"]


def test_a_trade_that_a_look_finds_last_begins_the_count_anew(world):
    order = part_filled(world)
    not_found_for(world, order, 90)
    assert order.state is State.UNKNOWN  # nobody looked at the trades yet
    world.meet(trades=[world.trade(order.client_order_id, 2, 300)])
    assert (order.state, order.filled_lots) == (State.UNKNOWN, 700)
    found_nowhere_for(world, order, 59)
    assert order.state is State.UNKNOWN
    found_nowhere_for(world, order, 6)
    assert (order.state, world.position(d.P_QTY)) == (State.VOID, 0.007)


def test_what_owes_trades_is_not_absent_however_long_nobody_finds_it(world):
    order = part_filled(world)
    world.report("STATUS", order, status="PARTIALLY_FILLED", qty_lots=1000, cum_lots=500)
    found_nowhere_for(world, order, 600)
    assert (order.state, world.alarms()) == (State.UNKNOWN, ["lost_trades"])


def test_word_of_an_order_starts_the_count_again(world):
    order = doubted(world)
    not_found_for(world, order, 100)
    world.meet()
    world.report("NEW", order)
    assert order.state is State.UNKNOWN  # the word may be older than the doubt
    for _ in range(3):
        world.report("NOT_FOUND", order)
    assert order.state is State.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "state"), [("NEW", State.UNKNOWN), ("STATUS", State.UNKNOWN), ("CANCELED", State.CANCELED)]
)
def test_a_void_order_that_turns_up_is_taken_in_again_and_alarms(world, kind, state):
    order = doubted(world)
    world.later(200)
    world.meet()
    not_found_for(world, order, 20)
    assert order.state is State.VOID
    other = world.place(level=1)  # takes its slot
    world.report("NEW", other)
    world.report(kind, order, status="NEW")
    assert order.state is state
    assert world.alarms() == ["void", "void"]
    if state is State.UNKNOWN:
        assert order.slot == 1
        assert world.slot(slot=1)[d.W_STATE] == d.SLOT_UNKNOWN
        world.report("STATUS", order, status="NEW")
        assert order.state is State.WORKING


def test_an_adopted_order_that_turns_up_again_is_not_shown_to_the_strategy_which_would_cancel_it(new_world):
    world = new_world(rules=OrderRules(foreign="adopt"))
    world.meet(open_orders=[world.listed("by-hand")])
    order = world.orders.life.open["by-hand"]
    world.later(1)
    world.meet()
    found_nowhere_for(world, order, 70)
    assert order.state is State.VOID
    world.report("STATUS", order, status="NEW")
    assert (order.state, order.slot) == (State.UNKNOWN, -1)


def test_a_late_fill_of_a_void_order_is_accounted_for(world):
    order = doubted(world, qty=100)
    world.later(200)
    world.meet()
    not_found_for(world, order, 20)
    world.fill(order, 1, 100)
    assert order.state is State.FILLED
    assert world.position(d.P_QTY) == 0.001
    assert world.alarms() == ["void", "void"]


def test_missing_trades_are_asked_for_by_time_and_by_the_order(world):
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(1)
    order = world.place(qty=100)
    world.report("CANCELED", order, cum_lots=40)
    assert order.state is State.UNKNOWN
    world.later(5)
    assert asked
    assert set(world.venue.queried) == {order.client_order_id}  # whose number leads to them
    world.fill(order, 1, 40, cum_lots=40)
    assert order.state is State.CANCELED
    world.later(0.3)
    count = len(asked), len(world.venue.queried)
    world.later(100)
    assert (len(asked), len(world.venue.queried)) == count


def test_going_down_closes_the_gate_and_meeting_opens_it(world):
    world.orders.venue_status(VenueStatus(up=False, reason="cut", wire_ns=0))
    assert world.risk.gate(0) == d.GATE_VENUE_DOWN
    world.meet()
    assert world.risk.gate(0) == 0


def test_a_clock_set_forward_makes_no_order_absent(world):
    order = doubted(world)
    mono = world.time.now_ns
    stepped_ns = 90 * 1_000_000_000
    world.orders.doubts._clock = type(
        "Stepped", (), {"now_ns": lambda _: mono() + stepped_ns, "mono_ns": lambda _: mono()}
    )()
    world.orders.doubts.trades_asked_ns = world.time.now_ns() + 2 * stepped_ns
    for _ in range(10):
        world.report("NOT_FOUND", order, code=-2013, wire_ns=world.time.now_ns() + stepped_ns)
    assert order.state is State.UNKNOWN
    not_found_for(world, order, 70)
    assert order.state is State.VOID


@pytest.mark.parametrize("step_ns", [-HOUR, HOUR])
def test_a_clock_that_is_set_keeps_nobody_from_asking(world, step_ns):
    asked_ns = []
    world.venue.query = lambda order: asked_ns.append(world.time.mono_ns())
    doubted(world)
    world.set_clock(step_ns)
    world.later(70)
    assert [(b - a) / 1e9 for a, b in pairwise(asked_ns)] == DISTANCES


def test_a_clock_that_is_set_makes_no_order_absent_sooner_or_later(world):
    for step_ns in (-HOUR, HOUR):
        order = doubted(world, level=step_ns)
        world.set_clock(step_ns)
        not_found_for(world, order, 55)
        world.meet()
        assert order.state is State.UNKNOWN
        world.later(5)
        world.meet()
        world.report("NOT_FOUND", order, code=-2013)
        assert order.state is State.VOID


def test_a_person_is_told_once_of_trades_that_nobody_lists(world):
    order = world.place(qty=100)
    world.report("CANCELED", order, cum_lots=40)
    world.later(50)
    assert world.alarms() == []
    world.later(600)
    assert world.alarms() == ["lost_trades"]


def test_a_person_is_told_once_of_a_doubt_that_lasts(world):
    order = doubted(world)
    world.later(290)  # the venue answers nothing
    assert world.alarms() == []
    world.later(600)
    assert world.alarms() == ["in_doubt"]
    world.report("STATUS", order, status="CANCELED", cum_lots=40)
    world.later(60)
    assert world.alarms() == ["in_doubt", "lost_trades"]
    world.later(600)
    assert world.alarms() == ["in_doubt", "lost_trades"]


def test_nobody_is_told_of_a_doubt_that_a_venue_which_is_back_has_had_no_time_to_end(world):
    doubted(world)
    world.venue.up = False
    world.orders.venue_status(VenueStatus(up=False, reason="cut", wire_ns=world.time.now_ns()))
    world.later(900)
    world.venue.up = True
    world.orders.venue_status(VenueStatus(up=True, reason="back", wire_ns=world.time.now_ns()))
    world.later(100)
    assert world.alarms() == []
    world.later(60)
    assert world.alarms() == ["in_doubt"]


def test_an_exit_that_is_refused_has_the_account_looked_at_once_in_five_seconds(world):
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(1)

    def refused(reason="insufficient balance", **more):
        order = world.place(side=d.SELL, price=6_100_000, **more)
        world.report("REJECTED", order, reason=reason)
        return len(asked)

    assert refused() == 0  # a quote is no exit
    world.fill(world.place(qty=1000), 1, 1000)
    assert refused("not sent: the venue is down", reduces=True) == 0
    assert [refused(reduces=True) for _ in range(3)] == [1, 1, 1]
    world.set_clock(HOUR)
    world.later(4.9)
    assert refused(reduces=True) == 1
    world.later(0.1)
    assert refused(reduces=True) == 2
