"""Arrays of events as hftbacktest reads them (an npz or npy of 64-byte records), to ticks and depth.

What was received counts: rows with the local flag, in their order; a row with the exchange's flag alone is
the same event at another place. A pair of best-quote rows, bid then ask, is a quote. Ids are not in the form.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from daemon.errors import FileFormatError
from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.forms.base import FinerGridError, Grid, Piece, Series
from daemon.tape.forms.texts import open_text
from daemon.tape.ticks import Block
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
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from daemon.tape.dirty import Checks
    from daemon.tape.forms.base import State

    Ints = NDArray[np.int64]

EVENT: Final = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ]
)
# --- what `ev` holds: a kind in its lowest byte, and flags --------------------------------------------------
EV_DEPTH: Final = 1
EV_TRADE: Final = 2
EV_CLEAR: Final = 3
EV_SNAPSHOT: Final = 4
EV_BBO: Final = 5
EV_EXCH: Final = 1 << 31
EV_LOCAL: Final = 1 << 30
EV_BUY: Final = 1 << 29
EV_SELL: Final = 1 << 28
_KIND: Final = 0xFF

MAGIC: Final = b"\x93NUMPY"
_ROWS: Final = 1 << 16
#: decimals that an exchange may write; a float of more is a quotient
_PLACES_MAX: Final = 12


class Npz(NamedTuple):
    """A file of events of one instrument, which the command line names."""

    series: Series

    def pieces(self, path: Path, state: State) -> Iterator[Piece]:
        """Yield some thousand events after the other."""
        checks = state.checks_of(self.series, path.name, "names")
        reader = _Events(path, self.series, state, checks)
        with open_text(path) as text:
            count = _count(text.stream, path)
            done = 0
            while done < count:
                wanted = min(_ROWS, count - done)
                data = _exactly(text.stream, wanted * EVENT.itemsize)
                if len(data) < wanted * EVENT.itemsize:
                    torn = done + len(data) // EVENT.itemsize + 1
                    raise FileFormatError(
                        f"{path} is truncated: it ends in event {torn:,} of {count:,}; copy it again"
                    )
                block = reader.read(np.frombuffer(data, EVENT), done + 1, last=done + wanted == count)
                done += wanted
                checks.look(block)
                yield Piece(self.series, block, text.raw.tell())
            if text.stream.read(1):
                raise FileFormatError(f"{path} goes on behind its {count:,} events; it is damaged")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    parts = []
    while size and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def _count(stream: BinaryIO, path: Path) -> int:
    """Read an array's head; return how many events follow."""
    head = _exactly(stream, 10)
    size = int.from_bytes(head[8:10], "little")
    try:
        if head[6:7] != b"\x01":
            raise ValueError(f"version {head[6:7]!r}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(
            io.BytesIO(head[8:] + _exactly(stream, size))
        )
    except (ValueError, EOFError) as error:
        raise FileFormatError(f"{path} has no head that can be read ({error}); name another file") from None
    if len(shape) != 1 or fortran or dtype != EVENT:
        raise FileFormatError(
            f"{path} is an array of {dtype}, and no events of hftbacktest; name another file"
        )
    return int(shape[0])


