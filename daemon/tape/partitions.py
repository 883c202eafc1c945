"""Writing typed ticks: a folder exchange/symbol/date, files under temporary names until all of it is whole.

    writer = TickWriter(root, header)
    writer.add(block) ...
    files = writer.commit()         or writer.abandon(): nothing is left behind

Rows go to disk a row group at a time, so that memory does not grow with the input. An instrument's folder of
a day is written once: one that exists already is refused before anything is done.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daemon.errors import TickdError, UsageError
from daemon.tape.columns import SCHEMAS, bars_table, depth_table, no_depth, no_ticks, ticks_table
from daemon.tape.ticks import GROUP_ROWS, METADATA, Block
from kernels.columns import D_WIRE_NS, T_WIRE_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.tape.columns import Table
    from daemon.tape.ticks import Header

    Ints = NDArray[np.int64]

#: rows of one file
PART_ROWS: Final = 1 << 24
_DAY_NS: Final = 86_400_000_000_000
_FILE_MODE: Final = 0o600
#: a sixth faster than 3, and half a percent larger
_ZSTD_LEVEL: Final = 1
#: what grows slowly is written as differences; levels and sides repeat themselves
_LIKE_A_DICTIONARY: Final = {
    "ticks": ["kind", "side"],
    "depth": ["side", "price", "size"],
    "bars": [],
}
#: what readers seek by
_SOUGHT: Final = ["seq", "wire_ns", "open_ns"]


class Written(msgspec.Struct, frozen=True):
    """One file."""

    path: str
    table: str
    rows: int
    bytes: int


class TableFile:
    """One Parquet file in the making, beside its final name."""

    def __init__(
        self, path: Path, header: Header, schema: pa.Schema, metadata: Mapping[bytes, bytes]
    ) -> None:
        self.path = path
        self.rows = 0
        self._published = False
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._table = header.table
        self._schema = schema.with_metadata({METADATA: msgspec.json.encode(header), **metadata})
        alike = [name for name in _LIKE_A_DICTIONARY[header.table] if name in schema.names]
        deltas = [
            one.name for one in schema if one.name not in alike and one.type in {pa.int64(), pa.int32()}
        ]
        self._temporary.touch(_FILE_MODE, exist_ok=True)
        self._writer = pq.ParquetWriter(
            self._temporary,
            self._schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            use_dictionary=alike,
            column_encoding=dict.fromkeys(deltas, "DELTA_BINARY_PACKED"),
            write_statistics=[name for name in _SOUGHT if name in schema.names],
        )

    def write(self, table: pa.Table) -> None:
        """Append one row group."""
        self._writer.write_table(table.cast(self._schema), row_group_size=table.num_rows)
        self.rows += table.num_rows

    def close(self) -> None:
        """Write the footer; the file keeps its temporary name."""
        self._writer.close()

    def publish(self) -> Written:
        """Give it its name."""
        self._temporary.replace(self.path)
        self._published = True
        return Written(str(self.path), self._table, self.rows, self.path.stat().st_size)

    def discard(self) -> None:
        """Remove it, whatever state it is in."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        (self.path if self._published else self._temporary).unlink(missing_ok=True)


class _Queue:
    """Rows of one day and table on their way into files."""

    def __init__(self, make: Callable[[], TableFile], convert: Callable[[Ints], pa.Table]) -> None:
        self._make = make
        self._convert = convert
        self.waiting: list[Ints] = []
        self._count = 0
        self._file: TableFile | None = None

    def add(self, rows: Ints) -> None:
        """Take rows; whole row groups of them are written."""
        if not rows.shape[1]:
            return
        self.waiting.append(rows)
        self._count += rows.shape[1]
        while self._count >= GROUP_ROWS:
            self._write(GROUP_ROWS)

    def touch(self) -> None:
        """Have a file, whatever comes."""
        if self._file is None:
            self._file = self._make()

    def end(self) -> None:
        """Write what waits."""
        if self._count:
            self._write(self._count)
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, rows: int) -> None:
        waiting = self.waiting[0] if len(self.waiting) == 1 else np.concatenate(self.waiting, axis=1)
        now, later = waiting[:, :rows], waiting[:, rows:]
        # a copy: what waits must not hold the memory of what was written
        self.waiting = [later.copy()] if later.shape[1] else []
        self._count = later.shape[1]
        if self._file is None:
            self._file = self._make()
        self._file.write(self._convert(now))
        if self._file.rows >= PART_ROWS:
            self._file.close()
            self._file = None


