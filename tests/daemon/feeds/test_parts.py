"""Pieces that an exchange takes."""

from __future__ import annotations

from daemon.feeds.parts import parts_of


def test_a_part_is_as_full_as_it_may_be_and_the_order_stays() -> None:
    words = ["aaa", "bb", "c", "dddd", "e", "f"]
    assert parts_of(words, len, 5) == [["aaa", "bb"], ["c", "dddd"], ["e", "f"]]


def test_what_is_too_large_by_itself_is_alone() -> None:
    assert parts_of(["a", "bbbbbb", "c"], len, 3) == [["a"], ["bbbbbb"], ["c"]]


def test_of_nothing_there_are_no_parts() -> None:
    assert parts_of([], len, 3) == []
