"""Our features as somebody makes them who has TA-Lib and numpy: whole columns, no loop over ticks.

`features(ticks, talib)` returns a column for each of FEATURES, as of every tick, with the default tuning.
What lives on quotes, trades, depth updates or bars is worked out on these alone and then spread over the
ticks. TA-Lib makes what it has a function for; the rest is numpy, in as few passes as its author found.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.features import TUNING

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats = Any
BPS: Final = 1e4
_BAR_NS: Final = int(TUNING["bar_ms"] * 1e6)
_SMOOTH: Final = int(TUNING["smooth"])
_NEAR: Final = int(TUNING["near_levels"])
#: a decayed sum is a plain one of weights that grow; before they overflow it begins anew from what is left
_HALF_LIVES_MAX: Final = 500.0


class Columns(NamedTuple):
    """Ticks as this author keeps them, each column an array of its own; the first tick is a quote."""

    kind: NDArray[np.int64]
    wire_ns: NDArray[np.int64]
    a: Floats
    b: Floats
    c: Floats
    d: Floats


class Spread(NamedTuple):
    """What is worked out once and used by many columns."""

    quote: NDArray[np.int64]  # for each tick, the newest quote's number among the quotes
    trade: NDArray[np.int64]  # -1: none yet
    depth: NDArray[np.int64]
    mid: Floats  # of each tick
    bps: Floats  # BPS / mid


class Decay:
    """Sums that forget by a half-life, as of any tick: weights once, then one cumulative sum for each."""

    def __init__(self, wire_ns: NDArray[np.int64], half_life_s: float) -> None:
        self.rate = np.log(2.0) / (half_life_s * 1e9)
        since = (wire_ns - wire_ns[0]) * (1.0 / (half_life_s * 1e9))
        self._block = (since * (1.0 / _HALF_LIVES_MAX)).astype(np.int64)
        self._weight = np.exp2(since - self._block * _HALF_LIVES_MAX)
        self._starts = np.searchsorted(self._block, np.arange(self._block[-1] + 2))
        self.listened = since * np.log(2.0)

    def sums(self, at: NDArray[np.int64], x: Floats) -> Floats:
        """Return at each of the ticks `at` the sum of `x` until then, times that tick's weight."""
        out = x * self._weight[at]
        bounds = np.searchsorted(at, self._starts)
        carry = 0.0
        for first, last in pairwise(bounds):
            if last > first:
                part = out[first:last]
                part[0] += carry
                np.cumsum(part, out=part)
                carry = part[-1]
            carry *= 0.5**_HALF_LIVES_MAX
        return out

    def rates_hz(self, at: NDArray[np.int64], newest: NDArray[np.int64], seen: Floats) -> Floats:
        """Return events a second as of every tick; `newest` is each tick's last event, `seen` what it saw."""
        total = self.sums(at, np.ones(len(at)))[newest]
        total /= self._weight
        if len(self._starts) > 2:  # an event of an earlier block weighs less from here
            blocks = self._block - self._block[at][newest]
            far = np.flatnonzero(blocks > 0)
            total[far] *= np.exp2(-_HALF_LIVES_MAX * blocks[far])
        total *= self.rate * 1e9
        total /= seen
        return total

    def seen(self) -> Floats:
        """Return which share of the steady sum could have been seen by each tick."""
        return -np.expm1(-self.listened)


def columns_of(ticks: NDArray[Any]) -> Columns:
    """Return TICK rows as columns."""
    return Columns(*(np.ascontiguousarray(ticks[name]) for name in Columns._fields))


def features(ticks: Columns, books: Floats, talib: Any) -> dict[str, Floats]:
    """Return the features as float64[n] by name; NaN or anything else before there is enough to say it.

    `books` are as kernels.batch takes them, one for each depth update.
    """
    quotes, trades = (np.flatnonzero(ticks.kind == one) for one in (QUOTE, TRADE))
    newest = (np.cumsum(ticks.kind == one) - 1 for one in (QUOTE, TRADE, DEPTH))
    bid, bid_qty, ask, ask_qty = (column[quotes] for column in ticks[2:])
    mid = 0.5 * (bid + ask)
    spread = Spread(*newest, mid, mid)
    of_tick = mid[spread.quote]
    spread = spread._replace(mid=of_tick, bps=BPS / of_tick)
    flow, slow = (Decay(ticks.wire_ns, TUNING[f"{name}_half_life_s"]) for name in ("flow", "slow"))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _quotes(spread, talib, bid, bid_qty, ask, ask_qty, mid)
        found["order_flow"] = _order_flow(flow, quotes, bid, bid_qty, ask, ask_qty)[spread.quote]
        found |= _trades(spread, talib, flow, slow, trades, ticks)
        seen = flow.seen()
        found["quote_rate_hz"] = flow.rates_hz(quotes, spread.quote, seen)
        found["trade_rate_hz"] = flow.rates_hz(trades, spread.trade, seen)
        rate_slow = slow.rates_hz(trades, spread.trade, slow.seen())
        found["trade_rate_ratio"] = found["trade_rate_hz"] / rate_slow
        found |= _bars(spread, talib, ticks.wire_ns, quotes, mid)
        found |= {name: column[spread.depth] for name, column in _depth(talib, books).items()}
    return found


