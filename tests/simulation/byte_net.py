"""The byte level: the production's own network over connections in memory, and the exchange's own server."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.parse import urlsplit

from aiohttp.log import server_logger
from picows import ws_connect

from daemon.net import make_net
from daemon.simulator.control import Control
from daemon.simulator.server import Front
from daemon.venues.hosts import venue_hosts
from tests.simulation.transport import Network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from daemon.net import RealNet
    from daemon.seams import Handler, Response, Wire
    from daemon.simulator.settings import SimulatorSettings
    from daemon.simulator.settings import World as Built
    from tests.simulation.run import Run
    from tests.simulation.world import World

#: one server behind two ports: only by them it is known on its way what a connection is for. Keys may go
#: unencrypted to this machine alone, so that is its name
HOST, PORT, ORDERS_PORT = "localhost", 9000, 9001


@contextmanager
def on_virtual_time(world: World) -> Iterator[None]:
    """Take from the libraries what reaches past the loop: picows' sockets of its own, aiohttp's clock."""
    without_sockets = partial(ws_connect, use_aiofastnet=False)
    alarm = _Alarm(world)
    server_logger.addHandler(alarm)
    try:
        with (
            patch("daemon.net_picows.ws_connect", without_sockets),
            patch("aiohttp.connector.monotonic", lambda: world.time.now_ns() / 1e9),
        ):
            yield
    finally:
        server_logger.removeHandler(alarm)


class _Alarm(logging.Handler):
    """Ends the play for what aiohttp would only log: an exception in the exchange's server."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._world.on_broken(error or RuntimeError(record.getMessage()))


def make_network(world: World) -> Network:
    """Return the network between daemon and exchange."""
    return Network(world.time, Random(f"network {world.seed}"), world.weather, ORDERS_PORT)


async def open_front(world: World, built: Built, settings: SimulatorSettings) -> Front:
    """Let the exchange listen, by the server that `tickd simulate` has."""
    front = Front(world.gate, world.time, settings)  # type: ignore[arg-type]
    await front.start(HOST, PORT, Control(built, None, world.faults).app())
    return front


def make_nets(run: Run) -> tuple[ByteNet, ByteNet]:
    """Return what a process reaches the feed and the venue by, as production makes them."""
    config = run.world.config
    return ByteNet(run, make_net(config.feed)), ByteNet(run, make_net(config.venue, venue_hosts(config)))


class ByteNet:
    """One network of one process, as production makes it, watched from above."""

    def __init__(self, run: Run, real: RealNet) -> None:
        self._run = run
        self._real = real

    async def connect(self, url: str, handler: Handler) -> _Wire:
        run = self._run
        run.touch("connect")
        orders = urlsplit(url).port == ORDERS_PORT
        wire = await self._real.connect(url, _Ear(run, handler, orders))
        run.touch("connected")
        return _Wire(run, wire, orders)

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        run = self._run
        run.touch("request")
        run.seam.asks(method, url, body)
        response = await self._real.request(method, url, headers, body, timeout_s)
        run.touch("response")
        run.seam.gets(url, response)
        return response

    async def close(self) -> None:
        await self._real.close()

    def die(self, *, silently: bool) -> None:
        """End as the kernel ends it for a process that is gone; a dark machine's kernel says nothing."""
        self._run.world.network.die(self._run, silently=silently)

    async def bury(self) -> None:
        """Let the libraries put away what the dead left open: nothing of it reaches anybody."""
        await asyncio.sleep(0)  # until they have learned that their connections are gone
        await self._real.close()


class _Wire:
    """A websocket, watched from above."""

    def __init__(self, run: Run, wire: Wire, orders: bool) -> None:
        self._run = run
        self._wire = wire
        self._orders = orders
        self.close = wire.close

    def send(self, payload: bytes) -> None:
        self._run.touch("send")
        self._wire.send(payload)
        self._run.seam.sends(payload, self._orders)
        self._run.touch("sent")


class _Ear:
    """A websocket's handler, told by whoever lives."""

    def __init__(self, run: Run, handler: Handler, orders: bool) -> None:
        self._run = run
        self._handler = handler
        self._orders = orders

    def on_frame(self, payload: bytes, last: bool) -> None:
        if self._run.alive:
            self._run.seam.hears(payload, last, self._orders)
            self._run.do(self._handler.on_frame, payload, last)

    def on_close(self, reason: str) -> None:
        if self._run.alive:
            self._run.seam.ends(reason)
            self._run.do(self._handler.on_close, reason)
