from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.events import Balance, ExecutionReport
from daemon.instruments import make_instrument
from daemon.orders.money import UNIT, to_units
from kernels import dtypes as d


def filled(world, side, lots, ticks, trade_id, commission="0", asset="USDT", strategy=0, **more):
    order = world.place(strategy, kind=d.TARGET, side=side, qty=lots, price=ticks, **more)
    world.fill(order, trade_id, lots, commission=Decimal(commission), commission_asset=asset)
    return order


def test_a_buy_and_a_sell_realise_their_difference_less_fees(world):
    filled(world, d.BUY, 100_000, 6_000_000, 1, "60")
    filled(world, d.SELL, 100_000, 6_100_000, 2, "61")
    assert world.position(d.P_QTY) == 0.0
    assert world.position(d.P_AVG_PRICE) == 0.0
    assert world.position(d.P_REALISED) == 1000.0
    assert world.position(d.P_FEES) == 121.0
    assert world.account(d.A_FREE_QUOTE) == 100_000 + 1000 - 121
    assert world.portfolio.purse("USDT").fees == 121 * UNIT


def test_a_fee_in_the_base_shrinks_the_position_to_what_the_account_really_has(world):
    filled(world, d.BUY, 100_000, 6_000_000, 1, "0.001", "BTC")
    assert world.position(d.P_QTY) == 0.999
    assert world.position(d.P_FEES) == 60.0
    assert world.position(d.P_AVG_PRICE) == 60_000.0
    assert world.position(d.P_FREE_BASE) == 10.999
    assert world.portfolio.purse("BTC").total == to_units(Decimal("10.999"))


def test_a_fee_in_a_third_asset_is_valued_at_the_mid(new_world, pair):
    bnb = make_instrument(
        1, "binance", "spot", "BNB/USDT",
        tick_size="0.1", lot_size="0.001", qty_min="0.001", qty_max="9000", notional_min="5",
    )  # fmt: skip
    world = new_world([pair[0], bnb], balances={"USDT": "100000", "BNB": "2"})
    world.portfolio.mark(1, 500.0)
    filled(world, d.BUY, 10, 6_000_000, 1, "0.001", "BNB")
    assert world.alarms() == []
    assert world.position(d.P_FEES) == 0.5
    assert world.portfolio.purse("BNB").total == to_units(Decimal("1.999"))


def test_positions_are_a_strategys_own_and_balances_the_accounts(new_world):
    world = new_world(strategies={"one": (0,), "two": (0,)})
    filled(world, d.BUY, 100, 6_000_000, 1, strategy=0)
    filled(world, d.BUY, 300, 6_000_000, 2, strategy=1)
    assert [world.position(d.P_QTY, s) for s in (0, 1)] == [0.001, 0.003]
    assert [world.account(d.A_FREE_QUOTE, s) for s in (0, 1)] == [100_000 - 240.0] * 2
    assert [world.position(d.P_FREE_BASE, s) for s in (0, 1)] == [10.004] * 2


def test_each_strategy_sees_what_is_free_of_its_own_quote_and_what_all_is_worth(new_world, pair):
    world = new_world(pair, {"dollars": (0,), "coins": (1,)})
    filled(world, d.BUY, 100, 6_000_000, 1, strategy=0)
    assert world.account(d.A_FREE_QUOTE, 0) == 100_000 - 60.0
    assert world.account(d.A_FREE_QUOTE, 1) == 10.001
    world.portfolio.mark(0, 60_000.0)
    world.portfolio.mark(1, 0.05)
    values = [world.account(d.A_EQUITY, strategy) for strategy in (0, 1)]
    assert values[0] == values[1] == pytest.approx(100_000 - 60 + 10.001 * 60_000)


def test_a_mark_values_position_and_account(world):
    world.portfolio.mark(0, 60_000.0)
    assert world.account(d.A_EQUITY) == 700_000.0
    filled(world, d.BUY, 100_000, 6_000_000, 1)
    world.portfolio.mark(0, 60_100.0)
    assert world.position(d.P_UNREALISED) == 100.0
    assert world.account(d.A_EQUITY) == 701_100.0
    world.portfolio.mark(0, 59_900.0)
    assert world.account(d.A_DRAWDOWN) == 2200.0


@pytest.mark.parametrize("mid", [float("nan"), 0.0, -1.0, float("inf"), 1e308])
def test_an_absurd_mid_changes_nothing(world, mid):
    world.portfolio.mark(0, 60_000.0)
    world.portfolio.mark(0, mid)
    assert world.account(d.A_EQUITY) == 700_000.0


