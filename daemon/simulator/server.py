"""The thin shell: aiohttp around the gateways, and the loop's tasks that drive the markets.

Frames to a listener are joined and written once a turn of the loop, straight to the transport: one system
call for hundreds of frames is what lets a tape go at its own maximum. aiohttp reads, upgrades and closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, web

from daemon.clock import LoopScheduler
from daemon.errors import NetError
from daemon.lifetime import kill_self
from daemon.simulator.control import Control
from daemon.simulator.drive import TapeRun, run_synthetic
from daemon.simulator.faults import Faults
from daemon.simulator.keeping import kept
from daemon.simulator.outages import CUT
from daemon.simulator.rates import Window
from daemon.simulator.streams import MarketSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from random import Random

    from daemon.seams import Clock
    from daemon.simulator.gateway import Gateway, Session
    from daemon.simulator.settings import SimulatorSettings, World

PING_S: Final = 20.0
PONG_S_MAX: Final = 60.0
#: a tape is held back while a listener has this much unread
BACKLOG_BYTES_HIGH: Final = 4 << 20
#: a listener of the live market with this much unread is cut off
BACKLOG_BYTES_MAX: Final = 64 << 20
_MESSAGE_BYTES_MAX: Final = 1 << 20
_SECOND_NS: Final = 1_000_000_000
#: a request that is not answered is given up when the client does, or after so long
LOST_S_MAX: Final = 600.0


class SocketOutbox:
    """Writes text frames to one websocket, joined per turn of the loop."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._bytes = 0
        self._on_close: Callable[[int, str], None] = lambda _, __: None
        self._open = False
        self.closing = False

    def open(self, on_close: Callable[[int, str], None]) -> None:
        """Write what was queued, now that the upgrade is answered; `on_close` closes the websocket."""
        self._on_close = on_close
        self._open = True
        self.flush()

    @property
    def backlog(self) -> int:
        """Bytes that the other side has not taken yet."""
        return self._bytes + self._transport.get_write_buffer_size()

    def send(self, payload: bytes) -> None:
        """Queue one unmasked text frame."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        size = len(payload)
        if size < 126:
            head = b"\x81" + size.to_bytes(1, "big")
        elif size < 65_536:
            head = b"\x81\x7e" + size.to_bytes(2, "big")
        else:
            head = b"\x81\x7f" + size.to_bytes(8, "big")
        self._parts += (head, payload)
        self._bytes += size + len(head)

    def flush(self) -> None:
        """Write what is queued."""
        if not self._open:
            return
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()
        self._bytes = 0

    def close(self, code: int, reason: str) -> None:
        """Write what is queued, then close; or cut the connection without a word."""
        if self.closing:
            return
        self.closing = True
        if code == CUT:
            self._transport.abort()
        else:
            self.flush()
            self._on_close(code, reason)


class Front:
    """One gateway on one port."""

    def __init__(self, gateway: Gateway, clock: Clock, settings: SimulatorSettings) -> None:
        self._gateway = gateway
        self._clock = clock
        self._settings = settings
        self._sockets: dict[web.WebSocketResponse, tuple[SocketOutbox, int, list[int]]] = {}
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.url = ""

    async def start(self, host: str, port: int, control: web.Application) -> None:
        """Listen; raises NetError when the port is taken."""
        app = web.Application(client_max_size=_MESSAGE_BYTES_MAX)
        app.add_subapp("/_simulator", control)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise NetError(
                f"the simulated exchange cannot listen on {host}:{port} ({error.strerror}); "
                "choose another port"
            ) from None
        bound = self._runner.addresses[0][1]
        self.url = f"http://{host}:{bound}"
        self._spawn(self._keep_alive())

    async def stop(self) -> None:
        """Announce the end, close every socket, stop listening."""
        self._gateway.shutdown()
        for task in self._tasks:
            task.cancel()
        for outbox, _, _ in self._sockets.values():
            outbox.flush()
        for socket in list(self._sockets):
            with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
                await asyncio.wait_for(socket.close(code=1001, message=b"shutdown"), 0.5)
        if self._runner is not None:
            await self._runner.cleanup()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ready(self) -> None:
        """Return once no listener of market streams has too much unread."""
        # a transport tells nobody but its protocol, aiohttp's, when it may be written to again
        while any(  # noqa: ASYNC110
            outbox.backlog > BACKLOG_BYTES_HIGH for outbox, _, _ in self._sockets.values()
        ):
            await asyncio.sleep(0.001)

    def cut_slow(self) -> None:
        """Close listeners that do not read."""
        for outbox, _, _ in list(self._sockets.values()):
            if outbox.backlog > BACKLOG_BYTES_MAX:
                outbox.close(1008, "slow consumer")

    # --- requests ---
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._upgrade(request)
        body = (await request.read()).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in request.headers.items()}
        answer = self._gateway.request(request.method, request.raw_path, headers, body, request.remote or "")
        if answer.delay_s:
            await asyncio.sleep(answer.delay_s)
        if not answer.status:
            return await self._leave_waiting(request)
        return web.Response(
            status=answer.status,
            body=answer.body,
            headers={"Content-Type": "application/json;charset=UTF-8"} | answer.headers,
        )

    async def _leave_waiting(self, request: web.Request) -> web.Response:
        """Answer nothing until the client has gone."""
        waited_s = 0.0
        # a transport tells nobody but its protocol, aiohttp's, that the other side has closed
        while request.transport is not None and not request.transport.is_closing() and waited_s < LOST_S_MAX:
            await asyncio.sleep(0.05)
            waited_s += 0.05
        return _cut(request.transport)

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            return web.Response(status=400)
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=_MESSAGE_BYTES_MAX)
        if not socket.can_prepare(request).ok:
            return web.Response(status=400)
        outbox = SocketOutbox(transport)
        opened = self._gateway.connect(request.raw_path, outbox, request.remote or "")
        if opened.session is None:
            return web.Response(status=opened.status) if opened.status else _cut(transport)
        await socket.prepare(request)
        outbox.open(lambda code, reason: self._spawn(socket.close(code=code, message=reason.encode())))
        pong = [self._clock.mono_ns()]
        self._sockets[socket] = (outbox, pong[0], pong)
        try:
            await self._read(socket, outbox, opened, pong)
        finally:
            opened.session.closed()
            del self._sockets[socket]
        return socket

    async def _read(
        self, socket: web.WebSocketResponse, outbox: SocketOutbox, opened: Session, pong: list[int]
    ) -> None:
        session = opened.session
        assert session is not None
        limit = self._settings.limits.messages_1s if isinstance(session, MarketSession) else 0
        window = Window(_SECOND_NS)
        while True:
            message = await socket.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
                return
            if outbox.closing:
                continue  # what comes before the close is answered is not heard any more
            window.roll(self._clock.now_ns())
            window.count += 1
            if limit and window.count > limit:
                outbox.close(1008, "Too many requests")
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                pong[0] = self._clock.mono_ns()
            else:
                data = message.data
                session.receive(data.encode() if isinstance(data, str) else data)

    async def _keep_alive(self) -> None:
        """Ping every 20 s; cut who has not ponged for a minute, and who has been connected for a day."""
        while True:
            await asyncio.sleep(PING_S)
            now_ns = self._clock.mono_ns()
            for socket, (outbox, since_ns, pong) in list(self._sockets.items()):
                if now_ns - pong[0] > PONG_S_MAX * 1e9:
                    outbox.close(1008, "Pong timeout")
                elif now_ns - since_ns > self._settings.lifetime_s * 1e9:
                    outbox.close(1001, "24 hours")
                elif not socket.closed:
                    with contextlib.suppress(ConnectionError):
                        await socket.ping(str(now_ns // 1_000_000).encode())


def _cut(transport: asyncio.Transport | None) -> web.Response:
    """Cut a connection; returns the answer that aiohttp wants and nobody gets."""
    if transport is not None:
        transport.abort()
    return web.Response(status=500)


@contextlib.asynccontextmanager
async def running(
    settings: SimulatorSettings, clock: Clock, random: Random, say: Callable[[dict[str, Any]], None]
) -> AsyncIterator[dict[str, str]]:
    """Run a simulated exchange for the length of the `with`; gives {market: url}."""
    with kept(settings, clock, random) as world:
        async with _serving(world, settings, clock, say) as urls:
            yield urls


@contextlib.asynccontextmanager
async def _serving(
    world: World, settings: SimulatorSettings, clock: Clock, say: Callable[[dict[str, Any]], None]
) -> AsyncIterator[dict[str, str]]:
    fronts = {name: Front(gateway, clock, settings) for name, gateway in world.gateways.items()}
    feed = fronts[next(reversed(fronts))]
    run = TapeRun(world, next(reversed(world.gateways)), settings.speed, clock, say) if world.player else None
    faults = Faults(world.gateways, clock, LoopScheduler(clock), settings.seed, kill_self)
    control = Control(world, run, faults)
    tasks: list[asyncio.Task[None]] = []
    try:
        faults.add(settings.faults)
        for name, front in fronts.items():
            port = settings.port if name == "spot" else settings.futures_port
            await front.start(settings.host, port, control.app())
        if run is not None:
            tasks.append(asyncio.ensure_future(run.run(feed.ready)))
        else:
            tasks.append(asyncio.ensure_future(run_synthetic(world.drivers, clock, feed.cut_slow)))
        tasks[0].add_done_callback(lambda task: _say_failure(task, say))
        yield {name: front.url for name, front in fronts.items()}
    finally:
        for task in tasks:
            task.cancel()
        for front in fronts.values():
            await front.stop()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _say_failure(task: asyncio.Task[None], say: Callable[[dict[str, Any]], None]) -> None:
    """Say that the market stands still because of a bug, which `running` raises at its end."""
    if not task.cancelled() and task.exception() is not None:
        say({"event": "failed", "error": repr(task.exception())})
