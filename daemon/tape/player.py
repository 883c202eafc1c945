"""Plays entries into a feed on virtual time: as fast as it goes, or paced; from a time, until a time."""

from __future__ import annotations

from bisect import bisect_left
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.clock import wait_until
from daemon.tape.capture import Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.clock import VirtualTime
    from daemon.seams import Clock
    from daemon.tape.runs import Runs
    from daemon.tape.source import Chunk, Play

_NEVER_NS: Final = 2**63 - 1


class Span(NamedTuple):
    """Which part of a record is replayed, and how fast; times in ns UTC."""

    from_ns: int = 0
    until_ns: int = _NEVER_NS  # not itself
    speed: float = inf  # of the record's own pace


#: all of it, at once
WHOLE: Final = Span()


class Player:
    """Plays chunks, one after the other."""

    def __init__(
        self,
        plays: Mapping[str, Play],
        time: VirtualTime,
        span: Span,
        clock: Clock,
        wait: Callable[[int], None] = wait_until,
        runs: Runs | None = None,
    ) -> None:
        """Prepare it; plays: what an entry does, by its stream.

        wait: returns once the machine's monotonic clock is there. runs: what takes plain ticks of a capture
        many at a time; None: each is played by itself.
        """
        self.count = 0
        self.backwards = 0  # entries stamped before the one above them
        self.newest_ns = time.now_ns()
        self._runs = runs
        self._plays = plays
        self._time = time
        self._span = span
        self._clock = clock
        self._wait = wait
        self._begun: tuple[int, int] | None = None  # (virtual, monotonic), where it is paced

    def skip(self, chunk: Chunk) -> Chunk:
        """Play what comes before the span, unpaced; return the rest."""
        end = next(
            (at for at, wire_ns in enumerate(chunk.wires_ns) if wire_ns >= self._span.from_ns),
            len(chunk.wires_ns),
        )
        self._play(chunk.part(0, end))
        return chunk.part(end, len(chunk.wires_ns))

    def play(self, chunk: Chunk) -> bool:
        """Play what is in the span; return whether what follows is too."""
        within = chunk.wires_ns[-1] < self._span.until_ns
        if not within:
            chunk = chunk.part(0, bisect_left(chunk.wires_ns, self._span.until_ns))
        if self._span.speed == inf:
            self._play(chunk)
        else:
            self._play_paced(chunk)
        return within

    def _play(self, chunk: Chunk) -> None:
        if self._runs is not None and isinstance(chunk.payloads, Lines):
            self._play_lines(self._runs, chunk, chunk.payloads)
        else:
            self._play_each(chunk)

    def _play_lines(self, runs: Runs, chunk: Chunk, lines: Lines) -> None:
        """Play run after run, and each entry between two of them by itself."""
        plays, advance, wires_ns = self._plays, self._time.advance, chunk.wires_ns
        before_ns = self.newest_ns
        at, count = 0, len(lines)
        while at < count:
            begin, at = at, runs.take(lines, at, before_ns)
            if at > begin:
                before_ns = wires_ns[at - 1]
            if at == count:
                break
            wire_ns = wires_ns[at]
            if wire_ns < before_ns:
                self.backwards += 1
            before_ns = wire_ns
            advance(wire_ns)
            plays[chunk.streams[at]](lines[at], wire_ns, chunk.lasts[at])
            at += 1
        self.newest_ns = before_ns
        self.count += count

    def _play_each(self, chunk: Chunk) -> None:
        plays, advance = self._plays, self._time.advance
        before_ns = self.newest_ns
        for wire_ns, stream, last, payload in zip(*chunk, strict=True):
            if wire_ns < before_ns:
                self.backwards += 1
            before_ns = wire_ns
            advance(wire_ns)
            plays[stream](payload, wire_ns, last)
        self.newest_ns = before_ns
        self.count += len(chunk.wires_ns)

    def _play_paced(self, chunk: Chunk) -> None:
        """Play each entry no sooner than the record's pace has it."""
        for at, wire_ns in enumerate(chunk.wires_ns):
            if self._begun is None:
                self._begun = (wire_ns, self._clock.mono_ns())
            first_ns, begun_ns = self._begun
            self._wait(begun_ns + int((wire_ns - first_ns) / self._span.speed))
            self._play(chunk.part(at, at + 1))
