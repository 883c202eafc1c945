"""From ticks to judged actions: what live, paper, replay and backtest all run.

    absorb(mem, rings, i)                                      the ticks that wait in instrument i's ring
    book(mem, rings, i, levels, tick_size, lot_size, wire_ns)  those, then a change of the depth
    prepare(mem, rings, account, now_ns)                       once a drain: every ring absorbed, and the rows
    predict(mem, nodes, roots, bits)                           a model's column of the rows (kernels.forest)
    wanted = decide(now_ns, why, rows, book, position, working, account, state, params, out)
    n = finish(mem, wanted, now_ns)                            then do mem["actions"][0, :n]

Where one strategy alone follows one instrument, a frame that is all there was to read takes a `turn`: read,
prepare, decide and finish in one call. Almost every frame changes nothing, and then costs that call alone.

`mem` is an array of length 1 of kernels.dtypes.memory_dtype, `i` the instrument's row in it, `rings` the
feed's (kernels.ring), `account` what many strategies see of the account, of which each decides on a copy.
`decide` is called by its name in a generated function around these (daemon/compile.py), or from Python
between them: passed as an argument it would keep its caller out of the disk cache.

n >= 0 counts the actions, each approved or with its X_REFUSAL. n < 0 is one of kernels.reconcile's FAULT_*:
the strategy broke its contract, nothing is to be sent, and it must not be asked again.
"""

import math
from typing import Any, Final

import numpy as np
from numba import njit

from kernels import digest, features, forest, limits, reconcile
from kernels.book import top
from kernels.dtypes import BOOK_LEVELS, P_AVG_PRICE, P_QTY, P_UNREALISED, QUOTE, WHY_DRAIN
from kernels.feature_state import F_MEAN, F_QUOTE
from kernels.indicators import WINDOW_HEAD
from kernels.prefetch import ask
from kernels.ring import MASK, first_unseen

#: a turn's answer beside what `finish` returns: the frame was not read, and nothing was done
TURN_MISS: Final = -100
#: a bit of it: the ring is full, and whoever else follows the instrument has to take what waits
TURN_FULL: Final = 1 << 20
#: of an instrument's floats, at each tick: what follows is windows, of which one place is
_FLOATS_TOUCHED: Final = F_MEAN + WINDOW_HEAD
#: why a turn asks; numpy's, because numba compiles a version for each plain constant
TURN_WHY: Final[Any] = np.int64(WHY_DRAIN)


@njit(cache=True, forceinline=True)
def fetch(mem: Any) -> None:
    """Ask for what a turn will touch of the memory of one instrument, while its frame is read."""
    m = mem[0]
    ask(mem.ctypes.data, m.feature_f.ctypes.data - mem.ctypes.data + 8 * _FLOATS_TOUCHED)
    ask(m.feature_i.ctypes.data, m.actions.ctypes.data - m.feature_i.ctypes.data)


@njit(cache=True, forceinline=True)
def absorb(mem: Any, rings: Any, i: int) -> None:
    """Take the ticks of instrument i that wait: its features step, a quote becomes level 0 of its book."""
    m = mem[0]
    ring = rings[m.ring[i]]
    for number in range(first_unseen(ring, m.seen[i]), ring.head):
        tick = ring.rows[number & MASK]
        features.step(m.feature_f[i], m.feature_i[i], tick.kind, tick.wire_ns, tick.a, tick.b, tick.c, tick.d)
        if tick.kind == QUOTE:
            _set_touch(m.book[i, 0], tick.a, tick.b, 1)
            _set_touch(m.book[i, 1], tick.c, tick.d, -1)
    m.seen[i] = ring.head


@njit(cache=True)
def book(mem: Any, rings: Any, i: int, levels: Any, tick_size: float, lot_size: float, wire_ns: int) -> None:
    """Take the ticks before it, then the changed book (kernels.book), and step its features."""
    absorb(mem, rings, i)
    m = mem[0]
    f = m.feature_f[i]
    shown = m.book[i]
    top(levels, f[F_QUOTE], f[F_QUOTE + 1], f[F_QUOTE + 2], f[F_QUOTE + 3], tick_size, lot_size, shown)
    features.step_book(f, m.feature_i[i], wire_ns, shown)


@njit(cache=True)
def prepare(mem: Any, rings: Any, account: Any, now_ns: int) -> None:
    """Take what waits, and write what decide reads: each instrument's features, its position at mid."""
    m = mem[0]
    m.now_ns = now_ns
    m.account[:] = account
    last = m.rows.shape[1] - 1
    for i in range(m.rows.shape[0]):
        absorb(mem, rings, i)
        features.row(m.feature_f[i], m.feature_i[i], now_ns, m.rows[i, :last])
        position = m.position[i]
        mid = 0.5 * (m.book[i, 0, 0, 0] + m.book[i, 1, 0, 0])
        if position[P_QTY] == 0:
            position[P_UNREALISED] = 0.0
        elif mid > 0:
            position[P_UNREALISED] = position[P_QTY] * (mid - position[P_AVG_PRICE])


@njit(cache=True)
def predict(mem: Any, nodes: Any, roots: Any, bits: Any) -> None:
    """Write the model's prediction into the last column of each row; without a model it stays NaN."""
    rows = mem[0].rows
    for i in range(rows.shape[0]):
        rows[i, rows.shape[1] - 1] = forest.predict(nodes, roots, bits, rows[i])


@njit(cache=True)
def finish(mem: Any, wanted: int, now_ns: int) -> int:
    """Digest what decide saw and wants, reconcile it, judge each action; return how many, or a FAULT_*."""
    m = mem[0]
    m.wanted = wanted
    m.decisions += 1
    acc = digest.mix_int(m.digest, now_ns)
    for i in range(m.rows.shape[0]):
        acc = digest.mix(acc, m.rows[i])
    acc = digest.mix_int(acc, wanted)
    for r in range(min(wanted, len(m.out))):
        acc = digest.mix(acc, m.out[r])
    m.digest = acc
    position, working, book, rules, actions = m.position[:], m.working[:], m.book[:], m.rules[:], m.actions[:]
    n = reconcile.reconcile(
        now_ns, wanted, m.out[:], position, working, book, rules, actions, m.clamped[:], m.plan[:]
    )
    if n > 0:  # the call alone costs 30 ns, and most drains want nothing
        limits.check(n, actions, position, working, book, rules, m.limits[:], m.gate[:], m.account[:])
    return int(n)


@njit(cache=True, forceinline=True)
def _set_touch(side: Any, price: float, qty: float, sign: int) -> None:
    """Make a quote level 0 of one side and drop the levels that it shows to be gone; sign is +1 for bids.

    The deeper levels are as of the last depth update, which is older: those not strictly behind the quote are
    stale. An empty level is a NaN price and no quantity.
    """
    gone = 1
    while gone < BOOK_LEVELS and (side[gone, 0] - price) * sign >= 0:
        gone += 1
    if gone > 1:
        for level in range(1, BOOK_LEVELS):
            source = level + gone - 1
            inside = source < BOOK_LEVELS
            side[level, 0] = side[source, 0] if inside else math.nan
            side[level, 1] = side[source, 1] if inside else 0.0
    side[0, 0] = price
    side[0, 1] = qty
