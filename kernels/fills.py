"""Matching: what an exchange would have filled of our orders, given the market that it showed.

The paper venue, the simulated exchange and the backtest all match here, so that they cannot differ. One matcher
holds one instrument's orders of one account. The market is history: our orders never change it, so a fill is
bounded by what it proves, in ticks and lots:

- an aggressive order takes displayed quantity, the best price first, and *each displayed lot is taken once*: what
  was taken stays taken until the exchange shows less than that or the level goes;
- a resting order waits behind the quantity displayed when it arrived. A trade at its price first serves the queue
  ahead of it, a trade through its price serves it at once, and never more than the trade's own quantity goes to all
  our orders together;
- a quote that crosses a resting order fills it at its own price, by what that quote displays.

    matcher = new_matcher(tick_size, lot_size)      kernels.matcher, where the columns and constants are named
    n = on_tick(matcher, book, kind, a, b, c, d)    a trade or quote in floats, as in kernels.dtypes
    n = on_trade(matcher, book, ticks, lots, taker_side)
    n = on_quote(matcher, book, bid_ticks, bid_lots, ask_ticks, ask_lots)      0 lots: that side is empty
    n = on_book(matcher, book)                      the depth changed
    n = place(matcher, book, key, side, tif, ticks, lots)
    n = arm(matcher, key, side, tif, ticks, lots, trigger_ticks, rises)        a stop or take-profit
    n = cancel(matcher, key)
    n = amend(matcher, key, leaves)                 less, keeping its priority

Each call returns the number n of events it caused, in order, in `matcher["events"][0, :n]` (columns EV_*). `key` is
the caller's own int64 id of the order. `book` is a kernels.dtypes.BOOK array of length 1; EMPTY_BOOK where there is
none. Once a quote was seen, quotes are the touch and the book gives only the levels strictly behind it (a quote is
fresher than a depth update); without quotes the touch is the book's.

Where the quantity displayed at an order's price is not known (no book, or deeper than it reaches), the queue ahead is
infinite until the price becomes the touch or is traded through. Latency, fees and balances are the caller's.
"""

from typing import Any

from numba import njit

from kernels.dtypes import BUY, QUOTE, TRADE
from kernels.matcher import (
    ACCEPTED,
    AMENDED,
    CANCELED,
    POST_ONLY,
    Q_ARMED,
    Q_LEAVES,
    Q_SIDE,
    Q_TICKS,
    Q_TRIGGER,
    REASON_QTY,
    REASON_UNKNOWN,
    REASON_WOULD_TAKE,
    REASON_WOULD_TRIGGER,
    REJECTED,
)


# --- the market ----------------------------------------------------------------------------------------------
@njit(cache=True)
def on_tick(matcher: Any, book: Any, kind: int, a: float, b: float, c: float, d: float) -> int:
    """Take a trade or a quote in floats; other kinds cause nothing (the depth comes by `on_book`)."""
    m = matcher[0]
    if kind == TRADE:
        return on_trade(matcher, book, round(a / m.tick_size), round(b / m.lot_size), BUY if c > 0 else -BUY)
    if kind == QUOTE:
        bid = round(a / m.tick_size)
        ask = round(c / m.tick_size)
        return on_quote(matcher, book, bid, round(b / m.lot_size), ask, round(d / m.lot_size))
    return 0


@njit(cache=True)
def on_trade(matcher: Any, book: Any, ticks: int, lots: int, taker_side: int) -> int:
    """Take a public trade: it serves our resting orders, then sets off the armed ones it reaches."""
    m = matcher[0]
    _begin(m)
    m.last_ticks = ticks
    if (taker_side == BUY and m.own_ask <= ticks) or (taker_side != BUY and m.own_bid >= ticks):
        _serve(m, ticks, lots, taker_side)
        _compact(m)
    if m.n_armed > 0:
        _set_off(matcher, book, ticks)
        _compact(m)
    return m.n_events


