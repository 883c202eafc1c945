"""The order side of a compiled backtest: what may leave, what becomes of it, and what that costs.

The twin of daemon/orders/manager.py and lifecycle.py for one strategy in one instrument: the same table of
states, the same moments at which a slot, a reserve and a gate move. What needs several strategies, a journal
or a venue that may lose word is not here; protective stops are not either.

    act(t, front, trips, actions, count)       do what a decision asked for
    take(t, front, trips) -> bool              the oldest report is there; whether it was a trade
    halt(t, front, trips, why)                 the kill switch

`t` is a BACKTEST and `front` a FRONT of kernels.backtest_state.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kernels import gates, ledger, paper
from kernels.backtest_state import (
    ASK_AMEND,
    ASK_CANCEL,
    ASK_PLACE,
    ASK_QUERY,
    FILLED,
    IN_DOUBT,
    K_AMEND_REFUSED,
    K_AMENDS,
    K_ASKED_LOTS,
    K_ASKED_NS,
    K_FILLED,
    K_KEY,
    K_KIND,
    K_LEVEL,
    K_LOTS,
    K_REDUCES,
    K_RESERVED,
    K_SIDE,
    K_SINCE_NS,
    K_STATE,
    K_TICKS,
    PARTIALLY_FILLED,
    PENDING_CANCEL,
    PENDING_NEW,
    PENDING_REPLACE,
    REPORTS_MAX,
    SAY_AMEND_REJECTED,
    SAY_CANCELED,
    SAY_EXPIRED,
    SAY_NEW,
    SAY_REJECTED,
    SAY_REPLACED,
    SAY_STATUS,
    SAY_TRADE,
    SHUT_DOUBT,
    SHUT_HALTED,
    STEP_ACCEPTED,
    STEP_CANCEL_ASKED,
    STEP_CANCELED,
    STEP_DOUBT,
    STEP_EXPIRED,
    STEP_LAST_FILL,
    STEP_PART_FILL,
    STEP_REJECTED,
    STEP_REPLACE_ASKED,
    STEP_REPLACED,
    STEP_STANDS,
    W_EXCH_NS,
    W_KEY,
    W_KIND,
    W_LOTS,
    W_MAKER,
    W_ORDER_LOTS,
    W_TICKS,
    WHY_HALTED_REJECTIONS,
    WORKING,
)
from kernels.dtypes import (
    AMEND,
    APPROVED,
    CANCEL,
    P_FEES,
    P_QTY,
    P_REALISED,
    PLACE,
    REFUSED_QTY,
    SELL,
    SLOT_PENDING_CANCEL,
    SLOT_PENDING_NEW,
    SLOT_PENDING_REPLACE,
    SLOT_UNKNOWN,
    SLOT_WORKING,
    STOP,
    W_LEAVES_LOTS,
    W_LEVEL,
    W_PRICE_TICKS,
    W_STATE,
    WORKING_SLOTS,
    X_KIND,
    X_LEVEL,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_REFUSAL,
    X_SIDE,
    X_SLOT,
    X_VERB,
)
from kernels.dtypes import W_KIND as SLOT_KIND
from kernels.dtypes import W_SIDE as SLOT_SIDE
from kernels.dtypes import W_SINCE_NS as SLOT_SINCE_NS
from kernels.inner import inner

#: a strategy wants a protective stop, which is not modelled
ERROR_STOP: Final = 3
_PLACED: Final[Any] = np.int64(PLACE)
_AMENDED: Final[Any] = np.int64(AMEND)
_CANCELLED: Final[Any] = np.int64(CANCEL)


# --- what there is -----------------------------------------------------------------------------------------
@njit(cache=True)
def next_slot(t: Any, after_key: int) -> int:
    """Return the slot of the oldest order younger than `after_key`, or -1."""
    found = -1
    for slot in range(WORKING_SLOTS):
        key = t.orders[slot, K_KEY]
        if key > after_key and (found < 0 or key < t.orders[found, K_KEY]):
            found = slot
    return found


@inner
def _slot_state(state: int) -> int:
    """Return what the strategy's slot says of an order's state."""
    if state == PENDING_NEW:
        return SLOT_PENDING_NEW
    if state == PENDING_REPLACE:
        return SLOT_PENDING_REPLACE
    if state == PENDING_CANCEL:
        return SLOT_PENDING_CANCEL
    return SLOT_UNKNOWN if state == IN_DOUBT else SLOT_WORKING


@inner
def _show(t: Any, front: Any, slot: int) -> None:
    """Write an order's slot, so that reconcile and limits see it."""
    order, shown = t.orders[slot], front.working[slot]
    shown[W_STATE] = _slot_state(order[K_STATE])
    shown[SLOT_KIND] = order[K_KIND]
    shown[W_LEVEL] = order[K_LEVEL]
    shown[SLOT_SIDE] = order[K_SIDE]
    shown[W_PRICE_TICKS] = order[K_TICKS]
    shown[W_LEAVES_LOTS] = max(order[K_LOTS] - order[K_FILLED], 0)
    shown[SLOT_SINCE_NS] = order[K_SINCE_NS]


