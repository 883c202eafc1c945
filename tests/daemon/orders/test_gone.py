from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from daemon.errors import ConfigError
from daemon.events import Command
from daemon.instruments import make_instrument
from daemon.memory_disk import MemoryDisk
from daemon.orders import records as r
from daemon.orders.audit import Alarm
from daemon.orders.gone import remembered, without_gone
from daemon.orders.order import State
from daemon.orders.reader import read_history
from daemon.seams import Boot
from daemon.symbol_watch import SymbolWatch
from kernels import dtypes as d

ETH = {"price": 5000}


@pytest.fixture
def traded(new_world, pair):
    """A world that bought and sold in both its symbols, and is flat in ETH/BTC."""
    world = new_world(pair, {"maker": (0, 1)}, balances={"USDT": "100000", "BTC": "10", "ETH": "5"})
    world.fill(world.place(qty=1000), 1, 400)
    world.fill(world.place(row=1, qty=100, **ETH), 7, 100)
    return world


def flat_again(world):
    sold = world.place(row=1, side=d.SELL, qty=100, **ETH)
    fee = {"commission": Decimal("0.001"), "commission_asset": "BNB"}
    world.fill(sold, 8, 100, **fee)
    assert world.position(d.P_QTY, row=1) == 0


def without_eth(world, pair):
    return world.restarted(instruments=pair[:1], strategies={"maker": (0,)})


def held(world):
    one = world.portfolio.holdings[0, 0]
    return one.qty, one.cost, one.realised, one.fees


def smaller(world, pair):
    return type(world)(pair[:1], {"maker": (0,)}, disk=MemoryDisk()).orders


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_a_symbol_that_is_flat_may_leave_and_all_else_stays(traded, pair, restarts):
    flat_again(traded)
    traded.portfolio.mark(0, 60_000.0)
    for _ in range(restarts):  # so that it is the checkpoint that tells of it, not what follows
        traded = traded.restarted()
    traded.orders.halt("cli", "enough")
    before = traded.portfolio
    after = without_eth(traded, pair)
    assert held(after) == held(traded)
    assert after.portfolio.trades[0].dump() == before.trades[0].dump() == [2]
    assert {a: p.total for a, p in after.portfolio.purses.items() if p.total} == {
        a: p.total for a, p in before.purses.items() if p.total
    }
    assert set(after.orders.life.open) == set(traded.orders.life.open)
    assert after.risk.latch == traded.risk.latch
    assert after.orders.desks == after.desks  # none is kept for what nobody trades
    assert not after.meet().fatal
    assert held(without_eth(after, pair)) == held(traded)


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_position_or_an_open_order_keeps_its_symbol(traded, pair, restarts):
    for _ in range(restarts):
        traded = traded.restarted()
    text = (
        "the journal's strategy maker traded ETH/BTC, which the configuration lacks now: start with it until "
        "nothing is open in it, or move the journal away"
    )
    with pytest.raises(ConfigError) as refused:
        without_eth(traded, pair)
    assert str(refused.value) == text
    flat_again(traded)
    order = traded.place(row=1, qty=10, **ETH)
    with pytest.raises(ConfigError) as refused:
        without_eth(traded, pair)
    assert str(refused.value) == text
    traded.report("NEW", order)
    traded.report("CANCELED", order)
    without_eth(traded, pair)


def test_less_than_a_lot_is_no_position(new_world, pair):
    world = new_world(pair, {"maker": (0, 1)}, balances={"BTC": "10"})
    fee = {"commission": Decimal("0.00999"), "commission_asset": "ETH"}
    world.fill(world.place(row=1, qty=100, **ETH), 7, 100, **fee)
    assert world.position(d.P_QTY, row=1) == pytest.approx(1e-5)
    assert without_eth(world, pair).desks[0].instruments == (0,)


def test_where_a_symbol_is_gone_a_run_that_was_asked_to_end_still_was(traded, pair):
    flat_again(traded)
    traded.orders.record(r.pack(r.CommandTaken(1, Command(verb="stop", source="daemon"))))
    after = traded.restarted(instruments=pair[:1], strategies={"maker": (0,)}, begin=False)
    assert after.recovery.forgets_ns(Boot("another", 0)) == 0


