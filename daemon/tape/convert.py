"""`tickd convert`: market data of many forms to typed ticks in Parquet, and from there to other forms.

What is wrong with the data is counted, located and told of, never mended in silence; `--strict` refuses it.
Files appear whole or not at all: they are written under temporary names, and given their own at the end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from rich.console import Console

from daemon import __version__
from daemon.clock import SystemClock
from daemon.errors import EXIT_DONE, CheckFailedError, FileFormatError, TickdError, UsageError
from daemon.faces.compiling import compiling
from daemon.faces.convert_summary import Advance, show
from daemon.lifetime import interrupted_by_any
from daemon.tape.dirty import Finding, sentence
from daemon.tape.exports import EXPORTS
from daemon.tape.forms.base import FinerGridError, Grid, State
from daemon.tape.forms.captures import compile_kernels
from daemon.tape.forms.table import Wanted, find_source
from daemon.tape.forms.texts import verify_checksum
from daemon.tape.partitions import TickWriter, Written
from daemon.tape.ticks import read_header, rescale
from kernels.columns import D_SEQ, D_SIDE, D_SNAPSHOT, T_KIND
from kernels.dtypes import TRADE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.options import ConvertOptions
    from daemon.tape.forms.base import Piece, Source


#: forms whose frames compiled kernels read
_COMPILED: Final = {"capture", "tape"}
_CLOCKS: Final = {"received": "whoever received it", "exchange": "the exchange alone"}


class Input(msgspec.Struct, kw_only=True):
    """One file that was read."""

    file: str
    form: str
    symbol: str
    bytes: int
    checksum: bool  # it has the SHA-256 that stands beside it
    trades: int = 0
    quotes: int = 0
    depth_updates: int = 0
    snapshots: int = 0
    levels: int = 0
    bars: int = 0


class Converted(msgspec.Struct, kw_only=True):
    """What a conversion did and found."""

    inputs: list[Input]
    outputs: list[Written]
    findings: dict[str, dict[str, Finding]]  # by symbol and kind (daemon/tape/dirty.py)
    left_out: int  # numbered messages that are no ticks: no prints, impossible values
    ticks: int  # trades and quotes
    rows: int  # with every level of the books
    bytes: int  # of all files written
    bytes_per_tick: float  # of the files of trades and quotes; 0: there are none
    bytes_per_row: float  # of all
    seconds: float


def run(options: ConvertOptions) -> int:
    """Convert, and print what came of it; raises TickdError."""
    clock = SystemClock()
    if any(
        find_source(path, _wanted(options))[0] in _COMPILED for path in options.files if not is_ticks(path)
    ):
        with compiling(Console(stderr=True), 1) as step:
            step("frames")
            compile_kernels()
    with interrupted_by_any(), Advance(Console(stderr=True), clock.mono_ns) as advance:
        result = convert(options, clock.mono_ns, advance.to)
    show(result, as_json=options.json)
    return EXIT_DONE


def convert(
    options: ConvertOptions, mono_ns: Callable[[], int], advance: Callable[[str, float], None]
) -> Converted:
    """Write the files' ticks below `options.out`; advance(file's name, part of all that was read)."""
    begun_ns = mono_ns()
    if options.out.suffix in EXPORTS:
        return _export(options, begun_ns, mono_ns)
    for path in options.files:
        if is_ticks(path):
            raise UsageError(f"{path} is ticks already: name an --out that ends in .csv or .npz")
    wanted = _wanted(options)
    sums = [path.is_file() and verify_checksum(path) for path in options.files]
    grids: dict[tuple[str, str], Grid] = {}
    while True:
        work = _Work(options, State(grids), advance)
        try:
            for path, checked in zip(options.files, sums, strict=True):
                work.read(path, *find_source(path, wanted), checked=checked)
            return work.finish(begun_ns, mono_ns)
        except FinerGridError as finer:  # begin anew, with room for the decimals that were found
            work.abandon()
            grids = {**work.state.grids, finer.key: finer.grid}
        except BaseException:
            work.abandon()
            raise


def _wanted(options: ConvertOptions) -> Wanted:
    return Wanted(
        form=options.form,
        exchange=options.exchange,
        market=options.market,
        symbol=options.symbol,
        columns=options.columns,
        unit=options.unit,
    )


def _export(options: ConvertOptions, begun_ns: int, mono_ns: Callable[[], int]) -> Converted:
    """Write one folder or file of ticks in another form."""
    source, out = options.files[0], options.out
    if len(options.files) > 1 or not is_ticks(source):
        raise UsageError(
            f"{out.suffix} is written of one folder of ticks: convert to Parquet first (--out FOLDER)"
        )
    header = read_header(source)
    rows = EXPORTS[out.suffix](source, out)
    size = out.stat().st_size
    return Converted(
        inputs=[Input(file=str(source), form="ticks", symbol=header.symbol, bytes=0, checksum=False)],
        outputs=[Written(str(out), out.suffix[1:], rows, size)],
        findings={},
        left_out=0,
        ticks=0,
        rows=rows,
        bytes=size,
        bytes_per_tick=0.0,
        bytes_per_row=size / rows if rows else 0.0,
        seconds=(mono_ns() - begun_ns) / 1e9,
    )


class _Work:
    """One attempt: all files to all writers."""

    def __init__(self, options: ConvertOptions, state: State, advance: Callable[[str, float], None]) -> None:
        self._options = options
        self.state = state
        self._advance = advance
        self._writers: dict[tuple[str, str], TickWriter] = {}
        self._grids: dict[tuple[str, str], Grid] = {}  # that each writer counts by
        self._clocks: dict[tuple[str, str], tuple[Path, str]] = {}  # and the file that had it first
        self._inputs: list[Input] = []
        self._sizes = {path: _size(path) for path in options.files}
        self._done_bytes = 0

    def read(self, path: Path, form: str, source: Source, *, checked: bool) -> None:
        """Read one file to its writers."""
        size = self._sizes[path]
        all_bytes = max(sum(self._sizes.values()), 1)
        read = Input(file=str(path), form=form, symbol="", bytes=size, checksum=checked)
        try:
            for piece in source.pieces(path, self.state):
                read.symbol = piece.series.symbol
                self._write(piece, form, path)
                _count(read, piece)
                self._advance(path.name, (self._done_bytes + piece.read_bytes) / all_bytes)
        except OSError as error:
            where = error.filename or self._options.out
            raise TickdError(f"{where} could not be written or read ({error.strerror or error})") from error
        if path.is_file() and (now := path.stat().st_size) != size:  # a session's folder may go on
            raise FileFormatError(
                f"{path} grew while it was read ({size:,} to {now:,} bytes): convert it when it is whole"
            )
        self._done_bytes += size
        self._inputs.append(read)

    def _write(self, piece: Piece, form: str, path: Path) -> None:
        key = piece.series.key
        first, before = self._clocks.setdefault(key, (path, piece.series.clock))
        if piece.series.clock != before:
            raise UsageError(
                f"{first} is stamped by {_CLOCKS[before]} and {path} by {_CLOCKS[piece.series.clock]}: "
                f"convert what they tell of {piece.series.symbol} apart"
            )
        grid = self.state.grids[key]
        header = piece.series.header(grid, form, __version__)
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = TickWriter(self._options.out, header)
            self._grids[key] = grid
        if grid != self._grids[key]:
            if not writer.widen(header, partial(rescale, before=self._grids[key], after=grid)):
                raise FinerGridError(key, grid)
            self._grids[key] = grid
        if piece.bars is not None:
            writer.add_bars(piece.bars)
        else:
            writer.add(piece.block)

    def finish(self, begun_ns: int, mono_ns: Callable[[], int]) -> Converted:
        """Give all files their names; with --strict only where nothing was found."""
        findings = {
            f"{key[0]} {key[1]}": one.findings for key, one in self.state.checks.items() if one.findings
        }
        if self._options.strict and findings:
            told = "; ".join(f"{name}: {sentence(found)}" for name, found in findings.items())
            raise CheckFailedError(f"nothing was written (--strict), since the data has faults: {told}")
        outputs = [file for writer in self._writers.values() for file in writer.commit()]
        if not outputs:
            names = ", ".join(path.name for path in self._options.files)
            raise FileFormatError(
                f"{names} held nothing to convert: every row was left out or is no market data"
            )
        of_ticks = [one for one in outputs if one.table == "ticks"]
        ticks, rows = sum(one.rows for one in of_ticks), sum(one.rows for one in outputs)
        return Converted(
            inputs=self._inputs,
            outputs=outputs,
            findings=findings,
            left_out=sum(one.left_out for one in self.state.checks.values()),
            ticks=ticks,
            rows=rows,
            bytes=sum(one.bytes for one in outputs),
            bytes_per_tick=sum(one.bytes for one in of_ticks) / ticks if ticks else 0.0,
            bytes_per_row=sum(one.bytes for one in outputs) / rows if rows else 0.0,
            seconds=(mono_ns() - begun_ns) / 1e9,
        )

    def abandon(self) -> None:
        """Leave nothing behind."""
        for writer in self._writers.values():
            writer.abandon()


def is_ticks(path: Path) -> bool:
    """Whether it is what we write, and no tape."""
    return path.suffix == ".parquet" or (path.is_dir() and next(path.rglob("*.parquet"), None) is not None)


def _size(path: Path) -> int:
    """Return the bytes of a file, or of the files of a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files if one.exists())


def _count(read: Input, piece: Piece) -> None:
    ticks, depth = piece.block
    trades = int(np.count_nonzero(ticks[T_KIND] == TRADE))
    read.trades += trades
    read.quotes += ticks.shape[1] - trades
    read.levels += int(np.count_nonzero(depth[D_SIDE]))
    begins = np.flatnonzero(np.diff(depth[D_SEQ], prepend=-1))
    books = int(np.count_nonzero(depth[D_SNAPSHOT, begins]))
    read.snapshots += books
    read.depth_updates += len(begins) - books
    if piece.bars is not None:
        read.bars += piece.bars.shape[1]
