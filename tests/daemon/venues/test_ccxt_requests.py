from __future__ import annotations

import asyncio

import pytest

from daemon.venues.ccxt_exchanges import EXCHANGES
from daemon.venues.ccxt_ids import ClientIds
from daemon.venues.ccxt_requests import Requests
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET
from tests.daemon.orders.conftest import btc_usdt


class Client:
    """Writes down what it is called with."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, verb):
        async def call(*words):
            self.calls.append((verb, *words))

        return call


def said(exchange, call):
    client = Client()
    asyncio.run(call(Requests(client, ClientIds(EXCHANGES[exchange], "one"))))
    return client.calls


@pytest.mark.parametrize(
    ("kind", "side", "expected"),
    [
        (TARGET, BUY, ("limit", "buy", "0.5", "100", {"clientOrderId": "a-7-1", "timeInForce": "IOC"})),
        (REST, SELL, ("limit", "sell", "0.5", "100", {"clientOrderId": "a-7-1", "postOnly": True})),
        (STOP, SELL, ("market", "sell", "0.5", None, {"clientOrderId": "a-7-1", "stopLossPrice": "100"})),
    ],
)
def test_an_order_in_ccxt_s_words(kind, side, expected):
    calls = said("binance", lambda r: r.create(btc_usdt(), kind, side, "100", "0.5", "a-7-1"))
    assert calls == [("create_order", "BTC/USDT", *expected)]


def test_a_cancel_leaves_a_name_that_can_be_read_where_it_gives_one():
    assert said("binance", lambda r: r.cancel_number("BTC/USDT", "4", "a-7-1")) == [
        ("cancel_order", "4", "BTC/USDT", {"newClientOrderId": "a-7-1-c"})
    ]
    assert said("okx", lambda r: r.cancel_number("BTC/USDT", "4", "a-7-1")) == [
        ("cancel_order", "4", "BTC/USDT", {})
    ]


def test_our_id_goes_in_the_exchange_s_form():
    for call, verb in (
        (lambda r: r.cancel_id("BTC/USDT", "a-7-1"), "cancel_order"),
        (lambda r: r.fetch_id("BTC/USDT", "a-7-1"), "fetch_order"),
    ):
        assert said("okx", call) == [(verb, None, "BTC/USDT", {"clientOrderId": "ar7s1"})]
