"""Latency histograms that cost nanoseconds and never allocate.

A histogram is one int64 array of HISTOGRAM_SIZE, zeros when empty: a head (HIST_*) and log-linear buckets, 64
to the octave, from 1 ns to 137 s. A bucket is at most 1.6 % wide: its middle is within 0.8 % of all it holds.
Bounds are included above and excluded below, as Prometheus has them, so that its buckets are sums of ours.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]

HIST_COUNT: Final = 0
HIST_SUM: Final = 1  # nanoseconds: overflows after 292 years of latency
HIST_MIN: Final = 2
HIST_MAX: Final = 3
HIST_NEGATIVE: Final = 4  # spans below zero (clocks crossed): counted as 0 ns, and here
HIST_HEAD: Final = 5

#: bucket 0 holds 0 and 1 ns, the last one everything over 2**37 ns
BUCKETS: Final = 64 * 37 + 2
HISTOGRAM_SIZE: Final = HIST_HEAD + BUCKETS
_NS_MAX: Final = 2**63 - 1

# a float64's exponent and first six fraction bits, read as an integer, *are* a log-linear bucket number
_FRACTION_SHIFT: Final = 46
_EXPONENT_ZERO: Final = 1023 * 64 - 1


@njit(cache=True, forceinline=True)
def bucket(ns: int) -> int:
    """Return the number of the bucket that holds `ns`."""
    if ns < 2:
        return 0
    bits = np.float64(ns - 1).view(np.int64)
    return min(int(bits >> _FRACTION_SHIFT) - _EXPONENT_ZERO, BUCKETS - 1)


def _edge(index: int) -> int:
    """Return the ns up to which buckets below `index` reach, for 1 <= index < BUCKETS."""
    octave, sixtyfourth = divmod(index - 1, 64)
    return -((-(64 + sixtyfourth) << octave) >> 6)  # rounded up: below 64 ns most buckets are empty


#: `_EDGES[k]` is excluded from bucket k and `_EDGES[k + 1]` included in it
_EDGES: Final = np.array([-1, *(_edge(k) for k in range(1, BUCKETS)), _NS_MAX], dtype=np.int64)

# from 1 us to 10 s, about a factor of sqrt(2) apart: the edges nearest to that
_BOUND_BUCKETS: Final = np.array(
    [int(np.argmin(np.abs(_EDGES - 1000.0 * 2.0 ** (k / 2)))) for k in range(48)], dtype=np.int64
)
#: upper bounds of the Prometheus buckets that `cumulative` counts, in ns; all else is in `le="+Inf"`
BOUNDS_NS: Final[tuple[int, ...]] = tuple(int(_EDGES[k]) for k in _BOUND_BUCKETS)


@njit(cache=True, forceinline=True)
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
def observe_two(hs: NDArray[np.int64], first_ns: int, second_ns: int, third_ns: int) -> None:
    """Record the two spans between three stamps into `hs[0]` and `hs[1]`, in one call from Python."""
    observe(hs[0], second_ns - first_ns)
    observe(hs[1], third_ns - second_ns)


@njit(cache=True)
def observe_three(
    hs: NDArray[np.int64], first_ns: int, second_ns: int, third_ns: int, fourth_ns: int
) -> None:
    """Record the three spans between four stamps into `hs[0]` to `hs[2]`, in one call from Python."""
    observe(hs[0], second_ns - first_ns)
    observe(hs[1], third_ns - second_ns)
    observe(hs[2], fourth_ns - third_ns)


@njit(cache=True)
def quantile(h: Ints, q: float) -> float:
    """Return the ns that the fraction `q` of the values does not exceed; NaN for an empty histogram."""
    count = h[HIST_COUNT]
    if count == 0:
        return math.nan
    rank = min(max(math.ceil(q * count), 1), count)
    index = 0
    seen = h[HIST_HEAD]
    while seen < rank:
        index += 1
        seen += h[HIST_HEAD + index]
    # the middle of a bucket's whole nanoseconds, and never outside what was seen
    middle = _EDGES[index] + (_EDGES[index + 1] - _EDGES[index] + 1) // 2
    return float(min(max(middle, h[HIST_MIN]), h[HIST_MAX]))


@njit(cache=True)
def cumulative(h: Ints, out: Ints) -> None:
    """Write into `out[len(BOUNDS_NS)]` how many values are at most each of BOUNDS_NS, exactly."""
    index = 0
    seen = 0
    for k in range(_BOUND_BUCKETS.size):
        while index < _BOUND_BUCKETS[k]:
            seen += h[HIST_HEAD + index]
            index += 1
        out[k] = seen
