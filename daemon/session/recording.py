"""The live side: seams and doors of a core whose every input is noted in the order in which it is processed.

The core is all that a replay can do again: feed, engine, orders, journal, and the paper venue where there is
one. What it is told comes in by a frame, by a door or by a timer of its own, one after the other; each is put
on the tape before it is processed, and behind it what the core read meanwhile: clocks, the loop's pulse,
whether the venue is up. What the core asks for (orders, timers, snapshots) is not noted: a replay asks for
the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.feeds.connection import Ways
from daemon.feeds.taped import CUT, FEED, SNAPSHOT
from daemon.session import entries
from daemon.session.doors import RecordedDoors
from daemon.session.entries import APPEND_FAILED, NESTED, RAISED, encode, encode_reads
from daemon.session.seams import (
    NotingDisk,
    RecordingClock,
    RecordingPulse,
    RecordingScheduler,
    RecordingVenue,
)
from daemon.venues.paper import PaperVenue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.core import Core
    from daemon.feeds.core import FeedCore
    from daemon.pulse import Pulse
    from daemon.seams import Seams
    from daemon.tape.recorder import Recorder
    from daemon.venues.base import Venue


class Recording:
    """One session's: build the core on its `seams`, `venue` and `pulse`, then `begin`."""

    def __init__(self, seams: Seams, pulse: Pulse) -> None:
        self.reads: list[int] = []  # of what is processed now
        note = self.reads.append
        self.wall = seams.clock
        self.disk = NotingDisk(seams.disk)
        clock = RecordingClock(seams.clock, note)
        scheduler = RecordingScheduler(seams.scheduler, self._ring)
        self.seams = seams._replace(clock=clock, scheduler=scheduler, disk=self.disk)
        self.pulse = RecordingPulse(pulse, note)
        self.paper = False
        self._inside = False
        self._records = 0  # of the journal, as last noted
        self._unsynced = 0  # records that are in the file, though their appending failed
        self._tape: Recorder
        self._core: Core
        self._own = self._reads = 0  # the numbers of its streams

    def venue(self, venue: Venue) -> Venue:
        """Return a venue as the core is to have it; a paper venue is a part of the core."""
        self.paper = isinstance(venue, PaperVenue)
        return venue if self.paper else RecordingVenue(venue, self.reads.append)

    def begin(self, tape: Recorder, core: Core, begin: entries.Begin) -> Core:
        """Note how the core was built; return it with doors that note what passes."""
        self._tape, self._core = tape, core
        self._own, self._reads = tape.stream(entries.CORE), tape.stream(entries.READS)
        core.journal.on_append_failed = self._append_failed
        core.spans.find_by(lambda: tape.seq - 1)
        now_ns = self.wall.now_ns()
        tape.take(self._own, now_ns, False, encode(("begin", (begin,))))
        self._end(now_ns)
        return core._replace(doors=RecordedDoors(self.call, core, paper=self.paper))

    # --- what passes ----------------------------------------------------------------------------------------
    def call(
        self, name: str, fn: Callable[..., Any], *args: Any, noted: tuple[Any, ...] | None = None
    ) -> Any:
        """Note a call of the core from outside, and make it; `noted` stand for `args` on the tape."""
        if self._inside:  # the venue does not call back, and nothing else is there that could
            self._tape.take(self._own, self.wall.now_ns(), False, encode((NESTED, (name,))))
            return fn(*args)
        call = encode((name, args if noted is None else noted))
        return self._make(self._own, self.wall.now_ns(), call, fn, *args)

    def ways(self, feed: FeedCore, connection: int) -> Ways:
        """Return by which ways a connection reaches the feed."""
        stream = self._tape.stream(f"{CUT}{connection}")

        def cut(instruments: Sequence[int]) -> None:
            self._make(stream, self.wall.now_ns(), encode(instruments), feed.disconnected, instruments)

        return Ways(self._frames(f"{FEED}{connection}", feed), cut)

    def snapshots(self, feed: FeedCore) -> Callable[[int, bytes, int], None]:
        """Return what takes whole books in place of `feed.process_snapshot`."""
        streams = [self._tape.stream(f"{SNAPSHOT}{one.symbol}") for one in self._core.engine.instruments]

        def take(instrument: int, payload: bytes, wire_ns: int) -> None:
            args = (instrument, payload, wire_ns)
            self._make(streams[instrument], wire_ns, payload, feed.process_snapshot, *args)

        return take

    def _frames(self, name: str, feed: FeedCore) -> Callable[[bytes, bool], None]:
        """Return what takes the frames of one connection in place of `feed.on_frame`: the hot path."""
        take, reads, end, raised = self._tape.take, self.reads, self._end, self._raised
        now_ns, process, stream = self.wall.now_ns, feed.process, self._tape.stream(name)

        def on_frame(payload: bytes, last: bool) -> None:
            wire_ns = now_ns()
            take(stream, wire_ns, last, payload)
            if reads:  # a face looked at the clock meanwhile
                reads.clear()
            try:
                process(payload, wire_ns, last)
            except Exception as error:
                raised(error, wire_ns)
                raise
            finally:
                if reads:
                    end(wire_ns)

        return on_frame

    def _make(self, stream: int, wire_ns: int, payload: bytes, fn: Callable[..., Any], *args: Any) -> Any:
        self._tape.take(stream, wire_ns, False, payload)
        self.reads.clear()
        self._inside = True
        try:
            return fn(*args)
        except Exception as error:
            self._raised(error, wire_ns)
            raise
        finally:
            self._inside = False
            self._end(wire_ns)

    def _ring(self, number: int, fn: Callable[[], None]) -> None:
        self.call("timer", fn, noted=(number,))

    def _end(self, wire_ns: int) -> None:
        """Note what was read since the entry, and how far the journal is."""
        records = self._core.journal.records + self._unsynced
        if self.reads or records != self._records:
            self._records = records
            self._tape.take(self._reads, wire_ns, False, encode_reads(records, self.reads))
            self.reads.clear()

    def _raised(self, error: Exception, wire_ns: int) -> None:
        self._tape.take(self._own, wire_ns, False, encode((RAISED, (type(error).__name__,))))

    def _append_failed(self, error: OSError, *, written: bool) -> None:
        records = self._core.journal.records + self._unsynced
        self._unsynced += written
        args = (records, error.errno or 0, error.strerror or str(error), written)
        self._tape.take(self._own, self.wall.now_ns(), False, encode((APPEND_FAILED, args)))
