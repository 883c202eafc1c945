"""A seeded synthetic market: regimes, clustered volatility, order flow that leans where the price goes next.

A latent log price is the sum of a common random walk and an own mean-reverting part, both moved on a 10 ms
grid. The common part (regime, volatility, signal, walk) draws from a generator of its own, so that markets of
one seed and start share it: they are correlated, and their spreads revert. Around the latent price stands a
book of LEVELS levels a side; trades and quotes arrive at a pace that follows volatility and excites itself.

Where the signal is: buyers outnumber sellers, and the bid outweighs the ask, when the hidden signal is
positive or the latent price stands above the quotes' middle; both come before the move.

All state is one record, so a market is the same in every process and however it is cut into chunks.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

from kernels.draws import normal, uniform
from kernels.dtypes import BUY, SELL
from kernels.market_book import (
    COMMON,
    LEVELS,
    OWN,
    fresh_lots,
    gap,
    insert_level,
    publish,
    put_depth,
    put_quote,
    put_trade,
    remove_level,
    stretch,
)

GRID_NS: Final = 10_000_000
_GRID_S: Final = 0.01

#: events and level rows that one step may need; `advance` returns before they could run out
EVENTS_RESERVE: Final = 16
LEVEL_ROWS_RESERVE: Final = 4 * LEVELS

# --- regimes: calm, normal, trending up and down, turbulent: volatility's factor, signal's mean ---
_REGIMES: Final = np.array([[0.6, 0.0], [1.0, 0.0], [1.1, 0.8], [1.1, -0.8], [2.2, 0.0]])
_REGIME_S: Final = 45.0  # mean stay

_SIGNAL_S: Final = 6.0  # time constant of the hidden signal
_VOLATILITY_S: Final = 30.0
_VOLATILITY_DEVIATION: Final = 0.35
_OWN_S: Final = 90.0
_OWN_SHARE: Final = 0.5  # the own part's volatility over the common one's
_HOME_S: Final = 100_000.0  # the walk is drawn back so slowly that no horizon sees it
_EXCITEMENT_S: Final = 0.8
_SWEEP_SHARE: Final = 0.8  # of the quotes' moves, those that trades make; the rest are cancels
_SWEEP_LEVELS: Final = 4


@njit(cache=True)
def step_latent(market: Any) -> None:
    """Move the latent state by one grid step; the common part draws from its own generator only."""
    rng = market.rng
    if uniform(rng, COMMON) < _GRID_S / _REGIME_S:
        market.regime = min(int(uniform(rng, COMMON) * len(_REGIMES)), len(_REGIMES) - 1)
    factor, signal_mean = _REGIMES[market.regime]
    keep = 1.0 - _GRID_S / _VOLATILITY_S
    market.log_volatility = keep * market.log_volatility + _VOLATILITY_DEVIATION * math.sqrt(
        1.0 - keep * keep
    ) * normal(rng, COMMON)
    keep = 1.0 - _GRID_S / _SIGNAL_S
    market.signal = (
        signal_mean
        + keep * (market.signal - signal_mean)
        + math.sqrt(1.0 - keep * keep) * normal(rng, COMMON)
    )
    volatility = market.volatility * factor * math.exp(market.log_volatility)
    market.common += (
        volatility
        * (market.signal_drift * market.signal * _GRID_S + math.sqrt(_GRID_S) * normal(rng, COMMON))
        - market.common * _GRID_S / _HOME_S
    )
    market.own += (
        volatility * _OWN_SHARE * math.sqrt(_GRID_S) * normal(rng, OWN) - market.own * _GRID_S / _OWN_S
    )
    market.excitement -= market.excitement * _GRID_S / _EXCITEMENT_S
    market.latent_ticks = market.price_ticks * math.exp(market.common + market.own)
    market.grid_ns += GRID_NS


@njit(cache=True)
def pace(market: Any) -> float:
    """Return the intensity's factor: markets are busier when volatile and after trades."""
    return float(
        math.exp(0.5 * market.log_volatility) * math.sqrt(_REGIMES[market.regime, 0]) + market.excitement
    )


@njit(cache=True)
def follow(market: Any, events: Any, n: int, exch_ns: int) -> int:
    """Bring the quotes to where the latent price went, taking or cancelling what stood in the way."""
    up = market.latent_ticks > market.centre_ticks
    spread = 1
    while spread < 6 and uniform(market.rng, OWN) < 0.15 * _REGIMES[market.regime, 0]:
        spread += 1
    best_bid = math.floor(market.latent_ticks - 0.5 * spread + 0.5)
    best_ask = best_bid + spread
    swept = uniform(market.rng, OWN) < _SWEEP_SHARE
    prints = 0
    while market.ticks[1, 0] < best_ask:
        if up and swept and prints < _SWEEP_LEVELS:
            n = put_trade(market, events, n, exch_ns, market.ticks[1, 0], market.lots[1, 0], BUY)
            prints += 1
        remove_level(market, 1, 0)
    while market.ticks[0, 0] > best_bid:
        if not up and swept and prints < _SWEEP_LEVELS:
            n = put_trade(market, events, n, exch_ns, market.ticks[0, 0], market.lots[0, 0], SELL)
            prints += 1
        remove_level(market, 0, 0)
    market.centre_ticks = 0.5 * (best_bid + best_ask)
    if market.ticks[0, 0] != best_bid:
        insert_level(market, 0, 0, best_bid)
    if market.ticks[1, 0] != best_ask:
        insert_level(market, 1, 0, best_ask)
    return put_quote(market, events, n, exch_ns)


