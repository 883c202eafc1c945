"""A strategy that wants what a test told it to want.

In a folder of its own: what lies beside a strategy counts as a part of it, and is imported anew with it.
"""

from __future__ import annotations

from kernels import dtypes as d
from tests.failures.stage import standing

PARAMS: dict[str, float] = {}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.1


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    """Want it."""
    if not book[0, 0, 0, 0] > 0 or not book[0, 1, 0, 0] > 0:
        return d.NO_OPINION
    for n, row in enumerate(standing):
        out[n] = row
    return len(standing)
