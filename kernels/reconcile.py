"""What is wanted minus what is working: the orders to place, amend, cancel and replace.

    n_actions = reconcile(now_ns, n, out, position, working, book, rules, actions, clamped, plan)

Arrays as in kernels.dtypes. Nothing is remembered between calls, so it is asked again at every drain and may
wait:

- a level has at most one live order. One that must move is cancelled, and placed anew once its slot is empty;
  one that must only shrink is amended where the venue keeps its priority. An order on its way, or of unknown
  fate, is waited for;
- a REST that must move is replaced by one request where the venue can and its new price would rest. The level
  has two orders until the venue has answered on both; kernels.limits counts both;
- TARGET: one immediate-or-cancel order for what is missing to the wanted position, when the market shows a
  price as good as the worst one; never a second while one is out, nor one below the venue's smallest order to
  mend what a position lacks;
- REST: left alone within the tolerances and until it has stood R_REST_NS_MIN. A price that would take is
  waited for;
- STOP: never larger than the position it protects, on spot all of a side together, the earlier rows first;
- on spot nothing is sold that is not free to sell. Each want cut for that is counted in `clamped`. A target
  or a stop sells no more than the whole lots of the position, whatever else the account holds.

Prices are rounded to the tick away from the market, quantities down to the lot. A row with a NaN, not
positive or absurd price or quantity becomes a refused PLACE, and a REST of its level is cancelled; a STOP
that stands is left. A row that names no kind, instrument, level or side breaks the contract: nothing is
done at all, and a FAULT_* is returned.
"""

from typing import Any, Final

from numba import njit

from kernels.dtypes import (
    AMEND,
    APPROVED,
    BUY,
    CANCEL,
    NO_OPINION,
    O_INSTRUMENT,
    O_KIND,
    O_LEVEL,
    O_PRICE,
    O_QTY,
    O_SIDE,
    PLACE,
    PLAN_COUNT,
    PLAN_FILLED,
    PLAN_KEPT,
    PLAN_SPARE,
    R_CAN_AMEND,
    R_CAN_REPLACE,
    R_PRICE_TOLERANCE_TICKS,
    R_QTY_MIN_LOTS,
    R_QTY_TOLERANCE_LOTS,
    R_REST_NS_MIN,
    R_SPOT,
    R_TICK_SIZE,
    REFUSED_DUPLICATE,
    REFUSED_NO_SLOT,
    REFUSED_PRICE,
    REPLACE,
    REST,
    SELL,
    SLOT_EMPTY,
    SLOT_WORKING,
    STOP,
    TARGET,
    W_KIND,
    W_LEAVES_LOTS,
    W_LEVEL,
    W_PRICE_TICKS,
    W_SIDE,
    W_SINCE_NS,
    W_STATE,
    WORKING_SLOTS,
    X_DECIDED_HALF_TICKS,
    X_INSTRUMENT,
    X_KIND,
    X_LEVEL,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_REFUSAL,
    X_REPLACES,
    X_SIDE,
    X_SLOT,
    X_VERB,
)
from kernels.wants import (
    missing,
    names_something,
    reaches,
    rest_lots,
    said_before,
    sellable_lots,
    stop_lots,
    to_ticks,
)

#: decide returned fewer than NO_OPINION or more rows than `out` has
FAULT_COUNT: Final = -1
#: a row's kind, instrument, level or side is not one
FAULT_ROW: Final = -2
FAULT_NAMES: Final[dict[int, str]] = {
    FAULT_COUNT: "it returned fewer than NO_OPINION or more rows than out has",
    FAULT_ROW: "the kind, instrument, level or side of a row of out is not one",
}

NO_SLOT: Final = -1


@njit(cache=True, forceinline=True)
def reconcile(
    now_ns: int,
    n: int,
    out: Any,
    position: Any,
    working: Any,
    book: Any,
    rules: Any,
    actions: Any,
    clamped: Any,
    plan: Any,
) -> int:
    """Write what to do into `actions`, the cancels of each instrument first; return how many, or a FAULT_*.

    plan int64[PLAN] is scratch: one made anew in each call would cost as much as the rest.

    X_QTY_LOTS of an AMEND is what shall be left of the order. X_REDUCES and most refusals are set by
    kernels.limits.
    """
    if n == NO_OPINION:
        return 0
    if n < NO_OPINION or n > out.shape[0]:
        return FAULT_COUNT
    for r in range(n):
        if not names_something(out[r], position.shape[0]):
            return FAULT_ROW
    plan[PLAN_COUNT] = 0
    for i in range(position.shape[0]):
        first = plan[PLAN_COUNT]
        plan[PLAN_KEPT] = plan[PLAN_FILLED] = 0
        plan[PLAN_SPARE] = sellable_lots(position[i], rules[i])
        for r in range(n):
            if out[r, O_INSTRUMENT] == i:
                _want(now_ns, i, r, out, position[i], working[i], book[i], rules[i], actions, clamped, plan)
        for slot in range(WORKING_SLOTS):
            if working[i, slot, W_STATE] == SLOT_WORKING and not plan[PLAN_KEPT] >> slot & 1:
                _change(actions, plan, CANCEL, i, slot, working[i, slot], 0)
        _cancels_first(actions, first, plan[PLAN_COUNT])
    return int(plan[PLAN_COUNT])


