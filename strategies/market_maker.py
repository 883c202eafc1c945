"""Quote both sides around the microprice, further out when it is volatile, and lean against the inventory.

One resting order a side. With inventory the centre moves away from it by up to `skew_bps`, and the side
that would take the inventory past `inventory_max` is quoted for what is left of it. A quote never improves
on the market: it joins the best price or stands behind. On spot the ask is what there is to sell.
"""

from typing import Any

from numba import njit

from kernels.dtypes import (
    BUY,
    O_INSTRUMENT,
    O_KIND,
    O_LEVEL,
    O_PRICE,
    O_QTY,
    O_SIDE,
    P_QTY,
    REST,
    SELL,
)
from kernels.features import FEATURES

PARAMS = {
    "qty": 0.001,  # base currency a quote
    "half_spread_bps": 1.0,  # from the centre to each quote
    "volatility_weight": 0.5,  # added to that, per bp of volatility a square root of a second
    "inventory_max": 0.01,  # base currency, long or short
    "skew_bps": 2.0,  # by how much a full inventory moves the centre
}
STATES = 0
INSTRUMENTS = 1
TIMER_S = 0.0
ON_GAP = "reset"  # the bars of a gap are flat, and a volatility too low quotes too near

_MICROPRICE = FEATURES.index("microprice_bps")
_VOLATILITY = FEATURES.index("volatility_bps")
_QTY, _HALF_SPREAD, _VOLATILITY_WEIGHT, _INVENTORY, _SKEW = range(5)
BID_LEVEL = 0
ASK_LEVEL = 1


@njit(cache=True)
def decide(
    now_ns: int,  # noqa: ARG001
    why: int,  # noqa: ARG001
    rows: Any,
    book: Any,
    position: Any,
    working: Any,  # noqa: ARG001
    account: Any,  # noqa: ARG001
    state: Any,  # noqa: ARG001
    params: Any,
    out: Any,
) -> int:
    """Want a bid at level 0 and an ask at level 1; nothing while the features are not warm."""
    bid, ask = book[0, 0, 0, 0], book[0, 1, 0, 0]
    half_bps = params[_HALF_SPREAD] + params[_VOLATILITY_WEIGHT] * rows[0, _VOLATILITY]
    shift_bps = rows[0, _MICROPRICE]
    if not (bid > 0 and ask > 0 and abs(half_bps) < 1e4 and abs(shift_bps) < 1e4):
        return 0
    held = position[0, P_QTY]
    lean = min(max(held / params[_INVENTORY], -1.0), 1.0)
    centre = 0.5 * (bid + ask) * (1.0 + (shift_bps - lean * params[_SKEW]) * 1e-4)
    n = _quote(out, 0, BUY, BID_LEVEL, min(bid, centre * (1.0 - half_bps * 1e-4)), params, held)
    return _quote(out, n, SELL, ASK_LEVEL, max(ask, centre * (1.0 + half_bps * 1e-4)), params, held)


@njit(cache=True)
def _quote(out: Any, n: int, side: int, level: int, price: float, params: Any, held: float) -> int:
    """Append one quote of what the inventory still allows; return the count of rows."""
    qty = min(params[_QTY], params[_INVENTORY] - side * held)
    # a sliver of a quote is not worth its message
    if qty < 0.5 * params[_QTY]:
        return n
    out[n, O_KIND] = REST
    out[n, O_INSTRUMENT] = 0
    out[n, O_LEVEL] = level
    out[n, O_SIDE] = side
    out[n, O_PRICE] = price
    out[n, O_QTY] = qty
    return n + 1
