"""CRC32 of a book's top, as Kraken computes it: what the exchange says the book must come to.

The ten best asks, best first, then the ten best bids: of each level the digits of its price and of its
quantity, both with the exchange's fixed number of decimals, without the point and leading zeros.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, B_BID_LOTS, B_BID_TICKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: levels a side that count
LEVELS: Final = 10
#: no int64 has more digits
_DIGITS_MAX: Final = 19
_ONES: Final[Any] = np.uint32(0xFFFFFFFF)
_POLYNOMIAL: Final[Any] = np.uint32(0xEDB88320)


def _make_table() -> NDArray[np.uint32]:
    """Return what each byte does to a CRC32."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ _POLYNOMIAL, table >> 1).astype(np.uint32)
    return table


_TABLE: Final = _make_table()


@njit(cache=True)
def _add(crc: Any, number: int, digits: NDArray[np.uint8]) -> Any:
    """Add the digits of a positive number to a CRC32; `digits` is scratch."""
    count = 0
    while number > 0:
        digits[count] = number % 10
        number //= 10
        count += 1
    for k in range(count - 1, -1, -1):
        crc = _TABLE[(crc ^ np.uint32(48 + digits[k])) & np.uint32(255)] ^ (crc >> np.uint32(8))
    return crc


@njit(cache=True)
def crc32_of_top(book: NDArray[np.int64], units: NDArray[np.int64]) -> int:
    """Return the checksum of a book (kernels.book); units[2]: what a tick and a lot are in its digits."""
    crc = _ONES
    digits = np.empty(_DIGITS_MAX, np.uint8)
    for ticks, lots in ((B_ASK_TICKS, B_ASK_LOTS), (B_BID_TICKS, B_BID_LOTS)):
        n = book[ticks, 0]
        for row in range(n, max(n - LEVELS, 0), -1):
            crc = _add(crc, book[ticks, row] * units[0], digits)
            crc = _add(crc, book[lots, row] * units[1], digits)
    return int(crc ^ _ONES)
