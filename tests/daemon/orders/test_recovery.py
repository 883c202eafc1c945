from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from daemon.errors import ConfigError
from daemon.events import Command, ExecutionReport
from daemon.orders.detached import left_behind
from daemon.orders.intents import Approved
from daemon.orders.money import UNIT
from daemon.orders.order import State
from daemon.orders.records import CommandTaken, pack
from daemon.seams import Boot
from kernels import dtypes as d
from tests.daemon.orders.conftest import BOOT, HOUR, SECOND, START_NS


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


def test_a_restart_brings_everything_back(world):
    world.be_busy()
    before = state_of(world)
    again = world.restarted()
    assert state_of(again) == before
    assert all(order.state is State.UNKNOWN for order in again.orders.life.open.values())
    assert again.risk.gate(0) == d.GATE_UNKNOWN_ORDER
    assert state_of(again.restarted()) == before  # from the checkpoint this time


def test_nothing_is_sent_again_and_nobody_is_told_twice(world):
    world.be_busy()
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


def test_trades_are_asked_for_from_the_oldest_open_order_on(world):
    sent_ns = world.time.now_ns()
    order = world.place(level=1)
    world.report("NEW", order)
    world.later(3600)
    other = world.place(level=2)
    world.fill(other, 1, 100)
    assert world.recovery.since_ns == sent_ns - 60 * 10**9
    world.report("CANCELED", order)
    world.meet()
    assert world.recovery.since_ns == sent_ns + 3540 * 10**9
    assert world.restarted().recovery.since_ns == sent_ns + 3540 * 10**9


def test_what_no_look_has_covered_is_asked_for_though_later_trades_are_known(world):
    world.later(600)
    world.meet()
    looked_ns = world.time.now_ns()
    world.later(600)
    world.fill(world.place(level=1), 1, 100)
    assert world.recovery.since_ns == looked_ns - 60 * SECOND
    missed = world.trade("someone-1", 7, 100, exch_ns=looked_ns + SECOND)
    assert world.meet(trades=[missed]).trades == 1


def test_what_looks_have_covered_is_not_asked_for_as_long_as_an_order_stands_or_nothing_trades(world):
    order = world.place(kind=d.STOP, price=6_100_000)
    world.report("NEW", order)
    for _ in range(30):
        world.later(24 * 3600)
        world.meet(open_orders=[world.listed(order, stop=True)])
    looked_ns = world.time.now_ns()
    assert world.recovery.since_ns == looked_ns - 660 * SECOND
    world.report("TIMEOUT", order)  # by its trades it may be found, or be absent: all of them
    assert world.recovery.since_ns == order.sent_ns - 60 * SECOND
    world.report("STATUS", order, status="CANCELED")
    assert world.recovery.since_ns == looked_ns - 660 * SECOND
    assert world.restarted().recovery.since_ns == START_NS - 60 * SECOND  # no look is on record


def test_a_fill_while_the_daemon_was_down_is_found_though_the_journal_lost_its_tail(world):
    """Long nothing trades, then the power is cut with a trade's record, and the next order's, on its way."""
    standing, other = world.place(level=1), world.place(level=2, price=5_999_000)
    for order, number in ((standing, "1"), (other, "2")):
        world.report("NEW", order, venue_order_id=number)
    asyncio.run(world.journal.sync_now())
    for _ in range(10):
        world.later(24 * 3600)
        world.meet(open_orders=[world.listed(standing), world.listed(other)])
    asyncio.run(world.journal.sync_now())
    before = world.fill(other, 4, 100, exch_ns=world.time.now_ns())
    lost = world.place(level=3)
    world.report("NEW", lost, venue_order_id="3")
    of_lost = world.fill(lost, 5, 60, exch_ns=world.time.now_ns())
    world.disk.power_cut()
    world.later(24 * 3600)
    down = world.trade(standing.client_order_id, 6, 100, exch_ns=world.time.now_ns())
    world.later(24 * 3600)
    again = world.restarted()
    assert lost.client_order_id not in again.orders.life.open
    trades = [one for one in (before, of_lost, down) if one.exch_ns >= again.recovery.since_ns]
    found = again.meet(
        {"USDT": "99844.02", "BTC": "10.0026"}, open_orders=[world.listed(lost, cum_lots=60)], trades=trades
    )
    assert found.trades == 3
    assert again.position(d.P_QTY) == pytest.approx(0.0026)
    found = again.meet(open_orders=[world.listed(lost, cum_lots=60)], trades=trades)
    assert (found.trades, found.fatal) == (0, [])
    assert again.position(d.P_QTY) == pytest.approx(0.0026)


