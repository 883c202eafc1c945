"""Matching: what an exchange would have filled of our orders, given the market that it showed.

The paper venue, the simulated exchange and the backtest all match here, so that they cannot differ. One
matcher holds one instrument's orders of one account. The market is history: our orders never change it, so
a fill is bounded by what it proves, in ticks and lots:

- an aggressive order takes displayed quantity, the best price first, and *each displayed lot is taken once*:
  what was taken stays taken until the exchange shows less than that or the level goes;
- a resting order waits behind the quantity displayed when it arrived. A trade at its price first serves the
  queue ahead of it, a trade through its price serves it at once, and all our orders together never get more
  than the trade's own quantity;
- a quote that crosses a resting order fills it at its own price, by what that quote displays.

    matcher = new_matcher(tick_size, lot_size)      kernels.matcher: columns, constants
    n = on_ticks(matcher, book, rings, instrument)  what waits in the feed's ring (kernels.ring)
    n = on_tick(matcher, book, kind, a, b, c, d)    a trade or quote in floats, as in kernels.dtypes
    n = on_trade(matcher, book, ticks, lots, taker_side)
    n = on_quote(matcher, book, bid_ticks, bid_lots, ask_ticks, ask_lots)      0 lots: that side is empty
    n = on_book(matcher, book)                      the depth changed
    n = place(matcher, book, key, side, tif, ticks, lots)
    n = arm(matcher, key, side, tif, ticks, lots, trigger_ticks, rises)        a stop or take-profit
    n = cancel(matcher, key)
    n = amend(matcher, key, leaves)                 less, keeping its priority

Each call returns the number n of events it caused, in order, in `matcher["events"][0, :n]` (columns EV_*).
`key` is the caller's own int64 id of the order. `book` is one of kernels.book; EMPTY_BOOK where there is
none. Once a quote was seen, quotes are the touch and the book gives only the levels strictly
behind it (a quote is fresher than a depth update); without quotes the touch is the book's.

Where the quantity displayed at an order's price is not known (no book, or deeper than it reaches), the queue
ahead is infinite until the price becomes the touch or is traded through. Latency, fees and balances are the
caller's.
"""

import math
from typing import Any

from numba import njit

from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, B_BID_LOTS, B_BID_TICKS, BUY, QUOTE, SELL, TRADE
from kernels.matcher import (
    ACCEPTED,
    AMENDED,
    CANCELED,
    EXPIRED,
    FILL,
    FOK,
    GTC,
    MARKET,
    NO_ASK,
    NO_BID,
    POST_ONLY,
    Q_ARMED,
    Q_KEY,
    Q_LEAVES,
    Q_SHOWN,
    Q_SIDE,
    Q_TICKS,
    Q_TIF,
    Q_TRADED,
    Q_TRIGGER,
    REASON_QTY,
    REASON_UNKNOWN,
    REASON_WOULD_TAKE,
    REASON_WOULD_TRIGGER,
    REJECTED,
    TRIGGERED,
    UNKNOWN,
)
from kernels.matching import (
    ABSORB,
    ASKS,
    BIDS,
    COUNT,
    TAKE,
    advance,
    append,
    begin,
    behind_touch,
    compact,
    crosses,
    emit,
    find,
    own_best,
    refresh_taken,
    refusal,
    set_touch,
    shown_at,
    take,
)
from kernels.ring import MASK, first_unseen


# --- the market --------------------------------------------------------------------------------------------
@njit(cache=True)
def on_ticks(matcher: Any, book: Any, rings: Any, instrument: int) -> int:
    """Take the ticks that wait in the ring, up to the first that causes events; 0: all were taken.

    They may wait while no order is open, but for the next order, a changed book and a full ring.
    """
    m = matcher[0]
    ring = rings[instrument]
    number = first_unseen(ring, m.seen)
    n = 0
    while number < ring.head and n == 0:
        tick = ring.rows[number & MASK]
        n = on_tick(matcher, book, tick.kind, tick.a, tick.b, tick.c, tick.d)
        number += 1
    m.seen = number
    return n


@njit(cache=True)
def on_tick(matcher: Any, book: Any, kind: int, a: float, b: float, c: float, d: float) -> int:
    """Take a trade or a quote in floats; other kinds cause nothing (the depth comes by `on_book`)."""
    m = matcher[0]
    if kind == TRADE:
        return on_trade(matcher, book, round(a / m.tick_size), round(b / m.lot_size), BUY if c > 0 else SELL)
    if kind == QUOTE:
        bid = round(a / m.tick_size)
        ask = round(c / m.tick_size)
        return on_quote(matcher, book, bid, round(b / m.lot_size), ask, round(d / m.lot_size))
    return 0


@njit(cache=True)
def on_trade(matcher: Any, book: Any, ticks: int, lots: int, taker_side: int) -> int:
    """Take a public trade: it serves our resting orders, then sets off the armed ones it reaches."""
    m = matcher[0]
    begin(m)
    m.last_ticks = ticks
    if (taker_side == BUY and m.own_ask <= ticks) or (taker_side != BUY and m.own_bid >= ticks):
        _serve(m, ticks, lots, taker_side)
        compact(m)
    if m.n_armed > 0:
        _set_off(matcher, book, ticks)
        compact(m)
    return int(m.n_events)


