"""The synthetic market's record, its book, and the events it writes (kernels.market makes it move).

Prices are ticks, quantities lots, times nanoseconds.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit

from kernels import book as books
from kernels.draws import normal, uniform
from kernels.dtypes import BOOK_LEVELS, DEPTH, QUOTE, TRADE
from kernels.levels import S_ASK_LOTS, S_ASK_TICKS, S_BID_LOTS, S_BID_TICKS

#: the streams of MARKET.rng
COMMON: Final = 0
OWN: Final = 1

#: levels a side of the whole synthetic book
LEVELS: Final = 50

#: what happens: a, b, c, d in ticks and lots, by kind
#:   TRADE  a price, b quantity, c taker's side, id trade id
#:   QUOTE  a bid price, b bid quantity, c ask price, d ask quantity, id update id
#:   DEPTH  a best bid, b bid quantity of BOOK_LEVELS levels, c best ask, d ask quantity likewise; its update
#:          ids first_id..id; its changed levels are rows level .. level + n_bids + n_asks of `levels`
MARKET_EVENT: Final = np.dtype(
    [
        ("kind", "i8"),
        ("exch_ns", "i8"),
        ("a", "i8"),
        ("b", "i8"),
        ("c", "i8"),
        ("d", "i8"),
        ("id", "i8"),
        ("first_id", "i8"),
        ("level", "i8"),
        ("n_bids", "i8"),
        ("n_asks", "i8"),
    ],
    align=True,
)

#: one market's whole state and parameters
MARKET: Final = np.dtype(
    [
        # parameters
        ("price_ticks", "f8"),  # where the latent price starts and is very slowly drawn back to
        ("volatility", "f8"),  # of the common log price, per square root of a second, in a normal regime
        ("signal_drift", "f8"),  # drift in volatilities per second for a signal of one
        ("trades_per_s", "f8"),
        ("quotes_per_s", "f8"),  # beside the quote that follows each trade
        ("books_per_s", "f8"),  # changes behind the best, seen in depth only
        ("quote_lots", "f8"),  # typical quantity at the best
        ("trade_lots", "f8"),  # median quantity of a trade
        ("threshold_ticks", "f8"),  # how far the latent price strays before the quotes follow
        ("gap_ticks", "f8"),  # mean distance between levels
        ("depth_every_ns", "i8"),
        # generators: [0] common, [1] own
        ("rng", "u8", (2,)),
        # the common latent state
        ("regime", "i8"),
        ("log_volatility", "f8"),
        ("signal", "f8"),
        ("common", "f8"),
        # this market's own
        ("own", "f8"),
        ("excitement", "f8"),
        ("latent_ticks", "f8"),
        ("centre_ticks", "f8"),
        # clocks
        ("grid_ns", "i8"),  # the next step of the latent state
        ("next_ns", "i8"),  # the next arrival
        ("depth_ns", "i8"),  # the next depth update
        # ids
        ("update_id", "i8"),
        ("published_id", "i8"),
        ("trade_id", "i8"),
        # the book: [0] bids, [1] asks, best first, always full; and as depth last published it
        ("ticks", "i8", (2, LEVELS)),
        ("lots", "i8", (2, LEVELS)),
        ("published_ticks", "i8", (2, LEVELS)),
        ("published_lots", "i8", (2, LEVELS)),
    ],
    align=True,
)

_EXCITEMENT_TRADE: Final = 0.015  # what one trade adds to the intensity's factor


@njit(cache=True)
def stretch(market: Any) -> float:
    """Return where the latent price stands between the quotes' last places to move: -1 to 1."""
    return float(max(-1.0, min(1.0, (market.latent_ticks - market.centre_ticks) / market.threshold_ticks)))


@njit(cache=True)
def fresh_lots(market: Any, side: int, level: int) -> int:
    """Draw a quantity: log-normal, larger behind the best, and at the best leaning with what comes next."""
    lean = 0.9 * stretch(market) + 0.25 * market.signal
    if side == 1:
        lean = -lean
    exponent = 0.7 * normal(market.rng, OWN)
    exponent += max(-1.5, min(1.5, lean)) if level == 0 else min(0.06 * level, 1.2)
    return 1 + int(market.quote_lots * math.exp(exponent))


@njit(cache=True)
def gap(market: Any) -> int:
    """Draw a distance between levels, at least one tick."""
    return 1 + int((market.gap_ticks - 1.0) * -math.log(uniform(market.rng, OWN)))


@njit(cache=True)
def remove_level(market: Any, side: int, at: int) -> None:
    """Take a level out and grow a new one at the far end."""
    ticks, lots = market.ticks[side], market.lots[side]
    for k in range(at, LEVELS - 1):
        ticks[k] = ticks[k + 1]
        lots[k] = lots[k + 1]
    away = 1 if side == 1 else -1
    ticks[LEVELS - 1] = ticks[LEVELS - 2] + away * gap(market)
    lots[LEVELS - 1] = fresh_lots(market, side, LEVELS - 1)
    market.update_id += 1


