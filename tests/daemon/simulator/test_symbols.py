import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.simulator.symbols import UNIT, futures_listing, notional, spot_listing, text, units


@given(st.integers(-(10**18), 10**18))
def test_units_and_texts_are_each_others_inverse(amount):
    assert units(text(amount)) == amount


def test_more_than_eight_decimals_are_refused():
    with pytest.raises(ConfigError, match="8 decimals"):
        units("0.000000001")


def test_a_notional_is_rounded_down():
    assert notional(3 * UNIT, UNIT // 2) == 3 * UNIT // 2
    assert notional(1, UNIT - 1) == 0


def test_a_catalogued_pair_has_the_exchanges_grid_and_another_its_own(make_symbol):
    btc, other = make_symbol("BTC/USDT"), make_symbol("NKN/USDT")
    assert (text(btc.tick), text(btc.lot)) == ("0.01000000", "0.00001000")
    assert (text(other.tick), text(other.lot)) == ("0.01000000", "0.00100000")


def test_prices_are_written_with_eight_decimals_on_spot_and_the_ticks_on_futures(make_symbol):
    spot, futures = make_symbol("BTC/USDT"), make_symbol("BTC/USDT", "usdm")
    assert spot.price_text(units("61837.63")) == "61837.63000000"
    assert futures.price_text(units("61800.2")) == "61800.2"
    assert futures.qty_text(units("2.507")) == "2.507"


def test_the_spot_listing_publishes_the_filters_that_are_checked(make_symbol):
    listing = spot_listing(make_symbol())
    assert [row["filterType"] for row in listing["filters"]] == [
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "PERCENT_PRICE_BY_SIDE",
        "NOTIONAL",
        "MAX_NUM_ORDERS",
        "MAX_NUM_ALGO_ORDERS",
        "MAX_NUM_ORDER_AMENDS",
    ]
    assert listing["amendAllowed"] is True
    symbol = make_symbol()
    symbol.position_max = units("10.5")
    assert spot_listing(symbol)["filters"][-1] == {"filterType": "MAX_POSITION", "maxPosition": "10.50000000"}


def test_the_futures_listing_names_the_contract(make_symbol):
    listing = futures_listing(make_symbol("BTC/USDT", "usdm"))
    assert (listing["pair"], listing["contractType"], listing["marginAsset"]) == (
        "BTCUSDT",
        "PERPETUAL",
        "USDT",
    )
    inverse = futures_listing(make_symbol("BTC/USD", "coinm"))
    assert (inverse["symbol"], inverse["marginAsset"]) == ("BTCUSD_PERP", "BTC")
