"""Price levels straight from a frame's bytes: [["61737.63","0.5"],...] to integer ticks and lots, exactly.

Decoding a depth update into Python lists of strings costs 20-30 us; this parser costs 2-4 us, because digits
are added up as integers and nothing is allocated. It reads the JSON array of one level list; kernels.message
finds the lists of a whole message. It never reads outside the buffer.

A price that is no multiple of the tick size is an error, not a neighbour. A quantity is rounded down to lots,
but never to nothing: an exchange that made its lots coarser still shows the orders of before (Binance Spot
has BTCUSDT levels of 93.75658700 where the lot is 0.00001).

A level is an array whose first two members are price and quantity, quoted or not; further scalar members are
skipped. Exponents, signs, NaN and infinities are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

#: levels a side that one message may carry: Coinbase's snapshot of BTC-USD has 40,000 and more on both
LEVELS_MAX: Final = 65_536

# --- what a parse returns instead of a count ---------------------------------------------------------------
MALFORMED: Final = -1
OFF_GRID: Final = -2
TOO_MANY: Final = -3
NOT_POSITIVE: Final = -4
OVERFLOW: Final = -5
MISSING: Final = -6

ERROR_NAMES: Final[dict[int, str]] = {
    MALFORMED: "levels",
    OFF_GRID: "grid",
    TOO_MANY: "levels_max",
    NOT_POSITIVE: "not_positive",
    OVERFLOW: "overflow",
    MISSING: "side_missing",
}

# --- grid[4]: the instrument's steps, each num / 10**places (daemon.instruments.Scale) ---------------------
G_PRICE_PLACES: Final = 0
G_PRICE_NUM: Final = 1
G_QTY_PLACES: Final = 2
G_QTY_NUM: Final = 3
GRID_COLUMNS: Final = 4

# --- rows of the scratch array that both sides are parsed into ---------------------------------------------
S_BID_TICKS: Final = 0
S_BID_LOTS: Final = 1
S_ASK_TICKS: Final = 2
S_ASK_LOTS: Final = 3
SCRATCH_ROWS: Final = 4

#: a number before its first digit; numpy's, as the two below
NOTHING: Final[Any] = np.int64(0)
# whether a number must lie on the grid; numpy's, because numba compiles a version for each plain constant
EXACT: Final[Any] = np.bool_(True)
ROUNDED: Final[Any] = np.bool_(False)

#: so many digits always fit into an int64
_DIGITS_MAX: Final = 18
_TENS: Final = 10 ** np.arange(_DIGITS_MAX + 1)
#: one digit more than this might not fit into an int64
_DIGITS_LIMIT: Final = 900_000_000_000_000_000

_ZERO: Final = np.uint8(48)
_NINE: Final = np.uint8(9)
_QUOTE: Final = 34
_COMMA: Final = 44
_MINUS: Final = 45
_POINT: Final = 46
_OPEN: Final = 91
_BACKSLASH: Final = 92
_CLOSE: Final = 93


def make_grid(price_places: int, price_num: int, qty_places: int, qty_num: int) -> NDArray[np.int64]:
    """Return the grid of an instrument whose steps are `num / 10**places`."""
    return np.array([price_places, price_num, qty_places, qty_num], dtype=np.int64)


def make_scratch() -> NDArray[np.int64]:
    """Return the scratch int64[SCRATCH_ROWS, LEVELS_MAX] that `sides` fills; one serves all instruments."""
    return np.zeros((SCRATCH_ROWS, LEVELS_MAX), dtype=np.int64)


@njit(cache=True)
def blank(buf: bytes, i: int) -> int:
    """Return the index of the first byte at or after `i` that is no white space (nor a control byte)."""
    n = len(buf)
    while i < n and buf[i] <= 32:
        i += 1
    return i


@njit(cache=True)
def number(buf: bytes, i: int, places: int, num: int, exact: bool) -> tuple[int, int]:
    """Parse a decimal at `i` into a count of steps of num / 10**places.

    Returns (count >= 0, index behind it), or (error, index of the fault). What is no whole count is OFF_GRID
    where it must be exact; else it is rounded down, but never to nothing.
    """
    n = len(buf)
    quoted = i < n and buf[i] == _QUOTE
    if quoted:
        i += 1
    value = 0
    start = i
    while i < n and 48 <= buf[i] <= 57:
        if value > _DIGITS_LIMIT:
            return OVERFLOW, i
        value = value * 10 + (int(buf[i]) - 48)
        i += 1
    if i == start:
        return (NOT_POSITIVE if i < n and buf[i] == _MINUS else MALFORMED), i
    missing = places
    rest = 0  # digits behind the grid's, or-ed together
    if i < n and buf[i] == _POINT:
        i += 1
        start = i
        end = min(n, i + places)
        while i < end and 48 <= buf[i] <= 57:
            if value > _DIGITS_LIMIT:
                return OVERFLOW, i
            value = value * 10 + (int(buf[i]) - 48)
            i += 1
        missing -= i - start
        while i < n and 48 <= buf[i] <= 57:
            rest |= int(buf[i]) - 48
            i += 1
        if i == start:
            return MALFORMED, i
    while missing > 0:
        if value > _DIGITS_LIMIT:
            return OVERFLOW, i
        value *= 10
        missing -= 1
    if quoted:
        if i >= n or buf[i] != _QUOTE:
            return MALFORMED, i
        i += 1
    if num > 1:
        rest |= value % num
        value //= num
    if rest:
        if exact:
            return OFF_GRID, i
        value = max(value, 1)
    return value, i


@njit(cache=True)
def string_end(buf: bytes, i: int) -> int:
    """Return the index of the quote closing the string whose first byte is at `i`; len(buf) without one."""
    n = len(buf)
    while i < n and buf[i] != _QUOTE:
        i += 2 if buf[i] == _BACKSLASH else 1
    return min(i, n)


@njit(cache=True)
def _level_end(buf: bytes, i: int) -> int:
    """Return the index behind a level's closing bracket, skipping further scalars; MALFORMED without one."""
    n = len(buf)
    while i < n:
        byte = buf[i]
        if byte == _CLOSE:
            return i + 1
        if byte == _QUOTE:
            i = string_end(buf, i + 1)
        elif byte == _OPEN:
            return MALFORMED
        i += 1
    return MALFORMED