@njit(cache=True)
def on_quote(matcher: Any, book: Any, bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> int:
    """Take the best bid and ask; a side with 0 lots is empty."""
    m = matcher[0]
    begin(m)
    m.quoted = 1
    set_touch(m, bid_ticks, bid_lots, ask_ticks, ask_lots)
    if m.n_orders > 0 or m.n_taken[0] + m.n_taken[1] > 0:
        _market_moved(matcher, book, True)
    return int(m.n_events)


@njit(cache=True)
def on_book(matcher: Any, book: Any) -> int:
    """Take a changed depth."""
    m = matcher[0]
    begin(m)
    if m.quoted == 0:
        bid, ask = book[B_BID_TICKS, 0], book[B_ASK_TICKS, 0]  # how many, and where the best is
        set_touch(
            m,
            book[B_BID_TICKS, bid] if bid > 0 else 0,
            book[B_BID_LOTS, bid] if bid > 0 else 0,
            book[B_ASK_TICKS, ask] if ask > 0 else 0,
            book[B_ASK_LOTS, ask] if ask > 0 else 0,
        )
    if m.n_orders > 0 or m.n_taken[0] + m.n_taken[1] > 0:
        _market_moved(matcher, book, False)
    return int(m.n_events)


# --- our orders --------------------------------------------------------------------------------------------
@njit(cache=True)
def place(matcher: Any, book: Any, key: int, side: int, tif: int, ticks: int, lots: int) -> int:
    """Take a new order: ACCEPTED, then its FILLs, then EXPIRED for what may not rest; or REJECTED alone.

    `ticks` means nothing for MARKET.
    """
    m = matcher[0]
    begin(m)
    reason = refusal(m, key, lots)
    if reason == 0 and tif == POST_ONLY and crosses(m, side, ticks):
        reason = REASON_WOULD_TAKE
    if reason != 0:
        emit(m, REJECTED, key, side, ticks, lots, 0, 0, reason)
        return int(m.n_events)
    emit(m, ACCEPTED, key, side, ticks, lots, lots, 0, 0)
    _go_live(matcher, book, key, side, tif, ticks, lots)
    return int(m.n_events)


@njit(cache=True)
def arm(
    matcher: Any, key: int, side: int, tif: int, ticks: int, lots: int, trigger_ticks: int, rises: bool
) -> int:
    """Hold an order until a trade at or beyond `trigger_ticks`, above it when `rises`, else below.

    A protective stop of a long position is a SELL that waits for the price to fall. Then it is TRIGGERED and
    goes on as `place` would with `tif`. REJECTED when the last trade is already there.
    """
    m = matcher[0]
    begin(m)
    reason = refusal(m, key, lots)
    direction = 1 if rises else -1
    if reason == 0 and m.last_ticks != 0 and (m.last_ticks - trigger_ticks) * direction >= 0:
        reason = REASON_WOULD_TRIGGER
    if reason != 0:
        emit(m, REJECTED, key, side, ticks, lots, 0, 0, reason)
        return int(m.n_events)
    emit(m, ACCEPTED, key, side, ticks, lots, lots, 0, 0)
    i = append(m, key, side, tif, ticks, lots)
    m.orders[i, Q_TRIGGER] = trigger_ticks
    m.orders[i, Q_ARMED] = direction
    m.n_armed += 1
    return int(m.n_events)


@njit(cache=True)
def cancel(matcher: Any, key: int) -> int:
    """Take an order back: CANCELED with what was left of it, or REJECTED when none is open under `key`."""
    m = matcher[0]
    begin(m)
    i = find(m, key)
    if i < 0:
        emit(m, REJECTED, key, 0, 0, 0, 0, 0, REASON_UNKNOWN)
        return int(m.n_events)
    order = m.orders[i]
    emit(m, CANCELED, key, order[Q_SIDE], order[Q_TICKS], order[Q_LEAVES], 0, 0, 0)
    order[Q_LEAVES] = 0
    compact(m)
    return int(m.n_events)


@njit(cache=True)
def amend(matcher: Any, key: int, leaves: int) -> int:
    """Lower what is left of an order to `leaves`, keeping its place in the queue: AMENDED, or REJECTED."""
    m = matcher[0]
    begin(m)
    i = find(m, key)
    if i < 0:
        emit(m, REJECTED, key, 0, 0, 0, 0, 0, REASON_UNKNOWN)
        return int(m.n_events)
    order = m.orders[i]
    if leaves <= 0 or leaves >= order[Q_LEAVES]:
        emit(m, REJECTED, key, order[Q_SIDE], order[Q_TICKS], leaves, order[Q_LEAVES], 0, REASON_QTY)
        return int(m.n_events)
    order[Q_LEAVES] = leaves
    emit(m, AMENDED, key, order[Q_SIDE], order[Q_TICKS], leaves, leaves, 0, 0)
    return int(m.n_events)


@njit(cache=True)
def idle(matcher: Any) -> bool:
    """Whether the next trade or quote can cause nothing: no order is open and nothing taken is remembered.

    An idle matcher may skip ticks, as long as it is given the latest trade and quote before its next order.
    """
    m = matcher[0]
    return bool(m.n_orders == 0 and m.n_taken[0] + m.n_taken[1] == 0)


# --- what the calls share ----------------------------------------------------------------------------------
@njit(cache=True)
def _go_live(matcher: Any, book: Any, key: int, side: int, tif: int, ticks: int, lots: int) -> None:
    """Match an accepted or triggered order; rest what may rest, let the remainder expire."""
    m = matcher[0]
    limit = ticks
    if tif == MARKET:
        limit = NO_ASK if side == BUY else NO_BID
    got = 0
    if tif != FOK or take(m, book, key, side, limit, lots, COUNT) == lots:
        got = take(m, book, key, side, limit, lots, TAKE)
    if got == lots:
        return
    if tif not in (GTC, POST_ONLY):
        emit(m, EXPIRED, key, side, ticks, lots - got, 0, 0, 0)
        return
    i = append(m, key, side, tif, ticks, lots - got)
    shown = shown_at(m, book, BIDS if side == BUY else ASKS, ticks)
    m.orders[i, Q_SHOWN] = shown
    if shown != UNKNOWN:
        m.front[i] = shown
    if side == BUY:
        m.own_bid = max(m.own_bid, ticks)
    else:
        m.own_ask = min(m.own_ask, ticks)


@njit(cache=True)
def _serve(m: Any, ticks: int, lots: int, taker_side: int) -> None:
    """Hand a trade's quantity to our resting orders it reached, best price first, then the oldest."""
    side = SELL if taker_side == BUY else BUY
    level = own_best(m, side, NO_BID if side == SELL else NO_ASK)
    budget = lots
    while budget > 0 and (level - ticks) * side >= 0:
        for i in range(m.n_orders):
            order = m.orders[i]
            if order[Q_SIDE] != side or order[Q_TICKS] != level or order[Q_ARMED] != 0:
                continue
            reached = lots
            if level == ticks:
                m.front[i] -= lots
                order[Q_TRADED] += lots
                reached = 0
                if m.front[i] < 0.0:
                    # only a probabilistic queue has fractions of a lot; they round half up
                    reached = math.floor(0.5 - m.front[i])
                    m.front[i] = 0.0 if reached > 0 else m.front[i]
            got = min(reached, order[Q_LEAVES], budget)
            if got > 0:
                budget -= got
                order[Q_LEAVES] -= got
                emit(m, FILL, order[Q_KEY], side, level, got, order[Q_LEAVES], 1, 0)
        level = own_best(m, side, level)


@njit(cache=True)
def _set_off(matcher: Any, book: Any, ticks: int) -> None:
    """Make the armed orders live that a trade at `ticks` reached, the oldest first."""
    m = matcher[0]
    for i in range(m.n_orders):
        order = m.orders[i]
        if order[Q_ARMED] == 0 or (ticks - order[Q_TRIGGER]) * order[Q_ARMED] < 0:
            continue
        key, side, tif = order[Q_KEY], order[Q_SIDE], order[Q_TIF]
        limit, lots = order[Q_TICKS], order[Q_LEAVES]
        # what rests of it is appended as the youngest: that is its place in time
        order[Q_LEAVES] = 0
        emit(m, TRIGGERED, key, side, limit, lots, lots, 0, 0)
        _go_live(matcher, book, key, side, tif, limit, lots)


@njit(cache=True)
def _market_moved(matcher: Any, book: Any, by_quote: bool) -> None:
    """Bring the queues and what was taken up to the display, then fill what it crosses."""
    m = matcher[0]
    refresh_taken(m, book, by_quote)
    for i in range(m.n_orders):
        order = m.orders[i]
        ladder = BIDS if order[Q_SIDE] == BUY else ASKS
        if order[Q_ARMED] != 0 or (by_quote and behind_touch(m, ladder, order[Q_TICKS])):
            continue
        shown = shown_at(m, book, ladder, order[Q_TICKS])
        if shown != UNKNOWN:
            advance(m, i, shown)
    if m.own_bid >= m.ask_ticks:
        _fill_crossed(m, book, BUY)
    if m.own_ask <= m.bid_ticks:
        _fill_crossed(m, book, SELL)


@njit(cache=True)
def _fill_crossed(m: Any, book: Any, side: int) -> None:
    """Fill our resting orders of a side, at their own prices, from the displayed quantity they meet."""
    level = own_best(m, side, NO_ASK if side == BUY else NO_BID)
    while crosses(m, side, level):
        for i in range(m.n_orders):
            order = m.orders[i]
            if (
                order[Q_SIDE] != side
                or order[Q_TICKS] != level
                or order[Q_ARMED] != 0
                or order[Q_LEAVES] <= 0
            ):
                continue
            got = take(m, book, order[Q_KEY], side, level, order[Q_LEAVES], ABSORB)
            if got > 0:
                order[Q_LEAVES] -= got
                emit(m, FILL, order[Q_KEY], side, level, got, order[Q_LEAVES], 1, 0)
        level = own_best(m, side, level)
    compact(m)
