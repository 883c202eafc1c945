import json
import socket

import pytest

from daemon.bench import segment, venue
from daemon.bench.market import S_HELD
from daemon.feeds.binance_rest import Binance
from daemon.venues.binance_frames import OrderFrames


@pytest.fixture
def line():
    return segment.new_line(3, 1)


def body(answer):
    return answer.partition(b"\r\n\r\n")[2]


def test_a_head_is_read_and_no_byte_more():
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"POST /ours/api/v3/order?a=1 HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        head = venue.read_head(other)
        assert (head.method, head.path, head.body_bytes) == ("POST", "/ours/api/v3/order", 2)
        assert other.recv(9) == b"{}"
        one.close()
        assert venue.read_head(other) is None


def test_a_websocket_is_accepted_as_the_standard_says():
    head = venue.Head(b"GET /x/stream HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in venue.upgrade(head)


def test_the_rules_are_those_a_daemon_reads(line, instruments):
    answer = venue.http(200, venue.rest("exchangeInfo", line, 0))
    symbols = [one.symbol for one in instruments[:3]]
    read = Binance().instruments("spot", symbols, body(answer))
    names = ("symbol", "exchange_symbol", "tick_size", "lot_size", "qty_min", "qty_max", "notional_min")
    for one, told in zip(instruments[:3], read, strict=True):
        assert [getattr(one, name) for name in names] == [getattr(told, name) for name in names]


def test_the_account_is_what_the_orders_have_left(line, instruments):
    line.symbols[1, S_HELD] = 30_000
    line.tally[segment.CASH] = 30_000 * 6_000_001
    account = OrderFrames(instruments).account(body(venue.http(200, venue.rest("account", line, 0))))
    held = {one.asset: one.free for one in account.balances}
    assert held.keys() == {"USDT", "B001"}
    assert float(held["B001"]) == 0.3
    assert float(venue.CASH_START - held["USDT"]) == pytest.approx(0.3 * 60_000.01)


def test_lists_are_empty_the_time_is_told_and_all_else_is_unknown(line):
    for name in ("openOrders", "allOrders", "myTrades"):
        assert venue.rest(name, line, 5) == []
    assert venue.rest("time", line, 5) == {"serverTime": 5}
    assert venue.rest("klines", line, 5) is None


def test_a_session_is_answered(line):
    said = [
        json.loads(venue.session(json.dumps({"id": 7, "method": method, "params": {}}).encode(), 5))
        for method in ("time", "userDataStream.subscribe.signature", "order.place")
    ]
    assert [one["status"] for one in said] == [200, 200, 400]
    assert said[0]["result"] == {"serverTime": 5}


@pytest.mark.parametrize(("size", "head"), [(2, b"\x81\x02"), (300, b"\x81\x7e\x01\x2c")])
def test_a_text_is_framed(size, head):
    assert venue.text_frame(b"x" * size) == head + b"x" * size
