from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.instruments import make_instrument
from daemon.simulator.rates import Limits
from daemon.simulator.symbols import UNIT, list_symbol, notional
from daemon.simulator.usdm.account import FuturesAccount, Position, position_view, risk_view

SYMBOL = list_symbol(
    make_instrument(
        0, "binance", "usdm", "BTC/USDT", tick_size="0.1", lot_size="0.001", qty_min="0.001",
        qty_max="1000", notional_min="100",
    )
)  # fmt: skip


def held(qty: int, price: int) -> Position:
    position = Position(SYMBOL)
    position.trade(qty * UNIT, qty * price * UNIT)
    position.mark = price * UNIT
    return position


def test_a_position_realises_what_closing_brings_and_turns_through_zero():
    position = held(2, 100)
    assert position.trade(-UNIT, -110 * UNIT) == 10 * UNIT
    assert (position.qty, position.entry) == (UNIT, 100 * UNIT)
    assert position.trade(-3 * UNIT, -3 * 90 * UNIT) == -10 * UNIT
    assert (position.qty, position.entry, position.realised) == (-2 * UNIT, 90 * UNIT, 0)


def test_a_short_position_loses_as_the_mark_rises():
    position = held(-2, 100)
    position.mark = 101 * UNIT
    assert (position.notional, position.unrealised) == (-202 * UNIT, -2 * UNIT)


def test_margin_is_that_of_the_worse_side_at_the_leverage():
    position = held(1, 100)
    position.leverage = 10
    assert position.margin() == 10 * UNIT
    assert position.margin(bids=50 * UNIT) == 15 * UNIT
    assert position.margin(asks=150 * UNIT) == 10 * UNIT, "it closes before it opens"
    assert position.margin(asks=250 * UNIT) == 15 * UNIT


def test_the_wallet_moves_by_profit_and_commission_alone():
    account = FuturesAccount("main", {"USDT": 1_000 * UNIT}, 20_000, 50_000, Limits())
    assert account.settle(SYMBOL, UNIT, 100 * UNIT, is_maker=False) == (0, 5 * UNIT // 100)
    assert account.settle(SYMBOL, -UNIT, -110 * UNIT, is_maker=True) == (10 * UNIT, 22 * UNIT // 1_000)
    assert account.wallet("USDT") == 1_010 * UNIT - 72 * UNIT // 1_000
    assert account.available("USDT") == account.wallet("USDT")


@given(st.lists(st.tuples(st.integers(-5_000, 5_000).filter(bool), st.integers(9_000, 11_000)), max_size=40))
def test_what_was_realised_and_what_is_open_equal_what_was_traded(trades: list[tuple[int, int]]):
    position, flow = Position(SYMBOL), 0
    for lots, ticks in trades:
        qty, side = abs(lots) * UNIT // 1_000, 1 if lots > 0 else -1
        paid = side * notional(ticks * UNIT // 10, qty)
        position.trade(side * qty, paid)
        flow += paid
    assert position.cost == flow + position.realised
    assert position.qty == sum(lots for lots, _ in trades) * UNIT // 1_000
    assert position.qty or abs(position.cost) == 0


@pytest.mark.parametrize("every", [True, False])
def test_views_write_amounts_as_the_market_does(every: bool):
    view = position_view(held(1, 100), every=every)
    assert (view["positionAmt"], view["notional"]) == ("1.000", "100.00000000")
    assert ("leverage" in view) is every


def test_the_older_risk_tells_leverage_and_margin_type():
    account = FuturesAccount("main", {"USDT": 50 * UNIT}, 0, 0, Limits())
    old, new = (risk_view(account, held(1, 100), old=old) for old in (True, False))
    assert (old["leverage"], old["marginType"], new["initialMargin"]) == ("20", "cross", "5.00000000")
    assert "leverage" not in new


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("qty", [2, -2])
def test_a_position_is_liquidated_where_what_secures_it_is_its_maintenance_margin(qty: int, isolated: bool):
    account = FuturesAccount("main", {"USDT": 50 * UNIT}, 0, 0, Limits())
    position = account.position(SYMBOL)
    position.isolated, position.leverage = isolated, 5
    position.trade(qty * UNIT, qty * 100 * UNIT)
    position.mark = account.liquidation(position)
    secured = 40 * UNIT if isolated else 50 * UNIT
    assert secured + position.unrealised == pytest.approx(abs(position.notional) / 250, abs=10)
    assert (position.mark < 100 * UNIT) is (qty > 0)


def test_what_can_lose_no_more_than_the_wallet_is_liquidated_at_no_price():
    account = FuturesAccount("main", {"USDT": 500 * UNIT}, 0, 0, Limits())
    position = account.position(SYMBOL)
    assert account.liquidation(position) == 0
    position.trade(UNIT, 100 * UNIT)
    assert account.liquidation(position) == 0
