"""What the ccxt venue makes of words that the simulated exchange does not say, on virtual time."""

from __future__ import annotations

import asyncio

import pytest
from ccxt.base.errors import RequestTimeout
from msgspec.structs import replace

from daemon.orders.order import State
from kernels.dtypes import REST, TARGET
from tests.daemon.venues.ccxt_scripted import new_scripted, play

FREE = {"fees": [{"cost": "0", "currency": "USDT"}]}


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


# --- refusals before anything leaves ------------------------------------------------------------------------
def test_what_an_exchange_would_not_take_is_not_sent():
    async def work(kit):
        kit.place(kind=REST)
        kit.venue._ids.form = replace(kit.venue._form, id_length=5)
        kit.place(kind=TARGET, level=1)
        await kit.settle(0.1)
        reasons = [report.reason for report in kit.said("REJECTED")]
        assert reasons == [
            "not sent: venue.post_only is false",
            "not sent: its id is longer than binance takes",
        ]
        assert (kit.there.came, kit.venue.unsent) == (["trades"], 2)

    play(work, post_only=False)


def test_an_order_without_a_number_is_cancelled_only_where_our_id_names_it():
    async def work(kit):
        kit.venue._requests.cancels_by_id = False
        kit.there.held = asyncio.Event()
        order = kit.place()
        await kit.settle()
        kit.venue.cancel(order)
        await kit.settle(0.1)
        (report,) = kit.said("CANCEL_REJECTED")
        assert report.reason == "not sent: its number at the exchange is not known yet"
        kit.venue._requests.cancels_by_id = True
        kit.venue.cancel(order)
        await kit.settle()
        assert [word for word in kit.there.came if word.startswith("cancel")] == ["cancel None"]

    play(work)


def test_a_venue_that_is_down_asks_nothing_but_for_cancels_and_says_so():
    async def work(kit):
        kit.there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        came = len(kit.there.came)
        kit.venue.on_lost("the line is cut")
        kit.venue.on_lost("still")
        kit.venue.query(order)
        await kit.settle(0.1)
        assert (kit.reports[-1].kind, kit.reports[-1].reason) == ("TIMEOUT", "not sent: the venue is down")
        assert (len(kit.there.came), kit.venue.losses) == (came, 1)
        kit.venue.cancel(order)
        await kit.settle(0.1)
        assert kit.there.came[came] == "cancel 7"
        kit.venue.on_alive()
        kit.venue.on_alive()
        assert [(one.up, one.reason) for one in kit.statuses] == [
            (True, "the exchange answers again"),
            (False, "the line is cut"),
            (True, "the exchange answers again"),
        ]

    play(work)


# --- asking, and what comes by itself -----------------------------------------------------------------------
def test_an_order_is_asked_about_once_at_a_time():
    async def work(kit):
        kit.there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        kit.there.order("7", order.client_order_id)
        for _ in range(3):
            kit.venue.query(order)
        await kit.settle()
        assert kit.there.came.count("order 7") == 1
        kit.venue.query(order)
        await kit.settle()
        assert kit.there.came.count("order 7") == 2

    play(work)


def test_a_look_that_fails_says_nothing_of_an_order_that_nobody_doubts():
    async def work(kit):
        kit.there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        kit.venue.query(order)  # it is not found
        await kit.settle()
        assert (order.state, kit.said("NOT_FOUND"), kit.said("TIMEOUT")) == (State.WORKING, [], [])

    play(work)


def test_an_answer_that_does_not_say_how_an_order_stands_leaves_it_in_doubt():
    async def work(kit):
        kit.there.placed = RequestTimeout("no answer")
        order = kit.place()
        kit.there.order("7", order.client_order_id, "a new word")
        await kit.settle(0.5)
        assert order.state is State.UNKNOWN
        assert "VenueError: binance does not say how it stands" in {one.reason for one in kit.said("TIMEOUT")}
        kit.there.order("7", order.client_order_id)
        await kit.settle(2.0)
        assert order.state is State.WORKING

    play(work)


def test_events_of_what_is_not_traded_here_or_names_no_order_are_passed_over():
    async def work(kit):
        kit.there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        reports = list(kit.reports)
        for row in (
            {"symbol": "ETH/USDT", "order": "7", "id": "t1"},
            {"symbol": "BTC/USDT", "order": None, "id": "t1"},
        ):
            kit.venue.on_trade_event(row)
        kit.venue.on_order_event({"symbol": "ETH/USDT", "id": "7", "status": "canceled"})
        kit.venue.on_order_event({"symbol": "BTC/USDT", "id": "8", "status": "canceled"})
        await kit.settle(1.0)
        assert (kit.reports, order.state) == (reports, State.WORKING)

    play(work)


def test_an_event_tells_of_an_order_before_its_answer_does():
    async def work(kit):
        kit.there.held = asyncio.Event()
        kit.there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        kit.venue.on_order_event(kit.there.order("7", order.client_order_id))
        assert (order.state, order.venue_order_id) == (State.WORKING, "7")
        kit.there.held.set()
        await kit.settle()
        assert len(kit.said("NEW")) == 1

    play(work)


