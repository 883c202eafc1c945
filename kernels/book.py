"""The order book: both sides as sorted integer arrays whose last level is the best price.

Every function takes a book as kernels.dtypes lays it out. A level is (price in ticks, quantity in lots)
and its quantity is absolute: 0 deletes it. The best price is read in O(1); a change costs one search and a
move of the levels better than it, which are few, because most changes happen near the top.

A book is as large as its market needs: 32 bytes a level, from nothing where no depth is streamed to some
5,000 levels a side of a busy one, and 30,000 where the exchange tells of every order there is. What a message
might not fit into is answered FULL, and nothing was done; who keeps the book makes it larger (`grown`) and
asks again. A side that holds BOOK_CAPACITY levels grows no more: the worst one makes room, so the top is
always right and only the far tail, which a snapshot of limited depth never showed whole, is cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, B_BID_LOTS, B_BID_TICKS, BOOK_CAPACITY, BOOK_ROWS, BUY
from kernels.levels import S_ASK_LOTS, S_ASK_TICKS, S_BID_LOTS, S_BID_TICKS
from kernels.message import sides

if TYPE_CHECKING:
    from numpy.typing import NDArray

# the order of a side's rows; numpy's, because numba compiles a version for each plain constant, and a kernel
# is to have one
_ASCENDING: Final[Any] = np.int64(1)
_DESCENDING: Final[Any] = np.int64(-1)

#: `update` and `replace` applied the message, and the best bid is not below the best ask: the book is wrong
CROSSED: Final = -7
#: they did nothing: the book is too small. This, less the levels that its fuller side may come to.
FULL: Final = -1000
#: a grown book has room for a quarter more, in steps of so many levels
_STEP_LEVELS: Final = 64


def make(capacity: int = BOOK_CAPACITY) -> NDArray[np.int64]:
    """Return an empty book with room for so many levels a side."""
    return np.zeros((BOOK_ROWS, 1 + capacity), dtype=np.int64)


def grown(book: NDArray[np.int64], full: int) -> NDArray[np.int64]:
    """Return a copy that has room for what was answered FULL or below."""
    assert full <= FULL
    needed = (FULL - full) * 5 // 4
    copy = make(min(-(-needed // _STEP_LEVELS) * _STEP_LEVELS, BOOK_CAPACITY))
    copy[:, : book.shape[1]] = book
    return copy


def levels(book: NDArray[np.int64], side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ticks and lots of a side (BUY: the bids), best last; views, for whoever only looks."""
    ticks, lots = (
        (book[B_BID_TICKS], book[B_BID_LOTS]) if side == BUY else (book[B_ASK_TICKS], book[B_ASK_LOTS])
    )
    n = int(ticks[0])
    return ticks[1 : n + 1], lots[1 : n + 1]


@njit(cache=True)
def _close_gap(values: NDArray[np.int64]) -> None:
    """Move everything one row down, over the first.

    A view counted from row 0 lets LLVM vectorise: 40 ns for 512 rows, 360 with indices into the whole array.
    """
    for row in range(values.size - 1):
        values[row] = values[row + 1]


@njit(cache=True)
def _open_gap(values: NDArray[np.int64], first: int) -> None:
    """Move everything one row up, over the last, and put `first` into the first row."""
    carried = first
    for row in range(values.size):
        here = values[row]
        values[row] = carried
        carried = here


@njit(cache=True)
def clear(book: NDArray[np.int64]) -> None:
    """Forget every level."""
    book[B_BID_TICKS, 0] = 0
    book[B_ASK_TICKS, 0] = 0


@njit(cache=True, forceinline=True)
def room(book: NDArray[np.int64], n_bids: int, n_asks: int) -> int:
    """Return 0 where so many levels a side fit, or the worst may make room; else FULL less how many."""
    needed = min(max(n_bids, n_asks), BOOK_CAPACITY)
    return 0 if needed < book.shape[1] else FULL - needed


