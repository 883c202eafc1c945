"""Captures of Binance, `local_ns json` lines (daemon/tape/capture.py), to ticks and depth.

Frames of a known shape are read many in one compiled call (kernels.frames); whatever is not plain goes by the
typed decoder, as in the live feed, which counts what is wrong with it, or teaches the kernel its shape.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.shapes import learn
from daemon.instruments import make_instrument
from daemon.tape.capture import capture_instrument, read_lines
from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.forms.base import FinerGridError, Grid, Piece, Series, State, count_of, decimals_of
from daemon.tape.ticks import Block, places, rescale
from kernels import frames
from kernels.columns import (
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
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.levels import ERROR_NAMES, make_grid, make_scratch
from kernels.message import sides
from kernels.shapes import S_FIRST, S_ID, S_PREV, S_TIME, STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from daemon.feeds.base import Decoder, Event
    from daemon.instruments import Instrument
    from daemon.tape.dirty import Checks

    Ints = NDArray[np.int64]

#: decimals of the numbers of a message, their trailing zeros aside
_DECIMALS: Final = re.compile(rb"\d\.(\d*?)0*(?![\d])")
_TRADE_ID: Final = re.compile(rb'"t":(\d{1,18})')
_LINE: Final = b'1 {"lastUpdateId":1,"bids":[["1","1"]],"asks":[["2","1"]]}'
#: frames looked at for a first grid; a number that does not fit it makes it finer
_SCAN_FRAMES: Final = 256
_KINDS: Final = (QUOTE, TRADE, DEPTH)
_INT_MAX: Final = 2**63 - 1


class Captures:
    """A capture is of one instrument, which its first frames name."""

    def pieces(self, path: Path, state: State) -> Iterator[Piece]:
        """Yield a chunk's rows after the other."""
        instrument = capture_instrument(path, scanned=_SCAN_FRAMES)
        series = Series(
            exchange=instrument.exchange,
            market=instrument.market,
            symbol=instrument.symbol,
            exchange_symbol=instrument.exchange_symbol,
            clock="received",
        )
        found = Grid(places(str(instrument.tick_size)), places(str(instrument.lot_size)))
        checks = state.checks_of(series, path.name)
        state.at_least(series, found)
        reader = FrameReader(instrument, BinanceDecoder([instrument]), series, state, checks)
        row = 1
        for lines in read_lines(path):
            last = np.ones(len(lines), np.int64)
            where = lines.starts, lines.ends, lines.wires_ns
            block = reader.read(lines.text, *where, last, state.seq, row)
            checks.look(block)
            yield Piece(series, block, lines.read_bytes)
            state.seq += len(lines)
            row += len(lines)


