"""Asking one host for much: so many requests at once, within its weight, and again after what may pass.

    asker = Asker(seams, url, at_once=10, weight_1m=6000)
    rows = await asker.get("/api/v3/klines?..", 2, read, "klines of BTCUSDT")

What may pass is asked for again, each time later and by a time of its own: no connection, no whole answer,
one that cannot be read, 5xx and 429. After a 429 nothing is asked before its Retry-After is over. A 418 bans
the address, and whoever goes on asking is banned for longer, so that it ends everything at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import msgspec

from daemon.errors import DECODE_ERRORS, NetError, TickdError, VenueError
from daemon.pause import Backoff, pause
from daemon.redact import bare_url
from daemon.venues.binance_limits import Budget
from daemon.venues.binance_wire import RateLimit
from daemon.wire import failed_there, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.seams import Response, Seams

T = TypeVar("T")

TRIES: Final = 6
#: first pause after a failure, and the longest one
_FIRST_S: Final = 0.25
_CAP_S: Final = 30.0
#: a 429 that wants more is no pause but an end
_PATIENCE_S: Final = 300
_TIMEOUT_S: Final = 30.0
#: begin of a minute by the exchange's clock, of which ours is an estimate
_UNSURE_MS: Final = 1_000
_MINUTE_MS: Final = 60_000
_TEXT_MAX: Final = 160
_OK: Final = 200
_LIMITED: Final = 429
_BANNED: Final = 418


class Counts(msgspec.Struct):
    """What asking took."""

    requests: int = 0
    again: int = 0  # of these, after what was to pass
    limited: int = 0  # answers of 429
    bytes: int = 0
    waited_s: float = 0.0  # by requests that had to wait for weight, all together


class _Refusal(msgspec.Struct):
    code: int
    msg: str = ""


class Asker:
    """Asks one host; `weight_1m` 0: it counts no weight."""

    def __init__(self, seams: Seams, url: str, *, at_once: int, weight_1m: int, tries: int = TRIES) -> None:
        self.url = url.rstrip("/")
        self.counts = Counts()
        self.at_once = at_once
        self.seams = seams
        self._room = asyncio.Semaphore(at_once)
        self._tries = tries
        self._budget = Budget()
        self._ended: TickdError | None = None
        if weight_1m:
            self._budget.learn([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, weight_1m, 0)], self._now_ms())

    async def get(self, target: str, weight: int, read: Callable[[bytes], T], what: str) -> T:
        """Return what `read` makes of the answer to a GET; raises NetError and VenueError.

        target: path and query. read raises ValueError at an answer of another form. what: is asked for, in
        words.
        """
        url = self.url + target

        async def once() -> T:
            answer = await self.seams.net.request("GET", url, {}, b"", _TIMEOUT_S)
            self.judge(answer, what)
            self.counts.bytes += len(answer.body)
            try:
                return read(answer.body)
            except DECODE_ERRORS as error:
                raise NetError(
                    f"{bare_url(url)} answered {what} with something else ({_shown(answer, error)})"
                ) from None

        return await self.insist(once, weight)

    async def insist(self, once: Callable[[], Awaitable[T]], weight: int) -> T:
        """Return what `once` does; where that raises NetError, which may pass, it is done again."""
        backoff = Backoff(_FIRST_S, _CAP_S, self.seams.random)
        while True:
            limited = self.counts.limited
            try:
                async with self._room:
                    await self._turn(weight)
                    self.counts.requests += 1
                    return await once()
            except NetError as error:
                delay_s = backoff.next_s()
                if self._ended is not None:
                    raise
                if backoff.failures >= self._tries:
                    raise NetError(f"{error}; it was asked {self._tries} times") from None
            self.counts.again += 1
            if self.counts.limited == limited:  # else it waits for as long as it was told to
                await pause(self.seams, delay_s)

    def judge(self, answer: Response, what: str) -> None:
        """Accept an answer of 200, raise NetError for one that may pass, and end everything else."""
        now_ms = self._now_ms()
        self._budget.learn_headers(answer.headers, now_ms)
        status, host = answer.status, bare_url(self.url)
        wait_s = retry_after_s(answer.headers)
        if status == _OK:
            return
        if status == _BANNED or (status == _LIMITED and wait_s > _PATIENCE_S):
            told = f"for {wait_s} s" if wait_s else "for a time that it does not name"
            self._end(NetError(f"{host} has banned this address {told} (HTTP {status}): ask again after it"))
        if status == _LIMITED:
            self.counts.limited += 1
            self._budget.block(status, now_ms, wait_ms=wait_s * 1000)
            raise NetError(f"{host} limits how often it is asked (HTTP 429)")
        if failed_there(status):
            raise NetError(f"{host} answered HTTP {status} to {what}")
        self._end(_refused(answer, what, host))

    async def _turn(self, weight: int) -> None:
        """Return once a request may be sent, which counts as sent then."""
        began_ns = self.seams.clock.mono_ns()
        waited = False
        while True:
            if self._ended is not None:
                raise self._ended
            time_ms = self._now_ms()
            wait_ms = self._budget.blocked_ms(time_ms)
            if not wait_ms:
                if not self._budget.take(time_ms, weight):
                    break
                wait_ms = _MINUTE_MS - time_ms % _MINUTE_MS + _UNSURE_MS
            waited = True
            await pause(self.seams, wait_ms / 1000)
        if waited:
            self.counts.waited_s += (self.seams.clock.mono_ns() - began_ns) / 1e9

    def _now_ms(self) -> int:
        return self.seams.clock.now_ns() // 1_000_000

    def _end(self, error: TickdError) -> NoReturn:
        """Ask nothing any more."""
        self._ended = error
        raise error


def _refused(answer: Response, what: str, host: str) -> VenueError:
    try:
        said = msgspec.json.decode(answer.body, type=_Refusal)
        return VenueError(said.code, f"{host} refuses {what}: {said.msg} ({said.code})", answer.status)
    except DECODE_ERRORS:
        return VenueError(0, f"{host} refuses {what} (HTTP {answer.status})", answer.status)


def _shown(answer: Response, error: BaseException) -> str:
    """Return how an answer begins, or what is wrong where it begins as it should."""
    head = answer.body[:_TEXT_MAX].decode(errors="replace").strip()
    if head[:1] in {"[", "{"}:
        return str(error).splitlines()[0]
    return f"it begins {head[:40]!r}" if head else "it is empty"
