from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from daemon.orders.order import State
from kernels import dtypes as d
from tests.daemon.orders.conftest import World

if TYPE_CHECKING:
    from daemon.events import ExecutionReport


def test_a_foreign_trade_moves_balances_once_and_alarms(world):
    before = world.portfolio.purse("BTC").total
    for _ in range(2):
        world.orders.apply(World.trade("someone-1", 7, 100))
    assert world.portfolio.purse("BTC").total - before == 10**15
    assert world.alarms() == ["foreign_trade"]


def test_balances_that_are_behind_a_trade_of_somebody_else_are_not_taken_over(world):
    world.report("TRADE", "someone-1", trade_id=7, last_lots=100, last_ticks=6_000_000, side=d.BUY)
    found = world.meet({"USDT": "100000", "BTC": "10"})
    assert (len(found.unsettled), world.alarms()) == (2, ["foreign_trade"])


def test_what_is_no_trade_is_passed_over(world):
    world.report("CANCELED", "someone-1")
    assert world.alarms() == []


def test_a_foreign_trade_of_a_derivative_pays_its_fee_and_asks_for_the_venues_word(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "1000"})
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(1)
    world.orders.apply(World.trade("someone-1", 7, 100, commission=Decimal("0.5"), commission_asset="USDT"))
    assert world.portfolio.purse("USDT").total == 9_995 * 10**17
    assert len(asked) == 1


def test_a_trade_of_an_order_whose_record_was_lost_waits_for_the_meeting_that_takes_both_in(world):
    asyncio.run(world.journal.sync_now())
    lost = world.place(qty=100)
    world.disk.power_cut()
    again = world.restarted()
    asked = []
    again.orders.doubts.ask_snapshot = lambda: asked.append(1)
    told = World.trade(lost.client_order_id, 4, 40, cum_lots=40)
    again.orders.apply(told)  # the stream is faster than the first snapshot
    assert (len(asked), again.alarms()) == (1, [])
    again.meet(open_orders=[World.listed(lost, cum_lots=40)], trades=[told])
    adopted = again.orders.life.open[lost.client_order_id]
    assert (adopted.state, adopted.filled_lots) == (State.PENDING_CANCEL, 40)
    assert again.position(d.P_QTY) == 4e-4


def test_the_trades_of_an_order_that_a_person_lowered_by_hand_are_its_own(world):
    order = world.place(qty=300)
    world.report("NEW", order, venue_order_id="5")
    told = {"side": d.BUY, "venue_order_id": "5"}  # Spot gives it another id with that
    world.report("REPLACED", "by-hand", qty_lots=200, **told)
    world.report("TRADE", "by-hand", trade_id=7, last_lots=50, last_ticks=6_000_000, cum_lots=50, **told)
    assert (order.qty_lots, order.filled_lots, world.position(d.P_QTY)) == (200, 50, 50e-5)
    assert world.alarms() == []
    again = world.restarted()
    assert again.position(d.P_QTY) == 50e-5
    again.report("CANCELED", "by-hand", cum_lots=50, **told)
    assert again.orders.life.ended[order.client_order_id].state is State.CANCELED


# --- ids that a stranger gives twice --------------------------------------------------------------------
def test_two_orders_that_a_stranger_calls_alike_in_two_symbols_are_two(new_world, pair):
    world = new_world(pair, {"one": (0,), "two": (1,)})
    both = [World.listed("exit", venue_order_id=number, instrument=at) for number, at in (("5", 0), ("5", 1))]
    world.meet(open_orders=both)
    names = list(world.orders.life.open)
    assert (len(names), world.venue.canceled) == (2, names)
    told = {"trade_id": 7, "last_lots": 50, "last_ticks": 5000, "side": d.BUY, "venue_order_id": "5"}
    world.report("TRADE", "exit", instrument=0, cum_lots=50, **told)
    assert not world.orders.knows("TRADE", "exit", 50, 7)  # the other symbol may have a trade of that number
    world.report("TRADE", "exit", instrument=1, cum_lots=50, **told)
    assert [world.orders.life.open[name].filled_lots for name in names] == [50, 50]
    assert (world.position(d.P_QTY, 0), world.position(d.P_QTY, 1)) == (0.0005, 0.005)
    world.report("CANCELED", "exit", instrument=1, venue_order_id="5", cum_lots=50)
    assert list(world.orders.life.open) == ["exit"]
    again = world.restarted()
    assert again.position(d.P_QTY, 0) == 0.0005
    assert list(again.orders.life.open) == ["exit"]


