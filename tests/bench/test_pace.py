from __future__ import annotations

import asyncio
import gc
import time
from random import Random

import pytest

from tests.bench.pace import Still, marked, paced


@pytest.mark.parametrize("every", [1, 3, 10])
def test_one_in_so_many_is_marked(every):
    marks = marked(30, every, Random(1))
    assert [sum(marks[k : k + every]) for k in range(0, 30, every)] == [1] * (30 // every)


@pytest.mark.parametrize("sleep", [True, False])
def test_nothing_is_early_and_other_tasks_go_on_meanwhile(sleep):
    stamps, turns = [], []

    async def run():
        async def other():
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        start = time.perf_counter_ns()
        late = await paced(
            20, 1_000_000, lambda _: stamps.append(time.perf_counter_ns() - start), sleep=sleep
        )
        task.cancel()
        return late

    late = asyncio.run(run())
    assert len(stamps) == 20
    assert turns
    assert all(stamp >= (k + 1) * 1_000_000 for k, stamp in enumerate(stamps))
    assert 0 <= late <= 20


def test_what_was_late_is_counted_and_not_caught_up():
    stamps = []

    def step(k):
        stamps.append(time.perf_counter_ns())
        if k == 0:
            time.sleep(0.02)

    assert asyncio.run(paced(4, 1_000_000, step, sleep=False)) >= 1
    assert stamps[3] - stamps[0] >= 22_000_000


def test_nothing_is_collected_meanwhile():
    assert gc.isenabled()
    with Still():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.unfreeze()
