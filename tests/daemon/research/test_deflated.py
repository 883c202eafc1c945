"""The deflated Sharpe ratio, against its formulas written out slowly and against luck itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from daemon.research.deflated import Moments, deflated, expected_maximum, moments, probabilistic
from daemon.research.statistics import Changes


def cdf(x):
    return (1 + math.erf(x / math.sqrt(2))) / 2


def quantile(p):
    """Find it by halving."""
    low, high = -10.0, 10.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if cdf(middle) < p else (low, middle)
    return low


def slow(values, still, ratios):
    """Bailey and Lopez de Prado's definitions, term by term."""
    every = [*values, *([0.0] * still)]
    n = len(every)
    mean = sum(every) / n
    m2, m3, m4 = (sum((one - mean) ** k for one in every) / n for k in (2, 3, 4))
    skew, kurtosis = m3 / m2**1.5, m4 / m2**2
    ratio = ratios[0]
    average = sum(ratios) / len(ratios)
    variance = sum((one - average) ** 2 for one in ratios) / (len(ratios) - 1)
    g = 0.5772156649015329
    count = len(ratios)
    best = (1 - g) * quantile(1 - 1 / count) + g * quantile(1 - 1 / (count * math.e))
    beaten = math.sqrt(variance) * best
    under = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    return cdf((ratio - beaten) * math.sqrt(n - 1) / math.sqrt(under))


@pytest.mark.parametrize("still", [0, 25])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_formula(seed, still):
    rng = np.random.default_rng(seed)
    values = rng.standard_t(4, 200) * 1e-3 + 2e-4
    ratios = [0.12, *rng.normal(0.0, 0.05, 30)]
    changes = Changes(values, still, 10**9)
    found = deflated(0.12, changes.total, moments(changes), ratios)
    assert found == pytest.approx(slow(values.tolist(), still, ratios), rel=1e-9)
    assert 0 < found < 1


def test_the_published_example():
    # of the paper: 100 trials whose annualised ratios vary by 1/2, the best 2.5 of five years of days
    beaten = expected_maximum(0.5 / 250, 100)
    assert beaten == pytest.approx(0.1132, abs=5e-5)
    found = probabilistic(2.5 / math.sqrt(250), beaten, 1_250, Moments(-3.0, 10.0))
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_the_expected_maximum_is_that_of_many_draws():
    rng = np.random.default_rng(3)
    drawn = rng.normal(0, 0.2, (20_000, 50)).max(axis=1).mean()
    assert expected_maximum(0.04, 50) == pytest.approx(drawn, rel=0.02)


@pytest.mark.parametrize(
    ("values", "sentence"), [([0.1] * 29, "too few: 29 changes"), ([0.0] * 30, "did not change")]
)
def test_a_shape_that_is_not_known_is_a_sentence(values, sentence):
    assert sentence in moments(Changes(np.array(values), 0, 10**9))


def test_what_is_not_known_is_a_sentence():
    shape = Moments(0.0, 3.0)
    assert deflated(0.1, 100, shape, [0.1]).startswith("too few: 1 trial")
    assert deflated(None, 100, shape, [0.1, 0.2]) == "the best trial has no Sharpe ratio"
    assert deflated(0.1, 100, "too few: 3", [0.1, 0.2]) == "too few: 3"
    assert "too skewed" in deflated(2.0, 100, Moments(3.0, 1.0), [0.1, 0.2])
