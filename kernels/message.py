"""The level lists of a whole depth message, found by their keys, whatever form its exchange gives them.

    "b" or "bids", "a" or "asks": [["61737.63","0.5"],...]                    Binance, Bybit, OKX
                                  [{"price":61737.6,"qty":0.5},...]           Kraken
    "updates":                    [{"side":"bid","price_level":"61737.63","new_quantity":"0.5"},...]  Coinbase

Lists are parsed by kernels.levels. The message should be known to be JSON; one that is not is at worst read
wrongly, never outside its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from kernels.levels import (
    EXACT,
    G_PRICE_NUM,
    G_PRICE_PLACES,
    G_QTY_NUM,
    G_QTY_PLACES,
    MALFORMED,
    MISSING,
    NOT_POSITIVE,
    ROUNDED,
    TOO_MANY,
    blank,
    number,
    parse,
    string_end,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUOTE: Final = 34
_COMMA: Final = 44
_COLON: Final = 58
_OPEN: Final = 91
_BACKSLASH: Final = 92
_CLOSE: Final = 93
_BRACE: Final = 123
_BRACE_END: Final = 125
_A: Final = 97
_B: Final = 98
_O: Final = 111
_S: Final = 115

# --- what a key names -------------------------------------------------------------------------------------
_OTHER: Final = -1
_BIDS: Final = 0
_ASKS: Final = 1
_BOTH: Final = 2  # a list whose members say their side
_PRICE: Final = 3
_QTY: Final = 4
_SIDE: Final = 5


def _name(text: str) -> Any:
    return np.frombuffer(text.encode(), np.uint8)


_LISTS: Final = (_name("bids"), _name("asks"), _name("updates"))
_PRICES: Final = (_name("price"), _name("price_level"))
_QTYS: Final = (_name("qty"), _name("new_quantity"))
_SIDES: Final = _name("side")


@njit(cache=True)
def _is(buf: bytes, start: int, end: int, name: NDArray[np.uint8]) -> bool:
    """Whether buf[start:end] is the name."""
    if end - start != name.size:
        return False
    same = True
    for k in range(name.size):
        same &= buf[start + k] == name[k]
    return same


@njit(cache=True)
def _list_of_key(buf: bytes, start: int, end: int) -> int:
    """Return which list buf[start:end] names: _BIDS, _ASKS, _BOTH or _OTHER."""
    if end - start == 1:
        return _BIDS if buf[start] == _B else _ASKS if buf[start] == _A else _OTHER
    if _is(buf, start, end, _LISTS[0]):
        return _BIDS
    if _is(buf, start, end, _LISTS[1]):
        return _ASKS
    return _BOTH if _is(buf, start, end, _LISTS[2]) else _OTHER


@njit(cache=True)
def _member_of_key(buf: bytes, start: int, end: int) -> int:
    """Return which member of a level buf[start:end] names: _PRICE, _QTY, _SIDE or _OTHER."""
    if _is(buf, start, end, _PRICES[0]) or _is(buf, start, end, _PRICES[1]):
        return _PRICE
    if _is(buf, start, end, _QTYS[0]) or _is(buf, start, end, _QTYS[1]):
        return _QTY
    return _SIDE if _is(buf, start, end, _SIDES) else _OTHER


@njit(cache=True)
def _side_of_value(buf: bytes, i: int) -> int:
    """Return the side that the string at `i` names: bid or buy, ask, offer or sell; _OTHER for another."""
    if i + 1 >= len(buf) or buf[i] != _QUOTE:
        return _OTHER
    first = buf[i + 1]
    if first == _B:
        return _BIDS
    return _ASKS if first in (_A, _S, _O) else _OTHER


@njit(cache=True)
def _scalar_end(buf: bytes, i: int) -> int:
    """Return the index behind a string, number or word at `i`; MALFORMED for a list or an object."""
    n = len(buf)
    if i < n and buf[i] == _QUOTE:
        return min(string_end(buf, i + 1) + 1, n)
    while i < n and buf[i] != _COMMA and buf[i] != _BRACE_END:
        if buf[i] == _OPEN or buf[i] == _BRACE:
            return MALFORMED
        i += 1
    return i


@njit(cache=True)
def _object(buf: bytes, i: int, grid: NDArray[np.int64]) -> tuple[int, int, int, int]:
    """Parse the level that is an object at `i`: price, quantity, side (_OTHER: it says none), index behind.

    The price or, after a good one, the quantity is an error where it is missing, not positive or negative.
    """
    n = len(buf)
    price, qty, side = MALFORMED, MALFORMED, _OTHER
    if i >= n or buf[i] != _BRACE:
        return MALFORMED, 0, side, i
    i = blank(buf, i + 1)
    while i < n and buf[i] == _QUOTE:
        end = string_end(buf, i + 1)
        member = _member_of_key(buf, i + 1, end)
        i = blank(buf, end + 1)
        if i >= n or buf[i] != _COLON:
            return MALFORMED, 0, side, i
        i = blank(buf, i + 1)
        if member == _PRICE:
            price, i = number(buf, i, grid[G_PRICE_PLACES], grid[G_PRICE_NUM], EXACT)
            if price <= 0:
                return (NOT_POSITIVE if price == 0 else price), 0, side, i
        elif member == _QTY:
            qty, i = number(buf, i, grid[G_QTY_PLACES], grid[G_QTY_NUM], ROUNDED)
            if qty < 0:
                return qty, 0, side, i
        else:
            if member == _SIDE:
                side = _side_of_value(buf, i)
            i = _scalar_end(buf, i)
            if i < 0:
                return MALFORMED, 0, side, n
        i = blank(buf, i)
        if i < n and buf[i] == _BRACE_END:
            return price, qty, side, i + 1
        if i >= n or buf[i] != _COMMA:
            return MALFORMED, 0, side, i
        i = blank(buf, i + 1)
    return MALFORMED, 0, side, i


@njit(cache=True)
def _objects(
    buf: bytes,
    i: int,
    which: int,
    grid: NDArray[np.int64],
    scratch: NDArray[np.int64],
    found: NDArray[np.int64],
) -> tuple[int, int]:
    """Parse the list of objects whose opening bracket is at `i`; returns (0, index behind it) or an error.

    `found` has the levels of each side so far, those of _BOTH said by each level itself.
    """
    n = len(buf)
    i = blank(buf, i + 1)
    while True:
        price, qty, said, i = _object(buf, i, grid)
        if price <= 0 or qty < 0:
            return (qty if price > 0 else price), i
        side = said if which == _BOTH else which
        if side < 0:
            return MALFORMED, i
        count = found[side]
        if count >= scratch.shape[1]:
            return TOO_MANY, i
        scratch[2 * side, count] = price
        scratch[2 * side + 1, count] = qty
        found[side] = count + 1
        i = blank(buf, i)
        if i < n and buf[i] == _CLOSE:
            return 0, i + 1
        if i >= n or buf[i] != _COMMA:
            return MALFORMED, i
        i = blank(buf, i + 1)


@njit(cache=True)
def sides(buf: bytes, grid: NDArray[np.int64], scratch: NDArray[np.int64]) -> tuple[int, int]:
    """Find and parse the level lists of a message.

    Fills the rows of `scratch`; returns (bids, asks), or (error, index of the fault).
    """
    n = len(buf)
    found = np.full(2, MISSING, dtype=np.int64)
    i = 0
    while i < n:
        if buf[i] != _QUOTE:
            i += 1
            continue
        end = string_end(buf, i + 1)
        which = _list_of_key(buf, i + 1, end)
        i = end + 1
        if which < 0:
            continue
        at = blank(buf, i)
        if at >= n or buf[at] != _COLON:
            continue
        at = blank(buf, at + 1)
        if at >= n or buf[at] != _OPEN:
            continue
        first = blank(buf, at + 1)
        if first < n and buf[first] == _BRACE:
            if which != _ASKS:
                found[_BIDS] = 0
            if which != _BIDS:
                found[_ASKS] = 0
            code, i = _objects(buf, at, which, grid, scratch, found)
            if code < 0:
                return code, i
        elif which == _BOTH:
            found[:] = 0
            i = at
        else:
            count, i = parse(buf, at, grid, scratch[2 * which], scratch[2 * which + 1])
            if count < 0:
                return count, i
            found[which] = count
    if found[0] < 0 or found[1] < 0:
        return MISSING, n
    return found[0], found[1]