def test_a_journal_that_lacks_nothing_is_left_as_it_is(traded):
    history = read_history(traded.disk, traded.folder)
    assert without_gone(history, traded.orders) is history


def test_an_older_journal_that_counts_in_unknown_lots_is_taken_as_it_is(traded, pair):
    flat_again(traded)
    history = read_history(traded.disk, traded.folder)
    older = [
        msgspec.structs.replace(one, steps=[]) if isinstance(one, r.Run) else one for one in history.records
    ]
    history = history._replace(records=older)
    fewer = smaller(traded, pair)
    assert without_gone(history, fewer) is history


def test_a_run_whose_checkpoint_was_torn_began_nothing(traded, pair):
    flat_again(traded)
    history = read_history(traded.disk, traded.folder)
    run = msgspec.structs.replace(history.records[0], run=2)
    torn = history._replace(records=[*history.records, run])
    found = without_gone(torn, smaller(traded, pair))
    kept = [one for one in found.records[1].holdings if one.qty != "0"]
    assert [(one.strategy, one.row) for one in kept] == [(0, 0)]


# --- other steps --------------------------------------------------------------------------------------------
def in_steps(tick, lot, market="spot"):
    return make_instrument(
        0, "binance", market, "BTC/USDT", tick_size=tick, lot_size=lot, qty_min=lot, qty_max="9000",
        notional_min="5",
    )  # fmt: skip


@pytest.mark.parametrize("restarts", [0, 1])
@pytest.mark.parametrize("finer", [False, True])
def test_what_was_counted_in_other_steps_is_worth_the_same(new_world, finer, restarts):
    coarse, fine = in_steps("0.1", "0.0001"), in_steps("0.01", "0.00001")
    was, now, by = (coarse, fine, 10) if finer else (fine, coarse, 1 / 10)
    world = new_world([was])
    price, qty = was.price.parse("60000"), was.qty.parse("0.01")
    bought = world.place(price=price, qty=2 * qty)
    world.report("NEW", bought, venue_order_id="5")
    world.fill(bought, 1, qty)
    for _ in range(restarts):
        world = world.restarted()
    after = world.restarted(instruments=[now])
    assert held(after) == held(world)
    assert after.position(d.P_QTY) == 0.01
    assert after.portfolio.purse("USDT").total == world.portfolio.purse("USDT").total
    assert after.portfolio.purse("USDT").reserved == world.portfolio.purse("USDT").reserved
    (order,) = after.orders.life.open.values()
    assert (order.price_ticks, order.qty_lots, order.filled_lots) == (price * by, 2 * qty * by, qty * by)
    after.fill(order, 2, int(qty * by))
    assert (order.state, after.position(d.P_QTY)) == (State.FILLED, 0.02)
    assert after.restarted().position(d.P_QTY) == 0.02


def test_a_position_in_a_derivative_is_the_same_in_other_steps(new_world):
    was, now = in_steps("0.1", "0.001", "usdm"), in_steps("0.1", "0.0001", "usdm")
    world = new_world([was], balances={"USDT": "100000"})
    world.fill(world.place(kind=d.TARGET, price=600_000, qty=10), 1, 10)
    after = world.restarted(instruments=[now])
    assert (after.position(d.P_QTY), held(after)) == (0.01, held(world))
    assert after.meet(positions={0: 100}).fatal == []


def test_what_is_owed_is_counted_anew_and_a_price_between_two_ticks_is_taken_for_the_worse(new_world):
    world = new_world([in_steps("0.01", "0.00001")])
    orders = [
        world.place(level=level, side=side, price=price, qty=1000)
        for level, (side, price) in enumerate(((d.BUY, 6_000_007), (d.SELL, 6_000_107)))
    ]
    world.report("NEW", orders[0], venue_order_id="5", cum_lots=500)
    after = world.restarted(instruments=[in_steps("0.1", "0.0001")])
    bid, ask = (after.orders.life.open[one.client_order_id] for one in orders)
    assert (bid.price_ticks, ask.price_ticks, bid.qty_lots) == (600_001, 600_010, 100)
    assert after.orders.life.owed == {bid.client_order_id: (None, 50)}