@njit(cache=True)
def _apply_side(
    ticks: NDArray[np.int64],
    lots: NDArray[np.int64],
    n: int,
    new_ticks: NDArray[np.int64],
    new_lots: NDArray[np.int64],
    n_new: int,
    sign: int,
) -> int:
    """Apply n_new absolute levels to a side of n rows, last first; return how many rows there are then.

    `sign` is +1 where rows ascend (bids), -1 where they descend (asks). From the last row a list that has its
    best price first, such as a snapshot, is built by appending only. The levels of a message lie near each
    other: strides that double from one to the next find it in 13 ns, where halving the whole side takes 20.
    """
    low = n
    for row in range(n_new - 1, -1, -1):
        tick, qty = new_ticks[row], new_lots[row]
        wanted = sign * tick
        stride = 1
        if low < n and sign * ticks[low] < wanted:
            low += 1
            high = low
            while high < n and sign * ticks[high] < wanted:
                low = high + 1
                high += stride
                stride <<= 1
            high = min(high, n)
        else:
            high = low
            while low > 0 and sign * ticks[low - 1] >= wanted:
                high = low - 1
                low -= stride
                stride <<= 1
            low = max(low, 0)
        while low < high:
            middle = (low + high) >> 1
            if sign * ticks[middle] < wanted:
                low = middle + 1
            else:
                high = middle
        # row `low` is the first not worse than the level: where it is or belongs
        if low < n and ticks[low] == tick:
            if qty > 0:
                lots[low] = qty
            else:
                n -= 1
                _close_gap(ticks[low : n + 1])
                _close_gap(lots[low : n + 1])
        elif qty > 0:
            n, low = _insert(ticks, lots, n, low, tick, qty)
    return n


@njit(cache=True)
def _insert(
    ticks: NDArray[np.int64], lots: NDArray[np.int64], n: int, at: int, tick: int, qty: int
) -> tuple[int, int]:
    """Insert a level at row `at` of n; the worst of a full side makes room. Return the rows, and its own."""
    if n < ticks.size:
        _open_gap(ticks[at : n + 1], tick)
        _open_gap(lots[at : n + 1], qty)
        return n + 1, at
    if at == 0:
        return n, at
    _close_gap(ticks[:at])
    _close_gap(lots[:at])
    ticks[at - 1] = tick
    lots[at - 1] = qty
    return n, at - 1


@njit(cache=True)
def apply(book: NDArray[np.int64], scratch: NDArray[np.int64], n_bids: int, n_asks: int) -> int:
    """Change the book by what kernels.levels parsed into `scratch`, for which there is `room`.

    Returns how many levels, or CROSSED.
    """
    ticks, lots = book[B_BID_TICKS], book[B_BID_LOTS]
    ticks[0] = _apply_side(
        ticks[1:], lots[1:], ticks[0], scratch[S_BID_TICKS], scratch[S_BID_LOTS], n_bids, _ASCENDING
    )
    ticks, lots = book[B_ASK_TICKS], book[B_ASK_LOTS]
    ticks[0] = _apply_side(
        ticks[1:], lots[1:], ticks[0], scratch[S_ASK_TICKS], scratch[S_ASK_LOTS], n_asks, _DESCENDING
    )
    return CROSSED if _crossed(book) else n_bids + n_asks


@njit(cache=True)
def best_bid(book: NDArray[np.int64]) -> int:
    """Return the highest bid in ticks, 0 when there is none."""
    n = book[B_BID_TICKS, 0]
    return int(book[B_BID_TICKS, n]) if n > 0 else 0


@njit(cache=True)
def best_ask(book: NDArray[np.int64]) -> int:
    """Return the lowest ask in ticks, 0 when there is none."""
    n = book[B_ASK_TICKS, 0]
    return int(book[B_ASK_TICKS, n]) if n > 0 else 0


@njit(cache=True)
def _crossed(book: NDArray[np.int64]) -> bool:
    bid = best_bid(book)
    ask = best_ask(book)
    return bid > 0 and ask > 0 and bid >= ask


@njit(cache=True)
def update(book: NDArray[np.int64], buf: bytes, grid: NDArray[np.int64], scratch: NDArray[np.int64]) -> int:
    """Apply a depth message from its bytes: parse both sides, then change the book; all of it or nothing.

    Returns how many levels it had, CROSSED when the book then makes no sense, or FULL or an error of
    kernels.levels with the book as it was.
    """
    n_bids, n_asks = sides(buf, grid, scratch)
    if n_bids < 0:
        return n_bids
    full = room(book, book[B_BID_TICKS, 0] + n_bids, book[B_ASK_TICKS, 0] + n_asks)
    if full < 0:
        return full
    return change(book, scratch, n_bids, n_asks)


@njit(cache=True)
def change(book: NDArray[np.int64], scratch: NDArray[np.int64], n_bids: int, n_asks: int) -> int:
    """Do as `apply`, but where a price is named twice the last word counts, as exchanges mean it."""
    _turn_round(scratch[S_BID_TICKS : S_BID_LOTS + 1, :n_bids])
    _turn_round(scratch[S_ASK_TICKS : S_ASK_LOTS + 1, :n_asks])
    return int(apply(book, scratch, n_bids, n_asks))


