"""Exact money inside kernels: whole counts of 10**-18, each in two int64, high * 10**9 + low.

`low` lies in 0 .. 10**9 - 1 whatever the sign, so that an amount has one form. An array of amounts is
int64[n, 2]; functions name the rows they read and write. Amounts beyond 9 * 10**9 (of a currency) do not
fit, nor beyond 4.6 * 10**9 what is scaled, and raise OverflowError. Every result is the one that Python's
integers give (daemon/orders/money.py).
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

from kernels.inner import inner

#: what `high` counts
BASE: Final = 1_000_000_000
_HIGH_MAX: Final = 9e18
#: long division goes by bytes, most significant first: a remainder times 256 fits, whatever the divisor
_RADIX: Final = 256
_BYTES: Final = 12  # of an amount
_FACTOR_BYTES: Final = 7  # of a factor
_FRACTION_BYTES: Final = 22  # behind the point: 55 bits that count, and those of the two divisors
DIGITS: Final = _BYTES + _FACTOR_BYTES + _FRACTION_BYTES
#: divisors and factors lie below
FACTOR_MAX: Final = 2**54
# numpy's, because numba compiles a version for each plain constant
MORE: Final[Any] = np.int64(1)
LESS: Final[Any] = np.int64(-1)
_NOTHING: Final[Any] = np.int64(0)
_BASE: Final[Any] = np.int64(BASE)
_FACTOR_FIRST: Final[Any] = np.int64(_FACTOR_BYTES)
_LOW_32: Final = 0xFFFFFFFF
_ENOUGH: Final = 2**54  # a quotient of more bits is rounded once, when it becomes a float
_WHOLE_FLOAT: Final = 2**53


@njit(cache=True, forceinline=True)
def add(money: Any, to: int, high: int, low: int) -> None:
    """Add high * 10**9 + low to row `to`; low may have either sign, below 10**9 in size."""
    low += money[to, 1]
    carry = low // BASE
    if not abs(float(money[to, 0]) + float(high)) < _HIGH_MAX:
        raise OverflowError("an amount of money is too large")
    money[to, 0] += high + carry
    money[to, 1] = low - carry * BASE


@njit(cache=True)
def add_product(money: Any, to: int, count: int, high: int, low: int) -> None:
    """Add `count` times the amount of (high, low), which is not negative, to row `to`."""
    if not abs(float(count) * float(high + 1)) < _HIGH_MAX:
        raise OverflowError("an amount of money is too large")
    above = count // BASE
    part = (count - above * BASE) * low
    add(money, to, count * high + above * low + part // BASE, part % BASE)


@njit(cache=True, forceinline=True)
def move(money: Any, source: int, to: int, sign: int) -> None:
    """Add (sign +1) or take away (-1) row `source` to or from row `to`."""
    add(money, to, sign * money[source, 0], sign * money[source, 1])


@njit(cache=True, forceinline=True)
def clear(money: Any, row: int) -> None:
    """Set a row to nothing."""
    money[row, 0] = 0
    money[row, 1] = 0


@njit(cache=True, forceinline=True)
def is_nothing(money: Any, row: int) -> bool:
    """Whether a row is nothing."""
    return bool(money[row, 0] == 0 and money[row, 1] == 0)


@inner
def _load(digits: Any, first: int, high: int, low: int) -> None:
    """Write a positive amount as _BYTES digits from row `first` on."""
    carried = (high & _LOW_32) * BASE + low
    upper = (high >> 32) * BASE + (carried >> 32)
    for k in range(4):
        digits[first + _BYTES - 1 - k] = carried >> (8 * k) & 255
    for k in range(8):
        digits[first + 7 - k] = upper >> (8 * k) & 255


@inner
def _multiply(digits: Any, n: int, factor: int) -> None:
    """Multiply the first n digits in place; the product must fit into them."""
    carry = 0
    for k in range(n - 1, -1, -1):
        carry += digits[k] * factor
        digits[k] = carry & 255
        carry >>= 8


@inner
def _divide(digits: Any, n: int, divisor: int) -> int:
    """Divide the first n digits in place; return the remainder."""
    rest = 0
    for k in range(n):
        rest = rest * _RADIX + digits[k]
        digits[k] = rest // divisor
        rest -= digits[k] * divisor
    return rest


@njit(cache=True)
def scale(money: Any, source: int, to: int, factor: int, divisor: int) -> None:
    """Write row `source` * factor // divisor into row `to`, rounded down as Python does; both positive."""
    if not (0 < factor < FACTOR_MAX and 0 < divisor < FACTOR_MAX):
        raise OverflowError("a quantity is too large to be divided exactly")
    high, low = money[source, 0], money[source, 1]
    negative = high < 0
    if negative:
        high, low = -high - (low > 0), (BASE - low) % BASE
    digits = np.zeros(DIGITS, np.int64)
    n = _BYTES + _FACTOR_BYTES
    _load(digits, _FACTOR_FIRST, high, low)
    _multiply(digits, n, factor)
    inexact = _divide(digits, n, divisor) != 0
    low = _divide(digits, n, _BASE)
    high = _NOTHING
    for k in range(n):
        if high >> 54 != 0:
            raise OverflowError("an amount of money is too large")
        high = high * _RADIX + digits[k]
    clear(money, to)
    if negative:
        add(money, to, -high, -low - inexact)
    else:
        add(money, to, high, low)


@njit(cache=True)
def ratio(high: int, low: int, first: int, second: int) -> float:
    """Return an amount's count over first * second, both positive, as the nearest float."""
    if not (0 < first < FACTOR_MAX and 0 < second < FACTOR_MAX):
        raise OverflowError("a quantity is too large to be divided exactly")
    negative = high < 0
    if negative:
        high, low = -high - (low > 0), (BASE - low) % BASE
    if high == 0 and low == 0:
        return 0.0
    digits = np.zeros(DIGITS, np.int64)
    n = _BYTES + _FRACTION_BYTES
    _load(digits, _NOTHING, high, low)
    inexact = _divide(digits, n, first) != 0
    inexact |= _divide(digits, n, second) != 0
    quotient = 0
    k = 0
    while quotient < _ENOUGH and k < n:
        quotient = quotient * _RADIX + digits[k]
        k += 1
    exponent = 8 * (n - k) - 8 * _FRACTION_BYTES
    while k < n:
        inexact |= digits[k] != 0
        k += 1
    value = math.ldexp(float(quotient | inexact), exponent)
    return -value if negative else value


@njit(cache=True)
def to_float(high: int, low: int) -> float:
    """Return an amount as the nearest float."""
    # most amounts are few decimals: one division of two whole floats rounds once, and is 20 times as fast
    power = BASE
    while low % power != 0:
        power //= 10
    bound = _WHOLE_FLOAT // (BASE // power) - 1
    if -bound < high < bound:
        return float(high * (BASE // power) + low // power) / (float(BASE) * float(BASE // power))
    return ratio(high, low, _BASE, _BASE)
