"""What is held, valued at the newest mid of its instrument: ten times a second, and at fills.

Not at every quote: it costs as much as a decision, and the kernels mark each strategy's own position for
themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from daemon.orders.portfolio import Portfolio
    from daemon.touch import Touch


class Marks:
    """Brings the portfolio up to the touch."""

    def __init__(self, instruments: int, touch: Touch, portfolio: Portfolio) -> None:
        self._touch = touch
        self._portfolio = portfolio
        self._mids = np.full(instruments, np.nan)  # that each was valued at last

    def one(self, instrument: int, *, show: bool = True) -> None:
        """Value what is held of an instrument; show: as of Portfolio.mark."""
        bid, ask = self._touch(instrument)
        self._mids[instrument] = mid = 0.5 * (bid + ask)
        self._portfolio.mark(instrument, mid, show=show)

    def all(self) -> None:
        """Value everything whose mid has changed; where nothing is quoted, at the book's."""
        mids = self._touch.mids()
        changed = np.flatnonzero(mids != self._mids)  # NaN always is
        if not len(changed):
            return
        for instrument in np.flatnonzero(np.isnan(mids)).tolist():
            bid, ask = self._touch(instrument)
            mids[instrument] = 0.5 * (bid + ask)
        self._mids = mids
        self._portfolio.mark_all(changed.tolist(), mids.tolist())