@njit(cache=True)
def on_quote(matcher: Any, book: Any, bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> int:
    """Take the best bid and ask; a side with 0 lots is empty."""
    m = matcher[0]
    _begin(m)
    m.quoted = 1
    _set_touch(m, bid_ticks, bid_lots, ask_ticks, ask_lots)
    if m.n_orders > 0 or m.n_taken[0] + m.n_taken[1] > 0:
        _market_moved(matcher, book, True)
    return m.n_events


@njit(cache=True)
def on_book(matcher: Any, book: Any) -> int:
    """Take a changed depth."""
    m = matcher[0]
    _begin(m)
    if m.quoted == 0:
        b = book[0]
        bid, ask = b.n_bids - 1, b.n_asks - 1
        _set_touch(
            m,
            b.bid_ticks[bid] if bid >= 0 else 0,
            b.bid_lots[bid] if bid >= 0 else 0,
            b.ask_ticks[ask] if ask >= 0 else 0,
            b.ask_lots[ask] if ask >= 0 else 0,
        )
    if m.n_orders > 0 or m.n_taken[0] + m.n_taken[1] > 0:
        _market_moved(matcher, book, False)
    return m.n_events


# --- our orders ----------------------------------------------------------------------------------------------
@njit(cache=True)
def place(matcher: Any, book: Any, key: int, side: int, tif: int, ticks: int, lots: int) -> int:
    """Take a new order: ACCEPTED, then its FILLs, then EXPIRED for what may not rest; or REJECTED alone.

    `ticks` means nothing for MARKET.
    """
    m = matcher[0]
    _begin(m)
    reason = _refusal(m, key, lots)
    if reason == 0 and tif == POST_ONLY and _crosses(m, side, ticks):
        reason = REASON_WOULD_TAKE
    if reason != 0:
        _emit(m, REJECTED, key, side, ticks, lots, 0, 0, reason)
        return m.n_events
    _emit(m, ACCEPTED, key, side, ticks, lots, lots, 0, 0)
    _go_live(matcher, book, key, side, tif, ticks, lots)
    return m.n_events


@njit(cache=True)
def arm(
    matcher: Any, key: int, side: int, tif: int, ticks: int, lots: int, trigger_ticks: int, rises: bool
) -> int:
    """Hold an order until a trade at or beyond `trigger_ticks`, above it when `rises`, else below.

    A protective stop of a long position is a SELL that waits for the price to fall. Then it is TRIGGERED and goes
    on as `place` would with `tif`. REJECTED when the last trade is already there.
    """
    m = matcher[0]
    _begin(m)
    reason = _refusal(m, key, lots)
    direction = 1 if rises else -1
    if reason == 0 and m.last_ticks != 0 and (m.last_ticks - trigger_ticks) * direction >= 0:
        reason = REASON_WOULD_TRIGGER
    if reason != 0:
        _emit(m, REJECTED, key, side, ticks, lots, 0, 0, reason)
        return m.n_events
    _emit(m, ACCEPTED, key, side, ticks, lots, lots, 0, 0)
    i = _append(m, key, side, tif, ticks, lots)
    m.orders[i, Q_TRIGGER] = trigger_ticks
    m.orders[i, Q_ARMED] = direction
    m.n_armed += 1
    return m.n_events


@njit(cache=True)
def cancel(matcher: Any, key: int) -> int:
    """Take an order back: CANCELED with what was left of it, or REJECTED when none is open under `key`."""
    m = matcher[0]
    _begin(m)
    i = _find(m, key)
    if i < 0:
        _emit(m, REJECTED, key, 0, 0, 0, 0, 0, REASON_UNKNOWN)
        return m.n_events
    order = m.orders[i]
    _emit(m, CANCELED, key, order[Q_SIDE], order[Q_TICKS], order[Q_LEAVES], 0, 0, 0)
    order[Q_LEAVES] = 0
    _compact(m)
    return m.n_events


@njit(cache=True)
def amend(matcher: Any, key: int, leaves: int) -> int:
    """Lower what is left of an order to `leaves`, keeping its place in the queue: AMENDED, or REJECTED."""
    m = matcher[0]
    _begin(m)
    i = _find(m, key)
    if i < 0:
        _emit(m, REJECTED, key, 0, 0, 0, 0, 0, REASON_UNKNOWN)
        return m.n_events
    order = m.orders[i]
    if leaves <= 0 or leaves >= order[Q_LEAVES]:
        _emit(m, REJECTED, key, order[Q_SIDE], order[Q_TICKS], leaves, order[Q_LEAVES], 0, REASON_QTY)
        return m.n_events
    order[Q_LEAVES] = leaves
    _emit(m, AMENDED, key, order[Q_SIDE], order[Q_TICKS], leaves, leaves, 0, 0)
    return m.n_events


@njit(cache=True)
def idle(matcher: Any) -> bool:
    """Whether the next trade or quote can cause nothing: no order is open and nothing taken is remembered.

    An idle matcher may skip ticks, as long as it is given the latest trade and quote before its next order.
    """
    m = matcher[0]
    return m.n_orders == 0 and m.n_taken[0] + m.n_taken[1] == 0