@njit(cache=True)
def insert_level(market: Any, side: int, at: int, price_ticks: int) -> None:
    """Put a level in and forget the farthest."""
    ticks, lots = market.ticks[side], market.lots[side]
    for k in range(LEVELS - 1, at, -1):
        ticks[k] = ticks[k - 1]
        lots[k] = lots[k - 1]
    ticks[at] = price_ticks
    lots[at] = fresh_lots(market, side, at)
    market.update_id += 1


@njit(cache=True)
def put_event(
    events: Any, n: int, kind: int, exch_ns: int, a: int, b: int, c: int, d: int, update_id: int
) -> int:
    """Write one event and return the next free row."""
    event = events[n]
    event.kind = kind
    event.exch_ns = exch_ns
    event.a = a
    event.b = b
    event.c = c
    event.d = d
    event.id = update_id
    event.first_id = 0
    event.level = 0
    event.n_bids = 0
    event.n_asks = 0
    return n + 1


@njit(cache=True)
def put_quote(market: Any, events: Any, n: int, exch_ns: int) -> int:
    """Write the best bid and ask as they stand."""
    ticks, lots = market.ticks, market.lots
    return put_event(
        events, n, QUOTE, exch_ns, ticks[0, 0], lots[0, 0], ticks[1, 0], lots[1, 0], market.update_id
    )


@njit(cache=True)
def put_trade(market: Any, events: Any, n: int, exch_ns: int, price_ticks: int, lots: int, taker: int) -> int:
    """Write one print."""
    market.trade_id += 1
    market.excitement += _EXCITEMENT_TRADE
    return put_event(events, n, TRADE, exch_ns, price_ticks, lots, taker, 0, market.trade_id)


@njit(cache=True)
def put_changes(ticks: Any, lots: Any, old_ticks: Any, old_lots: Any, away: int, levels: Any, m: int) -> int:
    """Write how one side differs from what was published (0 lots: gone); return the next free row."""
    i = j = 0
    while i < LEVELS or j < LEVELS:
        if j == LEVELS or (i < LEVELS and away * ticks[i] < away * old_ticks[j]):
            levels[m, 0], levels[m, 1] = ticks[i], lots[i]
            i += 1
            m += 1
        elif i == LEVELS or away * old_ticks[j] < away * ticks[i]:
            levels[m, 0], levels[m, 1] = old_ticks[j], 0
            j += 1
            m += 1
        else:
            if lots[i] != old_lots[j]:
                levels[m, 0], levels[m, 1] = ticks[i], lots[i]
                m += 1
            i += 1
            j += 1
    return m


@njit(cache=True)
def follow_depth(
    book: Any,
    quote: Any,
    scratch: Any,
    events: Any,
    levels: Any,
    ticks: Any,
    tick_size: float,
    lot_size: float,
    out: Any,
) -> int:
    """Keep `book` (kernels.book) by the DEPTH events as a feed would; return how many there were.

    `ticks` are the events as the features take them; the newest quote stands in quote[4]. out[m, 2,
    BOOK_LEVELS, 2] gets what `decide` sees of the book after each.
    """
    m = 0
    for k in range(events.size):
        event, tick = events[k], ticks[k]
        if event.kind == QUOTE:
            quote[0], quote[1], quote[2], quote[3] = tick.a, tick.b, tick.c, tick.d
        elif event.kind == DEPTH:
            for row in range(event.n_bids):
                scratch[S_BID_TICKS, row] = levels[event.level + row, 0]
                scratch[S_BID_LOTS, row] = levels[event.level + row, 1]
            for row in range(event.n_asks):
                scratch[S_ASK_TICKS, row] = levels[event.level + event.n_bids + row, 0]
                scratch[S_ASK_LOTS, row] = levels[event.level + event.n_bids + row, 1]
            books.apply(book, scratch, event.n_bids, event.n_asks)
            books.top(book, quote[0], quote[1], quote[2], quote[3], tick_size, lot_size, out[m])
            m += 1
    return m


@njit(cache=True)
def publish(market: Any) -> None:
    """Remember the book as the world now knows it."""
    for side in range(2):
        for k in range(LEVELS):
            market.published_ticks[side, k] = market.ticks[side, k]
            market.published_lots[side, k] = market.lots[side, k]
    market.published_id = market.update_id


@njit(cache=True)
def put_depth(market: Any, events: Any, n: int, levels: Any, m: int, exch_ns: int) -> tuple[int, int]:
    """Publish the book's changes since the last time; return the next free event and level row."""
    start = m
    m = put_changes(
        market.ticks[0], market.lots[0], market.published_ticks[0], market.published_lots[0], -1, levels, m
    )
    n_bids = m - start
    m = put_changes(
        market.ticks[1], market.lots[1], market.published_ticks[1], market.published_lots[1], 1, levels, m
    )
    bid_lots = ask_lots = 0
    for k in range(BOOK_LEVELS):
        bid_lots += market.lots[0, k]
        ask_lots += market.lots[1, k]
    event = events[n]
    put_event(
        events,
        n,
        DEPTH,
        exch_ns,
        market.ticks[0, 0],
        bid_lots,
        market.ticks[1, 0],
        ask_lots,
        market.update_id,
    )
    event.first_id = market.published_id + 1
    event.level = start
    event.n_bids = n_bids
    event.n_asks = m - start - n_bids
    publish(market)
    return n + 1, m
