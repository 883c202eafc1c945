"""What one strategy owns, in one instrument: balances, reserves, position, fees, and what all of it is worth.

The compiled twin of daemon/orders/portfolio.py with its purses, for one strategy and one
instrument in whose quote the account is valued: exact where that is exact, and where that adds floats it adds
the same ones in the same order, so that what `decide` reads is the same to the last bit. A test holds both to
that. Amounts of the quote are money (kernels.exact), those of the base int64 counts of `step`, the largest
amount of which lots and commissions are whole counts.

    open_books(t, front)                                  balances are set: show them
    fill(t, front, side, ticks, lots, maker)
    reserve_base(...), reserve_quote(...), reserve_margin(...)    what open orders may still cost

What it is worth at the market's mid: kernels.worth.

`t` is a BACKTEST of kernels.backtest_state, which holds the ledger, its money and what strategies see of the
account (A_*); `front` a FRONT, with the instrument's position (P_*).
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

from kernels import exact
from kernels.dtypes import (
    A_FREE_QUOTE,
    P_AVG_PRICE,
    P_FEES,
    P_FREE_BASE,
    P_QTY,
    P_REALISED,
    P_UNREALISED,
    SELL,
)
from kernels.inner import inner
from kernels.worth import move_margin, raise_peak, settle, show_margin, show_worth

# numpy's, because numba compiles a version for each plain constant
# --- money[n, 2]: rows of amounts of the quote -------------------------------------------------------------
M_QUOTE: Final[Any] = np.int64(0)  # all there is, reserved or not
M_RESERVED: Final[Any] = np.int64(1)
M_COST: Final[Any] = np.int64(2)  # of the open position, negative when short
M_REALISED: Final[Any] = np.int64(3)
M_FEES: Final[Any] = np.int64(4)
M_NOW: Final[Any] = np.int64(5)  # what the last trade realised
M_NOTIONAL: Final[Any] = np.int64(6)  # scratch, as the next are
M_PART: Final[Any] = np.int64(7)
M_FEE: Final[Any] = np.int64(8)
MONEY_ROWS: Final = 9

LEDGER: Final = np.dtype(
    [
        ("spot", "i8"),
        ("step", "i8"),  # units (1e-18) of a step of the base
        ("lot_steps", "i8"),
        ("tick_lot", "i8", (2,)),  # one lot at one tick: high and low of the quote
        ("fee_quote", "i8", (2, 2)),  # [0 taker, 1 maker] of the same, high and low
        ("fee_steps", "i8", (2,)),  # of a lot bought on spot, in steps of the base
        ("day_offset_ns", "i8"),
        ("base", "i8"),  # steps, as are the next
        ("base_reserved", "i8"),
        ("held", "i8"),
        ("held_float", "f8"),
        ("cost_float", "f8"),
        # --- what it is worth
        ("mid", "f8"),  # that everything was last valued at; NaN before the first
        ("looked_at", "f8"),  # the mid that was last looked at; likewise
        ("value", "f8"),
        ("peak", "f8"),
        ("day_start", "f8"),
        ("base_float", "f8"),
        ("quote_float", "f8"),
        ("weight", "f8"),  # how the value moves with the mid
        ("day_end_ns", "i8"),
        # --- of derivatives
        ("leverage", "f8"),
        ("isolated", "i8"),
        ("rate", "f8"),  # maintenance margin as a fraction of a position's value
        ("lot_size", "f8"),
        ("live", "i8"),  # 1: there is a position, or an order that may add to it
        ("bids", "i8"),  # lots of orders that may add to the position
        ("asks", "i8"),
        ("wallet", "f8"),
        ("quantity", "f8"),
        ("cost", "f8"),
        ("exposure", "f8"),
        ("exposure_here", "f8"),
        ("unrealised", "f8"),
        ("unrealised_here", "f8"),
    ],
    align=True,
)


@njit(cache=True)
def open_books(t: Any, front: Any) -> None:
    """Show and value the balances that were set."""
    led = t.ledger
    led.mid = led.looked_at = led.value = led.peak = led.day_start = math.nan
    led.day_end_ns = -1
    _show_base(t, front)
    _show_quote(t)
    led.base_float = _base_float(led, led.base)
    led.quote_float = exact.to_float(t.money[M_QUOTE, 0], t.money[M_QUOTE, 1])
    settle(led)
    show_worth(t)


# --- showing -----------------------------------------------------------------------------------------------
@inner
def _base_float(led: Any, steps: int) -> float:
    """Return steps of the base as the nearest float."""
    step_high, step_low = led.step // exact.BASE, led.step % exact.BASE
    above = steps // exact.BASE
    part = (steps - above * exact.BASE) * step_low
    high = steps * step_high + above * step_low + part // exact.BASE
    return float(exact.to_float(high, part % exact.BASE))


@inner
def _show_base(t: Any, front: Any) -> None:
    led = t.ledger
    if led.spot != 0:
        front.position[P_FREE_BASE] = _base_float(led, led.base - led.base_reserved)


@inner
def _show_quote(t: Any) -> None:
    led, money = t.ledger, t.money
    if led.spot != 0:
        high = money[M_QUOTE, 0] - money[M_RESERVED, 0]
        low = money[M_QUOTE, 1] - money[M_RESERVED, 1]
        if low < 0:
            high, low = high - 1, low + exact.BASE
        t.account[A_FREE_QUOTE] = exact.to_float(high, low)
    else:
        led.wallet = exact.to_float(money[M_QUOTE, 0], money[M_QUOTE, 1])
        show_margin(t)


@inner
def _show_position(t: Any, front: Any) -> None:
    led, money, position = t.ledger, t.money, front.position
    led.held_float = _base_float(led, led.held)
    led.cost_float = exact.to_float(money[M_COST, 0], money[M_COST, 1])
    position[P_QTY] = led.held_float
    average = 0.0
    if led.held != 0:
        average = exact.ratio(money[M_COST, 0], money[M_COST, 1], abs(led.held), led.step)
        average = -average if led.held < 0 else average
    position[P_AVG_PRICE] = average
    position[P_REALISED] = exact.to_float(money[M_REALISED, 0], money[M_REALISED, 1])
    position[P_FEES] = exact.to_float(money[M_FEES, 0], money[M_FEES, 1])
    known = math.isfinite(led.mid)
    position[P_UNREALISED] = led.held_float * led.mid - led.cost_float if known else 0.0


# --- reserves ----------------------------------------------------------------------------------------------
@njit(cache=True)
def reserve_base(t: Any, front: Any, more_lots: int) -> None:
    """Hold back so many lots more (or fewer) of the base for sells."""
    if more_lots != 0:
        t.ledger.base_reserved += more_lots * t.ledger.lot_steps
        _show_base(t, front)


@njit(cache=True)
def reserve_quote(t: Any, ticks: int, more_lots: int) -> None:
    """Hold back what so many lots more (or fewer) cost at a price for buys."""
    if more_lots != 0:
        unit = t.ledger.tick_lot
        exact.add_product(t.money, M_RESERVED, more_lots * ticks, unit[0], unit[1])
        _show_quote(t)


@njit(cache=True)
def reserve_margin(t: Any, side: int, more_lots: int) -> None:
    """Count so many lots more (or fewer) that may add to a derivative's position."""
    if more_lots != 0:
        if side == SELL:
            t.ledger.asks += more_lots
        else:
            t.ledger.bids += more_lots
        move_margin(t)


