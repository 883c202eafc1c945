"""Orders through ccxt's Binance at the simulated exchange, under the real order side, by a bad line."""

from __future__ import annotations

import asyncio

import pytest
from ccxt.base.errors import ExchangeNotAvailable

from daemon.errors import ConfigError
from daemon.orders.order import State
from daemon.simulator.warm import warm_up
from kernels.dtypes import BUY, P_QTY, REST, SELL, STOP, TARGET
from tests.daemon.venues.ccxt_kit import ORDER, SECOND, RealTime, connected, new_venue, new_world, trade

ENDED = {State.FILLED, State.CANCELED, State.REJECTED, State.EXPIRED}


@pytest.fixture(scope="module", autouse=True)
def _warm():
    """Compile before anyone waits for an answer."""
    warm_up(synthetic=True)


def never_twice(kit):
    assert len(set(kit.front.placed)) == len(kit.front.placed)
    assert [alarm for alarm in kit.world.alarms() if alarm in {"contradiction", "overfill", "void"}] == []


def test_orders_live_their_lives():
    async def work(kit):
        bid, ask = await kit.touch()
        world = kit.world
        taken = world.place(kind=TARGET, price=ask + 10_000, qty=2_000)
        await kit.until(lambda: taken.state is State.FILLED)
        fill = kit.said("TRADE")[0]
        assert (fill.commission_asset, fill.side) == ("BTC", BUY)
        assert fill.last_ticks <= ask + 10_000
        assert world.position(P_QTY) == pytest.approx(0.02 - float(fill.commission), abs=1e-12)

        resting = world.place(kind=REST, price=bid - 50_000, qty=5_000)
        await kit.until(lambda: resting.state is State.WORKING)
        found = await kit.meet()
        assert (found.notes, found.fatal, found.missing, found.trades) == ([], [], 0, 0)
        world.orders.cancel(resting, world.time.now_ns())
        await kit.until(lambda: resting.state is State.CANCELED)

        stop = world.place(kind=STOP, side=SELL, price=bid - 50_000, qty=1_000)
        await kit.until(lambda: stop.state is State.WORKING)
        world.orders.cancel(stop, world.time.now_ns())
        await kit.until(lambda: stop.state is State.CANCELED)

        missed = world.place(kind=TARGET, price=bid - 50_000, qty=1_000)
        await kit.until(lambda: missed.state is State.EXPIRED)
        truth = await kit.truth()
        assert {order.client_order_id for order in (taken, resting, stop, missed)} == truth.keys()
        assert kit.venue.frame_errors == {}
        never_twice(kit)

    trade(work)


def test_a_refusal_is_a_rejection_with_the_exchange_s_words():
    async def work(kit):
        _, ask = await kit.touch()
        takes = kit.world.place(kind=REST, price=ask + 50_000, qty=1_000)
        small = kit.world.place(kind=TARGET, price=ask, qty=1)
        await kit.until(lambda: {takes.state, small.state} == {State.REJECTED})
        reasons = {report.client_order_id: report.reason for report in kit.said("REJECTED")}
        assert "immediately match and take" in reasons[takes.client_order_id]
        assert "NOTIONAL" in reasons[small.client_order_id]

    trade(work)


# what the exchange did is done, and we are not told: the order must be found again, whole
@pytest.mark.parametrize(
    "fault",
    [
        "lose",
        "late",
        500,
        503,
        504,
        "not json",
        "{}",
        '{"symbol": "BTCUSDT", "orderId": 7, "executedQty": "0.000001"}',
        '{"code": -1007, "msg": "Timeout waiting for response from backend server."}',
        '{"code": -2010, "msg": "Duplicate order sent."}',
    ],
    ids=lambda fault: str(fault)[:30],
)
@pytest.mark.parametrize("kind", [TARGET, REST])
def test_an_order_whose_answer_is_lost_is_asked_about_and_never_sent_again(fault, kind):
    async def work(kit):
        kit.front.faults["POST"] = fault
        bid, ask = await kit.touch()
        price = ask + 10_000 if kind == TARGET else bid - 50_000
        order = kit.world.place(kind=kind, price=price, qty=2_000)
        end = State.FILLED if kind == TARGET else State.WORKING
        await kit.until(lambda: order.state is end)
        assert kit.said("REJECTED") == []
        assert order.filled_lots == (2_000 if kind == TARGET else 0)
        assert kit.world.orders.doubts._by_id == {}
        await asyncio.sleep(0.3)  # a repetition would come now
        assert kit.front.placed == [order.client_order_id]
        never_twice(kit)

    trade(work)


