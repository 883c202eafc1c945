"""Typed ticks in Parquet: what the files say, and reading them in order within bounded memory.

A folder exchange=E/symbol=S/date=D holds, of one instrument and one UTC day, ticks-NNNNN.parquet (trades and
quotes in order) and depth-NNNNN.parquet (a row a level that changed; docs/data.md has the columns). Prices
and sizes are whole counts of steps that stand in the file's metadata, under the key `tickd`, with
the format's version, the instrument and the meaning of the clock.

    for block in read_ticks(path, since_ns=..., until_ns=...):
        block.ticks, block.depth        int64 columns (kernels.columns), seq ascending in each

All that a block's columns hold comes before whatever the next block holds. Days and parts follow one another
by name, so the memory is that of two row groups whatever a folder holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daemon.errors import FileFormatError, UsageError, unread
from daemon.instruments import Market  # noqa: TC001 - msgspec reads the annotation
from daemon.tape.columns import SCHEMAS, Table, depth_columns, no_depth, no_ticks, ticks_columns
from kernels.columns import D_PRICE, D_SEQ, D_SIZE, D_WIRE_NS, T_A, T_B, T_C, T_D, T_SEQ, T_WIRE_NS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

FORMAT: Final = 1
METADATA: Final = b"tickd"
#: rows of a row group: what is in memory at once, and the first answer of a file of any size
GROUP_ROWS: Final = 1 << 17


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of ticks says of itself, as JSON in its metadata."""

    format: int = FORMAT
    table: Table = "ticks"
    exchange: str
    market: Market
    symbol: str  # ccxt's unified form
    exchange_symbol: str
    tick: str  # the price step, a power of ten: "0.01"
    lot: str  # the size step
    money: str = "1"  # of bars: the step of price times size
    #: what wire_ns is: when we received it, or, of sources that do not know that, the exchange's own stamp
    clock: Literal["received", "exchange"] = "received"
    source: str = ""  # the form it was converted from
    tickd: str = ""  # the version that wrote it


class Block(NamedTuple):
    """Trades and quotes, and the levels of depth updates, of one stretch of the record."""

    ticks: Ints  # [T_COLUMNS, n]
    depth: Ints  # [D_COLUMNS, m]


# --- reading ----------------------------------------------------------------------------------------------
def open_part(path: Path) -> tuple[pq.ParquetFile, Header]:
    """Open one file and read its header; raises FileFormatError for one damaged, foreign or newer."""
    try:
        file = pq.ParquetFile(path, memory_map=False)
    except FileNotFoundError as error:
        raise FileFormatError(f"{path} {unread(error)}") from None
    except (OSError, pa.ArrowException) as error:
        size = path.stat().st_size if path.exists() else 0
        raise FileFormatError(
            f"{path} is no whole Parquet file ({_said(error)}; it ends at byte {size}); "
            "copy or convert it again"
        ) from None
    text = (file.schema_arrow.metadata or {}).get(METADATA)
    if text is None:
        raise FileFormatError(f"{path} is Parquet, but not of tickd convert: name another file")
    try:
        version = msgspec.json.decode(text, type=_Version).format
        if version > FORMAT:
            raise FileFormatError(
                f"{path} was written by a newer tickd (format {version}, ours is {FORMAT}); "
                "read it with that one"
            )
        header = msgspec.json.decode(text, type=Header)
    except msgspec.DecodeError as error:
        raise FileFormatError(
            f"{path} has a header that cannot be read ({error}); convert it again"
        ) from None
    schema = SCHEMAS.get(header.table)
    if schema is not None and not file.schema_arrow.remove_metadata().equals(schema):
        raise FileFormatError(f"{path} has other columns than a file of {header.table}; convert it again")
    return file, header


class _Version(msgspec.Struct):
    format: int


def _said(error: BaseException) -> str:
    """Return the first line of what a library said, without a period at its end."""
    return str(error).splitlines()[0].rstrip(".")


