"""How far an instrument's ticks lag behind the exchange's stamps, above the lowest lag of the last minutes.

A lag, wire_ns - exch_ns, crosses two clocks: it holds their difference, and may be negative. Compared with
the lowest of a window it does not, as long as neither clock is set: what is above that is queues, at the
exchange, on the way or in our own socket. The window is a ring of short spans, each with its minimum.

    look_at(rings, lags, i)     after the ticks that came since the last look (kernels.outlook asks for all)

A lag that lasts longer than the window becomes the lowest, and is no longer seen. A clock of ours that is set
forward looks like one for as long.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.ring import CAPACITY, MASK

#: the window: so many spans of so long
SPANS: Final = 10
SPAN_NS: Final = 30_000_000_000
#: no tick that the exchange stamped has come within the window
UNKNOWN: Final = -1
_NONE: Final = 1 << 62

LAG: Final = np.dtype(
    [
        ("seen", "i8"),  # ticks of the ring that were looked at
        ("span", "i8"),  # the newest span: wire_ns // SPAN_NS
        ("newest_ns", "i8"),  # the lag of the newest tick that was stamped
        ("lowest_ns", "i8", (SPANS,)),  # by span % SPANS; _NONE where nothing came
    ],
    align=True,
)


def new_lags(instruments: int) -> NDArray[np.void]:
    """Return what `look` keeps of each instrument."""
    lags = np.zeros(instruments, dtype=LAG)
    lags["lowest_ns"] = _NONE
    return lags


@njit(cache=True)
def look_at(rings: Any, lags: Any, i: int) -> int:
    """Take what came; return how far the newest stamped tick is above the window's lowest lag, or UNKNOWN."""
    ring, lag = rings[i], lags[i]
    lowest = lag.lowest_ns
    # who looks now and then reads what is left; nobody decides by it, so it is no overflow
    for number in range(max(lag.seen, ring.head - CAPACITY), ring.head):
        tick = ring.rows[number & MASK]
        if tick.exch_ns == 0:
            continue
        span = tick.wire_ns // SPAN_NS
        if span != lag.span:
            # a clock that was set back begins anew
            gone = min(span - lag.span, SPANS) if span > lag.span else SPANS
            for k in range(gone):
                lowest[(span - k) % SPANS] = _NONE
            lag.span = span
        lag.newest_ns = tick.wire_ns - tick.exch_ns
        lowest[span % SPANS] = min(lowest[span % SPANS], lag.newest_ns)
    lag.seen = ring.head
    least = lowest.min()
    return UNKNOWN if least == _NONE else int(lag.newest_ns - least)