def old_trade(world, trade_id=7):
    """Return a trade of somebody else's, from the minute before the first start."""
    return ExecutionReport(
        kind="TRADE",
        client_order_id="x",
        instrument=0,
        wire_ns=world.time.now_ns() - SECOND,
        exch_ns=world.time.now_ns() - SECOND,
        side=d.BUY,
        price_ticks=6_000_000,
        qty_lots=100,
        last_ticks=6_000_000,
        last_lots=100,
        trade_id=trade_id,
    )


def test_trades_before_the_first_start_are_no_news_to_the_second(new_world):
    world = new_world(begin=False)
    world.recovery.begin("0", "", BOOT)
    old = old_trade(world)
    assert world.meet({"USDT": "100000", "BTC": "10"}, trades=[old]).trades == 0
    before = state_of(world)
    again = world.restarted()
    assert again.meet(trades=[old]).trades == 0
    assert state_of(again) == before


def test_a_run_that_ended_before_it_met_the_venue_was_none(new_world):
    world = new_world(begin=False)
    world.recovery.begin("0", "", BOOT)
    again = world.restarted()
    found = again.meet({"USDT": "100000", "BTC": "10"}, trades=[old_trade(world)])
    assert (found.trades, found.notes, found.fatal) == (0, [], [])
    assert again.portfolio.purse("BTC").total == 10 * UNIT


def test_the_kill_switch_stays_thrown_over_restarts_until_somebody_resumes(world):
    world.orders.halt("cli", "enough")
    again = world.restarted().restarted()
    assert again.risk.latch.reason == "enough"
    assert again.check(level=9, slot=9).reason == "halted"
    again.orders.resume("cli")
    assert isinstance(again.restarted().check(), Approved)


def test_a_flatten_on_record_outlives_a_run_that_was_halted_already(world):
    world.orders.halt("risk", "the day lost too much", world.time.now_ns())
    command = Command(verb="flatten", source="http", reason="")
    world.orders.record(pack(CommandTaken(world.time.now_ns(), command)))
    latch = world.restarted().risk.latch
    assert (latch.flatten, latch.source, latch.reason) == (True, "risk", "the day lost too much")


@pytest.mark.parametrize(("verb", "flatten"), [("halt", False), ("flatten", True), ("stop", None)])
def test_a_command_that_was_recorded_and_no_more_throws_the_switch_after_a_restart(world, verb, flatten):
    world.orders.record(pack(CommandTaken(1, Command(verb=verb, source="http", reason="why"))))
    latch = world.restarted().risk.latch
    assert (latch and latch.flatten) is flatten
    assert latch is None or (latch.source, latch.reason) == ("http", "why")


def test_day_and_drawdown_go_on_after_a_restart(world):
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.orders.save_baseline(world.time.now_ns())
    again = world.restarted()
    again.portfolio.mark(0, 59_000.0)
    again.risk.watch(again.portfolio, again.time.now_ns())
    assert (again.account(d.A_DAY_PNL), again.account(d.A_DRAWDOWN)) == (-10_000.0, 10_000.0)


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


def told(world):
    """Return what each strategy holds and has open, by name and symbol, but for nothing at all."""
    found = {}
    for desk in world.orders.desks:
        for row, index in enumerate(desk.instruments):
            held = world.portfolio.holdings[desk.index, row]
            live = [
                one for one in world.orders.life.open.values() if (one.strategy, one.row) == (desk.index, row)
            ]
            assert all(one.instrument == index and desk.orders[row][one.slot] is one for one in live)
            if held.qty or live:
                symbol = world.instruments[index].symbol
                found[desk.name, symbol, desk.detached] = held.qty, held.fees, len(live)
    return found


