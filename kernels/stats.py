"""Latency histograms and running statistics that cost nanoseconds and never allocate.

A histogram is one int64 array of HISTOGRAM_SIZE, zeros when empty: a head (HIST_*) and log-linear buckets, 64
to the octave, from 1 ns to 137 s. A bucket is at most 1.6 % wide: its middle is within 0.8 % of all it holds.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HIST_COUNT: Final = 0
HIST_SUM: Final = 1  # nanoseconds: overflows after 292 years of latency
HIST_MIN: Final = 2
HIST_MAX: Final = 3
HIST_NEGATIVE: Final = 4  # spans below zero (clocks crossed): counted as 0 ns, and here
HIST_HEAD: Final = 5

_OCTAVES: Final = 37
#: bucket 0 holds values below 1 ns, the last one everything from 2**37 ns on
BUCKETS: Final = 64 * _OCTAVES + 2
HISTOGRAM_SIZE: Final = HIST_HEAD + BUCKETS

# a float64's exponent and first six fraction bits, read as an integer, *are* a log-linear bucket number
_FRACTION_SHIFT: Final = 46
_EXPONENT_ZERO: Final = 1023 * 64 - 1


@njit(cache=True)
def bucket(ns: int) -> int:
    """Return the number of the bucket that holds `ns`."""
    if ns < 1:
        return 0
    bits = np.float64(ns).view(np.int64)
    return min(int(bits >> _FRACTION_SHIFT) - _EXPONENT_ZERO, BUCKETS - 1)


@njit(cache=True)
def bucket_bounds(index: int) -> tuple[float, float]:
    """Return a bucket's lower (included) and upper (excluded) bound in ns; the last one is open upwards."""
    if index <= 0:
        return 0.0, 1.0
    low = _edge(index)
    return low, math.inf if index >= BUCKETS - 1 else _edge(index + 1)


@njit(cache=True)
def _edge(index: int) -> float:
    """Return the lower bound of a bucket from 1 on."""
    octave, sixtyfourth = divmod(index - 1, 64)
    return math.ldexp(64.0 + sixtyfourth, octave - 6)


@njit(cache=True)
def observe(h: Ints, ns: int) -> None:
    """Record one value in nanoseconds."""
    if ns < 0:
        h[HIST_NEGATIVE] += 1
        ns = 0
    if h[HIST_COUNT] == 0 or ns < h[HIST_MIN]:
        h[HIST_MIN] = ns
    h[HIST_MAX] = max(h[HIST_MAX], ns)
    h[HIST_COUNT] += 1
    h[HIST_SUM] += ns
    h[HIST_HEAD + bucket(ns)] += 1


@njit(cache=True)
def observe_spans(hs: NDArray[np.int64], stamps: Ints, n: int) -> None:
    """Record the `n` spans between the first `n + 1` stamps: `stamps[k + 1] - stamps[k]` into `hs[k]`."""
    for k in range(n):
        observe(hs[k], stamps[k + 1] - stamps[k])


@njit(cache=True)
def merge(into: Ints, h: Ints) -> None:
    """Add the histogram `h` to `into`."""
    if h[HIST_COUNT] == 0:
        return
    if into[HIST_COUNT] == 0 or h[HIST_MIN] < into[HIST_MIN]:
        into[HIST_MIN] = h[HIST_MIN]
    into[HIST_MAX] = max(into[HIST_MAX], h[HIST_MAX])
    into[HIST_COUNT] += h[HIST_COUNT]
    into[HIST_SUM] += h[HIST_SUM]
    into[HIST_NEGATIVE] += h[HIST_NEGATIVE]
    for k in range(HIST_HEAD, HISTOGRAM_SIZE):
        into[k] += h[k]


@njit(cache=True)
def quantile(h: Ints, q: float) -> float:
    """Return the ns that the fraction `q` of the values does not exceed; NaN for an empty histogram."""
    count = h[HIST_COUNT]
    if count == 0:
        return math.nan
    rank = min(max(math.ceil(q * count), 1), count)
    seen = 0
    index = 0
    while True:
        seen += h[HIST_HEAD + index]
        if seen >= rank:
            break
        index += 1
    low, high = bucket_bounds(index)
    middle = 0.5 * (low + max(low, high - 1.0))  # of the whole nanoseconds in the bucket
    return min(max(middle, float(h[HIST_MIN])), float(h[HIST_MAX]))


@njit(cache=True)
def mean(h: Ints) -> float:
    """Return the mean in ns, exact; NaN for an empty histogram."""
    return h[HIST_SUM] / h[HIST_COUNT] if h[HIST_COUNT] > 0 else math.nan
