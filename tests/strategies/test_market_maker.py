"""Quoting both sides."""

import math

import pytest

from kernels.dtypes import BUY, REST, SELL
from strategies import market_maker

BID, ASK = market_maker.BID_LEVEL, market_maker.ASK_LEVEL


@pytest.fixture
def maker(stage):
    made = stage(
        market_maker, qty=0.2, half_spread_bps=20.0, volatility_weight=0.0, inventory_max=1.0, skew_bps=10.0
    )
    made.market(99.95, 100.05)
    made.feature("microprice_bps", 0.0)
    made.feature("volatility_bps", 3.0)
    return made


def test_it_quotes_both_sides_around_the_centre(maker):
    assert maker.ask() == [
        (REST, 0, BID, BUY, 0.2, pytest.approx(99.8)),
        (REST, 0, ASK, SELL, 0.2, pytest.approx(100.2)),
    ]


def test_the_microprice_moves_the_centre(maker):
    maker.feature("microprice_bps", 5.0)
    assert [want.price for want in maker.ask()] == pytest.approx([100.05 * 0.998, 100.05 * 1.002])


def test_it_stands_further_out_when_it_is_volatile(maker):
    maker.params[2] = 10.0
    assert [want.price for want in maker.ask()] == pytest.approx([99.5, 100.5])


def test_it_leans_against_its_inventory(maker):
    maker.hold(0.5)
    assert [want.price for want in maker.ask()] == pytest.approx([99.95 * 0.998, 99.95 * 1.002])
    maker.hold(-0.5)
    assert [want.price for want in maker.ask()] == pytest.approx([100.05 * 0.998, 100.05 * 1.002])


def test_a_full_inventory_is_not_added_to(maker):
    maker.hold(1.0)
    assert [want.side for want in maker.ask()] == [SELL]
    maker.hold(-0.85)
    assert [(want.side, want.qty) for want in maker.ask()] == [(BUY, 0.2), (SELL, pytest.approx(0.15))]
    maker.hold(-0.95)
    assert [want.side for want in maker.ask()] == [BUY]


def test_it_never_improves_on_the_market(maker):
    maker.params[1] = 0.0
    maker.feature("microprice_bps", 500.0)
    assert maker.ask()[0].price == 99.95
    maker.feature("microprice_bps", -500.0)
    assert maker.ask()[1].price == 100.05


@pytest.mark.parametrize("name", ["microprice_bps", "volatility_bps"])
def test_it_wants_nothing_standing_while_it_does_not_know(maker, name):
    maker.feature(name, math.nan)
    assert maker.ask() == []


def test_it_wants_nothing_standing_without_a_market(maker):
    maker.market(99.95, math.nan)
    assert maker.ask() == []
    assert len(market_maker.decide.signatures) == 1
