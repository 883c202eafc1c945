"""The bars that wake a strategy: of the trades of each of its instruments, by wire time (kernels.bars).

    take(mem, rings, i)                     the trades that wait in instrument i's ring
    why = close(mem, rings, why, now_ns)    once a drain: all of them; and bars that ended by now_ns close
    ended(mem, now_ns)                      1: a bar being made has ended, and nobody closed it yet

`mem` is as kernels.pipeline has it, with a WAKE for each instrument of a strategy that makes bars. The newest
closed bar stands at the end of `state` (kernels.dtypes.BAR_*), and `why` has WHY_BAR where one closed since
the strategy was last asked. A trade that was received at a bar's end is in the next one. Only what was
received counts, in the order in which it was: live, on paper and in a replay the bars are the same.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kernels import bars
from kernels import dtypes as dt
from kernels.dtypes import TRADE, WHY_BAR
from kernels.ring import MASK, first_unseen

WAKE: Final = np.dtype(
    [
        ("seen", "i8"),  # ticks taken from the ring: of this process
        ("closed", "i8"),  # bars, since the strategy was last asked
        ("made", bars.STATE, (1,)),
        ("out", bars.BAR, (2,)),  # scratch
    ],
    align=True,
)
#: more bars without a trade than this are a market that begins anew
EMPTY_MAX: Final = 100_000


@njit(cache=True)
def take(mem: Any, rings: Any, i: int) -> None:
    """Take the trades of instrument i that wait."""
    m = mem[0]
    wake = m.bars[i]
    ring = rings[m.ring[i]]
    for number in range(first_unseen(ring, wake.seen), ring.head):
        tick = ring.rows[number & MASK]
        if tick.kind == TRADE:
            _skip(wake, tick.wire_ns)
            price = round(tick.a / m.rules[i, dt.R_TICK_SIZE])
            lots = round(tick.b / m.rules[i, dt.R_LOT_SIZE])
            taken = wake.made[0].taken
            while wake.made[0].taken == taken:
                n = bars.step(wake.made[:], tick.wire_ns, price, lots, int(tick.c), tick.id, wake.out[:])
                _show(m, i, n)
    wake.seen = ring.head


@njit(cache=True)
def close(mem: Any, rings: Any, why: int, now_ns: int) -> int:
    """Take what waits, close what ended, and say so; return why the strategy is asked."""
    m = mem[0]
    woken = 0
    for i in range(m.bars.shape[0]):
        take(mem, rings, i)
        wake = m.bars[i]
        _skip(wake, now_ns)
        n = 1
        while n > 0:
            n = bars.close_until(wake.made[:], now_ns, wake.out[:])
            _show(m, i, n)
        m.state[_place(m, i) + dt.BAR_CLOSED] = wake.closed
        if wake.closed > 0:
            woken = WHY_BAR
        wake.closed = 0
    return (why & ~WHY_BAR) | woken


@njit(cache=True)
def ended(mem: Any, now_ns: int) -> int:
    """Return whether a bar being made has ended, 1 or 0: no trade has closed it."""
    m = mem[0]
    for i in range(m.bars.shape[0]):
        made = m.bars[i].made[0]
        if made.begun == 1 and made.bar.end_ns <= now_ns:
            return 1
    return 0


@njit(cache=True)
def _place(m: Any, i: int) -> int:
    """Return where an instrument's bar stands in `state`."""
    return int(m.state.shape[0] - (m.bars.shape[0] - i) * dt.BAR_COLUMNS)


@njit(cache=True)
def _skip(wake: Any, now_ns: int) -> None:
    """Begin anew after a silence of so many bars that closing each would take long."""
    made = wake.made[0]
    if made.begun == 1 and (now_ns - made.bar.end_ns) // made.size > EMPTY_MAX:
        made.begun = 0


@njit(cache=True)
def _show(m: Any, i: int, n: int) -> None:
    """Count the n bars in the scratch, and show the newest."""
    wake = m.bars[i]
    wake.closed += n
    if n == 0:
        return
    bar = wake.out[n - 1]
    at = _place(m, i)
    tick_size, lot_size = m.rules[i, dt.R_TICK_SIZE], m.rules[i, dt.R_LOT_SIZE]
    m.state[at + dt.BAR_OPEN_S] = bar.open_ns / 1e9
    m.state[at + dt.BAR_OPEN] = bar.open * tick_size
    m.state[at + dt.BAR_HIGH] = bar.high * tick_size
    m.state[at + dt.BAR_LOW] = bar.low * tick_size
    m.state[at + dt.BAR_CLOSE] = bar.close * tick_size
    m.state[at + dt.BAR_VOLUME] = bar.lots * lot_size
    m.state[at + dt.BAR_BOUGHT] = bar.buy_lots * lot_size
    m.state[at + dt.BAR_TRADES] = bar.count
    m.state[at + dt.BAR_COMPLETE] = bar.complete
