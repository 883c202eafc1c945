"""The player: entries at their own times, from and until, paced or not."""

from __future__ import annotations

import pytest

from daemon.clock import VirtualTime
from daemon.tape.player import Player, Span
from daemon.tape.source import Chunk


def chunk(*wires_ns):
    return Chunk(
        wires_ns, ("a",) * len(wires_ns), (True,) * len(wires_ns), tuple(b"%d" % n for n in wires_ns)
    )


@pytest.fixture
def play():
    """Return what makes a player of a span, and the list of what it played with the time it was then."""

    def make(span, begin_ns=0, **more):
        time, done = VirtualTime(begin_ns), []
        plays = {"a": lambda payload, wire_ns, last: done.append((time.now_ns(), wire_ns, payload, last))}
        return Player(plays, time, span, Real(), **more), done

    return make


class Real:
    """The machine's clock, which only waiting moves."""

    now = 1_000

    def mono_ns(self):
        return self.now


def test_each_entry_is_played_at_its_time(play):
    player, done = play(Span())
    assert player.play(chunk(5, 9))
    assert done == [(5, 5, b"5", True), (9, 9, b"9", True)]
    assert (player.count, player.newest_ns, player.backwards) == (2, 9, 0)


def test_time_never_runs_backwards_and_entries_that_do_are_counted(play):
    player, done = play(Span())
    player.play(chunk(9, 5, 7))
    player.play(chunk(6))
    assert [now for now, *_ in done] == [9, 9, 9, 9]
    assert player.backwards == 2


def test_what_lies_before_the_span_is_played_apart(play):
    player, done = play(Span(from_ns=6))
    assert player.skip(chunk(4, 5)) == chunk()
    assert player.skip(chunk(5, 6, 7)) == chunk(6, 7)
    assert [wire_ns for _, wire_ns, *_ in done] == [4, 5, 5]


def test_it_ends_before_its_end(play):
    player, done = play(Span(until_ns=7))
    assert player.play(chunk(5, 6))
    assert not player.play(chunk(6, 7, 8))
    assert [wire_ns for _, wire_ns, *_ in done] == [5, 6, 6]


def test_a_pace_waits_for_each_entry_s_time(play):
    waits = []
    player, done = play(Span(speed=2.0), wait=waits.append)
    player.play(chunk(100, 110))
    player.play(chunk(140))
    assert waits == [1_000, 1_005, 1_020]
    assert [wire_ns for _, wire_ns, *_ in done] == [100, 110, 140]
