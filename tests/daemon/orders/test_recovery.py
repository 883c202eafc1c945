from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from daemon.errors import ConfigError
from daemon.events import ExecutionReport, OpenOrder
from daemon.orders.doubts import OrderRules
from daemon.orders.intents import Approved
from daemon.orders.order import State
from kernels import dtypes as d


def listed(order, **more):
    if not isinstance(order, str):
        more = {"qty_lots": order.qty_lots, "cum_lots": order.filled_lots, "side": order.side, **more}
        more.setdefault("price_ticks", order.price_ticks)
        order = order.client_order_id
    return OpenOrder(
        **{
            "client_order_id": order, "venue_order_id": "1", "instrument": 0, "side": d.BUY,
            "price_ticks": 6_000_000, "qty_lots": 100, "cum_lots": 0, **more,
        }
    )  # fmt: skip


def trade(cid, trade_id, lots, **more):
    return ExecutionReport(
        kind="TRADE", client_order_id=cid, instrument=0, wire_ns=1, trade_id=trade_id, last_lots=lots,
        last_ticks=6_000_000, side=d.BUY, **more,
    )  # fmt: skip


def state_of(world):
    """Return everything a restart must bring back."""
    life, portfolio = world.orders.life, world.portfolio
    return {
        "open": {
            cid: (o.strategy, o.slot, o.level, o.side, o.qty_lots, o.filled_lots)
            for cid, o in life.open.items()
        },
        "ended": {cid: o.state for cid, o in life.ended.items()},
        "totals": {asset: purse.total for asset, purse in portfolio.purses.items()},
        "reserved": {asset: purse.reserved for asset, purse in portfolio.purses.items()},
        "fees": {asset: purse.fees for asset, purse in portfolio.purses.items()},
        "holdings": {key: (h.qty, h.cost, h.realised, h.fees) for key, h in portfolio.holdings.items()},
        "positions": [memory["position"].tolist() for memory in world.memories],
        "trades": [(ids.floor, ids.dump()) for ids in portfolio.trades],
        "latch": world.risk.latch,
    }  # fmt: skip


def busy(world):
    """Leave a bit of everything behind."""
    bought = world.place(level=1, qty=1000)
    world.report("NEW", bought)
    world.fill(bought, 1, 1000, commission=Decimal("0.00001"), commission_asset="BTC")
    part = world.place(level=2, qty=500)
    world.report("NEW", part)
    world.fill(part, 2, 200, commission=Decimal("0.12"), commission_asset="USDT")
    sold = world.place(level=3, side=d.SELL, price=6_100_000, qty=300)
    world.report("NEW", sold)
    world.fill(sold, 3, 300)
    world.report("REJECTED", world.place(level=4))
    amended = world.place(level=5, qty=50)
    world.report("NEW", amended)
    world.orders.amend(amended, 20, world.time.now_ns())
    world.report("REPLACED", amended, qty_lots=20)
    return part, amended


def test_a_restart_brings_everything_back(world):
    busy(world)
    before = state_of(world)
    again = world.restarted()
    assert state_of(again) == before
    assert all(order.state is State.UNKNOWN for order in again.orders.life.open.values())
    assert again.risk.gate(0) == d.GATE_UNKNOWN_ORDER
    assert state_of(again.restarted()) == before  # from the checkpoint this time


def test_nothing_is_sent_again_and_nobody_is_told_twice(world):
    busy(world)
    placed = list(world.venue.placed)
    world.venue.up = False
    again = world.restarted()
    assert world.venue.placed == placed
    assert world.venue.queried == []
    assert all(type(audit).__name__ == "Moved" for audit in again.audits)


def test_ids_of_a_new_run_are_new(world):
    first = world.place(level=1).client_order_id
    again = world.restarted()
    second = again.place(level=2, reduces=False) if again.risk.gate(0) == 0 else None
    assert second is None  # an unknown order closes its instrument
    again.report("STATUS", first, status="CANCELED")
    second = again.place(level=2)
    assert again.ids.parse(second.client_order_id)[0] > world.ids.run
    assert second.client_order_id != first


