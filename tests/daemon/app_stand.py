"""One daemon and the exchange that it meets, on real sockets within one loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random

from daemon.app import App
from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.disk import RealDisk, ThreadWorker
from daemon.logs import Logs
from daemon.net import make_net
from daemon.seams import Seams
from daemon.simulator.auth import Key
from daemon.simulator.rates import Limits
from daemon.simulator.server import running
from daemon.simulator.settings import ACCOUNT, SimulatorSettings

KEY, SECRET = "k" * 64, "s" * 64
MAKER = {"name": "market_maker", "warmup_ticks": 5}
MAKER["params"] = {"qty": 0.001, "half_spread_bps": 50.0, "volatility_weight": 0.0}


class Stand:
    """One daemon and the exchange it meets, in this loop."""

    def __init__(self, tmp_path, urls, transport="picows", symbols=("BTC/USDT",), **sections):
        ws = urls["spot"].replace("http", "ws", 1)
        line = {"transport": transport}
        tree = {
            "name": "one",
            "mode": "live",
            "feed": {"symbols": symbols, "rest_url": urls["spot"], "ws_url": ws, **line},
            "venue": {"kind": "binance", "rest_url": urls["spot"], "ws_url": f"{ws}/ws-api/v3", **line},
            "strategy": [MAKER],
            "journal": {"path": str(tmp_path / "journal")},
            "http": {"socket": str(tmp_path / "s")},
        }
        clock = SystemClock()
        self.lines = []
        self.config = from_tree({**tree, **sections}, {}, "test")
        self.worker = ThreadWorker()
        self.net, self.venue_net = make_net(self.config.feed), make_net(self.config.venue)
        seams = Seams(clock, LoopScheduler(clock), self.net, RealDisk(), self.worker, Random(1))
        self.logs = Logs(clock, self.lines.append)
        self.app = App(self.config, seams, self.logs, self.venue_net)

    @property
    def said(self):
        self.logs.flush()
        return b"".join(self.lines).decode()

    async def until(self, look, seconds=60.0):
        async with asyncio.timeout(seconds):
            while not look():  # noqa: ASYNC110 - nobody announces what is looked for
                await asyncio.sleep(0.01)

    async def ready(self, life):
        def standing():
            if life.done():
                life.result()
            return hasattr(self.app, "core") and len(self.app.core.orders.life.open) == 2

        await self.until(standing)


@asynccontextmanager
async def stand(tmp_path, exchange=None, **sections):
    limits = Limits(weight_1m=0, orders_10s=0, orders_1d=0, connections_5m=0, messages_1s=0, streams=0)
    key = Key(KEY, ACCOUNT, secret=SECRET.encode())
    told = {"symbols": ("BTC/USDT",), "key": key, "limits": limits} | (exchange or {})
    settings = SimulatorSettings(**told)
    async with running(settings, SystemClock(), Random(1), lambda _: None) as urls:
        one = Stand(tmp_path, urls, **sections)
        try:
            yield one
        finally:
            await one.app.abandon()
            await one.net.close()
            await one.venue_net.close()
            one.worker.close()
