"""What is compared after a kill: each way in which books can differ is seen."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.end_to_end.agreement import differs, journalled_ids

BEFORE = {"BTC": Decimal("1.00000000"), "USDT": Decimal("100000.00000000")}
AFTER = {"BTC": Decimal("1.00000000"), "USDT": Decimal("99999.90010000")}
BUY = {
    "instrument": "BTC/USDT",
    "side": "buy",
    "quantity": "0.00100",
    "value": "60.00",
    "fee": "0.00000100",
    "asset": "BTC",
    "trade": "7",
}
SELL = {
    "instrument": "BTC/USDT",
    "side": "sell",
    "quantity": "0.00099900",
    "value": "59.96",
    "fee": "0.05990000",
    "asset": "USDT",
    "trade": "8",
}
TRADES = [{"id": 7}, {"id": 8}]


def test_books_that_agree_differ_in_nothing():
    assert differs([BUY, SELL], TRADES, BEFORE, AFTER) == ""


@pytest.mark.parametrize(
    ("fills", "what"),
    [
        ([BUY], "theirs alone: Counter({'8': 1})"),
        ([BUY, SELL, SELL], "or twice: Counter({'8': 1})"),
        ([BUY, {**SELL, "trade": "9"}], "or twice: Counter({'9': 1})"),
        ([BUY, {**SELL, "fee": "0.05990001"}], "money"),
        ([{**BUY, "quantity": "0.00100001"}, SELL], "money"),
    ],
)
def test_a_fill_that_is_lost_counted_twice_or_other_is_seen(fills, what):
    assert what in differs(fills, TRADES, BEFORE, AFTER)


def test_trades_with_numbers_of_our_own_are_counted():
    fills = [{**BUY, "trade": "70"}, {**SELL, "trade": "80"}]
    assert differs(fills, TRADES, BEFORE, AFTER, numbered=False) == ""
    assert "trades" in differs(fills[:1], TRADES, BEFORE, AFTER, numbered=False)
    assert "trades" in differs([fills[0], fills[1], fills[1]], TRADES, BEFORE, AFTER, numbered=False)


def test_ids_are_of_the_run_that_placed_them():
    records = [
        {"record": "Run", "prefix": "one", "run": 4},
        {"record": "Placed", "seq": 1},
        {"record": "Asked", "seq": 9},
        {"record": "Run", "prefix": "one", "run": 5},
        {"record": "Placed", "seq": 1},
    ]
    assert journalled_ids(records) == ["one-4-1", "one-5-1"]
