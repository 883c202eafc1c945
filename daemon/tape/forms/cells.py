"""Columns of CSV text to exact integers, a column at a time; what is no number is located, never guessed.

    whole(texts)              -> (int64 values, which are none)
    counts(texts, places)     -> (int64 counts of 10**-places, which are none, decimals needed)
    times(texts, unit)        -> (ns UTC, which are none, the unit of each)
    sides(texts)              -> +1, -1, 0

A time's unit is recognised by its size, each row for itself: seconds, milliseconds, microseconds and
nanoseconds since 1970 have lengths of their own from 2001 to 2100. Text with a date is ISO 8601.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daemon.tape.columns import nulls, numbers
from daemon.tape.forms.base import PLACES_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

UNITS: Final = ("s", "ms", "us", "ns")
_UNIT_NS: Final = np.array([1_000_000_000, 1_000_000, 1_000, 1], np.int64)
#: from these values on a time is in the next finer unit: the year 5138 in seconds, 1973 in milliseconds
_UNIT_BOUNDS: Final = np.array([10**11, 10**14, 10**17], np.int64)
_WHOLE: Final = r"^-?\d{1,18}$"
_DECIMAL: Final = r"^-?\d{1,18}(\.\d{0,18})?([eE][+-]?\d{1,2})?$"
_INT_MAX: Final = np.iinfo(np.int64).max
_WIDE: Final = pa.decimal128(38, PLACES_MAX)
_BUYS: Final = ("buy", "b", "1", "bid", "true_buy", "+1", "buyer")
_SELLS: Final = ("sell", "s", "-1", "ask", "offer", "seller")


def whole(texts: pa.Array) -> tuple[Ints, Bools]:
    """Return whole numbers, and where there is none (0 stands there)."""
    try:
        values = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        texts = _only(texts, _WHOLE)
        values = texts.cast(pa.int64())
    return _values(values), nulls(values)


def counts(texts: pa.Array, places: int) -> tuple[Ints, Bools, int]:
    """Return decimals as counts of 10**-places, where there is none (0), and how many places they need.

    Where they need more than `places`, the counts are worthless.
    """
    if (found := _aligned(texts, places)) is not None:
        return found
    try:
        wide = texts.cast(_WIDE)
    except pa.ArrowInvalid:
        wide = _only(texts, _DECIMAL).cast(_WIDE)
    needed = places
    while True:
        try:
            exact = wide.cast(pa.decimal128(38, needed))
            break
        except pa.ArrowInvalid:
            needed += 1
    missing = nulls(exact)
    words = np.frombuffer(exact.buffers()[1], np.int64).reshape(-1, 2)[
        exact.offset : exact.offset + len(exact)
    ]
    low, high = words[:, 0].copy(), words[:, 1]
    missing |= high != low >> 63  # beyond an int64: no price and no size
    low[missing] = 0
    return low, missing, needed


def _aligned(texts: pa.Array, places: int) -> tuple[Ints, Bools, int] | None:
    """Return the same of texts that all have as many decimals, as exchanges write them; None: of no others.

    It takes a sixth of the time of decimals.
    """
    if not len(texts) or texts.null_count:
        return None
    points = numbers(pc.find_substring(texts, ".").cast(pa.int64()))
    decimals = numbers(pc.binary_length(texts).cast(pa.int64())) - points - 1
    have = int(decimals[0])
    if points.min() < 1 or have > PLACES_MAX or decimals.min() != decimals.max():
        return None
    try:
        values = _values(pc.replace_substring(texts, ".", "", max_replacements=1).cast(pa.int64()))
    except pa.ArrowInvalid:  # no number, or one that is beyond an int64 with its zeros
        return None
    needed = min(places, have)
    while needed < have and np.any(values % 10 ** (have - needed)):
        needed += 1
    values //= 10 ** (have - needed)
    if needed < places:
        if np.abs(values).max() > _INT_MAX // 10 ** (places - needed):
            return None
        values *= 10 ** (places - needed)
    return values, np.zeros(len(values), np.bool_), max(needed, places)


def times(texts: pa.Array, unit: str = "") -> tuple[Ints, Bools, Ints]:
    """Return times in ns UTC, where there is none (0), and the place of each one's unit in UNITS."""
    first = next((str(one) for one in texts if one.is_valid and str(one)), "")
    if "-" in first[1:] and ":" in first:
        try:
            stamps = texts.cast(pa.timestamp("ns", "UTC"))
        except pa.ArrowInvalid:
            zoned = pc.if_else(pc.match_substring_regex(texts, r"(Z|[+-]\d\d:?\d\d)$"), texts, _zoned(texts))
            stamps = zoned.cast(pa.timestamp("ns", "UTC"))
        return _values(stamps.cast(pa.int64())), nulls(stamps), np.full(len(texts), 3, np.int64)
    if "." in first:
        return _fractions(texts, unit)
    values, missing = whole(texts)
    units = _units(values, unit)
    scaled: Ints = values * _UNIT_NS[units]
    return scaled, missing, units


def _zoned(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(texts, "Z", "")


def _fractions(texts: pa.Array, unit: str) -> tuple[Ints, Bools, Ints]:
    """Return times with decimals, such as 1605499846.123, to the nanosecond."""
    points = pc.utf8_slice_codeunits(texts, 0, 19)
    values, _ = whole(pc.replace_substring_regex(points, r"\.\d*$", ""))
    units = _units(values, unit)
    one = int(units[0]) if len(units) else 0
    nanos, missing, needed = counts(texts, 9 - 3 * one)
    if needed > 9 - 3 * one:  # finer than a nanosecond
        nanos = nanos // 10 ** (needed - (9 - 3 * one))
    return nanos, missing, units


def _units(values: Ints, unit: str) -> Ints:
    if unit:
        return np.full(len(values), UNITS.index(unit), np.int64)
    return np.searchsorted(_UNIT_BOUNDS, np.abs(values), side="right").astype(np.int64)


def sides(texts: pa.Array) -> Ints:
    """Return the side that each text names: +1 buy or bid, -1 sell or ask, 0 neither."""
    lower = pc.utf8_lower(texts)
    found: Ints = are(lower, _BUYS).astype(np.int64) - are(lower, _SELLS).astype(np.int64)
    return found


def truths(texts: pa.Array) -> tuple[Bools, Bools]:
    """Return which texts are true (true, 1), and which are neither true nor false."""
    lower = pc.utf8_lower(texts)
    yes = are(lower, ("true", "1"))
    return yes, ~(yes | are(lower, ("false", "0")))


def are(texts: pa.Array, words: tuple[str, ...]) -> Bools:
    """Return which texts are one of some words."""
    # put together by hand: see daemon/tape/columns.py
    ends = np.cumsum([0, *map(len, words)], dtype=np.int32)
    known = pa.Array.from_buffers(
        pa.string(), len(words), [None, pa.py_buffer(ends), pa.py_buffer("".join(words).encode())]
    )
    found: Bools = numbers(pc.is_in(texts, known))
    return found


def _only(texts: pa.Array, pattern: str) -> pa.Array:
    """Return the texts that match a pattern, the others as null."""
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, pa.nulls(len(texts), pa.string()))


def _values(column: pa.Array) -> Ints:
    values: Ints = numbers(column).copy()
    return values