@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize(
    ("strategies", "detached"),
    [
        ({"maker": (0,)}, {"ETH/BTC"}),
        ({"maker": (0, 1)}, set()),
        ({"maker": (1, 0)}, set()),
        ({"other": (0,), "maker": (1, 0)}, set()),
        ({"maker": (1,)}, {"BTC/USDT"}),
        ({"other": (0, 1)}, {"BTC/USDT", "ETH/BTC"}),
    ],
)
@pytest.mark.parametrize("rows", [(0, 1), (1, 0)])
def test_a_strategy_keeps_what_it_has_of_each_symbol_that_it_still_trades(
    new_world, pair, strategies, detached, rows, restarts
):
    world = new_world(pair, {"maker": rows}, balances={"USDT": "100000", "BTC": "10", "BNB": "1"})
    btc = rows.index(0)
    bought = world.place(row=btc, level=1, qty=1000)
    world.report("NEW", bought)
    world.fill(bought, 1, 400, commission=Decimal("0.001"), commission_asset="BNB")
    world.place(row=1 - btc, level=2, price=5000, qty=10)
    for _ in range(restarts):
        world = world.restarted(strategies=strategies)
    has = {"BTC/USDT": (4 * 10**15, 0, 1), "ETH/BTC": (0, 0, 1)}
    assert told(world) == {("maker", symbol, symbol in detached): figures for symbol, figures in has.items()}
    ((desk, row, _),) = world.portfolio.unvalued
    assert world.orders.desks[desk].instruments[row] == 0
    assert len(left_behind(world.orders)) == len(detached)


def test_strategies_of_one_name_that_become_one_keep_all_that_they_had(new_world, pair):
    world = new_world(pair, {"maker": (0,), "other": (1,)})
    for desk in world.desks:
        desk.name = "maker"
    world.recovery.begin("0", "", BOOT)
    world.place(strategy=0)
    world.place(strategy=1, price=5000, qty=10)
    again = world.restarted(strategies={"maker": (1, 0)})
    assert told(again) == {("maker", "BTC/USDT", False): (0, 0, 1), ("maker", "ETH/BTC", False): (0, 0, 1)}


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


def reject_all(world):
    for _ in range(50):
        world.report("REJECTED", world.place(level=1), reason="no money")


def overfill(world):
    order = world.place(level=1, qty=10)
    world.report("NEW", order)
    world.fill(order, 1, 15)


def contradict(world):
    order = world.place(level=1)
    world.report("REJECTED", order)
    world.fill(order, 1, 10)


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("cause", [reject_all, overfill, contradict])
def test_a_halt_that_a_report_caused_is_remembered_and_not_done_again(world, cause, resumed):
    quote = world.place(level=9, price=5_900_000)
    world.report("NEW", quote)
    cause(world)
    canceled = list(world.venue.canceled)
    assert quote.client_order_id in canceled
    if resumed:
        world.orders.resume("cli")
    before = state_of(world)
    again = world.restarted()
    assert state_of(again) == before
    assert again.risk.halted is not resumed
    assert world.venue.canceled == canceled
    assert again.orders.life.open[quote.client_order_id].state is State.UNKNOWN
    again.orders.halt("cli", "live again")
    assert again.risk.halted


def test_rejections_are_counted_anew_after_a_resume(world):
    for _ in range(2):
        reject_all(world)
        assert world.risk.halted
        world.orders.resume("cli")
        world.meet()


def test_the_drawdown_outlives_a_restart_into_prices_that_come_late(world):
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.portfolio.mark(0, 59_995.0)
    world.orders.save_baseline(world.time.now_ns())
    again = world.restarted()
    again.meet()
    again.fill(again.place(price=5_999_500), 1, 100)  # sums everything anew, without a price
    again = again.restarted()  # nor is it lost to one more restart before any price
    again.portfolio.mark(0, 59_995.0)
    assert again.portfolio.worth.drawdown == pytest.approx(50.0)
    assert again.portfolio.worth.day_pnl == pytest.approx(-50.0)


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_money_that_came_while_nobody_knew_the_price_is_no_profit(world, restarts):
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.orders.save_baseline(world.time.now_ns())
    again = world.restarted()
    again.meet({"USDT": "90000", "BTC": "10.5"})
    for _ in range(restarts):
        again = again.restarted()
    again.portfolio.mark(0, 60_000.0)
    assert (again.portfolio.worth.drawdown, again.portfolio.worth.day_pnl) == (0.0, 0.0)
    assert again.account(d.A_EQUITY) == 720_000.0


def test_a_resume_that_measures_anew_without_a_price_does_so_after_a_restart_too(world):
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.orders.save_baseline(world.time.now_ns())
    again = world.restarted()
    again.orders.halt("cli", "enough")
    again.orders.resume("cli", rebase=True)
    last = again.restarted()
    last.portfolio.mark(0, 50_000.0)
    last.risk.watch(last.portfolio, last.time.now_ns())
    assert (last.account(d.A_DAY_PNL), last.account(d.A_DRAWDOWN)) == (0.0, 0.0)