def find_parts(path: Path) -> list[Path]:
    """Return the files of ticks and depth below a folder, or the one file, in the order of days and parts.

    Raises FileFormatError where there is none, UsageError where a folder holds several instruments.
    """
    if not path.is_dir():
        return [path]
    found = [
        one
        for prefix in ("ticks-", "depth-")
        for one in path.rglob(f"{prefix}*.parquet")  # a hidden name is no whole file yet
    ]
    if not found and any(path.rglob("bars-*.parquet")):
        raise FileFormatError(
            f"{path} holds bars and no ticks: bars do not say what came when within them; "
            "convert the trades or the quotes of that time"
        )
    if not found:
        raise FileFormatError(f"{path} holds no ticks (ticks-*.parquet, depth-*.parquet); check the name")
    folders = {one.parent.parent for one in found} if path.name[:5] != "date=" else {path}
    if len(folders) > 1:
        names = ", ".join(sorted(one.name for one in folders)[:4])
        raise UsageError(f"{path} holds several instruments ({names}); name the folder of one")
    return sorted(found)


def read_header(path: Path) -> Header:
    """Return what a folder's files, or the one file, say; the steps are those that hold all their numbers."""
    return _common([_header_of(one) for one in find_parts(path)])


def span_of(path: Path) -> tuple[int, int]:
    """Return the earliest and the latest receive time of a folder's or a file's rows, in ns.

    Raises FileFormatError as `read_ticks` does, and where there are no rows.
    """
    found: list[int] = []
    for part in find_parts(path):
        file, _ = open_part(part)
        column = file.schema_arrow.get_field_index("wire_ns")
        with file:
            for number in range(file.num_row_groups):
                seen = file.metadata.row_group(number).column(column).statistics
                if seen is None or not seen.has_min_max:
                    raise FileFormatError(f"{part} does not say which time it is of; convert it again")
                found += [seen.min, seen.max]
    if not found:
        raise FileFormatError(f"{path} holds no ticks: name another folder")
    return min(found), max(found)


def read_ticks(
    path: Path, *, since_ns: int | None = None, until_ns: int | None = None, depth: bool = True
) -> Iterator[Block]:
    """Yield a folder's or a file's record in order, from the first row of each day not before `since_ns` on.

    Rows at or after `until_ns` are left out. `depth=False` leaves the levels out. Numbers count in the steps
    of `read_header(path)`. Raises FileFormatError at a damaged file or one of a newer format.
    """
    parts = find_parts(path)
    common = _common([_header_of(one) for one in parts])
    for folder in sorted({one.parent for one in parts}):
        mine = [one for one in parts if one.parent == folder]
        ticks = _Rows(_of_table(mine, "ticks"), "ticks", common, since_ns, until_ns)
        levels = _Rows(_of_table(mine, "depth") if depth else [], "depth", common, since_ns, until_ns)
        while ticks.fill() | levels.fill():
            # no file of the day has anything up to here that is not in memory
            to = min(ticks.known, levels.known)
            yield Block(ticks.take(to), levels.take(to))


def _of_table(paths: list[Path], table: Table) -> list[Path]:
    return [one for one in paths if _header_of(one).table == table]


def _header_of(path: Path) -> Header:
    file, header = open_part(path)
    file.close()
    return header


def _common(headers: list[Header]) -> Header:
    """Return the first of them with the finest steps of all."""
    tick = step(max(places(one.tick) for one in headers))
    lot = step(max(places(one.lot) for one in headers))
    return msgspec.structs.replace(headers[0], tick=tick, lot=lot)


def places(text: str) -> int:
    """Return how many decimals a step has."""
    return len(text.partition(".")[2])


def step(decimals: int) -> str:
    """Return 10**-decimals as text."""
    return f"0.{'1':0>{decimals}}" if decimals else "1"


