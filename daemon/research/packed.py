"""A record's events in memory, once for all trials of a sweep: each column in the narrowest whole numbers.

The kernel wants 96 bytes an event, and most of them say little: times go on by microseconds, prices by a few
ticks. A column is kept as counts above its lowest, or as differences from row to row, in steps of what they
have in common, whichever takes less; prices and sizes as the counts that they were made from. What comes out
is what went in, to the last bit, block by block in the blocks that it was read in: whoever goes through the
record has one of them unpacked at a time.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from daemon.errors import FileFormatError
from daemon.research.market import Events, Market
from daemon.tape.ticks import places, read_ticks
from kernels.backtest_state import EV_LOST, EV_SYNCED, EV_TOLD, EV_WHOLE, EVENT, L_LOTS, L_TICKS
from kernels.dtypes import BUY, DEPTH, SELL
from kernels.levels import LEVELS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.instruments import Instrument
    from daemon.tape.ticks import Header

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_WIDTHS: Final = ((1 << 8, np.uint8), (1 << 16, np.uint16), (1 << 32, np.uint32))
_WHOLE_MAX: Final = 2.0**53
#: of EVENT's tick, apart for each kind: a trade's id says nothing of a quote's
_INTS: Final = ("exch_ns", "id")
_FLOATS: Final = ("a", "b", "c", "d")
_COUNTS: Final = ("flags", "first", "bids", "asks")


class _Ints(NamedTuple):
    """A column of int64: `low` and so many steps, summed up from `first` on where it is running."""

    first: int
    low: int
    step: int
    running: bool
    size: int
    data: NDArray[np.integer]  # empty: all the same

    def unpack(self) -> Ints:
        if not len(self.data):
            values = np.full(self.size, self.low, np.int64)
        else:
            values = self.data.astype(np.int64)
            values *= self.step
            values += self.low
        if self.running:
            np.cumsum(values, out=values)  # it may wrap round, as the differences did
            values += self.first
        return values


class _Floats(NamedTuple):
    """A column of float64: whole counts over `scale`, or as it is."""

    counts: _Ints | None
    scale: float
    plain: Floats

    def unpack(self) -> Floats:
        return self.plain if self.counts is None else self.counts.unpack() / self.scale


class _Rows(NamedTuple):
    """Rows of one kind."""

    kind: int
    ints: tuple[_Ints, ...]
    floats: tuple[_Floats, ...]


class Book(NamedTuple):
    """A book at an instant, for whoever begins there."""

    synced: bool
    side: Ints  # BUY or SELL
    ticks: Ints
    lots: Ints

    def snapshot(self, wire_ns: int) -> Events:
        """Return the event that shows it whole, as the snapshot of a start does; none where it has a gap."""
        if not self.synced:
            return Events(np.zeros(0, EVENT), np.zeros((0, 2), np.int64))
        sides = []
        for side in (BUY, SELL):
            mine = np.flatnonzero(self.side == side)
            best = mine[np.argsort(-side * self.ticks[mine])][:LEVELS_MAX]
            sides.append(np.stack([self.ticks[best], self.lots[best]], axis=1))
        event = np.zeros(1, EVENT)
        event["tick"]["kind"], event["tick"]["wire_ns"] = DEPTH, wire_ns
        event["flags"] = EV_WHOLE | EV_SYNCED | EV_TOLD
        event["bids"], event["asks"] = (len(one) for one in sides)
        return Events(event, np.concatenate(sides))


_NO_BOOK: Final = Book(False, *(np.zeros(0, np.int64) for _ in range(3)))


class Packed:
    """One block of events."""

    def __init__(self, market: Events, scales: Sequence[float]) -> None:
        """Pack it; scales: what prices and sizes may have been divided by."""
        events, levels = market
        tick = events["tick"]
        kinds = tick["kind"].astype(np.uint8)
        self.events = len(events)
        self._kinds = kinds
        self._wire = _narrow(tick["wire_ns"])
        self._counts = tuple(_narrow(events[name]) for name in _COUNTS)
        self._levels = tuple(_narrow(levels[:, column]) for column in (L_TICKS, L_LOTS))
        self._rows = []
        for kind in np.unique(kinds).tolist():
            mine = tick[kinds == kind]
            ints = tuple(_narrow(mine[name]) for name in _INTS)
            self._rows.append(_Rows(kind, ints, tuple(_counted(mine[name], scales) for name in _FLOATS)))

    def unpack(self) -> Events:
        """Return what was packed."""
        events = np.zeros(self.events, EVENT)
        tick = events["tick"]
        tick["kind"], tick["wire_ns"] = self._kinds, self._wire.unpack()
        for name, counts in zip(_COUNTS, self._counts, strict=True):
            events[name] = counts.unpack()
        for rows in self._rows:
            at = slice(None) if len(self._rows) == 1 else np.flatnonzero(self._kinds == rows.kind)
            for name, ints in zip(_INTS, rows.ints, strict=True):
                tick[name][at] = ints.unpack()
            for name, floats in zip(_FLOATS, rows.floats, strict=True):
                tick[name][at] = floats.unpack()
        levels = np.stack([one.unpack() for one in self._levels], axis=1)
        return Events(events, levels)

    @property
    def nbytes(self) -> int:
        """Return how much memory it takes."""
        whole = [self._wire, *self._counts, *self._levels, *(one for rows in self._rows for one in rows.ints)]
        floats = [one for rows in self._rows for one in rows.floats]
        whole += [one.counts for one in floats if one.counts is not None]
        plain = sum(one.plain.nbytes for one in floats)
        return self._kinds.nbytes + plain + sum(one.data.nbytes for one in whole)


class Record:
    """One instrument's events, packed; read by several threads at once, and changed by none."""

    def __init__(self, instrument: Instrument, header: Header) -> None:
        self.instrument = instrument
        self.header = header
        self.blocks: list[Packed] = []
        self.events = 0
        self.first_ns = 0  # the time of the first event
        self.last_ns = 0  # the latest
        self._digest = blake2b(digest_size=16)
        self._scales = (float(10 ** places(header.tick)), float(10 ** places(header.lot)))

    def take(self, market: Events) -> None:
        """Keep the next block."""
        events, levels = market
        if not len(events):
            return
        wire = events["tick"]["wire_ns"]
        self.first_ns = self.first_ns or int(wire[0])
        self.last_ns = max(self.last_ns, int(wire.max()))
        self.events += len(events)
        self._digest.update(events.tobytes())
        self._digest.update(levels.tobytes())
        self.blocks.append(Packed(market, self._scales))

    @property
    def digest(self) -> str:
        """Return what tells this record from others."""
        return self._digest.hexdigest()

    @property
    def nbytes(self) -> int:
        """Return how much memory the events take."""
        return sum(one.nbytes for one in self.blocks)

    def whole(self) -> Iterator[Events]:
        """Yield all of it."""
        for block in self.blocks:
            yield block.unpack()

    def part(self, from_ns: int, until_ns: int) -> Iterator[Events]:
        """Yield what comes from a time on and before another, the book of the first as a snapshot before it.

        Time is the latest stamp so far, so that the parts of a record that runs backwards are all of it.
        """
        newest_ns, book, begun = -(2**63), _NO_BOOK, False
        for block in self.blocks:
            events, levels = block.unpack()
            times = np.maximum.accumulate(np.append(newest_ns, events["tick"]["wire_ns"]))[1:]
            newest_ns = int(times[-1])
            begin, end = np.searchsorted(times, [from_ns, until_ns], side="left").tolist()
            if not begun:
                book = _followed(book, Events(events[:begin], levels))
                begun = begin < len(events)
                shown = book.snapshot(int(times[begin])) if begun and begin < end else None
                if shown is not None and len(shown.events):
                    yield shown
            if begin < end:
                yield Events(events[begin:end], levels)
            if end < len(events):
                return