@njit(cache=True)
def _turn_round(rows: NDArray[np.int64]) -> None:
    """Turn the order of levels round."""
    n = rows.shape[1]
    for k in range(n // 2):
        for row in range(2):
            rows[row, k], rows[row, n - 1 - k] = rows[row, n - 1 - k], rows[row, k]


@njit(cache=True)
def replace(book: NDArray[np.int64], buf: bytes, grid: NDArray[np.int64], scratch: NDArray[np.int64]) -> int:
    """Load a snapshot from its bytes in the place of everything; returns as `update` does."""
    n_bids, n_asks = sides(buf, grid, scratch)
    if n_bids < 0:
        return n_bids
    full = room(book, n_bids, n_asks)
    if full < 0:
        return full
    clear(book)
    _best_first(scratch[S_BID_TICKS : S_BID_LOTS + 1, :n_bids], _ASCENDING)
    _best_first(scratch[S_ASK_TICKS : S_ASK_LOTS + 1, :n_asks], _DESCENDING)
    return apply(book, scratch, n_bids, n_asks)


@njit(cache=True)
def _best_first(rows: NDArray[np.int64], sign: int) -> None:
    """Turn a list round where its worst price is first: built so, each level would move all others."""
    n = rows.shape[1]
    if n > 1 and sign * rows[0, 0] < sign * rows[0, n - 1]:
        _turn_round(rows)


@njit(cache=True)
def trim(book: NDArray[np.int64], depth: int) -> None:
    """Forget what lies behind the best `depth` levels of a side: the exchange tells no more of it."""
    for ticks, lots in ((B_BID_TICKS, B_BID_LOTS), (B_ASK_TICKS, B_ASK_LOTS)):
        extra = book[ticks, 0] - depth
        if extra > 0:
            for row in range(1, depth + 1):
                book[ticks, row] = book[ticks, row + extra]
                book[lots, row] = book[lots, row + extra]
            book[ticks, 0] = depth


@njit(cache=True)
def _step(size: float) -> tuple[float, float]:
    """Return (num, base) with size = num / base and base a power of ten, so that values round correctly.

    618001 * 0.1 is 61800.100000000006, 618001 * 1 / 10 is 61800.1: the same float as the exchange's text.
    """
    base = 1.0
    for _ in range(18):
        num = np.rint(size * base)
        if num >= 1.0 and abs(size * base - num) < 1e-9 * num:
            return num, base
        base *= 10.0
    return size, 1.0


@njit(cache=True)
def _fill_side(
    ticks: NDArray[np.int64],
    lots: NDArray[np.int64],
    n: int,
    sign: int,
    price: float,
    qty: float,
    steps: tuple[float, float, float, float],
    out: NDArray[np.float64],
) -> None:
    """Write one side of `top`: the quote's level, then the levels behind it; the rest NaN and 0."""
    num, base, lot_num, lot_base = steps
    level = 0
    row = n - 1
    if price > 0.0:  # false for NaN: no quote yet
        out[0, 0] = price
        out[0, 1] = qty
        level = 1
        quoted = sign * np.rint(price * base / num)
        while row >= 0 and sign * ticks[row] >= quoted:
            row -= 1
    while level < out.shape[0]:
        if row >= 0:
            out[level, 0] = ticks[row] * num / base
            out[level, 1] = lots[row] * lot_num / lot_base
            row -= 1
        else:
            out[level, 0] = np.nan
            out[level, 1] = 0.0
        level += 1


@njit(cache=True)
def top(
    book: NDArray[np.int64],
    bid: float,
    bid_qty: float,
    ask: float,
    ask_qty: float,
    tick_size: float,
    lot_size: float,
    out: NDArray[np.float64],
) -> None:
    """Write the best levels as floats into out[2, L, 2] ([0 bids, 1 asks][level][0 price, 1 quantity]).

    The quote (bid, bid_qty, ask, ask_qty; NaN where there is none yet) is fresher than the depth and is level
    0; of the book only levels strictly behind it follow. Levels that do not exist are price NaN, quantity 0.
    """
    num, base = _step(tick_size)
    lot_num, lot_base = _step(lot_size)
    steps = (num, base, lot_num, lot_base)
    ticks, lots = book[B_BID_TICKS], book[B_BID_LOTS]
    _fill_side(ticks[1:], lots[1:], ticks[0], _ASCENDING, bid, bid_qty, steps, out[0])
    ticks, lots = book[B_ASK_TICKS], book[B_ASK_LOTS]
    _fill_side(ticks[1:], lots[1:], ticks[0], _DESCENDING, ask, ask_qty, steps, out[1])
