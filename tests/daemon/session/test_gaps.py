from __future__ import annotations

from daemon.session import gaps as module
from daemon.session.gaps import Gap, find_gaps
from daemon.tape.reader import Batch

S = 10**9


def batch(*entries):
    streams, times = zip(*entries, strict=True)
    count = len(entries)
    return Batch(
        list(range(count)), [round(t * S) for t in times], list(streams), [True] * count, [b""] * count
    )


def test_cuts_and_silences_are_told_by_connection():
    found = find_gaps(
        [
            batch(("feed/0", 1), ("feed/1", 1.5), ("reads", 2), ("cut/0", 2), ("feed/1", 4)),
            batch(("feed/0", 5), ("core", 20), ("feed/1", 11.5), ("feed/0", 10), ("cut/1", 13)),
        ],
        5 * S,
        closed=False,
    )
    assert found.frames == 6
    assert found.kept == [
        Gap(0, 2 * S, 5 * S, cut=True),
        Gap(1, 4 * S, round(11.5 * S), cut=False),
        Gap(1, 13 * S, 0, cut=True),
    ]
    assert found.total == 3


def test_as_long_as_allowed_is_no_gap_and_a_second_cut_is_the_same_one():
    assert find_gaps([batch(("feed/0", 1), ("feed/0", 6))], 5 * S, closed=False).total == 0
    found = find_gaps([batch(("cut/0", 1), ("cut/0", 2), ("feed/0", 3))], 5 * S, closed=False)
    assert found.kept == [Gap(0, S, 3 * S, cut=True)]


def test_all_are_counted_and_the_earliest_kept(monkeypatch):
    monkeypatch.setattr(module, "KEPT_MAX", 2)
    found = find_gaps(
        [batch(*((name, t) for t in range(3) for name in ("cut/7", "feed/7")))], S, closed=False
    )
    assert (found.total, [one.begin_ns for one in found.kept]) == (3, [0, S])


def test_the_cut_by_which_a_session_takes_leave_is_no_gap_and_one_long_before_is():
    leaving = [batch(("feed/0", 1), ("cut/0", 2), ("core", 7))]
    assert find_gaps(leaving, 5 * S, closed=True).total == 0
    assert find_gaps(leaving, 5 * S, closed=False).total == 1
    assert find_gaps([*leaving, batch(("core", 7.5))], 5 * S, closed=True).kept == [
        Gap(0, 2 * S, 0, cut=True)
    ]
