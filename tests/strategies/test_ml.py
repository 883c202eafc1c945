"""Trading a prediction."""

import math

import pytest

from daemon.stage import Want
from kernels.dtypes import TARGET
from strategies import ml


@pytest.fixture
def trader(stage):
    made = stage(ml, qty=0.5, centre=0.5, band=0.1, horizon_s=2.0, slip_bps=10.0)
    made.market(99.0, 101.0)
    return made


def test_without_a_prediction_it_wants_to_be_flat(trader):
    assert trader.ask() == [Want(TARGET, 0, 0, 0, 0.0, pytest.approx(98.901))]
    trader.predict(0.55)
    assert trader.ask()[0].qty == 0.0


def test_it_follows_a_prediction_beyond_the_band_for_its_horizon(trader):
    trader.predict(0.61)
    assert trader.ask() == [Want(TARGET, 0, 0, 0, 0.5, pytest.approx(101.0 * 1.001))]
    trader.predict(0.5)
    assert trader.ask(1.9)[0].qty == 0.5
    trader.hold(0.5)
    assert trader.ask(0.2) == [Want(TARGET, 0, 0, 0, 0.0, pytest.approx(99.0 * 0.999))]


def test_each_prediction_starts_the_horizon_anew_and_the_other_side_turns(trader):
    trader.predict(0.7)
    trader.ask()
    trader.ask(1.5)
    trader.predict(0.5)
    assert trader.ask(1.5)[0].qty == 0.5
    trader.predict(0.3)
    assert trader.ask(0.1)[0].qty == -0.5


def test_a_prediction_that_is_lost_ends_with_its_horizon(trader):
    trader.predict(0.7)
    trader.ask()
    trader.predict(math.nan)
    assert trader.ask(1.0)[0].qty == 0.5
    assert trader.ask(1.1)[0].qty == 0.0


def test_without_a_market_it_has_no_opinion(trader):
    trader.market(math.nan, math.nan)
    assert trader.ask() is None
    assert len(ml.decide.signatures) == 1