@njit(cache=True, forceinline=True)
def _want(
    now_ns: int,
    i: int,
    r: int,
    out: Any,
    position: Any,
    working: Any,
    book: Any,
    rules: Any,
    actions: Any,
    clamped: Any,
    plan: Any,
) -> None:
    """Serve one row of `out`: take note in `plan`, and append what it asks for."""
    row = out[r]
    kind = int(row[O_KIND])
    if said_before(out, r):
        _place(actions, plan, i, NO_SLOT, row, 0, 0, 0, REFUSED_DUPLICATE)
        return
    slot = _slot_of(working, kind, row[O_LEVEL])
    if kind == TARGET:
        side, lots, refusal = missing(row, position, rules, plan[PLAN_SPARE])
        if rules[R_SPOT] != 0 and row[O_QTY] < 0:
            clamped[i] += 1
    else:
        side = BUY if row[O_SIDE] > 0 else SELL
        lots, refusal = rest_lots(row, rules)
    ticks = to_ticks(row[O_PRICE], rules[R_TICK_SIZE], side, kind)
    if refusal == APPROVED and lots > 0 and ticks <= 0:
        refusal = REFUSED_PRICE
    if refusal != APPROVED:
        if slot >= 0 and kind != REST:
            plan[PLAN_KEPT] |= 1 << slot
        _place(actions, plan, i, NO_SLOT, row, side, ticks, lots, refusal)
        return
    if kind == TARGET:
        if slot >= 0:
            plan[PLAN_KEPT] |= 1 << slot
            return
        if lots == 0 or not reaches(book, rules, side, ticks):
            return
    else:
        if kind == STOP:
            lots = stop_lots(r, lots, side, out, position, rules)
        if side == SELL:
            lots = _sellable(i, slot, lots, working, rules, clamped, plan)
        if lots == 0:
            return
        if slot >= 0:
            plan[PLAN_KEPT] |= 1 << slot
            if not _fits(working[slot], rules, side, ticks, lots):
                _adjust(actions, plan, now_ns, i, slot, row, working, book, rules, side, ticks, lots)
            return
        if kind == REST and reaches(book, rules, side, ticks):
            return
    free = _free_slot(working, plan[PLAN_FILLED])
    if free == NO_SLOT:
        _place(actions, plan, i, free, row, side, ticks, lots, REFUSED_NO_SLOT)
        return
    _place(actions, plan, i, free, row, side, ticks, lots, APPROVED)
    plan[PLAN_FILLED] |= 1 << free


@njit(cache=True)
def _sellable(i: int, slot: int, lots: int, working: Any, rules: Any, clamped: Any, plan: Any) -> int:
    """Cut a resting sell to what is free to sell, its standing order included; take it from the spare."""
    standing = int(working[slot, W_LEAVES_LOTS]) if slot >= 0 and working[slot, W_SIDE] < 0 else 0
    if lots > plan[PLAN_SPARE] + standing:
        lots = plan[PLAN_SPARE] + standing
        clamped[i] += 1
        if lots < rules[R_QTY_MIN_LOTS]:
            lots = 0
    plan[PLAN_SPARE] -= max(lots - standing, 0)
    return lots


@njit(cache=True, forceinline=True)
def _fits(order: Any, rules: Any, side: int, ticks: int, lots: int) -> bool:
    """Whether an order stands as it is wanted, within the tolerances."""
    return bool(
        order[W_STATE] == SLOT_WORKING
        and order[W_SIDE] == side
        and abs(order[W_PRICE_TICKS] - ticks) <= rules[R_PRICE_TOLERANCE_TICKS]
        and abs(order[W_LEAVES_LOTS] - lots) <= rules[R_QTY_TOLERANCE_LOTS]
    )


