"""What the account is worth at the market's mid, and what derivatives take of it as margin.

The twin of daemon/orders/valuation.py and of the margin in daemon/orders/purse.py, for the one instrument of
kernels.ledger: the same floats, added in the same order. Of `t` (BACKTEST) they move `ledger`, here `led`,
and `account`; `front` is a FRONT of kernels.backtest_state.
"""

import math
from typing import Any, Final

from numba import njit

from kernels.dtypes import (
    A_DAY_PNL,
    A_DRAWDOWN,
    A_EQUITY,
    A_EXPOSURE,
    A_FREE_QUOTE,
    A_MAINTENANCE_RATE,
    A_MARGIN_BALANCE,
    P_UNREALISED,
)
from kernels.inner import inner

_DAY_NS: Final = 86_400_000_000_000
_MID_MAX: Final = 1e300


# --- margin ------------------------------------------------------------------------------------------------
@inner
def margin_balance(led: Any) -> float:
    """Return the wallet, in cross margin with what open positions would realise."""
    return float(led.wallet if led.isolated != 0 else led.wallet + led.unrealised)


@inner
def show_margin(t: Any) -> None:
    """Write what is free and what the limits need."""
    led, account = t.ledger, t.account
    balance = margin_balance(led)
    account[A_FREE_QUOTE] = balance - led.exposure / led.leverage
    account[A_MARGIN_BALANCE] = balance
    account[A_EXPOSURE] = led.exposure
    account[A_MAINTENANCE_RATE] = led.rate


@inner
def move_margin(t: Any) -> None:
    """Take position, mid and orders as they are now, and show what that makes."""
    led = t.ledger
    if led.quantity != 0 or led.bids != 0 or led.asks != 0:
        led.live = 1
        longest = led.quantity + led.bids * led.lot_size
        shortest = led.asks * led.lot_size - led.quantity
        exposure = max(shortest, longest) * led.mid
        unrealised = led.quantity * led.mid - led.cost
    elif led.live != 0:
        led.live = 0
        exposure = unrealised = 0.0
    else:
        return
    led.exposure += exposure - led.exposure_here
    led.unrealised += unrealised - led.unrealised_here
    led.exposure_here, led.unrealised_here = exposure, unrealised
    if led.live == 0 or not math.isfinite(led.exposure):
        led.exposure = led.exposure_here if led.live != 0 else 0.0
        led.unrealised = led.unrealised_here if led.live != 0 else 0.0
    show_margin(t)


# --- values ------------------------------------------------------------------------------------------------
@njit(cache=True)
def day_pnl(led: Any) -> float:
    """Return the change since the day began, 0.0 while unknown."""
    change = led.value - led.day_start
    return float(change) if math.isfinite(change) else 0.0


@njit(cache=True)
def drawdown(led: Any) -> float:
    """Return the fall from the highest value, 0.0 while unknown."""
    fall = led.peak - led.value
    return float(fall) if math.isfinite(fall) else 0.0


@inner
def show_worth(t: Any) -> None:
    """Write equity, the day's result and the drawdown."""
    t.account[A_EQUITY] = t.ledger.value
    t.account[A_DAY_PNL] = day_pnl(t.ledger)
    t.account[A_DRAWDOWN] = drawdown(t.ledger)


@njit(cache=True)
def raise_peak(led: Any) -> None:
    """Take the value as the peak where it is higher; an unknown peak stays unknown."""
    if led.value > led.peak:  # noqa: PLR1730 - of NaN max() may say otherwise
        led.peak = led.value


@inner
def settle(led: Any) -> None:
    """Sum the value anew."""
    base = led.base_float * led.mid if led.base_float != 0 else 0.0
    quote = led.quote_float if led.quote_float != 0 else 0.0
    # in the order in which the portfolio knows its purses: what is margin comes first
    value = 0.0 + base + quote if led.spot != 0 else 0.0 + quote + base
    if led.quantity != 0:
        value += led.quantity * led.mid - led.cost
    led.weight = led.base_float + led.quantity
    led.value = value
    if math.isfinite(value) and not led.peak >= value:  # also while the peak is not known
        led.peak = value


@inner
def mark(t: Any, front: Any, mid: float) -> None:
    """Take the mid before a fill; what the account is worth is shown by that."""
    led = t.ledger
    led.looked_at = mid
    if mid == led.mid or not 0.0 < mid < _MID_MAX:
        return
    _mark_position(led, front, mid)
    before = led.mid
    led.mid = mid
    if math.isnan(before):
        settle(led)
    elif led.weight != 0:
        led.value += led.weight * (mid - before)
        raise_peak(led)
    if led.spot == 0:
        move_margin(t)


@njit(cache=True)
def mark_all(t: Any, front: Any, mid: float) -> None:
    """Take the mid of the regular look, and show what the account is worth where that moved."""
    led = t.ledger
    if mid == led.looked_at:
        return
    led.looked_at = mid
    if mid == led.mid or not 0.0 < mid < _MID_MAX:
        return
    _mark_position(led, front, mid)
    before = led.mid
    led.mid = mid
    if math.isnan(before) and (led.weight != 0 or not math.isfinite(led.value)):
        settle(led)
        show_worth(t)
    elif led.weight != 0:
        led.value += led.weight * (mid - before)
        raise_peak(led)
        show_worth(t)
    if led.spot == 0:
        move_margin(t)


@inner
def _mark_position(led: Any, front: Any, mid: float) -> None:
    if led.held != 0:
        front.position[P_UNREALISED] = led.held_float * mid - led.cost_float


@njit(cache=True)
def roll(t: Any) -> None:
    """Begin a new day when it is time; the very first waits for a value."""
    led, now_ns = t.ledger, t.now_ns
    if now_ns < led.day_end_ns or not math.isfinite(led.value):
        return
    day = (now_ns - led.day_offset_ns) // _DAY_NS
    led.day_end_ns = (day + 1) * _DAY_NS + led.day_offset_ns
    led.day_start = led.value
    show_worth(t)


@njit(cache=True)
def liquidation_distance(led: Any) -> float:
    """Return how far prices may move against the position until it is liquidated; inf without one."""
    if led.live == 0 or led.quantity == 0:
        return math.inf
    value = abs(led.quantity) * led.mid
    secured = margin_balance(led)
    if led.isolated != 0:
        secured = abs(led.cost) / led.leverage + led.unrealised_here
    distance = (secured - led.rate * value) / (value * (1 + led.rate))
    return float(distance) if distance < math.inf else math.inf
