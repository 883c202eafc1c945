"""The inner steps of matching: taking displayed quantity, places in the queue, and the record's bookkeeping.

Only kernels.fills calls these. `m` is a record of kernels.matcher.MATCHER, `book` one of kernels.book.
"""

import math
from typing import Any, Final

from numba import njit

from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, B_BID_LOTS, B_BID_TICKS, BUY
from kernels.matcher import (
    EV_KEY,
    EV_KIND,
    EV_LEAVES,
    EV_LOTS,
    EV_MAKER,
    EV_REASON,
    EV_SIDE,
    EV_TICKS,
    FILL,
    LOG_PROB,
    LOG_PROB_2,
    NO_ASK,
    NO_BID,
    ORDERS_MAX,
    POWER_PROB_2,
    POWER_PROB_3,
    Q_ARMED,
    Q_KEY,
    Q_LEAVES,
    Q_SHOWN,
    Q_SIDE,
    Q_TICKS,
    Q_TIF,
    Q_TRADED,
    Q_TRIGGER,
    REASON_DUPLICATE,
    REASON_FULL,
    REASON_QTY,
    RISK_ADVERSE,
    TAKEN_MAX,
    TAKES_MAX,
    UNKNOWN,
)

BIDS: Final = 0
ASKS: Final = 1

# what `take` does with the quantity it walks over
COUNT: Final = 0  # nothing: how much could be taken?
TAKE: Final = 1  # take it, one fill a level at the level's price
ABSORB: Final = 2  # take it silently: a resting order absorbs it at its own price


@njit(cache=True)
def begin(m: Any) -> None:
    """Forget the events of the call before."""
    m.n_events = 0
    m.n_takes = 0


@njit(cache=True)
def emit(
    m: Any, kind: int, key: int, side: int, ticks: int, lots: int, leaves: int, is_maker: int, reason: int
) -> None:
    """Append one event. EVENTS_MAX holds the takes of a call and four more events of every order."""
    event = m.events[m.n_events]
    event[EV_KIND] = kind
    event[EV_KEY] = key
    event[EV_SIDE] = side
    event[EV_TICKS] = ticks
    event[EV_LOTS] = lots
    event[EV_LEAVES] = leaves
    event[EV_MAKER] = is_maker
    event[EV_REASON] = reason
    m.n_events += 1


# --- open orders -------------------------------------------------------------------------------------------
@njit(cache=True)
def find(m: Any, key: int) -> int:
    """Return the row of the open order `key`, or -1."""
    for i in range(m.n_orders):
        if m.orders[i, Q_KEY] == key:
            return i
    return -1


@njit(cache=True)
def refusal(m: Any, key: int, lots: int) -> int:
    """Return why an order cannot be taken whatever its price, or 0."""
    if lots <= 0:
        return REASON_QTY
    if m.n_orders >= ORDERS_MAX:
        return REASON_FULL
    if find(m, key) >= 0:
        return REASON_DUPLICATE
    return 0


@njit(cache=True)
def append(m: Any, key: int, side: int, tif: int, ticks: int, lots: int) -> int:
    """Keep an order as the youngest; return its row. The caller has asked `refusal`."""
    i = int(m.n_orders)
    order = m.orders[i]
    order[Q_KEY] = key
    order[Q_SIDE] = side
    order[Q_TICKS] = ticks
    order[Q_LEAVES] = lots
    order[Q_TIF] = tif
    order[Q_TRIGGER] = 0
    order[Q_ARMED] = 0
    order[Q_SHOWN] = UNKNOWN
    order[Q_TRADED] = 0
    m.front[i] = math.inf
    m.n_orders = i + 1
    return i


@njit(cache=True)
def compact(m: Any) -> None:
    """Drop the orders with nothing left, keeping the others' order, and find our best prices again."""
    kept = 0
    m.own_bid = NO_BID
    m.own_ask = NO_ASK
    m.n_armed = 0
    for i in range(m.n_orders):
        order = m.orders[i]
        if order[Q_LEAVES] <= 0:
            continue
        if kept < i:
            m.orders[kept] = order
            m.front[kept] = m.front[i]
        kept += 1
        if order[Q_ARMED] != 0:
            m.n_armed += 1
        elif order[Q_SIDE] == BUY:
            m.own_bid = max(m.own_bid, order[Q_TICKS])
        else:
            m.own_ask = min(m.own_ask, order[Q_TICKS])
    m.n_orders = kept


