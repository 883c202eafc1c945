"""Which gate a strategy is shown, and what risk refuses beside the limits kernel.

The twin of daemon/orders/gates.py and of what daemon/orders/risk.py and crowd.py judge, for one strategy in
one instrument: gates that closed since, two orders for one wish, a trade with ourselves, the order rate.

`t` is a BACKTEST and `front` a FRONT of kernels.backtest_state.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kernels.backtest_state import (
    K_KEY,
    K_KIND,
    K_LEVEL,
    K_SIDE,
    K_TICKS,
    SHUT_BOOK_GAP,
    SHUT_DOUBT,
    SHUT_HALTED,
    SHUT_LIQUIDATION,
    SHUT_STALE,
    SHUT_WARMING,
)
from kernels.dtypes import (
    AMEND,
    APPROVED,
    BUY,
    CANCEL,
    GATE_BOOK_GAP,
    GATE_HALTED,
    GATE_LIQUIDATION,
    GATE_NOT_READY,
    GATE_STALE_FEED,
    GATE_TICK_AGE,
    GATE_UNKNOWN_ORDER,
    P_QTY,
    PLACE,
    R_LOT_SIZE,
    R_QTY_MIN_LOTS,
    REFUSED_DUPLICATE,
    REFUSED_NO_SLOT,
    REFUSED_OPEN_ORDERS,
    REFUSED_ORDER_RATE,
    REFUSED_SELF_TRADE,
    REST,
    TARGET,
    W_LEAVES_LOTS,
    W_SIDE,
    W_STATE,
    WORKING_SLOTS,
    X_KIND,
    X_LEVEL,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_SIDE,
    X_SLOT,
    X_VERB,
)
from kernels.inner import inner

#: numpy's, because numba compiles a version for each plain constant
NO: Final[Any] = np.int64(0)
YES: Final[Any] = np.int64(1)
_ONE: Final[Any] = np.float64(1.0)
#: how far two quantities that are the same may lie apart as floats
_ROUNDING: Final = 1e-9
#: and a position from whole lots
_SLACK: Final = 1e-6


@njit(cache=True)
def gravest(shut: int, late: int) -> int:
    """Return the code of the gravest reason, 0 when nothing is shut; late: the tick is too old."""
    if shut & SHUT_HALTED:
        return GATE_HALTED
    if shut & SHUT_WARMING:
        return GATE_NOT_READY
    if shut & SHUT_DOUBT:
        return GATE_UNKNOWN_ORDER
    if shut & SHUT_LIQUIDATION:
        return GATE_LIQUIDATION
    if shut & SHUT_BOOK_GAP:
        return GATE_BOOK_GAP
    if shut & SHUT_STALE:
        return GATE_STALE_FEED
    return GATE_TICK_AGE if late != 0 else APPROVED


@njit(cache=True)
def shut(t: Any, reason: int, closed: int) -> None:
    """Close the instrument for a reason, or take that reason away; `gate` is what the strategy is shown."""
    t.shut = t.shut | reason if closed != 0 else t.shut & ~reason
    t.gate = gravest(t.shut, NO)


@inner
def may_quote(t: Any) -> bool:
    """Whether quotes may stand; those that reduce like those that add."""
    return bool(t.shut & (SHUT_HALTED | SHUT_WARMING) == 0 and t.blind == 0)


@inner
def check(t: Any, front: Any, action: Any, now_ns: int, late: int) -> int:
    """Return what an action that the limits kernel approved is refused for, or 0."""
    if action[X_VERB] == CANCEL:
        return APPROVED if t.orders[action[X_SLOT], K_KEY] != 0 else REFUSED_NO_SLOT
    if action[X_VERB] == AMEND:
        return _spend(t, now_ns, _ONE) if t.orders[action[X_SLOT], K_KEY] != 0 else REFUSED_NO_SLOT
    assert action[X_VERB] == PLACE
    code = gravest(t.shut, late)
    if code != APPROVED and not _passes(t, front, action):
        return code
    if t.orders[action[X_SLOT], K_KEY] != 0:
        return REFUSED_NO_SLOT
    code = _collides(t, action)
    if code != APPROVED:
        return code
    return _spend(t, now_ns, _ONE if action[X_REDUCES] != 0 else t.needed)


@inner
def part_that_reduces(t: Any, front: Any, action: Any) -> int:
    """Return how many lots of a target across zero may trade while a gate is closed, up to zero; 0: none."""
    if action[X_VERB] != PLACE or action[X_KIND] != TARGET or action[X_REDUCES] != 0:
        return 0
    side, rules = action[X_SIDE], t.rules
    live = 0.0
    for slot in range(WORKING_SLOTS):
        shown = front.working[slot]
        if shown[W_STATE] != 0.0 and shown[W_SIDE] == side:
            live += shown[W_LEAVES_LOTS]
    held = -side * front.position[P_QTY] / rules[R_LOT_SIZE]
    lots = int(held + _SLACK) - int(live)
    return lots if max(rules[R_QTY_MIN_LOTS], 1.0) <= lots < action[X_QTY_LOTS] else 0


@inner
def _passes(t: Any, front: Any, action: Any) -> bool:
    """Whether an order may pass a closed gate: it brings the position nearer to zero, and never past it."""
    if action[X_REDUCES] == 0 or (action[X_KIND] == REST and not may_quote(t)):
        return False
    position = front.position[P_QTY]
    qty = action[X_QTY_LOTS] * t.rules[R_LOT_SIZE]
    return bool(position * action[X_SIDE] < 0 and qty <= abs(position) * (1 + _ROUNDING))


@inner
def _collides(t: Any, action: Any) -> int:
    """Return a refusal for an open order it must not stand beside; of several the oldest counts."""
    side, price = action[X_SIDE], action[X_PRICE_TICKS]
    live = 0
    oldest = 0
    found = APPROVED
    for slot in range(WORKING_SLOTS):
        order = t.orders[slot]
        key = order[K_KEY]
        if key == 0:
            continue
        live += 1
        code = APPROVED
        if order[K_SIDE] == side:
            if order[K_KIND] == action[X_KIND] and order[K_LEVEL] == action[X_LEVEL]:
                code = REFUSED_DUPLICATE
        elif order[K_KIND] == REST and (price >= order[K_TICKS] if side == BUY else price <= order[K_TICKS]):
            code = REFUSED_SELF_TRADE
        if code != APPROVED and (oldest == 0 or key < oldest):
            oldest, found = key, code
    if found == APPROVED and action[X_REDUCES] == 0 and 0 < t.orders_max <= live:
        return REFUSED_OPEN_ORDERS
    return found


@inner
def _spend(t: Any, now_ns: int, needed: float) -> int:
    """Take one order off the budget, of which so much must be left; return a refusal or 0."""
    tokens = t.tokens
    if now_ns > t.filled_ns:
        tokens += (now_ns - t.filled_ns) * 1e-9 * t.per_s_max
        tokens = min(tokens, t.burst)
    t.filled_ns = now_ns
    if tokens < needed:
        t.tokens = tokens
        return REFUSED_ORDER_RATE
    t.tokens = tokens - 1.0
    return APPROVED
