import pytest

from daemon.simulator.marketdata import MarketData
from daemon.simulator.symbols import UNIT
from daemon.simulator.tickers import day_ticker, day_view, mini_ticker


@pytest.fixture
def market(make_symbol):
    market = MarketData(make_symbol())
    market.quote(74 * UNIT, UNIT, 76 * UNIT, 2 * UNIT)
    market.trade(1, 100 * UNIT, UNIT, False, 60_000)
    market.trade(2, 75 * UNIT, 3 * UNIT, False, 120_000)
    return market


def test_the_days_change_is_signed_and_its_average_weighted(market):
    view = day_view(market, lambda ms: ms * 1_000)
    assert (view["priceChange"], view["priceChangePercent"]) == ("-25.00000000", "-25.000")
    assert (view["weightedAvgPrice"], view["count"], view["closeTime"]) == ("81.25000000", 2, 120_000_000)


def test_before_the_first_trade_everything_is_zero(make_symbol):
    view = day_view(MarketData(make_symbol()), lambda ms: ms)
    assert (view["priceChangePercent"], view["weightedAvgPrice"], view["lastQty"]) == (
        "0.000",
        *["0.00000000"] * 2,
    )


def test_the_streams_abbreviate_the_same_numbers(market):
    full, mini = day_ticker(market, 5), mini_ticker(market, 5)
    assert (full["e"], full["E"], full["p"], full["n"]) == ("24hrTicker", 5, "-25.00000000", 2)
    assert mini.keys() - full.keys() == set()
    assert {key: full[key] for key in mini if key != "e"} == {key: mini[key] for key in mini if key != "e"}
