"""A watched run: the same as the compiled loop's, and ended wherever one likes."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.research import witness as module
from daemon.research.trial import Bench
from daemon.research.witness import Witness
from daemon.tape.replay import Given


@pytest.fixture(scope="module")
def bench(booked):
    one = Bench(booked, Given(None, "market_maker", None), 60)
    one.read()
    return one


def gone_through(bench, *, watched=True, **how):
    test = Witness(bench)
    if watched:
        test.watch(**how)
    test.take_all(bench.record.whole())
    return test


def test_watched_and_compiled_it_is_the_same(bench):
    watched, compiled = gone_through(bench), gone_through(bench, watched=False)
    assert watched.digest == compiled.digest
    assert watched.decisions == compiled.decisions > 3_000
    mine, theirs = watched.run(), compiled.run()
    assert mine.rows.sent.tobytes() == theirs.rows.sent.tobytes()
    assert len(mine.rows.sent) > 50
    assert mine.rows.fills.tobytes() == theirs.rows.fills.tobytes()
    assert len(mine.digests) == len(mine.times_ns) == len(mine.wanted) == watched.decisions
    assert int(mine.digests[-1]) == watched.digest
    assert len(theirs.digests) == 0
    assert repr(mine.last) == repr(theirs.last)  # NaN is itself
    assert mine.last.now_ns == int(mine.times_ns[-1])
    assert np.all(np.diff(mine.times_ns) >= 0)


def test_it_ends_behind_a_decision_and_takes_nothing_more(bench):
    whole = gone_through(bench).run()
    test = gone_through(bench, until=1_000)
    assert test.ended
    assert (test.decisions, test.digest) == (1_000, int(whole.digests[999]))
    assert test.run().last.now_ns == int(whole.times_ns[999])
    test.watch(1_000)
    test.take_all(bench.record.whole())
    assert test.decisions == 1_000


def test_it_ends_at_the_first_unlike_digest(bench):
    expected = gone_through(bench).run().digests
    assert not gone_through(bench, expected=expected).ended
    expected[700] += 1
    test = gone_through(bench, expected=expected)
    assert (test.ended, test.decisions) == (True, 701)


def test_it_can_go_on_compiled_and_be_watched_again(bench):
    events, *others = bench.record.whole()
    whole = gone_through(bench).run()
    test = Witness(bench)
    for begin, end, watched in ((0, 1_000, False), (1_000, 2_000, True), (2_000, len(events.events), False)):
        test.watch() if watched else test.leave()
        test.take(events._replace(events=events.events[begin:end]))
    test.take_all(others)
    assert test.digest == int(whole.digests[-1])
    assert 900 < len(test.run().digests) <= 1_010
    assert test.run().rows.sent.tobytes() == whole.rows.sent.tobytes()


def test_what_was_wanted_is_kept_as_long_as_there_is_room(bench, monkeypatch):
    monkeypatch.setattr(module, "_WANTED_BYTES_MAX", 10_000)
    found = gone_through(bench).run()
    assert 0 < len(found.wanted) < 1_000
    assert len(found.digests) > 3_000


def test_a_run_that_was_not_begun_is_empty(bench):
    found = Witness(bench).run()
    assert (len(found.rows.sent), len(found.rows.fills), len(found.digests), found.last) == (0, 0, 0, None)
