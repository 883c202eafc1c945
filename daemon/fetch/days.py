"""An instrument's days on the disk: which are whole, and one in the making.

    exchange=binance/symbol=BTC-USDT/date=2024-08-08/ticks-00000.parquet      trades, aggTrades
                                                     bars-00000.parquet       klines

A file's metadata has a mark beside the header: what was asked for and when, so that a day knows by itself
whether it is final. One that was asked for before it was over is asked for again once it is older than its
time to live, and replaced whole. A day without a row is a file without one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daemon import __version__
from daemon.errors import FileFormatError, TickdError, UsageError, unread
from daemon.tape.forms.base import FinerGridError, Grid, State
from daemon.tape.partitions import TickWriter, folder_of
from daemon.tape.ticks import rescale
from kernels.columns import T_WIRE_NS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.tape.columns import Table
    from daemon.tape.dirty import Finding
    from daemon.tape.forms.base import Series
    from daemon.tape.partitions import Written
    from daemon.tape.ticks import Block

    Ints = NDArray[np.int64]

Kind = Literal["klines", "trades", "aggTrades"]

MARK: Final = b"tickd.fetch"
DAY_NS: Final = 86_400_000_000_000
#: after a day's end, until exchanges have told all of it
SETTLED_NS: Final = 60_000_000_000
#: columns of bars (daemon/tape/columns.py)
_PRICES: Final = slice(2, 6)
_MONEY: Final = 7
_SIZES: Final = [6, 9]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, and when."""

    kind: Kind
    interval: str = ""  # of klines, such as 1m
    asked_ns: int  # when the first answer was asked for


class Wanted(NamedTuple):
    """One instrument's data of one kind."""

    series: Series
    kind: Kind
    interval: str

    @property
    def numbered(self) -> bool:
        """Whether its trades' ids follow one another."""
        return self.series.exchange == "binance"

    @property
    def table(self) -> Table:
        """Which table it becomes."""
        return "bars" if self.kind == "klines" else "ticks"

    def __str__(self) -> str:
        return f"{self.series.exchange_symbol} {self.kind} {self.interval}".strip()


def is_settled(day: int, asked_ns: int) -> bool:
    """Whether a day, counted from 1970, cannot change any more after it was asked for."""
    return asked_ns >= (day + 1) * DAY_NS + SETTLED_NS


def date_of(day: int) -> str:
    """Return a day as text."""
    return str(np.datetime64(day, "D"))


class Store:
    """The folder that days are kept in."""

    def __init__(self, root: Path, ttl_ns: int) -> None:
        self.root = root
        self._ttl_ns = ttl_ns

    def has(self, wanted: Wanted, day: int, now_ns: int) -> bool:
        """Whether a day is there and final, or young enough; raises UsageError where other data is there."""
        folder = self.folder(wanted, day)
        path = folder / f"{wanted.table}-00000.parquet"
        if not path.exists():
            return False
        mark = read_mark(path)
        if mark is None:
            return False
        if (mark.kind, mark.interval) != (wanted.kind, wanted.interval):
            there = f"{mark.kind} {mark.interval}".strip()
            raise UsageError(f"{path} holds {there}, which is not overwritten: name another --out")
        return is_settled(day, mark.asked_ns) or 0 <= now_ns - mark.asked_ns < self._ttl_ns

    def clear(self, wanted: Wanted, day: int) -> None:
        """Remove what a day in the making has left where it was ended at once."""
        for one in self.folder(wanted, day).glob(f".{wanted.table}-*.tmp"):
            one.unlink(missing_ok=True)

    def folder(self, wanted: Wanted, day: int) -> Path:
        """Return where a day's files are."""
        header = wanted.series.header(Grid(), "", "")
        return folder_of(self.root, header) / f"date={date_of(day)}"


def read_mark(path: Path) -> Mark | None:
    """Return what a file was asked for by; None: it is not whole. Raises UsageError for one of another."""
    try:
        metadata: Mapping[bytes, bytes] = pq.read_schema(path, memory_map=False).metadata or {}
    except pa.ArrowException:
        return None
    except OSError as error:
        raise FileFormatError(f"{path} {unread(error)}") from None
    text = metadata.get(MARK)
    if text is None:
        raise UsageError(f"{path} is of no tickd fetch and is not overwritten: name another --out")
    try:
        return msgspec.json.decode(text, type=Mark)
    except msgspec.DecodeError:
        raise UsageError(f"{path} was fetched by another version of tickd: name another --out") from None


def _rescale_bars(bars: Ints, before: Grid, after: Grid) -> None:
    """Count bars in finer steps, in place."""
    price, size, money = (10 ** (new - old) for old, new in zip(before, after, strict=True))
    bars[_PRICES] *= price
    bars[_SIZES] *= size
    bars[_MONEY] *= money


class Day:
    """One day in the making: rows are checked, counted and written, and visible once all are."""

    def __init__(self, store: Store, wanted: Wanted, day: int, asked_ns: int, state: State) -> None:
        self.wanted = wanted
        self.day = day
        self.state = state
        self.rows = 0
        self._mark = Mark(kind=wanted.kind, interval=wanted.interval, asked_ns=asked_ns)
        self._store = store
        self._writer: TickWriter | None = None
        self._grid = Grid()
        self._bars: list[Ints] = []

    def add(self, block: Block, bars: Ints | None) -> None:
        """Take rows, counted by the grid of `state`; raises FinerGridError where rows before were not."""
        self._check_times(block.ticks[T_WIRE_NS] if bars is None else bars[0])
        writer = self._ready()
        if bars is not None:
            self._bars.append(bars)  # of a day there are few: they are written together
            self.rows += bars.shape[1]
            return
        try:
            writer.add(block)
        except OSError as error:
            raise self._failed(error) from error
        self.rows += block.ticks.shape[1]

    def _check_times(self, times_ns: Ints) -> None:
        begin_ns = self.day * DAY_NS
        if len(times_ns) and not begin_ns <= times_ns.min() <= times_ns.max() < begin_ns + DAY_NS:
            raise FileFormatError(f"{self.wanted} of {date_of(self.day)} has rows of another day")

    def _ready(self) -> TickWriter:
        """Return the writer, which counts by the grid that the state has come to."""
        grid = self.state.grid(self.wanted.series, Grid())
        header = self.wanted.series.header(grid, f"fetch {self._mark.kind}", __version__)
        if self._writer is None:
            marked = {MARK: msgspec.json.encode(self._mark)}
            self._writer = TickWriter(self._store.root, header, marked)
        elif grid != self._grid:
            if not self._writer.widen(header, partial(rescale, before=self._grid, after=grid)):
                raise FinerGridError(self.wanted.series.key, grid)
            for bars in self._bars:
                _rescale_bars(bars, self._grid, grid)
        self._grid = grid
        return self._writer

    def commit(self) -> list[Written]:
        """Let it be seen."""
        writer = self._ready()
        try:
            for bars in self._bars:
                writer.add_bars(bars)
            if not self.rows:
                writer.touch(self.day, self.wanted.table)
            files = writer.commit()
        except OSError as error:
            raise self._failed(error) from error
        self._writer = None  # there is nothing to be undone any more
        return files

    def abandon(self) -> None:
        """Leave nothing behind."""
        if self._writer is not None:
            self._writer.abandon()

    def _failed(self, error: OSError) -> TickdError:
        where = error.filename or self._store.root
        return TickdError(f"{where} could not be written ({error.strerror or error})")

    @property
    def findings(self) -> dict[str, Finding]:
        """What is wrong in it."""
        checks = self.state.checks.get(self.wanted.series.key)
        return checks.findings if checks is not None else {}