def test_a_perpetual_moves_margin_and_profit_and_no_base(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.portfolio.mark(0, 60_000.0)
    order = world.place(kind=d.TARGET, side=d.SELL, qty=10_000, price=6_000_000)
    assert world.account(d.A_FREE_QUOTE) == 4000.0  # margin at leverage one
    world.fill(order, 1, 10_000, commission=Decimal(3), commission_asset="USDT")
    assert world.position(d.P_QTY) == -0.1
    assert world.account(d.A_FREE_QUOTE) == 3997.0
    world.portfolio.mark(0, 59_000.0)
    assert world.account(d.A_EQUITY) == 10_097.0
    closing = world.place(kind=d.TARGET, side=d.BUY, qty=10_000, price=5_900_000, reduces=True)
    assert closing.reserved == 0
    world.fill(closing, 2, 10_000)
    assert world.account(d.A_FREE_QUOTE) == 10_097.0
    assert world.account(d.A_EXPOSURE) == 0.0


def test_balances_moved_by_hand_are_named_and_taken_over_as_no_profit(world):
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    told = {"USDT": Balance(Decimal(110_000), Decimal(500)), "XRP": Balance(Decimal(1), Decimal(0))}
    assert [one.text for one in world.portfolio.differences(told)] == [
        "the venue has 0 BTC where our trades make it 10",
        "the venue has 110500 USDT where our trades make it 100000",
        "the venue has 1 XRP where our trades make it 0",
    ]
    world.portfolio.adopt(told, moved=True)
    assert world.account(d.A_FREE_QUOTE) == 110_500.0
    assert world.position(d.P_FREE_BASE) == 0.0
    assert world.account(d.A_DAY_PNL) == world.account(d.A_DRAWDOWN) == 0.0


def test_strategies_that_hold_more_than_the_account_are_named(world):
    filled(world, d.BUY, 100_000, 6_000_000, 1)
    assert world.portfolio.short_of() == []
    world.portfolio.set_total({"BTC": UNIT // 2})
    (short,) = world.portfolio.short_of()
    assert (short.of, short.units) == ("BTC", -UNIT // 2)
    assert short.text.startswith("the strategies hold 1 BTC and the account 0.5: ")


fills = st.lists(
    st.tuples(
        st.sampled_from([d.BUY, d.SELL]),
        st.integers(1, 50_000),
        st.integers(5_000_000, 7_000_000),
        st.sampled_from(["0", "0.00001", "0.001"]),
        st.sampled_from(["USDT", "BTC"]),
    ),
    max_size=15,
)


@given(fills)
def test_balances_equal_an_exact_recount_and_equity_what_was_made(new_world, fills):
    world = new_world()
    usdt, btc = Decimal(100_000), Decimal(10)
    for trade_id, (side, lots, ticks, commission, asset) in enumerate(fills):
        filled(world, side, lots, ticks, trade_id, commission, asset)
        usdt -= side * lots * ticks * Decimal("1e-7")
        btc += side * lots * Decimal("1e-5")
        if asset == "USDT":
            usdt -= Decimal(commission)
        else:
            btc -= Decimal(commission)
    assert world.portfolio.purse("USDT").total == to_units(usdt)
    assert world.portfolio.purse("BTC").total == to_units(btc)
    assert world.portfolio.purse("USDT").reserved == world.portfolio.purse("BTC").reserved == 0
    assert world.position(d.P_QTY) == pytest.approx(float(btc - 10), abs=1e-15)
    world.portfolio.mark(0, 60_000.0)
    made = world.position(d.P_REALISED) + world.position(d.P_UNREALISED) - world.position(d.P_FEES)
    assert world.account(d.A_EQUITY) == pytest.approx(700_000 + made, abs=1e-6)
    assert world.account(d.A_EQUITY) == pytest.approx(float(usdt) + float(btc) * 60_000, rel=1e-12)


def test_a_foreign_trade_pays_its_fee_too(world):
    report = ExecutionReport(
        kind="TRADE", client_order_id="x", instrument=0, wire_ns=1, trade_id=9, side=d.BUY, last_lots=100_000,
        last_ticks=6_000_000, commission=Decimal("0.001"), commission_asset="BTC",
    )  # fmt: skip
    world.portfolio.fill_foreign(report)
    assert world.portfolio.purse("BTC").total == to_units(Decimal("10.999"))
    assert world.portfolio.purse("USDT").total == 40_000 * UNIT
