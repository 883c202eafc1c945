"""The feature row: what one instrument's ticks say, as ratios and basis points; one fused call a tick.

    f = np.zeros(FEATURE_FLOATS); i = np.zeros(FEATURE_INTS, np.int64)
    init(f, i, bind_tuning({}))
    step(f, i, kind, wire_ns, a, b, c, d)      every tick, in order (kernels.dtypes: TRADE, QUOTE, DEPTH)
    row(f, i, now_ns, out)                     whenever somebody decides; changes no state

Three clocks, each where it fits. *Per tick*: quotes drive the averages of mid, spread and imbalance, trades
those of sign and size, depth updates those of depth. *Decaying by time*: flows, VWAP and rates forget by
half-lives. *Short bars* of mid, on a grid of `bar_ms`: RSI, MACD, ATR, Bollinger, volatility, returns; a bar
without a quote repeats the last close, and bars close when the first tick after them arrives.

`wire_ns` may repeat; a step back of up to BACK_NS_MAX is read as standing still. A longer one, or a silence
of `silence_s`, starts everything again: what was before is not the present. A tick that cannot be (NaN, not
a positive price, a negative quantity) changes nothing and is counted in `i[feature_state.I_IGNORED]`.
"""

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
    "batch",
    "bind_tuning",
    "init",
    "ready",
    "row",
    "step",
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
)

#: the modules, beside this one, whose text decides what a feature is: a model's manifest holds their hash
FEATURE_SOURCES: Final = ("features.py", "feature_state.py", "indicators.py")

# the columns
(X_SPREAD, X_SPREAD_RATIO, X_MICROPRICE, X_TOP, X_TOP_EMA, X_DEPTH, X_DEPTH_EMA) = range(7)
(X_ORDER_FLOW, X_TRADE_FLOW, X_TRADE_SIGN_EMA, X_TRADE_SIZE_RATIO, X_TRADE_RATE) = range(7, 12)
(X_TRADE_RATE_RATIO, X_QUOTE_RATE, X_LAST_TRADE, X_VWAP, X_EMA_SPREAD, X_MEAN) = range(12, 18)
(X_DEVIATION, X_ZSCORE, X_RSI, X_MACD, X_MACD_SIGNAL, X_MACD_HISTOGRAM) = range(18, 24)
(X_ATR, X_BOLLINGER_B, X_BOLLINGER_WIDTH, X_VOLATILITY, X_VOLATILITY_RATIO) = range(24, 29)
(X_TREND, X_AUTOCORRELATION, X_RANGE_POSITION, X_SHORT, X_MEDIUM, X_LONG) = range(29, 35)

PRICE_MAX: Final = 1e15
QTY_MAX: Final = 1e15
BACK_NS_MAX: Final = 1_000_000_000
BPS: Final = 1e4


@njit(cache=True)
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


@njit(cache=True)
def _possible(kind: int, a: float, b: float, c: float, d: float) -> bool:
    """Return whether a market can say this: comparisons are false for NaN, so NaN is not possible."""
    if kind == TRADE:
        return _priced(a, b) and abs(c) == 1.0
    return kind in (QUOTE, DEPTH) and _priced(a, b) and _priced(c, d)


@njit(cache=True)
def _priced(price: float, qty: float) -> bool:
    return 0.0 < price <= PRICE_MAX and 0.0 <= qty <= QTY_MAX


@njit(cache=True)
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
    while now_ns >= i[st.I_BAR_END_NS]:
        _close_bar(f, i)
        i[st.I_BAR_END_NS] += i[st.I_BAR_NS]
    return int(now_ns)


@njit(cache=True)
def _close_bar(f: Floats, i: Ints) -> None:
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
            ind.window_push(f, i, st.F_PRODUCTS, st.J_PRODUCTS, i[st.I_RANGE], change * f[st.F_RETURN])
        f[st.F_RETURN] = change
    f[st.F_HIGH] = close
    f[st.F_LOW] = close


