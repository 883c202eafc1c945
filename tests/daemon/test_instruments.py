from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.instruments import Scale, assets_of, make_instrument, scale_of, scale_text, unify

STEPS = ["0.01", "0.5", "1", "10", "0.00000001", "0.25", "0.1", "0.0005", "100"]


@given(st.sampled_from(STEPS), st.integers(-(10**12), 10**12))
def test_text_and_count_are_exact_inverses(step, count):
    scale = Scale(Decimal(step))
    text = scale.text(count)
    assert Decimal(text) == scale.decimal(count) == Decimal(step) * count
    assert "E" not in text
    assert scale.parse(text) == count


@given(st.sampled_from(STEPS), st.integers(-(10**12), 10**12))
def test_the_float_is_the_one_nearest_to_the_exact_value(step, count):
    scale = Scale(Decimal(step))
    assert scale.value(count) == float(Decimal(step) * count)
    assert scale.count(scale.value(count)) == count


@pytest.mark.parametrize("text", ["0.015", "", "abc", "nan", "inf", "1e-9"])
def test_text_that_is_no_whole_count_is_refused(text):
    with pytest.raises(ValueError, match="is no"):
        Scale(Decimal("0.01")).parse(text)


@pytest.mark.parametrize("step", ["0", "-1", "nan", "inf"])
def test_a_step_is_a_positive_number(step):
    with pytest.raises(ConfigError, match="must be a positive number"):
        Scale(Decimal(step))


@pytest.mark.parametrize(
    ("symbol", "market", "unified"),
    [
        ("BTC/USDT", "spot", "BTC/USDT"),
        ("btc-usdt", "spot", "BTC/USDT"),
        ("BTC_USDT", "spot", "BTC/USDT"),
        ("BTCUSDT", "spot", "BTC/USDT"),
        ("ETHFDUSD", "spot", "ETH/FDUSD"),
        ("BTCUSDT", "usdm", "BTC/USDT:USDT"),
        ("BTC/USDT:USDT", "usdm", "BTC/USDT:USDT"),
        ("BTCUSD_PERP", "coinm", "BTC/USD:BTC"),
        ("1000PEPEUSDT", "usdm", "1000PEPE/USDT:USDT"),
    ],
)
def test_symbols_are_understood_as_people_write_them(symbol, market, unified):
    assert unify(symbol, market) == unified


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT:USDT-260327", "btcusdt_260327", "BTC-USD-260327", "ETHUSD_260626"]
)
def test_a_contract_with_an_end_is_never_taken_for_the_perpetual(symbol):
    with pytest.raises(ConfigError, match="ends on a date"):
        unify(symbol, "usdm")


@pytest.mark.parametrize(
    ("symbol", "market"), [("BTC/USDT:USDT", "spot"), ("BTC/USDT:BTC", "usdm"), ("BTC/USD:USD", "coinm")]
)
def test_a_symbol_of_another_market_is_refused(symbol, market):
    with pytest.raises(ConfigError, match=f"is none of market {market}"):
        unify(symbol, market)


@pytest.mark.parametrize("symbol", ["", "USDT", "zz", "BTC/", "/USDT", "B C/USDT"])
def test_a_symbol_that_is_not_understood_says_how_to_write_it(symbol):
    with pytest.raises(ConfigError, match="write it like BTC/USDT"):
        unify(symbol)


def test_an_instrument_is_built_from_what_an_exchange_publishes():
    rules = {
        "tick_size": "0.10",
        "lot_size": "0.001",
        "qty_min": "0.001",
        "qty_max": "1000",
        "notional_min": "5",
    }
    one = make_instrument(3, "binance", "usdm", "BTCUSDT", **rules)
    assert (one.symbol, one.exchange_symbol, one.base, one.quote) == (
        "BTC/USDT:USDT",
        "BTCUSDT",
        "BTC",
        "USDT",
    )
    assert (one.price.parse("61737.6"), one.qty.parse("0.012"), one.spot) == (617376, 12, False)
    assert make_instrument(0, "binance", "spot", "BTC/USDT", **rules).spot


def test_dust_is_what_no_order_could_close_and_a_derivative_is_closed_at_any_notional():
    rules = {"tick_size": "0.1", "lot_size": "0.001", "qty_min": "0.002", "qty_max": "9", "notional_min": "5"}
    spot, usdm = (make_instrument(0, "binance", market, "BTC/USDT", **rules) for market in ("spot", "usdm"))
    assert [spot.is_dust(lots, Decimal(1000)) for lots in (1, 4, 5)] == [True, True, False]
    assert [usdm.is_dust(lots, Decimal(1000)) for lots in (1, 2, 5)] == [True, False, False]


@pytest.mark.parametrize(
    ("market", "size", "lot", "told", "ratio"),
    [
        ("spot", "1", "0.001", "0.001", (1, 1)),
        ("usdm", "0.01", "0.001", "0.1", (1, 100)),
        ("usdm", "1000", "1000", "1", (1000, 1)),
        ("coinm", "100", "1", "1", (1, 1)),
    ],
)
def test_what_an_exchange_tells_in_contracts_is_known_in_ours(market, size, lot, told, ratio):
    one = make_instrument(
        0, "okx", market, "BTC/USD", tick_size="0.1", lot_size=lot, qty_min=lot, qty_max="9",
        notional_min="0", contract_size=Decimal(size),
    )  # fmt: skip
    assert (one.told_qty.step, one.told_ratio) == (Decimal(told), ratio)


def test_a_scale_goes_through_a_file_as_its_step():
    assert scale_text(Scale(Decimal("0.010"))) == "0.01"
    assert scale_of(Scale, "0.01").parse("1.23") == 123
    for odd in ("", "x", "0", "-1", "nan", None):
        with pytest.raises((ValueError, TypeError)):
            scale_of(Scale, odd)


def test_a_symbol_may_name_its_exchange_and_keeps_its_assets():
    assert unify("BTC/USDT:USDT@ccxt:bitget") == "BTC/USDT:USDT@ccxt:bitget"
    for symbol in ("BTC/USDT@okx", "BTC/USDT:USDT@ccxt:bitget", "BTC/USDT:USDT", "BTC/USDT"):
        assert assets_of(symbol) == ("BTC", "USDT")
    for symbol in ("BTC@okx", "@", "/USDT@okx", "BTC/"):
        with pytest.raises(ConfigError, match="is not understood; write it like BTC/USDT"):
            assets_of(symbol)


SWAP = make_instrument(
    0, "okx", "usdm", "BTC/USDT:USDT", tick_size="0.1", lot_size="0.0001", qty_min="1", qty_max="9",
    notional_min="0", contract_size=Decimal("0.01"),
)  # fmt: skip


@pytest.mark.parametrize("size", ["0.01", "0.1", "0.001", "10", "100", "1000000", "0.5"])
def test_what_was_told_in_contracts_is_found_again_exactly(size):
    one = msgspec.structs.replace(SWAP, contract_size=Decimal(size))
    num, of = one.told_ratio
    draw = random.Random(1)
    for _ in range(2_000):
        places = draw.randrange(6)
        told = Decimal(draw.randrange(1, 10 ** draw.randrange(1, 15))).scaleb(-places)
        assert one.exact_qty(float(told) * num / of) == told * Decimal(size)
    plain = msgspec.structs.replace(SWAP, contract_size=Decimal(1))
    assert plain.exact_qty(0.1 + 0.2) == Decimal("0.30000000000000004")


def test_what_no_contracts_of_15_digits_make_is_refused():
    with pytest.raises(ValueError, match="no amount that okx told in 15 digits"):
        SWAP.exact_qty(0.12345678901234567 / 100)
