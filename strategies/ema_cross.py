"""Follow the trend: long while the fast average of mid stands above the slow one, short while below.

The two averages are the feature `ema_spread_bps` (spans by tuning `ema_fast`, `ema_slow`). It must leave a
band around zero to open a position and to turn one, so that noise around the crossing costs nothing. On
spot a short is clamped to flat.
"""

from typing import Any

from numba import njit

from kernels.dtypes import NO_OPINION, O_INSTRUMENT, O_KIND, O_PRICE, O_QTY, P_QTY, TARGET
from kernels.features import FEATURES

PARAMS = {
    "qty": 0.001,  # base currency to be long or short
    "band_bps": 0.2,  # how far the spread of the averages must go beyond zero
    "slip_bps": 5.0,  # worst price: so far through the other side of the market
}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0
ON_GAP = "mark"  # averages of mid go on from where the market was

_SPREAD = FEATURES.index("ema_spread_bps")
_QTY, _BAND, _SLIP = range(3)


@njit(cache=True)
def decide(
    now_ns: int,  # noqa: ARG001
    why: int,  # noqa: ARG001
    rows: Any,
    book: Any,
    position: Any,
    working: Any,  # noqa: ARG001
    account: Any,  # noqa: ARG001
    state: Any,
    params: Any,
    out: Any,
) -> int:
    """Want the side that the averages crossed to last; state[0] is +1, -1, or 0 before the first crossing."""
    spread = rows[0, _SPREAD]
    if not abs(spread) < 1e9:  # NaN: the averages are not warm
        return NO_OPINION
    if spread > params[_BAND]:
        state[0] = 1.0
    elif spread < -params[_BAND]:
        state[0] = -1.0
    side = state[0]
    wanted = side * params[_QTY]
    direction = 1.0 if wanted > position[0, P_QTY] else -1.0
    touch = book[0, 1, 0, 0] if direction > 0 else book[0, 0, 0, 0]
    if side == 0.0 or not touch > 0:
        return NO_OPINION
    out[0, O_KIND] = TARGET
    out[0, O_INSTRUMENT] = 0
    out[0, O_PRICE] = touch * (1.0 + direction * params[_SLIP] * 1e-4)
    out[0, O_QTY] = wanted
    return 1
