"""The virtual loop: asyncio's timers and ours on one time, in one order."""

from __future__ import annotations

import asyncio

import pytest

from daemon.clock import VirtualTime
from tests.simulation.loop import VirtualLoop


def run(main):
    time = VirtualTime(1_000_000_000)
    loop = VirtualLoop(time)
    try:
        return loop.run_until_complete(main(time)), time.now_ns()
    finally:
        loop.close()


def test_a_year_passes_at_once():
    async def main(_):
        await asyncio.sleep(365 * 86_400)

    assert run(main)[1] == 1_000_000_000 + 365 * 86_400 * 1_000_000_000


def test_equal_times_run_in_the_order_of_asking_whoever_asked():
    async def main(time):
        said = []
        loop = asyncio.get_running_loop()
        for number in range(40):
            if number % 2:
                loop.call_at(2.0, said.append, number)
            else:
                time.call_at(2_000_000_000, lambda number=number: loop.call_soon(said.append, number))
        await asyncio.sleep(5)
        return said

    assert run(main)[0] == list(range(40))


def test_a_cancelled_timer_is_not_run():
    async def main(_):
        said = []
        asyncio.get_running_loop().call_later(1, said.append, 1).cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 2)
        return said

    assert run(main) == ([], 3_000_000_000)


def test_waiting_for_nothing_is_a_bug_and_says_so():
    async def main(_):
        await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match="nothing will ever happen"):
        run(main)


def test_threads_are_past_the_seams():
    async def main(_):
        await asyncio.to_thread(print)

    with pytest.raises(AssertionError, match="executor"):
        run(main)
