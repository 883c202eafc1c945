"""Whether something grows: a straight line through samples, and how sure that is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

#: samples at the start that are not looked at: caches fill, kernels load
_WARM: Final = 1 / 3
#: a line is taken through the means of so many equal parts: neighbours in time are alike, and tell little
_PARTS: Final = 8
#: of the two-sided t distribution with _PARTS - 2 degrees of freedom, at 99 %
_T: Final = 3.707


class Slope(NamedTuple):
    """Growth an hour, as far as the samples tell: with 99 % it is within `doubt` of `per_hour`."""

    per_hour: float
    doubt: float
    last: float

    def grows(self, allowed_per_hour: float) -> bool:
        """Whether it surely grows by more than that."""
        return self.per_hour - self.doubt > allowed_per_hour


def slope(at_s: Sequence[float], values: Sequence[float]) -> Slope:
    """Return the growth of what was sampled, but for the first third."""
    first = int(len(values) * _WARM)
    parts = [
        (float(np.mean(times)), float(np.mean(part)))
        for times, part in zip(
            np.array_split(np.array(at_s[first:]) / 3600, _PARTS),
            np.array_split(np.array(values[first:], np.float64), _PARTS),
            strict=True,
        )
    ]
    x, y = np.array(parts).T
    middle = x - x.mean()
    per_hour = float(middle @ y / (middle @ middle))
    rest = y - y.mean() - per_hour * middle
    error = float(np.sqrt(rest @ rest / (_PARTS - 2) / (middle @ middle)))
    return Slope(per_hour, _T * error, float(values[-1]))