# --- trades ------------------------------------------------------------------------------------------------
@njit(cache=True)
def fill(t: Any, front: Any, side: int, ticks: int, lots: int, maker: int) -> None:
    """Account for one trade; its commission is in what was received, of derivatives in the quote."""
    led, money = t.ledger, t.money
    steps = side * lots * led.lot_steps
    exact.clear(money, M_NOTIONAL)
    exact.add_product(money, M_NOTIONAL, side * lots * ticks, led.tick_lot[0], led.tick_lot[1])
    _trade(t, steps)
    if led.spot != 0:
        led.base += steps
        exact.move(money, M_NOTIONAL, M_QUOTE, exact.LESS)
    else:
        exact.move(money, M_NOW, M_QUOTE, exact.MORE)
    exact.clear(money, M_FEE)
    exact.add_product(money, M_FEE, lots * ticks, led.fee_quote[maker, 0], led.fee_quote[maker, 1])
    if not exact.is_nothing(money, M_FEE):
        _charge(t, front, side, lots * led.fee_steps[maker])
    _show_position(t, front)
    _show_base(t, front)
    _show_quote(t)
    _move_base(led)
    _move_quote(t)
    if led.spot == 0:
        led.quantity = 0.0 + led.held_float
        led.cost = 0.0 + led.cost_float
        move_margin(t)
    if led.spot != 0 and math.isfinite(led.value):
        raise_peak(led)
    else:
        settle(led)
    show_worth(t)


