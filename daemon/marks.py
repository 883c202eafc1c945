"""What is held, valued at the newest mid of its instrument: ten times a second, and at fills.

Not at every quote: it costs as much as a decision, and the kernels mark each strategy's own position for
themselves.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from daemon.entry import bound
from kernels import outlook

if TYPE_CHECKING:
    from daemon.orders.portfolio import Portfolio
    from daemon.touch import Touch


class Marks:
    """Brings the portfolio up to the touch."""

    def __init__(self, instruments: int, touch: Touch, portfolio: Portfolio) -> None:
        self._touch = touch
        self._portfolio = portfolio
        self._mids = np.full(instruments, np.nan)  # that each was valued at last, where it is quoted
        self._changed = np.zeros(instruments, dtype=np.int64)
        self._take_mids = bound(outlook.mids)

    def one(self, instrument: int, *, show: bool = True) -> None:
        """Value what is held of an instrument; show: as of Portfolio.mark."""
        bid, ask = self._touch(instrument)
        self._mids[instrument] = mid = 0.5 * (bid + ask)
        self._portfolio.mark(instrument, mid, show=show)

    def all(self) -> None:
        """Value everything whose mid has changed; where nothing is quoted, at the book's."""
        count = self._take_mids(self._touch.rings, self._mids, self._changed)
        if not count:
            return
        changed, mids = self._changed[:count].tolist(), self._mids.tolist()
        for instrument in changed:
            if isnan(mids[instrument]):
                bid, ask = self._touch(instrument)
                mids[instrument] = 0.5 * (bid + ask)
        self._portfolio.mark_all(changed, mids)
