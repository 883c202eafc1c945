"""The paper venue of a compiled backtest: requests arrive late, kernels.fills matches, answers take time.

The twin of daemon/venues/paper.py for one instrument: the same delays, the same order of what happens at one
time, the same refusals, the same lazy look at the market (ticks wait in the feed's ring while no order is
open that they might fill). Protective stops are not among its orders.

    send(t, trips, kind, key, lots)                   a request leaves
    arrive(t, matcher, rings, book, shown, trips)         the oldest request is there: what comes of it
    absorb(...), on_book(...)                         the market

`t` is a record of kernels.backtest_state, `trips` the round trips in ns that delays are drawn from (none:
they are fixed), `book` the feed's own book and `shown` what the venue matched by before that was replaced.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kernels import exact, fills, ledger
from kernels.backtest_state import (
    ASK_AMEND,
    ASK_CANCEL,
    ASK_PLACE,
    K_HELD,
    K_KEY,
    K_KIND,
    K_LOTS,
    K_OPEN,
    K_SIDE,
    K_TICKS,
    K_VENUE_FILLED,
    K_VENUE_LOTS,
    M_VENUE_FREE,
    M_VENUE_NOW,
    REPORTS_MAX,
    REQUESTS_MAX,
    SAY_AMEND_REJECTED,
    SAY_CANCELED,
    SAY_EXPIRED,
    SAY_NEW,
    SAY_NOTHING,
    SAY_REJECTED,
    SAY_REPLACED,
    SAY_STATUS,
    SAY_TRADE,
    W_BACK_NS,
    W_EXCH_NS,
    W_KEY,
    W_KIND,
    W_LOTS,
    W_MAKER,
    W_NUMBER,
    W_ORDER_LOTS,
    W_TICKS,
    W_WHEN_NS,
)
from kernels.dtypes import R_NOTIONAL_MIN_STEPS, R_QTY_MAX_LOTS, R_QTY_MIN_LOTS, REST, SELL, WORKING_SLOTS
from kernels.gates import NO
from kernels.inner import inner
from kernels.matcher import (
    ACCEPTED,
    AMENDED,
    CANCELED,
    EV_KEY,
    EV_KIND,
    EV_LEAVES,
    EV_LOTS,
    EV_MAKER,
    EV_TICKS,
    EXPIRED,
    FILL,
    IOC,
    POST_ONLY,
    REJECTED,
)

#: more is on its way than there is room for
ERROR_QUEUE: Final = 1
#: a report contradicts what the venue said before
ERROR_ORDER: Final = 2

#: nobody asked for what is told now
_UNASKED: Final = -1
_K1: Final = np.uint64(6364136223846793005)  # Knuth's MMIX, as daemon/venues/paper_latency.py draws
_K2: Final = np.uint64(1442695040888963407)
_S33: Final = np.uint64(33)


@inner
def slot_of(t: Any, key: int) -> int:
    """Return the slot of the order `key`, or -1."""
    for slot in range(WORKING_SLOTS):
        if t.orders[slot, K_KEY] == key:
            return slot
    return -1


@inner
def open_account(t: Any, front: Any) -> None:
    """Open the account with the balances that stand in the ledger, and let the strategy see them."""
    ledger.open_books(t, front)
    t.venue_base = t.ledger.base
    exact.clear(t.money, M_VENUE_FREE)
    exact.move(t.money, ledger.M_QUOTE, M_VENUE_FREE, exact.MORE)


# --- the way there and back --------------------------------------------------------------------------------
@inner
def _draw(t: Any, trips: Any) -> None:
    if trips.size > 0:
        t.draw = t.draw * _K1 + _K2
        trip = trips[np.int64((t.draw >> _S33) % np.uint64(trips.size))]
        t.there_ns = trip // 2
        t.back_ns = trip - trip // 2


@njit(cache=True)
def send(t: Any, trips: Any, kind: int, key: int, lots: int) -> None:
    """Let a request leave; it arrives behind all that left before."""
    _draw(t, trips)
    t.arrives_ns = max(t.arrives_ns, t.now_ns + t.there_ns)
    t.number += 1
    if t.requests_end - t.requests_first == REQUESTS_MAX:
        t.error = ERROR_QUEUE
        return
    request = t.requests[t.requests_end % REQUESTS_MAX]
    request[W_WHEN_NS] = t.arrives_ns
    request[W_NUMBER] = t.number
    request[W_KIND] = kind
    request[W_KEY] = key
    request[W_LOTS] = lots
    request[W_BACK_NS] = t.back_ns
    t.requests_end += 1
    t.due_ns = min(t.due_ns, t.arrives_ns)


@inner
def _tell(t: Any, trips: Any, kind: int, key: int, whole: int, ticks: int, lots: int, maker: int) -> None:
    """Let a report leave; what a request causes at once shares its draw."""
    back_ns = t.answer_ns
    if back_ns == _UNASKED:
        _draw(t, trips)
        back_ns = t.back_ns
    t.told_ns = max(t.told_ns, t.now_ns + back_ns)
    t.number += 1
    if t.reports_end - t.reports_first == REPORTS_MAX:
        t.error = ERROR_QUEUE
        return
    report = t.reports[t.reports_end % REPORTS_MAX]
    report[W_WHEN_NS] = t.told_ns
    report[W_NUMBER] = t.number
    report[W_KIND] = kind
    report[W_KEY] = key
    report[W_LOTS] = lots
    report[W_TICKS] = ticks
    report[W_MAKER] = maker
    report[W_ORDER_LOTS] = whole
    report[W_EXCH_NS] = t.now_ns
    t.reports_end += 1
    t.due_ns = min(t.due_ns, t.told_ns)


# --- the market --------------------------------------------------------------------------------------------
@njit(cache=True)
def absorb(t: Any, matcher: Any, rings: Any, book: Any, shown: Any, trips: Any) -> None:
    """Take the trades and quotes that wait in the ring."""
    levels = book if t.book_shown != 0 else shown
    while True:
        n = fills.on_ticks(matcher, levels, rings, NO)
        if n == 0:
            return
        _after(t, matcher, trips, n)


@inner
def on_book(t: Any, matcher: Any, rings: Any, book: Any, shown: Any, trips: Any) -> None:
    """Take a changed book, behind the ticks that came before it."""
    absorb(t, matcher, rings, book, shown, trips)
    t.book_shown = 1
    _after(t, matcher, trips, fills.on_book(matcher, book))


# --- what arrives ------------------------------------------------------------------------------------------
@njit(cache=True)
def arrive(t: Any, matcher: Any, rings: Any, book: Any, shown: Any, trips: Any) -> None:
    """Take the oldest request."""
    request = t.requests[t.requests_first % REQUESTS_MAX]
    t.requests_first += 1
    t.answer_ns = request[W_BACK_NS]
    absorb(t, matcher, rings, book, shown, trips)
    levels = book if t.book_shown != 0 else shown
    key, kind = request[W_KEY], request[W_KIND]
    slot = slot_of(t, key)
    if kind == ASK_PLACE:
        _on_place(t, matcher, levels, trips, slot)
    elif slot < 0 or t.orders[slot, K_OPEN] == 0:
        _tell(t, trips, SAY_NOTHING, key, NO, NO, NO, NO)  # it is over, and that was told before
    elif kind == ASK_CANCEL:
        _after(t, matcher, trips, fills.cancel(matcher, key))
    elif kind == ASK_AMEND:
        _on_amend(t, matcher, trips, t.orders[slot], request[W_LOTS])
    else:
        _tell(t, trips, SAY_STATUS, key, t.orders[slot, K_VENUE_LOTS], NO, NO, NO)
    t.answer_ns = _UNASKED


@inner
def _on_place(t: Any, matcher: Any, levels: Any, trips: Any, slot: int) -> None:
    order = t.orders[slot]
    order[K_VENUE_LOTS] = order[K_LOTS]
    order[K_VENUE_FILLED] = 0
    order[K_HELD] = 0
    if not (_is_taken(t, order) and _hold(t, order)):
        _tell(t, trips, SAY_REJECTED, order[K_KEY], order[K_LOTS], NO, NO, NO)
        return
    order[K_OPEN] = 1
    t.open += 1
    tif = POST_ONLY if order[K_KIND] == REST else IOC
    n = fills.place(matcher, levels, order[K_KEY], order[K_SIDE], tif, order[K_TICKS], order[K_LOTS])
    _after(t, matcher, trips, n)


@inner
def _is_taken(t: Any, order: Any) -> bool:
    """Whether an order passes the venue's filters."""
    lots, rules = order[K_LOTS], t.rules
    if not rules[R_QTY_MIN_LOTS] <= lots <= rules[R_QTY_MAX_LOTS]:
        return False
    reduces = t.ledger.spot == 0 and lots <= max(0, -order[K_SIDE] * t.venue_position)
    return bool(reduces or lots * order[K_TICKS] >= rules[R_NOTIONAL_MIN_STEPS])


