"""How much of the best of many Sharpe ratios is luck: the deflated Sharpe ratio of Bailey and Lopez de Prado.

The largest of N ratios that are all worth nothing is above zero, and the farther the more they differ. That
expected maximum is what the best one has to beat: the result is the probability that its true ratio is above
it, given how many changes of equity it was measured on, and how skewed and heavy-tailed those are ("The
Deflated Sharpe Ratio", Journal of Portfolio Management 40, 2014). Ratios here are of a step of the grid, not
annualised. Trials that resemble one another count as if they did not, so the answer errs on the careful side.
"""

from __future__ import annotations

from math import e, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from daemon.research.statistics import CHANGES_MIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.research.statistics import Changes

_EULER: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()


class Moments(NamedTuple):
    """The shape of the changes of equity."""

    skew: float
    kurtosis: float  # of a normal one 3


def moments(changes: Changes) -> Moments | str:
    """Return the skew and kurtosis of all changes; a sentence where there are too few, or none differ."""
    if changes.total < CHANGES_MIN:
        return f"too few: {changes.total} changes of equity, and it takes {CHANGES_MIN}"
    mean = float(np.sum(changes.some)) / changes.total
    apart = changes.some - mean
    second, third, fourth = (
        (float(np.sum(apart**power)) + changes.still * (-mean) ** power) / changes.total
        for power in (2, 3, 4)
    )
    if not second > 0:
        return "equity did not change"
    return Moments(third / second**1.5, fourth / second**2)


def expected_maximum(spread: float, trials: int) -> float:
    """Return the largest of so many (2 at least) ratios of mean zero and this variance, on average."""
    first = _NORMAL.inv_cdf(1 - 1 / trials)
    second = _NORMAL.inv_cdf(1 - 1 / (trials * e))
    return sqrt(spread) * ((1 - _EULER) * first + _EULER * second)


def probabilistic(ratio: float, beaten: float, changes: int, shape: Moments) -> float | str:
    """Return how probable it is that the true ratio behind a measured one is above `beaten`."""
    spread = 1 - shape.skew * ratio + (shape.kurtosis - 1) / 4 * ratio**2
    if not spread > 0:
        return "the changes of equity are too skewed for it"
    return _NORMAL.cdf((ratio - beaten) * sqrt(changes - 1) / sqrt(spread))


def deflated(ratio: float | None, changes: int, shape: Moments | str, ratios: Sequence[float]) -> float | str:
    """Return the deflated Sharpe ratio, a probability; ratios: of all trials, the best one's among them."""
    if ratio is None or isinstance(shape, str):
        return shape if isinstance(shape, str) else "the best trial has no Sharpe ratio"
    if len(ratios) < 2:
        return f"too few: {len(ratios)} trial with a Sharpe ratio, and it takes 2"
    return probabilistic(ratio, expected_maximum(variance(ratios), len(ratios)), changes, shape)


def variance(ratios: Sequence[float]) -> float:
    """Return how much the ratios of 2 trials or more differ."""
    return float(np.var(ratios, ddof=1))
