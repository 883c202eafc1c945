import pytest

from daemon.simulator.order import (
    Fill,
    Order,
    ack_view,
    cancel_view,
    execution_report,
    full_view,
    result_view,
    status_view,
    trade_view,
)
from daemon.simulator.symbols import UNIT

MS = 1_000_000


@pytest.fixture
def order(kit):
    order = Order(kit.market.symbol, kit.account, 5, "mine", 7 * MS)
    order.price, order.qty = 100 * UNIT, 2 * UNIT
    order.executed, order.quote_executed, order.status = UNIT, 99 * UNIT, "PARTIALLY_FILLED"
    order.working, order.working_ns = True, 7 * MS
    return order


@pytest.fixture
def fill(order):
    one = Fill(order, 77, 99 * UNIT, UNIT, is_maker=False, now_ns=8 * MS)
    one.commission = 100_000
    return one


def test_an_order_knows_what_it_spends_and_what_is_left(order):
    assert (order.spends, order.receives, order.leaves, order.cost(UNIT)) == ("USDT", "BTC", UNIT, 100 * UNIT)
    order.side = -1
    assert (order.spends, order.receives, order.cost(UNIT), order.side_text) == ("BTC", "USDT", UNIT, "SELL")


def test_the_answers_to_a_placement_grow_from_ack_to_full(order, fill):
    ack, result, full = ack_view(order, MS), result_view(order, MS), full_view(order, [fill], MS)
    assert ack == {
        "symbol": "BTCUSDT",
        "orderId": 5,
        "orderListId": -1,
        "clientOrderId": "mine",
        "transactTime": 7,
    }
    assert ack.items() <= result.items()
    assert result["cummulativeQuoteQty"] == "99.00000000"
    assert full["fills"] == [
        {
            "price": "99.00000000",
            "qty": "1.00000000",
            "commission": "0.00100000",
            "commissionAsset": "BTC",
            "tradeId": 77,
        }
    ]


def test_times_come_in_the_unit_that_was_asked_for(order):
    assert ack_view(order, 1_000)["transactTime"] == 7_000
    assert status_view(order, 1_000)["workingTime"] == 7_000


def test_the_status_and_cancel_views_have_the_documented_fields(order):
    status = status_view(order, MS)
    assert status["isWorking"] is True
    assert {"stopPrice", "icebergQty", "time", "updateTime", "origQuoteOrderQty"} <= status.keys()
    order.stop_price = UNIT
    assert cancel_view(order, "old", MS)["origClientOrderId"] == "old"
    assert cancel_view(order, "old", MS)["stopPrice"] == "1.00000000"
    order.working_ns = -1
    assert status_view(order, MS)["workingTime"] == -1


def test_a_fill_is_a_row_of_my_trades(fill):
    row = trade_view(fill, MS)
    assert (row["id"], row["orderId"], row["quoteQty"], row["time"]) == (77, 5, "99.00000000", 8)
    assert (row["isBuyer"], row["isMaker"]) == (True, False)


def test_an_execution_report_has_the_documented_fields(order, fill):
    report = execution_report(order, "TRADE", 9, 8 * MS, fill=fill)
    expected = set("esSocfqpPFgCxXrilzLnNTtIwmMOZYQWVE")
    assert set(report) == expected
    assert (report["l"], report["L"], report["n"], report["N"], report["t"]) == (
        "1.00000000",
        "99.00000000",
        "0.00100000",
        "BTC",
        77,
    )
    canceled = execution_report(order, "CANCELED", 9, 8 * MS, original="was")
    assert (canceled["C"], canceled["N"], canceled["t"]) == ("was", None, -1)


def test_an_expiry_names_its_reason_and_a_strategy_its_number(order):
    order.strategy = {"strategyId": 3, "strategyType": 1_000_000}
    report = execution_report(order, "EXPIRED", 9, 8 * MS, expiry="INSUFFICIENT_LIQUIDITY")
    assert (report["eR"], report["j"], report["J"]) == ("INSUFFICIENT_LIQUIDITY", 3, 1_000_000)
