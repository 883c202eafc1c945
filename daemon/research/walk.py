"""Walk-forward: the best of a part of the record's time, measured on the next part, which it has not seen.

The time from the first event to the last is cut into K + 1 equal parts. In each but the last all points are
tried, and the best is run over the part behind it: a fresh start with its account, its warm-up and the book
as it stands then, as the daemon would begin there. The parts out of sample do not overlap, and put together
they are a record of what choosing so would have earned: each part's account begins anew, so what it gained
is taken as a share of what the parts before it left.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from daemon.errors import UsageError
from daemon.research import statistics
from daemon.research.statistics import Changes
from daemon.research.trial import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.research.packed import Record
    from daemon.research.trial import Tried

#: of all parts together these are sums
_SUMS = ("net", "fees", "turnover", "fills", "round_trips", "won", "placed", "cancelled")


class WalkWindow(msgspec.Struct, kw_only=True):
    """One choice, and what came of it."""

    from_ns: int
    split_ns: int  # what is before it was chosen by, what is not was measured
    until_ns: int  # without itself
    values: dict[str, str] = {}
    in_sample: float | None = None  # the figure that ranks
    out_of_sample: float | None = None
    figures: dict[str, Any] = {}  # out of sample, as of a trial
    unsaid: dict[str, str] = {}
    error: str = ""  # why there are none


class Stitched(msgspec.Struct, kw_only=True):
    """All parts out of sample, one behind the other; what is null, `unsaid` says why."""

    parts: int
    sums: dict[str, float]  # net, fees, turnover, fills, ..
    changes: int
    growth: float | None = None
    sharpe: float | None = None
    sharpe_error: float | None = None
    sortino: float | None = None
    drawdown_share: float | None = None
    unsaid: dict[str, str] = {}


def cut(record: Record, windows: int) -> list[Part]:
    """Return K + 1 equal parts of a record's time; raises UsageError where there is too little."""
    begin, end = record.first_ns, record.last_ns + 1
    if end - begin < windows + 1:
        raise UsageError(f"--walk-forward {windows} cuts finer than the record's time: take fewer parts")
    edges = [begin + (end - begin) * number // (windows + 1) for number in range(windows + 2)]
    edges[0] = -(2**63)  # the first event need not be the earliest
    return [Part(*pair) for pair in pairwise(edges)]


def stitch(tried: Sequence[Tried], point_s: int) -> Stitched:
    """Return what the parts out of sample come to, in the order of their times."""
    sums = {name: sum(getattr(one.result, name) for one in tried) for name in _SUMS}
    some = np.concatenate([np.zeros(0), *(one.changes.some for one in tried)])
    changes = Changes(some, sum(one.changes.still for one in tried), point_s * 10**9)
    times, equity = _chained(tried)
    lowest = min((float(np.min(one.equity, initial=np.inf)) for one in tried), default=np.inf)
    fall = statistics.drawdown(times, equity)
    found = {
        "growth": statistics.growth(equity),
        "sharpe": statistics.sharpe(changes, lowest),
        "sharpe_error": statistics.sharpe_error(changes, lowest),
        "sortino": statistics.sortino(changes, lowest),
        "drawdown_share": fall if isinstance(fall, str) else fall.share,
    }
    said = {name: value for name, value in found.items() if not isinstance(value, str)}
    unsaid = {name: value for name, value in found.items() if isinstance(value, str)}
    return Stitched(parts=len(tried), sums=sums, changes=changes.total, unsaid=unsaid, **said)


def _chained(tried: Sequence[Tried]) -> tuple[Any, Any]:
    """Return the curve of one account that went through all parts, beginning at 1."""
    worth = 1.0
    times, equity = [np.zeros(0, np.int64)], [np.zeros(0)]
    for one in tried:
        if not len(one.equity) or not np.min(one.equity) > 0:
            continue
        times.append(one.times)
        equity.append(one.equity / one.equity[0] * worth)
        worth = float(equity[-1][-1])
    return np.concatenate(times), np.concatenate(equity)
