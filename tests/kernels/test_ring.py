"""The ring: every tick is there until it is overwritten, and what was overwritten unseen is counted."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.ring import CAPACITY, MASK, first_unseen, new_rings, push


def fill(rings, count: int, instrument: int = 0) -> int:
    head = 0
    for number in range(count):
        head = push(rings, instrument, QUOTE, 10 + number, 5, number, 100.0, 1.0, 101.0, 2.0)
    return head


def test_a_tick_is_written_whole_and_counted() -> None:
    rings = new_rings(2)
    assert push(rings, 1, TRADE, 7, 6, 42, 100.5, 0.25, -1.0, 0.0) == 1
    assert rings["rows"][1, 0].item() == (TRADE, 7, 6, 42, 100.5, 0.25, -1.0, 0.0)
    assert rings["head"].tolist() == [0, 1]


def test_the_newest_quote_is_kept_apart() -> None:
    rings = new_rings(1)
    assert np.isnan(rings["quote"]["a"][0])
    push(rings, 0, QUOTE, 1, 0, 1, 100.0, 1.0, 101.0, 2.0)
    push(rings, 0, TRADE, 2, 0, 2, 100.5, 3.0, 1.0, 0.0)
    push(rings, 0, DEPTH, 3, 0, 3, 1.0, 1.0, 1.0, 1.0)
    assert rings["quote"][0].item()[4:] == (100.0, 1.0, 101.0, 2.0)


def test_the_oldest_is_overwritten_first() -> None:
    rings = new_rings(1)
    assert fill(rings, CAPACITY + 3) == CAPACITY + 3
    ids = {int(rings["rows"][0, number & MASK]["id"]) for number in range(3, CAPACITY + 3)}
    assert ids == set(range(3, CAPACITY + 3))


@pytest.mark.parametrize(("seen", "first", "lost"), [(0, 5, 5), (5, 5, 0), (CAPACITY, CAPACITY, 0)])
def test_who_comes_too_late_goes_on_with_the_oldest_and_is_counted(seen: int, first: int, lost: int) -> None:
    rings = new_rings(1)
    fill(rings, CAPACITY + 5)
    assert first_unseen(rings[0], seen) == first
    assert rings["overflow"][0] == lost