# nothing was done, but nobody can know it from the answer: doubt, until the absence rule
@pytest.mark.parametrize(
    "fault",
    [
        "drop",
        (418, "banned"),
        (429, '{"code": -1003, "msg": "Too much request weight used."}'),
        (403, "<html>forbidden</html>"),
        (400, '{"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}'),
        (400, '{"code": -1015, "msg": "Too many new orders."}'),
        (200, '{"code": -1000, "msg": "An unknown error occurred."}'),
        (503, '{"code": -2010, "msg": "Account has insufficient balance for requested action."}'),
        (307, "", ("Location", ORDER)),
        (301, "", ("Location", ORDER)),
    ],
    ids=lambda fault: str(fault)[:30],
)
def test_an_answer_that_says_nothing_leaves_the_order_in_doubt(fault):
    async def work(kit):
        kit.front.faults["POST"] = fault
        bid, _ = await kit.touch()
        order = kit.world.place(kind=REST, price=bid - 50_000, qty=2_000)
        await kit.until(lambda: order.state is State.UNKNOWN)
        still = fault[0] in {418, 429}
        assert kit.venue.is_short() is still
        if still:
            kit.venue.query(order)
            await kit.until(lambda: any("keep still" in one.reason for one in kit.said("TIMEOUT")))
            kit.world.time.later_ns = 600 * SECOND
        await kit.until(lambda: kit.said("NOT_FOUND"))
        assert order.state is State.UNKNOWN
        assert kit.said("REJECTED") == []
        assert kit.world.orders.portfolio.purse("USDT").free < kit.world.orders.portfolio.purse("USDT").total
        await asyncio.sleep(0.3)
        assert kit.front.placed == [order.client_order_id]
        assert await kit.truth() == {}

    trade(work)


@pytest.mark.parametrize(
    "fault", ["lose", "drop", "late", 500, "{}", (307, "", ("Location", ORDER))], ids=str
)
def test_a_cancel_that_is_not_answered_is_settled_by_asking(fault):
    async def work(kit):
        bid, _ = await kit.touch()
        order = kit.world.place(kind=REST, price=bid - 50_000, qty=2_000)
        await kit.until(lambda: order.state is State.WORKING)
        kit.front.faults["DELETE"] = fault
        kit.world.orders.cancel(order, kit.world.time.now_ns())
        happened = fault != "drop" and not isinstance(fault, tuple)
        await kit.until(lambda: order.state is (State.CANCELED if happened else State.WORKING))
        assert sum(asked == ("DELETE", ORDER) for asked in kit.front.asked) == 1
        assert (await kit.truth())[order.client_order_id]["status"] == ("canceled" if happened else "open")
        never_twice(kit)

    trade(work)


def test_an_exchange_that_cannot_be_reached_means_not_sent():
    async def work(kit):
        bid, _ = await kit.touch()
        await kit.venue._session.close()
        kit.venue._session = kit.venue.client.session = None
        from daemon.venues.ccxt_client import connect_client

        kit.venue._session = connect_client(kit.venue.client, "", None)
        kit.venue.client.urls["api"]["private"] = "http://127.0.0.1:1/api/v3"
        order = kit.world.place(kind=REST, price=bid - 50_000, qty=2_000)
        await kit.until(lambda: order.state is State.REJECTED)
        assert kit.said("REJECTED")[0].reason.startswith("not sent: ")
        assert kit.front.placed == []

    trade(work)