def test_an_order_found_where_no_strategy_trades_is_remembered_by_the_next_start(new_world, pair):
    world = new_world(instruments=pair, strategies={"maker": (0,)})
    world.meet(open_orders=[world.listed("by-hand", instrument=1)])
    later = world.restarted(strategies={"maker": (0,)})
    assert later.orders.life.open["by-hand"].instrument == 1


# --- what a power cut takes from the record -----------------------------------------------------------------
CUT = Boot("after the cut", 10 * SECOND)
SYNCED = '[journal]\nsync = "{}"\n'


def next_run(world, sync="group"):
    """Return the run after this one as it begins."""
    world.recovery.begin("0", SYNCED.format(sync), BOOT)
    return world.restarted(begin=False)


@pytest.mark.parametrize("age_s", [10, 90_000])  # the power was cut; the journal came from another machine
def test_in_another_start_of_a_machine_orders_may_come_to_light_as_long_as_absent_ones(world, age_s):
    after = next_run(world)
    after.later(86_400)  # the last record tells nothing of when the last order left
    assert after.recovery.forgets_ns(Boot("another", age_s * SECOND)) == 60 * SECOND


def test_a_killed_process_forgets_nothing_and_neither_does_a_first_one(world, new_world):
    assert next_run(world).recovery.forgets_ns(BOOT) == 0
    assert new_world().recovery.forgets_ns(CUT) == 0


def test_where_starts_of_the_machine_are_not_told_any_may_have_been_a_power_cut(world):
    world.recovery.begin("0", SYNCED.format("group"), Boot("", 0))
    assert world.restarted(begin=False).recovery.forgets_ns(Boot("", 0)) == 60 * SECOND


def test_what_is_on_the_disk_before_it_leaves_is_not_forgotten(world):
    assert next_run(world, sync="intent").recovery.forgets_ns(CUT) == 0


def test_a_run_that_was_asked_to_end_sent_nothing_after_that(world):
    world.orders.command(Command("stop", "signal"), world.time.now_ns())
    assert world.restarted(begin=False).recovery.forgets_ns(CUT) == 0
    went_on = world.restarted()
    went_on.place()
    assert went_on.restarted(begin=False).recovery.forgets_ns(CUT) == 60 * SECOND


def test_who_is_killed_while_waiting_is_waited_for_by_the_next_and_who_waited_is_not(world):
    waiting = next_run(world)
    waiting.recovery.begin("0", SYNCED.format("group"), CUT)  # 10 s after the start
    later = Boot(CUT.name, 25 * SECOND)
    again = waiting.restarted(begin=False)
    assert again.recovery.forgets_ns(later) == 45 * SECOND
    assert again.recovery.forgets_ns(Boot(CUT.name, 71 * SECOND)) == 0
    again.recovery.begin("0", SYNCED.format("group"), later)
    third = again.restarted(begin=False)
    assert third.recovery.forgets_ns(Boot(CUT.name, 30 * SECOND)) == 40 * SECOND
    third.recovery.begin("0", SYNCED.format("group"), Boot(CUT.name, 71 * SECOND))
    assert third.restarted(begin=False).recovery.forgets_ns(Boot(CUT.name, 72 * SECOND)) == 0


@pytest.mark.parametrize("step_ns", [-HOUR, HOUR])
def test_trades_are_asked_for_from_the_same_moment_after_the_clock_is_set(world, step_ns):
    world.report("NEW", world.place())
    world.later(600)
    world.set_clock(step_ns)
    assert 60 * SECOND <= START_NS + step_ns - world.recovery.since_ns <= 660 * SECOND


def test_a_run_whose_clock_was_fast_leaves_nothing_ahead_of_the_next_one_s(world):
    world.set_clock(HOUR)
    order = world.place(qty=100)
    world.report("NEW", order, venue_order_id="1", exch_ns=START_NS)
    ended = world.place(level=1)
    world.report("NEW", ended)
    world.report("CANCELED", ended)
    world.time.step_ns = 0  # killed, and the machine's clock put right
    later = world.restarted()
    assert later.slot()[d.W_SINCE_NS] <= later.time.now_ns()
    for order in (*later.orders.life.open.values(), *later.orders.life.ended.values()):
        assert max(order.sent_ns, order.changed_ns, order.since_ns, order.asked_ns) <= later.time.now_ns()
    assert later.recovery.since_ns <= later.time.now_ns() - 60 * 10**9