@njit(cache=True)
def _adjust(
    actions: Any,
    plan: Any,
    now_ns: int,
    i: int,
    slot: int,
    row: Any,
    working: Any,
    book: Any,
    rules: Any,
    side: int,
    ticks: int,
    lots: int,
) -> None:
    """Amend, replace or cancel the live order of a level where it can; while it is replaced, wait."""
    order = working[slot]
    if order[W_KIND] == REST and rules[R_CAN_REPLACE] != 0:
        other = _other_slot(working, slot)
        if other != NO_SLOT:
            if order[W_STATE] != SLOT_WORKING or working[other, W_STATE] != SLOT_WORKING:
                plan[PLAN_KEPT] |= 1 << other
            return
    if order[W_STATE] != SLOT_WORKING:
        return
    if order[W_SIDE] != side:
        _change(actions, plan, CANCEL, i, slot, order, 0)
        return
    moved = abs(order[W_PRICE_TICKS] - ticks) > rules[R_PRICE_TOLERANCE_TICKS]
    surplus = order[W_LEAVES_LOTS] - lots
    if now_ns - order[W_SINCE_NS] < rules[R_REST_NS_MIN]:
        return
    if not moved and surplus > 0 and rules[R_CAN_AMEND] != 0 and lots >= rules[R_QTY_MIN_LOTS]:
        _change(actions, plan, AMEND, i, slot, order, lots)
        return
    if rules[R_CAN_REPLACE] != 0 and order[W_KIND] == REST and not reaches(book, rules, side, ticks):
        free = _free_slot(working, plan[PLAN_FILLED])
        if free != NO_SLOT:
            plan[PLAN_FILLED] |= 1 << free
            _place(actions, plan, i, free, row, side, ticks, lots, APPROVED)
            action = actions[plan[PLAN_COUNT] - 1]
            action[X_VERB] = REPLACE
            action[X_REPLACES] = slot
            return
    _change(actions, plan, CANCEL, i, slot, order, 0)


# --- slots and actions -------------------------------------------------------------------------------------
@njit(cache=True, forceinline=True)
def _slot_of(working: Any, kind: int, level: float) -> int:
    """Return the slot of the live order of a level, or NO_SLOT."""
    for slot in range(WORKING_SLOTS):
        order = working[slot]
        if (
            order[W_STATE] != SLOT_EMPTY
            and order[W_KIND] == kind
            and (kind == TARGET or order[W_LEVEL] == level)
        ):
            return slot
    return NO_SLOT


@njit(cache=True)
def _other_slot(working: Any, first: int) -> int:
    """Return the slot of the second live order of a level whose first is known, or NO_SLOT."""
    level, kind = working[first, W_LEVEL], working[first, W_KIND]
    for slot in range(first + 1, WORKING_SLOTS):
        order = working[slot]
        if order[W_STATE] != SLOT_EMPTY and order[W_LEVEL] == level and order[W_KIND] == kind:
            return slot
    return NO_SLOT


@njit(cache=True)
def _free_slot(working: Any, filled: int) -> int:
    """Return the first empty slot not in `filled`, or NO_SLOT."""
    for slot in range(WORKING_SLOTS):
        if working[slot, W_STATE] == SLOT_EMPTY and not filled >> slot & 1:
            return slot
    return NO_SLOT


@njit(cache=True)
def _place(
    actions: Any, plan: Any, i: int, slot: int, row: Any, side: int, ticks: int, lots: int, refusal: int
) -> None:
    """Append a PLACE."""
    action = actions[plan[PLAN_COUNT]]
    action[X_VERB] = PLACE
    action[X_INSTRUMENT] = i
    action[X_SLOT] = slot
    action[X_KIND] = int(row[O_KIND])
    action[X_LEVEL] = 0 if row[O_KIND] == TARGET else int(row[O_LEVEL])
    action[X_SIDE] = side
    action[X_PRICE_TICKS] = ticks
    action[X_QTY_LOTS] = lots
    action[X_REDUCES] = 0
    action[X_REFUSAL] = refusal
    action[X_DECIDED_HALF_TICKS] = 0
    action[X_REPLACES] = 0
    plan[PLAN_COUNT] += 1


@njit(cache=True)
def _change(actions: Any, plan: Any, verb: int, i: int, slot: int, order: Any, lots: int) -> None:
    """Append an AMEND to `lots` or a CANCEL of a live order."""
    action = actions[plan[PLAN_COUNT]]
    action[X_VERB] = verb
    action[X_INSTRUMENT] = i
    action[X_SLOT] = slot
    action[X_KIND] = int(order[W_KIND])
    action[X_LEVEL] = int(order[W_LEVEL])
    action[X_SIDE] = int(order[W_SIDE])
    action[X_PRICE_TICKS] = int(order[W_PRICE_TICKS])
    action[X_QTY_LOTS] = lots
    action[X_REDUCES] = 0
    action[X_REFUSAL] = APPROVED
    action[X_DECIDED_HALF_TICKS] = 0
    action[X_REPLACES] = 0
    plan[PLAN_COUNT] += 1


@njit(cache=True, forceinline=True)
def _cancels_first(actions: Any, first: int, count: int) -> None:
    """Move the cancels to the front, keeping every other order: what is stale leaves the market first."""
    front = first
    for x in range(first, count):
        if actions[x, X_VERB] != CANCEL:
            continue
        for y in range(x, front, -1):
            for column in range(actions.shape[1]):
                actions[y, column], actions[y - 1, column] = actions[y - 1, column], actions[y, column]
        front += 1
