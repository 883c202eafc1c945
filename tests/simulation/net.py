"""The network between one process and the exchange: latency, and everything that goes wrong on the way.

Frames keep their order on a line, as TCP's do. What a line loses it loses with its end: a cut takes whatever
was on its way. Frames that arrive at one moment are one read of a socket.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from daemon.errors import NetError
from daemon.seams import Response
from tests.simulation.gate import ORDER_PATHS
from tests.simulation.weather import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.seams import Handler
    from tests.simulation.run import Run
    from tests.simulation.world import World

MS = 1_000_000
#: how long a client takes to find that a line was cut, at most
NOTICE_NS = 2_000 * MS


class Line:
    """One websocket: the daemon's Wire and the exchange's Outbox."""

    def __init__(self, run: Run, handler: Handler, orders: bool) -> None:
        self._run = run
        self._world: World = run.world
        self._handler = handler
        self.orders = orders
        self.open = True  # to the daemon
        self.session: Any = None
        self._up: deque[tuple[int, bytes]] = deque()
        self._down: deque[tuple[int, bytes | None, str]] = deque()
        self._up_due = self._down_due = 0
        self._cut = False

    # --- the daemon's side ----------------------------------------------------------------------------------
    def send(self, payload: bytes) -> None:
        """Take a frame from the daemon."""
        self._run.touch("send")
        if not self.open:
            raise NetError("the line takes nothing now: it is closed")
        self._run.seam.sends(payload, self.orders)
        world = self._world
        if not self._cut:
            self._up_due = max(self._up_due, world.weather.arrives(self))
            self._up.append((self._up_due, payload))
            world.time.call_at(self._up_due, self._arrive)
        self._run.touch("sent")

    def close(self) -> None:
        """Close from the daemon's side."""
        if self.open:
            self.cut("closed by us", 0)

    def _arrive(self) -> None:
        now_ns = self._world.time.now_ns()
        while self._up and self._up[0][0] <= now_ns:
            held_ns = self._world.weather.holds(self)
            if held_ns > now_ns:
                self._world.time.call_at(held_ns, self._arrive)
                return
            payload = self._up.popleft()[1]
            if self.session is not None:
                self.session.receive(payload)

    # --- the exchange's side --------------------------------------------------------------------------------
    def put(self, payload: bytes) -> None:
        """Take a frame from the exchange."""
        if not self._cut:
            self._down_due = max(self._down_due, self._world.weather.arrives(self))
            self._down.append((self._down_due, payload, ""))
            self._world.time.call_at(self._down_due, self._deliver)

    def end(self, code: int, reason: str) -> None:
        """Close from the exchange's side: what was sent before still arrives."""
        self._leave()
        if not self._cut:
            self._cut = True
            self._down_due = max(self._down_due, self._world.weather.arrives(self))
            self._down.append((self._down_due, None, f"the other side closed with code {code} ({reason})"))
            self._world.time.call_at(self._down_due, self._deliver)

    def _deliver(self) -> None:
        now_ns = self._world.time.now_ns()
        down = self._down
        if self._run.alive and down and down[0][0] <= now_ns:
            held_ns = self._world.weather.holds(self)
            if held_ns > now_ns:
                self._world.time.call_at(held_ns, self._deliver)
                return
        while self.open and self._run.alive and down and down[0][0] <= now_ns:
            _, payload, reason = down.popleft()
            if payload is None:
                self._closed(reason)
                return
            last = not (down and down[0][0] <= now_ns and down[0][1] is not None)
            self._run.seam.hears(payload, last, self.orders)
            self._run.do(self._handler.on_frame, payload, last)

    # --- its end --------------------------------------------------------------------------------------------
    def cut(self, reason: str, notice_ns: int) -> None:
        """Lose everything on the way; the daemon learns of it after a while."""
        self._leave()
        if self._cut and not self.open:
            return
        self._cut = True
        self._up.clear()
        self._down.clear()
        if self._run.alive:
            self._world.time.call_at(self._world.time.now_ns() + notice_ns, lambda: self._closed(reason))

    def _closed(self, reason: str) -> None:
        if self.open:
            self.open = False
            self._run.seam.ends(reason)
            self._run.do(self._handler.on_close, reason)

    def _leave(self) -> None:
        if self in self._world.lines:
            self._world.lines.remove(self)
        if self.session is not None:
            session, self.session = self.session, None
            session.closed()


class Outbox:
    """The exchange's side of a line."""

    def __init__(self, line: Line) -> None:
        self.send = line.put
        self.close = line.end


class RunNet:
    """Websockets and HTTP of one process."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lines: list[Line] = []

    async def connect(self, url: str, handler: Handler) -> Line:
        """Open a line; raises NetError when the exchange cannot be had."""
        run, world = self._run, self._run.world
        run.touch("connect")
        run.seam.connects()
        parts = urlsplit(url)
        orders = parts.path.startswith(ORDER_PATHS)
        line = Line(run, handler, orders)
        await run.sleep_until(world.weather.arrives(line))
        if world.weather.refuses(orders):
            raise NetError(f"cannot connect to {parts.netloc}: refused")
        target = parts.path + ("?" + parts.query if parts.query else "")
        opened = world.gate.connect(target, Outbox(line), ADDRESS)
        if opened.session is None:
            raise NetError(f"cannot connect to {parts.netloc}: status {opened.status}")
        line.session = opened.session
        world.lines.append(line)
        self._lines = [*(one for one in self._lines if one.open), line]
        await run.sleep_until(world.weather.arrives(line))
        run.touch("connected")
        return line

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        """Make one request; raises NetError when no answer comes."""
        run, world = self._run, self._run.world
        run.touch("request")
        asked_ns = world.time.now_ns()
        parts = urlsplit(url)
        target = parts.path + ("?" + parts.query if parts.query else "")
        run.seam.asks(method, target, body)
        fate = world.weather.http()
        await run.sleep_until(world.weather.arrives(None))
        if fate == "unresolved":
            raise NetError(f"{method} {parts.netloc} failed: the name does not resolve")
        lower = {name.lower(): value for name, value in headers.items()}
        answer = world.gate.meet(fate, method, target, lower, body.decode(), ADDRESS)
        if not answer.status:
            await run.sleep_until(asked_ns + int(timeout_s * 1e9))
            raise NetError(f"{method} {parts.netloc} was not answered within {timeout_s:g} s")
        await run.sleep_until(world.weather.arrives(None) + int(answer.delay_s * 1e9))
        run.touch("response")
        response = Response(answer.status, answer.headers, answer.body)
        run.seam.gets(target, response)
        return response

    async def close(self) -> None:
        """Give back what is open."""
        for line in self._lines:
            line.close()

    def die(self, *, silently: bool) -> None:
        """Lose every line: the machine's network tells the exchange, nobody tells the process."""
        del silently  # at this level the exchange always hears of it
        for line in self._lines:
            line.open = False
            line.cut("", 0)

    async def bury(self) -> None:
        """Leave nothing behind."""
