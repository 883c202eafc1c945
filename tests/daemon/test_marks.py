"""Valuing what is held: one instrument or all, to the same account, and never at a price nobody showed."""

from __future__ import annotations

import math

import pytest

from daemon.marks import Marks


class Books:
    """A portfolio that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[dict[int, float]] = []

    def mark(self, index, mid, *, show=True):
        self.told.append({index: mid})

    def mark_all(self, indices, mids):
        self.told.append({index: mids[index] for index in indices})


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def marks(new_floor, new_script, books):
    """Marks over two instruments whose quotes are the floor's."""
    floor = new_floor(new_script(2), bases=("BTC", "ETH"))
    return floor, Marks(2, floor.engine.touch, books)


def test_only_what_has_changed_is_valued_anew(marks, books):
    floor, it = marks
    floor.quote(100.0, 100.5)
    floor.quote(7.0, 7.5, index=1)
    it.all()
    it.all()
    floor.quote(8.0, 8.5, index=1)
    it.all()
    assert books.told == [{0: 100.25, 1: 7.25}, {1: 8.25}]


def test_what_a_fill_valued_meanwhile_is_valued_again_when_the_market_is_back(marks, books):
    floor, it = marks
    for bid in (100.0, 101.0):
        floor.quote(bid, bid + 0.5)
        it.one(0)
    floor.quote(100.0, 100.5)
    it.all()
    assert [told.get(0) for told in books.told] == [100.25, 101.25, 100.25]


def test_a_book_is_looked_at_where_nothing_is_quoted(new_floor, new_script, books):
    floor = new_floor(new_script(), streams=("depth",))
    it = Marks(1, floor.engine.touch, books)
    it.all()
    floor.depth(1, '["100.00","1"]', '["100.50","1"]')
    floor.snapshot(1, asks='["100.50","5"]')
    floor.depth(2, '["100.00","2"]', '["100.50","1"]')
    it.all()
    assert math.isnan(books.told[0][0])
    assert books.told[1] == {0: 100.25}
