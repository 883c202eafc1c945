"""The numeric risk limits: each action approved, or refused with a reason.

    check(n, actions, position, working, book, rules, limits, gate, account)

Arrays as in kernels.dtypes; sets X_REFUSAL, X_REDUCES and X_DECIDED_HALF_TICKS of the first n actions. What
kernels.reconcile refused stays refused. Exposure is the worst case: every live order of one side fills whole,
those on their way and of unknown fate too, and so do the orders approved earlier in the same call.

- A CANCEL always passes, and so does an AMEND: it only lowers.
- A REPLACE is judged as the order it places, beside the one it cancels: both count until the venue says that
  the old one is gone. What does not fit beside it becomes the old one's CANCEL, and so does all while a gate
  is closed.
- An order that can only bring the position nearer to zero, even if everything else on its side fills, passes
  the gate and the limits on size; it must still be an order the venue takes, at a sane price. In a derivative
  it may be of any notional, since it says to the venue that it only reduces.
- A STOP in a derivative is reduce-only at the venue, so it reduces whenever it is no larger than the
  position it opposes. On spot no venue knows what reduces: a STOP reduces like any other order there, and all
  of a side together are never larger than the position. Beside an exit it leaves while the gate is open, as
  an exit does beside a stop.
- An order in a derivative must leave margin and a distance from liquidation; one that makes no possible
  position larger than it could be anyway is not asked.
- A limit that is NaN refuses; infinity is no limit.
"""

import math
from typing import Any, Final

from numba import njit

from kernels.dtypes import (
    A_EXPOSURE,
    A_FREE_QUOTE,
    A_MAINTENANCE_RATE,
    A_MARGIN_BALANCE,
    APPROVED,
    BUY,
    CANCEL,
    M_COLLAR,
    M_LIQUIDATION_DISTANCE_MIN,
    M_MARGIN_USED_MAX,
    M_OPEN_ORDERS_MAX,
    M_ORDER_NOTIONAL_MAX,
    M_POSITION_NOTIONAL_MAX,
    P_AVG_PRICE,
    P_FREE_BASE,
    P_QTY,
    P_UNREALISED,
    PLACE,
    R_ISOLATED,
    R_LOT_SIZE,
    R_MARGIN_RATE,
    R_NOTIONAL_MAX_STEPS,
    R_NOTIONAL_MIN_STEPS,
    R_PRICE_MAX_TICKS,
    R_PRICE_MIN_TICKS,
    R_QTY_MAX_LOTS,
    R_QTY_MIN_LOTS,
    R_SPOT,
    R_STOP_QTY_MAX_LOTS,
    R_TICK_SIZE,
    REFUSED_COLLAR,
    REFUSED_FREE_BALANCE,
    REFUSED_LIQUIDATION_DISTANCE,
    REFUSED_MARGIN_USED,
    REFUSED_NO_MARKET,
    REFUSED_NOTIONAL_MAX,
    REFUSED_NOTIONAL_MIN,
    REFUSED_OPEN_ORDERS,
    REFUSED_ORDER_NOTIONAL,
    REFUSED_POSITION_NOTIONAL,
    REFUSED_PRICE,
    REFUSED_QTY,
    REPLACE,
    SELL,
    SLOT_EMPTY,
    STOP,
    W_KIND,
    W_LEAVES_LOTS,
    W_SIDE,
    W_STATE,
    WORKING_SLOTS,
    X_DECIDED_HALF_TICKS,
    X_INSTRUMENT,
    X_KIND,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_REFUSAL,
    X_REPLACES,
    X_SIDE,
    X_SLOT,
    X_VERB,
)
from kernels.wants import COUNT_MAX

#: instead of a kind: orders of every kind
_ANY: Final = 0


