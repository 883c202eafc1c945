"""What a model is asked to foresee: labels from the quotes that came after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def forward_return_bps(
    at_ns: NDArray[np.int64], quote_ns: NDArray[np.int64], mid: NDArray[np.float64], horizon_ns: int
) -> NDArray[np.float64]:
    """Return what mid did in the `horizon_ns` after each time, in basis points.

    at_ns int64[n]: when a decision is made; quote_ns int64[m] ascending and mid float64[m]: the quotes.
    Mid is what was last quoted at a time, so nothing of the label was known at `at_ns`. NaN where no quote
    came before `at_ns`, or where the last quote came before the horizon ends.
    """
    now = np.searchsorted(quote_ns, at_ns, side="right") - 1
    then = np.searchsorted(quote_ns, at_ns + horizon_ns, side="right") - 1
    known = (now >= 0) & (at_ns + horizon_ns <= (quote_ns[-1] if len(quote_ns) else -1))
    result = np.full(len(at_ns), np.nan)
    result[known] = (mid[then[known]] / mid[now[known]] - 1.0) * 1e4
    return result


def went_up(return_bps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1.0 where mid rose, 0.0 where it fell, NaN where it did neither or is not known."""
    return np.where(return_bps > 0.0, 1.0, np.where(return_bps < 0.0, 0.0, np.nan))
