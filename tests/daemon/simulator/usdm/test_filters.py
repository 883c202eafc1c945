from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "1000.05"}, -1111),
        ({"quantity": "0.2005"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "9001", "price": "1000"}, -4005),
        ({"type": "MARKET", "quantity": "121"}, -4005),
        ({"price": "1051"}, -4016),
        ({"side": "SELL", "price": "950"}, -4024),
        ({"price": "0"}, -4001),
        ({"quantity": "0.05"}, -4164),
        ({"price": "2000000"}, -4002),
    ],
)
def test_each_rule_refuses_with_a_code_of_its_own(kit, changes, code):
    fields = {"price": "1000"} | changes
    if fields.get("type") == "MARKET":
        del fields["price"]
    assert kit.order(**fields)["code"] == code


def test_a_step_that_is_no_power_of_ten_has_a_code_of_its_own(kit):
    kit.market.symbol.tick *= 5
    assert kit.order(price="999.9")["code"] == -4014
    assert kit.order(price="999.5")["status"] == "NEW"


def test_a_closed_symbol_and_too_many_orders_refuse(kit):
    kit.market.symbol.orders_max = 1
    assert kit.order(price="990")["status"] == "NEW"
    assert kit.order(price="990")["code"] == -2025
    kit.market.symbol.status = "BREAK"
    assert kit.order(price="990")["code"] == -4140


def test_reducing_has_no_least_notional(kit):
    kit.buy("0.2")
    assert kit.order(side="SELL", price="1001", quantity="0.05", reduceOnly="true")["status"] == "NEW"
