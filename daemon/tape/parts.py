"""One engine as the sink of several feeds, each of which counts its own instruments from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.feeds.base import FeedSink, Turn


def share(engine: FeedSink, counts: Sequence[int]) -> list[FeedSink]:
    """Return the engine as feeds of so many instruments see it: a single one has it to itself."""
    if len(counts) == 1:
        return [engine]
    return [Part(engine, sum(counts[:place]), count) for place, count in enumerate(counts)]


class Part:
    """Hands on what a feed tells of `count` instruments, which the engine has from `first` on.

    No turns are taken: the compiled call that reads a frame and decides on it has one number for both.
    """

    def __init__(self, engine: FeedSink, first: int, count: int) -> None:
        self._engine = engine
        self._first = first
        self.turns: list[Turn | None] = [None] * count
        self.on_decided = None
        self.drain = engine.drain

    def on_tick(self, instrument: int) -> None:
        """Learn that a tick waits."""
        self._engine.on_tick(self._first + instrument)

    def absorb(self, instrument: int) -> None:
        """Take what waits: the ring is full."""
        self._engine.absorb(self._first + instrument)

    def on_book(self, instrument: int, wire_ns: int, book: NDArray[np.int64]) -> None:
        """Take a changed book."""
        self._engine.on_book(self._first + instrument, wire_ns, book)

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        """Learn whether a book follows."""
        self._engine.on_book_status(self._first + instrument, synced, reason)

    def on_gap(self, instrument: int, reason: str) -> None:
        """Learn that ticks are missing."""
        self._engine.on_gap(self._first + instrument, reason)

    def on_turn(self, instrument: int) -> None:
        """Never told: no turn is taken."""
        raise AssertionError(instrument)

    def turned(self, instrument: int, answer: int, wire_ns: int) -> None:
        """Likewise."""
        raise AssertionError(instrument, answer, wire_ns)

    def turn_raised(self, instrument: int, error: Exception) -> None:
        """Likewise."""
        raise AssertionError(instrument) from error