@njit(cache=True)
def check(
    n: int,
    actions: Any,
    position: Any,
    working: Any,
    book: Any,
    rules: Any,
    limits: Any,
    gate: Any,
    account: Any,
) -> None:
    """Approve or refuse the first n actions, in order."""
    exposure = account[A_EXPOSURE]
    for x in range(n):
        action = actions[x]
        if not _opens(action):
            action[X_REDUCES] = 1
            action[X_REFUSAL] = APPROVED
            continue
        if action[X_REFUSAL] != APPROVED:
            continue
        i = action[X_INSTRUMENT]
        if action[X_VERB] == REPLACE and gate[i] != APPROVED:
            action[X_REFUSAL] = gate[i]
            continue
        action[X_REDUCES] = 1 if _reduces(x, actions, position[i], working[i], rules[i]) else 0
        action[X_REFUSAL] = _judge_order(action, book[i], rules[i], limits[i])
        if action[X_REFUSAL] != APPROVED:
            continue
        action[X_DECIDED_HALF_TICKS] = _decided_half_ticks(action, book[i], rules[i])
        if action[X_REDUCES] == 0:
            action[X_REFUSAL] = (
                gate[i]
                if gate[i] != APPROVED
                else _judge_exposure(x, actions, position[i], working[i], book[i], rules[i], limits[i])
            )
        if action[X_REFUSAL] != APPROVED:
            continue
        if rules[i, R_SPOT] != 0:
            action[X_REFUSAL] = _judge_balance(x, actions, position[i], rules, account)
        elif action[X_REDUCES] == 0:
            lots = action[X_QTY_LOTS]
            worst = _worst_value(x, actions, position[i], working[i], book[i], rules[i], lots)
            growth = worst - _worst_value(x, actions, position[i], working[i], book[i], rules[i], 0)
            if not growth <= 0:
                action[X_REFUSAL] = _judge_margin(
                    exposure + growth, worst, growth, position[i], rules[i], limits[i], account
                )
                exposure += growth if action[X_REFUSAL] == APPROVED else 0.0
    for x in range(n):
        if actions[x, X_VERB] == REPLACE and actions[x, X_REFUSAL] != APPROVED:
            _only_cancel(actions[x])


@njit(cache=True)
def _opens(action: Any) -> bool:
    """Whether an action places an order."""
    return bool(action[X_VERB] == PLACE or action[X_VERB] == REPLACE)


@njit(cache=True)
def _only_cancel(action: Any) -> None:
    """Leave of a replacement the cancel: what it would place is placed once the slot is empty."""
    action[X_VERB] = CANCEL
    action[X_SLOT] = action[X_REPLACES]
    action[X_QTY_LOTS] = 0
    action[X_REDUCES] = 1
    action[X_REFUSAL] = APPROVED
    action[X_DECIDED_HALF_TICKS] = 0


@njit(cache=True)
def _judge_order(action: Any, book: Any, rules: Any, limits: Any) -> int:
    """Judge an order by itself: what the venue takes, at a sane price."""
    lots, ticks = action[X_QTY_LOTS], action[X_PRICE_TICKS]
    if ticks <= 0 or ticks < rules[R_PRICE_MIN_TICKS]:
        return REFUSED_PRICE
    if rules[R_PRICE_MAX_TICKS] > 0 and ticks > rules[R_PRICE_MAX_TICKS]:
        return REFUSED_PRICE
    most = rules[R_STOP_QTY_MAX_LOTS] if action[X_KIND] == STOP else rules[R_QTY_MAX_LOTS]
    if not (lots > 0 and rules[R_QTY_MIN_LOTS] <= lots <= most):
        return REFUSED_QTY
    price = ticks * rules[R_TICK_SIZE]
    bid, ask = book[0, 0, 0], book[1, 0, 0]
    if not (bid > 0 and ask > 0):
        return REFUSED_NO_MARKET
    # a product of floats that is rounded stays on its side of a bound that is itself a whole float
    steps = float(lots) * float(ticks)
    exempt = action[X_REDUCES] != 0 and rules[R_SPOT] == 0
    if not exempt and not steps >= rules[R_NOTIONAL_MIN_STEPS]:
        return REFUSED_NOTIONAL_MIN
    if rules[R_NOTIONAL_MAX_STEPS] > 0 and action[X_KIND] != STOP and steps > rules[R_NOTIONAL_MAX_STEPS]:
        return REFUSED_NOTIONAL_MAX  # a stop becomes a market order, which has no such bound
    mid = 0.5 * (bid + ask)
    collar = limits[M_COLLAR]
    if action[X_KIND] == STOP:
        # far away is what a stop is for; on the wrong side of the market it would go off at once
        sane = price > mid if action[X_SIDE] == BUY else price < mid
    elif action[X_SIDE] == BUY:
        sane = mid * (1 - collar) <= price <= ask * (1 + collar)
    else:
        sane = bid * (1 - collar) <= price <= mid * (1 + collar)
    return APPROVED if sane else REFUSED_COLLAR


