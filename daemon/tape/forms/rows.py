"""Rows of CSV, by what their columns are, to ticks, depth and bars.

What cannot be is left out and told of with its row (daemon/tape/dirty.py); a file whose rows have another
number of columns is refused, since then nothing of it can be believed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from daemon.errors import FileFormatError
from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.forms import cells
from daemon.tape.forms.base import FinerGridError, Grid, Piece, Series
from daemon.tape.forms.texts import open_text
from daemon.tape.ticks import Block
from kernels.columns import (
    D_COLUMNS,
    D_END,
    D_EXCH_NS,
    D_FIRST,
    D_LAST,
    D_PREV,
    D_PRICE,
    D_ROW,
    D_SEQ,
    D_SIDE,
    D_SIZE,
    D_SNAPSHOT,
    D_WIRE_NS,
    T_A,
    T_B,
    T_C,
    T_D,
    T_END,
    T_EXCH_NS,
    T_ID,
    T_KIND,
    T_ROW,
    T_SEQ,
    T_SIDE,
    T_WIRE_NS,
)
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.feeds.base import TradeIds
    from daemon.tape.dirty import Checks
    from daemon.tape.forms.base import State
    from daemon.tape.forms.layouts import Layout

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_BLOCK_BYTES: Final = 4 << 20
#: no exchange was recorded before 2009, and none after 2100
_FIRST_NS: Final = 1_230_768_000_000_000_000
_END_NS: Final = 4_102_444_800_000_000_000
_ROW: Final = re.compile(r"Row #(\d+)")


class CsvForm(msgspec.Struct, frozen=True, kw_only=True):
    """A CSV file that was recognised."""

    layout: Layout
    series: Series
    names: tuple[str, ...]  # of all columns, as they stand
    skip: int  # lines before the first row
    unit: str = ""  # of its times; "": each by its size
    trade_ids: TradeIds = "names"

    def pieces(self, path: Path, state: State) -> Iterator[Piece]:
        """Yield some MB of rows after the other."""
        checks = state.checks_of(self.series, path.name, self.trade_ids)
        columns = Columns(self, state, checks)
        rows = 0
        for batch, first_row, read_bytes in self._batches(path):
            rows += batch.num_rows
            block, bars = columns.read(batch, first_row)
            checks.look(block, clocks="event" not in self.layout.roles)
            yield Piece(self.series, block, read_bytes, bars)
        if not rows:
            raise FileFormatError(f"{path} holds no rows: name another file")

    def _batches(self, path: Path) -> Iterator[tuple[pa.RecordBatch, int, int]]:
        """Yield batches of text, each with the row of its first line in the file, and the bytes read."""
        row = self.skip + 1
        with open_text(path) as text:
            try:
                reader = pa_csv.open_csv(
                    text.stream,
                    read_options=pa_csv.ReadOptions(
                        use_threads=False,
                        block_size=_BLOCK_BYTES,
                        column_names=self.names,
                        skip_rows=self.skip,
                    ),
                    convert_options=pa_csv.ConvertOptions(
                        column_types=dict.fromkeys(self.names, pa.string()),
                        include_columns=sorted(set(self.layout.roles.values())),
                        strings_can_be_null=False,
                    ),
                )
                for batch in reader:
                    yield batch, row, text.raw.tell()
                    row += batch.num_rows
            except pa.ArrowInvalid as error:
                said = str(error).splitlines()[0]
                if "Empty CSV" in said:
                    raise FileFormatError(f"{path} holds no rows: name another file") from None
                found = _ROW.search(said)
                where = f"row {found[1]}" if found else f"a row after {row}"
                raise FileFormatError(
                    f"{path} has another number of columns in {where} than above it ({len(self.names)}); "
                    "it is cut off or no CSV of one form"
                ) from None


class Columns:
    """What stands in the rows of one file, batch after batch."""

    def __init__(self, form: CsvForm, state: State, checks: Checks) -> None:
        self._form = form
        self._roles = form.layout.roles
        self._state = state
        self._checks = checks
        self._units: dict[str, int] = {}  # the file's, by the first row of each column
        self._update: tuple[int, ...] = ()  # what tells the last depth update from the next

    def read(self, batch: pa.RecordBatch, first_row: int) -> tuple[Block, Ints | None]:
        """Return the batch's ticks and levels, or its bars."""
        self._batch = batch
        self._rows = np.arange(first_row, first_row + batch.num_rows)
        self._bad = np.zeros(batch.num_rows, np.bool_)
        kind = self._form.layout.kind
        if kind == "bars":
            return Block(no_ticks(), no_depth()), self._bars()
        wire, exch = self._stamps()
        if "symbol" in self._roles:
            self._symbols(wire)
        if kind == "depth":
            return Block(no_ticks(), self._depth(wire, exch)), None
        return Block(self._ticks(kind, wire, exch), no_depth()), None

    # --- columns -------------------------------------------------------------------------------------------
    def _text(self, role: str) -> pa.Array:
        return self._batch.column(self._roles[role])

    def _note(self, kind: str, where: Bools, times: Ints, role: str) -> None:
        """Tell of rows whose column of some role cannot be what it should."""
        name = self._roles[role]
        self._checks.mark(
            kind, where, self._rows, times, lambda k: f"{name} is {str(self._text(role)[k])[:40]!r}"
        )

    def _time(self, role: str) -> tuple[Ints, Bools]:
        """Return times in ns, and which are none; another unit than the file's first is told of."""
        stamps, missing, units = cells.times(self._text(role), self._form.unit)
        missing |= (stamps < _FIRST_NS) | (stamps >= _END_NS)
        good = np.flatnonzero(~missing)
        if len(good):
            unit = self._units.setdefault(role, int(units[good[0]]))
            self._note("unit", ~missing & (units != unit), stamps, role)
        return stamps, missing

    def _stamps(self) -> tuple[Ints, Ints]:
        """Return the time that orders each row, and the exchange's, 0 where there is none."""
        leading = "wire" if "wire" in self._roles else "exch"
        wire, missing = self._time(leading)
        self._note("time", missing, wire, leading)
        self._bad |= missing
        if leading == "exch":
            return wire, wire
        exch = np.zeros_like(wire)
        if "exch" in self._roles:
            exch = self._second_time("exch", wire)
        if "event" in self._roles:  # when it was sent, which is only looked at
            event = self._second_time("event", wire)
            good = ~self._bad
            self._checks.clocks(wire[good], event[good], self._rows[good])
        return wire, exch

    def _second_time(self, role: str, wire: Ints) -> Ints:
        stamps, missing = self._time(role)
        self._note("time", missing & ~self._bad, wire, role)
        stamps[missing] = 0
        return stamps

    def _symbols(self, wire: Ints) -> None:
        wanted = self._form.series.exchange_symbol
        other = ~cells.are(self._text("symbol"), (wanted,))
        self._note("symbol", other, wire, "symbol")
        self._bad |= other

    def _ids(self, role: str) -> Ints:
        if role not in self._roles:
            return np.full(self._batch.num_rows, -1, np.int64)
        values, missing = cells.whole(self._text(role))
        values[missing | (values < 0)] = -1
        return values

    def _counts(self, wire: Ints, least: int, **roles: str) -> list[Ints]:
        """Return columns as counts of the grid's steps; those below `least` are told of and left out.

        roles: what each is, "price", "size" or "money", by role.
        """
        grid = self._state.grid(self._form.series, Grid())
        needed = grid._asdict()
        found = []
        for role, what in roles.items():
            values, missing, places = cells.counts(self._text(role), needed[f"{what}_places"])
            needed[f"{what}_places"] = max(needed[f"{what}_places"], places)
            wrong = (missing | (values < (1 if what == "price" else least))) & ~self._bad
            self._note("value", wrong, wire, role)
            self._bad |= wrong
            found.append(values)
        if needed != grid._asdict():
            raise FinerGridError(self._form.series.key, Grid(**needed))
        return found

    def _sides(self, wire: Ints) -> Ints:
        """Return +1 and -1, and 0 where a trade's file says neither."""
        if "maker" in self._roles or "ask_side" in self._roles:
            role = "maker" if "maker" in self._roles else "ask_side"
            yes, wrong = cells.truths(self._text(role))
            self._note("value", wrong & ~self._bad, wire, role)
            self._bad |= wrong
            return np.where(yes, -1, 1).astype(np.int64)
        if "side" in self._roles:
            return cells.sides(self._text("side"))
        return np.zeros(self._batch.num_rows, np.int64)

    def _seqs(self, begins: Bools) -> Ints:
        """Return the seq of each kept row; a new one begins where it is said."""
        seqs = self._state.seq - 1 + np.cumsum(begins)
        if len(seqs):
            self._state.seq = int(seqs[-1]) + 1
        return seqs

    # --- tables --------------------------------------------------------------------------------------------
    def _ticks(self, kind: str, wire: Ints, exch: Ints) -> Ints:
        t = no_ticks(self._batch.num_rows)
        t[T_ID] = self._ids("id")
        if kind == "trades":
            t[T_KIND] = TRADE
            if "printed" in self._roles:  # what moves quantity without a price is no print
                self._bad |= cells.are(self._text("printed"), ("NA", ""))
            t[T_A], t[T_B] = self._counts(wire, 1, price="price", size="size")
            t[T_SIDE] = self._sides(wire)
        else:
            t[T_KIND] = QUOTE
            t[T_A], t[T_B], t[T_C], t[T_D] = self._counts(
                wire, 0, bid="price", bid_size="size", ask="price", ask_size="size"
            )
            crossed = (t[T_A] > t[T_C]) & ~self._bad
            self._checks.mark("value", crossed, self._rows, wire, lambda _: "the bid is above the ask")
            self._bad |= crossed
        t[T_ROW], t[T_WIRE_NS], t[T_EXCH_NS], t[T_END] = self._rows, wire, exch, 1
        self._checks.leave_out(t[T_ID, self._bad])
        kept = t[:, ~self._bad]
        kept[T_SEQ] = self._seqs(np.ones(kept.shape[1], np.bool_))
        return kept

    def _depth(self, wire: Ints, exch: Ints) -> Ints:
        d = no_depth(self._batch.num_rows)
        d[D_PRICE], d[D_SIZE] = self._counts(wire, 0, price="price", size="size")
        d[D_SIDE] = self._sides(wire)
        neither = (d[D_SIDE] == 0) & ~self._bad
        if np.any(neither):
            self._note("value", neither, wire, "side")
            self._bad |= neither
        d[D_ROW], d[D_WIRE_NS], d[D_EXCH_NS], d[D_END] = self._rows, wire, exch, 1
        d[D_FIRST], d[D_LAST], d[D_PREV] = (self._ids(role) for role in ("first", "last", "prev"))
        if "book" in self._roles:
            d[D_SNAPSHOT] = 1
            d[D_FIRST] = d[D_LAST] = self._ids("book")
        elif "snapshot" in self._roles:
            d[D_SNAPSHOT] = cells.truths(self._text("snapshot"))[0]
        kept = d[:, ~self._bad]
        # rows of one update have its ids, and where there are none its times, in common
        numbered = "last" in self._roles or "book" in self._roles
        common = [D_FIRST, D_LAST, D_PREV] if numbered else [D_WIRE_NS, D_EXCH_NS, D_SNAPSHOT]
        begins = np.zeros(kept.shape[1], np.bool_)
        if kept.shape[1]:
            begins[1:] = np.any(np.diff(kept[common], axis=1) != 0, axis=0)
            begins[0] = tuple(kept[common, 0].tolist()) != self._update
            self._update = tuple(kept[common, -1].tolist())
        kept[D_SEQ] = self._seqs(begins)
        assert kept.shape[0] == D_COLUMNS
        return kept

    def _bars(self) -> Ints:
        opened, missing = self._time("open_time")
        self._note("time", missing, opened, "open_time")
        self._bad |= missing
        closed, missing = self._time("close_time")
        # Binance's is a bar's last millisecond or, since 2025, microsecond
        ends = closed + np.where(closed % 1_000_000, 1_000, 1_000_000)
        self._note("time", missing & ~self._bad, opened, "close_time")
        self._bad |= missing
        prices = self._counts(opened, 1, open="price", high="price", low="price", close="price")
        volume, money, taker = self._counts(
            opened, 0, volume="size", quote_volume="money", taker_volume="size"
        )
        trades = np.maximum(self._ids("count"), 0)
        bars = np.stack([opened, ends, *prices, volume, money, trades, taker])[:, ~self._bad]
        rows = self._rows[~self._bad]
        self._checks.look_at_bars(bars[0], bars[1], rows)
        return bars
