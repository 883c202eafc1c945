"""The table of exchanges, and asking one of them for its rules."""

from __future__ import annotations

import asyncio

import pytest

from daemon.config import FeedConfig
from daemon.errors import ConfigError, NetError
from daemon.feeds.exchanges import EXCHANGES, ask_instruments, fetch_instruments, find_exchange
from daemon.instruments import NOT_LISTED, make_instrument
from daemon.seams import Response

BODY = (
    b'{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":['
    b'{"filterType":"PRICE_FILTER","tickSize":"0.01"},'
    b'{"filterType":"LOT_SIZE","minQty":"0.1","maxQty":"9","stepSize":"0.1"}]}]}'
)


class OneAnswer:
    """Answers with this, and with what comes `then`."""

    def __init__(self, status: int, body: bytes, *then: Response) -> None:
        self.answers = [Response(status, {}, body), *then]
        self.urls: list[str] = []

    async def request(self, method, url, headers, body, timeout_s):
        assert (method, headers, body) == ("GET", {}, b"")
        self.urls.append(url)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


BINANCE = find_exchange("binance", "spot")


def test_each_exchange_is_found_by_its_own_name() -> None:
    assert EXCHANGES
    for name, exchange in EXCHANGES.items():
        assert find_exchange(name, "spot") is exchange
        assert exchange.name == name


def test_an_unknown_exchange_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="'mtgox' is not supported; there is binance"):
        find_exchange("mtgox", "spot")


def test_a_market_that_an_exchange_does_not_bring_is_refused() -> None:
    with pytest.raises(ConfigError, match="'margin' of binance is not supported; there is spot, usdm, coinm"):
        find_exchange("binance", "margin")


def test_the_rules_are_fetched_from_the_address_given() -> None:
    net = OneAnswer(200, BODY)
    found = asyncio.run(fetch_instruments(BINANCE, net, "spot", ["BTC/USDT"], "http://127.0.0.1:9"))
    assert [one.symbol for one in found] == ["BTC/USDT"]
    assert net.urls[0].startswith("http://127.0.0.1:9/api/v3/exchangeInfo")


def test_a_refusal_is_one_sentence_with_what_was_said() -> None:
    net = OneAnswer(400, b'{"code":-1100,"msg":"Illegal characters."}')
    with pytest.raises(NetError, match=r"refused the rules of BTC/USDT \(HTTP 400\): .*Illegal characters"):
        asyncio.run(fetch_instruments(BINANCE, net, "spot", ["BTC/USDT"]))


def test_a_symbol_that_is_not_listed_is_a_wrong_configuration() -> None:
    net = OneAnswer(400, b'{"code":-1121,"msg":"Invalid symbol."}')
    with pytest.raises(ConfigError, match=r"does not list BTC/USDT; correct feed.symbols"):
        asyncio.run(fetch_instruments(BINANCE, net, "spot", ["BTC/USDT"]))


DELISTED = make_instrument(
    7, "", "spot", "ETH/USDT", tick_size="0.1", lot_size="1", qty_min="1", qty_max="1", notional_min="0",
    status=NOT_LISTED,
)  # fmt: skip
ILLEGAL = b'{"code":-1121,"msg":"Invalid symbol."}'


def test_a_symbol_that_is_listed_no_more_is_as_it_is_remembered() -> None:
    net = OneAnswer(400, ILLEGAL, Response(200, {}, BODY))
    symbols, url = ["eth-usdt", "BTC/USDT"], "http://127.0.0.1:9"
    found = asyncio.run(fetch_instruments(BINANCE, net, "spot", symbols, url, lambda: {"ETH/USDT": DELISTED}))
    assert [(one.symbol, one.index, one.exchange, one.listed) for one in found] == [
        ("ETH/USDT", 0, "binance", False),
        ("BTC/USDT", 1, "binance", True),
    ]
    assert net.urls[1:] == ["http://127.0.0.1:9/api/v3/exchangeInfo"]


def test_memory_excuses_no_other_symbol() -> None:
    net = OneAnswer(400, ILLEGAL, Response(200, {}, BODY))
    with pytest.raises(ConfigError, match="binance spot lists no XRP/USDT"):
        asyncio.run(
            fetch_instruments(
                BINANCE,
                net,
                "spot",
                ["XRP/USDT"],
                "",
                lambda: {"ETH/USDT": DELISTED},
            )
        )


def test_what_is_not_listed_is_not_asked_about_again() -> None:
    exchange, asked = BINANCE, []
    feed = FeedConfig(symbols=("ETH/USDT", "BTC/USDT"))

    async def get(url):
        asked.append(url)
        return BODY

    instruments = exchange.instruments("spot", feed.symbols, BODY, {"ETH/USDT": DELISTED})
    found = asyncio.run(ask_instruments(exchange, get, feed, instruments))
    assert [(one.symbol, one.index, one.listed) for one in found] == [
        ("ETH/USDT", 0, False),
        ("BTC/USDT", 1, True),
    ]
    assert "BTCUSDT" in asked[0]
    assert "ETHUSDT" not in asked[0]
    assert asyncio.run(ask_instruments(exchange, get, feed, instruments[:1])) is None
    assert len(asked) == 1
