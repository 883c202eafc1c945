"""An exchange on loopback, and a paper daemon in the same loop that trades on what it says.

What an exchange says is its own (see `Voice`); sockets, the listing over HTTP and the daemon are here.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from aiohttp import web
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from daemon.app import App
from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.disk import RealDisk, ThreadWorker
from daemon.logs import Logs
from daemon.net import make_net
from daemon.seams import Seams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection

    from daemon.feeds.core import FeedCore
    from daemon.feeds.lane import Lane

#: rests an order on each side, near enough to the market to stand and too far to be filled
MAKER = {"name": "market_maker", "warmup_ticks": 5}
MAKER["params"] = {"qty": 0.001, "half_spread_bps": 50.0, "volatility_weight": 0.0}
#: between two things that an exchange says of itself
_SAY_S = 0.02


class Voice(Protocol):
    """What one exchange says on one connection; `listed_at` has what it lists otherwise, by path."""

    listing: bytes

    def hello(self) -> Iterator[bytes]:
        """Yield what comes before anything was asked."""

    def answer(self, request: Any) -> Iterator[bytes]:
        """Yield what a request is answered with: an object, or text that is none."""

    def go_on(self) -> Iterator[bytes]:
        """Yield what the market brings next."""


class Exchange:
    """Serves the voice that `make` makes for each connection; `voices` has them all."""

    def __init__(self, make: type) -> None:
        self._make = make
        self.voices: list[Any] = []
        self.paths: list[str] = []  # of all that was asked for, over HTTP and by the websockets' handshakes
        self._socket: ServerConnection | None = None
        self.status = 200  # of what is answered over HTTP

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[str, str]]:
        """Serve; gives the addresses of HTTP and websocket."""
        port = await self.answer_http()
        try:
            async with serve(self._speak, "127.0.0.1", 0, max_size=None) as server:
                ws_port = server.sockets[0].getsockname()[1]
                yield f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{ws_port}"
        finally:
            await self.refuse_http()

    async def answer_http(self, port: int = 0) -> int:
        """Begin to answer over HTTP; return the port."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._list)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return int(self._runner.addresses[0][1])

    async def refuse_http(self) -> None:
        """Listen for HTTP no more."""
        await self._runner.cleanup()

    async def cut(self) -> None:
        """Hang up on the newest connection."""
        assert self._socket is not None
        await self._socket.close()

    async def _list(self, request: web.Request) -> web.Response:
        self.paths.append(request.path_qs)
        told = getattr(self._make, "listed_at", {}).get(request.path_qs, self._make.listing)
        headers = {"Retry-After": "17"} if self.status != 200 else {}
        return web.Response(body=told, status=self.status, headers=headers, content_type="application/json")

    async def _speak(self, socket: ServerConnection) -> None:
        voice = self._make()
        self.voices.append(voice)
        self._socket = socket
        assert socket.request is not None
        self.paths.append(socket.request.path)

        async def talk() -> None:
            while True:
                await asyncio.sleep(_SAY_S)
                for payload in voice.go_on():
                    await socket.send(payload.decode())

        for payload in voice.hello():
            await socket.send(payload.decode())
        task = asyncio.create_task(talk())
        try:
            async for request in socket:
                asked = msgspec.json.decode(request) if request[:1] == "{" else request
                for payload in voice.answer(asked):
                    await socket.send(payload.decode())
        except ConnectionClosed:
            pass
        finally:
            task.cancel()


class Daemon:
    """One paper daemon."""

    def __init__(self, folder: Path, name: str, urls: tuple[str, str], symbol: str, **feed: Any) -> None:
        tree = {
            "name": "one",
            "mode": "paper",
            "feed": {"exchange": name, "symbols": [symbol], "rest_url": urls[0], "ws_url": urls[1], **feed},
            "paper": {"balances": {symbol.partition("/")[2]: 100_000, "BTC": 10}},
            "strategy": [MAKER],
            "journal": {"path": str(folder / "journal")},
            "http": {"socket": str(folder / "s")},
        }
        clock = SystemClock()
        self.lines: list[bytes] = []
        config = from_tree(tree, {}, "test")
        self.disk, self.worker = RealDisk(), ThreadWorker()
        self.net, self.venue_net = make_net(config.feed), make_net(config.venue)
        seams = Seams(clock, LoopScheduler(clock), self.net, self.disk, self.worker, Random(1))
        self.app = App(config, seams, Logs(clock, self.lines.append), self.venue_net)

    @property
    def feed(self) -> FeedCore:
        return self.app.feed

    @property
    def lane(self) -> Lane:
        return self.app.feed.lanes[0]

    @property
    def resting(self) -> int:
        """How many orders stand: none leaves before everything is in place."""
        return len(self.app.core.orders.life.open) if hasattr(self.app, "meetings") else 0

    async def until(self, look: Any, seconds: float = 240.0) -> None:
        async with asyncio.timeout(seconds):
            while not look():
                if self.life.done():
                    self.life.result()
                await asyncio.sleep(0.01)

    def start(self) -> None:
        self.life = asyncio.ensure_future(self.app.live(None))

    async def stop(self) -> None:
        self.app.ask_stop("test")
        await self.life


@asynccontextmanager
async def paper_daemon(
    folder: Path, name: str, voice: type, symbol: str, **feed: Any
) -> AsyncIterator[tuple[Daemon, Exchange]]:
    """Run an exchange and a daemon that has begun to start."""
    exchange = Exchange(voice)
    async with exchange.running() as urls, begun(Daemon(folder, name, urls, symbol, **feed)) as one:
        yield one, exchange


@asynccontextmanager
async def begun(one: Daemon) -> AsyncIterator[Daemon]:
    """Begin a daemon's start, and leave nothing of it behind."""
    one.start()
    try:
        yield one
    finally:
        await one.app.abandon()
        await one.net.close()
        await one.venue_net.close()
        one.worker.close()
        one.disk.release()


async def mends_its_book(
    folder: Path, name: str, voice: type, symbol: str, reason: str, **feed: Any
) -> Exchange:
    """Let a daemon trade, hear one wrong update (the voice's `lie`), and lose its connection; each is mended.

    reason: why the wrong update loses the book.
    """
    async with paper_daemon(folder, name, voice, symbol, **feed) as (one, exchange):
        await one.until(lambda: one.resting == 2)
        status = one.app.status()
        assert (status.state, status.feed_connected) == ("READY", True)
        assert one.lane.sync.synced
        exchange.voices[0].lie = True
        await one.until(lambda: one.lane.resyncs == 2, 20)
        assert one.lane.gaps == {reason: 1}
        await exchange.cut()
        await one.until(lambda: one.lane.resyncs == 3, 20)
        assert one.lane.gaps == {reason: 1, "disconnected": 1}
        updates = one.lane.depth.count
        await one.until(lambda: one.lane.depth.count > updates + 10, 20)
        assert one.lane.sync.synced
        assert one.feed.errors == {}
        await one.stop()
    assert (one.app.last.state, one.app.failure) == ("STOPPED", None)
    return exchange