@inner
def _hold(t: Any, order: Any) -> bool:
    """Hold back what a new order of spot may need; False, and nothing is held, when there is too little."""
    led, money, lots = t.ledger, t.money, order[K_LOTS]
    if led.spot == 0:
        return True
    if order[K_SIDE] == SELL:
        if lots * led.lot_steps > t.venue_base:
            return False
        t.venue_base -= lots * led.lot_steps
    else:
        exact.clear(money, M_VENUE_NOW)
        exact.add_product(money, M_VENUE_NOW, -lots * order[K_TICKS], led.tick_lot[0], led.tick_lot[1])
        exact.move(money, M_VENUE_FREE, M_VENUE_NOW, exact.MORE)
        if money[M_VENUE_NOW, 0] < 0:
            return False
        exact.clear(money, M_VENUE_FREE)
        exact.move(money, M_VENUE_NOW, M_VENUE_FREE, exact.MORE)
    order[K_HELD] = lots
    return True


@inner
def _release(t: Any, order: Any, leaves: int) -> None:
    """Give back what an order with only so much left does not need any more."""
    led = t.ledger
    back = order[K_HELD] - leaves
    if led.spot == 0 or back == 0:
        return
    order[K_HELD] = leaves
    if order[K_SIDE] == SELL:
        t.venue_base += back * led.lot_steps
    else:
        exact.add_product(t.money, M_VENUE_FREE, back * order[K_TICKS], led.tick_lot[0], led.tick_lot[1])


