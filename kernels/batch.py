"""Feature rows over arrays of ticks: the live step and row in one loop, equal to the live rows bit for bit.

    states = new_states(symbols, tuning)
    advance(states, s, ticks, books, at, columns, out)     ticks: TICK[n] of symbol s, following those before

`out[m, k]` gets the columns `columns` (places in FEATURES) as they stand after each of the ticks `at`
(ascending, int64[m]): `every(ticks)` for all. float32 rows are the float64 ones, rounded. What none of the
columns is made of is not worked out, and what nothing has changed is not worked out again.

`books[m, 2, BOOK_LEVELS, 2]` has for each DEPTH tick of `ticks`, in order, the book's levels as the live
daemon had them (kernels.book.top); the tick's own numbers are then not looked at. NO_BOOKS where they are not
known: the features of `near_levels` stay NaN.

Ticks and rows may be memory-mapped, and a long run be taken in pieces, because the state stays. A map of
ticks is opened copy-on-write (`mode="c"`), since a read-only array would be another type and be compiled for.
Symbols share nothing, and the loop holds no lock of the interpreter: a thread each runs them side by side.

The state stands in a record, because in plain arrays the references to them are counted again and again: 165
ns a tick instead of 90.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels import features
from kernels.dtypes import BOOK_LEVELS, DEPTH, QUOTE, TRADE
from kernels.feature_state import I_BARS, I_RESTARTS
from kernels.features import FEATURE_FLOATS, FEATURE_INTS, FEATURES

#: one symbol's state between two calls
STATE: Final = np.dtype(
    [
        ("f", "f8", (FEATURE_FLOATS,)),
        ("i", "i8", (FEATURE_INTS,)),
        ("row", "f8", (len(FEATURES),)),
        ("stale", "i8"),  # bits: parts of `row` that something has changed since
    ],
    align=True,
)

#: the books of ticks that came without
NO_BOOKS: Final = np.zeros((0, 2, BOOK_LEVELS, 2))

# the parts of a row, in the order of features.row
_RATES: Final = 1
_QUOTES: Final = 2
_BARS: Final = 4
_TRADES: Final = 8
_DEPTH: Final = 16
_ALL: Final = 31
_PARTS: Final = np.empty(len(FEATURES), np.int64)
_PARTS[:] = _BARS
for _part, _columns in (
    (_RATES, (features.X_TRADE_RATE, features.X_TRADE_RATE_RATIO, features.X_QUOTE_RATE)),
    (_QUOTES, (*range(features.X_SPREAD, features.X_TOP_EMA + 1), features.X_ORDER_FLOW)),
    (_QUOTES, tuple(range(features.X_EMA_SPREAD, features.X_ZSCORE + 1))),
    (_TRADES, tuple(range(features.X_TRADE_FLOW, features.X_TRADE_SIZE_RATIO + 1))),
    (_TRADES, (features.X_LAST_TRADE, features.X_VWAP)),
    (_DEPTH, (features.X_DEPTH, features.X_DEPTH_EMA)),
    (_DEPTH, tuple(range(features.X_NEAR, features.X_SLOPE_SIDES + 1))),
):
    _PARTS[list(_columns)] = _part


def new_states(symbols: int, tuning: NDArray[np.float64]) -> NDArray[np.void]:
    """Return STATE[symbols] before the first tick; tuning: of kernels.features.bind_tuning, for all."""
    states = np.zeros(symbols, STATE)
    for one in states:
        features.init(one["f"], one["i"], tuning)
    states["row"] = np.nan
    states["stale"] = _ALL
    return states


def places(names: Sequence[str]) -> NDArray[np.int64]:
    """Return the columns of features by their names; raises ValueError for one that there is not."""
    return np.array([FEATURES.index(name) for name in names], np.int64)


def every(ticks: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the `at` that asks for a row after each tick."""
    return np.arange(len(ticks), dtype=np.int64)


@njit(cache=True, nogil=True)
def advance(states: Any, s: int, ticks: Any, books: Any, at: Any, columns: Any, out: Any) -> None:
    """Step symbol s through `ticks`, and write into `out[m, k]` its columns after each of the ticks `at`.

    Raises ValueError where there are books, and not one for each DEPTH tick.
    """
    m = states[s]
    wanted = 0
    whole = columns.size == len(FEATURES)
    for j in range(columns.size):
        wanted |= _PARTS[columns[j]]
        whole = whole and columns[j] == j
    stale = m.stale
    bars = m.i[I_BARS]
    restarts = m.i[I_RESTARTS]
    written = 0
    shown = 0
    for k in range(ticks.size):
        tick = ticks[k]
        if tick.kind == DEPTH and books.shape[0] > 0:
            if shown == books.shape[0]:
                raise ValueError("there are fewer books than DEPTH ticks")
            features.step_book(m.f, m.i, tick.wire_ns, books[shown])
            shown += 1
        else:
            features.step(m.f, m.i, tick.kind, tick.wire_ns, tick.a, tick.b, tick.c, tick.d)
        if tick.kind == QUOTE:
            stale |= _QUOTES | _BARS | _TRADES
        elif tick.kind == TRADE:
            stale |= _TRADES
        elif tick.kind == DEPTH:
            stale |= _DEPTH
        if m.i[I_BARS] != bars:
            stale |= _BARS
            bars = m.i[I_BARS]
        if m.i[I_RESTARTS] != restarts:
            stale = _ALL
            restarts = m.i[I_RESTARTS]
        if written < at.size and at[written] == k:
            _refresh(m, (stale | _RATES) & wanted, tick.wire_ns)
            stale &= ~wanted
            if whole:
                for j in range(len(FEATURES)):
                    out[written, j] = m.row[j]
            else:
                for j in range(columns.size):
                    out[written, j] = m.row[columns[j]]
            written += 1
    m.stale = stale
    if shown < books.shape[0]:
        raise ValueError("there are more books than DEPTH ticks")


@njit(cache=True, forceinline=True)
def _refresh(m: Any, parts: int, now_ns: int) -> None:
    """Work out some parts of a row anew."""
    if parts & _RATES:
        features.row_rates(m.f, m.i, now_ns, m.row)
    if parts & _QUOTES:
        features.row_quotes(m.f, m.i, m.row)
    if parts & _BARS:
        features.row_bars(m.f, m.i, m.row)
    if parts & _TRADES:
        features.row_trades(m.f, m.i, m.row)
    if parts & _DEPTH:
        features.row_depth(m.f, m.i, m.row)