@inner
def _reserve(t: Any, front: Any, slot: int, leaves: int) -> None:
    """Hold back the worst case of an order with so much still to trade; 0 gives all of it back."""
    order = t.orders[slot]
    spot = t.ledger.spot
    if spot == 0 and order[K_REDUCES] != 0:
        leaves = 0
    more = leaves - order[K_RESERVED]
    order[K_RESERVED] = leaves
    if spot == 0:
        ledger.reserve_margin(t, order[K_SIDE], more)
    elif order[K_SIDE] == SELL:
        ledger.reserve_base(t, front, more)
    else:
        ledger.reserve_quote(t, order[K_TICKS], more)


@inner
def _step(t: Any, front: Any, trips: Any, slot: int, event: int) -> None:
    """Take an order through the table, and let slot, reserve and gate follow."""
    order = t.orders[slot]
    key, before = order[K_KEY], order[K_STATE]
    after = t.next[before, event]
    if after == 0:
        t.error = paper.ERROR_ORDER
        return
    if order[K_FILLED] > 0 and after == WORKING:
        after = PARTIALLY_FILLED
    order[K_STATE] = after
    if after >= FILLED:
        _reserve(t, front, slot, gates.NO)
        t.orders[slot] = 0
        front.working[slot] = 0.0
    else:
        _reserve(t, front, slot, max(order[K_LOTS] - order[K_FILLED], 0))
        _show(t, front, slot)
    if before != IN_DOUBT and after == IN_DOUBT:
        gates.shut(t, SHUT_DOUBT, gates.YES)
        paper.send(t, trips, ASK_QUERY, key, gates.NO)
    elif before == IN_DOUBT and after != IN_DOUBT:
        doubts = gates.NO
        for other in range(WORKING_SLOTS):
            doubts += t.orders[other, K_STATE] == IN_DOUBT
        gates.shut(t, SHUT_DOUBT, doubts)


# --- out ---------------------------------------------------------------------------------------------------
@njit(cache=True)
def act(t: Any, front: Any, trips: Any, actions: Any, count: int) -> None:
    """Do the first `count` of the strategy's actions, as far as nothing refuses them."""
    now_ns = t.decide_ns
    late = 1 if t.now_ns - now_ns > t.tick_age_ns else 0
    for x in range(count):
        action = actions[x]
        code = action[X_REFUSAL]
        gate = gates.gravest(t.shut, late)
        if gate != APPROVED and code in (APPROVED, gate):
            part = gates.part_that_reduces(t, front, action)
            if part > 0:
                action[X_QTY_LOTS] = part
                action[X_REDUCES] = 1
                code = APPROVED
        if code == APPROVED:
            code = gates.check(t, front, action, now_ns, late)
        if code == APPROVED:
            slot = action[X_SLOT]
            if action[X_VERB] == CANCEL:
                cancel(t, front, trips, slot, now_ns)
            elif action[X_VERB] == AMEND:
                code = _amend(t, front, trips, slot, action[X_QTY_LOTS], now_ns)
            elif action[X_KIND] == STOP:
                t.error = ERROR_STOP
                return
            else:
                _place(t, front, trips, action, now_ns)
        if code != APPROVED:
            t.refusals[code] += 1


@inner
def _log(t: Any, verb: int, slot: int, now_ns: int, lots: int) -> None:
    row, order = t.sent_rows[t.sent], t.orders[slot]
    row.now_ns = now_ns
    row.verb = verb
    row.key = order[K_KEY]
    row.kind = order[K_KIND]
    row.level = order[K_LEVEL]
    row.side = order[K_SIDE]
    row.ticks = order[K_TICKS]
    row.lots = lots
    t.sent += 1


@inner
def _place(t: Any, front: Any, trips: Any, action: Any, now_ns: int) -> None:
    slot = action[X_SLOT]
    order = t.orders[slot]
    t.key += 1
    t.orders[slot] = 0
    order[K_KEY] = t.key
    order[K_STATE] = PENDING_NEW
    order[K_KIND] = action[X_KIND]
    order[K_LEVEL] = action[X_LEVEL]
    order[K_SIDE] = action[X_SIDE]
    order[K_TICKS] = action[X_PRICE_TICKS]
    order[K_LOTS] = action[X_QTY_LOTS]
    order[K_REDUCES] = action[X_REDUCES]
    order[K_SINCE_NS] = now_ns
    order[K_ASKED_NS] = now_ns
    paper.send(t, trips, ASK_PLACE, t.key, gates.NO)
    _reserve(t, front, slot, order[K_LOTS])
    _show(t, front, slot)
    _log(t, _PLACED, slot, now_ns, order[K_LOTS])


@inner
def cancel(t: Any, front: Any, trips: Any, slot: int, now_ns: int) -> None:
    """Ask for an order's end; harmless when it is asked for already."""
    order = t.orders[slot]
    if order[K_STATE] == PENDING_CANCEL:
        return
    _step(t, front, trips, slot, STEP_CANCEL_ASKED)
    order[K_ASKED_NS] = now_ns
    paper.send(t, trips, ASK_CANCEL, order[K_KEY], gates.NO)
    _log(t, _CANCELLED, slot, now_ns, gates.NO)