# --- what is displayed -------------------------------------------------------------------------------------
@njit(cache=True)
def set_touch(m: Any, bid_ticks: int, bid_lots: int, ask_ticks: int, ask_lots: int) -> None:
    """Take over the best prices; 0 lots is an empty side."""
    m.bid_ticks = bid_ticks if bid_lots > 0 else NO_BID
    m.bid_lots = max(bid_lots, 0)
    m.ask_ticks = ask_ticks if ask_lots > 0 else NO_ASK
    m.ask_lots = max(ask_lots, 0)


@njit(cache=True)
def crosses(m: Any, side: int, ticks: int) -> bool:
    """Whether an order at `ticks` reaches the touch of the other side."""
    return bool(ticks >= m.ask_ticks if side == BUY else ticks <= m.bid_ticks)


@njit(cache=True)
def lots_at(side_ticks: Any, side_lots: Any, n: int, ticks: int, sign: int) -> int:
    """Return the book's quantity at a price, UNKNOWN below the deepest level; the best level is the last.

    `sign` is +1 for bids, which ascend, and -1 for asks, which descend.
    """
    if n == 0 or (ticks - side_ticks[0]) * sign < 0:
        return UNKNOWN
    low, high = 0, n - 1
    while low < high:
        middle = (low + high) >> 1
        if (side_ticks[middle] - ticks) * sign < 0:
            low = middle + 1
        else:
            high = middle
    return side_lots[low] if side_ticks[low] == ticks else 0


@njit(cache=True)
def shown_at(m: Any, book: Any, ladder: int, ticks: int) -> int:
    """Return the quantity displayed at a price of the BIDS or ASKS, or UNKNOWN."""
    if ladder == BIDS:
        if ticks >= m.bid_ticks:
            return m.bid_lots if ticks == m.bid_ticks else 0
        return lots_at(book[B_BID_TICKS, 1:], book[B_BID_LOTS, 1:], book[B_BID_TICKS, 0], ticks, 1)
    if ticks <= m.ask_ticks:
        return m.ask_lots if ticks == m.ask_ticks else 0
    return lots_at(book[B_ASK_TICKS, 1:], book[B_ASK_LOTS, 1:], book[B_ASK_TICKS, 0], ticks, -1)


@njit(cache=True)
def behind_touch(m: Any, ladder: int, ticks: int) -> bool:
    """Whether a price lies behind the touch: there a quote says nothing new."""
    return bool(ticks < m.bid_ticks if ladder == BIDS else ticks > m.ask_ticks)


# --- taking ------------------------------------------------------------------------------------------------
@njit(cache=True)
def find_taken(m: Any, ladder: int, ticks: int) -> int:
    """Return the row that remembers what was taken at a price, or -1."""
    for j in range(m.n_taken[ladder]):
        if m.taken_ticks[ladder, j] == ticks:
            return j
    return -1


@njit(cache=True)
def remember_taken(m: Any, ladder: int, ticks: int, lots: int) -> None:
    """Add to what was taken at a price; a full table forgets the price furthest from the touch."""
    j = find_taken(m, ladder, ticks)
    if j >= 0:
        m.taken_lots[ladder, j] += lots
        return
    j = m.n_taken[ladder]
    if j < TAKEN_MAX:
        m.n_taken[ladder] = j + 1
    else:
        sign = 1 if ladder == ASKS else -1
        j = 0
        for other in range(1, TAKEN_MAX):
            if (m.taken_ticks[ladder, other] - m.taken_ticks[ladder, j]) * sign > 0:
                j = other
    m.taken_ticks[ladder, j] = ticks
    m.taken_lots[ladder, j] = lots


@njit(cache=True)
def refresh_taken(m: Any, book: Any, by_quote: bool) -> None:
    """Bound what was taken by what is displayed now; a level that went was taken for good."""
    for ladder in range(2):
        kept = 0
        for j in range(m.n_taken[ladder]):
            ticks, lots = m.taken_ticks[ladder, j], m.taken_lots[ladder, j]
            if not (by_quote and behind_touch(m, ladder, ticks)):
                shown = shown_at(m, book, ladder, ticks)
                if shown != UNKNOWN:
                    lots = min(lots, shown)
            if lots > 0:
                m.taken_ticks[ladder, kept] = ticks
                m.taken_lots[ladder, kept] = lots
                kept += 1
        m.n_taken[ladder] = kept


