"""What the ccxt venue makes of words that the simulated exchange does not say, on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from daemon.orders.order import State
from tests.daemon.venues.ccxt_scripted import new_scripted, play


@pytest.mark.parametrize(
    ("status", "filled", "end"),
    [
        ("canceled", "0.0004", State.CANCELED),
        ("closed", "0.0004", State.EXPIRED),
        ("closed", "0.001", State.FILLED),
        ("canceled", "0", State.CANCELED),
    ],
)
@pytest.mark.parametrize("hears", ["event", "query"])
def test_an_end_without_a_count_is_believed_once_its_trades_are_known(hears, status, filled, end):
    async def work(kit):
        there = kit.there
        there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        assert (order.state, order.venue_order_id) == (State.WORKING, "7")
        if filled != "0":
            there.trade("t1", "7", filled)
        row = there.order("7", order.client_order_id, status, filled=None)
        if hears == "event":
            kit.venue.on_order_event(row)
        else:
            kit.venue.query(order)
        await kit.settle(1.0)
        assert (order.state, order.filled_lots) == (end, round(float(filled) * 100_000))
        assert kit.world.alarms() == []

    play(work)


async def placed_and_not_answered(kit):
    """Leave an order without its number, and the first of its trades listed, streamed, and met twice."""
    kit.there.held = asyncio.Event()
    order = kit.place()
    await kit.settle()
    kit.there.order("7", None, filled="0.0004")
    trade = kit.there.trade("t1", "7", "0.0004")
    kit.venue.on_trade_event(trade)
    for _ in range(2):
        found = await kit.meet()
        assert (found.trades, found.notes, order.filled_lots) == (0, [], 0)
    return order


@pytest.mark.parametrize("answer", [{"id": "7"}, {"id": "7", "status": "open", "filled": "0.0004"}])
def test_a_trade_that_is_listed_before_its_order_is_named_is_its_own(answer):
    async def work(kit):
        order = await placed_and_not_answered(kit)
        kit.there.placed = answer
        kit.there.held.set()
        await kit.settle(1.0)
        assert (order.state, order.filled_lots) == (State.PARTIALLY_FILLED, 40)
        kit.venue.on_trade_event(kit.there.trade("t2", "7", "0.0006"))  # whose it is is known now
        assert order.state is State.FILLED
        found = await kit.meet()
        assert (found.trades, found.fatal, kit.world.alarms()) == (0, [], [])

    play(work, blind=True)


def test_a_trade_whose_order_is_not_named_before_a_restart_is_its_own_after_it():
    async def work(kit):
        order = await placed_and_not_answered(kit)
        await kit.world.journal.sync_now()
        await kit.venue.stop()
        again = await new_scripted(kit.there, kit.world.time, kit.world.disk, blind=True)
        mine = again.world.orders.life.open[order.client_order_id]
        found = await again.meet()
        await again.settle(1.0)
        assert (found.trades, mine.state, mine.filled_lots) == (0, State.UNKNOWN, 0)
        kit.there.order("7", order.client_order_id, filled="0.0004")  # its list tells it after all
        await again.settle(5.0)
        assert (mine.state, mine.filled_lots, again.world.alarms()) == (State.PARTIALLY_FILLED, 40, [])
        await again.venue.stop()

    play(work, blind=True)


def test_a_trade_of_somebody_else_s_order_waits_no_longer_than_the_order_it_may_have_been_of():
    async def work(kit):
        order = await placed_and_not_answered(kit)
        kit.there.placed = {"id": "8"}
        kit.there.held.set()
        await kit.settle(1.0)
        assert (order.state, order.venue_order_id) == (State.WORKING, "8")
        found = await kit.meet()
        assert (found.trades, order.filled_lots, kit.world.alarms()) == (
            1,
            0,
            ["foreign_trade", "foreign_order"],
        )

    play(work, blind=True)


def test_an_order_that_was_taken_for_somebody_else_s_is_ours_once_its_answer_says_so():
    async def work(kit):
        kit.there.held = asyncio.Event()
        kit.there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        kit.there.order("7", None, "closed")
        kit.there.trade("t1", "7", "0.0004")
        await kit.meet()
        assert kit.world.alarms() == ["foreign_trade"]  # an exchange that tells our ids has told none
        kit.there.held.set()
        await kit.settle()
        kit.venue.on_trade_event(kit.there.trade("t2", "7", "0.0006"))
        assert (order.filled_lots, kit.world.alarms()) == (60, ["foreign_trade"])

    play(work)
