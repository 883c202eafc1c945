"""Frames of a known shape, read by one compiled call: from bytes to a tick in its ring.

An exchange writes the frames of one stream alike: the same text in the same order, and between it a few
values. `scan` compares the text byte for byte and parses the values; whatever differs by one byte is not
read, and goes the way of typed decoders, which tell what is wrong with it (or learn the new shape, see
daemon/feeds/shapes.py). A frame that is read gives to the bit what the typed decoder would have given: a
number of up to 15 digits divided by a power of ten up to 10**15 is rounded once.

    scan(frame, stream, i, n, p) -> (i, p)     from byte i and part p on, to the next LEVELS or the END
    read(frame, stream, rings, wire_ns) -> n   a trade or quote into its instrument's ring
    read_depth(frame, stream, book, grid, scratch, wire_ns) -> n    a depth update into its book

`stream` is a STREAM array of length 1: the shape, the exchange's sequence, and what was counted.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kernels import book as books
from kernels.dtypes import B_ASK_TICKS, B_BID_TICKS, QUOTE
from kernels.levels import NOTHING, decimals_end, digits_end, parse_plain, whole
from kernels.ring import push

PARTS_MAX: Final = 16
TEXT_MAX: Final = 512

# --- part[p]: how much of `text` stands before the value, what the value is, where it goes ------------------
PART_TEXT_END: Final = 0
PART_VALUE: Final = 1
PART_SLOT: Final = 2

END: Final = 0  # nothing: the frame ends here
WHOLE: Final = 1  # a whole number of up to 18 digits, into ints[slot]
DECIMAL: Final = 2  # digits with or without a point, into floats[slot]
TRUE_SELLS: Final = 3  # true: -1.0, false: 1.0, into floats[slot]
UNREAD: Final = 4  # a whole number that nobody reads
LEVELS: Final = 5  # a depth update's levels: slot 0 bids, 1 asks

# --- slots ------------------------------------------------------------------------------------------------
# ints: the (last) id, the time, a depth update's first and previous id, when the exchange sent it
(S_ID, S_TIME, S_FIRST, S_PREV, S_EVENT) = range(5)
(S_A, S_B, S_C, S_D) = range(4)  # floats: as in a tick
S_BIDS, S_ASKS = 0, 1

# --- chain: where the exchange's sequence is (daemon/feeds/sync.py keeps it) -------------------------------
CHAIN_LAST: Final = 0  # the newest id
CHAIN_EASY_MAX: Final = 1  # the largest step to the next one that is plain; of a depth update 1 or 0: none is

STREAM: Final = np.dtype(
    [
        ("instrument", "i8"),
        ("kind", "i8"),  # TRADE, QUOTE or DEPTH
        ("time_unit_ns", "i8"),
        ("chain", "i8", (2,)),  # the exchange's sequence: CHAIN_*
        ("count", "i8"),  # well-formed frames, repetitions included
        ("newest_ns", "i8"),  # when the newest that was news came; 0 before the first
        ("ints", "i8", (5,)),
        ("floats", "f8", (4,)),
        ("parts", "i8"),  # 0: no shape is known
        ("part", "i8", (PARTS_MAX, 3)),
        ("text", "u1", (TEXT_MAX,)),
    ],
    align=True,
)

#: the frame is not of the shape, or not plainly the next: nothing was done
MISS: Final = 0
MISS_DEPTH: Final = -100  # and no error of kernels.levels or kernels.book

DIGITS_MAX: Final = 15
WHOLE_DIGITS_MAX: Final = 18
VALUE_MAX: Final = 1e15
TIME_MAX: Final = 9_000_000_000_000_000_000
_FAILED: Final = -1
_TENS: Final = 10.0 ** np.arange(DIGITS_MAX + 1)
_ZERO: Final = np.uint8(48)
_TRUE: Final = np.frombuffer(b"true", np.uint8)
_FALSE: Final = np.frombuffer(b"false", np.uint8)


@njit(cache=True, forceinline=True)
def same(buf: Any, i: int, text: Any, at: int, size: int) -> bool:
    """Whether buf[i : i + size] is text[at : at + size]; no early end, so that LLVM compares blocks."""
    if i + size > len(buf):
        return False
    differs = np.uint8(0)
    for k in range(size):
        differs |= buf[i + k] ^ text[at + k]
    return bool(differs == 0)


@njit(cache=True)
def scan(buf: Any, stream: Any, i: int, n: int, p: int) -> tuple[int, int]:
    """Read a frame that ends before byte n, from byte i and part p on, into the stream's `ints` and `floats`.

    Returns the next byte and part: behind a LEVELS part, whose levels begin at that byte, or (n, parts) at
    its END. A byte below 0: the frame is not of the shape.
    """
    s = stream[0]
    part, text, ints, floats, parts = s.part, s.text, s.ints, s.floats, s.parts
    at = part[p - 1, PART_TEXT_END] if p > 0 else 0
    while p < parts:
        end, value, slot = part[p, PART_TEXT_END], part[p, PART_VALUE], part[p, PART_SLOT]
        if not same(buf, i, text, at, end - at):
            return _FAILED, p
        i += end - at
        at = end
        p += 1
        if value == DECIMAL:
            point = digits_end(buf, i, n)
            end = decimals_end(buf, point, n)
            last = end
            while last > point + 1 and buf[last - 1] == _ZERO:  # some exchanges write eight decimals of any
                last -= 1
            decimals = max(last - point - 1, 0)
            if point - i + decimals > DIGITS_MAX or end == point + 1:
                return _FAILED, p
            if point - i != 1 and (point == i or buf[i] == _ZERO):  # JSON has no leading zeros
                return _FAILED, p
            mantissa = whole(buf, i, point, NOTHING)
            floats[slot] = whole(buf, point + 1, last, mantissa) / _TENS[decimals]
            i = end
        elif value == WHOLE or value == UNREAD:  # noqa: PLR1714, SIM109 - a tuple would be built
            end = digits_end(buf, i, n)
            if end - i > WHOLE_DIGITS_MAX or (end - i != 1 and (end == i or buf[i] == _ZERO)):
                return _FAILED, p
            if value == WHOLE:
                ints[slot] = whole(buf, i, end, NOTHING)
            i = end
        elif value == TRUE_SELLS:
            sells = same(buf, i, _TRUE, 0, 4)
            if not sells and not same(buf, i, _FALSE, 0, 5):
                return _FAILED, p
            floats[slot] = -1.0 if sells else 1.0
            i += 4 if sells else 5
        elif value == LEVELS:
            return i, p
        else:
            return i if i == n else _FAILED, p
    return _FAILED, p


@njit(cache=True, forceinline=True)
def _possible(s: Any) -> bool:
    """Whether an exchange can say this; else the typed decoder refuses it with a reason."""
    a, b, c, d = s.floats[S_A], s.floats[S_B], s.floats[S_C], s.floats[S_D]
    if not (0.0 < a < VALUE_MAX and b < VALUE_MAX and s.ints[S_TIME] < TIME_MAX // s.time_unit_ns):
        return False
    if s.kind == QUOTE:
        return bool(a <= c < VALUE_MAX and d < VALUE_MAX)
    return bool(b > 0.0)


@njit(cache=True)
def read(buf: Any, stream: Any, rings: Any, wire_ns: int) -> int:
    """Read a trade or quote that is plainly the next into its ring; return how many ever came, or MISS."""
    return int(read_within(buf, 0, len(buf), stream, rings, wire_ns))


@njit(cache=True, forceinline=True)
def read_within(buf: Any, begin: int, end: int, stream: Any, rings: Any, wire_ns: int) -> int:
    """Read the frame of bytes from `begin` on, before `end`, as `read` does."""
    i, _ = scan(buf, stream, begin, end, 0)
    if i < 0:
        return MISS
    s = stream[0]
    number = s.ints[S_ID]
    if not (0 < number - s.chain[CHAIN_LAST] <= s.chain[CHAIN_EASY_MAX] and _possible(s)):
        return MISS
    s.chain[CHAIN_LAST] = number
    s.count += 1
    s.newest_ns = wire_ns
    return push(
        rings,
        s.instrument,
        s.kind,
        wire_ns,
        s.ints[S_TIME] * s.time_unit_ns,
        number,
        s.floats[S_A],
        s.floats[S_B],
        s.floats[S_C],
        s.floats[S_D],
    )


@njit(cache=True, forceinline=True)
def _follows(s: Any) -> bool:
    """Whether a depth update is the next of a book that follows its sequence; by `pu` where there is one."""
    first, last, previous = s.ints[S_FIRST], s.ints[S_ID], s.ints[S_PREV]
    if s.chain[CHAIN_EASY_MAX] == 0 or last < first:
        return False
    if previous >= 0:
        return bool(previous == s.chain[CHAIN_LAST])
    return bool(first <= s.chain[CHAIN_LAST] + 1 <= last)


@njit(cache=True)
def read_depth(buf: Any, stream: Any, book: Any, grid: Any, scratch: Any, wire_ns: int) -> int:
    """Read a depth update that plainly follows into its book: all of it, or nothing and MISS_DEPTH.

    book, grid and scratch as in kernels.book. Returns how many levels it had, books.CROSSED, or books.FULL:
    then nothing was done, and a larger book takes it.
    """
    s = stream[0]
    found = np.zeros(2, dtype=np.int64)
    n = len(buf)
    i, p = scan(buf, stream, 0, n, 0)
    if i < 0 or not _follows(s) or max(s.ints[S_TIME], s.ints[S_EVENT]) >= TIME_MAX // s.time_unit_ns:
        return MISS_DEPTH
    while p < s.parts:
        side = s.part[p - 1, PART_SLOT]
        found[side], i = parse_plain(buf, i, grid, scratch[2 * side], scratch[2 * side + 1])
        if found[side] < 0:
            return MISS_DEPTH
        i, p = scan(buf, stream, i, n, p)
        if i < 0:
            return MISS_DEPTH
    full = books.room(book, book[B_BID_TICKS, 0] + found[0], book[B_ASK_TICKS, 0] + found[1])
    if full < 0:
        return full
    s.chain[CHAIN_LAST] = s.ints[S_ID]
    s.count += 1
    s.newest_ns = wire_ns
    return books.change(book, scratch, found[0], found[1])
