"""The feature row: what one instrument's ticks say, as ratios and basis points; one fused call a tick.

    f = np.zeros(FEATURE_FLOATS); i = np.zeros(FEATURE_INTS, np.int64)
    init(f, i, bind_tuning({}))
    step(f, i, kind, wire_ns, a, b, c, d)      every tick, in order (kernels.dtypes: TRADE, QUOTE, DEPTH)
    step_book(f, i, wire_ns, levels)           in the place of a DEPTH tick, where its levels are known
    row(f, i, now_ns, out)                     whenever somebody decides; changes no state

Three clocks, each where it fits. *Per tick*: quotes drive the averages of mid, spread and imbalance, trades
those of sign and size, depth updates those of depth. *Decaying by time*: flows, VWAP and rates forget by
half-lives. *Short bars* of mid, on a grid of `bar_ms`: RSI, MACD, ATR, Bollinger, volatility, returns; a bar
without a quote repeats the last close, and bars close when the first tick after them arrives.

`wire_ns` may repeat; a step back of up to BACK_NS_MAX is read as standing still. A longer one, or a silence
of `silence_s`, starts everything again: what was before is not the present. A tick that cannot be (NaN, not
a positive price, a negative quantity, a crossed quote) changes nothing and is counted in
`i[feature_state.I_IGNORED]`.

Everything is inlined by force: in a kernel that has `f` and `i` in its record a step costs 30 ns and a row
60; as calls, which count references to the arrays, 90 and 150.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels import feature_bars as bars
from kernels import feature_depth as depth
from kernels import feature_state as st
from kernels import indicators as ind
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.feature_state import FEATURE_FLOATS, FEATURE_INTS, TUNING, bind_tuning, init

__all__ = [
    "FEATURES",
    "FEATURE_FLOATS",
    "FEATURE_INTS",
    "FEATURE_SOURCES",
    "TUNING",
    "bind_tuning",
    "init",
    "ready",
    "row",
    "row_bars",
    "row_depth",
    "row_quotes",
    "row_rates",
    "row_trades",
    "step",
    "step_book",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEATURES: Final[tuple[str, ...]] = (
    "spread_bps",  # best ask minus best bid, of mid
    "spread_ratio",  # spread over its average
    "microprice_bps",  # mid weighted by the opposite sizes, minus mid
    "top_imbalance",  # (bid size - ask size) / their sum, best level
    "top_imbalance_ema",
    "depth_imbalance",  # the same over the top levels
    "depth_imbalance_ema",
    "order_flow",  # order-flow imbalance: decayed demand against supply, -1..1
    "trade_flow",  # bought against sold quantity, decayed, -1..1
    "trade_sign_ema",  # taker's side, averaged over trades
    "trade_size_ratio",  # last trade's quantity over its average
    "trade_rate_hz",
    "trade_rate_ratio",  # over the slow rate
    "quote_rate_hz",
    "last_trade_bps",  # last trade's price minus mid
    "vwap_bps",  # mid minus decayed VWAP
    "ema_spread_bps",  # fast minus slow average of mid, of slow
    "mean_bps",  # mid minus its rolling mean
    "deviation_bps",  # rolling standard deviation of mid
    "zscore",
    "rsi",  # 0..100
    "macd_bps",
    "macd_signal_bps",
    "macd_histogram_bps",
    "atr_bps",
    "bollinger_b",  # where mid stands between the bands: 0 lower, 1 upper
    "bollinger_width_bps",
    "volatility_bps",  # realised, per square root of a second
    "volatility_ratio",  # over the slow one
    "trend",  # net move against its variation, -1..1
    "autocorrelation",  # of neighbouring bars' returns
    "range_position",  # where mid stands in the range: 0 low, 1 high
    "return_short_bps",
    "return_medium_bps",
    "return_long_bps",
    # of the best `near_levels` levels a side, where books are followed (kernels.feature_depth: the formulas)
    "near_imbalance",  # (bid quantity - ask quantity) / their sum
    "near_microprice_bps",  # the sides' mean prices weighted by the other side's quantity, minus mid
    "near_slope",  # share of the quantity that one more basis point from mid meets
    "near_slope_ratio",  # quantity that it meets, over its average
    "near_slope_imbalance",  # (bids' slope - asks' slope) / their sum
)

#: the modules, beside this one, whose text decides what a feature is: a model's manifest holds their hash
FEATURE_SOURCES: Final = (
    "features.py",
    "feature_bars.py",
    "feature_depth.py",
    "feature_state.py",
    "indicators.py",
)

# the columns
(X_SPREAD, X_SPREAD_RATIO, X_MICROPRICE, X_TOP, X_TOP_EMA, X_DEPTH, X_DEPTH_EMA) = range(7)
(X_ORDER_FLOW, X_TRADE_FLOW, X_TRADE_SIGN_EMA, X_TRADE_SIZE_RATIO, X_TRADE_RATE) = range(7, 12)
(X_TRADE_RATE_RATIO, X_QUOTE_RATE, X_LAST_TRADE, X_VWAP, X_EMA_SPREAD, X_MEAN) = range(12, 18)
(X_DEVIATION, X_ZSCORE, X_RSI, X_MACD, X_MACD_SIGNAL, X_MACD_HISTOGRAM) = range(18, 24)
(X_ATR, X_BOLLINGER_B, X_BOLLINGER_WIDTH, X_VOLATILITY, X_VOLATILITY_RATIO) = range(24, 29)
(X_TREND, X_AUTOCORRELATION, X_RANGE_POSITION, X_SHORT, X_MEDIUM, X_LONG) = range(29, 35)
(X_NEAR, X_NEAR_MICROPRICE, X_SLOPE, X_SLOPE_RATIO, X_SLOPE_SIDES) = range(35, 40)

# within these no square, product or ratio of prices overflows
PRICE_MIN: Final = 1e-15
PRICE_MAX: Final = 1e15
QTY_MAX: Final = 1e15
BACK_NS_MAX: Final = 1_000_000_000


@njit(cache=True, forceinline=True)
def step(f: Floats, i: Ints, kind: int, wire_ns: int, a: float, b: float, c: float, d: float) -> None:
    """Take one tick of a kind and meaning that kernels.dtypes gives; `wire_ns` is when we received it."""
    if not _possible(kind, a, b, c, d):
        i[st.I_IGNORED] += 1
        return
    now_ns = _advance(f, i, wire_ns)
    if kind == QUOTE:
        _step_quote(f, i, now_ns, a, b, c, d)
    elif kind == TRADE:
        _step_trade(f, i, now_ns, a, b, c)
    else:
        _step_depth(f, i, b, d)


@njit(cache=True, forceinline=True)
def step_book(f: Floats, i: Ints, wire_ns: int, levels: Floats) -> None:
    """Take the changed book as `decide` sees it, levels[2, BOOK_LEVELS, 2] as of kernels.book.top."""
    bid_qty = depth.total(levels[0])
    ask_qty = depth.total(levels[1])
    if not _two_sided(levels[0, 0, 0], bid_qty, levels[1, 0, 0], ask_qty):
        i[st.I_IGNORED] += 1
        return
    _advance(f, i, wire_ns)
    _step_depth(f, i, bid_qty, ask_qty)
    depth.step(f, i, levels)


@njit(cache=True, forceinline=True)
def _possible(kind: int, a: float, b: float, c: float, d: float) -> bool:
    """Return whether a market can say this: comparisons are false for NaN, so NaN is not possible."""
    if kind == TRADE:
        return _priced(a, b) and abs(c) == 1.0
    return kind in (QUOTE, DEPTH) and _two_sided(a, b, c, d)


@njit(cache=True, forceinline=True)
def _two_sided(bid: float, bid_qty: float, ask: float, ask_qty: float) -> bool:
    return _priced(bid, bid_qty) and _priced(ask, ask_qty) and bid <= ask


@njit(cache=True, forceinline=True)
def _priced(price: float, qty: float) -> bool:
    return PRICE_MIN <= price <= PRICE_MAX and 0.0 <= qty <= QTY_MAX


@njit(cache=True, forceinline=True)
def _advance(f: Floats, i: Ints, wire_ns: int) -> int:
    """Move time to this tick, close the bars that ended before it, and return it: it never steps back."""
    last_ns = i[st.I_LAST_NS]
    if i[st.I_TICKS] == 0 or wire_ns - last_ns > i[st.I_SILENCE_NS] or last_ns - wire_ns > BACK_NS_MAX:
        if i[st.I_TICKS] > 0:
            i[st.I_RESTARTS] += 1
            st.forget(f, i)
        i[st.I_START_NS] = wire_ns
        last_ns = wire_ns
    now_ns = max(wire_ns, last_ns)
    i[st.I_LAST_NS] = now_ns
    i[st.I_TICKS] += 1
    bars.close_until(f, i, now_ns)
    return int(now_ns)


@njit(cache=True, forceinline=True)
def _step_quote(
    f: Floats, i: Ints, now_ns: int, bid: float, bid_qty: float, ask: float, ask_qty: float
) -> None:
    mid = bid + 0.5 * (ask - bid)
    factor = ind.decay(now_ns - i[st.I_QUOTE_NS], f[st.F_FLOW_RATE])
    if i[st.I_QUOTES] == 0:
        bars.open_first(f, i, now_ns, mid)
    else:
        flow = ind.order_flow(f, st.F_QUOTE, bid, bid_qty, ask, ask_qty)
        ind.decayed_add(f, st.F_DEMAND, factor, max(flow, 0.0))
        ind.decayed_add(f, st.F_SUPPLY, factor, max(-flow, 0.0))
    ind.decayed_add(f, st.F_QUOTES, factor, 1.0)
    i[st.I_QUOTES] += 1
    i[st.I_QUOTE_NS] = now_ns
    f[st.F_QUOTE] = bid
    f[st.F_QUOTE + 1] = bid_qty
    f[st.F_QUOTE + 2] = ask
    f[st.F_QUOTE + 3] = ask_qty
    f[st.F_MID] = mid
    f[st.F_HIGH] = max(f[st.F_HIGH], mid)
    f[st.F_LOW] = min(f[st.F_LOW], mid)
    ind.ema_step(f, st.F_SPREAD_EMA, f[st.F_ALPHA_SMOOTH], ask - bid)
    ind.ema_step(f, st.F_TOP_EMA, f[st.F_ALPHA_SMOOTH], ind.imbalance(bid_qty, ask_qty))
    ind.ema_step(f, st.F_MID_FAST, f[st.F_ALPHA_FAST], mid)
    ind.ema_step(f, st.F_MID_SLOW, f[st.F_ALPHA_SLOW], mid)
    ind.window_push(f, i, st.F_MEAN, st.J_MEAN, i[st.I_MEAN], mid)


@njit(cache=True, forceinline=True)
def _step_trade(f: Floats, i: Ints, now_ns: int, price: float, qty: float, sign: float) -> None:
    fast = ind.decay(now_ns - i[st.I_TRADE_NS], f[st.F_FLOW_RATE])
    slow = ind.decay(now_ns - i[st.I_TRADE_NS], f[st.F_SLOW_RATE])
    ind.decayed_add(f, st.F_BOUGHT, fast, qty if sign > 0.0 else 0.0)
    ind.decayed_add(f, st.F_SOLD, fast, 0.0 if sign > 0.0 else qty)
    ind.decayed_add(f, st.F_TRADES, fast, 1.0)
    ind.decayed_add(f, st.F_TRADES_SLOW, slow, 1.0)
    ind.decayed_add(f, st.F_NOTIONAL, slow, price * qty)
    ind.decayed_add(f, st.F_VOLUME, slow, qty)
    i[st.I_TRADES] += 1
    i[st.I_TRADE_NS] = now_ns
    f[st.F_PRICE] = price
    f[st.F_QTY] = qty
    ind.ema_step(f, st.F_SIGN_EMA, f[st.F_ALPHA_SMOOTH], sign)
    ind.ema_step(f, st.F_QTY_EMA, f[st.F_ALPHA_SMOOTH], qty)


@njit(cache=True, forceinline=True)
def _step_depth(f: Floats, i: Ints, bid_qty: float, ask_qty: float) -> None:
    i[st.I_DEPTHS] += 1
    f[st.F_DEPTH] = ind.imbalance(bid_qty, ask_qty)
    ind.ema_step(f, st.F_DEPTH_EMA, f[st.F_ALPHA_SMOOTH], f[st.F_DEPTH])


@njit(cache=True)
def ready(f: Floats, i: Ints) -> bool:
    """Return whether every feature that quotes alone make is a number: trades and depth may never come."""
    listened = (i[st.I_LAST_NS] - i[st.I_START_NS]) * f[st.F_FLOW_RATE] >= ind.LN2
    return bool(listened and i[st.I_QUOTES] >= i[st.I_QUOTES_WARM] and i[st.I_BARS] >= i[st.I_BARS_WARM])


@njit(cache=True, forceinline=True)
def row(f: Floats, i: Ints, now_ns: int, out: Floats) -> None:
    """Write the features as of `now_ns` into `out[:len(FEATURES)]`, NaN where not ready.

    Each of its parts writes all of its own columns, and says what they change with (kernels.batch).
    """
    row_rates(f, i, now_ns, out)
    row_quotes(f, i, out)
    row_bars(f, i, out)
    row_trades(f, i, out)
    row_depth(f, i, out)


@njit(cache=True, forceinline=True)
def row_rates(f: Floats, i: Ints, now_ns: int, out: Floats) -> None:
    """Write what changes with time alone."""
    out[X_TRADE_RATE] = out[X_TRADE_RATE_RATIO] = out[X_QUOTE_RATE] = math.nan
    now_ns = max(now_ns, i[st.I_LAST_NS])
    elapsed_ns = now_ns - i[st.I_START_NS]
    if i[st.I_TICKS] == 0 or elapsed_ns * f[st.F_FLOW_RATE] < ind.LN2:
        return
    out[X_QUOTE_RATE] = 0.0
    if i[st.I_QUOTES] > 0:
        since_ns = now_ns - i[st.I_QUOTE_NS]
        out[X_QUOTE_RATE] = ind.decayed_rate_hz(f[st.F_QUOTES], since_ns, elapsed_ns, f[st.F_FLOW_RATE])
    out[X_TRADE_RATE] = 0.0
    if i[st.I_TRADES] > 0:
        since_ns = now_ns - i[st.I_TRADE_NS]
        rate = ind.decayed_rate_hz(f[st.F_TRADES], since_ns, elapsed_ns, f[st.F_FLOW_RATE])
        slow = ind.decayed_rate_hz(f[st.F_TRADES_SLOW], since_ns, elapsed_ns, f[st.F_SLOW_RATE])
        out[X_TRADE_RATE] = rate
        if slow > 0.0:
            out[X_TRADE_RATE_RATIO] = rate / slow


@njit(cache=True, forceinline=True)
def row_quotes(f: Floats, i: Ints, out: Floats) -> None:
    """Write what only a quote changes."""
    for k in range(X_SPREAD, X_TOP_EMA + 1):
        out[k] = math.nan
    out[X_ORDER_FLOW] = math.nan
    for k in range(X_EMA_SPREAD, X_ZSCORE + 1):
        out[k] = math.nan
    if i[st.I_QUOTES] == 0:
        return
    mid = f[st.F_MID]
    bps = bars.BPS / mid
    spread = f[st.F_QUOTE + 2] - f[st.F_QUOTE]
    top = ind.imbalance(f[st.F_QUOTE + 1], f[st.F_QUOTE + 3])
    out[X_SPREAD] = spread * bps
    out[X_MICROPRICE] = 0.5 * spread * top * bps  # what weighing each side by the other's size comes to
    out[X_TOP] = top
    if i[st.I_QUOTES] >= i[st.I_SMOOTH]:
        out[X_SPREAD_RATIO] = spread / f[st.F_SPREAD_EMA] if f[st.F_SPREAD_EMA] > 0.0 else 1.0
        out[X_TOP_EMA] = f[st.F_TOP_EMA]
    if i[st.I_QUOTES] > st.FLOW_TICKS_MIN:
        out[X_ORDER_FLOW] = ind.imbalance(f[st.F_DEMAND], f[st.F_SUPPLY])
    if i[st.I_QUOTES] >= i[st.I_EMA_WARM]:
        out[X_EMA_SPREAD] = (f[st.F_MID_FAST] / f[st.F_MID_SLOW] - 1.0) * bars.BPS
    n = i[st.I_MEAN]
    if i[st.I_QUOTES] >= n:
        distance = mid - ind.window_mean(f, i, st.F_MEAN, st.J_MEAN, n)
        deviation = math.sqrt(ind.window_variance(f, i, st.F_MEAN, st.J_MEAN, n))
        out[X_MEAN] = distance * bps
        out[X_DEVIATION] = deviation * bps
        out[X_ZSCORE] = distance / deviation if deviation > 0.0 else 0.0


@njit(cache=True, forceinline=True)
def row_bars(f: Floats, i: Ints, out: Floats) -> None:
    """Write what a quote or the close of a bar changes."""
    for k in range(X_RSI, X_LONG + 1):
        out[k] = math.nan
    if i[st.I_QUOTES] == 0:
        return
    mid = f[st.F_MID]
    bps = bars.BPS / mid
    out[X_RSI] = f[st.F_B_RSI]
    out[X_MACD] = f[st.F_B_MACD] * bps
    out[X_MACD_SIGNAL] = f[st.F_B_SIGNAL] * bps
    out[X_MACD_HISTOGRAM] = (f[st.F_B_MACD] - f[st.F_B_SIGNAL]) * bps
    out[X_ATR] = f[st.F_B_ATR] * bps
    out[X_VOLATILITY] = f[st.F_B_VOLATILITY]
    out[X_VOLATILITY_RATIO] = f[st.F_B_RATIO]
    out[X_TREND] = f[st.F_B_TREND]
    out[X_AUTOCORRELATION] = f[st.F_B_AUTOCORRELATION]
    out[X_SHORT] = (mid / f[st.F_B_SHORT] - 1.0) * bars.BPS
    out[X_MEDIUM] = (mid / f[st.F_B_MEDIUM] - 1.0) * bars.BPS
    out[X_LONG] = (mid / f[st.F_B_LONG] - 1.0) * bars.BPS
    # the bands' last value is the mid of now, as on a live chart, so that mid is never far outside flat bands
    n = f[st.T_BOLLINGER]
    away = (mid - f[st.F_B_MEAN]) * (n - 1.0) / n
    width = 2.0 * f[st.T_DEVS] * math.sqrt((n - 1.0) / n * f[st.F_B_VARIANCE] + away * away / (n - 1.0))
    out[X_BOLLINGER_WIDTH] = width * bps
    out[X_BOLLINGER_B] = 0.5 + away / width if width != 0.0 else 0.5
    if not math.isnan(f[st.F_B_HIGH]):
        low = min(f[st.F_B_LOW], f[st.F_LOW])
        height = max(f[st.F_B_HIGH], f[st.F_HIGH]) - low
        out[X_RANGE_POSITION] = (mid - low) / height if height > 0.0 else 0.5


@njit(cache=True, forceinline=True)
def row_trades(f: Floats, i: Ints, out: Floats) -> None:
    """Write what a trade changes, and some of it a quote."""
    for k in range(X_TRADE_FLOW, X_TRADE_SIZE_RATIO + 1):
        out[k] = math.nan
    out[X_LAST_TRADE] = out[X_VWAP] = math.nan
    if i[st.I_TRADES] == 0:
        return
    if i[st.I_TRADES] >= st.FLOW_TICKS_MIN:
        out[X_TRADE_FLOW] = ind.imbalance(f[st.F_BOUGHT], f[st.F_SOLD])
    if i[st.I_TRADES] >= i[st.I_SMOOTH]:
        out[X_TRADE_SIGN_EMA] = f[st.F_SIGN_EMA]
        out[X_TRADE_SIZE_RATIO] = f[st.F_QTY] / f[st.F_QTY_EMA] if f[st.F_QTY_EMA] > 0.0 else 1.0
    if i[st.I_QUOTES] > 0:
        bps = bars.BPS / f[st.F_MID]
        out[X_LAST_TRADE] = (f[st.F_PRICE] - f[st.F_MID]) * bps
        if i[st.I_TRADES] >= st.FLOW_TICKS_MIN and f[st.F_VOLUME] > 0.0:
            out[X_VWAP] = (f[st.F_MID] - f[st.F_NOTIONAL] / f[st.F_VOLUME]) * bps


@njit(cache=True, forceinline=True)
def row_depth(f: Floats, i: Ints, out: Floats) -> None:
    """Write what a change of the depth changes."""
    out[X_DEPTH] = f[st.F_DEPTH] if i[st.I_DEPTHS] > 0 else math.nan
    out[X_DEPTH_EMA] = (
        f[st.F_DEPTH_EMA] if i[st.I_DEPTHS] > 0 and i[st.I_DEPTHS] >= i[st.I_SMOOTH] else math.nan
    )
    for k in range(X_SLOPE_SIDES + 1 - X_NEAR):
        out[X_NEAR + k] = f[st.F_NEAR + k]
