"""Fetching whole books over REST, one at a time, without ever hammering the exchange."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from daemon.errors import NetError
from daemon.pause import Backoff, pause
from daemon.wire import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.seams import Seams

_log = structlog.get_logger(component="feed")

_TIMEOUT_S: Final = 10.0
#: between two requests, so that many books do not come in one burst
_SPACING_MS: Final = 500
#: within so long a stream that was to begin anew brings its book
_ANSWER_NS: Final = 5_000_000_000
#: a book asked for again within this time waits longer each time
_CALM_NS: Final = 300_000_000_000
#: how long to keep still after a 429 or 418 that does not say
BAN_S: Final = {429: 60.0, 418: 300.0}


class Limits(Protocol):
    """How much the exchange lets this address ask, counted by whoever else asks from it."""

    def waits_ms(self) -> int:
        """Return how long a request has to wait; 0: it need not, and counts as sent."""

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take the counts over that an answer tells."""

    def limited(self, status: int, wait_ms: int) -> None:
        """Take a 429 or 418 that holds for so long."""


class Unshared:
    """Limits (see above) of an address from which nobody else asks: spacing is all there is."""

    def waits_ms(self) -> int:
        """Let it be sent."""
        return 0

    def learn(self, headers: Mapping[str, str]) -> None:
        """Count nothing."""

    def limited(self, status: int, wait_ms: int) -> None:
        """Tell nobody."""


class SnapshotFetcher:
    """Serves `FeedCore.request_snapshot`: `request` is that function, `run` the task that does the work.

    `urls` has one address an instrument index. Every request is answered in the end: a failed one is tried
    again, later each time, and after a 429 or 418 nothing is sent at all until Retry-After is over. Its times
    are the monotonic clock's: a wall clock that is set back makes nobody wait.

    Where an instrument has no address its stream brings the book, once it is made to begin anew
    (`resubscribe`); it is asked again, later each time, until nobody waits for it (`wanted`).
    """

    def __init__(self, urls: Sequence[str], seams: Seams, backoff_s_max: float = 30.0) -> None:
        self._urls = urls
        self._seams = seams
        self._due_ns: dict[int, int] = {}
        self._backoffs = [Backoff(0.5, backoff_s_max, seams.random) for _ in urls]
        self._asked_ns = [0] * len(urls)
        self._wake = asyncio.Event()
        self._free_ns = 0  # books are spaced: nothing is asked for before
        self._held_until_ns = 0  # nor while we are to keep still
        self.limits: Limits = Unshared()
        #: makes an instrument's stream begin anew
        self.resubscribe: Callable[[int], object] = _nobody
        #: whether somebody still waits for an instrument's book
        self.wanted: Callable[[int], bool] = _nobody
        self.requests = 0
        self.failures = 0

    def request(self, index: int) -> None:
        """Ask for an instrument's book: at once, unless that was done a moment ago."""
        if index in self._due_ns:
            return
        now_ns = self._seams.clock.mono_ns()
        backoff = self._backoffs[index]
        if now_ns - self._asked_ns[index] > _CALM_NS:
            backoff.reset()
        delay_s = backoff.next_s() if backoff.failures else 0.0
        backoff.failures = max(backoff.failures, 1)
        self._asked_ns[index] = now_ns
        self._due_ns[index] = now_ns + int(delay_s * 1e9)
        self._wake.set()

    def forget(self, index: int) -> None:
        """Drop a request: the connection that wanted it is gone."""
        self._due_ns.pop(index, None)

    def hold(self, wait_ms: int) -> None:
        """Send nothing for so long: somebody was told to keep still."""
        self._held_until_ns = max(self._held_until_ns, self._seams.clock.mono_ns() + wait_ms * 1_000_000)

    def limited(self, status: int, retry_after_s: int) -> None:
        """Take a 429 or 418, whoever got it; everybody who asks from this address is told."""
        wait_ms = int(1000 * (retry_after_s or BAN_S[status]))
        self.hold(wait_ms)
        self.limits.limited(status, wait_ms)

    @property
    def held_s(self) -> float:
        """For how long nothing may be sent."""
        return max(self._held_until_ns - self._seams.clock.mono_ns(), 0) / 1e9

    async def run(self, take: Callable[[int, bytes, int], None]) -> None:
        """Serve requests until cancelled; `take` is FeedCore.process_snapshot."""
        clock = self._seams.clock
        while True:
            index = await self._next()
            del self._due_ns[index]
            if not self._urls[index]:
                if not self.wanted(index):
                    continue
                self.requests += 1
                self.resubscribe(index)
                self.request(index)
                self._due_ns[index] = max(self._due_ns[index], clock.mono_ns() + _ANSWER_NS)
                continue
            body = await self._ask(self._urls[index], instrument=index)
            if body is None:
                self.failures += 1
                self.request(index)
            else:
                take(index, body, clock.now_ns())

    async def _next(self) -> int:
        """Wait for the request that is due first, and for room; a new one may overtake it meanwhile."""
        while True:
            self._wake.clear()
            if not self._due_ns:
                await self._wake.wait()
                continue
            index = min(self._due_ns, key=self._due_ns.__getitem__)
            due_ns = max(self._due_ns[index], self._free_ns, self._held_until_ns)
            clock = self._seams.clock
            if due_ns <= clock.mono_ns():
                if not (waits_ms := self.limits.waits_ms()):
                    return index
                self._free_ns = due_ns = clock.mono_ns() + waits_ms * 1_000_000
            when_ns = clock.now_ns() + due_ns - clock.mono_ns()
            timer = self._seams.scheduler.call_at(when_ns, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    async def get(self, url: str, **which: int) -> bytes | None:
        """Make one request once nothing holds us back; None, and a word in the log, if it brings nothing."""
        while waits_s := self.held_s or self.limits.waits_ms() / 1000:
            await pause(self._seams, waits_s)
        return await self._ask(url, **which)

    async def _ask(self, url: str, **which: int) -> bytes | None:
        self.requests += 1
        try:
            answer = await self._seams.net.request("GET", url, {}, b"", _TIMEOUT_S)
        except NetError as error:
            _log.warning("request_failed", **which, reason=str(error))
            return None
        finally:
            self._free_ns = self._seams.clock.mono_ns() + _SPACING_MS * 1_000_000
        self.limits.learn(answer.headers)
        if answer.status == 200:
            return answer.body
        if answer.status in BAN_S:
            self.limited(answer.status, retry_after_s(answer.headers))
        said = answer.body[:200].decode(errors="replace")
        _log.warning("request_refused", **which, status=answer.status, said=said)
        return None


def _nobody(_instrument: int) -> bool:
    """Say that no stream brings books."""
    return False
