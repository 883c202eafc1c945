"""Addresses and rules: what Binance is asked, and what its exchangeInfo becomes."""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.binance_rest import STREAMS_MAX, Binance

BINANCE = Binance()

SPOT = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.0", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
    ],
}
USDM = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "contractType": "PERPETUAL",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ],
}
COINM = {
    "symbol": "BTCUSD_PERP",
    "contractStatus": "TRADING",
    "contractSize": 100,
    "baseAsset": "BTC",
    "quoteAsset": "USD",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
        {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "60000", "stepSize": "1"},
    ],
}


def info(*symbols: object) -> bytes:
    return msgspec.json.encode({"timezone": "UTC", "symbols": symbols})


def test_rules_come_from_the_filters() -> None:
    [spot] = BINANCE.instruments("spot", ["btc/usdt"], info(SPOT))
    assert (spot.symbol, spot.exchange_symbol, spot.index) == ("BTC/USDT", "BTCUSDT", 0)
    assert (spot.tick_size, spot.lot_size) == (Decimal("0.01"), Decimal("0.00001"))
    assert (spot.qty_min, spot.qty_max, spot.notional_min) == (Decimal("0.00001"), 9000, 5)
    assert (spot.price.places, spot.qty.places, spot.status) == (2, 5, "TRADING")
    [usdm] = BINANCE.instruments("usdm", ["BTC/USDT:USDT"], info(USDM))
    assert (usdm.symbol, usdm.notional_min, usdm.market) == ("BTC/USDT:USDT", 100, "usdm")
    [coinm] = BINANCE.instruments("coinm", ["BTC/USD"], info(COINM))
    assert (coinm.symbol, coinm.exchange_symbol, coinm.status) == ("BTC/USD:BTC", "BTCUSD_PERP", "TRADING")
    assert coinm.notional_min == 0
    assert (coinm.lot_size, coinm.contract_size, coinm.told_size) == (1, 100, 1)  # contracts of 100 dollars
    assert spot.contract_size == usdm.contract_size == 1


@pytest.mark.parametrize(
    ("market", "listed", "names"),
    [("spot", SPOT, ("maxNumOrders", "maxNumAlgoOrders")), ("usdm", USDM, ("limit", "limit"))],
)
def test_what_may_stand_and_how_large_a_stop_may_be_come_from_the_filters(market, listed, names) -> None:
    filters = [
        *listed["filters"],
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "120.5", "stepSize": "0"},
        {"filterType": "MAX_NUM_ORDERS", names[0]: 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", names[1]: 5},
    ]
    [one] = BINANCE.instruments(market, ["BTC/USDT"], info({**listed, "filters": filters}))
    assert (one.stop_qty_max, one.orders_max, one.stops_max) == (Decimal("120.5"), 200, 5)
    [plain] = BINANCE.instruments(market, ["BTC/USDT"], info(listed))
    assert (plain.stop_qty_max, plain.orders_max, plain.stops_max) == (0, 0, 0)


def test_how_much_an_account_may_have_and_how_often_an_order_is_amended_come_from_the_filters() -> None:
    listed = (
        b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":['
        b'{"filterType":"PRICE_FILTER","minPrice":"0.01","maxPrice":"1000000.00","tickSize":"0.01"},'
        b'{"filterType":"LOT_SIZE","minQty":"0.00001","maxQty":"9000.00","stepSize":"0.00001"}%s]}]}'
    )
    more = (
        b',{"filterType":"MAX_POSITION","maxPosition":"10.50000000"}'
        b',{"filterType":"MAX_NUM_ORDER_AMENDS","maxNumOrderAmends":10}'
    )
    [one] = BINANCE.instruments("spot", ["BTC/USDT"], listed % more)
    assert (one.position_max, one.amends_max) == (Decimal("10.5"), 10)
    [plain] = BINANCE.instruments("spot", ["BTC/USDT"], listed % b"")
    assert (plain.position_max, plain.amends_max) == (0, 0)


SIDES = {
    "bidMultiplierUp": "5",
    "bidMultiplierDown": "0.2",
    "askMultiplierUp": "4",
    "askMultiplierDown": "0.3",
}


@pytest.mark.parametrize(
    ("bounds", "least"),
    [
        ({}, "0"),
        ({"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9600"}, "0.04"),
        ({"filterType": "PERCENT_PRICE_BY_SIDE", **SIDES}, "0.7"),
        ({"filterType": "PERCENT_PRICE"}, "0"),
    ],
)
def test_how_far_from_its_own_reference_an_exchange_takes_a_price(bounds, least) -> None:
    filters = [*SPOT["filters"], *([bounds] if bounds else [])]
    [spot] = BINANCE.instruments("spot", ["BTC/USDT"], info({**SPOT, "filters": filters}))
    assert spot.reference_bound == Decimal(least)


def test_instruments_come_in_the_order_asked_for() -> None:
    eth = {**SPOT, "symbol": "ETHUSDT", "baseAsset": "ETH"}
    found = BINANCE.instruments("spot", ["ETH/USDT", "BTC/USDT"], info(SPOT, eth))
    assert [(one.index, one.symbol) for one in found] == [(0, "ETH/USDT"), (1, "BTC/USDT")]


def test_an_unlisted_symbol_names_its_nearest() -> None:
    with pytest.raises(ConfigError, match=r"lists no BTC/USDC; did you mean BTCUSDT\?"):
        BINANCE.instruments("spot", ["BTC/USDC"], info(SPOT))
    with pytest.raises(ConfigError, match=r"lists no DOGE/EUR$"):
        BINANCE.instruments("spot", ["DOGE/EUR"], info(SPOT))


