"""Cut a failing seed's faults down to the fewest that still break the same promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.checks import ViolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.faults import Fault


def shrink(
    faults: Sequence[Fault], breaks: Callable[[Sequence[Fault]], bool], *, tries_max: int = 200
) -> tuple[list[Fault], int]:
    """Return a list of which no single fault can be left out, and how many runs that took.

    breaks(faults) plays them and says whether the same promise is broken. Larger parts are left out first, as
    delta debugging does; after `tries_max` runs what is left is returned as it is.
    """
    left = list(faults)
    tries = 0
    parts = 2
    while left:
        size = max(1, len(left) // parts)
        for at in range(0, len(left), size):
            fewer = left[:at] + left[at + size :]
            tries += 1
            if breaks(fewer):
                left = fewer
                parts = max(2, parts - 1)
                break
            if tries >= tries_max:
                return left, tries
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(left))
    return left, tries


def kind_of(error: BaseException) -> str:
    """Return what was broken: a promise by its name, anything else by its type."""
    return error.kind if isinstance(error, ViolationError) else type(error).__name__
