"""COIN-M as a live feed, on real sockets: rules, snapshot and `pu` chain of a simulated inverse market.

No daemon trades there, on paper neither, and says so by name.
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from daemon.clock import LoopScheduler, SystemClock
from daemon.config import FeedConfig
from daemon.errors import ConfigError
from daemon.feeds.connections import FeedConnections
from daemon.feeds.core import FeedCore
from daemon.feeds.exchanges import fetch_instruments, find_exchange
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.net import make_net
from daemon.seams import Seams
from daemon.simulator.auth import Key
from daemon.simulator.server import running
from daemon.simulator.settings import SimulatorSettings
from daemon.venues.paper_account import PaperAccount
from kernels.ring import new_rings
from tests.daemon.feeds.conftest import Sink

KEY = Key("k" * 64, "main", secret=b"s" * 64)
STREAMS = ("trade", "quote", "depth")


def test_an_inverse_market_is_followed_live_and_loses_nothing_over_a_cut() -> None:
    async def until(look) -> None:
        async with asyncio.timeout(60):
            while not look():  # noqa: ASYNC110 - looks at what nobody tells of
                await asyncio.sleep(0.02)

    async def main() -> None:
        settings = SimulatorSettings(key=KEY, symbols=("BTC/USD",), market="coinm")
        clock = SystemClock()
        async with running(settings, clock, Random(1), lambda message: None) as urls:
            rest, ws = urls["coinm"], urls["coinm"].replace("http", "ws")
            net = make_net(FeedConfig(symbols=("BTC/USD",), market="coinm"))
            exchange = find_exchange("binance", "coinm")
            [one] = found = await fetch_instruments(exchange, net, "coinm", ["BTC/USD"], rest)
            assert (one.symbol, one.exchange_symbol) == ("BTC/USD:BTC", "BTCUSD_PERP")
            seams = Seams(clock, LoopScheduler(clock), net, None, None, Random(1))  # type: ignore[arg-type]
            rings = new_rings(1)
            sink = Sink(rings)
            fetcher = SnapshotFetcher([exchange.snapshot_url(one, rest)], seams)
            core = FeedCore(found, rings, sink, exchange.decoder(found), fetcher.request, clock)
            subscriptions = exchange.subscriptions("coinm", found, STREAMS, ws)
            feed = FeedConnections(core, subscriptions, fetcher, seams, stale_ms=5_000, backoff_s_max=0.5)
            tasks = [
                asyncio.ensure_future(feed.run()),
                asyncio.ensure_future(fetcher.run(core.process_snapshot)),
            ]
            lane = core.lanes[0]
            await until(lambda: lane.trade.count > 2 and lane.quote.count > 5 and len(sink.books) > 5)
            assert (lane.gaps, core.errors, lane.resyncs) == ({}, {}, 1)
            feed._each[0]._links[0].wire.close()
            feed._each[0]._links[0].on_close("cut")
            await until(lambda: lane.resyncs == 2 and lane.sync.synced)
            assert (lane.gaps, core.errors, feed.reconnects) == ({"disconnected": 1}, {}, 1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await net.close()

    asyncio.run(asyncio.wait_for(main(), 180))


def test_nobody_trades_it(instrument) -> None:
    with pytest.raises(
        ConfigError, match="the paper venue does not trade inverse contracts like BTC/USD:BTC"
    ):
        PaperAccount([instrument("coinm", "BTC/USD")], {}, 0, 0)
