from __future__ import annotations

import pytest

from tests.dealing import deal


def dealt(seconds, workers):
    """Deal tests that are called by their place; return the shares."""
    order = deal(range(len(seconds)), seconds.__getitem__, workers)
    assert sorted(order) == list(range(len(seconds)))
    shares = []
    for left in range(workers, 0, -1):
        shares.append(order[: len(order) // left])
        order = order[len(order) // left :]
    return shares


def test_each_share_begins_with_its_longest_and_the_rest_keeps_its_order():
    assert dealt([0, 0, 30, 0, 600, 0, 90, 400], 2) == [[4, 6, 0, 1], [7, 2, 3, 5]]
    assert dealt([0, 5, 0, 9], 1) == [[3, 1, 0, 2]]
    assert dealt([0, 0, 30, 0, 600, 0, 90, 400], 3) == [[4, 2], [7, 0, 1], [6, 3, 5]]
    assert dealt([0, 0, 0, 0], 2) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 40])
@pytest.mark.parametrize("slow", [0, 1, 40])
def test_none_is_lost_and_none_runs_twice(workers, count, slow):
    seconds = [30 + place if place < slow else 0 for place in range(count)]
    dealt(seconds, workers)
