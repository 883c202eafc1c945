"""The garbage collector while trading: when it may run, and how long each collection stopped the loop.

A collection walks every object of its generation, and a full one over what a daemon imports takes 120 ms. So
what lives when trading begins is frozen: no collection looks at it again. After that almost everything is
freed by its reference count, and a collection finds cycles alone: a connection made anew, a task that failed.

A timer collects generations 0 and 1 ten times a second: what a tenth of a second leaves behind takes 13 us in
the demo, and 0.2 ms under 50,000 orders a second, where a whole second's takes 4. Nothing else is collected,
unless `YOUNG_MAX` objects come to live within one such span. Once a minute it collects everything that came
since the freeze; when that has come to take `LONG_NS`, what it leaves is frozen too, so that none is longer
than what a minute adds. What is frozen is still freed by its reference count.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from daemon.entry import bound
from daemon.latency import stage_latency
from kernels import stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from daemon.seams import Clock, Scheduler, Timer
    from daemon.status import StageLatency

SWEEP_NS: Final = 100_000_000
#: sweeps from one full collection to the next: a minute
FULL_EVERY: Final = 600
#: new objects that do not wait for the timer: to look at them takes 0.2 ms, to free them 0.4
YOUNG_MAX: Final = 5_000
#: half of the millisecond that no collection may stop the loop for
LONG_NS: Final = 500_000
_NEVER: Final = 1_000_000_000
_GENERATIONS: Final = 3


class Garbage:
    """Collections from `begin` to `end`, counted by generation and timed."""

    def __init__(self, clock: Clock, scheduler: Scheduler) -> None:
        self._collections = [0] * _GENERATIONS
        self._clock = clock
        self._scheduler = scheduler
        self._timer: Timer | None = None
        self._pauses: NDArray[np.int64] = np.zeros(stats.HISTOGRAM_SIZE, dtype=np.int64)
        self._observe: Callable[..., Any] = stats.observe
        self._begun_ns = 0
        self._pause_ns = 0  # of the latest
        self._sweeps = 0
        self._threshold = gc.get_threshold()

    def begin(self) -> None:
        """Collect and freeze all there is, and take over."""
        gc.collect()
        gc.freeze()
        self._observe = bound(stats.observe)  # by now it is warm
        gc.set_threshold(YOUNG_MAX, _NEVER, _NEVER)
        gc.callbacks.append(self._on_collection)
        self._wait()

    def end(self) -> None:
        """Give the collector back as it was; harmless twice, and before `begin`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            gc.callbacks.remove(self._on_collection)
            gc.set_threshold(*self._threshold)

    def pauses(self) -> StageLatency:
        """Return how long collections stopped the loop."""
        return stage_latency("gc pause", self._pauses)

    def by_generation(self) -> dict[str, int]:
        """Return how many collections there were."""
        return {str(generation): count for generation, count in enumerate(self._collections)}

    def _wait(self) -> None:
        self._timer = self._scheduler.call_at(self._clock.now_ns() + SWEEP_NS, self._sweep)

    def _sweep(self) -> None:
        self._sweeps += 1
        if self._sweeps % FULL_EVERY:
            gc.collect(1)
        else:
            gc.collect()
            if self._pause_ns > LONG_NS:
                gc.freeze()
        self._wait()

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._begun_ns = self._clock.mono_ns()
            return
        self._pause_ns = self._clock.mono_ns() - self._begun_ns
        self._observe(self._pauses, self._pause_ns)
        self._collections[info["generation"]] += 1
