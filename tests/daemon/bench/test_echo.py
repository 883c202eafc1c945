import json

import numpy as np

from daemon.bench import market
from daemon.bench.echo import Echo, order
from daemon.bench.market import HEAD, S_MARK


def a_quote(mark):
    symbols, out = market.new_symbols(12), np.zeros(512, np.uint8)
    symbols[11, S_MARK] = mark
    end = market.write_quote(market.texts().quote, out, 0, symbols, 11, np.array([1], np.uint64))
    return out[HEAD:end].tobytes()


class Orders:
    def __init__(self):
        self.sent = []

    def send(self, payload):
        self.sent.append(payload)


def test_the_order_names_the_quote_s_symbol_and_mark():
    said = json.loads(order(a_quote(1234), 5))
    assert said["id"] == 5
    assert (said["params"]["symbol"], said["params"]["price"]) == ("B011USDT", "62012.34")


def test_a_quote_is_answered_and_all_else_is_not():
    echo = Echo()
    echo.on_frame(a_quote(1), True)  # before it can send
    echo.orders = Orders()
    for payload in (a_quote(2), b'{"id":5,"status":200}', a_quote(3)):
        echo.on_frame(payload, True)
    assert [json.loads(one)["params"]["price"] for one in echo.orders.sent] == ["62000.02", "62000.03"]


def test_it_ends_with_its_connection():
    echo = Echo()
    echo.on_close("gone")
    assert echo.ended.is_set()
