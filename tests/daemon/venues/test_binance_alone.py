"""The venue while nobody listens, nothing is connected or told, or nothing more may be asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.errors import NetError
from daemon.events import ExecutionReport
from daemon.orders.order import State
from daemon.venues.binance_session import Session
from daemon.venues.binance_wire import RateLimit
from tests.daemon.venues.test_binance import EVENT, INSTRUMENT, Desk, order, run

STATUS = ExecutionReport(
    kind="STATUS", client_order_id="demo-7-1", instrument=0, wire_ns=1, venue_order_id="9", cum_lots=5
)


def used_up(desk: Desk) -> None:
    """Leave no room for any request: the exchange has limited us for a minute."""
    time_ms = desk.time.now_ns() // 1_000_000
    desk.venue.budget.block(429, time_ms, time_ms + 60_000)


def test_before_it_starts_nobody_hears_anything() -> None:
    desk = Desk()
    desk.venue.on_report(STATUS)
    desk.venue.on_clock_refused()
    desk.venue._tell(up=False, reason="not yet")
    assert (desk.sink.reports, desk.sink.statuses, desk.exchange.lines) == ([], [], [])
    asyncio.run(desk.venue.stop())


def test_of_a_session_that_was_replaced_no_end_matters() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        other = Session(desk.venue, desk.venue._frames, desk.time)
        desk.venue.on_ending(other, "the server is about to shut down")
        desk.venue.on_closed(other, "replaced")
        assert desk.venue.up
        assert not desk.venue._ending.is_set()

    run(scenario)


def test_without_room_for_a_request_trades_are_not_asked_for_and_the_order_stays_in_doubt() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        used_up(desk)
        asked = len(desk.exchange.methods)
        desk.venue.on_trades_missing(desk.venue._session, STATUS, order())
        await desk.pass_s(0.001)
        assert desk.sink.kinds == ["TIMEOUT"]
        assert "rate limited" in desk.sink.reports[0].reason
        desk.venue._ask_time(desk.venue._session)
        with pytest.raises(NetError, match="was not sent: rate limited"):
            await desk.venue._call(desk.venue._session, "session.status", {})
        assert len(desk.exchange.methods) == asked

    run(scenario)


def told(desk: Desk, method: str) -> None:
    """Let an order be accepted, or an older one's cancellation, with no event before."""
    one = order()
    if method == "order.cancel":
        one.state = State.PENDING_CANCEL
        desk.venue.cancel(one)
    else:
        desk.venue.place(one)
    row = {"symbol": "BTCUSDT", "orderId": 9, "clientOrderId": "demo-7-1", "status": "NEW"}
    desk.line.say({"id": desk.line.requests[-1]["id"], "status": 200, "result": row})


@pytest.mark.parametrize("method", ["order.place", "order.cancel"])
def test_a_stream_that_tells_nothing_of_what_was_answered_is_given_up_once(method: str) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        told(desk, method)
        await desk.pass_s(120)
        assert [status.up for status in desk.sink.statuses] == [True, False, True]
        assert "does not tell" in desk.sink.statuses[1].reason

    run(scenario)


@pytest.mark.parametrize("method", ["order.place", "order.cancel"])
def test_a_stream_that_tells_is_kept(method: str) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        told(desk, method)
        desk.line.say({"subscriptionId": 0, "event": EVENT})
        await desk.pass_s(120)
        assert (desk.venue.losses, len(desk.exchange.lines)) == (0, 1)

    run(scenario)


def test_a_beat_without_a_session_does_nothing() -> None:
    desk = Desk()
    desk.venue._on_beat()
    assert desk.time.next_ns is None


def test_an_order_s_number_is_remembered_from_the_first_word_of_it() -> None:
    desk = Desk()
    for number, kind in ((7, "NEW"), (8, "TRADE"), (9, "STATUS")):
        fields: dict[str, Any] = {"kind": kind, "client_order_id": f"demo-7-{number}"}
        desk.venue.on_report(ExecutionReport(**fields, instrument=0, wire_ns=1, venue_order_id=str(number)))
    assert [desk.venue._names.find(0, number) for number in "789"] == ["demo-7-7", "demo-7-8", ""]


def test_best_prices_are_asked_of_rest() -> None:
    async def scenario(desk: Desk) -> None:
        asked = []

        async def get(path: str, params: dict[str, Any], *_: Any, **more: Any) -> Any:
            asked.append((path, params, more))
            return type("Best", (), {"bidPrice": 99.5, "askPrice": 100.5})

        desk.venue.rest.get = get  # type: ignore[method-assign]
        assert await desk.venue.touches([INSTRUMENT]) == [(99.5, 100.5)]
        assert asked == [("/api/v3/ticker/bookTicker", {"symbol": "BTCUSDT"}, {"signed": False})]

    run(scenario)


def test_a_successor_that_is_lost_at_once_leaves_the_connection_that_there_was() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        await desk.pass_s(61)
        (old,) = desk.exchange.lines
        desk.exchange.cut_after = "userDataStream.subscribe.signature"
        old.say({"event": {"e": "serverShutdown", "E": 1}})
        await desk.settle()
        assert [line.open for line in desk.exchange.lines] == [True, False]
        assert [status.up for status in desk.sink.statuses] == [True]
        desk.venue.place(order())
        assert len(old.requests) == 1
        desk.exchange.cut_after = ""
        await desk.pass_s(5)
        assert [line.open for line in desk.exchange.lines] == [False, False, True]
        assert [status.up for status in desk.sink.statuses] == [True]

    run(scenario)


def test_once_quotes_have_used_up_their_part_of_a_days_orders_positions_can_still_be_closed() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        time_ms = desk.time.now_ns() // 1_000_000
        desk.venue.budget.learn([RateLimit("ORDERS", "DAY", 1, 200_000, 180_000)], time_ms)
        assert desk.venue.is_short()
        desk.venue.place(order(1))
        desk.venue.place(order(2, reduces=True))
        await desk.pass_s(0.001)
        assert desk.sink.kinds == ["REJECTED"]
        assert desk.sink.reports[0].client_order_id == "demo-7-1"
        assert [asked["params"]["newClientOrderId"] for asked in desk.line.requests] == ["demo-7-2"]

    run(scenario)
