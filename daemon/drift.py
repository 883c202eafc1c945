"""How far what a model sees and says has moved from what it was trained on.

A bundle's manifest holds how each feature, and the prediction, was spread over the training: the deciles, and
the share of its rows in each (`refer`). A daemon looks at the newest row of each strategy with a model once a
second, away from the tick, and counts in which of them it falls. The measure is the population stability
index: the sum over the parts of (now - then) * ln(now / then). Up to 0.1 is no change to speak of; beyond
0.25 it is another market than the one that was learned. Rows of one minute resemble each other, so less than
half an hour tells nothing, and what is told is of the last 6 to 12 hours.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from daemon.status import DriftStatus
from kernels.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from daemon.plans import Plan
    from daemon.runtime import Runtime

#: the prediction's name beside the features'
PREDICTION: Final = "prediction"
#: rows looked at within one second, of whatever strategies' turn it is: 20 us each
ROWS_MAX: Final = 50
SAMPLES_MIN: Final = 1_800
WINDOW_NS: Final = 6 * 3_600_000_000_000
_PARTS: Final = 10
#: how far below an edge, of its value, no more than such a share of the rows may lie; and steps to get there
_CLOSE: Final = 0.01
_MANY: Final = 0.02
_SLIDES_MAX: Final = 50
#: what an empty part counts as, lest it weigh without bound
_SHARE_MIN: Final = 1e-4


def refer(names: Sequence[str], rows: NDArray[np.float64]) -> dict[str, dict[str, list[float]]]:
    """Return how each column of rows, float64[n, len(names)], is spread: what a manifest holds of it.

    `edges` are its deciles, `shares` the parts between them and, last, that of NaN. A decile that cuts
    through what is nearly one value (a spread of one tick, in bps of a price that moves) makes way: on which
    side of it such a row lies says nothing.
    """
    spread = {}
    for name, column in zip(names, rows.T, strict=True):
        known = column[np.isfinite(column)]
        cuts = np.arange(1, _PARTS) / _PARTS
        edges = np.quantile(known, cuts) if len(known) else np.zeros(_PARTS - 1)
        ordered = np.sort(known)
        edges = np.maximum.accumulate([_outside(edge, ordered) for edge in edges.tolist()])
        counts = np.bincount(_parts(column, edges), minlength=_PARTS + 1)
        spread[name] = {"edges": edges.tolist(), "shares": (counts / len(column)).round(6).tolist()}
    return spread


def _outside(edge: float, ordered: NDArray[np.float64]) -> float:
    """Return where an edge of a column, given in ascending order, cuts through no value that many have.

    It slides down to where hardly a row lies close below it, and a little further where it had to.
    """
    begin = edge
    for _ in range(_SLIDES_MAX):
        low = edge - _CLOSE * abs(edge)
        first, last = np.searchsorted(ordered, (low, edge))
        if last - first <= _MANY * len(ordered):
            break
        edge = low
    return edge if edge == begin else edge - _CLOSE * abs(edge)


def _parts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return in which part each value lies; edges: float64[..., 9] of all values, or of each."""
    parts: NDArray[np.intp] = np.sum(values[:, None] >= edges, axis=1)
    parts[np.isnan(values)] = _PARTS
    return parts


class Spread:
    """Counts of one model's rows, beside those of its training."""

    def __init__(self, reference: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
        """Take what `refer` returned."""
        self.names = list(reference)
        columns = [*FEATURES, PREDICTION]
        self._places = np.array([columns.index(name) for name in self.names])
        self._edges = np.array([reference[name]["edges"] for name in self.names])
        self._shares = np.array([reference[name]["shares"] for name in self.names])
        self._lines = np.arange(len(self.names))
        self._begun_ns = 0
        self._counts = np.zeros_like(self._shares)
        self._before = np.zeros_like(self._shares)

    def take(self, row: NDArray[np.float64], now_ns: int) -> None:
        """Count a row: all features, and the prediction behind them."""
        if now_ns - self._begun_ns > WINDOW_NS:
            self._before, self._counts = self._counts, np.zeros_like(self._shares)
            self._begun_ns = now_ns
        self._counts[self._lines, _parts(row[self._places], self._edges)] += 1

    @property
    def samples(self) -> int:
        """Return how many rows were counted, of the last 6 to 12 hours."""
        return int(self._counts[:1].sum() + self._before[:1].sum())

    def index(self) -> dict[str, float]:
        """Return each column's population stability index; nothing before there are enough rows."""
        samples = self.samples
        if samples < SAMPLES_MIN:
            return {}
        now = np.maximum((self._counts + self._before) / samples, _SHARE_MIN)
        then = np.maximum(self._shares, _SHARE_MIN)
        found = np.sum((now - then) * np.log(now / then), axis=1)
        return dict(zip(self.names, found.round(6).tolist(), strict=True))


class Drift:
    """Those of all strategies whose models say what they were trained on."""

    def __init__(self, plans: Sequence[Plan], runtimes: Sequence[Runtime]) -> None:
        self._spreads: dict[tuple[str, int], Spread] = {}
        self._rows: list[tuple[Runtime, NDArray[np.float64], Spread]] = []
        self._decided: dict[int, int] = {}  # by runtime, how often when it was looked at last
        self._next = 0
        for plan, runtime in zip(plans, runtimes, strict=True):
            if plan.reference:
                key = runtime.name, id(plan.reference)
                spread = self._spreads.setdefault(key, Spread(plan.reference))
                self._rows += [(runtime, row, spread) for row in runtime.memory[0]["rows"]]

    def second(self, now_ns: int) -> None:
        """Look at the newest rows of those whose turn it is, where they decided since."""
        rows = self._rows
        begin = self._next if self._next < len(rows) else 0
        turn: Any = islice(rows, begin, begin + ROWS_MAX)
        self._next = begin + ROWS_MAX
        for runtime, row, spread in turn:
            decisions = int(runtime.memory["decisions"][0])
            if decisions != self._decided.get(id(row)) and runtime.warm:
                self._decided[id(row)] = decisions
                spread.take(row, now_ns)

    def status(self) -> list[DriftStatus]:
        """Return what faces show."""
        return [DriftStatus(name, one.samples, one.index()) for (name, _), one in self._spreads.items()]
