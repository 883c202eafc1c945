"""Where a feed leaves its ticks for the strategies: one ring of typed ticks an instrument.

A feed pushes every trade and quote as it comes; whoever follows an instrument remembers how many it has
taken (`seen`) and takes the rest in one compiled call, at the end of a drain or when CAPACITY have come. So a
burst of a thousand ticks costs a strategy a few calls, and an ordinary tick the one call that decides.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.dtypes import QUOTE, TICK

#: ticks kept, a power of two
CAPACITY: Final = 256
MASK: Final = CAPACITY - 1

RING: Final = np.dtype(
    [
        ("head", "i8"),  # ticks that ever came
        ("overflow", "i8"),  # ticks that somebody came too late for
        ("turns", "i8"),  # ticks that were decided on in the call that read them (daemon/compile.py)
        ("quote", TICK),  # the newest; its prices are NaN before the first
        ("rows", TICK, (CAPACITY,)),  # tick n is row n & MASK
    ]
)


def new_rings(instruments: int) -> NDArray[np.void]:
    """Return an empty ring for each instrument; the prices of a quote that never came are NaN."""
    rings = np.zeros(instruments, dtype=RING)
    for price in ("a", "c"):
        rings["quote"][price] = np.nan
    return rings


@njit(cache=True, forceinline=True)
def fill(
    tick: Any, kind: int, wire_ns: int, exch_ns: int, number: int, a: float, b: float, c: float, d: float
) -> None:
    """Write one TICK."""
    tick.kind = kind
    tick.wire_ns = wire_ns
    tick.exch_ns = exch_ns
    tick.id = number
    tick.a = a
    tick.b = b
    tick.c = c
    tick.d = d


@njit(cache=True)
def push(
    rings: Any,
    instrument: int,
    kind: int,
    wire_ns: int,
    exch_ns: int,
    number: int,
    a: float,
    b: float,
    c: float,
    d: float,
) -> int:
    """Add a trade or a quote; return how many ever came. Everybody has to take each CAPACITY of them."""
    ring = rings[instrument]
    fill(ring.rows[ring.head & MASK], kind, wire_ns, exch_ns, number, a, b, c, d)
    if kind == QUOTE:
        fill(ring.quote, kind, wire_ns, exch_ns, number, a, b, c, d)
    ring.head += 1
    return int(ring.head)


@njit(cache=True, forceinline=True)
def first_unseen(ring: Any, seen: int) -> int:
    """Return the first tick that who has `seen` so many is to take; what was overwritten is counted."""
    oldest = ring.head - CAPACITY
    if seen >= oldest:
        return seen
    ring.overflow += oldest - seen
    return int(oldest)