def _depth(talib: Any, books: Floats) -> dict[str, Floats]:
    """Return the columns that the book's levels make, as of each depth update."""
    total = books[..., 1].sum(axis=2)
    depth = _imbalance(total[:, 0], total[:, 1])
    price, qty = books[:, :, :_NEAR, 0], books[:, :, :_NEAR, 1]
    mid = price[:, :, 0].mean(axis=1)[:, None, None]
    away = np.abs(price / mid - 1.0) * BPS
    reached = np.cumsum(qty, axis=2)
    bids, asks = (away * qty).sum(axis=2).T / reached[:, :, -1].T
    bid_qty, ask_qty = reached[:, :, -1].T
    bid_slope, ask_slope = ((away * reached).sum(axis=2) / (away * away).sum(axis=2)).T
    slope = bid_slope + ask_slope
    return {
        "depth_imbalance": depth,
        "depth_imbalance_ema": talib.EMA(depth, _SMOOTH),
        "near_imbalance": _imbalance(bid_qty, ask_qty),
        "near_microprice_bps": (asks * bid_qty - bids * ask_qty) / (bid_qty + ask_qty),
        "near_slope": slope / (bid_qty + ask_qty),
        "near_slope_ratio": slope / talib.EMA(slope, _SMOOTH),
        "near_slope_imbalance": _imbalance(bid_slope, ask_slope),
    }


def _imbalance(plus: Floats, minus: Floats) -> Floats:
    return (plus - minus) / (plus + minus)


def _quotes(
    to: Spread, talib: Any, bid: Floats, bid_qty: Floats, ask: Floats, ask_qty: Floats, mid: Floats
) -> dict[str, Floats]:
    """Return the columns that the newest quote and averages over quotes make."""
    bps = BPS / mid
    width = ask - bid
    top = _imbalance(bid_qty, ask_qty)
    n = int(TUNING["mean_quotes"])
    near = mid - mid[0]  # TA-Lib's deviation is a difference of squares: of prices it would be noise
    distance, deviation = mid - talib.SMA(mid, n), talib.STDDEV(near, n)
    fast, slow = talib.EMA(mid, int(TUNING["ema_fast"])), talib.EMA(mid, int(TUNING["ema_slow"]))
    by_quote = {
        "spread_bps": width * bps,
        "spread_ratio": width / talib.EMA(width, _SMOOTH),
        "microprice_bps": 0.5 * width * top * bps,
        "top_imbalance": top,
        "top_imbalance_ema": talib.EMA(top, _SMOOTH),
        "ema_spread_bps": (fast / slow - 1.0) * BPS,
        "mean_bps": distance * bps,
        "deviation_bps": deviation * bps,
        "zscore": distance / deviation,
    }
    return {name: column[to.quote] for name, column in by_quote.items()}


def _order_flow(
    flow: Decay,
    quotes: NDArray[np.int64],
    bid: Floats,
    bid_qty: Floats,
    ask: Floats,
    ask_qty: Floats,
) -> Floats:
    """Return order-flow imbalance as of each quote; both sums weigh alike, so weights cancel."""
    change = np.zeros(len(bid))
    part = change[1:]
    part += bid_qty[1:] * (bid[1:] >= bid[:-1])
    part -= bid_qty[:-1] * (bid[1:] <= bid[:-1])
    part -= ask_qty[1:] * (ask[1:] <= ask[:-1])
    part += ask_qty[:-1] * (ask[1:] >= ask[:-1])
    demand = flow.sums(quotes, np.maximum(change, 0.0))
    return _imbalance(demand, flow.sums(quotes, np.maximum(-change, 0.0)))


def _trades(
    to: Spread, talib: Any, flow: Decay, slow: Decay, trades: NDArray[np.int64], ticks: Columns
) -> dict[str, Floats]:
    """Return the columns that trades make."""
    price, qty, sign = (column[trades] for column in ticks[2:5])
    bought = flow.sums(trades, qty * (sign > 0))
    vwap = slow.sums(trades, price * qty) / slow.sums(trades, qty)
    return {
        "trade_flow": _imbalance(bought, flow.sums(trades, qty * (sign <= 0)))[to.trade],
        "trade_sign_ema": talib.EMA(sign, _SMOOTH)[to.trade],
        "trade_size_ratio": (qty / talib.EMA(qty, _SMOOTH))[to.trade],
        "last_trade_bps": (price[to.trade] - to.mid) * to.bps,
        "vwap_bps": (to.mid - vwap[to.trade]) * to.bps,
    }