def test_open_orders_the_venue_lists_go_on_and_fills_count(world):
    part, amended = busy(world)
    again = world.restarted()
    found = again.meet(open_orders=[listed(part), listed(amended)])
    assert (found.notes, found.fatal, found.missing) == ([], [], 0)
    mine = again.orders.life.open[part.client_order_id]
    assert mine.state is State.PARTIALLY_FILLED
    assert again.risk.gate(0) == 0
    again.fill(mine, 9, 300)
    assert mine.state is State.FILLED


def test_trades_made_while_away_are_applied_once(world):
    part, _ = busy(world)
    again = world.restarted()
    missed = trade(part.client_order_id, 9, 300, cum_lots=500)
    for _ in range(2):
        again.meet(trades=[trade(part.client_order_id, 2, 200), missed])
    assert again.orders.life.ended[part.client_order_id].state is State.FILLED
    once = again.position(d.P_QTY)
    assert once == pytest.approx((1000 + 500 - 300) * 1e-5 - 0.00001)
    final = again.restarted()
    final.orders.apply(missed)
    assert final.position(d.P_QTY) == once


def test_trades_are_asked_for_from_the_oldest_open_order_on(world):
    sent_ns = world.time.now_ns()
    order = world.place(level=1)
    world.report("NEW", order)
    world.later(3600)
    other = world.place(level=2)
    world.fill(other, 1, 100)
    assert world.recovery.since_ns == sent_ns - 60 * 10**9
    world.report("CANCELED", order)
    assert world.recovery.since_ns == sent_ns + 3540 * 10**9
    assert world.restarted().recovery.since_ns == sent_ns + 3540 * 10**9


def test_an_order_the_venue_does_not_list_is_asked_about_and_never_assumed_gone(world):
    order = world.place()
    world.report("NEW", order)
    world.later(10)
    found = world.meet()
    assert found.missing == 1
    assert order.state is State.UNKNOWN
    assert world.venue.queried == [order.client_order_id]


def test_an_order_sent_after_the_snapshot_was_asked_for_is_not_missing(world):
    asked_ns = world.time.now_ns()
    world.later(1)
    order = world.place()
    world.report("NEW", order)
    assert world.meet(asked_ns=asked_ns).missing == 0
    assert order.state is State.WORKING


def test_an_order_whose_record_a_power_cut_took_is_found_and_cancelled(world):
    asyncio.run(world.journal.sync_now())
    lost = world.place(qty=100)
    world.disk.power_cut()
    again = world.restarted()
    assert again.orders.life.open == {}
    early = trade(lost.client_order_id, 4, 40, cum_lots=40)
    found = again.meet(open_orders=[listed(lost, cum_lots=40)], trades=[early])
    assert found.adopted == 1
    assert "the journal lost" in found.notes[0]
    assert again.venue.canceled == [lost.client_order_id]
    adopted = again.orders.life.open[lost.client_order_id]
    assert (adopted.state, adopted.leaves_lots) == (State.PENDING_CANCEL, 60)
    again.fill(adopted, 5, 10, cum_lots=50)
    assert again.position(d.P_QTY) == pytest.approx(5e-4)
    assert again.alarms() == ["foreign_order"]
    assert lost.client_order_id in again.restarted().orders.life.open  # adopted for good


def test_a_lost_order_that_is_over_already_is_found_by_its_trades(world):
    asyncio.run(world.journal.sync_now())
    lost = world.place(qty=100)
    world.disk.power_cut()
    again = world.restarted()
    trades = [trade(lost.client_order_id, 4, 40), trade(lost.client_order_id, 5, 60)]
    for _ in range(2):
        again.meet({"USDT": "99940", "BTC": "10.001"}, trades=trades)
        assert again.position(d.P_QTY) == 1e-3
        assert again.orders.life.ended[lost.client_order_id].state is State.FILLED
    assert again.alarms() == ["foreign_order"]
    assert again.restarted().position(d.P_QTY) == 1e-3


