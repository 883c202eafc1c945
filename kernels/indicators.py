"""Incremental indicators: each keeps its state in slices of two flat arrays and costs O(1) a value.

An indicator's numbers live in `f` (float64) from index `at` and its counters in `i` (int64) from index `it`;
the `*_FLOATS` and `*_INTS` constants say how many of each it takes. Callers pass `at`, `it` and lengths as
compile-time constants or integers of the state, so that a fused kernel pays no call. Nothing here reads a
clock. NaN means "not ready". Fresh state is what `clear` writes.

Calls are inlined by force: numba's own calls of such small functions cost a tick four times its work.

Nothing drifts: exponential averages forget their own rounding, and the rolling sums are taken relative to a
recent value and rebuilt exactly once per turn of their ring.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LN2: Final = math.log(2.0)
#: below this an average of magnitudes is nothing: it would otherwise decay into denormals, 100 times slower
NOTHING: Final = 1e-200
#: a variance this small against the largest square summed may be rounding: it is then taken exactly
CANCELLED: Final = 1e-6

EMA_FLOATS: Final = 1

RSI_FLOATS: Final = 3  # previous value, mean gain, mean loss
RSI_INTS: Final = 1  # changes seen

ATR_FLOATS: Final = 2  # previous close, mean true range
ATR_INTS: Final = 1  # ranges seen

WINDOW_HEAD: Final = 4  # sum and sum of squares of value minus anchor, anchor, largest square since rebuilt
WINDOW_INTS: Final = 3  # values held, next slot, how many equal values came last

RANGE_HEAD: Final = 2  # highest high, lowest low; then a ring of highs and a ring of lows
RANGE_INTS: Final = 2  # bars held, next slot


@njit(cache=True)
def clear(f: Floats, i: Ints, at: int, at_end: int, it: int, it_end: int) -> None:
    """Make `f[at:at_end]` and `i[it:it_end]` the state of indicators that have seen nothing."""
    for k in range(at, at_end):
        f[k] = math.nan
    for k in range(it, it_end):
        i[k] = 0


@njit(cache=True, forceinline=True)
def ema_step(f: Floats, at: int, alpha: float, x: float) -> None:
    """Move the average at `f[at]` by `alpha` of the way to `x`; the first value seeds it."""
    before = f[at]
    f[at] = x if math.isnan(before) else before + alpha * (x - before)


@njit(cache=True, forceinline=True)
def decay(dt_ns: int, rate_per_ns: float) -> float:
    """Return exp(-rate * dt), and exactly 1 for ticks of one stamp: a burst pays no exponential."""
    return 1.0 if dt_ns <= 0 else math.exp(-rate_per_ns * dt_ns)


@njit(cache=True, forceinline=True)
def decayed_add(f: Floats, at: int, factor: float, x: float) -> None:
    """Shrink the sum at `f[at]` by `factor`, then add `x`; NaN, the fresh state, counts as nothing."""
    kept = f[at] * factor
    f[at] = kept + x if abs(kept) > NOTHING else x


@njit(cache=True, forceinline=True)
def rsi_step(f: Floats, i: Ints, at: int, it: int, n: int, x: float) -> None:
    """Take the next close of Wilder's relative strength over `n` changes: their plain mean, then smoothed."""
    before = f[at]
    f[at] = x
    if math.isnan(before):
        f[at + 1] = 0.0
        f[at + 2] = 0.0
        return
    i[it] = min(i[it] + 1, n)
    share = 1.0 / i[it]
    gain = f[at + 1] + share * (max(x - before, 0.0) - f[at + 1])
    loss = f[at + 2] + share * (max(before - x, 0.0) - f[at + 2])
    f[at + 1] = gain if gain > NOTHING else 0.0
    f[at + 2] = loss if loss > NOTHING else 0.0


