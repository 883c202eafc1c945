"""The ring keeps the newest ticks."""

from __future__ import annotations

import pytest

from daemon.events import Tick
from daemon.feeds.ring import Ring
from kernels.dtypes import TRADE


@pytest.mark.parametrize(("count", "kept"), [(0, []), (3, [0, 1, 2]), (4, [0, 1, 2, 3]), (11, [7, 8, 9, 10])])
def test_the_newest_are_kept_in_order(count: int, kept: list[int]) -> None:
    ring = Ring(4)
    for number in range(count):
        ring.append(Tick(TRADE, 0, number, 0, 1.0, 1.0, 1.0, 0.0, number))
    assert [tick.id for tick in ring.ticks] == kept
