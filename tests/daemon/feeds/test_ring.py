"""The ring keeps the newest ticks and counts what a reader missed."""

from __future__ import annotations

from daemon.events import Tick
from daemon.feeds.ring import Ring
from kernels.dtypes import TRADE


def tick(number: int) -> Tick:
    return Tick(TRADE, 0, number, 0, 1.0, 1.0, 1.0, 0.0, number)


def filled(capacity: int, count: int) -> Ring:
    ring = Ring(capacity)
    for number in range(count):
        ring.push(tick(number))
    return ring


def ids(ticks: list[Tick]) -> list[int]:
    return [one.id for one in ticks]


def test_an_empty_ring_has_nothing_to_read() -> None:
    ring = Ring(4)
    assert ring.newest is None
    assert ring.read(0) == ([], 0)


def test_a_reader_gets_each_tick_once_and_in_order() -> None:
    ring = filled(8, 3)
    first, cursor = ring.read(0)
    assert ids(first) == [0, 1, 2]
    assert ring.read(cursor) == ([], 3)
    ring.push(tick(3))
    ring.push(tick(4))
    second, cursor = ring.read(cursor)
    assert ids(second) == [3, 4]
    assert cursor == ring.pushed == 5
    assert ring.overflow == 0


def test_a_full_ring_keeps_the_newest() -> None:
    ring = filled(4, 10)
    assert len(ring) == 4
    assert ring.newest == tick(9)
    assert ids(ring.read(0)[0]) == [6, 7, 8, 9]


def test_what_a_slow_reader_missed_is_counted() -> None:
    ring = filled(4, 3)
    _, cursor = ring.read(0)
    for number in range(3, 10):
        ring.push(tick(number))
    late, cursor = ring.read(cursor)
    assert ids(late) == [6, 7, 8, 9]
    assert ring.overflow == 3
    assert ring.read(cursor) == ([], 10)
    assert ring.overflow == 3


def test_a_ring_that_turned_before_its_first_reader_came_has_lost_nothing_for_anyone() -> None:
    ring = filled(4, 100)
    ring.read(0)
    assert ring.overflow == 0
