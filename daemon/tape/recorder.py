"""The recorder: every frame as it came, on disk a quarter of a second later, off the loop.

`take` is one plain call. What it took is written by the worker: a live segment grows by whole Arrow messages
and may lose its tail to a power cut, never its middle. A segment that is long or old enough is closed, packed
anew in large batches between two writes, and listed with its SHA-256 in the manifest.

A disk that is full or slow costs the tape, never the trading: what cannot be written waits in a bounded
buffer, and what finds no room there is dropped, counted and told of once an episode. The manifest says from
which entry on the session has holes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from daemon.errors import TickdError
from daemon.pause import pause
from daemon.status import TapeStatus
from daemon.tape.intake import Intake
from daemon.tape.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.config import TapeConfig
    from daemon.seams import Seams
    from daemon.tape.header import TapeHeader
    from daemon.tape.segment import Rows

#: between two writes
TAIL_S: Final = 0.25
#: of that, how long closed segments may be packed
_PACKING_NS: Final = 150_000_000
#: at the end; what is not packed by then stays as it grew
_CLOSING_NS: Final = 5_000_000_000
#: to give up on a disk at the end takes so many tries
_LAST_TRIES: Final = 3


class Recorder:
    """Records one session into a folder of its own. Made before trading begins: it loads Arrow."""

    def __init__(self, seams: Seams, folder: Path, header: TapeHeader, config: TapeConfig) -> None:
        self.folder = folder
        self.written = 0
        self.dropped = 0
        #: the entry from which on the session cannot be verified; -1: every one is there
        self.lost_from = -1
        #: why it cannot write, as a sentence; "" while it can
        self.failure = ""
        #: told once an episode of drops or failed writes
        self.on_alarm: Callable[[str], None] = _ignore
        self._seams = seams
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._buffer_bytes = config.buffer_mb << 20
        self._intake = Intake(self._buffer_bytes, self._drop)
        self.take = self._intake.take
        self._waiting: list[Rows] = []  # swapped out, and not written yet
        self._writer = Writer(seams.disk, folder, header, self._names, config)
        self._dropping = False  # an episode of drops is on
        self._failed = False  # the disk, in this round
        self._closing = False
        self._turn = asyncio.Lock()

    # --- what it is asked for -------------------------------------------------------------------------------
    def stream(self, name: str) -> int:
        """Return the number of a stream, for `take`."""
        number = self._numbers.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        return number

    @property
    def seq(self) -> int:
        """Return the next entry's number: how many there were before it, dropped ones too."""
        return self._intake.next_seq()

    @property
    def taken(self) -> int:
        """Return how many entries came that were not dropped."""
        return self.seq - self.dropped

    @property
    def bytes_written(self) -> int:
        """Return the bytes that went into live segments."""
        return self._writer.bytes_written

    @property
    def bytes_kept(self) -> int:
        """Return the bytes of the closed segments."""
        return self._writer.bytes_kept

    @property
    def segments(self) -> int:
        """Return how many segments were begun."""
        return self._writer.number

    @property
    def lag_ns(self) -> int:
        """Return the age of the oldest entry that is not on disk, 0 where all are."""
        oldest_ns = self._waiting[0].wires_ns[0] if self._waiting else self._intake.first_ns()
        return max(self._seams.clock.now_ns() - oldest_ns, 0) if oldest_ns else 0

    def status(self) -> TapeStatus:
        """Return what faces show."""
        return TapeStatus(
            entries=self.written,
            bytes=self.bytes_written,
            dropped=self.dropped,
            lost_from=self.lost_from,
            lag_s=self.lag_ns / 1e9,
            failure=self.failure,
        )

    # --- its life -------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Write every quarter of a second, until `close`; may be cancelled before."""
        while not self._closing:
            await pause(self._seams, TAIL_S)
            # by itself: what the worker has begun is not undone when this task is cancelled
            await asyncio.shield(asyncio.ensure_future(self._round()))

    async def close(self) -> None:
        """Write what waits, close and pack the segments, and seal the manifest; never raises for a disk."""
        self._closing = True
        async with self._turn:
            for _ in range(_LAST_TRIES):
                await self._write()
                if not self._waiting:
                    break
            if self._waiting:
                left = sum(len(rows.payloads) for rows in self._waiting) - self._writer.done
                self._lose(self._waiting[0].first_seq + self._writer.done, left)
                self._waiting = []
            await self._try(self._writer.end_segment)
            now_ns = self._seams.clock.now_ns()
            await self._try(self._writer.begin_round, now_ns, self.lost_from, self.dropped)
            until_ns = self._seams.clock.mono_ns() + _CLOSING_NS
            while self._seams.clock.mono_ns() < until_ns and await self._try(self._writer.pack):
                pass
            await self._try(self._writer.close)

    async def _round(self) -> None:
        """Write what came, then pack closed segments for what is left of the time."""
        async with self._turn:
            if self._closing:
                return
            until_ns = self._seams.clock.mono_ns() + _PACKING_NS
            self._failed, dropped = False, self.dropped
            await self._write()
            while self._seams.clock.mono_ns() < until_ns and await self._try(self._writer.pack):
                pass
            if not self._failed:
                self.failure = ""
                self._dropping = self.dropped > dropped

    async def _write(self) -> None:
        """Write what waits, as far as the disk lets us."""
        self._waiting += self._intake.swap()
        now_ns = self._seams.clock.now_ns()
        await self._try(self._writer.begin_round, now_ns, self.lost_from, self.dropped)
        while self._waiting:
            rows = self._waiting[0]
            if not (size := await self._try(self._writer.write, rows)):
                return
            del self._waiting[0]
            self.written += len(rows.payloads)
            self._intake.give_back(size)

    async def _try(self, work: Callable[..., int], *args: object) -> int:
        """Return what the worker's part returned; 0 where it failed, which is told once an episode."""
        try:
            return await self._seams.worker.call(work, *args)
        except (OSError, TickdError) as error:
            self._failed = True
            reason = getattr(error, "strerror", None) or error
            failure = (
                f"the tape {self._writer.path} cannot be written ({reason}): make room, or mend the disk"
            )
            if not self.failure:
                self.on_alarm(failure)
            self.failure = failure
            return 0

    def _drop(self) -> None:
        """Count an entry that found no room."""
        seq = self.seq - 1
        self._lose(seq, 1)
        if not self._dropping:
            self._dropping = True
            self.on_alarm(
                f"the tape's buffer of {self._buffer_bytes >> 20} MB is full, the disk too slow: entries "
                f"from {seq} on are dropped, and the session cannot be verified beyond"
            )

    def _lose(self, seq: int, count: int) -> None:
        if self.lost_from < 0 or seq < self.lost_from:
            self.lost_from = seq
        self.dropped += count


def _ignore(_: str) -> None:
    """Nobody listens yet."""