class FrameReader:
    """Frames of one instrument to its rows."""

    def __init__(
        self, instrument: Instrument, decoder: Decoder, series: Series, state: State, checks: Checks
    ) -> None:
        # the kernel multiplies by nothing: whose quantities are told in contracts has no keys
        assert instrument.told_size == 1 or not decoder.keys
        self._instrument = instrument
        self._decoder = decoder
        self._series = series
        self._state = state
        self._grid = grid = state.grids[series.key]
        self._checks = checks
        self._streams = np.zeros(len(_KINDS), STREAM)
        self._streams["instrument"], self._streams["kind"] = instrument.index, _KINDS
        self._streams["time_unit_ns"] = decoder.time_unit_ns
        self._steps = np.tile(make_grid(grid.price_places, 1, grid.size_places, 1), (len(_KINDS), 1))
        self._scratch = make_scratch()
        self._ticks = no_ticks()
        self._depth = no_depth()
        self.no_block = Block(no_ticks(), no_depth())

    def read(
        self,
        buf: bytes,
        starts: Ints,
        ends: Ints,
        wire_ns: Ints,
        last: Ints,
        seq: int,
        row: int,
        rows: Ints | None = None,
    ) -> Block:
        """Return the rows of frames, which count from `seq` on and stand in the file from `row` on.

        rows: where each of them stands, for what is told of it, if not one after the other.
        """
        if self._ticks.shape[1] < len(starts):
            self._ticks = no_ticks(len(starts))
        levels = len(buf) // frames.LEVEL_BYTES + len(starts)
        if self._depth.shape[1] < levels:
            self._depth = no_depth(levels)
        k = n = m = 0
        while True:
            k, n, m = frames.read(
                buf,
                starts,
                ends,
                wire_ns,
                last,
                k,
                seq,
                row,
                self._streams,
                self._steps,
                self._ticks,
                n,
                self._depth,
                m,
            )
            if k == len(starts):
                break
            payload = buf[starts[k] : ends[k]]
            told = row + k if rows is None else int(rows[k])
            n, m = self._decode(payload, int(wire_ns[k]), int(last[k]), seq + k, row + k, told, n, m)
            k += 1
        return Block(self._ticks[:, :n].copy(), self._depth[:, :m].copy())

    def event(self, event: Tick | Depth | Snapshot, last: int, seq: int, row: int) -> Block:
        """Return the rows of one event; raises FrameError for levels that cannot be read."""
        if isinstance(event, Tick):
            self._ticks = no_ticks(1) if not self._ticks.shape[1] else self._ticks
            self._put(event, last, seq, row, 0, 0)
            return Block(self._ticks[:, :1].copy(), self.no_block.depth)
        levels = len(event.payload) // frames.LEVEL_BYTES + 1
        if self._depth.shape[1] < levels:
            self._depth = no_depth(levels)
        _, m = self._put(event, last, seq, row, 0, 0)
        return Block(self.no_block.ticks, self._depth[:, :m].copy())

    # --- frames of no known shape --------------------------------------------------------------------------
    def _decode(
        self, payload: bytes, wire_ns: int, last: int, seq: int, row: int, told: int, n: int, m: int
    ) -> tuple[int, int]:
        """Take a frame by the typed decoder; return how many ticks and levels there now are."""
        try:
            event = self._decoder.decode(payload, wire_ns)
            for one in event if isinstance(event, list) else [event]:
                if isinstance(one, Tick | Depth):
                    self._learn(one, payload)
                if isinstance(one, Tick | Depth | Snapshot):
                    n, m = self._put(one, last, seq, row, n, m)
                elif one.kind == "no_print" and (number := _TRADE_ID.search(payload)):
                    self._checks.leave_out(np.array([int(number[1])]))
        except FrameError as error:
            self._checks.note("frame", told, wire_ns, f"{error.reason}: {error}")
        return n, m

    def _learn(self, event: Tick | Depth, payload: bytes) -> None:
        kind = event.kind if isinstance(event, Tick) else DEPTH
        at = _KINDS.index(kind)
        if payload[: self._decoder.key_size] in self._decoder.keys:
            stream = self._streams[at : at + 1]
            agrees = partial(_agrees, event, self._decoder.time_unit_ns)
            learn(stream, payload, self._decoder.fields[kind], agrees)

    def _put(
        self, event: Tick | Depth | Snapshot, last: int, seq: int, row: int, n: int, m: int
    ) -> tuple[int, int]:
        """Put an event behind n ticks and m levels; where it has more decimals, they get as many."""
        while True:
            try:
                if isinstance(event, Tick):
                    self._put_tick(event, last, seq, row, n)
                    return n + 1, m
                return n, self._put_levels(event, last, seq, row, m)
            except FinerGridError as finer:
                rescale(Block(self._ticks[:, :n], self._depth[:, :m]), self._grid, finer.grid)
                self._grid = finer.grid
                self._steps[:] = make_grid(finer.grid.price_places, 1, finer.grid.size_places, 1)
                self._state.widen(self._series, finer.grid)

    def _put_tick(self, tick: Tick, last: int, seq: int, row: int, n: int) -> None:
        grid = self._grid
        quote = tick.kind == QUOTE
        prices = (tick.a, tick.c) if quote else (tick.a,)
        try:
            sizes = [self._instrument.exact_qty(one) for one in ((tick.b, tick.d) if quote else (tick.b,))]
        except ValueError as error:
            raise FrameError("qty", str(error)) from None
        finer = Grid(
            max(grid.price_places, *map(decimals_of, prices)), max(grid.size_places, *map(decimals_of, sizes))
        )
        if finer != grid:
            raise FinerGridError(self._series.key, finer)
        t = self._ticks[:, n]
        t[T_SEQ], t[T_ROW], t[T_WIRE_NS], t[T_EXCH_NS], t[T_END] = seq, row, tick.wire_ns, tick.exch_ns, last
        t[T_KIND], t[T_ID] = tick.kind, tick.id
        t[T_SIDE] = 0 if quote else int(tick.c)
        t[T_A], t[T_B] = count_of(tick.a, grid.price_places), count_of(sizes[0], grid.size_places)
        t[T_C] = count_of(tick.c, grid.price_places) if quote else 0
        t[T_D] = count_of(sizes[1], grid.size_places) if quote else 0

    def _put_levels(self, event: Depth | Snapshot, last: int, seq: int, row: int, m: int) -> int:
        """Read a message's levels by as many decimals as any of its numbers has, so that none is rounded."""
        grid = self._grid
        finest = max((len(one) for one in _DECIMALS.findall(event.payload)), default=0)
        bids, asks = sides(event.payload, make_grid(finest, 1, finest, 1), self._scratch)
        if bids < 0:
            reason = ERROR_NAMES.get(bids, "levels")
            raise FrameError(reason, f"the levels cannot be read at byte {asks} ({reason})")
        count = max(bids + asks, 1)
        d = self._depth[:, m : m + count]
        d[D_SEQ], d[D_ROW], d[D_WIRE_NS], d[D_END] = seq, row, event.wire_ns, last
        if isinstance(event, Depth):
            d[D_EXCH_NS], d[D_SNAPSHOT] = event.exch_ns, 0
            d[D_FIRST], d[D_LAST], d[D_PREV] = event.first_id, event.last_id, event.prev_id
        else:
            d[D_EXCH_NS], d[D_SNAPSHOT] = 0, 1
            d[D_FIRST], d[D_LAST], d[D_PREV] = event.last_id, event.last_id, -1
        d[D_SIDE, :bids], d[D_SIDE, bids:] = 1, -1
        if not bids + asks:
            d[D_SIDE] = d[D_PRICE] = d[D_SIZE] = 0
            return m + count
        ticks = np.concatenate([self._scratch[0, :bids], self._scratch[2, :asks]])
        lots = np.concatenate([self._scratch[1, :bids], self._scratch[3, :asks]])
        lots, size_finest = self._of_base(lots, finest)
        finer = Grid(*map(max, grid, (_places(ticks, finest), _places(lots, size_finest))))
        if finer != grid:
            raise FinerGridError(self._series.key, finer)
        d[D_PRICE] = _rescaled(ticks, finest, grid.price_places)
        d[D_SIZE] = _rescaled(lots, size_finest, grid.size_places)
        return m + count

    def _of_base(self, told: Ints, decimals: int) -> tuple[Ints, int]:
        """Return sizes in our unit, and how many decimals they have; raises FrameError beyond 64 bits."""
        _, digits, exponent = self._instrument.told_size.normalize().as_tuple()
        assert isinstance(exponent, int)
        factor = int("".join(map(str, digits))) * 10 ** max(0, exponent)
        if int(told.max(initial=0)) > _INT_MAX // factor:
            raise FrameError("overflow", "sizes in contracts, of the base, do not fit into 64 bits")
        return told * factor, decimals + max(0, -exponent)