@njit(cache=True)
def take_level(m: Any, key: int, side: int, ticks: int, shown: int, lots: int, mode: int) -> int:
    """Take up to `lots` of one displayed level, less what we took of it before; return how many."""
    ladder = ASKS if side == BUY else BIDS
    j = find_taken(m, ladder, ticks)
    got = min(lots, shown - m.taken_lots[ladder, j] if j >= 0 else shown)
    if got <= 0 or mode == COUNT:
        return max(got, 0)
    remember_taken(m, ladder, ticks, got)
    if mode == TAKE:
        m.n_takes += 1
        emit(m, FILL, key, side, ticks, got, lots - got, 0, 0)
    return got


@njit(cache=True)
def take(m: Any, book: Any, key: int, side: int, limit_ticks: int, lots: int, mode: int) -> int:
    """Walk the displayed levels from the touch to `limit_ticks`; return how many of `lots` could be had."""
    if side == BUY:
        touch, touch_lots, row = m.ask_ticks, m.ask_lots, B_ASK_TICKS
    else:
        touch, touch_lots, row = m.bid_ticks, m.bid_lots, B_BID_TICKS
    side_ticks, side_lots = book[row], book[row + 1]
    j = side_ticks[0]
    if touch_lots <= 0 or (limit_ticks - touch) * side < 0:
        return 0
    left = lots - take_level(m, key, side, touch, touch_lots, lots, mode)
    levels = TAKES_MAX - m.n_takes
    while j > 0 and left > 0 and levels > 0:
        ticks = side_ticks[j]
        if (limit_ticks - ticks) * side < 0:
            break
        if (ticks - touch) * side > 0:
            left -= take_level(m, key, side, ticks, side_lots[j], left, mode)
            levels -= 1
        j -= 1
    return lots - left


# --- resting -----------------------------------------------------------------------------------------------
@njit(cache=True)
def share_behind(m: Any, front: float, back: float) -> float:
    """Return which part of what leaves the display stood behind an order, by its queue; -1: no telling."""
    front, back = max(front, 0.0), max(back, 0.0)
    if m.queue_model == POWER_PROB_3:
        return 1.0 - (front / (front + back)) ** m.queue_power if front + back > 0 else -1.0
    if m.queue_model in (LOG_PROB_2, POWER_PROB_2):
        total = weight(m, front + back)
    else:
        total = weight(m, front) + weight(m, back)
    return weight(m, back) / total if total > 0 else -1.0


@njit(cache=True)
def weight(m: Any, lots: float) -> float:
    """Return f of the probabilistic queues."""
    return math.log1p(lots) if m.queue_model in (LOG_PROB, LOG_PROB_2) else lots**m.queue_power


@njit(cache=True)
def advance(m: Any, i: int, shown: int) -> None:
    """Move an order in its queue: now `shown` lots are displayed at its price."""
    order = m.orders[i]
    before = order[Q_SHOWN]
    front = m.front[i]
    if m.queue_model != RISK_ADVERSE and before != UNKNOWN:
        # what was traded left the display too, and has been counted
        gone = before - shown - order[Q_TRADED]
        back = before - front
        behind = share_behind(m, front, back)
        if gone > 0 and behind >= 0:
            front += min(back - behind * gone, 0.0) - (1.0 - behind) * gone
    m.front[i] = min(front, float(shown))
    order[Q_SHOWN] = shown
    order[Q_TRADED] = 0


@njit(cache=True)
def own_best(m: Any, side: int, worse_than: int) -> int:
    """Return our best resting price worse than `worse_than`; NO_BID or NO_ASK without one."""
    best = NO_BID if side == BUY else NO_ASK
    for i in range(m.n_orders):
        order = m.orders[i]
        if order[Q_SIDE] != side or order[Q_ARMED] != 0 or order[Q_LEAVES] <= 0:
            continue
        ticks = order[Q_TICKS]
        if (worse_than - ticks) * side > 0 and (ticks - best) * side > 0:
            best = ticks
    return best
