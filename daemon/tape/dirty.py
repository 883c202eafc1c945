"""What is wrong with a source, counted and located: gaps, repetitions, disorder, units, impossible values.

    checks = Checks(trade_ids="contiguous")
    checks.look(block)                       a block of columns, whole runs at a time
    checks.note("unit", row, time_ns, text)  what a reader found itself
    checks.findings                          kind -> Finding

Nothing is mended and nothing but impossible rows is left out: what was found stands in the report, and a
strict conversion is refused. Rules:

    gap         an id that does not follow the one before by one (an id that comes twice breaks the row too);
                a depth update that does not follow its market's chain: `prev_id` is the last id before, or
                first_id is the next
    duplicate   an id that came before
    disorder    a row stamped before the row above it, by the clock that orders the file
    clock       received and sent more than an hour apart: two clocks, or one that was wrong
    unit        a time in another unit than the file's first (milliseconds among microseconds)
    value       a price or size that is none; the row is left out
    cut         a connection that was lost, or what a recorder could not write
    frame, symbol, time     a line that is no message, of another instrument, or without a time; left out
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from kernels.columns import (
    D_EXCH_NS,
    D_FIRST,
    D_LAST,
    D_PREV,
    D_ROW,
    D_SEQ,
    D_SNAPSHOT,
    D_WIRE_NS,
    T_EXCH_NS,
    T_ID,
    T_KIND,
    T_ROW,
    T_WIRE_NS,
)
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from daemon.feeds.base import TradeIds
    from daemon.tape.ticks import Block

    Ints = NDArray[np.int64]

#: places told of each kind; the others are counted
PLACES_MAX: Final = 5
_HOUR_NS: Final = 3_600_000_000_000
#: sent and received farther apart than this were not stamped by clocks that agree
_APART_NS: Final = _HOUR_NS
_NONE: Final = np.iinfo(np.int64).min


class Place(msgspec.Struct, frozen=True):
    """One finding."""

    file: str
    row: int  # line or row of it, from 1
    time: str  # UTC, to the nanosecond
    text: str


class Finding(msgspec.Struct):
    """All of one kind."""

    count: int = 0
    first: list[Place] = []


class Checks:
    """Looks at the blocks of one instrument in order, and remembers what crosses their borders."""

    def __init__(self, trade_ids: TradeIds = "contiguous") -> None:
        self.findings: dict[str, Finding] = {}
        self.file = ""
        self.left_out = 0  # numbered messages that are no prints, or impossible: their ids are none that lack
        self._left_out: set[int] = set()
        self._trade_ids = trade_ids
        self._trade = _NONE
        self._trade_max = _NONE
        self._quote = _NONE
        self._update = (_NONE, _NONE)  # the last depth update's seq, and its last id
        self._bar = (_NONE, _NONE)
        self._wire = {"ticks": _NONE, "depth": _NONE}

    def note(self, kind: str, row: int, time_ns: int, text: str, count: int = 1) -> None:
        """Count something found, and keep where, if it is among the first."""
        found = self.findings.setdefault(kind, Finding())
        found.count += count
        if len(found.first) < PLACES_MAX:
            found.first.append(Place(self.file, row, utc(time_ns), text))

    def look(self, block: Block, *, clocks: bool = True) -> None:
        """Check the next block; `clocks`: its two stamps too, which a reader may know better."""
        ticks, depth = block
        if ticks.shape[1]:
            self._order("ticks", ticks[T_WIRE_NS], ticks[T_ROW])
            if clocks:
                self.clocks(ticks[T_WIRE_NS], ticks[T_EXCH_NS], ticks[T_ROW])
            self._ids(ticks)
        if depth.shape[1]:
            begins = np.flatnonzero(np.diff(depth[D_SEQ], prepend=self._update[0]))
            stamped = np.flatnonzero(np.diff(depth[D_WIRE_NS], prepend=self._wire["depth"]))
            self._order("depth", depth[D_WIRE_NS, stamped], depth[D_ROW, stamped])
            if clocks:
                self.clocks(depth[D_WIRE_NS, stamped], depth[D_EXCH_NS, stamped], depth[D_ROW, stamped])
            if len(begins):
                self._updates(depth[:, begins])  # a row of each

    def mark(
        self, kind: str, where: NDArray[np.bool_], rows: Ints, times: Ints, text: Callable[[int], str]
    ) -> None:
        """Count where a mask holds; the first of them are told with their row, time and text(k)."""
        spots = np.flatnonzero(where)
        if not len(spots):
            return
        found = self.findings.setdefault(kind, Finding())
        found.count += len(spots)
        for k in spots[: PLACES_MAX - len(found.first)].tolist():
            found.first.append(Place(self.file, int(rows[k]), utc(int(times[k])), text(k)))

    def look_at_bars(self, opens: Ints, ends: Ints, rows: Ints) -> None:
        """Check that each bar opens where the one before ended."""
        if not len(opens):
            return
        end = np.concatenate(([self._bar[1]], ends[:-1]))
        before = np.concatenate(([self._bar[0]], opens[:-1]))
        known = before != _NONE
        self.mark(
            "gap", known & (opens > end), rows, opens, lambda k: f"the bar before ended {utc(int(end[k]))}"
        )
        self.mark("duplicate", known & (opens == before), rows, opens, lambda _: "opened as the bar before")
        self.mark(
            "disorder", known & (opens < before), rows, opens, lambda k: f"after one of {utc(int(before[k]))}"
        )
        self._bar = int(opens[-1]), int(ends[-1])

    def _order(self, table: str, wire: Ints, rows: Ints) -> None:
        if not len(wire):
            return
        before = np.concatenate(([self._wire[table]], wire[:-1]))
        text = "stamped before the row above it, {}"
        self.mark("disorder", wire < before, rows, wire, lambda k: text.format(utc(int(before[k]))))
        self._wire[table] = int(wire[-1])

    def clocks(self, wire: Ints, exch: Ints, rows: Ints) -> None:
        """Compare the two stamps of rows; 0 is none."""
        apart = np.abs(wire - exch)
        self.mark(
            "clock",
            (exch > 0) & (apart > _APART_NS),
            rows,
            wire,
            lambda k: f"sent {utc(int(exch[k]))}, {int(apart[k]) / _HOUR_NS:,.1f} hours apart",
        )

    def _ids(self, ticks: Ints) -> None:
        """Check the ids of trades by their exchange's rule, and that those of quotes grow."""
        rows, wire = ticks[T_ROW], ticks[T_WIRE_NS]
        again = np.zeros(len(rows), np.bool_)
        newest = np.zeros(len(rows), np.int64)
        numbered = ticks[T_ID] >= 0
        trades = np.flatnonzero(numbered & (ticks[T_KIND] == TRADE))
        if len(trades) and self._trade_ids != "names":
            ids = ticks[T_ID, trades]
            if self._trade_ids == "contiguous":
                self._contiguous(ids, rows[trades], wire[trades])
            newest[trades] = np.maximum.accumulate(np.concatenate(([self._trade_max], ids[:-1])))
            again[trades] = ids <= newest[trades]
            self._trade, self._trade_max = int(ids[-1]), int(max(newest[trades[-1]], ids[-1]))
        quotes = np.flatnonzero(numbered & (ticks[T_KIND] == QUOTE))
        if len(quotes):
            ids = ticks[T_ID, quotes]
            newest[quotes] = np.concatenate(([self._quote], ids[:-1]))
            again[quotes] = ids <= newest[quotes]
            self._quote = int(ids[-1])
        self.mark("duplicate", again, rows, wire, lambda k: f"id {ticks[T_ID, k]} after {newest[k]}")

    def _contiguous(self, ids: Ints, rows: Ints, wire: Ints) -> None:
        before = np.concatenate(([self._trade], ids[:-1]))
        broken = ids != before + 1
        broken[0] &= self._trade != _NONE
        if self._left_out:
            for k in np.flatnonzero(broken).tolist():
                broken[k] = not self._known_between(int(before[k]), int(ids[k]))
        self.mark("gap", broken, rows, wire, lambda k: f"trade id {ids[k]} after {before[k]}")

    def leave_out(self, ids: Ints) -> None:
        """Remember trade ids of what is read and not kept."""
        self.left_out += len(ids)
        self._left_out.update(ids.tolist())

    def _known_between(self, before: int, number: int) -> bool:
        between = range(before + 1, number)
        return 0 < len(between) <= len(self._left_out) and all(one in self._left_out for one in between)

    def _updates(self, updates: Ints) -> None:
        """Check the chain of depth updates; whole books stand outside it."""
        last_seq, last = int(updates[D_SEQ, -1]), self._update[1]
        updates = updates[:, (updates[D_SNAPSHOT] == 0) & (updates[D_LAST] >= 0)]
        if updates.shape[1]:
            first, ids, said = updates[D_FIRST], updates[D_LAST], updates[D_PREV]
            before = np.concatenate(([last], ids[:-1]))
            broken = np.where(said >= 0, said != before, (first > before + 1) | (ids <= before))
            broken[0] &= last != _NONE

            def text(k: int) -> str:
                names = f", where it says {said[k]}" if said[k] >= 0 else ""
                return f"depth update {first[k]}-{ids[k]} after {before[k]}{names}"

            self.mark("gap", broken, updates[D_ROW], updates[D_WIRE_NS], text)
            self.mark("duplicate", ids == before, updates[D_ROW], updates[D_WIRE_NS], text)
            last = int(ids[-1])
        self._update = (last_seq, last)


def utc(time_ns: int) -> str:
    """Return a time as text, to the nanosecond."""
    if not 0 <= time_ns < 253_402_300_800_000_000_000:
        return f"{time_ns} ns"
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % 1_000_000_000:09}Z"


def sentence(findings: dict[str, Finding]) -> str:
    """Return findings as part of a sentence: `2 gaps (the first in row 4: trade id 7 after 5), ..`."""
    told = []
    for kind, found in findings.items():
        first = found.first[0]
        told.append(f"{found.count:,} {kind} (the first in row {first.row}: {first.text})")
    return ", ".join(told)
