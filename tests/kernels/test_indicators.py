"""Each indicator against a slow twin that recomputes it from the whole history."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numba import njit

from kernels import indicators as ind

FLOATS = 2 * 64 + 8
INTS = 4


def fresh() -> tuple[np.ndarray, np.ndarray]:
    """An indicator's state at 0, with a guard of ones around the room it may use."""
    f, i = np.ones(FLOATS), np.ones(INTS, np.int64)
    ind.clear(f, i, 0, FLOATS, 0, INTS)
    return f, i


def walk(n: int, seed: int = 7) -> np.ndarray:
    """Prices on a grid of 0.01, often standing still, now and then jumping."""
    rng = np.random.default_rng(seed)
    moves = rng.choice([-0.01, 0.0, 0.0, 0.0, 0.01], n)
    moves[rng.integers(0, n, n // 100 + 1)] = rng.normal(0.0, 50.0)
    return np.round(60_000.0 + np.cumsum(moves), 2)


def test_clear_touches_only_its_own_room() -> None:
    f, i = np.ones(9), np.ones(9, np.int64)
    ind.clear(f, i, 2, 5, 3, 4)
    assert np.isnan(f[2:5]).all()
    assert f[[0, 1, 5, 6, 7, 8]].tolist() == [1.0] * 6
    assert i.tolist() == [1, 1, 1, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("span", [1, 2, 16, 200])
def test_ema_equals_its_weighted_sum(span: int) -> None:
    xs = walk(300)
    alpha = 2.0 / (span + 1.0)
    f, _ = fresh()
    assert math.isnan(f[0])
    for n, x in enumerate(xs, 1):
        ind.ema_step(f, 0, alpha, x)
        weights = alpha * (1.0 - alpha) ** np.arange(n - 1, -1, -1.0)
        weights[0] = (1.0 - alpha) ** (n - 1)
        assert f[0] == pytest.approx(weights @ xs[:n], rel=1e-12)


def test_decay_halves_in_a_half_life_and_leaves_equal_stamps_alone() -> None:
    rate = ind.LN2 / 1e9
    assert ind.decay(1_000_000_000, rate) == pytest.approx(0.5, rel=1e-15)
    assert ind.decay(0, rate) == 1.0
    assert ind.decay(-5, rate) == 1.0


def test_a_decayed_sum_equals_every_event_weighted_by_its_age() -> None:
    rng = np.random.default_rng(3)
    ns = np.cumsum(rng.integers(0, 300_000_000, 500))
    xs = rng.random(500)
    rate = ind.LN2 / 1e9
    f, _ = fresh()
    last = 0
    for n in range(500):
        ind.decayed_add(f, 0, ind.decay(int(ns[n]) - last, rate), xs[n])
        last = int(ns[n])
        twin = float(np.sum(xs[: n + 1] * np.exp(-rate * (last - ns[: n + 1]))))
        assert f[0] == pytest.approx(twin, rel=1e-12)


def test_a_decayed_sum_forgets_to_zero_before_denormals() -> None:
    f, _ = fresh()
    ind.decayed_add(f, 0, 1.0, 5.0)
    for _ in range(2000):
        ind.decayed_add(f, 0, 0.5, 0.0)
    assert f[0] == 0.0


@pytest.mark.parametrize("rate_hz", [4.0, 40.0, 3000.0])
@pytest.mark.parametrize("listened_s", [1, 3, 100])
def test_the_decayed_rate_of_a_steady_stream_is_its_rate(rate_hz: float, listened_s: int) -> None:
    rate = ind.LN2 / 1e9
    ages = np.arange(0.5, rate_hz * listened_s) / rate_hz * 1e9  # in the middle of their intervals
    total = float(np.sum(np.exp(-rate * ages)))
    got = ind.decayed_rate_hz(total, 0, listened_s * 1_000_000_000, rate)
    assert got == pytest.approx(rate_hz, rel=2e-3)


def test_the_decayed_rate_falls_while_nothing_comes() -> None:
    rate = ind.LN2 / 1e9
    now, later = (ind.decayed_rate_hz(10.0, since, 10**12, rate) for since in (0, 2_000_000_000))
    assert later == pytest.approx(now / 4.0, rel=1e-12)


@pytest.mark.parametrize("n", [2, 14, 60])
def test_rsi_equals_wilders_averages(n: int) -> None:
    xs = walk(400, seed=11)
    f, i = fresh()
    gain = loss = 0.0
    for k, x in enumerate(xs):
        ind.rsi_step(f, i, 0, 0, n, x)
        change = x - xs[k - 1] if k else 0.0
        if 1 <= k <= n:  # Wilder begins with plain means of the first n changes
            gain += max(change, 0.0) / n
            loss += max(-change, 0.0) / n
        elif k > n:
            gain = (gain * (n - 1) + max(change, 0.0)) / n
            loss = (loss * (n - 1) + max(-change, 0.0)) / n
        got = ind.rsi(f, i, 0, 0, n)
        if k < n:
            assert math.isnan(got)
        else:
            want = 100.0 - 100.0 / (1.0 + gain / loss) if loss > 0 else (100.0 if gain > 0 else 50.0)
            assert got == pytest.approx(want, rel=1e-9)


def test_rsi_of_a_market_that_never_moves_is_50() -> None:
    f, i = fresh()
    for _ in range(30):
        ind.rsi_step(f, i, 0, 0, 14, 100.0)
    assert ind.rsi(f, i, 0, 0, 14) == 50.0


def test_wilders_averages_settle_on_zero_instead_of_denormals() -> None:
    f, i = fresh()
    g, j = fresh()
    for x in [1.0, 2.0, 1.5] + [1.5] * 9000:
        ind.rsi_step(f, i, 0, 0, 14, x)
        ind.atr_step(g, j, 0, 0, 14, x, x, x)
    assert f[1] == f[2] == 0.0
    assert g[1] == 0.0


@pytest.mark.parametrize("n", [2, 14])
def test_atr_equals_wilders_average(n: int) -> None:
    closes = walk(300, seed=5)
    rng = np.random.default_rng(6)
    highs, lows = closes + rng.random(300), closes - rng.random(300)
    f, i = fresh()
    mean = 0.0
    for k in range(300):
        ind.atr_step(f, i, 0, 0, n, highs[k], lows[k], closes[k])
        before = closes[k - 1] if k else closes[0]
        true_range = max(highs[k] - lows[k], abs(highs[k] - before), abs(lows[k] - before))
        mean = mean + true_range / n if k < n else (mean * (n - 1) + true_range) / n
        got = ind.atr(f, i, 0, 0, n)
        if k < n - 1:
            assert math.isnan(got)
        else:
            assert got == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 20, 64])
def test_window_moments_equal_numpys_on_the_last_n(n: int) -> None:
    xs = walk(700, seed=n)
    f, i = fresh()
    for k, x in enumerate(xs, 1):
        ind.window_push(f, i, 0, 0, n, x)
        mean, variance = ind.window_mean(f, i, 0, 0, n), ind.window_variance(f, i, 0, 0, n)
        if k < n:
            assert math.isnan(mean)
            assert math.isnan(variance)
            continue
        last = xs[k - n : k]
        assert mean == pytest.approx(last.mean(), rel=1e-13)
        assert math.sqrt(variance) == pytest.approx((last - x).std(), rel=1e-7, abs=1e-12)
        assert variance == 0.0 or not (last == last[0]).all()


def test_window_back_reads_what_was_pushed() -> None:
    f, i = fresh()
    for k in range(1, 12):
        ind.window_push(f, i, 0, 0, 5, float(k))
        for back in range(1, 6):
            got = ind.window_back(f, i, 0, 0, 5, back)
            assert got == k + 1 - back if back <= k else math.isnan(got)


def test_a_spike_leaves_no_trace_once_it_has_left_the_window() -> None:
    n = 20
    f, i = fresh()
    calm = np.round(60_000.0 + np.random.default_rng(2).choice([0.0, 0.01], 60), 2)
    calm[25] = 90_000.0
    for k, x in enumerate(calm):
        ind.window_push(f, i, 0, 0, n, x)
        if k >= 46:  # it left at 45, in the middle of a turn of the ring
            want = (calm[k + 1 - n : k + 1] - x).std()
            assert math.sqrt(ind.window_variance(f, i, 0, 0, n)) == pytest.approx(want, rel=1e-9)


@njit
def push_many(f: np.ndarray, i: np.ndarray, n: int, xs: np.ndarray) -> None:
    for x in xs:
        ind.window_push(f, i, 0, 0, n, x)


def test_two_million_values_do_not_drift() -> None:
    rng = np.random.default_rng(1)
    f, i = fresh()
    tail = np.empty(0)
    x = 60_000.0
    for _ in range(10):
        tail = x + np.cumsum(rng.normal(0.0, 0.5, 200_003))
        x = tail[-1]
        push_many(f, i, 50, tail)
    last = tail[-50:]
    assert ind.window_mean(f, i, 0, 0, 50) == pytest.approx(last.mean(), rel=1e-14)
    assert ind.window_variance(f, i, 0, 0, 50) == pytest.approx(last.var(), rel=1e-10)


@pytest.mark.parametrize("n", [2, 7, 40])
def test_range_equals_the_extremes_of_the_last_n(n: int) -> None:
    highs = walk(500, seed=n)
    lows = highs - np.random.default_rng(n).integers(0, 3, 500) * 0.01
    f, i = fresh()
    for k in range(500):
        ind.range_push(f, i, 0, 0, n, highs[k], lows[k])
        first = max(0, k + 1 - n)
        assert f[0] == highs[first : k + 1].max()
        assert f[1] == lows[first : k + 1].min()


@pytest.mark.parametrize(
    ("after", "flow"),
    [
        ((100.0, 2.0, 101.0, 3.0), 0.0),  # nothing changed
        ((100.0, 5.0, 101.0, 3.0), 3.0),  # the bid grew
        ((100.5, 4.0, 101.0, 3.0), 4.0),  # a higher bid: all of it is new demand
        ((99.5, 4.0, 101.0, 3.0), -2.0),  # the bid is gone
        ((100.0, 2.0, 101.0, 5.0), -2.0),  # the ask grew
        ((100.0, 2.0, 100.5, 1.0), -1.0),  # a lower ask: all of it is new supply
        ((100.0, 2.0, 101.5, 9.0), 3.0),  # the ask is gone
        ((99.5, 4.0, 100.5, 1.0), -3.0),
    ],
)
def test_order_flow_follows_its_definition(after: tuple[float, float, float, float], flow: float) -> None:
    f = np.array([100.0, 2.0, 101.0, 3.0])
    assert ind.order_flow(f, 0, *after) == flow


def test_imbalance_is_signed_and_bounded() -> None:
    assert ind.imbalance(3.0, 1.0) == 0.5
    assert ind.imbalance(0.0, 2.0) == -1.0
    assert ind.imbalance(0.0, 0.0) == 0.0


@given(
    some.lists(some.floats(1e-3, 1e9), min_size=1, max_size=120),
    some.integers(1, 40),
    some.sampled_from([1e-6, 1.0, 1e6]),
)
def test_window_variance_is_never_negative_and_near_numpys(xs: list[float], n: int, scale: float) -> None:
    f, i = fresh()
    for k, x in enumerate(xs, 1):
        ind.window_push(f, i, 0, 0, n, x * scale)
        if k >= n:
            last = np.array(xs[k - n : k]) * scale
            got = ind.window_variance(f, i, 0, 0, n)
            # numpy's own two passes round, too: to its last digits of the largest value
            floor = (np.abs(last).max() * 1e-15) ** 2
            assert got >= 0.0
            assert got == pytest.approx((last - last[-1]).var(), rel=1e-4, abs=floor)


def test_nothing_is_written_outside_an_indicators_room() -> None:
    n, at = 10, 5
    f, i = np.full(FLOATS, 77.0), np.full(8, 77, np.int64)
    ind.clear(f, i, at, at + ind.WINDOW_HEAD + n, 2, 2 + ind.WINDOW_INTS)
    for x in walk(50):
        ind.window_push(f, i, at, 2, n, x)
    assert (f[:at] == 77.0).all()
    assert (f[at + ind.WINDOW_HEAD + n :] == 77.0).all()
    assert i[[0, 1, 5, 6, 7]].tolist() == [77] * 5