def test_an_order_that_would_wait_for_the_rate_limit_is_not_sent_and_a_cancel_waits():
    async def work(kit):
        bid, _ = await kit.touch()
        stands = kit.world.place(kind=REST, price=bid - 50_000, qty=2_000)
        await kit.until(lambda: stands.state is State.WORKING)
        limiter = kit.venue.client.throttler
        limiter.timestamps = [
            {
                "timestamp": kit.world.time.mono_ns() / 1e6 - 59_500,
                "cost": limiter.config["maxWeight"],
                "read": 0.0,
            }
        ]
        refused = kit.world.place(kind=REST, level=1, price=bid - 60_000, qty=2_000)
        kit.world.orders.cancel(stands, kit.world.time.now_ns())
        await kit.until(lambda: refused.state is State.REJECTED)
        assert kit.said("REJECTED")[0].reason == "not sent: it would have to wait for the rate limit"
        assert stands.state is State.PENDING_CANCEL
        await kit.until(lambda: stands.state is State.CANCELED)
        assert kit.front.placed == [stands.client_order_id]

    trade(work)


def test_a_fill_that_no_stream_tells_is_found_by_looking():
    async def work(kit):
        bid, ask = await kit.touch()
        rest = [  # on both sides, for who knows where the market goes
            kit.world.place(kind=REST, side=SELL, price=ask + 100, qty=2_000),
            kit.world.place(kind=REST, side=BUY, price=bid - 100, qty=2_000),
        ]
        order = await kit.until(lambda: next((one for one in rest if one.state is State.FILLED), None), 40)
        fills = [one for one in kit.said("TRADE") if one.client_order_id == order.client_order_id]
        assert sum(report.last_lots for report in fills) == 2_000
        never_twice(kit)

    trade(work, ws_url="ws://127.0.0.1:1")  # no stream at all


def test_a_restart_finds_what_it_left():
    async def work(kit):
        bid, ask = await kit.touch()
        stands = kit.world.place(kind=REST, price=bid - 50_000, qty=2_000)
        await kit.until(lambda: stands.state is State.WORKING)
        kit.front.faults["POST"] = "lose"
        taken = kit.world.place(kind=TARGET, price=ask + 10_000, qty=1_000)
        await kit.until(lambda: len(kit.front.placed) == 2)
        await kit.venue.stop()  # as if killed: what was not told yet is not on record

        urls = {"rest_url": kit.front.address, "ws_url": kit.front.url.replace("http", "ws")}
        venue = new_venue(RealTime(), **urls)
        world = await new_world(venue, kit.world.disk)
        async with connected(kit.front, world, venue) as again:
            orders = world.orders.life
            first, second = orders.find(stands.client_order_id), orders.find(taken.client_order_id)
            await again.until(lambda: second.state is State.FILLED and first.state is State.WORKING)
            assert second.filled_lots == 1_000
            assert (await again.meet()).fatal == []
            never_twice(again)

    trade(work)


def test_a_key_that_is_refused_ends_the_start_and_is_not_shown():
    async def work(kit):
        raise AssertionError("it must not start")

    with pytest.raises(ConfigError, match="binance refuses the key") as refused:
        trade(work, credentials={"apiKey": "k" * 64, "secret": "anothersecretcanary"})
    assert "canary" not in str(refused.value)


def test_an_amend_is_refused_and_a_venue_that_is_down_sends_nothing():
    async def work(kit):
        bid, _ = await kit.touch()
        order = kit.world.place(kind=REST, price=bid - 50_000, qty=2_000)
        await kit.until(lambda: order.state is State.WORKING)
        kit.venue.amend(order, 1_000)
        await kit.until(lambda: kit.said("AMEND_REJECTED"))
        kit.venue.on_lost("a test")
        kit.venue.place(order)
        await kit.until(lambda: kit.said("REJECTED"))
        assert kit.said("REJECTED")[0].reason == "not sent: the venue is down"
        kit.venue.on_alive()
        assert [status.up for status in kit.statuses] == [True, False, True]
        assert kit.front.placed == [order.client_order_id]

    trade(work)


def test_a_cancel_is_tried_while_what_else_is_asked_fails():
    async def work(kit):
        async def fails(*words):
            raise ExchangeNotAvailable("a test")

        bid, _ = await kit.touch()
        order = kit.world.place(kind=REST, price=bid - 50_000, qty=2_000)
        await kit.until(lambda: order.state is State.WORKING)
        kit.venue.client.load_time_difference = kit.venue.client.fetch_open_orders = fails
        await kit.until(lambda: not kit.venue.up)
        kit.world.orders.halt("test", "enough")
        await kit.until(lambda: order.state is State.CANCELED)
        assert not kit.venue.up
        assert (await kit.truth())[order.client_order_id]["status"] == "canceled"

    trade(work)