@njit(cache=True)
def _decided_half_ticks(action: Any, book: Any, rules: Any) -> int:
    """Return twice the price that an order was decided at, in ticks; 0 for what is beyond counting."""
    if action[X_KIND] == STOP:
        return int(2 * action[X_PRICE_TICKS])
    half_ticks = (book[0, 0, 0] + book[1, 0, 0]) / rules[R_TICK_SIZE]
    return math.floor(half_ticks + 0.5) if half_ticks < COUNT_MAX else 0


@njit(cache=True)
def _judge_exposure(
    x: int, actions: Any, position: Any, working: Any, book: Any, rules: Any, limits: Any
) -> int:
    """Judge an order that may add risk by its size and by the worst case of everything on its side.

    A stop of spot adds none that the exits beside it do not, so long as the stops alone fit the position.
    """
    action = actions[x]
    side = action[X_SIDE]
    lots = action[X_QTY_LOTS]
    if action[X_KIND] == STOP and rules[R_SPOT] != 0:
        stops = lots + _live_lots(x, actions, working, side, STOP)
        return APPROVED if _opposes(stops, side, position, rules) else REFUSED_FREE_BALANCE
    price = action[X_PRICE_TICKS] * rules[R_TICK_SIZE]
    if not lots * rules[R_LOT_SIZE] * price <= limits[M_ORDER_NOTIONAL_MAX]:
        return REFUSED_ORDER_NOTIONAL
    worst_lots = (
        side * position[P_QTY] / rules[R_LOT_SIZE] + _live_lots(x, actions, working, side, _ANY) + lots
    )
    worst_price = max(price, 0.5 * (book[0, 0, 0] + book[1, 0, 0]))
    if not worst_lots * rules[R_LOT_SIZE] * worst_price <= limits[M_POSITION_NOTIONAL_MAX]:
        return REFUSED_POSITION_NOTIONAL
    if not _live_orders(x, actions, working) + 1 <= limits[M_OPEN_ORDERS_MAX]:
        return REFUSED_OPEN_ORDERS
    return APPROVED


@njit(cache=True)
def _judge_balance(x: int, actions: Any, position: Any, rules: Any, account: Any) -> int:
    """Judge a spot order by what is free, net of what earlier orders of this call will reserve."""
    action = actions[x]
    i, side = action[X_INSTRUMENT], action[X_SIDE]
    need = 0.0
    for y in range(x + 1):
        other = actions[y]
        if not _opens(other) or other[X_REFUSAL] != APPROVED or other[X_SIDE] != side:
            continue
        if side == SELL and other[X_INSTRUMENT] != i:
            continue
        rule = rules[other[X_INSTRUMENT]]
        qty = other[X_QTY_LOTS] * rule[R_LOT_SIZE]
        need += qty if side == SELL else qty * other[X_PRICE_TICKS] * rule[R_TICK_SIZE]
    free = position[P_FREE_BASE] if side == SELL else account[A_FREE_QUOTE]
    # a rounding of the sum is no missing balance; the venue counts exactly
    return APPROVED if need <= free * (1 + 1e-9) else REFUSED_FREE_BALANCE