@njit(cache=True)
def trade(market: Any, events: Any, n: int, exch_ns: int) -> int:
    """Let a market order arrive; it leaves at least one lot at the best, as quotes move by `follow`."""
    lean = math.tanh(0.45 * market.signal + 0.35 * stretch(market))
    side = 1 if uniform(market.rng, OWN) < 0.5 + 0.5 * lean else 0
    lots = 1 + int(market.trade_lots * math.exp(1.2 * normal(market.rng, OWN)))
    standing = market.lots[side, 0]
    if standing < 2:
        market.lots[side, 0] = fresh_lots(market, side, 0) + 1
        market.update_id += 1
        return put_quote(market, events, n, exch_ns)
    lots = min(lots, standing - 1)
    n = put_trade(market, events, n, exch_ns, market.ticks[side, 0], lots, BUY if side == 1 else SELL)
    market.lots[side, 0] = standing - lots
    market.update_id += 1
    return put_quote(market, events, n, exch_ns)


@njit(cache=True)
def requote(market: Any, events: Any, n: int, exch_ns: int) -> int:
    """Change the quantity at one side's best, half way to a fresh one."""
    side = 1 if uniform(market.rng, OWN) < 0.5 else 0
    market.lots[side, 0] = (market.lots[side, 0] + fresh_lots(market, side, 0) + 1) // 2
    market.update_id += 1
    return put_quote(market, events, n, exch_ns)


@njit(cache=True)
def rearrange(market: Any) -> None:
    """Change the book behind the best: a quantity, a new level where the gap is wide, or one gone."""
    side = 1 if uniform(market.rng, OWN) < 0.5 else 0
    at = 1 + int(uniform(market.rng, OWN) ** 2 * (LEVELS - 2))
    what = uniform(market.rng, OWN)
    if what < 0.6:
        market.lots[side, at] = fresh_lots(market, side, at)
        market.update_id += 1
        return
    nearer, farther = market.ticks[side, at - 1], market.ticks[side, at]
    step = gap(market)
    if step < abs(farther - nearer) and abs(farther - nearer) > 2.0 * market.gap_ticks:
        insert_level(market, side, at, nearer + (step if side == 1 else -step))
    else:
        remove_level(market, side, at)


@njit(cache=True)
def start(markets: Any) -> None:
    """Build the first book around the starting price and set the clocks (grid_ns holds the start)."""
    market = markets[0]
    market.regime = 1
    market.latent_ticks = market.price_ticks
    best_bid = math.floor(market.price_ticks)
    market.centre_ticks = best_bid + 0.5
    for side in range(2):
        away = 1 if side == 1 else -1
        price = best_bid + side
        for k in range(LEVELS):
            market.ticks[side, k] = price
            market.lots[side, k] = fresh_lots(market, side, k)
            price += away * gap(market)
    market.next_ns = market.grid_ns
    market.depth_ns = market.grid_ns + market.depth_every_ns
    market.grid_ns += GRID_NS
    publish(market)


@njit(cache=True)
def arrive(market: Any, events: Any, n: int) -> int:
    """Let what arrives at `next_ns` happen and draw the next arrival."""
    exch_ns = market.next_ns
    if abs(market.latent_ticks - market.centre_ticks) > market.threshold_ticks:
        n = follow(market, events, n, exch_ns)
    else:
        total = market.trades_per_s + market.quotes_per_s + market.books_per_s
        what = uniform(market.rng, OWN) * total
        if what < market.trades_per_s:
            n = trade(market, events, n, exch_ns)
        elif what < market.trades_per_s + market.quotes_per_s:
            n = requote(market, events, n, exch_ns)
        else:
            rearrange(market)
    total = (market.trades_per_s + market.quotes_per_s + market.books_per_s) * pace(market)
    wait_s = min(-math.log(uniform(market.rng, OWN)) / total, 10.0)
    market.next_ns += 1000 * int(1e6 * wait_s)
    return n


@njit(cache=True)
def advance(markets: Any, until_ns: int, events: Any, levels: Any) -> tuple[int, int]:
    """Run the market up to and including `until_ns`, or until the chunk might overflow.

    markets MARKET[1]; events MARKET_EVENT[at least EVENTS_RESERVE]; levels int64[at least
    LEVEL_ROWS_RESERVE, 2].
    Returns how many events and level rows were written. All is done when the market's next_ns, depth_ns and
    grid_ns are past `until_ns`.
    """
    market = markets[0]
    n = m = 0
    while len(events) - n >= EVENTS_RESERVE and len(levels) - m >= LEVEL_ROWS_RESERVE:
        now_ns = min(market.next_ns, market.depth_ns, market.grid_ns)
        if now_ns > until_ns:
            break
        if now_ns == market.grid_ns:
            step_latent(market)
        elif now_ns == market.depth_ns:
            if market.update_id > market.published_id:
                n, m = put_depth(market, events, n, levels, m, now_ns)
            market.depth_ns += market.depth_every_ns
        else:
            n = arrive(market, events, n)
    return n, m
