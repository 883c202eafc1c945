"""Lag above its lowest: which clock is ahead does not matter, and the lowest is forgotten in time."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.dtypes import QUOTE, TRADE
from kernels.lag import SPAN_NS, SPANS, UNKNOWN, look_at, new_lags
from kernels.ring import CAPACITY, new_rings, push

MS = 1_000_000


class Looked:
    """A ring and its lag; `tick` lets a tick come and looks."""

    def __init__(self) -> None:
        self.rings = new_rings(2)
        self.lags = new_lags(2)

    def push(self, wire_ns: int, exch_ns: int) -> None:
        kind = TRADE if exch_ns else QUOTE
        push(self.rings, 1, kind, wire_ns, exch_ns, 1, 100.0, 1.0, 101.0, 1.0)

    def tick(self, wire_ns: int, lag_ns: int) -> int:
        self.push(wire_ns, wire_ns - lag_ns)
        return look_at(self.rings, self.lags, 1)


@pytest.fixture
def it() -> Looked:
    return Looked()


def test_without_a_stamp_nothing_is_known(it):
    assert look_at(it.rings, it.lags, 1) == UNKNOWN
    it.push(5, 0)
    assert look_at(it.rings, it.lags, 1) == UNKNOWN


@pytest.mark.parametrize("ahead_ns", [-3_600_000 * MS, 0, 3_600_000 * MS])
def test_it_is_told_above_its_lowest_whichever_clock_is_ahead(it, ahead_ns):
    now_ns = SPAN_NS * 1000
    told = [it.tick(now_ns + k, ahead_ns + lag_ms * MS) for k, lag_ms in enumerate((20, 5, 80, 4, 4))]
    assert told == [0, 0, 75 * MS, 0, 0]


def test_a_look_without_a_new_stamp_tells_the_newest_again(it):
    it.tick(SPAN_NS, 5)
    it.tick(SPAN_NS, 9)
    it.push(SPAN_NS + 1, 0)
    assert look_at(it.rings, it.lags, 1) == 4


def test_the_lowest_is_forgotten_after_the_window(it):
    it.tick(SPAN_NS * 100, 5 * MS)
    for span in range(101, 100 + SPANS):
        assert it.tick(SPAN_NS * span, 50 * MS) == 45 * MS
    assert it.tick(SPAN_NS * (100 + SPANS), 50 * MS) == 0


def test_a_long_silence_and_a_clock_set_back_begin_anew(it):
    it.tick(SPAN_NS * 100, 5 * MS)
    assert it.tick(SPAN_NS * 1000, 50 * MS) == 0
    assert it.tick(SPAN_NS * 90, 70 * MS) == 0


def test_ticks_that_were_overwritten_are_no_overflow(it):
    for k in range(CAPACITY + 40):
        it.push(SPAN_NS + k, SPAN_NS)
    assert look_at(it.rings, it.lags, 1) == CAPACITY - 1
    assert it.rings["overflow"].sum() == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * SPAN_NS), st.integers(-(10**9), 10**9), st.booleans()),
        max_size=60,
    )
)
def test_it_is_that_of_a_plain_list_of_what_came_within_the_window(steps):
    it = Looked()
    now_ns = SPAN_NS * 1000
    came: deque[tuple[int, int]] = deque()
    for step_ns, lag_ns, looks in steps:
        now_ns += step_ns
        it.push(now_ns, now_ns - lag_ns)
        came.append((now_ns // SPAN_NS, lag_ns))
        if looks:
            span = now_ns // SPAN_NS
            lowest = min(one for at, one in came if at > span - SPANS)
            assert look_at(it.rings, it.lags, 1) == lag_ns - lowest


def test_what_is_kept_does_not_grow(it):
    assert it.lags.nbytes < 128 * len(it.lags)
    assert isinstance(it.lags, np.ndarray)
