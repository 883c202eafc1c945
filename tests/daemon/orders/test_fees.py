"""A fee in a third asset is valued once, and no restart forgets it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from daemon.faces.journal_summary import summarise
from daemon.instruments import make_instrument
from daemon.orders import records as r
from daemon.orders.fees import value_fees
from daemon.orders.money import UNIT, to_text
from daemon.orders.reader import read_all
from kernels import dtypes as d

BNB = make_instrument(
    1, "binance", "spot", "BNB/USDT",
    tick_size="0.1", lot_size="0.001", qty_min="0.001", qty_max="9000", notional_min="5",
)  # fmt: skip


@pytest.fixture
def world(new_world, pair):
    return new_world([pair[0], BNB], balances={"USDT": "100000", "BNB": "2"})


def buy(world, trade_id, fee="0.001"):
    order = world.place(kind=d.TARGET, qty=10)
    world.fill(order, trade_id, 10, commission=Decimal(fee), commission_asset="BNB")


def told(world):
    return [record for _, _, record in read_all(world.disk, world.folder)]


def value(world):
    return value_fees(world.portfolio, world.orders.record, world.time.now_ns())


def test_it_is_valued_at_the_mid_when_it_is_paid_and_on_record(world):
    world.portfolio.mark(1, 500.0)
    buy(world, 1)
    assert world.position(d.P_FEES) == 0.5
    (fee,) = [one for one in told(world) if isinstance(one, r.FeeValued)]
    assert (fee.asset, fee.paid, fee.value) == ("BNB", str(UNIT // 1000), str(UNIT // 2))
    assert world.portfolio.unvalued == {}


def test_without_a_mid_it_waits_for_one_and_a_person_is_told(world):
    buy(world, 1)
    buy(world, 2, "0.003")
    assert world.alarms() == ["unpriced_fee"] * 2
    assert not value(world)
    assert world.position(d.P_FEES) == 0.0
    world.portfolio.mark(1, 500.0)
    assert value(world)
    assert world.position(d.P_FEES) == 2.0
    assert value(world)
    assert world.position(d.P_FEES) == 2.0
    assert len([one for one in told(world) if isinstance(one, r.FeeValued)]) == 1


def test_a_restart_knows_what_was_valued_and_what_waits(world):
    world.portfolio.mark(1, 500.0)
    buy(world, 1)
    world.portfolio.worth.mids[1] = float("nan")
    buy(world, 2, "0.003")
    again = world.restarted()  # from the records
    assert again.position(d.P_FEES) == 0.5
    third = again.restarted()  # from the checkpoint of the run between
    assert third.position(d.P_FEES) == 0.5
    assert list(third.portfolio.unvalued.values()) == [3 * UNIT // 1000]
    third.portfolio.mark(1, 600.0)
    assert value(third)
    assert third.position(d.P_FEES) == pytest.approx(2.3)
    assert third.restarted().position(d.P_FEES) == pytest.approx(2.3)


def test_the_summary_s_fees_are_the_daemon_s(world):
    world.portfolio.mark(1, 500.0)
    buy(world, 1)
    summary = summarise(told(world), None, None, lambda line: True)
    (line,) = [one for one in summary.lines if one.fills]
    assert line.fees == to_text(world.portfolio.holdings[0, 0].fees) == "0.5"
    assert "BNB" not in "; ".join(summary.notes)


def test_a_record_takes_no_more_than_it_names(world):
    buy(world, 1, "0.005")
    fee = r.FeeValued(1, 0, 0, "BNB", str(2 * UNIT // 1000), str(UNIT))
    world.portfolio.value_fee(fee, 0)
    assert list(world.portfolio.unvalued.values()) == [3 * UNIT // 1000]
    assert world.position(d.P_FEES) == 1.0


@pytest.mark.parametrize("spare", ["0", "0.0004"])
def test_what_the_account_has_nothing_else_to_pay_with_is_paid_with_the_coins_that_are_held(
    new_world, pair, spare
):
    balances = {"USDT": "100000", "BNB": spare}
    world = new_world([pair[0], BNB], {"btc": (0,), "small": (1,), "large": (1,)}, balances=balances)
    world.portfolio.mark(1, 500.0)
    world.fill(world.place(1, kind=d.TARGET, qty=1000, price=5_000), 1, 1000)
    world.fill(world.place(2, kind=d.TARGET, qty=3000, price=5_000), 2, 3000)
    order = world.place(0, kind=d.TARGET, qty=10)
    world.fill(order, 3, 10, commission=Decimal("0.001"), commission_asset="BNB")
    paid = (UNIT // 1000) - int(Decimal(spare) * UNIT)
    for one in (world, world.restarted(), world.restarted().restarted()):
        held = [one.portfolio.holdings[strategy, 0] for strategy in (1, 2)]
        assert [holding.qty for holding in held] == [UNIT, 3 * UNIT - paid]
        assert [holding.realised for holding in held] == [0, 0]
        assert held[1].cost == 500 * held[1].qty
        assert one.position(d.P_FEES) == 0.5
        assert one.meet().fatal == []


def test_who_pays_pays_with_its_own_coins_first(new_world, pair):
    world = new_world([pair[0], BNB], {"both": (0, 1), "other": (1,)}, balances={"USDT": "100000"})
    world.portfolio.mark(1, 500.0)
    world.fill(world.place(0, row=1, kind=d.TARGET, qty=1, price=5_000), 1, 1)
    world.fill(world.place(1, kind=d.TARGET, qty=3000, price=5_000), 2, 3000)
    order = world.place(0, kind=d.TARGET, qty=10)
    world.fill(order, 3, 10, commission=Decimal("0.0015"), commission_asset="BNB")
    held = world.portfolio.holdings
    assert held[0, 1].qty == 0
    assert held[1, 0].qty == 3 * UNIT - UNIT // 2000
    assert world.meet().fatal == []


def test_coins_that_are_gone_otherwise_are_still_told(new_world, pair):
    world = new_world([pair[0], BNB], {"btc": (0,), "bnb": (1,)}, balances={"USDT": "100000"})
    world.portfolio.mark(1, 500.0)
    world.fill(world.place(1, kind=d.TARGET, qty=1000, price=5_000), 1, 1000)
    world.portfolio.purse("BNB").total -= UNIT // 2  # withdrawn
    order = world.place(0, kind=d.TARGET, qty=10)
    world.fill(order, 3, 10, commission=Decimal("0.001"), commission_asset="BNB")
    assert world.portfolio.holdings[1, 0].qty == UNIT - UNIT // 1000
    (text,) = world.meet().fatal
    assert text.startswith("the strategies hold 0.999 BNB and the account 0.499: ")