@inner
def _trade(t: Any, steps: int) -> None:
    """Add signed steps for the notional of the same sign in M_NOTIONAL; M_NOW is what it realised."""
    money, held = t.money, t.ledger.held
    exact.clear(money, M_NOW)
    if held == 0 or (held > 0) == (steps > 0):
        exact.move(money, M_NOTIONAL, M_COST, exact.MORE)
    elif abs(steps) <= abs(held):
        exact.scale(money, M_COST, M_PART, abs(steps), abs(held))
        exact.move(money, M_NOTIONAL, M_NOW, exact.LESS)
        exact.move(money, M_PART, M_NOW, exact.LESS)
        exact.move(money, M_PART, M_COST, exact.LESS)
    else:  # through zero: part closes, the rest opens
        exact.scale(money, M_NOTIONAL, M_PART, abs(held), abs(steps))
        exact.move(money, M_PART, M_NOW, exact.LESS)
        exact.move(money, M_COST, M_NOW, exact.LESS)
        exact.clear(money, M_COST)
        exact.move(money, M_NOTIONAL, M_COST, exact.MORE)
        exact.move(money, M_PART, M_COST, exact.LESS)
    t.ledger.held = held + steps
    exact.move(money, M_NOW, M_REALISED, exact.MORE)


@inner
def _charge(t: Any, front: Any, side: int, steps: int) -> None:
    """Take the commission in M_FEE off the quote, or, of what was bought on spot, its steps off the base."""
    led, money = t.ledger, t.money
    if led.spot == 0 or side == SELL:
        exact.move(money, M_FEE, M_QUOTE, exact.LESS)
        _move_quote(t)
        _show_quote(t)
    else:
        led.base -= steps
        _move_base(led)
        _show_base(t, front)
        # as if so much had been sold at the fill's price and the proceeds paid as a fee
        exact.clear(money, M_NOTIONAL)
        exact.move(money, M_FEE, M_NOTIONAL, exact.LESS)
        _trade(t, -steps)
    exact.move(money, M_FEE, M_FEES, exact.MORE)


# --- values ------------------------------------------------------------------------------------------------
@inner
def _move_base(led: Any) -> None:
    """Take the balance of the base that a trade has moved, and move the value by that."""
    amount = _base_float(led, led.base)
    change = amount - led.base_float
    led.base_float = amount
    if change != 0:
        led.value += change * (1.0 * led.mid)
        led.weight += change


@inner
def _move_quote(t: Any) -> None:
    led, money = t.ledger, t.money
    amount = exact.to_float(money[M_QUOTE, 0], money[M_QUOTE, 1])
    change = amount - led.quote_float
    led.quote_float = amount
    if change != 0:
        led.value += change
