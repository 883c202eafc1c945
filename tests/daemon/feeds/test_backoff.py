"""Delays grow, stay under their cap, and never fail after months of failures."""

from __future__ import annotations

import asyncio
from random import Random

from daemon.clock import VirtualTime
from daemon.feeds.backoff import Backoff, sleep


def test_delays_double_up_to_the_cap_each_shortened_by_up_to_half() -> None:
    backoff = Backoff(0.5, 30.0, Random(1))
    delays = [backoff.next_s() for _ in range(12)]
    for failures, delay in enumerate(delays):
        full = min(30.0, 0.5 * 2**failures)
        assert full / 2 <= delay <= full
    assert len(set(delays)) == len(delays)


def test_success_starts_over_and_endless_failure_stays_at_the_cap() -> None:
    backoff = Backoff(0.5, 30.0, Random(2))
    for _ in range(5000):
        assert backoff.next_s() <= 30.0
    backoff.reset()
    assert backoff.next_s() <= 0.5


def test_sleep_waits_on_the_schedulers_time() -> None:
    time = VirtualTime(0)

    async def main() -> list[str]:
        order = []

        async def sleeper() -> None:
            await sleep(time, time, 2.0)
            order.append("awake")

        task = asyncio.create_task(sleeper())
        await asyncio.sleep(0)
        time.advance(1_999_999_999)
        await asyncio.sleep(0)
        order.append("before")
        time.advance(2_000_000_000)
        await task
        return order

    assert asyncio.run(main()) == ["before", "awake"]


def test_a_cancelled_sleep_leaves_no_timer() -> None:
    time = VirtualTime(0)

    async def main() -> None:
        task = asyncio.create_task(sleep(time, time, 2.0))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert time.next_ns is None
