"""A paper daemon on Bybit's protocol, on real sockets: it becomes READY, trades, and mends its book."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.daemon.feeds.loopback import mends_its_book

if TYPE_CHECKING:
    from collections.abc import Iterator

TRADES, TOP, BOOK = "publicTrade.BTCUSDT", "orderbook.1.BTCUSDT", "orderbook.50.BTCUSDT"


class Spot:
    """What Bybit says of one pair, as its documentation shows it."""

    category = "spot"
    listing = (
        b'{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[{"symbol":"BTCUSDT","baseCoin":"BTC",'
        b'"quoteCoin":"USDT","status":"Trading","lotSizeFilter":{"basePrecision":"0.000001","minOrderQty":'
        b'"0.000048","maxOrderQty":"71.7","minOrderAmt":"1"},"priceFilter":{"tickSize":"0.01"}}]},"time":1}'
    )
    trade_name = b"22900000000%08d"

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.on: set[str] = set()
        self.number = 0
        self.update = 18_521_288
        self.lie = False  # the next update is not the one that follows

    def hello(self) -> Iterator[bytes]:
        yield from ()

    def answer(self, request: Any) -> Iterator[bytes]:
        verb = request["op"]
        if verb == "ping":
            self.asked.append((verb, None))
            yield b'{"success":true,"ret_msg":"pong","conn_id":"0970e817-426e-429a","op":"ping"}'
            return
        self.asked.append((verb, request["args"]))
        assert len(request["args"]) <= 10
        yield b'{"success":true,"ret_msg":"%s","conn_id":"2324d924","req_id":"","op":"%s"}' % (
            (verb.encode(),) * 2
        )
        if verb == "unsubscribe":
            self.on.difference_update(request["args"])
            return
        self.on.update(request["args"])
        if BOOK in request["args"]:
            yield self.book(b"snapshot", b'["30000.00","1.5"],["29999.00","2"]')

    def go_on(self) -> Iterator[bytes]:
        self.number += 1
        ts = 1_687_940_967_000 + self.number
        if TRADES in self.on:
            yield (
                b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":%d,"data":[{"T":%d,"s":"BTCUSDT",'
                b'"S":"Buy","v":"0.001","p":"30000.50","L":"PlusTick","i":"%s","BT":false}]}'
                % (ts, ts, self.trade_name % self.number)
            )
        if TOP in self.on:
            yield (
                b'{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":%d,"data":{"s":"BTCUSDT",'
                b'"b":[["30000.00","1.5"]],"a":[["30001.00","%d"]],"u":%d,"seq":7961638724},"cts":%d}'
                % (ts, self.number, self.number, ts)
            )
        if BOOK in self.on:
            self.update += 1 + self.lie
            self.lie = False
            yield self.book(b"delta", b"")

    def book(self, kind: bytes, bids: bytes) -> bytes:
        return (
            b'{"topic":"orderbook.50.BTCUSDT","type":"%s","ts":1687940967466,"data":{"s":"BTCUSDT","b":[%s],'
            b'"a":[["30001.00","%d"]],"u":%d,"seq":7961638724},"cts":1687940967464}'
            % (kind, bids, 1 + self.number, self.update)
        )


class Linear(Spot):
    """The same of a perpetual."""

    category = "linear"
    listing = (
        b'{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[{"symbol":"BTCUSDT","contractType":'
        b'"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","priceFilter":{"minPrice":'
        b'"0.10","maxPrice":"199999.80","tickSize":"0.10"},"lotSizeFilter":{"maxOrderQty":"100","minOrderQty":'
        b'"0.001","maxMktOrderQty":"100","qtyStep":"0.001","minNotionalValue":"5"}}],"nextPageCursor":""}}'
    )
    trade_name = b"20f43950-d8dd-5b31-9112-%012d"


@pytest.mark.parametrize(("market", "voice"), [("spot", Spot), ("usdm", Linear)])
def test_a_paper_daemon_trades_on_bybit_and_mends_its_book(tmp_path, market: str, voice: type[Spot]) -> None:
    told = asyncio.run(mends_its_book(tmp_path, "bybit", voice, "BTC/USDT", "gap", market=market))
    assert told.paths[:2] == [
        f"/v5/market/instruments-info?category={voice.category}&limit=1000",
        f"/v5/public/{voice.category}",
    ]
    first, second = (one.asked for one in told.voices)
    everything = ("subscribe", [TRADES, TOP, BOOK])
    assert [one for one in first if one[0] != "ping"] == [
        everything,
        ("unsubscribe", [BOOK]),
        ("subscribe", [BOOK]),
    ]
    assert ("ping", None) in first
    assert everything in second
