"""Addresses and rules: what Bybit is asked, and what its instruments-info becomes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.bybit import BybitDecoder
from daemon.feeds.bybit_rest import TOPICS_CHARACTERS_MAX, TOPICS_MAX, Bybit
from daemon.feeds.exchanges import find_exchange
from daemon.instruments import NOT_LISTED, Instrument, make_instrument

if TYPE_CHECKING:
    from pathlib import Path

BYBIT = Bybit()

SPOT: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "innovation": "0",
    "status": "Trading",
    "lotSizeFilter": {
        "basePrecision": "0.000001",
        "quotePrecision": "0.00000001",
        "minOrderQty": "0.000048",
        "maxOrderQty": "71.73956243",
        "minOrderAmt": "1",
        "maxOrderAmt": "2000000",
    },
    "priceFilter": {"tickSize": "0.01"},
}
LINEAR: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "settleCoin": "USDT",
    "priceFilter": {"minPrice": "0.10", "maxPrice": "199999.80", "tickSize": "0.10"},
    "lotSizeFilter": {
        "maxOrderQty": "100.000",
        "maxMktOrderQty": "90.000",
        "minOrderQty": "0.001",
        "qtyStep": "0.001",
        "minNotionalValue": "5",
    },
}
USDC = {**LINEAR, "symbol": "BTCPERP", "quoteCoin": "USDC", "settleCoin": "USDC"}
INVERSE = {
    **LINEAR,
    "symbol": "BTCUSD",
    "contractType": "InversePerpetual",
    "quoteCoin": "USD",
    "settleCoin": "BTC",
    "lotSizeFilter": {"maxOrderQty": "25000000", "minOrderQty": "1", "qtyStep": "1"},
}
DATED = {**LINEAR, "symbol": "ETH-26JUN26", "baseCoin": "ETH", "contractType": "LinearFutures"}


def info(*symbols: object, code: int = 0) -> bytes:
    body = {"retCode": code, "retMsg": "OK", "result": {"category": "spot", "list": symbols}, "time": 1}
    return msgspec.json.encode(body)


def make(base: str = "BTC", index: int = 0) -> Instrument:
    return make_instrument(
        index, "bybit", "spot", f"{base}/USDT", tick_size="0.1", lot_size="1", qty_min="1", qty_max="9",
        notional_min="0",
    )  # fmt: skip


def test_spots_rules_come_from_its_filters() -> None:
    [one] = BYBIT.instruments("spot", ["btc-usdt"], info(SPOT))
    assert (one.exchange, one.symbol, one.exchange_symbol) == ("bybit", "BTC/USDT", "BTCUSDT")
    assert (one.tick_size, one.lot_size) == (Decimal("0.01"), Decimal("0.000001"))
    assert (one.qty_min, one.qty_max) == (Decimal("0.000048"), Decimal("71.73956243"))
    assert (one.notional_min, one.stop_qty_max, one.price_max, one.status) == (1, 0, 0, "TRADING")


def test_spots_newer_words_for_the_largest_quantity_stand_before_the_old() -> None:
    lots = {**SPOT["lotSizeFilter"], "maxLimitOrderQty": "60.5", "maxMarketOrderQty": "30.25"}
    [one] = BYBIT.instruments("spot", ["BTC/USDT"], info({**SPOT, "lotSizeFilter": lots}))
    assert (one.qty_max, one.stop_qty_max) == (Decimal("60.5"), Decimal("30.25"))


def test_perpetuals_are_found_by_what_they_are_made_of() -> None:
    found = BYBIT.instruments("usdm", ["BTC/USDC:USDC", "BTC/USDT"], info(DATED, LINEAR, USDC))
    assert [(one.index, one.symbol, one.exchange_symbol) for one in found] == [
        (0, "BTC/USDC:USDC", "BTCPERP"),
        (1, "BTC/USDT:USDT", "BTCUSDT"),
    ]
    one = found[1]
    assert (one.tick_size, one.lot_size, one.notional_min) == (Decimal("0.1"), Decimal("0.001"), 5)
    assert (one.qty_min, one.qty_max, one.stop_qty_max) == (Decimal("0.001"), 100, 90)
    assert (one.price_min, one.price_max) == (Decimal("0.1"), Decimal("199999.8"))


def test_a_dated_future_is_no_perpetual() -> None:
    with pytest.raises(ConfigError, match=r"bybit usdm lists no ETH/USDT:USDT; did you mean"):
        BYBIT.instruments("usdm", ["ETH/USDT"], info(DATED, LINEAR))


def test_what_is_not_traded_says_so_in_their_word() -> None:
    [one] = BYBIT.instruments("spot", ["BTC/USDT"], info({**SPOT, "status": "PreLaunch"}))
    assert (one.status, one.trading) == ("PreLaunch", False)


def test_what_is_listed_no_more_is_as_it_is_remembered() -> None:
    gone = msgspec.structs.replace(make("XRP", 7), status=NOT_LISTED)
    found = BYBIT.instruments("spot", ["XRP/USDT", "BTC/USDT"], info(SPOT), {"XRP/USDT": gone})
    assert [(one.index, one.listed) for one in found] == [(0, False), (1, True)]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"<html>", "told its rules as something else"),
        (b'{"result":{}}', "told its rules as something else"),
        (info(code=10006), r"refused its rules \(10006\): OK"),
        (info({**SPOT, "priceFilter": {"tickSize": "x"}}), "tells rules of BTC/USDT that are no numbers"),
        (info({**SPOT, "lotSizeFilter": {"minOrderQty": "1"}}), "are no numbers"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(payload: bytes, said: str) -> None:
    with pytest.raises(NetError, match=said):
        BYBIT.instruments("spot", ["BTC/USDT"], payload)


def test_the_rules_of_a_market_are_asked_for_at_once() -> None:
    url = "https://api.bybit.com/v5/market/instruments-info?category=linear&limit=1000"
    assert BYBIT.instruments_url("usdm", ["BTC/USDT"]) == url
    near = BYBIT.instruments_url("spot", [], "http://127.0.0.1:9/")
    assert near == "http://127.0.0.1:9/v5/market/instruments-info?category=spot&limit=1000"


def test_no_book_is_asked_for_by_rest() -> None:
    assert BYBIT.snapshot_url(make(), "http://127.0.0.1:9") == ""


def test_one_connection_carries_the_streams_and_can_begin_a_book_anew() -> None:
    [one] = BYBIT.subscriptions("usdm", [make()], ["trade", "quote", "depth"], "ws://127.0.0.1:9/")
    assert (one.url, one.instruments) == ("ws://127.0.0.1:9/v5/public/linear", (0,))
    assert one.requests == (
        b'{"op":"subscribe","args":["publicTrade.BTCUSDT","orderbook.1.BTCUSDT","orderbook.50.BTCUSDT"]}',
    )
    assert one.anew == {
        0: (
            b'{"op":"unsubscribe","args":["orderbook.50.BTCUSDT"]}',
            b'{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}',
        )
    }
    assert (one.ping, one.ping_s) == (b'{"op":"ping"}', 20.0)
    assert (one.hush, one.overlaps) == (one.anew[0][:1], True)


def test_nothing_begins_anew_where_no_depth_is_streamed() -> None:
    [one] = BYBIT.subscriptions("spot", [make()], ["quote"])
    assert (one.url, one.anew, one.hush) == ("wss://stream.bybit.com/v5/public/spot", {}, ())
    assert one.requests == (b'{"op":"subscribe","args":["orderbook.1.BTCUSDT"]}',)


def test_many_streams_are_asked_for_ten_at_a_time_over_as_few_connections_as_take_them() -> None:
    many = [make(f"COIN{index:04}", index) for index in range(700)]
    found = BYBIT.subscriptions("spot", many, ["trade", "quote", "depth"])
    assert len(found) == 3
    assert [index for one in found for index in one.instruments] == list(range(700))
    for one in found:
        asked = [msgspec.json.decode(request) for request in one.requests]
        assert all(0 < len(request["args"]) <= TOPICS_MAX for request in asked)
        topics = [topic for request in asked for topic in request["args"]]
        assert len(msgspec.json.encode(topics)) <= TOPICS_CHARACTERS_MAX
        assert topics == [
            f"{kind}.{many[index].exchange_symbol}"
            for index in one.instruments
            for kind in ("publicTrade", "orderbook.1", "orderbook.50")
        ]
        assert one.anew.keys() == set(one.instruments)
        assert one.request_gap_s > 0


def test_no_instruments_need_no_connection() -> None:
    assert BYBIT.subscriptions("spot", [], ["trade"]) == []


def test_it_is_found_by_its_name_with_the_markets_it_has() -> None:
    for market in ("spot", "usdm", "coinm"):
        exchange = find_exchange("bybit", market)
        assert isinstance(exchange.decoder([make()]), BybitDecoder)
    with pytest.raises(ConfigError, match="'margin' of bybit is not supported; there is spot, usdm, coinm"):
        find_exchange("bybit", "margin")  # type: ignore[arg-type]


def test_an_inverse_perpetual_counts_in_contracts_of_a_dollar() -> None:
    dated = {**INVERSE, "symbol": "BTCUSDZ26", "contractType": "InverseFutures"}
    [one] = BYBIT.instruments("coinm", ["BTC/USD"], info(dated, INVERSE))
    assert (one.symbol, one.exchange_symbol, one.market) == ("BTC/USD:BTC", "BTCUSD", "coinm")
    assert (one.tick_size, one.lot_size, one.contract_size) == (Decimal("0.1"), 1, 1)
    [told] = BYBIT.subscriptions("coinm", [one], ["depth"])
    assert told.url == "wss://stream.bybit.com/v5/public/inverse"
    assert told.requests == (b'{"op":"subscribe","args":["orderbook.50.BTCUSD"]}',)
    assert BYBIT.instruments_url("coinm", []).endswith("?category=inverse&limit=1000")


# --- messages that other clients' tests hold ----------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(samples: Path) -> Path:
    """Bybit's messages."""
    return samples / "bybit"


@pytest.mark.parametrize(
    ("name", "market", "symbol", "rules"),
    [
        ("GetSpotSymbols", "spot", "BTC/USDT", ("0.01", "0.000001", "TRADING")),
        ("GetLinearInverseSymbols", "usdm", "BTC/USDT", ("0.1", "0.001", "TRADING")),
        ("GetLinearInverseSymbolsPreListing", "usdm", "PRE02ZRO/USDT", ("0.001", "0.1", "PreLaunch")),
        ("getInstrumentSpot", "spot", "BTC/USDT", ("0.01", "0.000001", "TRADING")),
        ("getInstrumentInverse", "coinm", "BTC/USD", ("0.5", "0.001", "TRADING")),
        ("getInstrumentLinear", "usdm", "BTC/USDT", ("0.5", "0.001", "TRADING")),
    ],
)
def test_others_samples_of_rules_are_read(samples: Path, name, market, symbol, rules) -> None:
    [path] = samples.rglob(f"{name}.*")
    text = path.read_text("utf-8-sig")
    [one] = BYBIT.instruments(market, [symbol], re.sub(r"\A[^{]*", "", text).encode())
    assert (str(one.tick_size.normalize()), str(one.lot_size.normalize()), one.status) == rules
