"""Trading a spread back to its mean."""

import math

import numpy as np
import pytest

from strategies import pairs


class Twin:
    """The spread's mean and deviation, recomputed from the whole history."""

    def __init__(self, half_life_s):
        self.half_life_s = half_life_s
        self.seen = []

    def score(self, now_s, spread):
        mean = variance = 0.0
        for number, (at_s, value) in enumerate(self.seen):
            if number == 0:
                mean = value
                continue
            weight = 1 - 0.5 ** ((at_s - self.seen[number - 1][0]) / self.half_life_s)
            variance = (1 - weight) * (variance + weight * (value - mean) ** 2)
            mean += weight * (value - mean)
        self.seen.append((now_s, spread))
        return (spread - mean) / math.sqrt(variance) if variance else math.nan


@pytest.fixture
def pair(stage):
    made = stage(
        pairs,
        notional=100.0,
        beta=1.0,
        half_life_s=60.0,
        warm_s=30.0,
        enter=2.0,
        leave=0.5,
        stop=6.0,
        slip_bps=10.0,
    )
    made.market(99.0, 101.0)
    made.market(49.5, 50.5, i=1)
    return made


def set_spread(pair, bps):
    """Move instrument 0 so that the spread is `bps` away from log 2."""
    mid = 100.0 * math.exp(bps * 1e-4)
    pair.market(mid - 1.0, mid + 1.0)


def warm(pair):
    """Let the spread swing by about 10 bps for a minute, and end at its mean."""
    rng = np.random.default_rng(3)
    for bps in rng.normal(0.0, 10.0, 120):
        set_spread(pair, float(bps))
        pair.ask(0.5)
    pair.state[pairs._SIDE] = 0.0
    set_spread(pair, 0.0)
    return pair.ask(0.5)


def test_it_has_no_opinion_until_both_markets_are_known_and_the_spread_is_warm(pair):
    pair.market(math.nan, 50.5, i=1)
    assert pair.ask() is None
    pair.market(49.5, 50.5, i=1)
    for _ in range(20):
        assert pair.ask(1.0) is None


def test_at_the_mean_both_legs_are_flat(pair):
    assert [(want.instrument, want.qty) for want in warm(pair)] == [(0, 0.0), (1, 0.0)]


def test_the_dear_leg_is_sold_and_the_cheap_one_bought_for_the_same_notional(pair):
    warm(pair)
    set_spread(pair, 40.0)
    first, second = pair.ask(0.1)
    assert (first.instrument, first.qty) == (0, pytest.approx(-100.0 / 100.4, rel=1e-3))
    assert (second.instrument, second.qty) == (1, pytest.approx(2.0))
    assert first.price == pytest.approx((100.0 * math.exp(0.004) - 1.0) * 0.999)
    assert second.price == pytest.approx(50.5 * 1.001)


def test_the_other_way_round_too_and_it_is_closed_near_the_mean(pair):
    warm(pair)
    set_spread(pair, -40.0)
    opened = pair.ask(0.1)
    assert opened[0].qty > 0 > opened[1].qty
    set_spread(pair, -15.0)
    assert [want.qty for want in pair.ask(0.1)] == [want.qty for want in opened]  # sized once
    set_spread(pair, 1e4 * (pair.state[pairs._MEAN] - math.log(2)))
    assert [want.qty for want in pair.ask(0.1)] == [0.0, 0.0]


def test_after_a_stop_it_stands_aside_until_the_spread_was_back(pair):
    warm(pair)
    set_spread(pair, 40.0)
    pair.ask(0.1)
    set_spread(pair, 400.0)
    assert [want.qty for want in pair.ask(0.1)] == [0.0, 0.0]
    pair.state[[pairs._MEAN, pairs._VARIANCE]] = math.log(2), 1e-6
    set_spread(pair, 40.0)
    assert [want.qty for want in pair.ask(0.0)] == [0.0, 0.0]
    set_spread(pair, 0.0)
    pair.ask(0.0)
    set_spread(pair, 40.0)
    assert pair.ask(0.0)[0].qty < 0


def test_the_score_is_that_of_the_whole_history(pair):
    twin = Twin(60.0)
    rng = np.random.default_rng(4)
    pair.params[pairs._WARM] = 0.0
    for _ in range(50):
        pair.now_ns += int(rng.integers(0, 3)) * 10**9
        spread = float(rng.normal())
        score = pairs._observe(pair.now_ns * 1e-9, spread, pair.state, pair.params)
        assert score == pytest.approx(twin.score(pair.now_ns * 1e-9, spread), rel=1e-6, nan_ok=True)