def test_the_trades_of_an_order_that_is_not_ours_are_not_counted_for_it_again(world):
    early = trade("by-hand", 4, 40)
    told = {"USDT": "99976", "BTC": "10.0004"}
    found = world.meet(told, open_orders=[listed("by-hand", cum_lots=40)], trades=[early])
    assert found.notes == ["the venue has order by-hand, which is not ours"]
    assert world.orders.life.open["by-hand"].leaves_lots == 60
    assert world.position(d.P_QTY) == 0.0
    assert world.restarted().orders.life.open["by-hand"].leaves_lots == 60


@pytest.mark.parametrize(
    ("policy", "adopted", "canceled"), [("cancel", 1, 1), ("adopt", 1, 0), ("ignore", 0, 0)]
)
def test_orders_that_are_not_ours_follow_the_policy(new_world, policy, adopted, canceled):
    world = new_world(rules=OrderRules(foreign=policy))
    found = world.meet(open_orders=[listed("by-hand")])
    assert (found.adopted, len(world.venue.canceled)) == (adopted, canceled)
    assert len(world.orders.life.open) == adopted
    assert world.alarms() == ["foreign_order"] * adopted


def test_an_order_here_ended_and_there_open_halts_and_says_which(world):
    order = world.place()
    world.report("CANCELED", order)
    world.later(5)
    found = world.meet(open_orders=[listed(order)])
    assert order.client_order_id in found.fatal[0]
    assert world.risk.halted
    assert world.restarted().risk.halted


def test_an_order_that_ended_since_the_snapshot_was_asked_for_is_no_contradiction(world):
    order = world.place()
    asked_ns = world.time.now_ns()
    world.later(1)
    world.report("CANCELED", order)
    assert world.meet(open_orders=[listed(order)], asked_ns=asked_ns).fatal == []


def test_the_kill_switch_stays_thrown_over_restarts_until_somebody_resumes(world):
    world.orders.halt("cli", "enough")
    again = world.restarted().restarted()
    assert again.risk.latch.reason == "enough"
    assert again.check(level=9, slot=9).reason == "halted"
    again.orders.resume("cli")
    assert isinstance(again.restarted().check(), Approved)


def test_day_and_drawdown_go_on_after_a_restart(world):
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.orders.save_baseline(world.time.now_ns())
    again = world.restarted()
    again.portfolio.mark(0, 59_000.0)
    again.risk.watch(again.portfolio, again.time.now_ns())
    assert (again.account(d.A_DAY_PNL), again.account(d.A_DRAWDOWN)) == (-10_000.0, 10_000.0)


def test_balances_moved_by_hand_are_taken_over_when_nothing_moves(world):
    found = world.meet({"USDT": "5", "BTC": "10"})
    assert found.notes == ["the venue has 5 USDT where our trades make it 100000"]
    assert found.fatal == []
    assert world.account(d.A_FREE_QUOTE) == 5.0
    assert world.alarms() == ["balance"]
    assert world.restarted().account(d.A_FREE_QUOTE) == 5.0


def test_balances_that_may_be_moving_are_taken_over_the_second_time(world):
    order = world.place(qty=1)
    world.report("NEW", order)
    told = {"USDT": "5", "BTC": "10"}
    world.meet(told, open_orders=[listed(order)])
    assert world.account(d.A_FREE_QUOTE) == 100_000.0 - 0.6
    world.meet(told, open_orders=[listed(order)])
    assert world.account(d.A_FREE_QUOTE) == 5.0 - 0.6


def test_a_position_the_account_does_not_cover_halts(world):
    order = world.place(qty=100_000)
    world.fill(order, 1, 100_000)
    world.later(1)
    found = world.meet({"USDT": "40000", "BTC": "0.5"})
    assert found.fatal == ["the strategies hold 1 BTC and the account 0.5"]
    assert world.risk.halted