# --- listed no more -----------------------------------------------------------------------------------------
def delisted(world, pair):
    """Return the run after this one, whose exchange lists BTC/USDT alone."""
    (eth,) = [one for one in remembered(world.disk, world.folder).values() if one.base == "ETH"]
    eth = msgspec.structs.replace(eth, exchange="binance")
    again = world.restarted(instruments=[pair[0], eth])
    SymbolWatch(again.instruments, again.orders)
    return again


def test_what_the_last_run_traded_is_remembered(traded, pair):
    found = remembered(traded.disk, traded.folder)
    assert [one.index for one in found.values()] == [0, 1]
    eth = found["ETH/BTC"]
    assert (eth.tick_size, eth.lot_size, eth.exchange_symbol) == (
        pair[1].tick_size,
        pair[1].lot_size,
        "ETHBTC",
    )
    assert not eth.trading
    assert not eth.listed


def test_nothing_is_remembered_without_a_journal_that_tells_it(traded):
    assert remembered(MemoryDisk(), traded.folder) == {}
    path = traded.disk.list(traded.folder)[0]
    traded.disk.replace(path, b"no journal, by any measure")
    assert remembered(traded.disk, traded.folder) == {}


def test_a_delisted_symbol_keeps_its_position_and_loses_its_orders_and_the_rest_trades(traded, pair):
    order = traded.place(row=1, qty=10, **ETH)
    traded.report("NEW", order)
    (bought,) = [one for one in traded.orders.life.open.values() if one.instrument == 0]
    traded.venue.up = False  # as at every start
    traded.venue.queried.clear()
    again = delisted(traded, pair)
    again.venue.up = True
    again.later(60)
    assert again.orders.life.ended[order.client_order_id].state is State.VOID
    assert list(again.orders.life.open) == [bought.client_order_id]
    assert set(again.venue.queried) == {bought.client_order_id}
    assert again.position(d.P_QTY, row=1) == 0.01
    assert again.check(row=1, level=5, qty=10, **ETH).code == d.GATE_MARKET_CLOSED
    assert "ETH/BTC is not listed at binance: no order leaves until it is TRADING" in [
        audit.text for audit in again.audits if isinstance(audit, Alarm)
    ]
    again.meet()
    again.report("STATUS", bought.client_order_id, status="PARTIALLY_FILLED", cum_lots=400, qty_lots=1000)
    again.place(level=7, qty=10)


def test_what_a_delisted_symbol_is_worth_leaves_the_rest_known(traded, pair):
    again = delisted(traded, pair)
    again.meet()
    again.portfolio.mark(0, 60_000.0)
    assert again.portfolio.worth.known
    assert again.portfolio.worth.unmarked == []
    assert again.portfolio.worth.unpriced == ["ETH"]


def test_what_an_exchange_took_away_with_a_symbol_halts_nothing(traded, pair):
    again = delisted(traded, pair)
    again.later(2)  # since the latest trade
    for _ in range(2):  # the first look decides nothing while an order is open
        found = again.meet({"USDT": "99760", "BTC": "10"})
        assert found.fatal == []
        again.later(20)
    assert again.portfolio.purse("ETH").total == 0
    assert not again.risk.halted


def test_a_delisted_derivative_is_no_part_of_margin_and_value(new_world, perpetual):
    eth = make_instrument(
        1, "binance", "usdm", "ETH/USDT", tick_size="0.01", lot_size="0.001", qty_min="0.001", qty_max="9000",
        notional_min="5",
    )  # fmt: skip
    world = new_world([perpetual, eth], {"maker": (0, 1)}, balances={"USDT": "1000000"})
    world.fill(world.place(row=1, kind=d.TARGET, price=300_000, qty=100), 1, 100)
    again = delisted(world, [perpetual])
    assert again.meet({"USDT": "1000000"}, positions={}).fatal == []
    again.portfolio.mark(0, 60_000.0)
    assert again.portfolio.worth.value == 1_000_000.0
    assert again.portfolio.margins["USDT"].used == 0.0
    assert again.position(d.P_QTY, row=1) == 0.1
