"""Dividing time into what a model learns from and what it is judged on, so that neither sees the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Split(NamedTuple):
    """Indices of the rows on either side; together fewer than all, as the rows between belong to neither."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def walk_forward(at_ns: NDArray[np.int64], folds: int, horizon_ns: int, embargo_ns: int) -> list[Split]:
    """Divide the time into `folds` + 1 equal parts; each but the first is judged on by what came before it.

    at_ns int64[n] ascending; purged and embargoed as `holdout` does. Raises ValueError where a side would be
    empty.
    """
    if folds < 1:
        raise ValueError(f"there must be at least one fold, not {folds}")
    if len(at_ns) == 0:
        raise ValueError("there are no rows to split")
    begin_ns, span_ns = int(at_ns[0]), int(at_ns[-1] - at_ns[0])
    splits = []
    for number in range(1, folds + 1):
        border_ns, end_ns = (begin_ns + span_ns * part // (folds + 1) for part in (number, number + 1))
        train = np.flatnonzero(at_ns + horizon_ns < border_ns)
        test = np.flatnonzero((at_ns >= border_ns + embargo_ns) & (at_ns <= end_ns))
        if not len(train) or not len(test):
            raise ValueError(
                f"the rows span too little time for {folds} folds with this horizon and embargo; train on a "
                "longer period, or on fewer folds"
            )
        splits.append(Split(train, test))
    return splits


def holdout(at_ns: NDArray[np.int64], test_share: float, horizon_ns: int, embargo_ns: int) -> Split:
    """Keep the last `test_share` of the time for the test, and purge what would leak into it.

    at_ns int64[n] ascending. A row's label looks `horizon_ns` ahead: rows whose label would reach the test
    are purged. What the features remember of the training's last ticks fades during `embargo_ns`: the test
    begins that much later. Raises ValueError where either side would be empty.
    """
    if not 0.0 < test_share < 1.0:
        raise ValueError(f"the test's share must lie between 0 and 1, not {test_share}")
    if len(at_ns) == 0:
        raise ValueError("there are no rows to split")
    border_ns = int(at_ns[-1]) - int((at_ns[-1] - at_ns[0]) * test_share)
    train = np.flatnonzero(at_ns + horizon_ns < border_ns)
    test = np.flatnonzero(at_ns >= border_ns + embargo_ns)
    if not len(train) or not len(test):
        raise ValueError(
            "the rows span too little time for this horizon and embargo; train on a longer period"
        )
    return Split(train, test)