def rescale(block: Block, before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Count a block's prices and sizes in finer steps, in place; each as decimals of price and size."""
    price, size = (10 ** (new - old) for old, new in zip(before[:2], after[:2], strict=True))
    for rows, prices, sizes in ((block.ticks, (T_A, T_C), (T_B, T_D)), (block.depth, (D_PRICE,), (D_SIZE,))):
        for column in prices:
            rows[column] *= price
        for column in sizes:
            rows[column] *= size


_END_OF_ALL: Final = np.iinfo(np.int64).max


class _Rows:
    """The rows of one table over a day's files, a row group at a time.

    `known` is the seq up to which all rows are in memory: the last event of a row group may go on in the next
    one, so it is kept until that is read.
    """

    def __init__(
        self, paths: list[Path], table: Table, common: Header, since_ns: int | None, until_ns: int | None
    ) -> None:
        self._groups = _groups(paths, common, since_ns)
        ticks = table == "ticks"
        self._convert = ticks_columns if ticks else depth_columns
        self._wire, self._seq = (T_WIRE_NS, T_SEQ) if ticks else (D_WIRE_NS, D_SEQ)
        self._prices = [T_A, T_C] if ticks else [D_PRICE]
        self._sizes = [T_B, T_D] if ticks else [D_SIZE]
        self._since_ns = since_ns
        self._until_ns = until_ns
        self._held = no_ticks() if ticks else no_depth()
        self._ended = False

    @property
    def known(self) -> int:
        """The seq up to which all rows are in memory."""
        return _END_OF_ALL if self._ended else int(self._held[self._seq, -1]) - 1

    def fill(self) -> bool:
        """Have more than one event in memory, as far as there is more; return whether there is any."""
        while not self._ended and (self._held.shape[1] == 0 or self._one_event()):
            came = next(self._groups, None)
            if came is None:
                self._ended = True
            else:
                batch, price_factor, size_factor = came
                rows = self._within(self._convert(batch))
                rows[self._prices] *= price_factor
                rows[self._sizes] *= size_factor
                self._held = np.concatenate([self._held, rows], axis=1)
        return bool(self._held.shape[1])

    def _within(self, rows: Ints) -> Ints:
        if self._since_ns is not None:
            begun = np.flatnonzero(rows[self._wire] >= self._since_ns)
            if not len(begun):
                return rows[:, :0]
            rows = rows[:, begun[0] :]
            self._since_ns = None
        return rows if self._until_ns is None else rows[:, rows[self._wire] < self._until_ns]

    def _one_event(self) -> bool:
        seqs = self._held[self._seq]
        return bool(seqs[0] == seqs[-1])

    def take(self, to: int) -> Ints:
        """Return the rows up to a seq, and keep the others."""
        count = int(np.searchsorted(self._held[self._seq], to, side="right"))
        taken, self._held = self._held[:, :count], self._held[:, count:]
        return taken


def _groups(
    paths: list[Path], common: Header, since_ns: int | None
) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    """Yield row groups of files one after the other, with what makes their steps the common ones.

    Those that end before a time are not read.
    """
    for path in paths:
        file, header = open_part(path)
        price_factor = 10 ** (places(common.tick) - places(header.tick))
        size_factor = 10 ** (places(common.lot) - places(header.lot))
        column = file.schema_arrow.get_field_index("wire_ns")
        with file:
            for number in range(file.num_row_groups):
                seen = file.metadata.row_group(number).column(column).statistics
                if since_ns is not None and seen is not None and seen.has_min_max and seen.max < since_ns:
                    continue
                try:
                    group = file.read_row_group(number, use_threads=False)
                except (OSError, pa.ArrowException) as error:
                    raise FileFormatError(
                        f"{path} is damaged in row group {number} ({_said(error)}); copy or convert it again"
                    ) from None
                for batch in group.combine_chunks().to_batches():
                    yield batch, price_factor, size_factor
