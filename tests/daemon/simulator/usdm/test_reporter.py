from __future__ import annotations


def test_executions_are_numbered_and_named_in_the_futures_words(kit):
    one = kit.order(price="990")
    kit.order(price="991")
    kit.call("DELETE", "allOpenOrders", symbol="BTCUSDT")
    assert [event["o"]["x"] for event in kit.told("ORDER_TRADE_UPDATE")] == [
        "NEW",
        "NEW",
        "CANCELED",
        "CANCELED",
    ]
    assert one["status"] == "NEW"
    assert kit.exchange.reporter.execution_id == 4


def test_self_trade_prevention_is_an_expiry(kit):
    kit.order(price="1000")
    kit.events.clear()
    kit.order(side="SELL", price="1000", timeInForce="IOC", selfTradePreventionMode="EXPIRE_TAKER")
    last = kit.told("ORDER_TRADE_UPDATE")[-1]["o"]
    assert (last["x"], last["X"], last["er"]) == ("EXPIRED", "EXPIRED_IN_MATCH", "1")


def test_a_cancelled_order_moves_no_balance(kit):
    one = kit.order(price="990")
    kit.call("DELETE", "order", symbol="BTCUSDT", orderId=one["orderId"])
    assert kit.told("ACCOUNT_UPDATE") == []
