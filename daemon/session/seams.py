"""What a recorded core reads from: each notes what it told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from daemon.memory_checkpoint import NAME as MEMORIES
from daemon.orders.journal import SUFFIX as JOURNALS
from daemon.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.orders.order import Order
    from daemon.seams import Boot, Clock, Disk, Scheduler, Timer
    from daemon.venues.base import Venue


class RecordingClock:
    """The core's clock: what it tells is noted."""

    def __init__(self, clock: Clock, note: Callable[[int], None]) -> None:
        wall_ns, mono_ns = clock.now_ns, clock.mono_ns

        def now() -> int:
            value = wall_ns()
            note(value)
            return value

        def mono() -> int:
            value = mono_ns()
            note(value)
            return value

        self.now_ns: Callable[[], int] = now
        self.mono_ns: Callable[[], int] = mono

    def resync(self) -> int:
        """Never asked for: the core learns of a step by its door."""
        raise AssertionError("the core sets no clock")


class RecordingScheduler:
    """The core's timers: numbered as they are asked for, so that a replay knows which one fired."""

    def __init__(self, scheduler: Scheduler, ring: Callable[[int, Callable[[], None]], None]) -> None:
        self._call_at = scheduler.call_at
        self._fire = ring
        self._number = 0

    def call_at(self, when_ns: int, fn: Callable[[], None]) -> Timer:
        """Call `fn` then, by the door of timers."""
        self._number += 1
        return self._call_at(when_ns, partial(self._fire, self._number, fn))


class RecordingPulse(Pulse):
    """The loop's pulse: what it tells is noted."""

    def __init__(self, pulse: Pulse, note: Callable[[int], None]) -> None:
        self._before_ns = pulse.before_ns
        self._note = note

    def before_ns(self, at_ns: int) -> int:
        """Return how long the loop had been stuck when it read something at `at_ns`."""
        value = self._before_ns(at_ns)
        self._note(value)
        return value


class RecordingVenue:
    """A venue at an exchange: what the core sees of its state is noted; what is asked of it passes."""

    def __init__(self, venue: Venue, note: Callable[[int], None]) -> None:
        self._venue = venue
        self._note = note
        self.name = venue.name
        self.can_amend, self.can_replace = venue.can_amend, venue.can_replace
        self.place, self.cancel, self.amend, self.query = venue.place, venue.cancel, venue.amend, venue.query
        self.clock_stepped, self.start, self.stop = venue.clock_stepped, venue.start, venue.stop
        self.snapshot = venue.snapshot
        self.replace: Callable[[Order, Order], None] | None = getattr(venue, "replace", None)

    @property
    def up(self) -> bool:
        """Whether orders can travel."""
        up = self._venue.up
        self._note(up)
        return up

    @property
    def losses(self) -> int:
        """Return the connections lost since the start."""
        return self._venue.losses

    def is_short(self) -> bool:
        """Whether its rate limits leave room for little more than cancels and queries."""
        short = self._venue.is_short()
        self._note(short)
        return short


class NotingDisk:
    """The disk as a start reads it; of what it told, `memories` and `booted` are what no journal holds."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.memories: bytes | None = None
        self.booted: Boot
        self.journals: dict[str, int] = {}  # the sizes of those files that were read, torn tails cut off
        self.append, self.journal, self.mode = disk.append, disk.journal, disk.mode
        self.replace, self.lock = disk.replace, disk.lock
        self.list, self.folders = disk.list, disk.folders

    def read(self, path: Path) -> bytes:
        """Return the whole file; raises FileNotFoundError."""
        data = self._disk.read(path)
        if path.name == MEMORIES:
            self.memories = data
        elif path.suffix == JOURNALS:
            self.journals[path.name] = len(data)
        return data

    def truncate(self, path: Path, size: int) -> None:
        """Cut a torn tail, durably."""
        self._disk.truncate(path, size)
        self.journals[path.name] = size

    def remove(self, path: Path) -> None:
        """Delete the file, durably."""
        self._disk.remove(path)

    def boot(self) -> Boot:
        """Return when the machine started."""
        self.booted = self._disk.boot()
        return self.booted
