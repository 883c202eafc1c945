"""From ticks to judged actions: what live, paper, replay and backtest all run.

    tick(mem, i, kind, wire_ns, a, b, c, d)                    every trade and quote, in order
    book(mem, i, levels, tick_size, lot_size, wire_ns)         every change of the depth, likewise
    drain(decide, mem, nodes, roots, bits, now_ns, why) -> n   once a drain; then do mem["actions"][0, :n]

`mem` is an array of length 1 of kernels.dtypes.memory_dtype, `i` the instrument's row in it; `nodes`, `roots`
and `bits` are the model of kernels.forest (its NO_* without one). `decide` is a first-class function of
strategies.base.DECIDE_TYPE. One that is known when the caller is compiled, or is plain Python, runs between
the two halves of `drain` (a dispatcher passed as an argument would keep the caller out of the disk cache):

    prepare(mem, nodes, roots, bits, now_ns)
    wanted = decide(now_ns, why, rows, book, position, working, account, state, params, out)
    n = finish(mem, wanted, now_ns)

n >= 0 counts the actions, each approved or with its X_REFUSAL. n < 0 is one of kernels.reconcile's FAULT_*:
the strategy broke its contract, nothing is to be sent, and it must not be asked again.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from kernels import digest, features, forest, limits, reconcile
from kernels.book import top
from kernels.dtypes import BOOK_LEVELS, DEPTH, P_AVG_PRICE, P_QTY, P_UNREALISED, QUOTE
from kernels.feature_state import F_QUOTE


@njit(cache=True)
def tick(mem: Any, i: int, kind: int, wire_ns: int, a: float, b: float, c: float, d: float) -> None:
    """Take one tick of instrument i: its features step, and a quote becomes level 0 of its book."""
    m = mem[0]
    features.step(m.feature_f[i], m.feature_i[i], kind, wire_ns, a, b, c, d)
    if kind == QUOTE:
        _set_touch(m.book[i, 0], a, b, 1)
        _set_touch(m.book[i, 1], c, d, -1)


@njit(cache=True)
def book(mem: Any, i: int, levels: Any, tick_size: float, lot_size: float, wire_ns: int) -> None:
    """Take the changed book of instrument i (`levels`: a BOOK array of length 1), and step its features."""
    m = mem[0]
    f = m.feature_f[i]
    shown = m.book[i]
    top(levels, f[F_QUOTE], f[F_QUOTE + 1], f[F_QUOTE + 2], f[F_QUOTE + 3], tick_size, lot_size, shown)
    bid_qty = 0.0
    ask_qty = 0.0
    for level in range(BOOK_LEVELS):
        bid_qty += shown[0, level, 1]
        ask_qty += shown[1, level, 1]
    # a constant as it is would have a type of its own, and step be compiled for that too
    kind: Any = np.int64(DEPTH)
    features.step(f, m.feature_i[i], kind, wire_ns, shown[0, 0, 0], bid_qty, shown[1, 0, 0], ask_qty)


@njit(cache=True)
def drain(decide: Any, mem: Any, nodes: Any, roots: Any, bits: Any, now_ns: int, why: int) -> int:
    """Fill the rows, ask decide, and write what to do into `actions`; return how many, or a FAULT_*."""
    prepare(mem, nodes, roots, bits, now_ns)
    m = mem[0]
    # [:] makes plain arrays of the record's, whose shapes are part of their type: what takes them is compiled
    # once for all strategies, and a first-class decide can take them at all
    wanted = decide(
        now_ns,
        why,
        m.rows[:],
        m.book[:],
        m.position[:],
        m.working[:],
        m.account[:],
        m.state[:],
        m.params[:],
        m.out[:],
    )
    return finish(mem, wanted, now_ns)


@njit(cache=True)
def prepare(mem: Any, nodes: Any, roots: Any, bits: Any, now_ns: int) -> None:
    """Write what decide reads: each instrument's features, the prediction, and the position marked at mid."""
    m = mem[0]
    m.now_ns = now_ns
    last = m.rows.shape[1] - 1
    for i in range(m.rows.shape[0]):
        row = m.rows[i]
        features.row(m.feature_f[i], m.feature_i[i], now_ns, row[:last])
        row[last] = forest.predict(nodes, roots, bits, row)
        position = m.position[i]
        mid = 0.5 * (m.book[i, 0, 0, 0] + m.book[i, 1, 0, 0])
        if position[P_QTY] == 0:
            position[P_UNREALISED] = 0.0
        elif mid > 0:
            position[P_UNREALISED] = position[P_QTY] * (mid - position[P_AVG_PRICE])


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
    n = reconcile.reconcile(now_ns, wanted, m.out[:], position, working, book, rules, actions, m.clamped[:])
    limits.check(n, actions, position, working, book, rules, m.limits[:], m.gate[:], m.account[:])
    return int(n)


@njit(cache=True)
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