@njit(cache=True)
def _step_quote(
    f: Floats, i: Ints, now_ns: int, bid: float, bid_qty: float, ask: float, ask_qty: float
) -> None:
    mid = bid + 0.5 * (ask - bid)
    factor = ind.decay(now_ns - i[st.I_QUOTE_NS], f[st.F_FLOW_RATE])
    if i[st.I_QUOTES] == 0:
        i[st.I_BAR_END_NS] = (now_ns // i[st.I_BAR_NS] + 1) * i[st.I_BAR_NS]
        f[st.F_HIGH] = mid
        f[st.F_LOW] = mid
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


@njit(cache=True)
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


@njit(cache=True)
def _step_depth(f: Floats, i: Ints, bid_qty: float, ask_qty: float) -> None:
    i[st.I_DEPTHS] += 1
    f[st.F_DEPTH] = ind.imbalance(bid_qty, ask_qty)
    ind.ema_step(f, st.F_DEPTH_EMA, f[st.F_ALPHA_SMOOTH], f[st.F_DEPTH])


@njit(cache=True)
def ready(f: Floats, i: Ints) -> bool:
    """Return whether every feature that quotes alone make is a number: trades and depth may never come."""
    listened = (i[st.I_LAST_NS] - i[st.I_START_NS]) * f[st.F_FLOW_RATE] >= ind.LN2
    return bool(listened and i[st.I_QUOTES] >= i[st.I_QUOTES_WARM] and i[st.I_BARS] >= i[st.I_BARS_WARM])


@njit(cache=True)
def row(f: Floats, i: Ints, now_ns: int, out: Floats) -> None:
    """Write the features as of `now_ns` into `out[:len(FEATURES)]`, NaN where not ready."""
    for k in range(len(FEATURES)):
        out[k] = math.nan
    now_ns = max(now_ns, i[st.I_LAST_NS])
    if i[st.I_TICKS] > 0:
        _row_flow(f, i, now_ns, out)
    if i[st.I_QUOTES] > 0:
        _row_quote(f, i, out)
        _row_bars(f, i, out)
        _row_change(f, i, out)


@njit(cache=True)
def _row_flow(f: Floats, i: Ints, now_ns: int, out: Floats) -> None:
    elapsed_ns = now_ns - i[st.I_START_NS]
    quotes = f[st.F_QUOTES] if i[st.I_QUOTES] > 0 else 0.0
    trades = f[st.F_TRADES] if i[st.I_TRADES] > 0 else 0.0
    trades_slow = f[st.F_TRADES_SLOW] if i[st.I_TRADES] > 0 else 0.0
    out[X_QUOTE_RATE] = ind.decayed_rate_hz(quotes, now_ns - i[st.I_QUOTE_NS], elapsed_ns, f[st.F_FLOW_RATE])
    rate = ind.decayed_rate_hz(trades, now_ns - i[st.I_TRADE_NS], elapsed_ns, f[st.F_FLOW_RATE])
    slow = ind.decayed_rate_hz(trades_slow, now_ns - i[st.I_TRADE_NS], elapsed_ns, f[st.F_SLOW_RATE])
    out[X_TRADE_RATE] = rate
    if slow > 0.0:
        out[X_TRADE_RATE_RATIO] = rate / slow
    if i[st.I_QUOTES] > st.FLOW_TICKS_MIN:
        out[X_ORDER_FLOW] = ind.imbalance(f[st.F_DEMAND], f[st.F_SUPPLY])
    if i[st.I_TRADES] >= st.FLOW_TICKS_MIN:
        out[X_TRADE_FLOW] = ind.imbalance(f[st.F_BOUGHT], f[st.F_SOLD])
    if i[st.I_TRADES] >= i[st.I_SMOOTH]:
        out[X_TRADE_SIGN_EMA] = f[st.F_SIGN_EMA]
        out[X_TRADE_SIZE_RATIO] = f[st.F_QTY] / f[st.F_QTY_EMA] if f[st.F_QTY_EMA] > 0.0 else 1.0
    if i[st.I_DEPTHS] > 0:
        out[X_DEPTH] = f[st.F_DEPTH]
    if i[st.I_DEPTHS] >= i[st.I_SMOOTH]:
        out[X_DEPTH_EMA] = f[st.F_DEPTH_EMA]


@njit(cache=True)
def _row_quote(f: Floats, i: Ints, out: Floats) -> None:
    mid = f[st.F_MID]
    bps = BPS / mid
    bid_qty = f[st.F_QUOTE + 1]
    ask_qty = f[st.F_QUOTE + 3]
    spread = f[st.F_QUOTE + 2] - f[st.F_QUOTE]
    top = ind.imbalance(bid_qty, ask_qty)
    out[X_SPREAD] = spread * bps
    out[X_MICROPRICE] = 0.5 * spread * top * bps  # what weighing each side by the other's size comes to
    out[X_TOP] = top
    if i[st.I_QUOTES] >= i[st.I_SMOOTH]:
        out[X_SPREAD_RATIO] = spread / f[st.F_SPREAD_EMA] if f[st.F_SPREAD_EMA] > 0.0 else 1.0
        out[X_TOP_EMA] = f[st.F_TOP_EMA]
    if i[st.I_TRADES] > 0:
        out[X_LAST_TRADE] = (f[st.F_PRICE] - mid) * bps
    if i[st.I_TRADES] >= st.FLOW_TICKS_MIN and f[st.F_VOLUME] > 0.0:
        out[X_VWAP] = (mid - f[st.F_NOTIONAL] / f[st.F_VOLUME]) * bps
    if i[st.I_QUOTES] >= max(f[st.T_EMA_FAST], f[st.T_EMA_SLOW]):
        out[X_EMA_SPREAD] = (f[st.F_MID_FAST] - f[st.F_MID_SLOW]) / f[st.F_MID_SLOW] * BPS
    n = i[st.I_MEAN]
    distance = mid - ind.window_mean(f, i, st.F_MEAN, st.J_MEAN, n)
    deviation = math.sqrt(ind.window_variance(f, i, st.F_MEAN, st.J_MEAN, n))
    out[X_MEAN] = distance * bps
    out[X_DEVIATION] = deviation * bps
    out[X_ZSCORE] = distance / deviation if deviation != 0.0 else 0.0


@njit(cache=True)
def _row_bars(f: Floats, i: Ints, out: Floats) -> None:
    mid = f[st.F_MID]
    bps = BPS / mid
    out[X_RSI] = ind.rsi(f, i, st.F_RSI, st.J_RSI, i[st.I_RSI])
    out[X_ATR] = ind.atr(f, i, st.F_ATR, st.J_ATR, i[st.I_ATR]) * bps
    macd_bars = max(f[st.T_MACD_FAST], f[st.T_MACD_SLOW])
    if i[st.I_BARS] >= macd_bars:
        out[X_MACD] = (f[st.F_MACD_FAST] - f[st.F_MACD_SLOW]) * bps
    if i[st.I_BARS] >= macd_bars + f[st.T_MACD_SIGNAL] - 1.0:
        out[X_MACD_SIGNAL] = f[st.F_MACD_SIGNAL] * bps
        out[X_MACD_HISTOGRAM] = (f[st.F_MACD_FAST] - f[st.F_MACD_SLOW] - f[st.F_MACD_SIGNAL]) * bps
    # the bands' last value is the mid of now, as on a live chart, so that mid is never infinitely far outside
    n = i[st.I_BOLLINGER]
    away = mid - ind.window_mean(f, i, st.F_BOLLINGER, st.J_BOLLINGER, n - 1)
    older = ind.window_variance(f, i, st.F_BOLLINGER, st.J_BOLLINGER, n - 1)
    width = 2.0 * f[st.T_DEVS] * math.sqrt((n - 1) / n * (older + away * away / n))
    out[X_BOLLINGER_WIDTH] = width * bps
    out[X_BOLLINGER_B] = 0.5 + away * (n - 1) / n / width if width != 0.0 else 0.5
    if i[st.J_RANGE] >= i[st.I_RANGE]:
        low = min(f[st.F_RANGE + 1], f[st.F_LOW])
        height = max(f[st.F_RANGE], f[st.F_HIGH]) - low
        out[X_RANGE_POSITION] = (mid - low) / height if height > 0.0 else 0.5


@njit(cache=True)
def _row_change(f: Floats, i: Ints, out: Floats) -> None:
    n = i[st.I_RANGE]
    drift = ind.window_mean(f, i, st.F_RETURNS_SLOW, st.J_RETURNS_SLOW, n)
    slow = math.sqrt(ind.window_variance(f, i, st.F_RETURNS_SLOW, st.J_RETURNS_SLOW, n) + drift * drift)
    fast_drift = ind.window_mean(f, i, st.F_RETURNS, st.J_RETURNS, i[st.I_VOLATILITY])
    fast_variance = ind.window_variance(f, i, st.F_RETURNS, st.J_RETURNS, i[st.I_VOLATILITY])
    fast = math.sqrt(fast_variance + fast_drift * fast_drift)
    out[X_VOLATILITY] = fast * BPS / math.sqrt(f[st.T_BAR_MS] * 1e-3)
    if slow > 0.0:
        out[X_VOLATILITY_RATIO] = fast / slow
        out[X_TREND] = drift / slow
        out[X_AUTOCORRELATION] = ind.window_mean(f, i, st.F_PRODUCTS, st.J_PRODUCTS, n) / (slow * slow)
    elif slow == 0.0:  # nothing moved; NaN falls through
        out[X_VOLATILITY_RATIO] = 1.0
        out[X_TREND] = 0.0
        out[X_AUTOCORRELATION] = ind.window_mean(f, i, st.F_PRODUCTS, st.J_PRODUCTS, n)
    mid = f[st.F_MID]
    keep = i[st.I_CLOSES]
    out[X_SHORT] = (mid / ind.window_back(f, i, st.F_CLOSES, st.J_CLOSES, keep, i[st.I_SHORT]) - 1.0) * BPS
    out[X_MEDIUM] = (mid / ind.window_back(f, i, st.F_CLOSES, st.J_CLOSES, keep, i[st.I_MEDIUM]) - 1.0) * BPS
    out[X_LONG] = (mid / ind.window_back(f, i, st.F_CLOSES, st.J_CLOSES, keep, i[st.I_LONG]) - 1.0) * BPS


@njit(cache=True)
def batch(
    kind: Ints,
    wire_ns: Ints,
    a: Floats,
    b: Floats,
    c: Floats,
    d: Floats,
    tuning: Floats,
    out: NDArray[np.float64],
) -> None:
    """Write into `out[n, len(FEATURES)]` the row after each of `n` ticks: to the bit what stepping gives."""
    f = np.empty(FEATURE_FLOATS)
    i = np.zeros(FEATURE_INTS, np.int64)
    init(f, i, tuning)
    for k in range(kind.size):
        step(f, i, kind[k], wire_ns[k], a[k], b[k], c[k], d[k])
        row(f, i, wire_ns[k], out[k])
