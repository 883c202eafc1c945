"""Listening and looking on virtual time."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

from ccxt.base.errors import ExchangeNotAvailable

from daemon.clock import VirtualTime
from daemon.disk import RealDisk
from daemon.errors import FrameError
from daemon.memory_disk import InlineWorker
from daemon.no_net import NoNet
from daemon.orders.order import State
from daemon.seams import Seams
from daemon.venues.ccxt_exchanges import EXCHANGES
from daemon.venues.ccxt_ids import ClientIds
from daemon.venues.ccxt_rows import Rows
from daemon.venues.ccxt_watch import Watch
from tests.daemon.orders.conftest import btc_usdt

SECOND = 1_000_000_000


def live(name, number, state=State.WORKING, filled=0):
    return SimpleNamespace(
        client_order_id=name, venue_order_id=number, state=state, filled_lots=filled, instrument=0
    )


def row(number, filled="0"):
    return {"id": number, "status": "open", "side": "buy", "price": "5", "amount": "1", "filled": filled}


class There:
    """A client, an account, and the owner who hears of both."""

    def __init__(self, *, streams=True):
        self.has = {"watchOrders": streams, "watchMyTrades": False, "fetchTime": True}
        self.up, self.live, self.open = True, {}, []
        self.looked, self.events, self.said, self.bad = [], [], [], []
        self.alive, self.queue = True, asyncio.Queue()
        self.time = VirtualTime(1_700_000_000 * SECOND)
        seams = Seams(self.time, self.time, NoNet(), RealDisk(), InlineWorker(), Random(1))
        self.watch = Watch(
            self,
            self,
            Rows([btc_usdt()], ClientIds(EXCHANGES["binance"], "one")),
            [btc_usdt()],
            seams,
            self,
            30.0,
        )

    # the client's and the account's
    async def load_time_difference(self):
        self.said.append("time")
        if not self.alive:
            raise ExchangeNotAvailable("gone")

    async def watch_orders(self):
        found = await self.queue.get()
        if isinstance(found, Exception):
            raise found
        return found

    async def fetch_balance(self):
        self.said.append("balance")

    async def open_orders(self, symbol):
        self.said.append("list")
        if isinstance(self.open, Exception):
            raise self.open
        return self.open

    # the owner's
    async def look(self, order):
        self.looked.append(order.client_order_id)

    def on_order_event(self, raw):
        if raw == "bad":
            raise FrameError("qty", "x")
        self.events.append(raw)

    def on_trade_event(self, raw):
        raise AssertionError("there is no such stream")

    def on_frame_error(self, error):
        self.bad.append(error.reason)

    def on_alive(self):
        self.up = True

    def on_lost(self, reason):
        self.up = False
        self.said.append(reason)

    async def later(self, seconds):
        for _ in range(int(seconds * 10)):
            self.time.advance(self.time.now_ns() + SECOND // 10)
            for _ in range(5):
                await asyncio.sleep(0)


def run(work, **more):
    async def main():
        there = There(**more)
        tasks = [asyncio.ensure_future(one) for one in there.watch.work()]
        await asyncio.sleep(0)
        try:
            await asyncio.wait_for(work(there), 20)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_only_what_is_not_as_we_believe_is_asked_about():
    async def work(there):
        orders = [
            live("same", "1"), live("gone", "2"), live("filled more", "3"),
            live("as filled", "4", filled=50_000),
            live("placing", "", State.PENDING_NEW), live("doubted", "6", State.UNKNOWN),
            live("over", "7", State.FILLED), live("absent", "8", State.VOID),
        ]  # fmt: skip
        there.live.update({one.client_order_id: one for one in orders})
        there.open = [row("1"), row("3", "0.5"), row("4", "0.5"), {"id": "web", "price": "off the grid"}]
        await there.later(1.5)
        assert there.looked == ["gone", "filled more", "absent"]
        assert "over" not in there.live

    run(work, streams=False)


def test_it_looks_every_second_without_a_stream_and_every_five_with_one():
    for streams, times in ((False, 10), (True, 2)):

        async def work(there, times=times):
            there.live["a"] = live("a", "1")
            there.open = [row("1")]
            await there.later(10.5)
            assert there.said.count("list") == times
            assert there.said.count("time") == 2

        run(work, streams=streams)


def test_nobody_is_asked_about_nothing():
    async def work(there):
        await there.later(4)
        assert there.said == []

    run(work, streams=False)


def test_an_exchange_that_does_not_answer_is_down_until_it_does():
    async def work(there):
        there.alive = False
        await there.later(5.5)
        assert not there.up
        assert there.said[-1] == "ExchangeNotAvailable: gone"
        there.alive = True
        await there.later(5.5)
        assert there.up

    run(work, streams=False)


def test_a_look_that_fails_once_leaves_the_venue_down_for_less_than_a_second():
    async def work(there):
        there.live["a"] = live("a", "1")
        there.open = ExchangeNotAvailable("cut")
        await there.later(1.1)
        assert not there.up
        there.open = [row("1")]
        await there.later(0.5)
        assert there.up

    run(work, streams=False)


def test_one_that_goes_on_failing_is_asked_later_and_later_though_its_clock_answers():
    async def work(there):
        there.live["a"] = live("a", "1")
        there.open = ExchangeNotAvailable("cut")
        await there.later(60)
        assert 8 <= there.said.count("ExchangeNotAvailable: cut") <= 20

    run(work, streams=False)


def test_events_are_handed_over_and_one_that_cannot_be_read_is_counted():
    async def work(there):
        await there.queue.put(["one", "bad", "two"])
        await there.later(0.1)
        assert (there.events, there.bad) == (["one", "two"], ["qty"])
        assert there.watch.streams_up == 1

    run(work)


def test_a_stream_that_fails_is_opened_again_whatever_it_raised():
    async def work(there):
        for error in (ExchangeNotAvailable("cut"), KeyError("x"), TypeError("y")):
            await there.queue.put(error)
            await there.later(0.1)
            assert there.watch.streams_up == 0
            await there.later(4)
            assert there.watch.streams_up == 1
        await there.queue.put(["after"])
        await there.later(0.1)
        assert there.events == ["after"]
        assert there.watch.losses == 3

    run(work)


def test_an_exchange_without_a_clock_is_asked_for_the_balance_instead():
    async def work(there):
        there.has["fetchTime"] = False
        await there.watch.ask_time()
        assert there.said == ["balance"]

    run(work, streams=False)
