"""One instrument's feature state: its tuning, and where in two flat arrays each thing seen is kept.

`f[FEATURE_FLOATS]` (float64) begins with the tuning, `i[FEATURE_INTS]` (int64) with the lengths made of it;
what ticks have taught begins at F_SEEN and I_SEEN. T_* are places in the tuning, F_* in `f`, I_* in `i`; an
indicator at F_NAME keeps its counters at J_NAME.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels import indicators as ind
from kernels.dtypes import BOOK_LEVELS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUOTES_MAX: Final = 512
BARS_MAX: Final = 256
#: bars one tick may have to close; bounds its cost to about 0.1 ms after a silence
SILENT_BARS_MAX: Final = 4096

# default, least and most of each; T_* is its place
_TUNABLE: Final[dict[str, tuple[float, float, float]]] = {
    "ema_fast": (16, 1, 1e6),  # quotes
    "ema_slow": (64, 1, 1e6),
    "mean_quotes": (128, 2, QUOTES_MAX),
    "smooth": (32, 1, 1e6),  # ticks of their kind: every other average by tick
    "flow_half_life_s": (1.0, 1e-3, 1e6),
    "slow_half_life_s": (30.0, 1e-3, 1e6),
    "bar_ms": (50.0, 1, 3.6e6),
    "silence_s": (60.0, 1e-3, 1e6),
    "rsi_bars": (14, 2, BARS_MAX),
    "macd_fast": (12, 2, BARS_MAX),
    "macd_slow": (26, 2, BARS_MAX),
    "macd_signal": (9, 2, BARS_MAX),
    "atr_bars": (14, 2, BARS_MAX),
    "bollinger_bars": (20, 3, BARS_MAX),
    "bollinger_devs": (2.0, 1e-3, 100),
    "volatility_bars": (10, 2, BARS_MAX),
    "range_bars": (40, 3, BARS_MAX),  # also of the slow volatility, trend and autocorrelation
    "return_short": (5, 1, BARS_MAX),  # bars
    "return_medium": (20, 1, BARS_MAX),
    "return_long": (40, 1, BARS_MAX),
    "near_levels": (5, 1, BOOK_LEVELS),  # a side of the book
}
#: name -> default; a model is trained with one tuning and carries it
TUNING: Final[dict[str, float]] = {name: float(entry[0]) for name, entry in _TUNABLE.items()}
_REAL: Final = ("flow_half_life_s", "slow_half_life_s", "bar_ms", "silence_s", "bollinger_devs")
(T_EMA_FAST, T_EMA_SLOW, T_MEAN, T_SMOOTH, T_FLOW_S, T_SLOW_S, T_BAR_MS, T_SILENCE_S) = range(8)
(T_RSI, T_MACD_FAST, T_MACD_SLOW, T_MACD_SIGNAL, T_ATR, T_BOLLINGER, T_DEVS) = range(8, 15)
(T_VOLATILITY, T_RANGE, T_SHORT, T_MEDIUM, T_LONG, T_NEAR) = range(15, 21)

# --- the float state: tuning, rates made of it, then what has been seen, from F_SEEN on ---------------------
(F_ALPHA_FAST, F_ALPHA_SLOW, F_ALPHA_SMOOTH) = (21, 22, 23)
(F_ALPHA_MACD_FAST, F_ALPHA_MACD_SLOW, F_ALPHA_MACD_SIGNAL) = (24, 25, 26)
(F_FLOW_RATE, F_SLOW_RATE) = (27, 28)  # of decay, per nanosecond
F_SEEN: Final = 29
F_QUOTE: Final = F_SEEN  # bid, bid size, ask, ask size
(F_MID, F_SPREAD_EMA, F_TOP_EMA, F_MID_FAST, F_MID_SLOW) = range(F_QUOTE + 4, F_QUOTE + 9)
# decayed sums, each as it was at the last tick of its kind
(F_DEMAND, F_SUPPLY, F_QUOTES, F_BOUGHT, F_SOLD, F_TRADES) = range(F_MID_SLOW + 1, F_MID_SLOW + 7)
(F_TRADES_SLOW, F_NOTIONAL, F_VOLUME) = range(F_TRADES + 1, F_TRADES + 4)
(F_PRICE, F_QTY, F_SIGN_EMA, F_QTY_EMA, F_DEPTH, F_DEPTH_EMA) = range(F_VOLUME + 1, F_VOLUME + 7)
# what the levels near the best say, in the order of the row's columns; then the slope's average
(F_NEAR, F_NEAR_MICROPRICE, F_SLOPE, F_SLOPE_RATIO, F_SLOPE_SIDES, F_SLOPE_EMA) = range(
    F_DEPTH_EMA + 1, F_DEPTH_EMA + 7
)
(F_HIGH, F_LOW) = (F_SLOPE_EMA + 1, F_SLOPE_EMA + 2)  # of the bar being made
F_RETURN: Final = F_LOW + 1  # of the last bar closed
(F_MACD_FAST, F_MACD_SLOW, F_MACD_SIGNAL) = range(F_RETURN + 1, F_RETURN + 4)
# what the closed bars say, worked out when one closes (kernels.feature_bars)
(F_B_RSI, F_B_ATR, F_B_MACD, F_B_SIGNAL, F_B_MEAN, F_B_VARIANCE) = range(F_MACD_SIGNAL + 1, F_MACD_SIGNAL + 7)
(F_B_HIGH, F_B_LOW, F_B_SHORT, F_B_MEDIUM, F_B_LONG) = range(F_B_VARIANCE + 1, F_B_VARIANCE + 6)
(F_B_VOLATILITY, F_B_RATIO, F_B_TREND, F_B_AUTOCORRELATION) = range(F_B_LONG + 1, F_B_LONG + 5)
F_RSI: Final = F_B_AUTOCORRELATION + 1
F_ATR: Final = F_RSI + ind.RSI_FLOATS
F_MEAN: Final = F_ATR + ind.ATR_FLOATS  # windows, each with room for its longest
F_CLOSES: Final = F_MEAN + ind.WINDOW_HEAD + QUOTES_MAX
_WINDOW: Final = ind.WINDOW_HEAD + BARS_MAX
(F_BOLLINGER, F_RETURNS, F_RETURNS_SLOW, F_PRODUCTS) = range(
    F_CLOSES + _WINDOW, F_CLOSES + 5 * _WINDOW, _WINDOW
)
F_RANGE: Final = F_PRODUCTS + _WINDOW
FEATURE_FLOATS: Final = F_RANGE + ind.RANGE_HEAD + 2 * BARS_MAX

# --- the integer state: lengths made of the tuning, what outlives a restart, what has been seen -------------
(I_MEAN, I_SMOOTH, I_RSI, I_ATR, I_BOLLINGER, I_VOLATILITY, I_RANGE, I_SHORT, I_MEDIUM, I_LONG) = range(10)
I_CLOSES: Final = 10  # closes kept: the longest return
(I_BAR_NS, I_SILENCE_NS) = (11, 12)
(I_EMA_WARM, I_MACD_WARM, I_SIGNAL_WARM) = (13, 14, 15)  # quotes, bars, bars
(I_QUOTES_WARM, I_BARS_WARM) = (16, 17)  # how many until every feature made of quotes is a number
I_NEAR: Final = 18  # levels a side
I_IGNORED: Final = 19  # ticks that cannot be
I_RESTARTS: Final = 20
I_SEEN: Final = 21
(I_TICKS, I_START_NS, I_LAST_NS) = (I_SEEN, I_SEEN + 1, I_SEEN + 2)
(I_QUOTES, I_QUOTE_NS, I_TRADES, I_TRADE_NS, I_DEPTHS) = range(I_SEEN + 3, I_SEEN + 8)
(I_BARS, I_BAR_END_NS) = (I_SEEN + 8, I_SEEN + 9)  # bars closed, the end of the one being made
(J_RSI, J_ATR) = (I_SEEN + 10, I_SEEN + 11)
(J_MEAN, J_CLOSES, J_BOLLINGER, J_RETURNS, J_RETURNS_SLOW, J_PRODUCTS, J_RANGE) = range(
    J_ATR + 1, J_ATR + 1 + 7 * ind.WINDOW_INTS, ind.WINDOW_INTS
)
FEATURE_INTS: Final = J_RANGE + ind.WINDOW_INTS


#: flows of fewer ticks than this say nothing
FLOW_TICKS_MIN: Final = 8
_NEVER: Final = 2**63 - 1
_LOWEST: Final = np.array([entry[1] for entry in _TUNABLE.values()], dtype=np.float64)
_HIGHEST: Final = np.array([entry[2] for entry in _TUNABLE.values()], dtype=np.float64)


def bind_tuning(given: Mapping[str, float]) -> Floats:
    """Return the tuning array, the defaults overridden by `given`; raises ValueError for what cannot be."""
    for name, value in given.items():
        if name not in TUNING:
            raise ValueError(f"tuning has no {name!r}; it has {', '.join(TUNING)}")
        _, low, high = _TUNABLE[name]
        if not low <= value <= high:
            raise ValueError(f"tuning {name} = {value} is outside {low:g} to {high:g}")
        if name not in _REAL and value != int(value):
            raise ValueError(f"tuning {name} = {value} counts ticks or bars: give a whole number")
    tuning = {**TUNING, **given}
    if tuning["silence_s"] * 1e3 > SILENT_BARS_MAX * tuning["bar_ms"]:
        raise ValueError(
            f"tuning silence_s = {tuning['silence_s']} is over {SILENT_BARS_MAX} bars of "
            f"{tuning['bar_ms']} ms; lengthen bar_ms or shorten silence_s"
        )
    return np.array(list(tuning.values()), dtype=np.float64)


@njit(cache=True)
def init(f: Floats, i: Ints, tuning: Floats) -> None:
    """Make `f[FEATURE_FLOATS]`, `i[FEATURE_INTS]` a fresh state; raises ValueError for a wrong tuning."""
    if f.size < FEATURE_FLOATS or i.size < FEATURE_INTS or tuning.size != F_ALPHA_FAST:
        raise ValueError(
            "the feature state or its tuning has the wrong size; see FEATURE_FLOATS and bind_tuning"
        )
    for k in range(F_ALPHA_FAST):
        if not _LOWEST[k] <= tuning[k] <= _HIGHEST[k]:
            raise ValueError("a tuning value is outside its limits; make the array with bind_tuning")
        f[k] = tuning[k]
    f[F_ALPHA_FAST] = 2.0 / (f[T_EMA_FAST] + 1.0)
    f[F_ALPHA_SLOW] = 2.0 / (f[T_EMA_SLOW] + 1.0)
    f[F_ALPHA_SMOOTH] = 2.0 / (f[T_SMOOTH] + 1.0)
    f[F_ALPHA_MACD_FAST] = 2.0 / (f[T_MACD_FAST] + 1.0)
    f[F_ALPHA_MACD_SLOW] = 2.0 / (f[T_MACD_SLOW] + 1.0)
    f[F_ALPHA_MACD_SIGNAL] = 2.0 / (f[T_MACD_SIGNAL] + 1.0)
    f[F_FLOW_RATE] = ind.LN2 / (f[T_FLOW_S] * 1e9)
    f[F_SLOW_RATE] = ind.LN2 / (f[T_SLOW_S] * 1e9)
    i[I_MEAN] = int(f[T_MEAN])
    i[I_SMOOTH] = int(f[T_SMOOTH])
    i[I_RSI] = int(f[T_RSI])
    i[I_ATR] = int(f[T_ATR])
    i[I_BOLLINGER] = int(f[T_BOLLINGER])
    i[I_VOLATILITY] = int(f[T_VOLATILITY])
    i[I_RANGE] = int(f[T_RANGE])
    i[I_SHORT] = int(f[T_SHORT])
    i[I_MEDIUM] = int(f[T_MEDIUM])
    i[I_LONG] = int(f[T_LONG])
    i[I_NEAR] = int(f[T_NEAR])
    i[I_CLOSES] = max(i[I_SHORT], i[I_MEDIUM], i[I_LONG])
    i[I_BAR_NS] = int(f[T_BAR_MS] * 1e6)
    # bind_tuning refuses more; the cap holds for an array made without it
    i[I_SILENCE_NS] = min(int(f[T_SILENCE_S] * 1e9), SILENT_BARS_MAX * i[I_BAR_NS])
    i[I_EMA_WARM] = int(max(f[T_EMA_FAST], f[T_EMA_SLOW]))
    i[I_MACD_WARM] = int(max(f[T_MACD_FAST], f[T_MACD_SLOW]))
    i[I_SIGNAL_WARM] = i[I_MACD_WARM] + int(f[T_MACD_SIGNAL]) - 1
    i[I_QUOTES_WARM] = max(i[I_EMA_WARM], i[I_MEAN], i[I_SMOOTH], FLOW_TICKS_MIN + 1)
    longest = max(i[I_RSI] + 1, i[I_ATR], i[I_BOLLINGER] - 1, i[I_VOLATILITY] + 1, i[I_RANGE] + 1)
    i[I_BARS_WARM] = max(longest, i[I_SIGNAL_WARM], i[I_CLOSES])
    i[I_IGNORED] = 0
    i[I_RESTARTS] = 0
    forget(f, i)


@njit(cache=True)
def forget(f: Floats, i: Ints) -> None:
    """Make all that was seen unseen; the tuning stays."""
    ind.clear(f, i, F_SEEN, FEATURE_FLOATS, I_SEEN, FEATURE_INTS)
    i[I_BAR_END_NS] = _NEVER
