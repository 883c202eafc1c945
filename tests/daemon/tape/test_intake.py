"""The intake: entries by number, in order, bounded in bytes."""

from __future__ import annotations

from daemon.tape.intake import ENTRY_BYTES, Intake, size_of
from daemon.tape.segment import Rows


def test_entries_wait_in_order_and_are_numbered_on():
    intake = Intake(1_000_000, lambda: None)
    intake.take(0, 10, True, b"a")
    intake.take(1, 11, False, b"bc")
    assert (intake.next_seq(), intake.first_ns()) == (2, 10)
    assert intake.swap() == [Rows(0, [0, 1], [10, 11], [True, False], [b"a", b"bc"])]
    assert (intake.swap(), intake.first_ns()) == ([], 0)
    intake.take(0, 12, True, b"")
    assert intake.swap() == [Rows(2, [0], [12], [True], [b""])]


def test_what_finds_no_room_is_told_of_and_leaves_a_hole_in_the_numbers():
    drops = []
    intake = Intake(2 * (ENTRY_BYTES + 3), lambda: drops.append(intake.next_seq()))
    for payload in (b"abc", b"abc", b"abc", b""):
        intake.take(0, 1, True, payload)
    assert drops == [3, 4]  # the numbers of those behind
    (rows,) = intake.swap()
    assert (rows.first_seq, rows.payloads) == (0, [b"abc", b"abc"])
    intake.take(0, 1, True, b"abc")
    assert drops == [3, 4, 5]  # what was swapped out still takes its room
    intake.give_back(size_of(rows))
    intake.take(0, 1, True, b"abc")
    assert intake.swap() == [Rows(5, [0], [1], [True], [b"abc"])]


def test_entries_around_a_hole_are_kept_apart():
    intake = Intake(2 * ENTRY_BYTES + 3, lambda: None)
    for payload in (b"1", b"22222", b"3"):
        intake.take(0, 1, True, payload)
    assert [(rows.first_seq, rows.payloads) for rows in intake.swap()] == [(0, [b"1"]), (2, [b"3"])]


def test_an_entry_larger_than_the_room_is_dropped_and_the_next_is_not():
    drops = []
    intake = Intake(1000, lambda: drops.append(True))
    intake.take(0, 1, True, b"x" * 1000)
    intake.take(0, 1, True, b"y")
    assert drops == [True]
    assert intake.swap() == [Rows(1, [0], [1], [True], [b"y"])]
