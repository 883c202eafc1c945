"""What passes between a process and its network, noted and judged alike at both levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tests.simulation.told_books import ToldBooks

if TYPE_CHECKING:
    from daemon.seams import Response
    from tests.simulation.run import Run


class Seam:
    """Where a process meets its network. `orders`: on the websocket that carries them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._world = run.world
        self.books = ToldBooks()

    def connects(self) -> None:
        """Judge a connection that is asked for."""
        self._world.checks.asked(self._run)

    def sends(self, payload: bytes, orders: bool) -> None:
        """Judge a frame that leaves."""
        if orders:
            self._world.checks.asked(self._run)
            self._world.checks.sent(self._run, payload)
        self._world.note(b"send", payload)

    def hears(self, payload: bytes, last: bool, orders: bool) -> None:
        """Take note of a frame that is given to the process."""
        self._world.note(b"receive", payload, last)
        if not orders:
            self.books.take(payload)
            self._world.checks.heard(self._run)
        elif b'"status":418' in payload:
            until_ms = msgspec.json.decode(payload)["error"]["data"]["retryAfter"]
            world = self._world  # the end is told by the exchange's clock, which a fault may have set
            ahead_ns = world.exchange.clock.now_ns() - world.time.now_ns()
            self._run.banned_until_ns = until_ms * 1_000_000 - ahead_ns

    def ends(self, reason: str) -> None:
        """Take note of a websocket's end."""
        self._world.note(b"closed", reason.encode())

    def asks(self, method: str, target: str, body: bytes) -> None:
        """Judge an HTTP request that leaves."""
        self._world.checks.asked(self._run)
        self._world.note(b"request", method.encode(), target.encode(), body)

    def gets(self, target: str, response: Response) -> None:
        """Take note of its answer."""
        self.books.take_answer(target, response)
        if response.status == 418:
            wait_s = int(response.headers["Retry-After"])
            self._run.banned_until_ns = self._world.time.now_ns() + wait_s * 1_000_000_000
        self._world.note(b"response", response.status, response.body)
