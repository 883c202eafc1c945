"""In which order tests run side by side, so that none that takes minutes is begun when all others are done.

xdist gives each worker a share of the tests as they stand, and who is done takes half of another's share,
from its end (`--dist worksteal`). So each share begins with what takes longest, dealt out in turns. A test
that takes a minute or more says about how long: `@pytest.mark.heavy(seconds=90)`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def deal(tests: Sequence[T], seconds: Callable[[T], float], workers: int) -> list[T]:
    """Return all tests, in the shares of so many workers; those of 0 seconds keep their order."""
    slow = sorted((one for one in tests if seconds(one)), key=seconds, reverse=True)
    rest = iter([one for one in tests if not seconds(one)])
    dealt: list[T] = []
    for worker in range(workers):
        share = slow[worker::workers]
        size = (len(tests) - len(dealt)) // (workers - worker)  # as xdist cuts them
        dealt += [*share, *islice(rest, max(0, size - len(share)))]
    return dealt