@njit(cache=True, forceinline=True)
def digits_end(buf: bytes, i: int, n: int) -> int:
    """Return the index behind the digits at `i`, before `n`."""
    while i < n and np.uint8(buf[i] - _ZERO) <= _NINE:  # what is below "0" becomes large
        i += 1
    return i


@njit(cache=True, forceinline=True)
def decimals_end(buf: bytes, i: int, n: int) -> int:
    """Return the index behind a point and digits at `i`; `i` where no point is."""
    return digits_end(buf, i + 1, n) if i < n and buf[i] == _POINT else i


@njit(cache=True, forceinline=True)
def whole(buf: bytes, i: int, end: int, value: int) -> int:
    """Append the digits buf[i:end] to a number."""
    for k in range(i, end):
        value = value * 10 + int(np.uint8(buf[k] - _ZERO))
    return value


@njit(cache=True, forceinline=True)
def _steps(buf: bytes, start: int, point: int, end: int, places: int, num: int, exact: bool) -> int:
    """Return how many steps of num / 10**places the digits buf[start:end] with their point are.

    MALFORMED for what `number` has to look at: more digits than surely fit, a point without digits, no grid.
    """
    decimals = end - point - 1 if end > point else 0
    if point == start or point - start + max(places, decimals) > _DIGITS_MAX or end == point + 1:
        return MALFORMED
    value = whole(buf, point + 1, end, whole(buf, start, point, NOTHING))
    if decimals <= places:
        value *= _TENS[places - decimals]
        rest = 0
    else:
        unit = _TENS[decimals - places]
        rest = value % unit
        value //= unit
    if num > 1:
        rest |= value % num
        value //= num
    if rest == 0:
        return int(value)
    return MALFORMED if exact else max(value, 1)


