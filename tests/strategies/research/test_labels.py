from __future__ import annotations

import numpy as np

from strategies.research.labels import forward_return_bps, went_up


def slow_return(at: int, quotes: list[tuple[int, float]], horizon: int) -> float:
    now = [mid for time, mid in quotes if time <= at]
    then = [mid for time, mid in quotes if time <= at + horizon]
    if not now or at + horizon > quotes[-1][0]:
        return float("nan")
    return (then[-1] / now[-1] - 1.0) * 1e4


def test_returns_equal_a_slow_look_at_every_quote() -> None:
    rng = np.random.default_rng(1)
    times = np.sort(rng.integers(0, 500, 200))
    mids = 100.0 + rng.normal(size=200).cumsum()
    at = rng.integers(-20, 520, 300)
    got = forward_return_bps(at, times, mids, 37)
    quotes = list(zip(times.tolist(), mids.tolist(), strict=True))
    want = [slow_return(moment, quotes, 37) for moment in at.tolist()]
    np.testing.assert_array_equal(got, want)
    assert np.isnan(got).any()
    assert np.isfinite(got).sum() > 200


def test_what_is_quoted_after_the_horizon_changes_no_label() -> None:
    times, mids = np.array([0, 10, 20, 30]), np.array([1.0, 2.0, 3.0, 4.0])
    before = forward_return_bps(np.array([0]), times, mids, 15)
    mids[2:] = 99.0
    np.testing.assert_array_equal(forward_return_bps(np.array([0]), times, mids, 15), before)


def test_without_quotes_nothing_is_known() -> None:
    empty = np.zeros(0, np.int64)
    assert np.isnan(forward_return_bps(np.array([5]), empty, np.zeros(0), 10)).all()


def test_up_is_one_down_is_zero_and_neither_is_nan() -> None:
    np.testing.assert_array_equal(went_up(np.array([0.1, -0.1, 0.0, np.nan])), [1.0, 0.0, np.nan, np.nan])
