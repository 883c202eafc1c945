"""Trade a model's prediction: long or short when it leaves a band around its centre, for its horizon.

The prediction is the last column of `rows`: a probability of rising (centre 0.5), or an expected move in
basis points (centre 0). Each prediction beyond the band starts the horizon anew; when it runs out, or the
other side is predicted, the position is closed or turned. On spot a short is clamped to flat.
"""

from typing import Any

from numba import njit

from kernels.dtypes import NO_OPINION, O_INSTRUMENT, O_KIND, O_PRICE, O_QTY, P_QTY, TARGET

PARAMS = {
    "qty": 0.001,  # base currency to be long or short
    "centre": 0.5,  # the prediction that means nothing
    "band": 0.1,  # how far from it one must be to act
    "horizon_s": 5.0,  # how long one holds, as the model was trained
    "slip_bps": 5.0,  # worst price: so far through the other side of the market
}
STATES = 2
INSTRUMENTS = 1
TIMER_S = 0.25
ON_GAP = "reset"  # a model knows only rows without gaps

_QTY, _CENTRE, _BAND, _HORIZON, _SLIP = range(5)
_SIDE, _UNTIL_NS = range(2)


@njit(cache=True)
def decide(
    now_ns: int,
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
    """Want the side that was predicted last, until its horizon ends; state is that side and that end."""
    signal = rows[0, -1] - params[_CENTRE]
    if signal > params[_BAND]:
        state[_SIDE] = 1.0
        state[_UNTIL_NS] = now_ns + params[_HORIZON] * 1e9
    elif signal < -params[_BAND]:
        state[_SIDE] = -1.0
        state[_UNTIL_NS] = now_ns + params[_HORIZON] * 1e9
    elif now_ns >= state[_UNTIL_NS]:
        state[_SIDE] = 0.0
    wanted = state[_SIDE] * params[_QTY]
    direction = 1.0 if wanted > position[0, P_QTY] else -1.0
    touch = book[0, 1, 0, 0] if direction > 0 else book[0, 0, 0, 0]
    if not touch > 0:
        return NO_OPINION
    out[0, O_KIND] = TARGET
    out[0, O_INSTRUMENT] = 0
    out[0, O_PRICE] = touch * (1.0 + direction * params[_SLIP] * 1e-4)
    out[0, O_QTY] = wanted
    return 1
