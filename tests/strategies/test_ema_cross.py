"""Following the trend."""

import math

import pytest

from daemon.stage import Want
from kernels.dtypes import TARGET
from strategies import ema_cross


@pytest.fixture
def crossing(stage):
    made = stage(ema_cross, qty=0.5, band_bps=1.0, slip_bps=10.0)
    made.market(99.0, 101.0)
    return made


def test_it_has_no_opinion_before_the_averages_are_warm_or_have_crossed(crossing):
    assert crossing.ask() is None
    crossing.feature("ema_spread_bps", 0.9)
    assert crossing.ask() is None


def test_it_goes_long_and_short_beyond_the_band_and_stays_within_it(crossing):
    crossing.feature("ema_spread_bps", 1.1)
    assert crossing.ask() == [Want(TARGET, 0, 0, 0, 0.5, pytest.approx(101.0 * 1.001))]
    crossing.feature("ema_spread_bps", -0.9)
    assert crossing.ask() == [Want(TARGET, 0, 0, 0, 0.5, pytest.approx(101.0 * 1.001))]
    crossing.feature("ema_spread_bps", -1.1)
    assert crossing.ask() == [Want(TARGET, 0, 0, 0, -0.5, pytest.approx(99.0 * 0.999))]


def test_its_worst_price_is_on_the_side_it_must_trade(crossing):
    crossing.feature("ema_spread_bps", 2.0)
    crossing.hold(0.7)
    assert crossing.ask() == [Want(TARGET, 0, 0, 0, 0.5, pytest.approx(99.0 * 0.999))]


def test_it_decides_nothing_without_a_market_or_when_the_averages_start_again(crossing):
    crossing.feature("ema_spread_bps", 2.0)
    crossing.market(math.nan, math.nan)
    assert crossing.ask() is None
    crossing.market(99.0, 101.0)
    crossing.feature("ema_spread_bps", math.nan)
    assert crossing.ask() is None


def test_it_has_one_signature(crossing):
    crossing.ask()
    assert len(ema_cross.decide.signatures) == 1
