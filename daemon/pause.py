"""Waiting on the injected clock, and how long to wait after a failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from daemon.seams import Seams

BACKOFF_NS_FIRST: Final = 250_000_000
BACKOFF_NS_MAX: Final = 30_000_000_000


async def pause(seams: Seams, duration_ns: int) -> None:
    """Return after `duration_ns` of the injected time."""
    passed = asyncio.get_running_loop().create_future()

    def end() -> None:
        if not passed.done():
            passed.set_result(None)

    timer = seams.scheduler.call_at(seams.clock.now_ns() + duration_ns, end)
    try:
        await passed
    finally:
        timer.cancel()


def backoff_ns(attempt: int, random: Random) -> int:
    """Return how long to wait after failure number `attempt`, from 1: doubling, capped, half of it by chance.

    Without the chance all who were cut off at once would come back at once.
    """
    longest_ns = min(BACKOFF_NS_MAX, BACKOFF_NS_FIRST * 2 ** min(attempt - 1, 20))
    return int(longest_ns * (0.5 + 0.5 * random.random()))