def test_trades_that_an_answer_brings_count_once_and_end_the_order():
    async def work(kit):
        there = kit.there
        there.placed = {
            "id": "7", "status": "closed", "filled": "0.001", "amount": "0.001", "symbol": "BTC/USDT",
            "trades": [
                {"id": "t1", "price": "60000", "amount": "0.001", **FREE},
                {"price": "60000", "amount": "1", **FREE},
            ],
        }  # fmt: skip
        order = kit.place(kind=TARGET)
        await kit.settle(1.0)
        assert (order.state, order.filled_lots, len(kit.said("TRADE"))) == (State.FILLED, 100, 1)
        assert "order 7" not in there.came  # nothing is left to ask about

    play(work)


@pytest.mark.parametrize("by", ["answer", "stream"])
def test_a_trade_that_cannot_be_read_leaves_its_order_in_doubt_and_the_venue_at_work(by):
    async def work(kit):
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        there, odd = (
            kit.there,
            FREE | {"id": "t1", "price": "60000.001", "amount": "0.001"},
        )  # off the grid we know
        there.placed = {
            "id": "7", "status": "closed", "filled": "0.001", "amount": "0.001", "symbol": "BTC/USDT",
            "trades": [odd] if by == "answer" else [],
        }  # fmt: skip
        if by == "stream":
            kit.venue.on_trade_event({"symbol": "BTC/USDT", "order": "7", "side": "buy", **odd})
        order = kit.place(kind=TARGET)
        await kit.settle()
        assert (order.state, kit.venue.frame_errors) == (State.UNKNOWN, {"price": 1})
        there.order("7", order.client_order_id, "closed", filled="0.001")
        there.trade("t1", "7", "0.001")
        await kit.settle(2.0)
        assert (order.state, order.filled_lots, told) == (State.FILLED, 100, [])

    play(work)


def test_trades_that_come_by_themselves_in_time_are_not_asked_for():
    async def work(kit):
        there = kit.there
        there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        kit.venue._watch.streams_up = 1
        row = there.order("7", order.client_order_id, "closed", filled="0.001")
        kit.venue.on_order_event(row)
        kit.venue.on_trade_event(there.trade("t1", "7", "0.001"))
        await kit.settle(1.0)
        assert (order.state, "order 7" in there.came) == (State.FILLED, False)

    play(work)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("by", ["stream", "answer", "event"])
def test_a_trade_that_does_not_say_its_fee_counts_with_it_once_its_list_is_read(by, known):
    async def work(kit):
        there, cut = kit.there, {"id": "t1", "price": "60000", "amount": "0.001", "fee": {"cost": None}}
        traded = {"symbol": "BTC/USDT", "order": "7", "side": "buy", **cut}
        if by == "stream" and not known:
            kit.venue.on_trade_event(traded)
        there.placed = {"id": "7", "trades": [cut] if by == "answer" else []}
        order = kit.place()
        await kit.settle()
        row = there.order("7", order.client_order_id, "closed", filled="0.001")
        there.trade("t1", "7", "0.001", fees=[{"cost": "0.06", "currency": "USDT"}])
        kit.venue._watch.streams_up = 1
        if by == "stream" and known:
            kit.venue.on_trade_event(traded)
        elif by == "event":
            kit.venue.on_order_event(row | {"trades": [cut]})
        assert order.filled_lots == 0
        await kit.settle(1.0)
        assert (order.state, order.filled_lots) == (State.FILLED, 100)
        assert [(str(one.commission), one.commission_asset) for one in kit.said("TRADE")] == [
            ("0.06", "USDT")
        ]
        assert kit.world.portfolio.purse("USDT").fees == 6 * 10**16

    play(work)


def test_after_the_stop_nothing_is_told_any_more():
    async def work(kit):
        there = kit.there
        there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        row = there.order("7", order.client_order_id, filled="0.0004")
        kit.venue.on_order_event(row)  # its trades are looked for in a moment
        kit.venue.amend(order, 10)  # refused in a moment
        await kit.venue.stop()
        reports, came = list(kit.reports), list(there.came)
        await kit.settle(1.0)
        kit.venue.on_order_event(there.order("7", order.client_order_id, "canceled"))
        kit.venue._failed(order, "TIMEOUT", RequestTimeout("late"))
        kit.venue.on_alive()
        assert (kit.reports, there.came) == (reports, came)

    play(work)


def test_a_defect_of_ours_in_a_task_is_told_to_the_loop():
    async def work(kit):
        told = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

        async def fails():
            raise ZeroDivisionError

        kit.venue._spawn(fails())
        await kit.settle()
        (context,) = told
        assert context["message"] == "the ccxt venue failed"
        assert isinstance(context["exception"], ZeroDivisionError)

    play(work)
