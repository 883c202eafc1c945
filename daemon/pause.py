"""Waiting on the injected clock, and longer after each failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from random import Random

    from daemon.seams import Seams

T = TypeVar("T")


async def pause(seams: Seams, seconds: float) -> None:
    """Return after `seconds` of the injected time, which may be virtual."""
    passed = asyncio.get_running_loop().create_future()

    def end() -> None:
        if not passed.done():
            passed.set_result(None)

    timer = seams.scheduler.call_at(seams.clock.now_ns() + int(seconds * 1e9), end)
    try:
        await passed
    finally:
        timer.cancel()


async def connect_later(seams: Seams, backoff: Backoff, who: str, error: Exception) -> None:
    """Return when `who` may try to connect again; say in the log why it did not, and in how long it does."""
    delay_s = backoff.next_s()
    log = structlog.get_logger(component=who)
    log.warning(f"{who}_connect_failed", reason=str(error), retry_s=round(delay_s, 1))
    await pause(seams, delay_s)


async def within(seams: Seams, seconds: float, work: Awaitable[T]) -> T:
    """Return what `work` returns; after `seconds` of the injected time cancel it and raise TimeoutError."""
    task = asyncio.ensure_future(work)
    late = False

    def end() -> None:
        nonlocal late
        late = task.cancel()

    timer = seams.scheduler.call_at(seams.clock.now_ns() + int(seconds * 1e9), end)
    try:
        return await task
    except asyncio.CancelledError:
        caller = asyncio.current_task()
        if late and (caller is None or not caller.cancelling()):
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


class Backoff:
    """Delays that double from `first_s` to `cap_s`, each shortened by up to half at random.

    The randomness keeps a thousand daemons, cut off together, from coming back together.
    """

    __slots__ = ("_cap_s", "_first_s", "_random", "failures")

    def __init__(self, first_s: float, cap_s: float, random: Random) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._random = random
        self.failures = 0

    def next_s(self) -> float:
        """Count a failure and return how long to wait after it."""
        # 2.0**64 is beyond every cap; a larger exponent would overflow after months of failures
        delay_s = min(self._cap_s, self._first_s * 2.0 ** min(self.failures, 64))
        self.failures += 1
        return delay_s * (1.0 - 0.5 * self._random.random())

    def reset(self) -> None:
        """Start over: it works again."""
        self.failures = 0
