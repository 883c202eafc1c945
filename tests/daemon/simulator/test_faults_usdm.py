"""Faults of the futures, whose orders are answered on one connection and told of on another."""

import msgspec
import pytest

from daemon.simulator.fault import read_one
from daemon.simulator.faults import Faults
from daemon.simulator.gateway import LOST, Session
from tests.daemon.simulator.conftest import Outbox
from tests.daemon.simulator.usdm.conftest import API_KEY, FuturesKit

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.200"}
RESTING, TAKING = ORDER | {"price": "999.0"}, ORDER | {"price": "1001.0"}


class Kit(FuturesKit):
    """A listener of the account, and faults."""

    def __init__(self):
        super().__init__()
        self.exchange.reporter.emit = self.gateway._emit
        self.outbox = Outbox()
        self.path = f"/private/ws/{self.key()}"
        assert self.gateway.connect(self.path, self.outbox, "a").session is not None

    def key(self):
        answer = self.gateway.request("POST", "/fapi/v1/listenKey", {"x-mbx-apikey": API_KEY}, "", "a")
        return msgspec.json.decode(answer.body)["listenKey"]

    def faults(self, *faults):
        schedule = Faults({"usdm": self.gateway}, self.time, self.time, 1, lambda: None)
        schedule.add([read_one(fault, "here") for fault in faults])
        return schedule

    def told(self):
        return [one.get("o", {}).get("x", one["e"]) for one in self.outbox.take()]


@pytest.fixture
def kit():
    return Kit()


def test_an_update_is_filtered_by_its_symbol_and_its_type(kit):
    kit.faults({"kind": "drop", "method": "ORDER_TRADE_UPDATE", "symbol": "BTCUSDT", "count": 1})
    kit.call("POST", "order", **TAKING)
    assert kit.told() == ["ACCOUNT_UPDATE", "TRADE"]


def test_the_stream_of_a_listen_key_is_a_connection_of_its_own_kind(kit):
    other = Outbox()
    kit.gateway.connect("/ws/btcusdt@trade", other, "a")
    kit.faults({"kind": "disconnect", "of": "user"}, {"kind": "refuse_connect", "of": "user", "count": 1})
    assert (kit.outbox.ended, other.ended) == ((1006, ""), None)
    assert kit.gateway.connect(kit.path, Outbox(), "a") == Session(None, 0)
    assert kit.gateway.connect(kit.path, Outbox(), "a").session is not None


def test_a_stalled_stream_loses_what_it_would_have_said(kit):
    kit.faults({"kind": "stall", "of": "user", "lasts_s": 10})
    kit.call("POST", "order", **TAKING)
    kit.time.advance(kit.time.now_ns() + 10_000_000_000)
    assert kit.told() == []
    kit.call("POST", "order", **TAKING)
    assert kit.told() == ["NEW", "ACCOUNT_UPDATE", "TRADE"]


def test_methods_without_a_name_are_filtered_by_verb_and_path(kit):
    kit.faults({"kind": "lose_answer", "method": "DELETE allOpenOrders", "count": 1})
    kit.call("POST", "order", **RESTING)
    target = "/fapi/v1/allOpenOrders?symbol=BTCUSDT"
    assert kit.gateway.request("DELETE", target, {}, "", "a") is LOST
    assert kit.gateway.request("DELETE", target, {}, "", "a") is not LOST


def test_queries_lag_and_a_break_refuses(kit):
    kit.faults({"kind": "query_lag", "lasts_s": 10})
    placed = kit.call("POST", "order", **RESTING)
    assert kit.call("GET", "order", symbol="BTCUSDT", orderId=placed["orderId"])["code"] == -2013
    assert kit.call("GET", "openOrders") == kit.call("GET", "allOrders", symbol="BTCUSDT") == []
    kit.time.advance(kit.time.now_ns() + 10_000_000_000)
    assert len(kit.call("GET", "openOrders")) == 1
    kit.faults({"kind": "break", "lasts_s": 10})
    assert kit.call("POST", "order", **RESTING)["code"] == -4140


def test_a_fill_in_pieces_makes_the_same_position(kit):
    kit.faults({"kind": "partial_fill", "count": 1, "pieces": 3})
    kit.call("POST", "order", **TAKING)
    assert kit.told() == ["NEW"] + ["ACCOUNT_UPDATE", "TRADE"] * 3
    assert kit.position.qty == 20_000_000
