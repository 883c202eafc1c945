"""Feature rows of a record, as a strategy that is asked at each drain would see them: what models learn from.

    run(mem, account, test, front, ..., trips, found, rows, at_ns, mids, mid_ns, limit) -> what is missing

It is the loop of a compiled backtest (kernels.backtest) with nobody to decide: the machine that tries a model
also makes these rows, gaps and books included, so none of them can differ.
"""

from typing import Any, Final

import numpy as np
from numba import njit

from kernels import backtest, pipeline
from kernels.dtypes import R_LOT_SIZE, R_TICK_SIZE
from kernels.gates import NO

#: what a run counts, in an array of length 1
FOUND: Final = np.dtype(
    [
        ("every", "i8"),  # of so many decisions one row is kept
        ("lead_ns", "i8"),  # none of so long after the beginning and after a gap
        ("warm_ns", "i8"),  # the end of that
        ("asked", "i8"),  # decisions since then
        ("rows", "i8"),  # kept in this call
        ("mids", "i8"),  # likewise
        ("mid", "f8"),  # the newest
    ],
    align=True,
)


@njit(cache=True, nogil=True)
def run(
    mem: Any,
    account: Any,
    test: Any,
    front: Any,
    matcher: Any,
    rings: Any,
    book: Any,
    shown: Any,
    scratch: Any,
    events: Any,
    levels: Any,
    trips: Any,
    found: Any,
    rows: Any,
    at_ns: Any,
    mids: Any,
    mid_ns: Any,
) -> int:
    """Go on until something is missing, and say what.

    found: FOUND. rows: float64[n, F] and at_ns int64[n], the rows kept and when; mids: float64[m] and mid_ns
    int64[m], what the middle of the market became and when. Both have room for all that the events can bring.
    """
    m, f = mem[0], found[0]
    while True:
        why = backtest.advance(test, front, matcher, rings, book, shown, scratch, events, levels, trips)
        if why > 0:
            now_ns = test[0].decide_ns
            pipeline.prepare(mem, rings, account, now_ns)
            mid = 0.5 * (m.book[0, 0, 0, 0] + m.book[0, 1, 0, 0])
            if mid > 0 and mid != f.mid:
                f.mid = mid
                mids[f.mids] = mid
                mid_ns[f.mids] = now_ns
                f.mids += 1
            if now_ns >= f.warm_ns:
                if f.asked % f.every == 0:
                    rows[f.rows] = m.rows[0, : rows.shape[1]]
                    at_ns[f.rows] = now_ns
                    f.rows += 1
                f.asked += 1
            backtest.answer(test, front, trips, m.actions[:], 0)
        elif why == backtest.TELL_BOOK:
            t = test[0]
            pipeline.book(mem, rings, NO, book, t.rules[R_TICK_SIZE], t.rules[R_LOT_SIZE], t.book_ns)
        else:
            if why == backtest.FORGET:
                f.warm_ns = test[0].now_ns + f.lead_ns
            return int(why)
