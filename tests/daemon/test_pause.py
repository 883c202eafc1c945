from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, cast

import pytest

from daemon.clock import VirtualTime
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.pause import BACKOFF_NS_FIRST, BACKOFF_NS_MAX, backoff_ns, pause
from daemon.seams import Net, Seams

if TYPE_CHECKING:
    from daemon.seams import Disk


def seams(time: VirtualTime) -> Seams:
    disk = cast("Disk", MemoryDisk())
    return Seams(time, time, cast("Net", None), disk, InlineWorker(), random.Random(1))


def test_a_pause_lasts_as_long_as_the_injected_time_says() -> None:
    async def main() -> None:
        time = VirtualTime(1000)
        task = asyncio.create_task(pause(seams(time), 500))
        await asyncio.sleep(0)
        time.advance(1499)
        await asyncio.sleep(0)
        assert not task.done()
        time.advance(1500)
        await task

    asyncio.run(main())


def test_a_pause_given_up_leaves_no_timer() -> None:
    async def main() -> None:
        time = VirtualTime()
        task = asyncio.create_task(pause(seams(time), 500))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.next_ns is None

    asyncio.run(main())


def test_the_delay_doubles_up_to_its_cap_and_half_of_it_is_chance() -> None:
    source = random.Random(7)
    for attempt in (*range(1, 12), 1000):
        longest = min(BACKOFF_NS_FIRST * 2 ** (attempt - 1), BACKOFF_NS_MAX)
        delays = {backoff_ns(attempt, source) for _ in range(50)}
        assert len(delays) > 40
        assert min(delays) >= longest // 2
        assert max(delays) <= longest
