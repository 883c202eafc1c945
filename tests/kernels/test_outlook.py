"""A look at all instruments says whether one is otherwise than it was found last, and takes lags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.dtypes import QUOTE
from kernels.lag import UNKNOWN, new_lags
from kernels.outlook import NEVER_NS, ages, look, mids
from kernels.ring import new_rings, push
from kernels.shapes import STREAM

STALE_NS, LAG_NS_MAX = 1_000, 50


class Floor:
    """Two instruments, as they were found last."""

    def __init__(self) -> None:
        self.rings, self.lags, self.lag_ns = new_rings(2), new_lags(2), np.zeros(2, np.int64)
        self.ages_ns, self.told = np.zeros(2, np.int64), np.zeros(2, np.int64)
        self.stale, self.silent, self.lagging = np.zeros((3, 2), bool)

    def push(self, wire_ns: int, lag_ns: int) -> None:
        push(self.rings, 1, QUOTE, wire_ns, wire_ns - lag_ns, 1, 100.0, 1.0, 101.0, 1.0)

    def look(self) -> bool:
        return bool(
            look(
                self.rings,
                self.lags,
                self.lag_ns,
                self.ages_ns,
                self.stale,
                self.silent,
                self.lagging,
                self.told,
                STALE_NS,
                LAG_NS_MAX,
            )
        )


def stale(floor: Floor) -> None:
    floor.ages_ns[1] = STALE_NS + 1


def fresh_again(floor: Floor) -> None:
    floor.stale[1] = floor.silent[1] = True


def untold(floor: Floor) -> None:
    floor.silent[1] = True


def overwritten(floor: Floor) -> None:
    floor.rings["overflow"][1] = 1


def lagging_no_more(floor: Floor) -> None:
    floor.lagging[1] = True


def lags(floor: Floor) -> None:
    floor.push(1_000, 9)
    floor.push(1_001, 60)


@pytest.mark.parametrize("change", [stale, fresh_again, untold, overwritten, lagging_no_more, lags])
def test_what_is_otherwise_than_it_was_is_told(change: Any) -> None:
    floor = Floor()
    assert not floor.look()
    change(floor)
    assert floor.look()


def test_the_same_as_before_is_nothing() -> None:
    floor = Floor()
    floor.ages_ns[:] = STALE_NS, 0
    floor.push(1_000, 9)
    floor.push(1_001, 9 + LAG_NS_MAX)
    assert not floor.look()
    assert floor.lag_ns.tolist() == [UNKNOWN, LAG_NS_MAX]
    floor.push(1_002, 10 + LAG_NS_MAX)
    floor.lagging[1] = True
    floor.rings["overflow"][0] = floor.told[0] = 7
    assert not floor.look()
    assert floor.lag_ns.tolist() == [UNKNOWN, LAG_NS_MAX + 1]


@given(
    st.lists(st.tuples(*[st.sampled_from([0, 5, 900, 1_000])] * 3), max_size=5),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_an_instrument_is_as_old_as_the_older_of_two_streams(times: Any, first: int, last: int) -> None:
    streams = np.zeros((len(times), 3), dtype=STREAM)
    for row, one in zip(streams, times, strict=True):
        row["newest_ns"] = one
    out = np.zeros(len(times), np.int64)
    ages(streams, first, last, 1_000, out)
    for age_ns, one in zip(out.tolist(), times, strict=True):
        oldest = min(one[first], one[last])
        assert age_ns == (1_000 - oldest if oldest else NEVER_NS)


def test_a_middle_is_told_once_and_that_of_nothing_each_time() -> None:
    rings, known, changed = new_rings(3), np.full(3, np.nan), np.zeros(3, np.int64)

    def told() -> dict[int, float]:
        return {int(i): float(known[i]) for i in changed[: mids(rings, known, changed)]}

    push(rings, 1, QUOTE, 1, 1, 1, 100.0, 1.0, 101.0, 1.0)
    first = told()
    assert (first.keys(), first[1]) == ({0, 1, 2}, 100.5)
    push(rings, 2, QUOTE, 1, 1, 1, 7.0, 1.0, 8.0, 1.0)
    assert told().keys() == {0, 2}
    push(rings, 1, QUOTE, 2, 2, 2, 100.0, 1.0, 102.0, 1.0)
    push(rings, 0, QUOTE, 2, 2, 2, 5.0, 1.0, 6.0, 1.0)
    assert told() == {0: 5.5, 1: 101.0}
    assert told() == {}
