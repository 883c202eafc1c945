"""Threads that give back in order."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from daemon.research.workers import Workers


def test_what_was_asked_first_is_given_back_first():
    late = threading.Event()

    def wait(number):
        if number == 0:
            assert late.wait(10)
        if number == 1:
            late.set()
        return number

    with Workers[int](2) as workers:
        for number in range(3):
            workers.ask(partial(wait, number))
        workers.know(3)
        assert len(workers) == 4
        assert [workers.oldest() for _ in range(4)] == [0, 1, 2, 3]
        assert len(workers) == 0


def test_an_exception_is_raised_where_its_turn_is():
    with Workers[int](1) as workers:
        workers.ask(lambda: 1)
        workers.ask(lambda: 1 // 0)
        assert workers.oldest() == 1
        with pytest.raises(ZeroDivisionError):
            workers.oldest()


def test_an_end_begins_nothing_more_and_keeps_what_is_done():
    begun, go_on = threading.Event(), threading.Event()

    def wait(number):
        begun.set()
        assert go_on.wait(10)
        return number

    with Workers[int](1) as workers:
        workers.know(7)
        for number in range(3):
            workers.ask(partial(wait, number))
        assert begun.wait(10)
        threading.Timer(0.05, go_on.set).start()
        assert workers.ended() == [7, 0]
        assert len(workers) == 0