def test_what_happened_before_the_first_start_is_not_accounted_for(new_world):
    world = new_world(begin=False)
    world.recovery.begin("0", "")
    old = trade("by-hand", 4, 100)
    found = world.meet({"USDT": "10"}, trades=[old])
    assert (found.trades, found.notes) == (0, [])
    world.orders.apply(old)
    assert world.account(d.A_FREE_QUOTE) == 10.0


def test_a_strategy_that_is_gone_keeps_its_books(new_world):
    world = new_world(strategies={"old": (0,), "kept": (0,)})
    order = world.place(strategy=0, qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 40)
    again = world.restarted(strategies={"kept": (0,), "new": (0,)})
    mine = again.orders.life.open[order.client_order_id]
    assert again.desks[0].orders[0] == [None] * d.WORKING_SLOTS
    assert again.orders.desks[mine.strategy].name == "old"
    again.report("STATUS", mine, status="NEW", qty_lots=100, cum_lots=40)
    again.fill(mine, 2, 60)
    assert again.portfolio.holdings[mine.strategy, 0].qty == 10**15
    assert again.position(d.P_QTY) == 0.0
    last = again.restarted(strategies={"kept": (0,)})
    assert [desk.name for desk in last.orders.desks] == ["kept", "old"]
    assert last.portfolio.holdings[1, 0].qty == 10**15


def test_orders_of_a_strategy_that_is_gone_are_cancelled_but_for_its_stops(new_world):
    world = new_world(strategies={"old": (0,), "kept": (0,)})
    quote = world.place(strategy=0, level=1)
    stop = world.place(strategy=0, level=2, kind=d.STOP, side=d.SELL, price=5_000_000)
    mine = world.place(strategy=1, level=1)
    for order in (quote, stop, mine):
        world.report("NEW", order)
    again = world.restarted(strategies={"kept": (0,)})
    again.meet(open_orders=[listed(quote), listed(stop), listed(mine)])
    assert again.venue.canceled == [quote.client_order_id]


def test_strategies_may_change_places(new_world, pair):
    world = new_world(pair, {"a": (0,), "b": (1,)})
    order = world.place(strategy=1, price=5000, qty=10)
    swapped = world.restarted(instruments=[pair[1].__class__(**{**fields(pair[1]), "index": 0}),
                                           pair[0].__class__(**{**fields(pair[0]), "index": 1})],
                              strategies={"b": (0,), "a": (1,)})  # fmt: skip
    mine = swapped.orders.life.open[order.client_order_id]
    assert (mine.strategy, mine.instrument) == (0, 0)
    assert swapped.slot(strategy=0)[d.W_STATE] == d.SLOT_UNKNOWN


def fields(instrument):
    return {name: getattr(instrument, name) for name in instrument.__struct_fields__}


def test_a_symbol_that_vanished_is_one_sentence(new_world, pair):
    world = new_world(pair, {"a": (0,), "b": (1,)})
    world.place(strategy=1, price=5000, qty=10)
    with pytest.raises(ConfigError, match="strategy b traded ETH/BTC, which the configuration lacks now"):
        world.restarted(instruments=pair[:1], strategies={"a": (0,)})


def test_a_symbol_nothing_was_ever_traded_in_may_vanish(new_world, pair):
    world = new_world(pair, {"a": (0,), "b": (1,)})
    order = world.place(strategy=0)
    again = world.restarted(instruments=pair[:1], strategies={"a": (0,)})
    assert order.client_order_id in again.orders.life.open


def test_ten_thousand_orders_come_back_in_time(world):
    from time import perf_counter

    for n in range(10_000):
        order = world.place(level=n, kind=d.TARGET, side=d.BUY if n % 2 else d.SELL)
        world.report("NEW", order)
        world.fill(order, n, 100)
        world.time.advance(world.time.now_ns() + 10_000_000)
    before = state_of(world)
    start = perf_counter()
    again = world.restarted()
    assert perf_counter() - start < 30  # 0.5 s on a machine of one's own; the bound is only for a hang
    after = state_of(again)
    assert after["holdings"] == before["holdings"]
    assert after["totals"] == before["totals"]
