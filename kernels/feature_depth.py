"""What the levels near the best price say: imbalance, mean price and slope of the best `near_levels` a side.

Of each side the best n levels that there are, k = 0 best, have prices p[k] and quantities q[k]. Mid is the
mean of both best prices, d[k] = |p[k] - mid| / mid in basis points, and Q[k] = q[0] + .. + q[k].

    quantity     S = Q[n - 1]
    distance     D = sum(d[k] * q[k]) / S               of the side's mean price from mid; d[0] where S is 0
    slope        B = sum(d[k] * Q[k]) / sum(d[k] ** 2)  of the line from mid that fits Q over d, least squares

    near_imbalance         (S_bid - S_ask) / (S_bid + S_ask)
    near_microprice_bps    (D_ask * S_bid - D_bid * S_ask) / (S_bid + S_ask)
    near_slope             (B_bid + B_ask) / (S_bid + S_ask)    the share that one more basis point meets
    near_slope_ratio       B_bid + B_ask over its average by `smooth`
    near_slope_imbalance   (B_bid - B_ask) / (B_bid + B_ask)

With n = 1 the first two are those of the quote. They are worked out when a book changes, so that a row copies
five numbers. A side without a level makes the book one that cannot be, as for every feature of depth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from numba import njit

from kernels import feature_state as st
from kernels import indicators as ind
from kernels.dtypes import BOOK_LEVELS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_BPS: Final = 1e4


@njit(cache=True, forceinline=True)
def total(side: Floats) -> float:
    """Return the quantity of all levels that `decide` sees of one side, side[BOOK_LEVELS, 2]."""
    qty = 0.0
    for level in range(BOOK_LEVELS):
        qty += side[level, 1]
    return qty


@njit(cache=True, forceinline=True)
def step(f: Floats, i: Ints, levels: Floats) -> None:
    """Take the changed book, levels[2, BOOK_LEVELS, 2] with a level on both sides, counted in I_DEPTHS."""
    bid, ask = levels[0, 0, 0], levels[1, 0, 0]
    mid = bid + 0.5 * (ask - bid)
    n = i[st.I_NEAR]
    # numba hands pairs over memory: the sums of both sides are named instead
    bid_qty = bid_moment = bid_area = bid_squares = 0.0
    ask_qty = ask_moment = ask_area = ask_squares = 0.0
    for k in range(n):
        price, qty = levels[0, k, 0], levels[0, k, 1]
        if not math.isnan(price):
            away = (mid - price) / mid * _BPS
            bid_qty += qty
            bid_moment += away * qty
            bid_area += away * bid_qty
            bid_squares += away * away
        price, qty = levels[1, k, 0], levels[1, k, 1]
        if not math.isnan(price):
            away = (price - mid) / mid * _BPS
            ask_qty += qty
            ask_moment += away * qty
            ask_area += away * ask_qty
            ask_squares += away * away
    f[st.F_NEAR] = ind.imbalance(bid_qty, ask_qty)
    best = 0.5 * (ask - bid) / mid * _BPS
    bid_away = bid_moment / bid_qty if bid_qty > 0.0 else best
    ask_away = ask_moment / ask_qty if ask_qty > 0.0 else best
    both = bid_qty + ask_qty
    f[st.F_NEAR_MICROPRICE] = (ask_away * bid_qty - bid_away * ask_qty) / both if both > 0.0 else 0.0
    if bid_squares > 0.0 and ask_squares > 0.0:  # else all of a side stands at mid, where no line has a slope
        bid_slope = bid_area / bid_squares
        ask_slope = ask_area / ask_squares
        slope = bid_slope + ask_slope
        f[st.F_SLOPE] = slope / both if both > 0.0 else 0.0
        f[st.F_SLOPE_SIDES] = ind.imbalance(bid_slope, ask_slope)
        ind.ema_step(f, st.F_SLOPE_EMA, f[st.F_ALPHA_SMOOTH], slope)
        if i[st.I_DEPTHS] >= i[st.I_SMOOTH]:
            f[st.F_SLOPE_RATIO] = slope / f[st.F_SLOPE_EMA] if f[st.F_SLOPE_EMA] > 0.0 else 1.0