def read_record(path: Path, instrument: Instrument, header: Header) -> Record:
    """Read and decode a folder of ticks; raises FileFormatError, ConfigError as `tickd backtest` does."""
    record, market = Record(instrument, header), Market(instrument, header)
    for block in read_ticks(path):
        record.take(market.take(block))
    if not record.events:
        raise FileFormatError(f"{path} holds no ticks: name another folder")
    return record


def _followed(book: Book, market: Events) -> Book:
    """Return what becomes of a book: of each price the last word counts."""
    events, levels = market
    depth = events[events["tick"]["kind"] == DEPTH]
    if not len(depth):
        return book
    flags = depth["flags"]
    synced = book.synced
    told = np.flatnonzero(flags & (EV_SYNCED | EV_LOST))
    if len(told):
        synced = bool(flags[told[-1]] & EV_SYNCED)
    wholes = np.flatnonzero(flags & EV_WHOLE)
    kept = (book.side, book.ticks, book.lots)
    if len(wholes):
        depth, kept = depth[wholes[-1] :], _NO_BOOK[1:]
    counts = np.stack([depth["bids"], depth["asks"]], axis=1).ravel()
    side = np.repeat(np.tile([BUY, SELL], len(depth)), counts)
    begin = int(depth["first"][0])
    mine = levels[begin : begin + len(side)]
    sides, ticks, lots = (
        np.concatenate(pair) for pair in zip(kept, (side, mine[:, L_TICKS], mine[:, L_LOTS]), strict=True)
    )
    # newest first, so that the one that is found of each price is the last word
    _, at = np.unique(np.stack([sides, ticks], axis=1)[::-1], axis=0, return_index=True)
    at = len(ticks) - 1 - at
    at = at[lots[at] > 0]
    return Book(synced, sides[at].astype(np.int64), ticks[at], lots[at])


def _narrow(values: Ints) -> _Ints:
    if not len(values):
        return _Ints(0, 0, 1, running=False, size=0, data=np.zeros(0, np.uint8))
    still = _fitted(values, 0, running=False)
    moving = _fitted(np.diff(values, prepend=values[0]), int(values[0]), running=True)
    return moving if moving.data.nbytes < still.data.nbytes else still


def _fitted(offsets: Ints, first: int, *, running: bool) -> _Ints:
    low, high, size = int(offsets.min()), int(offsets.max()), len(offsets)
    if high - low >= 2**63:
        return _Ints(first, 0, 1, running, size, offsets.copy())
    above = offsets - low
    step = int(np.gcd.reduce(above)) or 1
    span = (high - low) // step
    if not span:
        return _Ints(first, low, 1, running, size, np.zeros(0, np.uint8))
    for bound, width in _WIDTHS:
        if span < bound:
            return _Ints(first, low, step, running, size, (above // step).astype(width))
    return _Ints(first, low, step, running, size, above // step)


def _counted(values: Floats, scales: Sequence[float]) -> _Floats:
    for scale in scales:
        with np.errstate(invalid="ignore", over="ignore"):
            counts = np.rint(values * scale)
            whole = bool(np.all(np.abs(counts) < _WHOLE_MAX))
        if whole and np.array_equal((counts / scale).view(np.int64), values.view(np.int64)):
            return _Floats(_narrow(counts.astype(np.int64)), scale, np.zeros(0))
    return _Floats(None, 1.0, values.copy())
