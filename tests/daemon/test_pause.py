"""Pauses last as long as the injected time says; delays grow, stay under their cap, and never fail."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs

from daemon.clock import VirtualTime
from daemon.errors import NetError
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.pause import Backoff, connect_later, pause, within
from daemon.seams import Net, Seams

if TYPE_CHECKING:
    from daemon.seams import Disk


def seams(time: VirtualTime) -> Seams:
    disk = cast("Disk", MemoryDisk())
    return Seams(time, time, cast("Net", None), disk, InlineWorker(), Random(1))


def test_a_pause_lasts_as_long_as_the_injected_time_says() -> None:
    async def main() -> None:
        time = VirtualTime(1000)
        task = asyncio.create_task(pause(seams(time), 2.0))
        await asyncio.sleep(0)
        time.advance(2_000_000_999)
        await asyncio.sleep(0)
        assert not task.done()
        time.advance(2_000_001_000)
        await task

    asyncio.run(main())


def test_who_could_not_connect_says_why_and_waits_longer_each_time() -> None:
    async def main() -> list[float]:
        time = VirtualTime(1000)
        backoff, waits = Backoff(1.0, 30.0, Random(1)), []
        for _ in range(3):
            with capture_logs() as said:
                task = asyncio.create_task(connect_later(seams(time), backoff, "venue", NetError("no route")))
                await asyncio.sleep(0)
            (line,) = said
            assert (line["event"], line["reason"]) == ("venue_connect_failed", "no route")
            assert line["log_level"] == "warning"
            waits.append(line["retry_s"])
            time.advance(time.now_ns() + int((waits[-1] + 0.1) * 1e9))
            await task
        return waits

    waits = asyncio.run(main())
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]


def test_a_pause_given_up_leaves_no_timer() -> None:
    async def main() -> None:
        time = VirtualTime()
        task = asyncio.create_task(pause(seams(time), 2.0))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.next_ns is None

    asyncio.run(main())


def test_work_done_within_its_time_is_returned_and_leaves_no_timer() -> None:
    async def main() -> None:
        time = VirtualTime()
        done = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(within(seams(time), 2.0, done))
        await asyncio.sleep(0)
        done.set_result(7)
        assert await task == 7
        assert time.next_ns is None

    asyncio.run(main())


def test_work_that_takes_longer_is_cancelled_on_the_injected_time() -> None:
    async def main() -> None:
        time = VirtualTime()
        never = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(within(seams(time), 2.0, never))
        await asyncio.sleep(0)
        time.advance(1_999_999_999)
        await asyncio.sleep(0)
        assert not task.done()
        time.advance(2_000_000_000)
        with pytest.raises(TimeoutError):
            await task
        assert never.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("late", [False, True])
def test_who_is_cancelled_while_waiting_hears_of_that_and_of_no_timeout(late: bool) -> None:
    async def main() -> None:
        time = VirtualTime()
        never = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(within(seams(time), 2.0, never))
        await asyncio.sleep(0)
        if late:
            time.advance(2_000_000_000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert never.cancelled()
        assert time.next_ns is None

    asyncio.run(main())


def test_what_the_work_raises_is_raised() -> None:
    async def main() -> None:
        async def broken() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await within(seams(VirtualTime()), 2.0, broken())

    asyncio.run(main())


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
