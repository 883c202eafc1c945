"""The table of exchanges, and asking one of them for its rules."""

from __future__ import annotations

import asyncio

import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.exchanges import EXCHANGES, fetch_instruments, find_exchange
from daemon.seams import Response

BODY = (
    b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":['
    b'{"filterType":"PRICE_FILTER","tickSize":"0.01"},'
    b'{"filterType":"LOT_SIZE","minQty":"0.1","maxQty":"9","stepSize":"0.1"}]}]}'
)


class OneAnswer:
    def __init__(self, status: int, body: bytes) -> None:
        self.answer = Response(status, {}, body)
        self.urls: list[str] = []

    async def request(self, method, url, headers, body, timeout_s):
        assert (method, headers, body) == ("GET", {}, b"")
        self.urls.append(url)
        return self.answer


def test_each_exchange_is_found_by_its_own_name() -> None:
    assert EXCHANGES
    for name, exchange in EXCHANGES.items():
        assert find_exchange(name) is exchange
        assert exchange.name == name


def test_an_unknown_exchange_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="'mtgox' is not supported; there is binance"):
        find_exchange("mtgox")


def test_the_rules_are_fetched_from_the_address_given() -> None:
    net = OneAnswer(200, BODY)
    found = asyncio.run(
        fetch_instruments(find_exchange("binance"), net, "spot", ["BTC/USDT"], "http://127.0.0.1:9")
    )
    assert [one.symbol for one in found] == ["BTC/USDT"]
    assert net.urls[0].startswith("http://127.0.0.1:9/api/v3/exchangeInfo")


def test_a_refusal_is_one_sentence_with_what_was_said() -> None:
    net = OneAnswer(400, b'{"code":-1100,"msg":"Illegal characters."}')
    with pytest.raises(NetError, match=r"refused the rules of BTC/USDT \(HTTP 400\): .*Illegal characters"):
        asyncio.run(fetch_instruments(find_exchange("binance"), net, "spot", ["BTC/USDT"]))


def test_a_symbol_that_is_not_listed_is_a_wrong_configuration() -> None:
    net = OneAnswer(400, b'{"code":-1121,"msg":"Invalid symbol."}')
    with pytest.raises(ConfigError, match=r"does not list BTC/USDT; correct feed.symbols"):
        asyncio.run(fetch_instruments(find_exchange("binance"), net, "spot", ["BTC/USDT"]))
