"""What one row of `out` means in ticks and lots, given the position and the market; kernels.reconcile asks.

`row` is one row of `out`, the other arrays are those of its instrument; columns as in kernels.dtypes.
"""

import math
from typing import Any, Final

from numba import njit

from kernels.dtypes import (
    APPROVED,
    BUY,
    O_INSTRUMENT,
    O_KIND,
    O_LEVEL,
    O_PRICE,
    O_QTY,
    O_SIDE,
    P_FREE_BASE,
    P_QTY,
    R_LOT_SIZE,
    R_NOTIONAL_MIN,
    R_QTY_MAX_LOTS,
    R_QTY_MIN_LOTS,
    R_QTY_TOLERANCE_LOTS,
    R_SPOT,
    R_TICK_SIZE,
    REFUSED_QTY,
    REST,
    SELL,
    STOP,
    TARGET,
)

#: counts of ticks or lots past this are absurd, and would not be exact in float64
COUNT_MAX: Final = 2.0**52
#: a price this near a tick (in ticks) is meant to be on it
ON_TICK: Final = 1e-6


@njit(cache=True, forceinline=True)
def names_something(row: Any, instruments: int) -> bool:
    """Whether kind, instrument, level and side are what they may be; false for every NaN."""
    kind, instrument = row[O_KIND], row[O_INSTRUMENT]
    if not (0 <= instrument < instruments and instrument == math.floor(instrument)):
        return False
    if kind == TARGET:
        return True
    level, side = row[O_LEVEL], row[O_SIDE]
    # `in` a tuple would be a loop
    if (kind != REST and kind != STOP) or (side != BUY and side != SELL):  # noqa: PLR1714
        return False
    return bool(-(2.0**31) <= level < 2.0**31 and level == math.floor(level))


@njit(cache=True, forceinline=True)
def said_before(out: Any, r: int) -> bool:
    """Whether an earlier row speaks for the same level; an instrument has one target whatever its level."""
    for q in range(r):
        if (
            out[q, O_INSTRUMENT] == out[r, O_INSTRUMENT]
            and out[q, O_KIND] == out[r, O_KIND]
            and (out[r, O_KIND] == TARGET or out[q, O_LEVEL] == out[r, O_LEVEL])
        ):
            return True
    return False


@njit(cache=True, forceinline=True)
def to_ticks(price: float, tick_size: float, side: int, kind: int) -> int:
    """Round a price to the tick, away from the market; 0 when it is no sane positive price."""
    x = price / tick_size
    if not 0 < x < COUNT_MAX:
        return 0
    nearest = math.floor(x + 0.5)
    if kind == STOP or abs(x - nearest) < ON_TICK:
        return int(nearest)
    return int(math.floor(x) if side == BUY else math.ceil(x))


@njit(cache=True, forceinline=True)
def to_lots(qty: float, lot_size: float) -> int:
    """Round a quantity >= 0 down to the lot."""
    return math.floor(qty / lot_size + ON_TICK)


@njit(cache=True, forceinline=True)
def rest_lots(row: Any, rules: Any) -> tuple[int, int]:
    """Return the lots a REST or STOP asks for and its refusal; 0 asks for nothing."""
    x = row[O_QTY] / rules[R_LOT_SIZE]
    if not 0 <= x < COUNT_MAX:
        return 0, REFUSED_QTY
    lots = to_lots(row[O_QTY], rules[R_LOT_SIZE])
    return lots, REFUSED_QTY if lots == 0 and x > 0 else APPROVED


@njit(cache=True, forceinline=True)
def missing(row: Any, position: Any, rules: Any, spare: int) -> tuple[int, int, int]:
    """Return side, lots and refusal of what is missing to a target; 0 lots when it is reached."""
    lot_size = rules[R_LOT_SIZE]
    if not abs(row[O_QTY] / lot_size) < COUNT_MAX:
        return BUY, 0, REFUSED_QTY
    wanted = to_lots(abs(row[O_QTY]), lot_size)
    if row[O_QTY] < 0:
        wanted = 0 if rules[R_SPOT] != 0 else -wanted
    held = held_lots(position, rules)
    side = BUY if wanted >= held else SELL
    lots = abs(wanted - held)
    if side == SELL and rules[R_SPOT] != 0:
        # commissions leave parts of lots: the nearest lot can be more than there is, and be the account's
        lots = min(lots, opposing_lots(position, rules, SELL))
    if lots <= rules[R_QTY_TOLERANCE_LOTS]:
        return side, 0, APPROVED
    # a position is as near as can be when no order for the rest would be taken: commissions leave such dust
    if held != 0:
        # what only reduces a derivative may be of any notional
        closes = rules[R_SPOT] == 0 and lots <= opposing_lots(position, rules, side)
        small = not closes and lots * lot_size * row[O_PRICE] < rules[R_NOTIONAL_MIN]
        if small or lots < rules[R_QTY_MIN_LOTS]:
            return side, 0, APPROVED
    if side == SELL:
        # commissions are taken from what was bought: the position may be a little more than can be sold
        lots = min(lots, spare)
    return side, min(lots, int(rules[R_QTY_MAX_LOTS])), APPROVED


@njit(cache=True, forceinline=True)
def held_lots(position: Any, rules: Any) -> int:
    """Return the signed position in the nearest whole lots."""
    return int(math.floor(position[P_QTY] / rules[R_LOT_SIZE] + 0.5))  # noqa: RUF046 (mypy sees Any)


@njit(cache=True, forceinline=True)
def opposing_lots(position: Any, rules: Any, side: int) -> int:
    """Return the lots by which an order of that side can bring the position nearer to zero, never past it."""
    return to_lots(max(-side * position[P_QTY], 0.0), rules[R_LOT_SIZE])


@njit(cache=True)
def stop_lots(r: int, lots: int, side: int, out: Any, position: Any, rules: Any) -> int:
    """Cut the STOP of row r to the position it protects.

    On spot a position is protected once: what the stops of earlier rows sell is theirs. A derivative's venue
    cuts them itself.
    """
    left = opposing_lots(position, rules, side)
    if rules[R_SPOT] != 0:
        for q in range(r):
            row = out[q]
            if (
                row[O_KIND] == STOP
                and row[O_SIDE] == side
                and row[O_INSTRUMENT] == out[r, O_INSTRUMENT]
                and not said_before(out, q)
            ):
                earlier, _ = rest_lots(row, rules)
                left -= min(earlier, left)
    return min(lots, left)


@njit(cache=True, forceinline=True)
def sellable_lots(position: Any, rules: Any) -> int:
    """Return the lots free to sell: all there are on spot, no bound elsewhere."""
    if rules[R_SPOT] == 0:
        return int(COUNT_MAX)
    return to_lots(max(position[P_FREE_BASE], 0.0), rules[R_LOT_SIZE])


@njit(cache=True, forceinline=True)
def reaches(book: Any, rules: Any, side: int, ticks: int) -> bool:
    """Whether a price takes what is displayed; false where no market is known."""
    touch = book[1 if side == BUY else 0, 0, 0] / rules[R_TICK_SIZE]
    return bool((ticks - touch) * side >= -0.5)
