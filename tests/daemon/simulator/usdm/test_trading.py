from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("verb", "path", "code"),
    [("DELETE", "order", -2011), ("GET", "order", -2013), ("PUT", "order", -2011)],
)
def test_an_order_nobody_knows_is_refused(kit, verb, path, code):
    assert kit.call(verb, path, symbol="BTCUSDT", orderId=4711)["code"] == code


def test_a_cancel_answers_with_the_order_as_it_ended(kit):
    one = kit.order(price="990", newClientOrderId="mine")
    gone = kit.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (gone["status"], gone["orderId"], gone["clientOrderId"]) == ("CANCELED", one["orderId"], "mine")
    assert [row["status"] for row in kit.call("GET", "allOrders", symbol="BTCUSDT")] == ["CANCELED"]


def test_a_test_order_is_checked_and_not_placed(kit):
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "990"}
    assert kit.call("POST", "order/test", **fields, quantity="0.2") == {}
    assert kit.call("POST", "order/test", **fields, quantity="0.01")["code"] == -4164
    assert kit.call("GET", "openOrders") == []


def test_modifying_wants_both_numbers_and_the_orders_own_side(kit):
    one = kit.order(price="990")
    fields = {"symbol": "BTCUSDT", "orderId": one["orderId"]}
    assert kit.call("PUT", "order", **fields, side="BUY", price="991")["code"] == -1102
    assert kit.call("PUT", "order", **fields, side="SELL", price="991", quantity="0.2")["code"] == -1117


def test_conditional_orders_are_listed_cancelled_and_remembered(kit):
    one, two = kit.stop(clientAlgoId="one"), kit.stop(clientAlgoId="two")
    assert kit.call("DELETE", "algoOrder", algoId=one["algoId"])["msg"] == "success"
    assert kit.call("DELETE", "algoOrder", algoId=one["algoId"])["code"] == -2011
    assert [row["algoId"] for row in kit.call("GET", "openAlgoOrders")] == [two["algoId"]]
    assert kit.call("DELETE", "algoOpenOrders", symbol="BTCUSDT")["code"] == 200
    listed = kit.call("GET", "allAlgoOrders", symbol="BTCUSDT")
    assert [row["algoStatus"] for row in listed] == ["CANCELED", "CANCELED"]
    assert kit.call("GET", "algoOrder", clientAlgoId="three")["code"] == -2013
    assert kit.call("GET", "algoOrder")["code"] == -1102
    assert kit.call("POST", "countdownCancelAll", symbol="BTCUSDT")["code"] == -1102


def test_trades_are_asked_for_by_order_and_by_number(kit):
    first, second = kit.buy("0.2"), kit.buy("0.2")
    rows = kit.call("GET", "userTrades", symbol="BTCUSDT")
    assert [row["orderId"] for row in rows] == [first["orderId"], second["orderId"]]
    assert kit.call("GET", "userTrades", symbol="BTCUSDT", orderId=second["orderId"]) == rows[1:]
    assert kit.call("GET", "userTrades", symbol="BTCUSDT", fromId=rows[1]["id"]) == rows[1:]