def compile_kernels() -> None:
    """Compile, or load from the cache, what reads frames: one line of a made-up capture goes through it."""
    instrument = make_instrument(
        0,
        "binance",
        "spot",
        "BTC/USDT",
        tick_size="1",
        lot_size="1",
        qty_min="1",
        qty_max="9",
        notional_min="1",
    )
    series = Series(
        exchange="binance", market="spot", symbol="BTC/USDT", exchange_symbol="BTCUSDT", clock="received"
    )
    state = State({series.key: Grid()})
    reader = FrameReader(
        instrument, BinanceDecoder([instrument]), series, state, state.checks_of(series, "compiling")
    )
    starts, ends, wire_ns = np.empty((3, 1), np.int64)
    frames.split(_LINE, starts, ends, wire_ns)
    reader.read(_LINE, starts, ends, wire_ns, np.ones(1, np.int64), 0, 1)


def _places(counts: Ints, decimals: int) -> int:
    """Return how many decimals numbers need that are counted in 10**-decimals."""
    while decimals > 0 and not np.any(counts % 10):
        counts = counts // 10
        decimals -= 1
    return decimals


def _rescaled(counts: Ints, decimals: int, to: int) -> Ints:
    factor = 10 ** abs(to - decimals)
    rescaled: Ints = counts * factor if to >= decimals else counts // factor
    return rescaled


def _agrees(event: Event, unit_ns: int, ints: list[int], floats: list[float]) -> bool:
    """Whether a kernel read of a frame what the typed decoder read."""
    if isinstance(event, Depth):
        return [ints[slot] for slot in (S_FIRST, S_ID, S_PREV)] == [
            event.first_id,
            event.last_id,
            event.prev_id,
        ]
    assert isinstance(event, Tick)
    prices = [event.a, event.b, event.c, event.d]
    return floats == prices and (ints[S_ID], ints[S_TIME] * unit_ns) == (event.id, event.exch_ns)
