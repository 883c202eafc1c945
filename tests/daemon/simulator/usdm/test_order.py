from __future__ import annotations


def test_ack_tells_nothing_of_what_was_met_at_once_and_a_query_does(kit):
    ack = kit.order(type="MARKET", newClientOrderId="mine")
    assert (ack["status"], ack["executedQty"], ack["clientOrderId"]) == ("NEW", "0.000", "mine")
    found = kit.call("GET", "order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (found["status"], found["avgPrice"], found["cumQuote"]) == (
        "FILLED",
        "1001.00000000",
        "200.20000000",
    )
    assert "cumQty" not in found


def test_a_trade_is_told_with_its_commission_and_what_it_realised(kit):
    kit.buy("0.2")
    kit.events.clear()
    kit.order(side="SELL", type="MARKET")
    event = kit.told("ORDER_TRADE_UPDATE")[-1]["o"]
    assert (event["x"], event["l"], event["L"], event["N"]) == ("TRADE", "0.200", "1000.0", "USDT")
    assert (event["rp"], event["n"], event["m"]) == ("-0.20000000", "0.10000000", False)
    (_, row) = kit.call("GET", "userTrades", symbol="BTCUSDT")
    assert (row["realizedPnl"], row["id"], row["buyer"]) == ("-0.20000000", event["t"], False)


def test_the_account_is_told_wallet_and_position(kit):
    kit.buy("0.2")
    (event,) = kit.told("ACCOUNT_UPDATE")
    (balance,), (position,) = event["a"]["B"], event["a"]["P"]
    assert (event["a"]["m"], balance["wb"], balance["bc"]) == ("ORDER", "999.89990000", "0.00000000")
    assert (position["pa"], position["ep"], position["mt"]) == ("0.200", "1001.00000000", "cross")


def test_a_waiting_order_has_no_order_of_its_own_yet(kit):
    placed = kit.stop(clientAlgoId="mine")
    assert (placed["actualOrderId"], placed["triggerPrice"], placed["quantity"]) == ("", "990.0", "0.200")
    assert kit.call("GET", "algoOrder", clientAlgoId="mine") == placed
