"""Addresses, requests and rules: what Coinbase is asked, and what its products become."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.coinbase import CoinbaseDecoder
from daemon.feeds.coinbase_rest import Coinbase

if TYPE_CHECKING:
    from pathlib import Path

COINBASE = Coinbase()

BTC: dict[str, Any] = {
    "product_id": "BTC-USD",
    "price": "68925.98",
    "base_increment": "0.00000001",
    "quote_increment": "0.01",
    "quote_min_size": "1",
    "quote_max_size": "150000000",
    "base_min_size": "0.00000001",
    "base_max_size": "3400",
    "is_disabled": False,
    "status": "online",
    "cancel_only": False,
    "limit_only": False,
    "post_only": False,
    "trading_disabled": False,
    "auction_mode": False,
    "product_type": "SPOT",
    "alias": "",
    "alias_to": ["BTC-USDC"],
    "view_only": False,
    "price_increment": "0.01",
    "product_venue": "CBE",
    "fcm_trading_session_details": None,
}
USDC = {**BTC, "product_id": "BTC-USDC", "alias": "BTC-USD", "alias_to": []}


def products(*listed: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"products": listed, "num_products": len(listed), "pagination": None})


def test_rules_come_from_the_products() -> None:
    eth = {**BTC, "product_id": "ETH-USD", "price_increment": "0.05", "status": "delisted"}
    btc, other = COINBASE.instruments("spot", ["btc/usd", "ETHUSD"], products(eth, BTC))
    assert (btc.index, btc.symbol, btc.exchange_symbol, btc.exchange) == (0, "BTC/USD", "BTC-USD", "coinbase")
    assert (btc.tick_size, btc.lot_size) == (Decimal("0.01"), Decimal("1e-8"))
    assert (btc.qty_min, btc.qty_max, btc.notional_min) == (Decimal("1e-8"), 3400, 1)
    assert (btc.status, btc.trading) == ("TRADING", True)
    assert (other.index, other.symbol, other.tick_size) == (1, "ETH/USD", Decimal("0.05"))
    assert (other.status, other.trading) == ("delisted", False)


def test_without_a_price_increment_it_is_the_quotes() -> None:
    old = {key: value for key, value in BTC.items() if key != "price_increment"}
    assert COINBASE.instruments("spot", ["BTC/USD"], products(old))[0].tick_size == Decimal("0.01")


@pytest.mark.parametrize(
    "limit",
    [
        "is_disabled",
        "trading_disabled",
        "view_only",
        "cancel_only",
        "post_only",
        "limit_only",
        "auction_mode",
    ],
)
def test_a_product_that_takes_not_every_order_says_so(limit: str) -> None:
    [one] = COINBASE.instruments("spot", ["BTC/USD"], products({**BTC, limit: True}))
    assert (one.status, one.trading) == (limit, False)


def test_what_is_quoted_in_usdc_trades_in_the_book_of_usd() -> None:
    [one] = COINBASE.instruments("spot", ["BTC/USDC"], products(BTC, USDC))
    assert (one.symbol, one.quote, one.exchange_symbol) == ("BTC/USDC", "USDC", "BTC-USD")
    with pytest.raises(ConfigError, match="BTC/USD and BTC/USDC trade in one book at coinbase"):
        COINBASE.instruments("spot", ["BTC/USD", "BTC/USDC"], products(BTC, USDC))


def test_a_product_that_is_not_listed_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match=r"coinbase spot lists no BTC/EUR; did you mean BTC-USD\?"):
        COINBASE.instruments("spot", ["BTC/EUR"], products(BTC))
    [kept] = COINBASE.instruments("spot", ["BTC/USD"], products(BTC))
    assert COINBASE.instruments("spot", ["BTC/USD"], products(), {"BTC/USD": kept}) == [kept]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"error":"NOT_FOUND","message":"x"}',
        products({**BTC, "base_increment": 1}),
        products({**BTC, "base_max_size": ""}),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(body: bytes) -> None:
    with pytest.raises(NetError, match="coinbase spot"):
        COINBASE.instruments("spot", ["BTC/USD"], body)


def test_a_connection_asks_for_heartbeats_and_every_stream() -> None:
    found = COINBASE.instruments(
        "spot", ["BTC/USD", "ETH/USD"], products(BTC, {**BTC, "product_id": "ETH-USD"})
    )
    [one] = COINBASE.subscriptions("spot", found, ("trade", "quote", "depth"))
    assert (one.url, one.instruments, one.overlaps) == ("wss://advanced-trade-ws.coinbase.com", (0, 1), False)
    ids = ["BTC-USD", "ETH-USD"]
    assert [json.loads(request) for request in one.requests] == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "product_ids": ids, "channel": "market_trades"},
        {"type": "subscribe", "product_ids": ids, "channel": "ticker"},
        {"type": "subscribe", "product_ids": ids, "channel": "level2"},
    ]
    assert [json.loads(request) for request in one.anew[1]] == [
        {"type": "unsubscribe", "product_ids": ["ETH-USD"], "channel": "level2"},
        {"type": "subscribe", "product_ids": ["ETH-USD"], "channel": "level2"},
    ]


def test_many_products_need_several_connections_that_speak_in_turn() -> None:
    listed = [{**BTC, "product_id": f"A{number}-USD"} for number in range(40)]
    found = COINBASE.instruments("spot", [one["product_id"] for one in listed], products(*listed))
    several = COINBASE.subscriptions("spot", found, ("trade",), "ws://127.0.0.1:9/")
    assert [len(one.instruments) for one in several] == [16, 16, 8]
    assert sum(len(one.instruments) for one in several) == len(
        {i for one in several for i in one.instruments}
    )
    assert {(one.url, len(one.anew), len(one.requests)) for one in several} == {("ws://127.0.0.1:9", 0, 2)}
    assert sum(1 / one.request_gap_s for one in several) < 8  # a second


def test_the_rules_are_asked_for_by_name_and_books_are_not() -> None:
    asked = urlsplit(COINBASE.instruments_url("spot", ["BTC/USD", "ETHUSDT"]))
    assert (asked.scheme, asked.netloc, asked.path) == (
        "https",
        "api.coinbase.com",
        "/api/v3/brokerage/market/products",
    )
    assert parse_qs(asked.query) == {"product_type": ["SPOT"], "product_ids": ["BTC-USD", "ETH-USDT"]}
    every = COINBASE.instruments_url("spot", (), "http://127.0.0.1:9/")
    assert every == "http://127.0.0.1:9/api/v3/brokerage/market/products?product_type=SPOT"
    found = COINBASE.instruments("spot", ["BTC/USD"], products(BTC))
    assert COINBASE.snapshot_url(found[0]) == ""
    assert isinstance(COINBASE.decoder(found), CoinbaseDecoder)


def test_the_rules_in_another_clients_tests_are_read(samples: Path) -> None:
    folder = samples / "coinbase" / "jkorf_MIT" / "Coinbase.Net.UnitTests" / "Endpoints" / "AdvancedTrade"
    text = (folder / "ExchangeData" / "GetSymbols.txt").read_text("utf-8-sig")
    [one] = COINBASE.instruments("spot", ["BTC/USD"], text.split("\n", 3)[3].encode())
    assert (one.exchange_symbol, one.tick_size, one.status) == ("BTC-USD", Decimal("1e-8"), "view_only")