class _Events:
    """Events in order, to blocks; an update's levels, and a pair of quotes, may go on in the next."""

    def __init__(self, path: Path, series: Series, state: State, checks: Checks) -> None:
        self._path = path
        self._series = series
        self._state = state
        self._checks = checks
        self._rest = np.zeros(0, EVENT)
        self._rest_rows: Ints = np.zeros(0, np.int64)
        self._group: tuple[int, ...] = ()  # of the last row: kind, and both times

    def read(self, events: NDArray[np.void], row: int, *, last: bool) -> Block:
        """Return the next events' rows."""
        rows = np.arange(row, row + len(events))
        local = (events["ev"] & EV_LOCAL) != 0
        events = np.concatenate([self._rest, events[local]])
        rows = np.concatenate([self._rest_rows, rows[local]])
        kinds = (events["ev"] & _KIND).astype(np.int64)
        # half a pair waits for its other half
        keep = len(events) - int(not last and len(events) > 0 and kinds[-1] == EV_BBO)
        self._rest, self._rest_rows = events[keep:], rows[keep:]
        events, rows, kinds = events[:keep], rows[:keep], kinds[:keep]
        sides = ((events["ev"] & EV_BUY) != 0).astype(np.int64) - ((events["ev"] & EV_SELL) != 0)
        bid = np.zeros(len(events), np.bool_)
        if len(events) > 1:
            bid[:-1] = (kinds[:-1] == EV_BBO) & (kinds[1:] == EV_BBO) & (sides[:-1] == 1) & (sides[1:] == -1)
        ask = np.concatenate(([False], bid[:-1])) if len(bid) else bid
        known = np.isin(kinds, (EV_DEPTH, EV_TRADE, EV_SNAPSHOT, EV_CLEAR)) | bid | ask
        stamps: Ints = events["local_ts"]
        self._checks.mark("frame", ~known, rows, stamps, lambda k: f"an event of kind {kinds[k]} is not kept")
        wrong = (
            known
            & (kinds != EV_CLEAR)
            & ~(
                np.isfinite(events["px"])
                & np.isfinite(events["qty"])
                & (events["px"] > 0)
                & (events["qty"] >= 0)
            )
        )
        self._checks.mark(
            "value", wrong, rows, stamps, lambda k: f"px {events['px'][k]}, qty {events['qty'][k]}"
        )
        good = known & ~wrong & (kinds != EV_CLEAR)
        if len(good):
            bid[:-1] &= good[:-1] & good[1:]
            ask[1:] = bid[:-1]
        good &= bid | ask | (kinds != EV_BBO)
        return self._block(events[good], rows[good], kinds[good], sides[good], ask[good])

    def _block(
        self, events: NDArray[np.void], rows: Ints, kinds: Ints, sides: Ints, ask: NDArray[np.bool_]
    ) -> Block:
        prices, sizes = self._counts(events["px"], events["qty"])
        level = (kinds == EV_DEPTH) | (kinds == EV_SNAPSHOT)
        # levels of one kind and moment are one update; everything else is an event of its own
        moment = np.stack([kinds, events["local_ts"], events["exch_ts"]])
        new = np.ones(len(events), np.bool_)
        if len(events):
            new[1:] = np.any(np.diff(moment, axis=1) != 0, axis=0) | ~level[1:]
            new[0] = not level[0] or tuple(moment[:, 0].tolist()) != self._group
            self._group = tuple(moment[:, -1].tolist())
        seqs = self._state.seq - 1 + np.cumsum(new & ~ask)
        if len(seqs):
            self._state.seq = int(seqs[-1]) + 1
        tick = ~level & ~ask
        t = no_ticks(int(tick.sum()))
        quote = kinds[tick] == EV_BBO
        t[T_SEQ], t[T_ROW] = seqs[tick], rows[tick]
        t[T_WIRE_NS], t[T_EXCH_NS], t[T_END] = events["local_ts"][tick], events["exch_ts"][tick], 1
        t[T_KIND], t[T_ID] = np.where(quote, QUOTE, TRADE), -1
        t[T_SIDE] = np.where(quote, 0, sides[tick])
        t[T_A], t[T_B] = prices[tick], sizes[tick]
        t[T_C, quote], t[T_D, quote] = prices[ask], sizes[ask]
        d = no_depth(int(level.sum()))
        d[D_SEQ], d[D_ROW], d[D_END] = seqs[level], rows[level], 1
        d[D_WIRE_NS], d[D_EXCH_NS] = events["local_ts"][level], events["exch_ts"][level]
        d[D_SNAPSHOT], d[D_SIDE] = kinds[level] == EV_SNAPSHOT, sides[level]
        d[D_FIRST] = d[D_LAST] = d[D_PREV] = -1
        d[D_PRICE], d[D_SIZE] = prices[level], sizes[level]
        return Block(t, d)

    def _counts(self, prices: NDArray[np.float64], sizes: NDArray[np.float64]) -> tuple[Ints, Ints]:
        grid = self._state.grid(self._series, Grid())
        finer = Grid(self._places(prices, grid.price_places), self._places(sizes, grid.size_places))
        if finer != grid:
            raise FinerGridError(self._series.key, finer)
        return (
            np.rint(prices * 10.0**grid.price_places).astype(np.int64),
            np.rint(sizes * 10.0**grid.size_places).astype(np.int64),
        )

    def _places(self, values: NDArray[np.float64], at_least: int) -> int:
        """Return the fewest decimals, from `at_least` on, that give every float back to the bit."""
        for places in range(at_least, _PLACES_MAX + 1):
            if np.all(np.rint(values * 10.0**places) / 10.0**places == values):
                return places
        raise FileFormatError(
            f"{self._path} holds prices or sizes with over {_PLACES_MAX} decimals, so they were made by "
            "arithmetic: round them first"
        )