@njit(cache=True, forceinline=True)
def rsi(f: Floats, i: Ints, at: int, it: int, n: int) -> float:
    """Return the relative strength index, 0 to 100; 50 where nothing moved; NaN before `n` changes."""
    if i[it] < n:
        return math.nan
    total = f[at + 1] + f[at + 2]
    return 100.0 * f[at + 1] / total if total > 0.0 else 50.0


@njit(cache=True, forceinline=True)
def atr_step(f: Floats, i: Ints, at: int, it: int, n: int, high: float, low: float, close: float) -> None:
    """Take the next bar of Wilder's average true range over `n` bars."""
    before = f[at]
    f[at] = close
    if math.isnan(before):
        before = close
        f[at + 1] = 0.0
    i[it] = min(i[it] + 1, n)
    true_range = max(high, before) - min(low, before)
    mean = f[at + 1] + (true_range - f[at + 1]) / i[it]
    f[at + 1] = mean if mean > NOTHING else 0.0


@njit(cache=True, forceinline=True)
def atr(f: Floats, i: Ints, at: int, it: int, n: int) -> float:
    """Return the average true range in price units; NaN before `n` bars."""
    return f[at + 1] if i[it] >= n else math.nan


@njit(cache=True, forceinline=True)
def window_push(f: Floats, i: Ints, at: int, it: int, n: int, x: float) -> None:
    """Put `x` into the ring of the last `n` values, whose slots are `f[at + WINDOW_HEAD:][:n]`."""
    ring = at + WINDOW_HEAD
    slot = i[it + 1]
    if i[it] == 0:
        f[at] = 0.0
        f[at + 1] = 0.0
        f[at + 2] = x
        f[at + 3] = 0.0
    last = f[ring + (slot - 1 if slot > 0 else n - 1)]
    i[it + 2] = i[it + 2] + 1 if x == last else 1
    d = x - f[at + 2]
    if i[it] == n:
        gone = f[ring + slot] - f[at + 2]
        f[at] += d - gone
        f[at + 1] += d * d - gone * gone
    else:
        i[it] += 1
        f[at] += d
        f[at + 1] += d * d
    f[at + 3] = max(f[at + 3], d * d)
    f[ring + slot] = x
    i[it + 1] = slot + 1
    if slot + 1 == n:
        i[it + 1] = 0
        _window_rebuild(f, at, n, x)


@njit(cache=True)
def _window_rebuild(f: Floats, at: int, n: int, anchor: float) -> None:
    """Sum the whole ring again relative to `anchor`, so that rounding never outlives one turn."""
    total = 0.0
    squares = 0.0
    largest = 0.0
    for k in range(at + WINDOW_HEAD, at + WINDOW_HEAD + n):
        d = f[k] - anchor
        total += d
        squares += d * d
        largest = max(largest, d * d)
    f[at] = total
    f[at + 1] = squares
    f[at + 2] = anchor
    f[at + 3] = largest


@njit(cache=True, forceinline=True)
def window_back(f: Floats, i: Ints, at: int, it: int, n: int, back: int) -> float:
    """Return the value pushed `back` pushes ago, 1 <= back <= n (1 is the last one); NaN before that many."""
    if i[it] < back:
        return math.nan
    slot = i[it + 1] - back
    return float(f[at + WINDOW_HEAD + (slot if slot >= 0 else slot + n)])


@njit(cache=True, forceinline=True)
def window_mean(f: Floats, i: Ints, at: int, it: int, n: int) -> float:
    """Return the mean of the last `n` values; NaN before `n`."""
    if i[it] < n:
        return math.nan
    if i[it + 2] >= n:
        return float(f[at + WINDOW_HEAD])  # all slots are equal
    return float(f[at + 2] + f[at] / n)


@njit(cache=True, forceinline=True)
def window_variance(f: Floats, i: Ints, at: int, it: int, n: int) -> float:
    """Return the population variance of the last `n` values, 0 where all are equal; NaN before `n`."""
    if i[it] < n:
        return math.nan
    if i[it + 2] >= n:
        return 0.0
    mean = f[at] / n
    variance = f[at + 1] / n - mean * mean
    if variance > CANCELLED * f[at + 3]:
        return float(variance)
    return _window_variance_exact(f, at, n, window_back(f, i, at, it, n, 1))


