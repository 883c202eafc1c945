from __future__ import annotations

import pytest

from daemon.orders.lifecycle import STATUS_EVENTS
from daemon.orders.order import State
from kernels import dtypes as d


def test_an_end_waits_for_the_trades_the_venue_counts(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 20)
    world.report("CANCELED", order, cum_lots=50)
    assert order.state is State.UNKNOWN
    assert world.slot()[d.W_LEAVES_LOTS] == 30  # no more than the trades still owed
    assert order.reserved == 30 * 6_000_000 * 10**11
    world.fill(order, 3, 10, cum_lots=50)
    assert order.state is State.UNKNOWN
    world.fill(order, 2, 20, cum_lots=40)
    assert order.state is State.CANCELED
    assert order.reserved == 0


def test_trades_told_in_the_wrong_order_end_where_they_should(world):
    order = world.place(qty=100)
    world.fill(order, 2, 60, cum_lots=100)
    assert order.state is State.UNKNOWN
    world.fill(order, 1, 40, cum_lots=40)
    assert order.state is State.FILLED


def test_a_missing_trade_of_an_open_order_is_owed_and_the_order_stays_open(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.fill(order, 2, 10, cum_lots=30)
    assert order.state is State.UNKNOWN
    world.fill(order, 1, 20, cum_lots=20)
    assert order.state is State.PARTIALLY_FILLED
    assert order.client_order_id not in world.orders.life.owed


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NEW", State.WORKING),
        ("PARTIALLY_FILLED", State.WORKING),
        ("PENDING_CANCEL", State.WORKING),
        ("CANCELED", State.CANCELED),
        ("REJECTED", State.REJECTED),
        ("EXPIRED", State.EXPIRED),
        ("EXPIRED_IN_MATCH", State.EXPIRED),
    ],
)
def test_the_venues_words_settle_an_unknown_order(world, status, state):
    assert status in STATUS_EVENTS
    order = world.place(qty=100)
    world.report("TIMEOUT", order)
    world.report("STATUS", order, status=status, qty_lots=100)
    assert order.state is state
    assert world.risk.gate(0) == 0


def test_a_word_nobody_knows_changes_nothing_and_alarms(world):
    order = world.place()
    world.report("TIMEOUT", order)
    world.report("STATUS", order, status="MELTED")
    assert order.state is State.UNKNOWN
    assert world.alarms() == ["contradiction"]


def test_a_query_answered_before_the_cancel_arrived_does_not_end_the_waiting(world):
    order = world.place()
    world.report("NEW", order)
    world.orders.cancel(order, world.time.now_ns())
    world.report("STATUS", order, status="NEW", qty_lots=100)
    assert order.state is State.PENDING_CANCEL


def test_an_amend_down_to_what_is_filled_fills_the_order(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.orders.amend(order, 60, world.time.now_ns())
    world.fill(order, 1, 60, qty_lots=60)
    assert order.state is State.FILLED
    world.report("REPLACED", order, qty_lots=60)
    assert order.state is State.FILLED


def test_fills_up_to_an_amend_whose_word_came_last(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.orders.amend(order, 60, world.time.now_ns())
    world.fill(order, 1, 60)
    assert order.state is State.PENDING_REPLACE
    world.report("REPLACED", order, qty_lots=60)
    assert order.state is State.FILLED


def test_a_lost_amend_is_learned_from_the_query(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.orders.amend(order, 60, world.time.now_ns())
    world.later(3)
    assert order.state is State.UNKNOWN
    world.report("STATUS", order, status="NEW", qty_lots=60)
    assert (order.state, order.leaves_lots) == (State.WORKING, 60)


def test_trades_counted_after_the_end_are_asked_for(world):
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(1)
    order = world.place(qty=100)
    world.report("NEW", order)
    world.report("CANCELED", order)
    world.report("STATUS", order, status="CANCELED", qty_lots=100, cum_lots=30)
    assert asked == [1]
    assert world.alarms() == ["lost_trades"]
    world.fill(order, 1, 30, cum_lots=30)
    assert (order.state, order.filled_lots) == (State.CANCELED, 30)


def test_one_unknown_order_closes_its_instrument_and_two_need_two_answers(new_world, pair):
    world = new_world(pair, {"both": (0, 1)})
    first, second = world.place(level=1), world.place(level=2)
    for order in (first, second):
        world.report("TIMEOUT", order)
    assert (world.risk.gate(0), world.risk.gate(1)) == (d.GATE_UNKNOWN_ORDER, 0)
    world.report("STATUS", first, status="NEW")
    assert world.risk.gate(0) == d.GATE_UNKNOWN_ORDER
    world.report("STATUS", second, status="CANCELED")
    assert world.risk.gate(0) == 0


def test_ended_orders_are_remembered_for_a_while(new_world):
    from daemon.orders.doubts import OrderRules

    world = new_world(rules=OrderRules(ended_max=3))
    orders = [world.place(level=level) for level in range(5)]
    for order in orders:
        world.report("REJECTED", order)
    assert list(world.orders.life.ended) == [order.client_order_id for order in orders[2:]]
    world.report("NEW", orders[0])  # nobody remembers it, and nothing happens
    assert world.alarms() == []


@pytest.mark.parametrize(("kind", "alarms"), [(d.REST, ["contradiction"]), (d.STOP, [])])
@pytest.mark.parametrize(
    ("word", "more"), [("NEW", {}), ("REPLACED", {"qty_lots": 50}), ("STATUS", {"status": "NEW"})]
)
def test_what_stands_after_a_rejection_is_a_contradiction_but_of_a_stop_refused_at_its_trigger(
    world, kind, alarms, word, more
):
    order = world.place(kind=kind)
    world.report("REJECTED", order, reason="x")
    world.report(word, order, venue_order_id="7", **more)
    assert (world.alarms(), world.risk.halted) == (alarms, bool(alarms))
    assert order.state is State.REJECTED


def test_a_stop_whose_rest_was_refused_at_its_trigger_ends_once_what_it_traded_is_known(world):
    world.fill(world.place(qty=100), 1, 100)
    stop = world.place(kind=d.STOP, side=d.SELL, price=5_900_000, qty=100)
    world.report("NEW", stop)
    world.report("REJECTED", stop, reason="x", cum_lots=30)  # overtook the trade
    assert (stop.state, world.orders.life.leaves(stop)) == (State.UNKNOWN, 30)
    world.fill(stop, 2, 30)
    assert (stop.state, stop.filled_lots) == (State.REJECTED, 30)
    assert world.position(d.P_QTY) == pytest.approx(70e-5)
    assert (world.alarms(), world.risk.halted) == ([], False)