def test_of_two_that_only_their_symbols_tell_apart_the_second_is_taken_in_once_the_first_is_gone(
    new_world, pair
):
    world = new_world(pair, {"one": (0,), "two": (1,)})
    first, second = (World.listed("exit", venue_order_id="", instrument=at) for at in (0, 1))
    world.meet(open_orders=[first, second])
    assert [one.instrument for one in world.orders.life.open.values()] == [0]
    world.report("CANCELED", "exit")
    world.meet(open_orders=[second])
    assert [one.instrument for one in world.orders.life.open.values()] == [1]
    assert world.venue.canceled == ["exit", "exit"]


def test_an_id_that_a_stranger_gives_to_one_order_after_the_other_contradicts_nothing(world):
    world.meet(open_orders=[World.listed("exit", venue_order_id="5")])
    world.report("CANCELED", "exit", venue_order_id="5")
    for _ in range(4):
        world.later(10)
        found = world.meet(open_orders=[World.listed("exit", venue_order_id="6")])
        assert (found.fatal, found.unsettled) == ([], [])
    assert world.orders.life.open["exit"].venue_order_id == "6"
    assert set(world.venue.canceled[1:]) == {"exit"}


# --- what the venue closes by itself ------------------------------------------------------------------------
FEE = {"commission": Decimal("0.5"), "commission_asset": "USDT"}


@pytest.fixture
def short(new_world, perpetual) -> World:
    """0.1 sold at 60,000 by a strategy whose wallet has 1,000."""
    world = new_world([perpetual], {"idle": (0,), "maker": (0,)}, balances={"USDT": "1000"})
    world.fill(world.place(1, kind=d.TARGET, side=d.SELL, qty=10_000), 1, 10_000)
    world.asked = []
    world.orders.doubts.ask_snapshot = lambda: world.asked.append(1)
    return world


def closed(number: int, lots: int, reason: str = "liquidated") -> ExecutionReport:
    return World.trade("autoclose-1", number, lots, reason=reason, **FEE)


def test_a_position_that_the_venue_liquidates_is_its_owners_and_halts(short):
    for _ in range(2):  # by the stream, and by a snapshot
        short.orders.apply(msgspec.structs.replace(closed(7, 4000), last_ticks=6_500_000))
    assert short.position(d.P_QTY, 1) == -0.06
    assert short.position(d.P_REALISED, 1) == -200.0
    assert short.position(d.P_QTY, 0) == 0.0
    assert short.portfolio.purse("USDT").total == 7_995 * 10**17
    assert short.alarms() == ["position_closed"]
    assert short.risk.latch.reason == (
        "the venue liquidated 0.04000 BTC/USDT:USDT at 65000.00 by its order autoclose-1"
    )
    assert short.asked
    found = short.meet({"USDT": "799.5"}, positions={0: -6000}, trades=[closed(7, 4000)])
    assert (found.fatal, found.trades) == ([], 0)


def test_what_was_liquidated_while_nobody_listened_is_found_among_the_trades(short):
    trades = [msgspec.structs.replace(closed(7, 10_000), exch_ns=short.time.now_ns())]
    found = short.meet({"USDT": "999.5"}, positions={}, trades=trades)
    assert (found.fatal, found.trades) == ([], 1)
    later = short.restarted()
    assert later.position(d.P_QTY, 1) == 0.0
    assert later.risk.latch.source == "venue"


def test_without_a_number_only_the_venues_word_counts(short):
    short.orders.apply(closed(0, 4000))
    short.orders.apply(closed(7, 0))
    assert short.position(d.P_QTY, 1) == -0.1
    assert (short.alarms(), len(short.asked)) == ([], 2)


def test_a_snapshot_asked_for_before_decides_nothing(short):
    asked_ns = short.time.now_ns()
    short.later(1)
    short.orders.apply(msgspec.structs.replace(closed(7, 10_000), wire_ns=short.time.now_ns()))
    found = short.meet({"USDT": "1000"}, asked_ns=asked_ns, positions={0: -10_000})
    assert found.fatal == []
