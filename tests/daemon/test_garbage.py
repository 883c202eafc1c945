from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from daemon import garbage as module
from daemon.clock import SystemClock, VirtualTime
from daemon.garbage import FULL_EVERY, SWEEP_NS, YOUNG_MAX, Garbage
from kernels import stats


class Node:
    """One that refers to itself: nothing but a collection frees it."""

    def __init__(self):
        self.me = self


@pytest.fixture(autouse=True, scope="module")
def compiled():
    """Compile what a collection is counted by: that makes objects enough for collections of its own."""
    stats.observe(np.zeros(stats.HISTOGRAM_SIZE, dtype=np.int64), 1)


@pytest.fixture
def time():
    return VirtualTime()


@pytest.fixture
def garbage(time):
    one = Garbage(time, time)
    one.begin()
    yield one
    one.end()
    gc.unfreeze()


def sweep(time, times=1):
    for _ in range(times):
        time.advance(time.now_ns() + SWEEP_NS)


def test_what_lives_when_it_begins_is_frozen(garbage):
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 10_000


def test_a_cycle_is_freed_by_the_next_sweep_and_not_before(garbage, time):
    gone = weakref.ref(Node())
    time.advance(SWEEP_NS - 1)
    assert gone() is not None
    sweep(time)
    assert gone() is None
    assert garbage.by_generation() == {"0": 0, "1": 1, "2": 0}


def test_a_cycle_that_lived_on_is_freed_within_a_minute(garbage, time):
    node = Node()
    gone = weakref.ref(node)
    sweep(time, 2)
    del node
    sweep(time, FULL_EVERY - 3)
    assert gone() is not None
    sweep(time)
    assert gone() is None
    assert garbage.by_generation() == {"0": 0, "1": FULL_EVERY - 1, "2": 1}


def test_a_flood_of_objects_does_not_wait_for_the_sweep(garbage):
    kept = [Node() for _ in range(3 * YOUNG_MAX)]
    assert len(kept) == 3 * YOUNG_MAX
    counts = garbage.by_generation()
    assert counts["0"] >= 2
    assert (counts["1"], counts["2"]) == (0, 0)


@pytest.mark.parametrize("long", [False, True])
def test_what_a_long_collection_leaves_is_not_looked_at_again(garbage, time, monkeypatch, long):
    monkeypatch.setattr(module, "LONG_NS", -1 if long else 10**12)
    kept = [Node() for _ in range(20)]
    frozen = gc.get_freeze_count()
    sweep(time, FULL_EVERY)
    assert (gc.get_freeze_count() >= frozen + len(kept)) == long


def test_every_collection_is_timed_whoever_asked_for_it():
    clock, time = SystemClock(), VirtualTime()
    garbage = Garbage(clock, time)
    garbage.begin()
    try:
        assert (garbage.pauses().count, garbage.pauses().max_s) == (0, None)
        began_ns = clock.mono_ns()
        for generation in (0, 1, 2):
            gc.collect(generation)
        took_s = (clock.mono_ns() - began_ns) / 1e9
    finally:
        garbage.end()
        gc.unfreeze()
    pauses = garbage.pauses()
    assert pauses.count == 3
    assert 0 < pauses.max_s <= pauses.sum_s <= took_s
    assert garbage.by_generation() == {"0": 1, "1": 1, "2": 1}
    assert garbage._pauses[stats.HIST_NEGATIVE] == 0


def test_the_collector_is_given_back_as_it_was(time):
    before, callbacks = gc.get_threshold(), list(gc.callbacks)
    one = Garbage(time, time)
    one.end()
    one.begin()
    assert gc.get_threshold() != before
    one.end()
    one.end()
    gc.unfreeze()
    assert (gc.get_threshold(), gc.callbacks) == (before, callbacks)
    sweep(time, 2)
    assert one.by_generation() == {"0": 0, "1": 0, "2": 0}
