"""Time: the only module that reads the machine's clocks, and its virtual twin.

Wall time is the monotonic clock plus an offset, so that a drain needs one read for both its time stamp and
its latency, and so that a step of the system's clock never makes time run backwards inside a drain. `resync`
takes the system's clock over again; the daemon calls it once a second and logs the step it finds.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.seams import Clock

#: virtual time that is moved on by more is a machine that slept: timers run their course for `_AWAKE_NS`, so
#: that what was under way ends in order, and whatever is due after that is late and runs once
_SLEPT_NS: Final = 3_600_000_000_000
_AWAKE_NS: Final = 60_000_000_000

_mono = time.monotonic_ns
_wall = time.time_ns


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._offset_ns = _wall() - _mono()

    def now_ns(self) -> int:
        """Return UTC nanoseconds: monotonic plus the offset of the last resync."""
        return _mono() + self._offset_ns

    def mono_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return _mono()

    def resync(self) -> int:
        """Take over the system's wall clock; return the step in ns (positive: it was ahead of us)."""
        offset_ns = _wall() - _mono()
        step_ns = offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        return step_ns


def wait_until(mono_ns: int) -> None:
    """Return once the monotonic clock is there; nothing else of the thread runs meanwhile."""
    while (left_ns := mono_ns - _mono()) > 0:
        time.sleep(left_ns / 1e9)


class LoopTimer:
    """One pending call on the loop; never early, whatever the loop rounds to (uvloop: milliseconds).

    It waits by the monotonic clock: the wall clock may be set back by an hour meanwhile.
    """

    __slots__ = ("_clock", "_due_ns", "_fn", "_handle", "_loop")

    def __init__(self, clock: Clock, when_ns: int, fn: Callable[[], None]) -> None:
        self._clock = clock
        wait_ns = max(0, when_ns - clock.now_ns())
        self._due_ns = clock.mono_ns() + wait_ns
        self._fn = fn
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(wait_ns / 1e9, self._ring)

    def _ring(self) -> None:
        left_ns = self._due_ns - self._clock.mono_ns()
        if left_ns > 0:
            self._handle = self._loop.call_later(left_ns / 1e9, self._ring)
        else:
            self._fn()

    def cancel(self) -> None:
        """Forget it."""
        self._handle.cancel()


class LoopScheduler:
    """Timers on the running asyncio loop, whichever loop was injected."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def call_at(self, when_ns: int, fn: Callable[[], None]) -> LoopTimer:
        """Call `fn` at `when_ns` UTC; at once (on the next turn of the loop) when that is past."""
        return LoopTimer(self._clock, when_ns, fn)


class VirtualTimer:
    """One pending call on virtual time."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], None]) -> None:
        self.fn: Callable[[], None] | None = fn

    def cancel(self) -> None:
        """Forget it."""
        self.fn = None


class VirtualTime:
    """Clock and scheduler in one, moved by whoever owns the events: a replay or a test."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._order = 0
        self._heap: list[tuple[int, int, VirtualTimer]] = []

    def now_ns(self) -> int:
        """Return virtual UTC nanoseconds."""
        return self._now_ns

    def mono_ns(self) -> int:
        """Return the same: spans on virtual time are the modelled ones."""
        return self._now_ns

    def resync(self) -> int:
        """Return 0: it is the only clock there is."""
        return 0

    def call_at(self, when_ns: int, fn: Callable[[], None]) -> VirtualTimer:
        """Call `fn` when time is advanced to `when_ns`; ties run in the order of asking."""
        timer = VirtualTimer(fn)
        self._order += 1
        heapq.heappush(self._heap, (max(when_ns, self._now_ns), self._order, timer))
        return timer

    @property
    def next_ns(self) -> int | None:
        """When the next timer is due, or None."""
        while self._heap and self._heap[0][2].fn is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def advance(self, to_ns: int) -> None:
        """Run every timer due up to `to_ns`, each at its own time, then stand at `to_ns`.

        Time never runs backwards: an earlier `to_ns` runs what is due and leaves the clock where it is. Over
        more than an hour timers that call for themselves again skip what they missed, as on a machine that
        slept: a leap of decades costs no more than a minute.
        """
        heap = self._heap
        if heap and heap[0][0] <= to_ns:
            if to_ns - self._now_ns > _SLEPT_NS:
                self._run(self._now_ns + _AWAKE_NS)
                self._now_ns = to_ns
            self._run(to_ns)
        if to_ns > self._now_ns:  # noqa: PLR1730 - a call of max costs as much as the rest
            self._now_ns = to_ns

    def _run(self, to_ns: int) -> None:
        heap = self._heap
        while heap and heap[0][0] <= to_ns:
            when_ns, _, timer = heapq.heappop(heap)
            if timer.fn is not None:
                self._now_ns = max(self._now_ns, when_ns)
                timer.fn()
