"""What an equity curve and a list of round trips say, as far as there are enough of them to say it.

A figure that cannot be said is a sentence instead (`str`), which says why. A year has 365 days, since these
markets do not close. Ratios are of the relative changes of equity over a grid of equal steps at multiples of
the step in UTC; what equity is worth at an instant of it is what it was last said to be worth. A step over
which nothing was said is a change of nothing, and is counted, not stored: a record may have a hole of years.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

DAY_NS: Final = 86_400_000_000_000
YEAR_NS: Final = 365 * DAY_NS
#: fewer changes than these have no ratio worth the name
CHANGES_MIN: Final = 30
#: a shorter record is not told as a year
YEARLY_DAYS_MIN: Final = 30
_ONCE: Final = "too few: its value was known once at most"
_NOT_POSITIVE: Final = "equity was not above zero throughout"


class Changes(NamedTuple):
    """Relative changes of equity over the steps of a grid."""

    some: Floats  # where something was said
    still: int  # steps over which nothing was
    step_ns: int

    @property
    def total(self) -> int:
        """Return how many there are."""
        return len(self.some) + self.still


class Drawdown(NamedTuple):
    """The largest fall of equity by share of the peak before it."""

    share: float
    length_ns: int  # from the peak until it was regained, or until the end
    regained: bool


class TripFigures(NamedTuple):
    """What round trips gained after fees."""

    won: int
    win_rate: float | str
    profit_factor: float | str  # what was won over what was lost
    expectancy: float | str  # mean of a trip


def known(times: Ints, equity: Floats) -> tuple[Ints, Floats]:
    """Return a curve in the order of its times, without what is not known."""
    order = np.argsort(times, kind="stable")
    times, equity = times[order], equity[order]
    there = np.isfinite(equity)
    return times[there], equity[there]


def on_grid(times: Ints, equity: Floats, step_ns: int) -> Changes:
    """Return the changes of a known curve from the first instant of the grid with a value to the last."""
    last = int(times[-1]) // step_ns if len(times) else 0
    instants = -(-times // step_ns)  # from which on a value is the newest
    instants, values = instants[instants <= last], equity[instants <= last]
    if not len(values):
        return Changes(np.zeros(0), 0, step_ns)
    newest = np.append(instants[1:] != instants[:-1], [True])
    instants, values = instants[newest], values[newest]
    still = last - int(instants[0]) - (len(values) - 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # `_ratio` refuses those
        return Changes(np.diff(values) / values[:-1], still, step_ns)


def sharpe(changes: Changes, lowest: float) -> float | str:
    """Return mean over deviation of the changes, annualised; lowest: the lowest equity they are of."""
    return _ratio(changes, lowest, _deviation, "equity did not change")


def sharpe_error(changes: Changes, lowest: float) -> float | str:
    """Return the standard error of `sharpe`, were the changes independent and normal (Lo, 2002)."""
    found = sharpe(changes, lowest)
    if isinstance(found, str):
        return found
    # of a step: (1 + sharpe**2 / 2) / n, of which the steps in a year make
    return sqrt((YEAR_NS / changes.step_ns + found**2 / 2) / changes.total)


def sortino(changes: Changes, lowest: float) -> float | str:
    """Return mean over the root mean square of the falls among all changes, annualised."""
    return _ratio(changes, lowest, _downside, "equity never fell over a step")


def _deviation(changes: Changes, mean: float) -> float:
    apart = float(np.sum((changes.some - mean) ** 2)) + changes.still * mean**2
    return sqrt(apart / (changes.total - 1))


def _downside(changes: Changes, _: float) -> float:
    return sqrt(float(np.sum(np.minimum(changes.some, 0.0) ** 2)) / changes.total)


def _ratio(
    changes: Changes, lowest: float, risk: Callable[[Changes, float], float], none: str
) -> float | str:
    if changes.total < CHANGES_MIN:
        return f"too few: {changes.total} changes of equity, and it takes {CHANGES_MIN}"
    if lowest <= 0:
        return _NOT_POSITIVE
    mean = float(np.sum(changes.some)) / changes.total
    deviation = risk(changes, mean)
    return mean / deviation * sqrt(YEAR_NS / changes.step_ns) if deviation else none


def growth(equity: Floats) -> float | str:
    """Return the change of a known curve as a share of where it began."""
    if len(equity) < 2:
        return _ONCE
    return float(equity[-1] / equity[0]) - 1 if equity[0] > 0 else _NOT_POSITIVE


def cagr(grown: float | str, span_ns: int) -> float | str:
    """Return a growth over a time as one over a year, compounded."""
    if isinstance(grown, str):
        return grown
    if span_ns < YEARLY_DAYS_MIN * DAY_NS:
        return f"too few: {span_ns / DAY_NS:.1f} days, and it takes {YEARLY_DAYS_MIN}"
    if grown <= -1:
        return _NOT_POSITIVE
    return float((1 + grown) ** (YEAR_NS / span_ns)) - 1


def drawdown(times: Ints, equity: Floats) -> Drawdown | str:
    """Return the largest fall of a known curve; one without a fall has it of nothing."""
    if len(equity) < 2:
        return _ONCE
    if equity[0] <= 0:
        return _NOT_POSITIVE
    peaks = np.maximum.accumulate(equity)
    falls = (peaks - equity) / peaks
    low = int(np.argmax(falls))
    if falls[low] == 0:
        return Drawdown(0.0, 0, regained=True)
    top = int(np.flatnonzero(equity[:low] == peaks[low])[-1])
    after = np.flatnonzero(equity[low:] >= peaks[low])
    end = low + int(after[0]) if len(after) else len(equity) - 1
    length_ns = int(times[end] - times[top])
    return Drawdown(float(falls[low]), length_ns, regained=len(after) > 0)


def calmar(yearly: float | str, fall: Drawdown | str) -> float | str:
    """Return the growth of a year over the largest fall."""
    if isinstance(yearly, str):
        return yearly
    if isinstance(fall, str):
        return fall
    return yearly / fall.share if fall.share else "equity never fell"


def of_trips(pnl: Sequence[int], unit: int) -> TripFigures:
    """Return what gains and losses, whole counts of 1 / unit, come to."""
    won = sum(one > 0 for one in pnl)
    if not pnl:
        none = "too few: there was no round trip"
        return TripFigures(0, none, none, none)
    gained, lost = sum(one for one in pnl if one > 0), -sum(one for one in pnl if one < 0)
    factor = gained / lost if lost else "no round trip lost"
    return TripFigures(won, won / len(pnl), factor, sum(pnl) / (len(pnl) * unit))