class TickWriter:
    """All files of one instrument.

    metadata: what stands in their metadata beside the header, of whoever knows what may be replaced: their
    days' folders are no reason for a refusal then, and files of the same names are written over.
    """

    def __init__(self, root: Path, header: Header, metadata: Mapping[bytes, bytes] | None = None) -> None:
        self._metadata = metadata
        self._folder = folder_of(root, header)
        self._header = header
        self._days: dict[str, dict[Table, _Queue]] = {}
        self._files: list[TableFile] = []
        self._made: list[Path] = []
        self._dates: set[str] = set()
        self._parts: dict[tuple[str, str], int] = {}

    def add(self, block: Block) -> None:
        """Take the next rows; raises UsageError where their day's folder is already there."""
        self._add("ticks", block.ticks, block.ticks[T_WIRE_NS])
        self._add("depth", block.depth, block.depth[D_WIRE_NS])

    def add_bars(self, rows: Ints) -> None:
        """Take bars, int64[columns of BARS, n]."""
        self._add("bars", rows, rows[0])

    def widen(self, header: Header, rescaled: Callable[[Block], None]) -> bool:
        """Take over finer steps, if nothing was written yet; `rescaled` counts a block's rows by them."""
        if self._files:
            return False
        self._header = header
        for queues in self._days.values():
            for ticks in queues["ticks"].waiting:
                rescaled(Block(ticks, no_depth()))
            for depth in queues["depth"].waiting:
                rescaled(Block(no_ticks(), depth))
        return True

    def _add(self, table: Table, rows: Ints, times_ns: Ints) -> None:
        if not rows.shape[1]:
            return
        days = times_ns // _DAY_NS
        first, last = int(days.min()), int(days.max())
        if first == last:
            self._queue(first, table).add(rows)
            return
        for day in np.unique(days).tolist():
            self._queue(day, table).add(rows[:, days == day])

    def _queue(self, day: int, table: Table) -> _Queue:
        date = str(np.datetime64(day, "D"))
        queues = self._days.get(date)
        if queues is None:
            # what is before the day before will not go on; if it does, it gets another file
            for old in sorted(self._days)[:-1]:
                self._end(old)
            if date not in self._dates:
                self._make_folder(self._folder / f"date={date}")
                self._dates.add(date)
            queues = self._days[date] = {
                name: _Queue(lambda name=name: self._new_file(date, name), convert)  # type: ignore[misc]
                for name, convert in CONVERTERS.items()
            }
        return queues[table]

    def _end(self, date: str) -> None:
        for queue in self._days.pop(date).values():
            queue.end()

    def _new_file(self, date: str, table: Table) -> TableFile:
        folder = self._folder / f"date={date}"
        number = self._parts[date, table] = self._parts.get((date, table), -1) + 1
        header = msgspec.structs.replace(self._header, table=table)
        path = folder / f"{table}-{number:05}.parquet"
        file = TableFile(path, header, SCHEMAS[table], self._metadata or {})
        self._files.append(file)
        return file

    def _make_folder(self, folder: Path) -> None:
        if (
            self._metadata is None
            and folder.is_dir()
            and any(one.suffix == ".parquet" for one in folder.iterdir())
        ):
            raise UsageError(
                f"{folder} is there already and is not overwritten: name another --out, or remove it"
            )
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for one in reversed(missing):
            try:
                one.mkdir(0o700)
            except OSError as error:
                raise TickdError(f"the folder {one} cannot be made ({error.strerror})") from None
            self._made.append(one)

    def commit(self) -> list[Written]:
        """Give all files their names, the first one last; return what there is."""
        for date in sorted(self._days):
            self._end(date)
        return [one.publish() for one in reversed(self._files)][::-1]

    def touch(self, day: int, table: Table) -> None:
        """Have a file of a day, even if no row comes."""
        self._queue(day, table).touch()

    def abandon(self) -> None:
        """Remove everything that was written, published or not."""
        for file in self._files:
            file.discard()
        for folder in reversed(self._made):
            with suppress(OSError):  # somebody else's file is in it
                folder.rmdir()


CONVERTERS: Final[dict[Table, Callable[[Any], pa.Table]]] = {
    "ticks": ticks_table,
    "depth": depth_table,
    "bars": bars_table,
}


def folder_of(root: Path, header: Header) -> Path:
    """Return an instrument's folder: BTC/USDT:USDT is symbol=BTC-USDT_USDT."""
    symbol = header.symbol.replace("/", "-").replace(":", "_")
    return root / f"exchange={header.exchange}" / f"symbol={symbol}"
