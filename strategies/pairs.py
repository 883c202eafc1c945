"""Trade the spread of two instruments back to its mean: the dear one is sold, the cheap one is bought.

The spread is log(mid 0) - beta * log(mid 1); its mean and deviation forget by a half-life in time. Beyond
`enter` deviations both legs are taken for the same notional (the second times beta), sized once; within
`leave` both are closed; beyond `stop` too, and then nothing is opened until the spread has come back within
`leave`. On spot only the bought leg is possible, and the sold one is clamped to flat.
"""

import math
from typing import Any

from numba import njit

from kernels.dtypes import NO_OPINION, O_INSTRUMENT, O_KIND, O_PRICE, O_QTY, P_QTY, TARGET

PARAMS = {
    "notional": 100.0,  # quote currency a leg
    "beta": 1.0,
    "half_life_s": 300.0,
    "warm_s": 120.0,  # seconds of spread seen before the first trade
    "enter": 2.0,  # deviations
    "leave": 0.5,
    "stop": 6.0,
    "slip_bps": 5.0,
}
STATES = 8
INSTRUMENTS = 2
TIMER_S = 1.0
ON_GAP = "mark"  # its mean forgets by time, and two minutes of warm-up would miss the next turn

_NOTIONAL, _BETA, _HALF_LIFE, _WARM, _ENTER, _LEAVE, _STOP, _SLIP = range(8)
# state: mean and variance of the spread, since when (s), last seen (s), side of the spread held (+1 bought),
# whether it was stopped out, quantities of the legs
_MEAN, _VARIANCE, _SINCE, _LAST, _SIDE, _STOPPED, _QTY_0, _QTY_1 = range(8)


@njit(cache=True)
def decide(
    now_ns: int,
    why: int,  # noqa: ARG001
    rows: Any,  # noqa: ARG001
    book: Any,
    position: Any,
    working: Any,  # noqa: ARG001
    account: Any,  # noqa: ARG001
    state: Any,
    params: Any,
    out: Any,
) -> int:
    """Want both legs of the side held, or none; no opinion until the spread of two known markets is warm."""
    mid_0 = 0.5 * (book[0, 0, 0, 0] + book[0, 1, 0, 0])
    mid_1 = 0.5 * (book[1, 0, 0, 0] + book[1, 1, 0, 0])
    if not (mid_0 > 0 and mid_1 > 0):
        return NO_OPINION
    spread = math.log(mid_0) - params[_BETA] * math.log(mid_1)
    score = _observe(now_ns * 1e-9, spread, state, params)
    if not abs(score) < 1e9:
        return NO_OPINION
    _turn(score, mid_0, mid_1, state, params)
    for leg in range(2):
        qty = state[_SIDE] * (state[_QTY_0] if leg == 0 else -state[_QTY_1])
        direction = 1.0 if qty > position[leg, P_QTY] else -1.0
        touch = book[leg, 1, 0, 0] if direction > 0 else book[leg, 0, 0, 0]
        out[leg, O_KIND] = TARGET
        out[leg, O_INSTRUMENT] = leg
        out[leg, O_PRICE] = touch * (1.0 + direction * params[_SLIP] * 1e-4)
        out[leg, O_QTY] = qty
    return 2


@njit(cache=True)
def _observe(now_s: float, spread: float, state: Any, params: Any) -> float:
    """Take the spread in; return how many deviations it is from its mean, NaN while not warm."""
    if state[_SINCE] == 0.0:
        state[_SINCE] = state[_LAST] = now_s
        state[_MEAN] = spread
        return math.nan
    away = spread - state[_MEAN]
    deviation = math.sqrt(state[_VARIANCE])
    weight = 1.0 - 0.5 ** (max(now_s - state[_LAST], 0.0) / params[_HALF_LIFE])
    state[_LAST] = now_s
    state[_MEAN] += weight * away
    state[_VARIANCE] = (1.0 - weight) * (state[_VARIANCE] + weight * away * away)
    if now_s - state[_SINCE] < params[_WARM] or deviation == 0.0:
        return math.nan
    return float(away / deviation)


@njit(cache=True)
def _turn(score: float, mid_0: float, mid_1: float, state: Any, params: Any) -> None:
    """Open, keep or close the side held."""
    if abs(score) < params[_LEAVE]:
        state[_SIDE] = 0.0
        state[_STOPPED] = 0.0
    elif abs(score) > params[_STOP]:
        state[_STOPPED] = 1.0
        state[_SIDE] = 0.0
    elif abs(score) > params[_ENTER] and state[_SIDE] == 0.0 and state[_STOPPED] == 0.0:
        state[_SIDE] = -1.0 if score > 0 else 1.0
        # sized once: a quantity that followed the price would be traded at every tick
        state[_QTY_0] = params[_NOTIONAL] / mid_0
        state[_QTY_1] = params[_NOTIONAL] * params[_BETA] / mid_1
