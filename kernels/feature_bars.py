"""The short bars of mid: what lives on them, and what they say until the next one closes.

Bars close some twenty times a second and rows are asked for at every decision, so that everything that only a
close can change is worked out once, into F_B_*, and a row pays a multiplication for it.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels import feature_state as st
from kernels import indicators as ind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BPS: Final = 1e4


@njit(cache=True, forceinline=True)
def open_first(f: Floats, i: Ints, now_ns: int, mid: float) -> None:
    """Begin the first bar, on the grid of whole bar lengths since 1970, with the first mid."""
    i[st.I_BAR_END_NS] = (now_ns // i[st.I_BAR_NS] + 1) * i[st.I_BAR_NS]
    f[st.F_HIGH] = mid
    f[st.F_LOW] = mid


@njit(cache=True, forceinline=True)
def close_until(f: Floats, i: Ints, now_ns: int) -> None:
    """Close every bar that ended at or before `now_ns`; the ones nobody quoted in repeat the last close."""
    if now_ns < i[st.I_BAR_END_NS]:
        return
    while now_ns >= i[st.I_BAR_END_NS]:
        _close(f, i)
        i[st.I_BAR_END_NS] += i[st.I_BAR_NS]
    _sum_up(f, i)


@njit(cache=True)
def _close(f: Floats, i: Ints) -> None:
    """Give the bar just ended to everything that lives on bars, and open the next at its close."""
    close = f[st.F_MID]
    before = ind.window_back(f, i, st.F_CLOSES, st.J_CLOSES, i[st.I_CLOSES], 1)
    i[st.I_BARS] += 1
    ind.rsi_step(f, i, st.F_RSI, st.J_RSI, i[st.I_RSI], close)
    ind.atr_step(f, i, st.F_ATR, st.J_ATR, i[st.I_ATR], f[st.F_HIGH], f[st.F_LOW], close)
    ind.ema_step(f, st.F_MACD_FAST, f[st.F_ALPHA_MACD_FAST], close)
    ind.ema_step(f, st.F_MACD_SLOW, f[st.F_ALPHA_MACD_SLOW], close)
    ind.ema_step(f, st.F_MACD_SIGNAL, f[st.F_ALPHA_MACD_SIGNAL], f[st.F_MACD_FAST] - f[st.F_MACD_SLOW])
    ind.window_push(f, i, st.F_CLOSES, st.J_CLOSES, i[st.I_CLOSES], close)
    ind.window_push(f, i, st.F_BOLLINGER, st.J_BOLLINGER, i[st.I_BOLLINGER] - 1, close)
    ind.range_push(f, i, st.F_RANGE, st.J_RANGE, i[st.I_RANGE], f[st.F_HIGH], f[st.F_LOW])
    if not math.isnan(before):
        change = close / before - 1.0
        ind.window_push(f, i, st.F_RETURNS, st.J_RETURNS, i[st.I_VOLATILITY], change)
        ind.window_push(f, i, st.F_RETURNS_SLOW, st.J_RETURNS_SLOW, i[st.I_RANGE], change)
        if not math.isnan(f[st.F_RETURN]):
            ind.window_push(f, i, st.F_PRODUCTS, st.J_PRODUCTS, i[st.I_RANGE] - 1, change * f[st.F_RETURN])
        f[st.F_RETURN] = change
    f[st.F_HIGH] = close
    f[st.F_LOW] = close


@njit(cache=True)
def _sum_up(f: Floats, i: Ints) -> None:
    """Work out what the closed bars say; NaN where they are too few."""
    f[st.F_B_RSI] = ind.rsi(f, i, st.F_RSI, st.J_RSI, i[st.I_RSI])
    f[st.F_B_ATR] = ind.atr(f, i, st.F_ATR, st.J_ATR, i[st.I_ATR])
    if i[st.I_BARS] >= i[st.I_MACD_WARM]:
        f[st.F_B_MACD] = f[st.F_MACD_FAST] - f[st.F_MACD_SLOW]
    if i[st.I_BARS] >= i[st.I_SIGNAL_WARM]:
        f[st.F_B_SIGNAL] = f[st.F_MACD_SIGNAL]
    f[st.F_B_MEAN] = ind.window_mean(f, i, st.F_BOLLINGER, st.J_BOLLINGER, i[st.I_BOLLINGER] - 1)
    f[st.F_B_VARIANCE] = ind.window_variance(f, i, st.F_BOLLINGER, st.J_BOLLINGER, i[st.I_BOLLINGER] - 1)
    if i[st.J_RANGE] >= i[st.I_RANGE]:
        f[st.F_B_HIGH] = f[st.F_RANGE]
        f[st.F_B_LOW] = f[st.F_RANGE + 1]
    f[st.F_B_SHORT] = ind.window_back(f, i, st.F_CLOSES, st.J_CLOSES, i[st.I_CLOSES], i[st.I_SHORT])
    f[st.F_B_MEDIUM] = ind.window_back(f, i, st.F_CLOSES, st.J_CLOSES, i[st.I_CLOSES], i[st.I_MEDIUM])
    f[st.F_B_LONG] = ind.window_back(f, i, st.F_CLOSES, st.J_CLOSES, i[st.I_CLOSES], i[st.I_LONG])
    _sum_up_returns(f, i)


@njit(cache=True, forceinline=True)
def _sum_up_returns(f: Floats, i: Ints) -> None:
    n = i[st.I_RANGE]
    drift = ind.window_mean(f, i, st.F_RETURNS, st.J_RETURNS, i[st.I_VOLATILITY])
    variance = ind.window_variance(f, i, st.F_RETURNS, st.J_RETURNS, i[st.I_VOLATILITY])
    fast = math.sqrt(variance + drift * drift)
    f[st.F_B_VOLATILITY] = fast * BPS / math.sqrt(f[st.T_BAR_MS] * 1e-3)
    if i[st.J_RETURNS_SLOW] < n:
        return
    drift = ind.window_mean(f, i, st.F_RETURNS_SLOW, st.J_RETURNS_SLOW, n)
    slow = math.sqrt(ind.window_variance(f, i, st.F_RETURNS_SLOW, st.J_RETURNS_SLOW, n) + drift * drift)
    moved = slow > 0.0
    f[st.F_B_RATIO] = fast / slow if moved else 1.0
    f[st.F_B_TREND] = drift / slow if moved else 0.0
    # n - 1 products of neighbours over n squares: between -1 and 1
    product = ind.window_mean(f, i, st.F_PRODUCTS, st.J_PRODUCTS, n - 1)
    f[st.F_B_AUTOCORRELATION] = (n - 1) * product / (n * slow * slow) if moved else 0.0
