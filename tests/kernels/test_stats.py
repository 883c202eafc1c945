"""Histograms against numpy's exact quantiles and counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kernels import stats


def filled(values: list[int] | np.ndarray) -> np.ndarray:
    h = np.zeros(stats.HISTOGRAM_SIZE, np.int64)
    for value in values:
        stats.observe(h, int(value))
    return h


def bounds(index: int) -> tuple[int, int]:
    """Return the ns below a bucket (excluded) and its last (included)."""
    return int(stats._EDGES[index]), int(stats._EDGES[index + 1])


def latencies(n: int = 5_000) -> np.ndarray:
    """Nanoseconds from 100 ns to 100 s, evenly in their logarithm."""
    return np.exp(np.random.default_rng(4).uniform(math.log(100), math.log(100e9), n)).astype(np.int64)


def test_an_empty_histogram_has_no_quantile() -> None:
    h = filled([])
    assert math.isnan(stats.quantile(h, 0.5))
    out = np.full(len(stats.BOUNDS_NS), -1)
    stats.cumulative(h, out)
    assert not out.any()


def test_head_counts_sums_and_remembers_the_extremes() -> None:
    h = filled([5_000, 120, 70_000])
    assert h[: stats.HIST_HEAD].tolist() == [3, 75_120, 120, 70_000, 0]


def test_a_negative_span_counts_as_nothing_and_is_told() -> None:
    h = filled([-7, 300])
    assert h[stats.HIST_NEGATIVE] == 1
    assert h[stats.HIST_COUNT] == 2
    assert h[stats.HIST_MIN] == 0
    assert h[stats.HIST_SUM] == 300


@pytest.mark.parametrize("q", [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0])
def test_quantiles_are_within_one_percent_from_100_ns_to_100_s(q: float) -> None:
    values = latencies()
    exact = np.sort(values)[max(math.ceil(q * len(values)), 1) - 1]
    assert stats.quantile(filled(values), q) == pytest.approx(exact, rel=0.008)


def test_quantiles_never_leave_what_was_seen() -> None:
    assert stats.quantile(filled([1_001]), 0.5) == 1_001.0
    assert stats.quantile(filled([2**62]), 1.0) == float(2**62)
    assert stats.quantile(filled([0]), 1.0) == 0.0


def test_buckets_join_without_gap_and_bound_their_values() -> None:
    previous = -1
    for index in range(stats.BUCKETS):
        low, high = bounds(index)
        assert low == previous
        assert high >= low
        if high > low:
            assert stats.bucket(low + 1) == stats.bucket(high) == index
        if 100 <= low < 2**37:
            assert (high - low) / low < 0.016
        previous = high
    assert previous == 2**63 - 1


@given(some.integers(0, 2**63 - 1), some.integers(0, 2**63 - 1))
def test_every_value_is_in_its_bucket_and_buckets_are_in_order(x: int, y: int) -> None:
    low, high = bounds(stats.bucket(x))
    # 2**53 and more round on their way into a float64, but all of them are in the last bucket
    assert low < x <= high
    if x <= y:
        assert stats.bucket(x) <= stats.bucket(y)


def test_the_prometheus_bounds_go_from_1_us_to_over_10_s_by_the_square_root_of_two() -> None:
    bounds = np.array(stats.BOUNDS_NS)
    assert bounds[0] == 1_000
    assert bounds[-1] >= 10e9
    np.testing.assert_allclose(bounds[1:] / bounds[:-1], math.sqrt(2), rtol=0.01)


def test_cumulative_counts_are_exact() -> None:
    values = np.concatenate([latencies(), np.array(stats.BOUNDS_NS), np.array(stats.BOUNDS_NS) + 1])
    out = np.empty(len(stats.BOUNDS_NS), np.int64)
    stats.cumulative(filled(values), out)
    assert out.tolist() == [int((values <= bound).sum()) for bound in stats.BOUNDS_NS]


def test_observe_two_records_both_spans() -> None:
    hs = np.zeros((2, stats.HISTOGRAM_SIZE), np.int64)
    stats.observe_two(hs, 1_000, 1_500, 1_700)
    assert (hs[0] == filled([500])).all()
    assert (hs[1] == filled([200])).all()


def test_observe_three_records_all_spans() -> None:
    hs = np.zeros((3, stats.HISTOGRAM_SIZE), np.int64)
    stats.observe_three(hs, 1_000, 1_500, 1_700, 2_600)
    assert (hs[0] == filled([500])).all()
    assert (hs[1] == filled([200])).all()
    assert (hs[2] == filled([900])).all()


def test_a_histogram_of_many_is_no_other_signature_than_one_alone() -> None:
    kernels = (stats.observe, stats.quantile)
    stats.quantile(filled([1]), 0.5)
    before = [len(kernel.signatures) for kernel in kernels]  # tests before this one may have compiled others
    many = np.zeros((2, stats.HISTOGRAM_SIZE), np.int64)
    stats.observe(many[1], 1)
    stats.quantile(many[1], 0.5)
    assert [len(kernel.signatures) for kernel in kernels] == before
