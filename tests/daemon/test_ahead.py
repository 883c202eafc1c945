"""A thread makes the next item while the last is worked on; order, end and exceptions are the maker's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from daemon.ahead import ahead

if TYPE_CHECKING:
    from collections.abc import Generator


def test_items_come_in_order_falsy_ones_too() -> None:
    assert list(ahead(item for item in (0, None, "", 3))) == [0, None, "", 3]
    assert list(ahead(item for item in ())) == []


def test_the_next_is_made_by_another_thread_before_it_is_asked_for() -> None:
    made, threads = threading.Semaphore(0), set()

    def items() -> Generator[int, None, None]:
        for item in range(3):
            threads.add(threading.current_thread().name)
            made.release()
            yield item

    coming = ahead(items())
    assert next(coming) == 0
    assert made.acquire(timeout=10)
    assert made.acquire(timeout=10), "the second is made although nobody asked for it"
    assert not made.acquire(timeout=0.05), "and no third"
    assert list(coming) == [1, 2]
    assert len(threads) == 1
    assert threading.current_thread().name not in threads


def test_an_exception_comes_in_its_place() -> None:
    def items() -> Generator[int, None, None]:
        yield 1
        raise ValueError("here")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="here"):
        next(coming)


def test_who_leaves_early_closes_the_maker_and_its_thread() -> None:
    closed = []

    def items() -> Generator[int, None, None]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    coming = ahead(items())
    next(coming)
    coming.close()
    assert len(closed) == 1
    assert closed[0] not in {thread.name for thread in threading.enumerate()}