@njit(cache=True)
def _judge_margin(
    exposure: float, worst: float, growth: float, position: Any, rules: Any, limits: Any, account: Any
) -> int:
    """Judge what would be the account's `exposure`, `worst` of it this instrument's, which grew by `growth`.

    The distance from liquidation is how far all prices may move against us together, as a fraction, until
    what secures positions is no more than the maintenance margin. In isolated margin each secures itself.
    """
    balance = account[A_MARGIN_BALANCE]
    if not exposure * rules[R_MARGIN_RATE] <= limits[M_MARGIN_USED_MAX] * balance:
        return REFUSED_MARGIN_USED
    if rules[R_ISOLATED] != 0:
        own = abs(position[P_QTY]) * position[P_AVG_PRICE]
        balance = (own + growth) * rules[R_MARGIN_RATE] + position[P_UNREALISED]
        exposure = worst
    maintenance = account[A_MAINTENANCE_RATE] * exposure
    if not balance - maintenance >= limits[M_LIQUIDATION_DISTANCE_MIN] * (exposure + maintenance):
        return REFUSED_LIQUIDATION_DISTANCE
    return APPROVED


@njit(cache=True)
def _worst_value(
    x: int, actions: Any, position: Any, working: Any, book: Any, rules: Any, lots: int
) -> float:
    """Return the value of the largest position there may be, with so many lots more on action x's side."""
    side = actions[x, X_SIDE]
    price = max(actions[x, X_PRICE_TICKS] * rules[R_TICK_SIZE], 0.5 * (book[0, 0, 0] + book[1, 0, 0]))
    held = side * position[P_QTY] / rules[R_LOT_SIZE]
    added = held + _live_lots(x, actions, working, side, _ANY) + lots
    worst_lots = max(abs(added), abs(held - _live_lots(x, actions, working, -side, _ANY)))
    return float(worst_lots * rules[R_LOT_SIZE] * price)


@njit(cache=True)
def _reduces(x: int, actions: Any, position: Any, working: Any, rules: Any) -> bool:
    """Whether the order cannot carry the position past zero, even if everything else on its side fills."""
    action = actions[x]
    side = action[X_SIDE]
    lots = action[X_QTY_LOTS]
    if action[X_KIND] != STOP or rules[R_SPOT] != 0:
        lots += _live_lots(x, actions, working, side, _ANY)
    return _opposes(lots, side, position, rules)


@njit(cache=True)
def _opposes(lots: int, side: int, position: Any, rules: Any) -> bool:
    """Whether so much on a side only brings the position nearer to zero."""
    return bool(lots <= -side * position[P_QTY] / rules[R_LOT_SIZE] + 1e-6)


@njit(cache=True)
def _live_lots(x: int, actions: Any, working: Any, side: int, kind: int) -> int:
    """Return what orders of a kind may still trade on a side: live ones, and those approved before x."""
    lots = 0
    for slot in range(WORKING_SLOTS):
        if (
            working[slot, W_STATE] != SLOT_EMPTY
            and working[slot, W_SIDE] == side
            and (kind == _ANY or working[slot, W_KIND] == kind)
        ):
            lots += int(working[slot, W_LEAVES_LOTS])
    for y in range(x):
        if (
            _approved_before(actions, y, x)
            and actions[y, X_SIDE] == side
            and (kind == _ANY or actions[y, X_KIND] == kind)
        ):
            lots += actions[y, X_QTY_LOTS]
    return lots


@njit(cache=True)
def _live_orders(x: int, actions: Any, working: Any) -> int:
    """Return how many orders of the instrument are live or were approved before action x."""
    orders = 0
    for slot in range(WORKING_SLOTS):
        orders += working[slot, W_STATE] != SLOT_EMPTY
    for y in range(x):
        orders += _approved_before(actions, y, x)
    return orders


@njit(cache=True)
def _approved_before(actions: Any, y: int, x: int) -> bool:
    """Whether action y is an approved order on the instrument of action x."""
    return bool(
        _opens(actions[y])
        and actions[y, X_REFUSAL] == APPROVED
        and actions[y, X_INSTRUMENT] == actions[x, X_INSTRUMENT]
    )
