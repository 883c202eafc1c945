"""Feeding at a pace from the loop that is measured, and holding what would disturb it."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


async def paced(
    count: int,
    gap_ns: int,
    step: Callable[[int], None],
    *,
    sleep: bool,
    idle: Callable[[], None] | None = None,
) -> int:
    """Call `step` on a schedule from the loop; return how many were over a gap late: the rest is put off.

    idle: called whenever a loop that spins comes round.
    """
    late = 0
    due_ns = time.perf_counter_ns() + gap_ns
    for k in range(count):
        while (left_ns := due_ns - time.perf_counter_ns()) > 0:
            await asyncio.sleep(left_ns * 1e-9 if sleep else 0.0)
            if idle is not None and not sleep:
                idle()
        if left_ns < -gap_ns:
            late += 1
            due_ns = time.perf_counter_ns()
        step(k)
        due_ns += gap_ns
    return late


def marked(count: int, every: int, random: Random) -> list[bool]:
    """Return which quotes ask for an order: one in each `every`, at a place of its own."""
    marks = [False] * count
    for first in range(0, count - every + 1, every):
        marks[first + random.randrange(every)] = True
    return marks


class Still:
    """While it is measured nothing is collected; before that everything is."""

    def __enter__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        gc.enable()