@njit(cache=True)
def parse_plain(buf: bytes, i: int, grid: Ints, ticks: Ints, lots: Ints) -> tuple[int, int]:
    """Parse the level list that begins at `i` and is written as exchanges do, without a byte to spare.

    That is [["digits.digits","digits.digits"],...]. Whatever it takes is JSON, and gives what `parse` gives,
    in half the time; for anything else it returns (MALFORMED, index). It is one function because numba hands
    arrays to helpers over memory.
    """
    n = len(buf)
    price_places, price_num = grid[G_PRICE_PLACES], grid[G_PRICE_NUM]
    qty_places, qty_num = grid[G_QTY_PLACES], grid[G_QTY_NUM]
    if i + 1 >= n or buf[i] != _OPEN:
        return MALFORMED, i
    i += 1
    if buf[i] == _CLOSE:
        return 0, i + 1
    count = 0
    while count < ticks.size:
        if i + 1 >= n or buf[i] != _OPEN or buf[i + 1] != _QUOTE:
            return MALFORMED, i
        point = digits_end(buf, i + 2, n)
        end = decimals_end(buf, point, n)
        if end + 2 >= n or buf[end] != _QUOTE or buf[end + 1] != _COMMA or buf[end + 2] != _QUOTE:
            return MALFORMED, end
        price = _steps(buf, i + 2, point, end, price_places, price_num, EXACT)
        i = end + 3
        point = digits_end(buf, i, n)
        end = decimals_end(buf, point, n)
        if end + 2 >= n or buf[end] != _QUOTE or buf[end + 1] != _CLOSE:
            return MALFORMED, end
        qty = _steps(buf, i, point, end, qty_places, qty_num, ROUNDED)
        if price <= 0 or qty < 0:
            return MALFORMED, end
        ticks[count] = price
        lots[count] = qty
        count += 1
        i = end + 2
        if buf[i] == _CLOSE:
            return count, i + 1
        if buf[i] != _COMMA:
            return MALFORMED, i
        i += 1
    return MALFORMED, i


@njit(cache=True)
def parse(buf: bytes, start: int, grid: Ints, ticks: Ints, lots: Ints) -> tuple[int, int]:
    """Parse the level list whose opening bracket is at or after `start` (white space between).

    Fills ticks and lots from row 0; returns (count, index behind the list), or (error, index of the fault).
    A quantity of 0 is kept (it deletes a level); a price of 0 is NOT_POSITIVE.
    """
    n = len(buf)
    i = blank(buf, start)
    if i >= n or buf[i] != _OPEN:
        return MALFORMED, i
    i = blank(buf, i + 1)
    if i < n and buf[i] == _CLOSE:
        return 0, i + 1
    count = 0
    while True:
        if count >= ticks.size:
            return TOO_MANY, i
        price, qty, end = _level(buf, i, grid)
        if price <= 0 or qty < 0:
            return (qty if price > 0 else price), end
        ticks[count] = price
        lots[count] = qty
        count += 1
        i = blank(buf, end)
        if i < n and buf[i] == _CLOSE:
            return count, i + 1
        if i >= n or buf[i] != _COMMA:
            return MALFORMED, i
        i = blank(buf, i + 1)


@njit(cache=True)
def _level(buf: bytes, i: int, grid: NDArray[np.int64]) -> tuple[int, int, int]:
    """Parse one level at `i`, white space and further members allowed: price, quantity and the index behind.

    The price or, after a good one, the quantity is an error where it is not positive or negative.
    """
    n = len(buf)
    if i >= n or buf[i] != _OPEN:
        return MALFORMED, 0, i
    price, i = number(buf, blank(buf, i + 1), grid[G_PRICE_PLACES], grid[G_PRICE_NUM], EXACT)
    if price <= 0:
        return (NOT_POSITIVE if price == 0 else price), 0, i
    i = blank(buf, i)
    if i >= n or buf[i] != _COMMA:
        return MALFORMED, 0, i
    qty, i = number(buf, blank(buf, i + 1), grid[G_QTY_PLACES], grid[G_QTY_NUM], ROUNDED)
    if qty < 0:
        return price, qty, i
    i = blank(buf, i)
    if i >= n or (buf[i] != _CLOSE and buf[i] != _COMMA):
        return MALFORMED, 0, i
    end = _level_end(buf, i)
    if end < 0:
        return MALFORMED, 0, i
    return price, qty, end
