"""Many frames a call: lines of a capture, and frames of known shapes, into columns of exact integers.

    split(buf, starts, ends, wire_ns) -> lines        where each line's frame lies, and when it came
    read(buf, starts, ends, ...) -> (frame, ticks, levels)       from one on, to the first of no known shape

A frame's shape is what kernels.shapes has of its stream. Where that reads a price as a float, this counts the
steps of a grid (kernels.levels), exactly, so that a file of ticks repeats the exchange's decimals. What is
not plain, off the grid, impossible or of another shape stops the loop, and goes the way of the typed decoder.
"""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import njit

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
from kernels.dtypes import DEPTH, QUOTE
from kernels.levels import (
    EXACT,
    G_PRICE_NUM,
    G_PRICE_PLACES,
    G_QTY_NUM,
    G_QTY_PLACES,
    NOTHING,
    digits_end,
    number,
    whole,
)
from kernels.shapes import (
    DECIMAL,
    LEVELS,
    PART_SLOT,
    PART_TEXT_END,
    PART_VALUE,
    S_A,
    S_BIDS,
    S_C,
    S_EVENT,
    S_FIRST,
    S_ID,
    S_PREV,
    S_TIME,
    TIME_MAX,
    TRUE_SELLS,
    UNREAD,
    WHOLE,
    WHOLE_DIGITS_MAX,
    same,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

#: no line of `split`'s: `local_ns json` is
NO_FRAME: Final = -1
#: a line's stamp is no time before 2100
NO_TIME: Final = -2

_NEWLINE: Final = 10
_SPACE: Final = 32
_COMMA: Final = 44
_OPEN: Final = 91
_CLOSE: Final = 93
_BRACE: Final = 123
_BRACE_END: Final = 125
_STAMP_DIGITS: Final = 19
_END_NS: Final = 4_102_444_800_000_000_000  # 2100
#: the fewest bytes a level takes, `["1","0"],`
LEVEL_BYTES: Final = 8
_FAILED: Final = -1
_TRUE: Final = np.frombuffer(b"true", np.uint8)
_FALSE: Final = np.frombuffer(b"false", np.uint8)


@njit(cache=True, nogil=True)
def split(buf: Any, starts: Any, ends: Any, wire_ns: Any) -> tuple[int, int]:
    """Find the lines `local_ns json` of a chunk that ends where a line does.

    Fills where each frame begins and ends, and its stamp; returns (lines, 0), or at a line that is none
    (lines before it, NO_FRAME or NO_TIME). There must be room for a line more than the chunk has newlines.
    """
    n = len(buf)
    i = count = 0
    while i < n:
        point = digits_end(buf, i, n)
        if point == i or point >= n or buf[point] != _SPACE:
            return count, NO_FRAME
        end = point + 1
        while end < n and buf[end] != _NEWLINE:
            end += 1
        if end - point < 3 or buf[point + 1] != _BRACE or buf[end - 1] != _BRACE_END:
            return count, NO_FRAME
        if point - i > _STAMP_DIGITS:
            return count, NO_TIME
        stamp = 0
        for k in range(i, point):
            if stamp > 922_337_203_685_477_579:  # the next digit might not fit
                return count, NO_TIME
            stamp = stamp * 10 + (int(buf[k]) - 48)
        if stamp >= _END_NS:
            return count, NO_TIME
        starts[count], ends[count], wire_ns[count] = point + 1, end, stamp
        count += 1
        i = end + 1
    return count, 0


@njit(cache=True, nogil=True)
def _levels(buf: Any, i: int, side: int, grid: Any, depth: Any, m: int) -> tuple[int, int]:
    """Read the plain level list at byte i into depth rows from m on; returns (byte behind it, row behind)."""
    n = len(buf)
    if i >= n or buf[i] != _OPEN:
        return _FAILED, m
    i += 1
    if i < n and buf[i] == _CLOSE:
        return i + 1, m
    while i < n and buf[i] == _OPEN:
        price, i = number(buf, i + 1, grid[G_PRICE_PLACES], grid[G_PRICE_NUM], EXACT)
        if price <= 0 or i >= n or buf[i] != _COMMA:
            return _FAILED, m
        size, i = number(buf, i + 1, grid[G_QTY_PLACES], grid[G_QTY_NUM], EXACT)
        if size < 0 or i + 1 >= n or buf[i] != _CLOSE:
            return _FAILED, m
        depth[D_SIDE, m], depth[D_PRICE, m], depth[D_SIZE, m] = side, price, size
        m += 1
        i += 1
        if buf[i] == _CLOSE:
            return i + 1, m
        if buf[i] != _COMMA:
            return _FAILED, m
        i += 1
    return _FAILED, m


@njit(cache=True, nogil=True)
def _scan(
    buf: Any, i: int, end: int, s: Any, grid: Any, ints: Any, counts: Any, depth: Any, m: int
) -> tuple[bool, int]:
    """Read the frame buf[i:end] of stream s, levels into depth rows from m on; returns (fits, row behind)."""
    part, text = s.part, s.text
    at = 0
    for p in range(s.parts):
        text_end, value, slot = part[p, PART_TEXT_END], part[p, PART_VALUE], part[p, PART_SLOT]
        if not same(buf, i, text, at, text_end - at):
            return False, m
        i += text_end - at
        at = text_end
        if value == DECIMAL:
            if slot == S_A or (slot == S_C and s.kind == QUOTE):
                counts[slot], i = number(buf, i, grid[G_PRICE_PLACES], grid[G_PRICE_NUM], EXACT)
            else:
                counts[slot], i = number(buf, i, grid[G_QTY_PLACES], grid[G_QTY_NUM], EXACT)
            if counts[slot] < 0:
                return False, m
        elif value == WHOLE or value == UNREAD:  # noqa: PLR1714, SIM109 - a tuple would be built
            stop = digits_end(buf, i, len(buf))
            if stop == i or stop - i > WHOLE_DIGITS_MAX:
                return False, m
            if value == WHOLE:
                ints[slot] = whole(buf, i, stop, NOTHING)
            i = stop
        elif value == TRUE_SELLS:
            sells = same(buf, i, _TRUE, 0, 4)
            if not sells and not same(buf, i, _FALSE, 0, 5):
                return False, m
            counts[slot] = -1 if sells else 1
            i += 4 if sells else 5
        elif value == LEVELS:
            i, m = _levels(buf, i, 1 if slot == S_BIDS else -1, grid, depth, m)
            if i < 0:
                return False, m
        else:
            return i == end, m
    return False, m


@njit(cache=True, nogil=True)
def read(
    buf: Any,
    starts: Any,
    ends: Any,
    wire_ns: Any,
    last: Any,
    k: int,
    seq: int,
    row: int,
    streams: Any,
    grids: Any,
    ticks: Any,
    n: int,
    depth: Any,
    m: int,
) -> tuple[int, int, int]:
    """Read frames from number k on into tick columns from n and depth columns from m on.

    starts, ends, wire_ns, last: int64 a frame; `last` 1 where nothing more was readable after it. Frame k has
    seq + k and row + k. streams: kernels.shapes.STREAM[s], grids: int64[s, GRID_COLUMNS]. There must be room
    for a tick a frame, and for a level each LEVEL_BYTES bytes and one a frame. Returns the frame that stopped
    it (len(starts): none did) and how many ticks and levels there now are.
    """
    ints = np.empty(5, np.int64)
    counts = np.empty(4, np.int64)
    while k < len(starts):
        hit = False
        for j in range(len(streams)):
            s = streams[j]
            ints[:] = 0
            ints[S_PREV] = -1
            counts[:] = 0
            fits, end = _scan(buf, starts[k], ends[k], s, grids[j], ints, counts, depth, m)
            if not fits:
                continue
            if max(ints[S_TIME], ints[S_EVENT]) >= TIME_MAX // s.time_unit_ns:
                break
            if s.kind == DEPTH:
                if ints[S_ID] < ints[S_FIRST]:
                    break
                if end == m:
                    depth[D_SIDE, m], depth[D_PRICE, m], depth[D_SIZE, m] = 0, 0, 0
                    end += 1
                exch_ns = (ints[S_TIME] or ints[S_EVENT]) * s.time_unit_ns
                for r in range(m, end):
                    depth[D_SEQ, r], depth[D_ROW, r] = seq + k, row + k
                    depth[D_WIRE_NS, r], depth[D_EXCH_NS, r] = wire_ns[k], exch_ns
                    depth[D_END, r], depth[D_SNAPSHOT, r] = last[k], 0
                    depth[D_FIRST, r], depth[D_LAST, r] = ints[S_FIRST], ints[S_ID]
                    depth[D_PREV, r] = ints[S_PREV]
                m = end
            else:
                if counts[S_A] == 0 or (counts[1] == 0 and s.kind != QUOTE):
                    break
                if s.kind == QUOTE and counts[S_A] > counts[S_C]:
                    break
                ticks[T_SEQ, n], ticks[T_ROW, n] = seq + k, row + k
                ticks[T_WIRE_NS, n], ticks[T_EXCH_NS, n] = wire_ns[k], ints[S_TIME] * s.time_unit_ns
                ticks[T_END, n], ticks[T_KIND, n], ticks[T_ID, n] = last[k], s.kind, ints[S_ID]
                quoted = s.kind == QUOTE
                ticks[T_SIDE, n] = 0 if quoted else counts[2]
                ticks[T_A, n], ticks[T_B, n] = counts[0], counts[1]
                ticks[T_C, n], ticks[T_D, n] = (counts[2], counts[3]) if quoted else (0, 0)
                n += 1
            hit = True
            break
        if not hit:
            break
        k += 1
    return k, n, m
