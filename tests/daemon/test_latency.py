from __future__ import annotations

import math

import numpy as np
import pytest

from daemon.latency import BOUNDS_S, stage_latency
from kernels import stats


def histogram(values):
    h = np.zeros(stats.HISTOGRAM_SIZE, dtype=np.int64)
    for value in values:
        stats.observe(h, int(value))
    return h


def test_the_bounds_are_root_two_apart_from_a_microsecond_to_ten_seconds():
    assert BOUNDS_S[0] == pytest.approx(1e-6, rel=1e-9)
    assert BOUNDS_S[-2] < 10 < BOUNDS_S[-1]
    for step, bound in enumerate(BOUNDS_S):
        assert bound == pytest.approx(1e-6 * 2 ** (step / 2), rel=0.008)


def test_the_buckets_count_exactly_what_lies_below_each_bound():
    values = np.random.default_rng(1).lognormal(math.log(300_000), 2.0, 5000).astype(np.int64)
    latency = stage_latency("decode", histogram(values))
    assert latency.buckets == [int((values / 1e9 < bound).sum()) for bound in BOUNDS_S]
    assert latency.count == 5000
    assert latency.sum_s == pytest.approx(values.sum() / 1e9)
    assert latency.max_s == values.max() / 1e9


def test_quantiles_are_within_a_hundredth():
    values = np.random.default_rng(2).lognormal(math.log(10_000), 1.0, 20_000).astype(np.int64)
    latency = stage_latency("decode", histogram(values))
    for got, q in ((latency.p50_s, 0.5), (latency.p99_s, 0.99), (latency.p999_s, 0.999)):
        assert got == pytest.approx(np.quantile(values, q, method="inverted_cdf") / 1e9, rel=0.01)


def test_an_empty_histogram_knows_nothing():
    latency = stage_latency("ack", histogram([]))
    assert (latency.count, latency.p50_s, latency.p999_s, latency.max_s) == (0, None, None, None)
    assert set(latency.buckets) == {0}
