"""The bench's strategy: one order for each new mark, its size from the model, its price the mark again.

The position alternates between a low and a high band, and within a band it is the prediction: each order is
large enough to be one, whatever the model says.
"""

import math
from typing import Any

from numba import njit

from kernels.dtypes import (
    NO_OPINION,
    O_INSTRUMENT,
    O_KIND,
    O_PRICE,
    O_QTY,
    P_QTY,
    SLOT_EMPTY,
    TARGET,
    W_STATE,
    WORKING_SLOTS,
)

PARAMS: dict[str, float] = {}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0

_MARK = 0
#: lots of 0.00001: where the bands begin, and how many a band has
LOW_LOTS = 10_000
HIGH_LOTS = 30_000
BAND_LOTS = 10_000
_LOT = 1e-5
#: a buy's worst price is so much and the mark's ticks of 0.01: far enough from the market to be taken always
BUY_BASE = 62_000.0
SELL_BASE = 57_000.0


@njit(cache=True)
def decide(
    now_ns: int,  # noqa: ARG001
    why: int,  # noqa: ARG001
    rows: Any,
    book: Any,
    position: Any,
    working: Any,
    account: Any,  # noqa: ARG001
    state: Any,
    params: Any,  # noqa: ARG001
    out: Any,
) -> int:
    """Want the position that the prediction names, once for each mark; state is the mark served last."""
    qty = book[0, 0, 0, 1]
    mark = math.floor((qty - math.floor(qty)) * 1e5 + 0.5)
    if not mark > 0 or mark == state[_MARK]:
        return NO_OPINION
    for slot in range(WORKING_SLOTS):
        if working[0, slot, W_STATE] != SLOT_EMPTY:
            return NO_OPINION  # its fill wakes us
    state[_MARK] = mark
    buys = position[0, P_QTY] < (LOW_LOTS + BAND_LOTS) * _LOT
    lots = math.floor(min(max(rows[0, -1], 0.0), 1.0) * (BAND_LOTS - 1))
    out[0, O_KIND] = TARGET
    out[0, O_INSTRUMENT] = 0
    out[0, O_PRICE] = (BUY_BASE if buys else SELL_BASE) + mark * 0.01
    out[0, O_QTY] = ((HIGH_LOTS if buys else LOW_LOTS) + lots) * _LOT
    return 1