def test_a_symbol_without_a_grid_cannot_be_traded() -> None:
    with pytest.raises(ConfigError, match="no tick or lot size for BTCUSDT"):
        BINANCE.instruments("spot", ["BTC/USDT"], info({**SPOT, "filters": []}))
    zero = [{"filterType": "PRICE_FILTER", "tickSize": "0.00"}, SPOT["filters"][1]]
    with pytest.raises(ConfigError, match="positive"):
        BINANCE.instruments("spot", ["BTC/USDT"], info({**SPOT, "filters": zero}))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"symbols":5}', b'{"symbols":[{"symbol":"\xff"}]}']
)
def test_an_answer_that_is_no_exchange_info_is_one_sentence(body: bytes) -> None:
    with pytest.raises(NetError, match="answered exchangeInfo with something else"):
        BINANCE.instruments("spot", ["BTC/USDT"], body)


def test_rules_that_are_no_numbers_are_one_sentence() -> None:
    odd = [{"filterType": "PRICE_FILTER", "tickSize": "small"}, SPOT["filters"][1]]
    with pytest.raises(NetError, match="no numbers"):
        BINANCE.instruments("spot", ["BTC/USDT"], info({**SPOT, "filters": odd}))


def stream_url(*arguments) -> str:
    """Return the address of the only connection, which is asked for nothing more."""
    (one,) = BINANCE.subscriptions(*arguments)
    assert one.requests == ()
    return one.url


def test_one_connection_carries_all_streams_of_all_instruments(instrument) -> None:
    pair = [instrument(), instrument(symbol="ETH/USDT", index=1)]
    assert stream_url("spot", pair, ("trade", "quote", "depth")) == (
        "wss://stream.binance.com:9443/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms/"
        "ethusdt@trade/ethusdt@bookTicker/ethusdt@depth@100ms"
    )


def test_another_address_replaces_the_exchanges_own(instrument) -> None:
    usdm, coinm = instrument("usdm"), instrument("coinm", "BTC/USD")
    assert stream_url("usdm", [usdm], ("depth",), "ws://127.0.0.1:7/") == (
        "ws://127.0.0.1:7/stream?streams=btcusdt@depth@0ms"
    )
    assert stream_url("coinm", [coinm], ("quote",)).endswith("/stream?streams=btcusd_perp@bookTicker")
    assert BINANCE.snapshot_url(usdm, "http://127.0.0.1:8") == (
        "http://127.0.0.1:8/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    )
    assert BINANCE.snapshot_url(coinm).startswith("https://dapi.binance.com/dapi/v1/depth?symbol=BTCUSD_PERP")
    assert BINANCE.instruments_url("usdm", ["BTC/USDT"], "http://h") == "http://h/fapi/v1/exchangeInfo"


def test_spot_is_asked_for_the_symbols_wanted_only() -> None:
    url = BINANCE.instruments_url("spot", ["BTC/USDT", "ETH-USDT"])
    assert parse_qs(urlsplit(url).query) == {"symbols": ['["BTCUSDT","ETHUSDT"]']}


def many(instrument, count: int):
    return [instrument(symbol=f"COIN{k:03d}/USDT", index=k) for k in range(count)]


def test_streams_that_an_address_has_no_room_for_are_subscribed_to(instrument) -> None:
    (one,) = BINANCE.subscriptions("spot", many(instrument, 500), ("trade", "quote"))
    asked = [msgspec.json.decode(request) for request in one.requests]
    names = one.url.partition("streams=")[2].split("/") + [name for ask in asked for name in ask["params"]]
    assert names == [f"coin{k:03d}usdt@{kind}" for k in range(500) for kind in ("trade", "bookTicker")]
    assert len(one.url) < 4_088
    assert all(len(request) < 4_088 for request in one.requests)
    assert {ask["method"] for ask in asked} == {"SUBSCRIBE"}
    assert [ask["id"] for ask in asked] == list(range(1, len(asked) + 1))
    assert one.request_gap_s >= 0.2


def test_more_streams_than_a_connection_carries_come_by_several(instrument) -> None:
    both = BINANCE.subscriptions("spot", many(instrument, 500), ("trade", "quote", "depth"))
    assert [one.instruments for one in both] == [tuple(range(341)), tuple(range(341, 500))]
    for one in both:
        names = one.url.partition("streams=")[2].split("/")
        names += [name for request in one.requests for name in msgspec.json.decode(request)["params"]]
        assert len(set(names)) == 3 * len(one.instruments) <= STREAMS_MAX


def test_the_rules_of_many_symbols_are_picked_from_all() -> None:
    names = [f"COIN{k:03d}/USDT" for k in range(500)]
    assert BINANCE.instruments_url("spot", names, "http://h") == "http://h/api/v3/exchangeInfo"


def test_the_decoder_knows_the_streams_that_are_asked_for(instrument) -> None:
    for market, symbol in (("spot", "BTC/USDT"), ("usdm", "BTC/USDT"), ("coinm", "BTC/USD")):
        one = instrument(market, symbol)
        decoder = BINANCE.decoder([one])
        assert isinstance(decoder, BinanceDecoder)
        url = stream_url(market, [one], ("trade", "quote", "depth"))
        names = url.partition("streams=")[2].split("/")
        assert set(names) <= set(decoder._by_stream)