@inner
def _on_amend(t: Any, matcher: Any, trips: Any, order: Any, lots: int) -> None:
    key = order[K_KEY]
    if not order[K_VENUE_FILLED] < lots < order[K_VENUE_LOTS]:
        _tell(t, trips, SAY_AMEND_REJECTED, key, order[K_VENUE_LOTS], NO, NO, NO)
    else:
        _after(t, matcher, trips, fills.amend(matcher, key, lots - order[K_VENUE_FILLED]))


# --- what the matcher says ---------------------------------------------------------------------------------
@inner
def _after(t: Any, matcher: Any, trips: Any, n: int) -> None:
    """Report the n events of a call."""
    events = matcher[0].events
    for k in range(n):
        event = events[k]
        slot = slot_of(t, event[EV_KEY])
        order = t.orders[slot]
        kind, key, lots = event[EV_KIND], event[EV_KEY], order[K_VENUE_LOTS]
        if kind == FILL:
            _on_fill(t, order, event)
            _tell(t, trips, SAY_TRADE, key, lots, event[EV_TICKS], event[EV_LOTS], event[EV_MAKER])
            if event[EV_LEAVES] == 0:
                _forget(t, order)
        elif kind == ACCEPTED:
            _tell(t, trips, SAY_NEW, key, lots, NO, NO, NO)
        elif kind == AMENDED:
            order[K_VENUE_LOTS] = order[K_VENUE_FILLED] + event[EV_LEAVES]
            _release(t, order, event[EV_LEAVES])
            _tell(t, trips, SAY_REPLACED, key, order[K_VENUE_LOTS], NO, NO, NO)
        elif kind == REJECTED or kind == CANCELED or kind == EXPIRED:  # noqa: PLR1714, SIM109
            said = SAY_EXPIRED if kind == EXPIRED else SAY_CANCELED if kind == CANCELED else SAY_REJECTED
            _tell(t, trips, said, key, lots, NO, NO, NO)
            _release(t, order, NO)
            _forget(t, order)


@inner
def _forget(t: Any, order: Any) -> None:
    order[K_OPEN] = 0
    t.open -= 1


@inner
def _on_fill(t: Any, order: Any, event: Any) -> None:
    """Account for a fill as the venue does."""
    led, money = t.ledger, t.money
    ticks, lots, maker = event[EV_TICKS], event[EV_LOTS], event[EV_MAKER]
    order[K_VENUE_FILLED] += lots
    if led.spot == 0:
        t.venue_position += order[K_SIDE] * lots
        return
    _release(t, order, order[K_VENUE_LOTS] - order[K_VENUE_FILLED])
    side = order[K_SIDE]
    exact.add_product(money, M_VENUE_FREE, -side * lots * ticks, led.tick_lot[0], led.tick_lot[1])
    t.venue_base += side * lots * led.lot_steps
    if side == SELL:
        exact.add_product(
            money, M_VENUE_FREE, -lots * ticks, led.fee_quote[maker, 0], led.fee_quote[maker, 1]
        )
    else:
        t.venue_base -= lots * led.fee_steps[maker]