@inner
def _amend(t: Any, front: Any, trips: Any, slot: int, leaves: int, now_ns: int) -> int:
    """Lower what is still to trade, or cancel one that cannot be amended again; return a refusal or 0."""
    order = t.orders[slot]
    lowers = 0 < leaves < order[K_LOTS] - order[K_FILLED]
    if not lowers or (order[K_STATE] != WORKING and order[K_STATE] != PARTIALLY_FILLED):
        return REFUSED_QTY
    if order[K_AMEND_REFUSED] != 0 or 0 < t.amends_max <= order[K_AMENDS]:
        cancel(t, front, trips, slot, now_ns)
        return APPROVED
    lots = order[K_FILLED] + leaves
    order[K_ASKED_LOTS] = lots
    _step(t, front, trips, slot, STEP_REPLACE_ASKED)
    order[K_ASKED_NS] = now_ns
    paper.send(t, trips, ASK_AMEND, order[K_KEY], lots)
    _log(t, _AMENDED, slot, now_ns, lots)
    return APPROVED


# --- in ----------------------------------------------------------------------------------------------------
@njit(cache=True)
def take(t: Any, front: Any, trips: Any) -> bool:
    """Apply the oldest report; return whether it was a trade."""
    report = t.reports[t.reports_first % REPORTS_MAX]
    t.reports_first += 1
    slot, kind = paper.slot_of(t, report[W_KEY]), report[W_KIND]
    if slot < 0:
        return False
    order = t.orders[slot]
    if kind == SAY_TRADE:
        _on_trade(t, front, trips, slot, report)
        return True
    if kind == SAY_NEW:
        t.rejections = 0
        _step(t, front, trips, slot, STEP_ACCEPTED)
    elif kind == SAY_CANCELED:
        _step(t, front, trips, slot, STEP_CANCELED)
    elif kind == SAY_EXPIRED:
        _step(t, front, trips, slot, STEP_EXPIRED)
    elif kind == SAY_REJECTED:
        _step(t, front, trips, slot, STEP_REJECTED)
        t.rejections += 1
        if t.rejections >= t.rejections_max:
            t.rejections = 0
            halt(t, front, trips, WHY_HALTED_REJECTIONS)
    elif kind == SAY_REPLACED:
        _on_replaced(t, front, trips, slot, report[W_ORDER_LOTS])
    elif kind == SAY_AMEND_REJECTED:
        order[K_AMEND_REFUSED] = 1
        _step(t, front, trips, slot, STEP_DOUBT)
    elif kind == SAY_STATUS:
        _shrink(order, report[W_ORDER_LOTS])
        _step(t, front, trips, slot, STEP_STANDS)
    return False


@inner
def _shrink(order: Any, lots: int) -> None:
    """Take over a quantity that an amend has lowered."""
    if 0 < lots < order[K_LOTS]:
        order[K_LOTS] = lots
        order[K_AMENDS] += 1


@inner
def _on_trade(t: Any, front: Any, trips: Any, slot: int, report: Any) -> None:
    order, position = t.orders[slot], front.position
    t.rejections = 0
    lots = report[W_LOTS]
    order[K_FILLED] += lots
    ledger.fill(t, front, order[K_SIDE], report[W_TICKS], lots, report[W_MAKER])
    row = t.fill_rows[t.fills]
    row.exch_ns = report[W_EXCH_NS]
    row.told_ns = t.now_ns
    row.key = order[K_KEY]
    row.kind = order[K_KIND]
    row.side = order[K_SIDE]
    row.ticks = report[W_TICKS]
    row.lots = lots
    row.maker = report[W_MAKER]
    row.position = position[P_QTY]
    row.realised = position[P_REALISED]
    row.fees = position[P_FEES]
    row.equity = t.ledger.value
    t.fills += 1
    _shrink(order, report[W_ORDER_LOTS])
    whole = order[K_FILLED] >= order[K_LOTS]
    _step(t, front, trips, slot, STEP_LAST_FILL if whole else STEP_PART_FILL)


@inner
def _on_replaced(t: Any, front: Any, trips: Any, slot: int, lots: int) -> None:
    order = t.orders[slot]
    if order[K_STATE] == PENDING_REPLACE and lots > order[K_ASKED_LOTS]:
        return  # of an earlier amend
    _shrink(order, lots)
    order[K_SINCE_NS] = t.now_ns
    whole = order[K_FILLED] >= order[K_LOTS]  # fills overtook the amend down to them
    _step(t, front, trips, slot, STEP_LAST_FILL if whole else STEP_REPLACED)


@inner
def halt(t: Any, front: Any, trips: Any, why: int) -> None:
    """Throw the kill switch: nothing adds risk any more, and what stands is cancelled."""
    if t.halted_ns != 0:
        return
    t.halted_ns = t.now_ns
    t.halted_why = why
    gates.shut(t, SHUT_HALTED, gates.YES)
    slot = next_slot(t, gates.NO)
    while slot >= 0:
        key = t.orders[slot, K_KEY]
        cancel(t, front, trips, slot, t.now_ns)
        slot = next_slot(t, key)