@njit(cache=True, forceinline=True)
def _window_variance_exact(f: Floats, at: int, n: int, anchor: float) -> float:
    """Return the ring's variance in two passes: a spike that has left leaves its rounding in the sums.

    Rarely run, and still inlined: left as a call it costs a row that never takes it 60 ns.
    """
    ring = at + WINDOW_HEAD
    mean = 0.0
    for k in range(ring, ring + n):
        mean += f[k] - anchor
    mean /= n
    squares = 0.0
    for k in range(ring, ring + n):
        d = f[k] - anchor - mean
        squares += d * d
    return squares / n


@njit(cache=True, forceinline=True)
def range_push(f: Floats, i: Ints, at: int, it: int, n: int, high: float, low: float) -> None:
    """Take a bar into the highest high `f[at]` and lowest low `f[at + 1]` of the last `n` bars.

    The rings take `2 * n` slots from `f[at + RANGE_HEAD]`; they are searched only when an extreme leaves.
    """
    highs = at + RANGE_HEAD
    lows = highs + n
    slot = i[it + 1]
    full = i[it] == n
    gone_high = f[highs + slot]
    gone_low = f[lows + slot]
    f[highs + slot] = high
    f[lows + slot] = low
    i[it + 1] = slot + 1 if slot + 1 < n else 0
    if not full:
        i[it] += 1
    if i[it] == 1:
        f[at] = high
        f[at + 1] = low
        return
    f[at] = max(f[at], high)
    f[at + 1] = min(f[at + 1], low)
    if full and gone_high >= f[at] and high < gone_high:
        f[at] = _highest(f, highs, n)
    if full and gone_low <= f[at + 1] and low > gone_low:
        f[at + 1] = _lowest(f, lows, n)


@njit(cache=True)
def _highest(f: Floats, at: int, n: int) -> float:
    top = f[at]
    for k in range(at + 1, at + n):
        top = max(top, f[k])
    return float(top)


@njit(cache=True)
def _lowest(f: Floats, at: int, n: int) -> float:
    bottom = f[at]
    for k in range(at + 1, at + n):
        bottom = min(bottom, f[k])
    return float(bottom)


@njit(cache=True, forceinline=True)
def order_flow(f: Floats, at: int, bid: float, bid_qty: float, ask: float, ask_qty: float) -> float:
    """Return what the change from the quote in `f[at:at + 4]` adds to order-flow imbalance, in base currency.

    A bid that rises or grows and an ask that rises or shrinks are demand (positive), the reverse supply
    (Cont, Kukanov and Stoikov, 2014).
    """
    flow = 0.0
    if bid >= f[at]:
        flow += bid_qty
    if bid <= f[at]:
        flow -= f[at + 1]
    if ask <= f[at + 2]:
        flow -= ask_qty
    if ask >= f[at + 2]:
        flow += f[at + 3]
    return flow


@njit(cache=True, forceinline=True)
def imbalance(bought: float, sold: float) -> float:
    """Return (bought - sold) / (bought + sold), from -1 to 1; 0 where there is neither."""
    total = bought + sold
    return (bought - sold) / total if total > 0.0 else 0.0


@njit(cache=True, forceinline=True)
def decayed_rate_hz(total: float, since_ns: int, elapsed_ns: int, rate_per_ns: float) -> float:
    """Return events a second from their decayed count `total`, as it was `since_ns` ago.

    `elapsed_ns` > 0 is how long we have been listening: what a young stream cannot have counted yet is
    allowed for, which after 40 time constants is below rounding.
    """
    listened = rate_per_ns * elapsed_ns
    seen = -math.expm1(-listened) if listened < 40.0 else 1.0
    return total * decay(since_ns, rate_per_ns) * rate_per_ns * 1e9 / seen