def _bars(
    to: Spread, talib: Any, wire_ns: NDArray[np.int64], quotes: NDArray[np.int64], mid: Floats
) -> dict[str, Floats]:
    """Return the columns that live on the short bars of mid."""
    bar = wire_ns // _BAR_NS
    bar -= bar[0]  # the first tick is a quote: the bar of each tick, which is how many have closed before it
    of_quote = bar[quotes]
    last = np.searchsorted(of_quote, np.arange(bar[-1]), side="right") - 1  # each bar's newest quote
    close = mid[last]
    high, low, forming_high, forming_low = _extremes(of_quote, mid, close)
    closed = bar - 1  # -1: none yet, and the last bar's NaN row stands for it
    same = of_quote[to.quote] == bar
    forming_high = np.where(same, forming_high[to.quote], to.mid)
    forming_low = np.where(same, forming_low[to.quote], to.mid)
    return _by_bar(talib, close, high, low, closed, to) | _in_range(
        talib, high, low, closed, forming_high, forming_low, to.mid
    )


def _extremes(of_quote: NDArray[np.int64], mid: Floats, close: Floats) -> tuple[Floats, ...]:
    """Return the highs and lows of the closed bars, and so far within its bar as of each quote.

    A bar begins at the close before it. A running maximum within bars is one over all, each bar lifted over
    the one before.
    """
    opening = np.concatenate((mid[:1], close))[of_quote]
    lift = of_quote * (float(np.ptp(mid)) + 1.0)
    top = np.maximum.accumulate(np.maximum(mid, opening) + lift) - lift
    bottom = -(np.maximum.accumulate(lift - np.minimum(mid, opening)) - lift)
    bars = np.arange(len(close))
    last = np.searchsorted(of_quote, bars, side="right") - 1
    quoted = of_quote[last] == bars
    return np.where(quoted, top[last], close), np.where(quoted, bottom[last], close), top, bottom


def _by_bar(
    talib: Any, close: Floats, high: Floats, low: Floats, closed: NDArray[np.int64], to: Spread
) -> dict[str, Floats]:
    """Return what the closed bars and mid say; TA-Lib's own but for the band, which ends at mid."""
    t = {name: int(value) for name, value in TUNING.items()}
    macd, signal, histogram = talib.MACD(close, t["macd_fast"], t["macd_slow"], t["macd_signal"])
    change = np.diff(close, prepend=np.nan) / np.concatenate((close[:1], close[:-1]))
    known = np.nan_to_num(change)
    square = known * known
    n = t["range_bars"]
    fast, slow = np.sqrt(talib.SMA(square, t["volatility_bars"])), np.sqrt(talib.SMA(square, n))
    product = np.concatenate((known[:1] * 0.0, known[1:] * known[:-1]))
    m = t["bollinger_bars"]
    mean, variance = talib.SMA(close, m - 1), talib.VAR(close - close[0], m - 1)
    away = (to.mid - mean[closed]) * ((m - 1.0) / m)
    width = (
        2.0 * TUNING["bollinger_devs"] * np.sqrt((m - 1.0) / m * variance[closed] + away * away / (m - 1.0))
    )
    found = {
        "rsi": talib.RSI(close, t["rsi_bars"])[closed],
        "macd_bps": macd[closed] * to.bps,
        "macd_signal_bps": signal[closed] * to.bps,
        "macd_histogram_bps": histogram[closed] * to.bps,
        "atr_bps": talib.ATR(high, low, close, t["atr_bars"])[closed] * to.bps,
        "bollinger_b": 0.5 + away / width,
        "bollinger_width_bps": width * to.bps,
        "volatility_bps": (fast * (BPS / np.sqrt(TUNING["bar_ms"] * 1e-3)))[closed],
        "volatility_ratio": (fast / slow)[closed],
        "trend": (talib.SMA(known, n) / slow)[closed],
        "autocorrelation": ((n - 1) / n * talib.SMA(product, n - 1) / (slow * slow))[closed],
    }
    for name in ("short", "medium", "long"):
        back = closed - (t[f"return_{name}"] - 1)
        found[f"return_{name}_bps"] = (to.mid / close[back] - 1.0) * BPS
    return found


def _in_range(
    talib: Any,
    high: Floats,
    low: Floats,
    closed: NDArray[np.int64],
    forming_high: Floats,
    forming_low: Floats,
    mid: Floats,
) -> dict[str, Floats]:
    n = int(TUNING["range_bars"])
    bottom = np.minimum(talib.MIN(low, n)[closed], forming_low)
    height = np.maximum(talib.MAX(high, n)[closed], forming_high) - bottom
    return {"range_position": (mid - bottom) / height}
