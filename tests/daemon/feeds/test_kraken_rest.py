"""Addresses, requests and rules: what Kraken is asked, and what its AssetPairs becomes."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.kraken import DEPTH, KrakenDecoder
from daemon.feeds.kraken_rest import Kraken

if TYPE_CHECKING:
    from pathlib import Path

KRAKEN = Kraken()

XBT = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "base": "XXBT",
    "quote": "ZUSD",
    "pair_decimals": 1,
    "lot_decimals": 8,
    "ordermin": "0.0001",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
}
XDG = {**XBT, "wsname": "XDG/USD", "pair_decimals": 7, "tick_size": "0.000001", "status": "post_only"}


def pairs(*listed: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"error": [], "result": {one["wsname"]: one for one in listed}})


def test_rules_come_from_the_asset_pairs() -> None:
    btc, doge = KRAKEN.instruments("spot", ["btc-usd", "DOGE/USD"], pairs(XDG, XBT))
    assert (btc.index, btc.symbol, btc.exchange_symbol, btc.base) == (0, "BTC/USD", "BTC/USD", "BTC")
    assert (btc.exchange, btc.market, btc.status, btc.trading) == ("kraken", "spot", "TRADING", True)
    assert (btc.tick_size, btc.lot_size) == (Decimal("0.1"), Decimal("1e-8"))
    assert (btc.qty_min, btc.notional_min) == (Decimal("0.0001"), Decimal("0.5"))
    assert (btc.checksum_places, btc.checksum_units) == ((1, 8), (1, 1))
    assert btc.qty_max == 10**9
    assert (doge.index, doge.exchange_symbol, doge.status, doge.trading) == (
        1,
        "DOGE/USD",
        "post_only",
        False,
    )
    assert (doge.tick_size, doge.checksum_units) == (Decimal("0.000001"), (10, 1))  # a tick of ten digits


def test_a_name_in_mixed_case_is_found_and_the_exchange_hears_its_own_spelling() -> None:
    stock = {**XBT, "wsname": "AAPLx/USD"}
    [one] = KRAKEN.instruments("spot", ["AAPLx/USD"], pairs(XBT, stock))
    assert (one.symbol, one.exchange_symbol) == ("AAPLX/USD", "AAPLx/USD")
    [asked] = KRAKEN.subscriptions("spot", [one], ["trade"])[0].requests
    assert msgspec.json.decode(asked)["params"]["symbol"] == ["AAPLx/USD"]
    assert KRAKEN.decoder([one]).decode(
        b'{"channel":"trade","type":"update","data":[{"symbol":"AAPLx/USD","side":"buy","price":1.0,"qty":1.0,'
        b'"ord_type":"limit","trade_id":1,"timestamp":"2025-09-25T07:49:37.708706Z"}]}',
        1,
    )


def test_of_two_names_that_differ_in_case_alone_the_plain_one_is_meant() -> None:
    plain, mixed = {**XBT, "wsname": "AX/USD"}, {**XBT, "wsname": "Ax/USD"}
    for listed in ((plain, mixed), (mixed, plain)):
        [one] = KRAKEN.instruments("spot", ["AX/USD"], pairs(*listed))
        assert one.exchange_symbol == "AX/USD"


def test_whoever_writes_an_old_name_is_told_the_new_one() -> None:
    with pytest.raises(ConfigError, match=r"kraken spot lists no XBT/USD; did you mean BTC/USD\?"):
        KRAKEN.instruments("spot", ["XBT/USD"], pairs(XBT))


def test_without_a_tick_size_it_is_the_last_decimal() -> None:
    old = {key: value for key, value in XBT.items() if key not in {"tick_size", "status", "costmin"}}
    [one] = KRAKEN.instruments("spot", ["BTC/USD"], pairs(old))
    assert (one.tick_size, one.status, one.notional_min) == (Decimal("0.1"), "TRADING", 0)


def test_a_pair_that_is_not_listed_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match=r"kraken spot lists no BTC/USX; did you mean BTC/USD\?"):
        KRAKEN.instruments("spot", ["BTC/USX"], pairs(XBT))
    [kept] = KRAKEN.instruments("spot", ["BTC/USD"], pairs(XBT))
    [same] = KRAKEN.instruments("spot", ["BTC/USD"], pairs(XDG), {"BTC/USD": kept})
    assert same == kept


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"error":["EService:Unavailable"]}',
        pairs({**XBT, "pair_decimals": -1}),
        pairs({**XBT, "lot_decimals": "8"}),
        pairs({**XBT, "ordermin": "x"}),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(body: bytes) -> None:
    with pytest.raises(NetError, match="kraken spot"):
        KRAKEN.instruments("spot", ["BTC/USD"], body)


def test_one_connection_asks_for_every_stream_of_every_pair() -> None:
    found = KRAKEN.instruments("spot", ["BTC/USD", "DOGE/USD"], pairs(XBT, XDG))
    [one] = KRAKEN.subscriptions("spot", found, ("trade", "quote", "depth"))
    assert (one.url, one.instruments, one.overlaps) == ("wss://ws.kraken.com/v2", (0, 1), False)
    names = ["BTC/USD", "DOGE/USD"]
    assert [json.loads(request) for request in one.requests] == [
        {"method": "subscribe", "params": {"channel": "trade", "snapshot": False, "symbol": names}},
        {
            "method": "subscribe",
            "params": {"channel": "ticker", "event_trigger": "bbo", "snapshot": True, "symbol": names},
        },
        {
            "method": "subscribe",
            "params": {"channel": "book", "depth": DEPTH, "snapshot": True, "symbol": names},
        },
    ]
    assert [json.loads(request) for request in one.anew[1]] == [
        {"method": "unsubscribe", "params": {"channel": "book", "depth": DEPTH, "symbol": ["DOGE/USD"]}},
        {
            "method": "subscribe",
            "params": {"channel": "book", "depth": DEPTH, "snapshot": True, "symbol": ["DOGE/USD"]},
        },
    ]


def test_where_no_pair_is_listed_any_more_there_is_nothing_to_connect_for() -> None:
    assert KRAKEN.subscriptions("spot", [], ("trade", "depth")) == []


def test_only_what_was_asked_for_is_subscribed_to_and_many_pairs_in_several_requests() -> None:
    listed = [{**XBT, "wsname": f"A{number}/USD"} for number in range(150)]
    found = KRAKEN.instruments("spot", [one["wsname"] for one in listed], pairs(*listed))
    [one] = KRAKEN.subscriptions("spot", found, ("trade",), "ws://127.0.0.1:9/")
    assert (one.url, one.anew) == ("ws://127.0.0.1:9", {})
    asked = [json.loads(request)["params"]["symbol"] for request in one.requests]
    assert [len(names) for names in asked] == [100, 50]
    assert asked[0] + asked[1] == [one["wsname"] for one in listed]


def test_the_rules_are_asked_for_at_once_and_books_are_not() -> None:
    assert KRAKEN.instruments_url("spot", ["BTC/USD"]) == "https://api.kraken.com/0/public/AssetPairs"
    assert (
        KRAKEN.instruments_url("spot", (), "http://127.0.0.1:9/") == "http://127.0.0.1:9/0/public/AssetPairs"
    )
    found = KRAKEN.instruments("spot", ["BTC/USD"], pairs(XBT))
    assert KRAKEN.snapshot_url(found[0]) == ""
    decoder = KRAKEN.decoder(found)
    assert isinstance(decoder, KrakenDecoder)
    assert decoder.depth_max == DEPTH


def test_the_rules_in_other_clients_tests_are_read(samples: Path) -> None:
    folder = samples / "kraken"
    text = (folder / "jkorf_MIT/Kraken.Net.UnitTests/Endpoints/Spot/ExchangeData/GetSymbols.txt").read_text(
        "utf-8-sig"
    )
    found = KRAKEN.instruments("spot", ["BTC/USD", "ETH/BTC"], text.split("\n", 3)[3].encode())
    assert [(one.symbol, one.tick_size, one.checksum_places) for one in found] == [
        ("BTC/USD", Decimal("0.1"), (1, 8)),
        ("ETH/BTC", Decimal("0.00001"), (5, 8)),
    ]
    path = folder / "xchange-kraken_MIT/src/test/resources/org/knowm/xchange/kraken/dto/marketdata"
    listed = (path / "example-assetpairs-data.json").read_bytes()
    names = [one["wsname"] for one in json.loads(listed)["result"].values() if "wsname" in one]
    names = [name.replace("XBT", "BTC").replace("XDG", "DOGE") for name in names]
    found = KRAKEN.instruments("spot", names, listed)
    assert len(found) == len(names) > 50
