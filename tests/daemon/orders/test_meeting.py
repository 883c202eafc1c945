from __future__ import annotations

import asyncio

import pytest

from daemon.events import OpenOrder, VenueStatus
from daemon.orders import records
from daemon.orders.closing import trim_stops
from daemon.orders.doubts import OrderRules
from daemon.orders.order import State
from daemon.orders.reader import read_history
from kernels import dtypes as d
from tests.daemon.orders.conftest import BOOT, HOUR, SECOND, START_NS, World


def test_open_orders_the_venue_lists_go_on_and_fills_count(world):
    part, amended = world.be_busy()
    again = world.restarted()
    found = again.meet(open_orders=[World.listed(part), World.listed(amended)])
    assert (found.notes, found.fatal, found.missing) == ([], [], 0)
    mine = again.orders.life.open[part.client_order_id]
    assert mine.state is State.PARTIALLY_FILLED
    assert again.risk.gate(0) == 0
    again.fill(mine, 9, 300)
    assert mine.state is State.FILLED


def test_trades_made_while_away_are_applied_once(world):
    part, _ = world.be_busy()
    again = world.restarted()
    missed = World.trade(part.client_order_id, 9, 300, cum_lots=500)
    for _ in range(2):
        again.meet(trades=[World.trade(part.client_order_id, 2, 200), missed])
    assert again.orders.life.ended[part.client_order_id].state is State.FILLED
    once = again.position(d.P_QTY)
    assert once == pytest.approx((1000 + 500 - 300) * 1e-5 - 0.00001)
    final = again.restarted()
    final.orders.apply(missed)
    assert final.position(d.P_QTY) == once


def test_trades_that_came_unheard_are_noted_counted_and_on_record_and_no_alarm(world):
    order = world.place(qty=300)
    world.report("NEW", order)
    asked_ns = world.time.now_ns()
    name = order.client_order_id
    trades = [World.trade(name, number, 100, exch_ns=asked_ns - 1) for number in (4, 5)]
    on_its_way = World.trade(name, 6, 100, exch_ns=asked_ns)
    found = world.meet(balances(world, 300), trades=[*trades, on_its_way], asked_ns=asked_ns)
    (note,) = found.notes
    assert note.startswith("2 trades in BTC/USDT came unheard")
    assert (found.trades, world.recovery.differences, world.alarms()) == (3, 1, [])
    assert [
        one.settled for one in read_history(world.disk, World.folder).records if isinstance(one, records.Met)
    ] == [[note]]
    assert world.meet(balances(world, 300), trades=trades).notes == []


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
    early = World.trade(lost.client_order_id, 4, 40, cum_lots=40)
    found = again.meet(open_orders=[World.listed(lost, cum_lots=40)], trades=[early])
    assert found.adopted == 1
    assert "the journal lost" in found.notes[0]
    assert again.venue.canceled == [lost.client_order_id]
    adopted = again.orders.life.open[lost.client_order_id]
    assert (adopted.state, adopted.leaves_lots) == (State.PENDING_CANCEL, 60)
    again.fill(adopted, 5, 10, cum_lots=50)
    assert again.position(d.P_QTY) == pytest.approx(5e-4)
    assert again.alarms() == ["foreign_order"]
    assert lost.client_order_id in again.restarted().orders.life.open  # adopted for good


@pytest.mark.parametrize("halted", [False, True])
def test_a_stop_whose_record_a_power_cut_took_goes_on_protecting(world, halted):
    world.fill(world.place(qty=1000), 1, 1000)
    asyncio.run(world.journal.sync_now())
    lost = world.place(kind=d.STOP, side=d.SELL, price=5_900_000, qty=1000, level=1, reduces=True)
    world.disk.power_cut()
    again = world.restarted()
    if halted:
        again.orders.halt("cli", "night")
    again.meet(open_orders=[World.listed(lost, stop=True)])
    stop = again.orders.life.open[lost.client_order_id]
    assert (again.venue.canceled, stop.kind, stop.leaves_lots) == ([], d.STOP, 1000)
    assert again.slot(slot=stop.slot)[d.W_STATE] == d.SLOT_WORKING  # its strategy sees it
    assert not trim_stops(again.orders, again.time.now_ns())
    again.fill(again.place(side=d.SELL, kind=d.TARGET, qty=400, price=6_000_000, reduces=True), 2, 400)
    assert trim_stops(again.orders, again.time.now_ns())  # what exceeds the position goes


def test_a_lost_order_that_is_over_already_is_found_by_its_trades(world):
    asyncio.run(world.journal.sync_now())
    lost = world.place(qty=100)
    world.disk.power_cut()
    again = world.restarted()
    trades = [World.trade(lost.client_order_id, 4, 40), World.trade(lost.client_order_id, 5, 60)]
    for _ in range(2):
        again.meet({"USDT": "99940", "BTC": "10.001"}, trades=trades)
        assert again.position(d.P_QTY) == 1e-3
        assert again.orders.life.ended[lost.client_order_id].state is State.FILLED
    assert again.alarms() == ["foreign_order"]
    assert again.restarted().position(d.P_QTY) == 1e-3


def test_the_trades_of_an_order_cancelled_by_hand_under_another_id_are_its_own(world):
    part, _ = world.be_busy()
    world.report("NEW", part, venue_order_id="77")
    again = world.restarted()
    before = again.position(d.P_QTY)
    again.meet(trades=[World.trade("web_1", 9, 100, venue_order_id="77")])
    mine = again.orders.life.open[part.client_order_id]
    assert (mine.filled_lots, again.position(d.P_QTY)) == (300, pytest.approx(before + 1e-3))
    assert "foreign_trade" not in again.alarms()
    assert again.restarted().position(d.P_QTY) == again.position(d.P_QTY)


def test_the_trades_of_an_order_that_is_not_ours_are_not_counted_for_it_again(world):
    early = World.trade("by-hand", 4, 40)
    told = {"USDT": "99976", "BTC": "10.0004"}
    found = world.meet(told, open_orders=[World.listed("by-hand", cum_lots=40)], trades=[early])
    assert found.notes == ["the venue has order by-hand, which is not ours"]
    assert world.orders.life.open["by-hand"].leaves_lots == 60
    assert world.position(d.P_QTY) == 0.0
    assert world.restarted().orders.life.open["by-hand"].leaves_lots == 60


@pytest.mark.parametrize(
    ("policy", "adopted", "canceled"), [("cancel", 1, 1), ("adopt", 1, 0), ("ignore", 0, 0)]
)
def test_orders_that_are_not_ours_follow_the_policy(new_world, policy, adopted, canceled):
    world = new_world(rules=OrderRules(foreign=policy))
    found = world.meet(open_orders=[World.listed("by-hand")])
    assert (found.adopted, len(world.venue.canceled)) == (adopted, canceled)
    assert len(world.orders.life.open) == adopted
    assert world.alarms() == ["foreign_order"] * adopted


def test_an_order_that_is_adopted_is_not_shown_to_the_strategy_which_would_cancel_it(new_world):
    world = new_world(rules=OrderRules(foreign="adopt"))
    world.meet(open_orders=[World.listed("by-hand")])
    assert world.slot()[d.W_STATE] == d.SLOT_EMPTY
    again = world.restarted(rules=OrderRules(foreign="adopt"))
    assert again.slot()[d.W_STATE] == d.SLOT_EMPTY
    again.fill(again.orders.life.open["by-hand"], 7, 100)
    assert again.position(d.P_QTY) == 1e-3


def test_an_order_that_is_adopted_where_no_strategy_trades_stands_as_well(new_world, pair):
    rules = OrderRules(foreign="adopt")
    world = new_world(pair, {"maker": (0,)}, rules=rules)
    theirs = world.listed("by-hand", instrument=1, price_ticks=3000)
    for _ in range(3):
        world.meet(open_orders=[theirs])
        assert world.orders.life.open["by-hand"].state is State.WORKING
        world = world.restarted(rules=rules)


def test_an_order_here_ended_and_there_open_halts_and_says_which(world):
    order = world.place()
    world.report("CANCELED", order)
    listed = [World.listed(order)]
    world.later(60)
    again = world.restarted()
    again.risk.close_all(d.GATE_VENUE_DOWN)  # as at every start
    assert again.meet(open_orders=listed).fatal == []
    assert again.risk.gate(0) == d.GATE_VENUE_DOWN  # until it is settled nothing adds risk
    again.later(20)
    found = again.meet(open_orders=listed)
    assert order.client_order_id in found.fatal[0]
    assert again.risk.halted
    assert again.restarted().risk.halted


@pytest.mark.parametrize("behind_s", [0.001, 19.0])
def test_a_list_of_orders_that_lags_behind_an_end_does_not_halt(world, behind_s):
    order = world.place(side=d.SELL, price=6_100_000)
    world.report("NEW", order)
    world.later(30)
    world.report("CANCELED", order)
    for _ in range(2):  # and a second look at once says the same
        world.later(behind_s / 2)
        found = world.meet(open_orders=[World.listed(order)])
        assert (found.fatal, len(found.unsettled), found.soon) == ([], 1, True)
    world.later(10)
    found = world.meet()
    assert (found.unsettled, found.soon, world.risk.gate(0)) == ([], False, 0)
    world.meet(open_orders=[World.listed(order)])  # it begins anew
    assert not world.risk.halted


def test_how_long_something_is_disputed_does_not_go_by_a_clock_that_is_set(world):
    order = world.place()
    world.report("CANCELED", order)
    world.meet(open_orders=[World.listed(order)])
    world.set_clock(HOUR)
    assert world.meet(open_orders=[World.listed(order)]).fatal == []
    world.set_clock(-HOUR)
    world.later(20)
    assert world.meet(open_orders=[World.listed(order)]).fatal


def test_an_order_that_ended_since_the_snapshot_was_asked_for_is_no_contradiction(world):
    order = world.place()
    asked_ns = world.time.now_ns()
    world.later(1)
    world.report("CANCELED", order)
    found = world.meet(open_orders=[World.listed(order)], asked_ns=asked_ns)
    assert (found.fatal, found.unsettled, found.soon, world.risk.gate(0)) == ([], [], False, 0)


def test_balances_moved_by_hand_are_taken_over_when_nothing_moves(world):
    found = world.meet({"USDT": "5", "BTC": "10"})
    assert found.notes == ["the venue has 5 USDT where our trades make it 100000"]
    assert found.fatal == []
    assert world.account(d.A_FREE_QUOTE) == 5.0
    assert world.alarms() == ["balance"]
    assert world.restarted().account(d.A_FREE_QUOTE) == 5.0


def test_balances_that_may_be_moving_are_taken_over_once_they_were_the_same_for_long(world):
    order = world.place(qty=1)
    world.report("NEW", order)
    told = {"USDT": "5", "BTC": "10"}
    for _ in range(2):
        found = world.meet(told, open_orders=[World.listed(order)])
        assert (found.notes, len(found.unsettled), found.soon) == ([], 1, True)
        assert world.account(d.A_FREE_QUOTE) == 100_000.0 - 0.6
    world.later(20)
    assert len(world.meet(told, open_orders=[World.listed(order)]).notes) == 1
    assert world.account(d.A_FREE_QUOTE) == 5.0 - 0.6


def test_balances_that_lag_behind_a_fill_are_not_taken_over(new_world):
    world = new_world(balances={"USDT": "100000"})
    world.fill(world.place(qty=100_000), 1, 100_000)
    for _ in range(2):
        world.later(0.001)
        found = world.meet({"USDT": "100000"})  # as it was before
        assert (found.fatal, world.alarms(), len(found.unsettled)) == ([], [], 2)
    world.later(60)
    assert world.meet({"USDT": "40000", "BTC": "1"}).notes == []


def test_money_moved_by_hand_is_taken_over_though_trades_come_between_two_looks(world):
    resting = world.place(qty=1, level=1)
    world.report("NEW", resting)
    for trade in range(1, 6):
        world.fill(world.place(kind=d.TARGET, qty=1000, price=6_000_000), trade, 1000)
        world.later(2)
        told = balances(world, 1000 * trade)
        told["USDT"] = str(float(told["USDT"]) - 10_000)  # are gone
        assert world.alarms() == []
        world.meet(told, open_orders=[World.listed(resting)])
        world.later(3)
    assert world.account(d.A_FREE_QUOTE) == 100_000 - 5 * 600 - 10_000 - 0.6
    assert world.alarms() == ["balance"]


def test_money_moved_by_hand_is_taken_over_though_looks_in_between_find_trades_on_their_way(world):
    resting = world.place(qty=1, level=1)
    world.report("NEW", resting)
    for told in ({"USDT": "90000"}, {"USDT": "89400", "BTC": "10.01"}, {"USDT": "90000"}):
        world.meet({"BTC": "10"} | told, open_orders=[World.listed(resting)])
        world.later(10)
    assert world.alarms() == ["balance"]


def test_differences_before_the_balances_agreed_count_no_more(world):
    resting = world.place(qty=1, level=1)
    world.report("NEW", resting)
    for usdt in ("90000", "100000", "90000"):
        world.meet({"USDT": usdt, "BTC": "10"}, open_orders=[World.listed(resting)])
        world.later(4)
    assert world.alarms() == []


def test_two_looks_that_each_find_a_trade_on_its_way_find_nothing(world):
    resting = world.place(qty=1)
    world.report("NEW", resting)
    for told in ({"USDT": "99400", "BTC": "10.01"}, {"USDT": "98800.1", "BTC": "10.02"}):
        world.meet(told, open_orders=[World.listed(resting)])
        world.later(5)
    assert world.alarms() == []


def test_a_position_the_account_does_not_cover_halts(world):
    order = world.place(qty=100_000)
    world.fill(order, 1, 100_000)
    world.later(30)
    found = world.meet({"USDT": "40000", "BTC": "0.5"})
    (text,) = found.fatal
    assert text.startswith("the strategies hold 1 BTC and the account 0.5: bring the difference back")
    assert world.alarms() == ["balance"]  # nobody has any of it locked
    assert world.risk.halted
    assert world.risk.latch.reason == found.fatal[0]


def test_a_resume_has_the_venue_asked_at_once_whether_it_agrees_now(world):
    world.fill(world.place(qty=100_000), 1, 100_000)
    world.later(30)
    short = {"USDT": "40000", "BTC": "0.5"}
    world.orders.doubts.ask_snapshot = lambda: world.meet(short)
    world.meet(short)
    world.orders.resume("cli")
    assert world.risk.halted
    short["BTC"] = "1"
    world.orders.resume("cli")
    assert not world.risk.halted


def test_after_a_resume_nothing_adds_risk_until_the_venue_has_said_what_it_holds(world):
    asked_ns = world.time.now_ns()
    world.orders.halt("cli", "lunch")
    world.later(1)
    world.orders.resume("cli")
    world.meet(asked_ns=asked_ns)  # it was asked before
    assert world.check().reason == "venue_down"
    world.later(1)
    world.meet()
    assert world.risk.gate(0) == 0


def test_everything_that_cannot_be_agreed_on_is_the_reason_and_what_differed_is_on_record(world):
    order = world.place(qty=100_000)
    world.fill(order, 1, 100_000)
    other = world.place()
    world.report("CANCELED", other)
    world.meet(open_orders=[World.listed(other)])
    world.later(30)
    found = world.meet({"USDT": "40000", "BTC": "0.5"}, open_orders=[World.listed(other)])
    assert len(found.fatal) == 2
    assert world.risk.latch.reason == "; ".join(found.fatal)
    told = [one for one in read_history(world.disk, World.folder).records if isinstance(one, records.Met)]
    assert [(one.settled, one.fatal) for one in told] == [(found.notes, found.fatal)]
    assert (world.recovery.meetings, world.recovery.differences) == (3, len(found.notes) + 2)
    assert world.restarted().risk.latch.reason == world.risk.latch.reason


def test_a_meeting_that_finds_nothing_leaves_no_record(world):
    world.meet()
    assert not [one for one in read_history(world.disk, World.folder).records if isinstance(one, records.Met)]


def test_what_happened_before_the_first_start_is_not_accounted_for(new_world):
    world = new_world(begin=False)
    world.recovery.begin("0", "", BOOT)
    old = World.trade("by-hand", 4, 100)
    found = world.meet({"USDT": "10"}, trades=[old])
    assert (found.trades, found.notes) == (0, [])
    world.orders.apply(old)
    assert world.account(d.A_FREE_QUOTE) == 10.0


def test_orders_of_a_strategy_that_is_gone_are_cancelled_but_for_its_stops(new_world):
    world = new_world(strategies={"old": (0,), "kept": (0,)})
    quote = world.place(strategy=0, level=1)
    stop = world.place(strategy=0, level=2, kind=d.STOP, side=d.SELL, price=5_000_000)
    mine = world.place(strategy=1, level=1)
    for order in (quote, stop, mine):
        world.report("NEW", order)
    again = world.restarted(strategies={"kept": (0,)})
    again.meet(open_orders=[World.listed(quote), World.listed(stop), World.listed(mine)])
    assert again.venue.canceled == [quote.client_order_id]


def test_only_a_snapshot_asked_for_after_the_venue_came_up_opens_its_gate(world):
    def status(up):
        world.venue.up = up
        world.orders.venue_status(VenueStatus(up=up, reason="", wire_ns=world.time.now_ns()))

    before_ns = world.time.now_ns()
    world.later(1)
    status(False)
    world.meet(asked_ns=world.time.now_ns())
    assert world.risk.gate(0) == d.GATE_VENUE_DOWN  # it is down still
    world.later(1)
    status(True)
    world.meet(asked_ns=before_ns)
    assert world.risk.gate(0) == d.GATE_VENUE_DOWN
    world.meet(asked_ns=world.time.now_ns())
    assert world.risk.gate(0) == 0


# --- positions in derivatives -------------------------------------------------------------------------------
def holding(new_world, perpetual):
    """A world that bought a tenth of a coin, which both sides agree on."""
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.fill(world.place(kind=d.TARGET, qty=10_000, price=6_000_000), 1, 10_000)
    world.later(1)
    return world


def test_a_position_that_is_the_venues_too_goes_on(new_world, perpetual):
    world = holding(new_world, perpetual)
    assert world.meet(positions={0: 10_000}).fatal == []
    assert not world.risk.halted


@pytest.mark.parametrize(("positions", "theirs"), [({}, "0"), ({0: 9_000}, "0.09"), ({0: -10_000}, "-0.1")])
def test_another_position_at_the_venue_halts_and_says_what_differs(new_world, perpetual, positions, theirs):
    world = holding(new_world, perpetual)
    again = world.restarted()
    again.risk.close_all(d.GATE_VENUE_DOWN)  # as at every start
    assert again.meet(positions=positions).fatal == []
    assert again.risk.gate(0) == d.GATE_VENUE_DOWN
    again.later(20)
    (fault,) = again.meet(positions=positions).fatal
    assert fault.startswith(
        f"the venue holds a position of {theirs} BTC/USDT:USDT where our trades make it 0.1"
    )
    assert again.risk.halted
    assert again.restarted().risk.halted


def test_a_position_of_before_our_time_halts_too(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"}, begin=False)
    world.recovery.begin("0", "", BOOT)
    assert world.meet({"USDT": "10000"}, positions={0: 5}).fatal == []
    world.later(20)
    assert world.meet({"USDT": "10000"}, positions={0: 5}).fatal
    assert world.risk.halted


def test_a_list_of_positions_that_lags_behind_a_fill_does_not_halt(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "10000"})
    world.fill(world.place(kind=d.TARGET, qty=10_000), 1, 10_000)
    for _ in range(2):  # and a second look at once says the same
        world.later(0.001)
        found = world.meet(positions={})
        assert (found.fatal, len(found.unsettled), found.soon) == ([], 1, True)
    world.later(10)
    assert world.meet(positions={0: 10_000}).unsettled == []
    assert not world.risk.halted


def test_a_position_that_moves_is_no_contradiction_until_it_differs_by_the_same_for_long(
    new_world, perpetual
):
    world = holding(new_world, perpetual)
    resting = world.place(qty=10_000)
    world.report("NEW", resting)
    listed = [World.listed(resting)]
    for lots in (9_000, 8_000):
        world.later(20)
        assert world.meet(positions={0: lots}, open_orders=listed).fatal == []
    world.fill(resting, 2, 500)  # trading goes on
    world.later(20)
    listed = [World.listed(resting)]
    assert world.meet(positions={0: 8_500}, open_orders=listed).fatal == []  # 8,000 may be of another trade
    world.later(20)
    assert world.meet(positions={0: 8_500}, open_orders=listed).fatal
    assert world.risk.halted


def test_a_venues_rounding_of_profits_is_no_difference_and_more_is(new_world, perpetual):
    world = holding(new_world, perpetual)
    assert world.meet({"USDT": "10000.00009"}, positions={0: 10_000}).notes == []
    assert len(world.meet({"USDT": "10000.001"}, positions={0: 10_000}).unsettled) == 1


def test_a_stop_of_which_the_journal_lost_the_record_is_taken_in_as_one(world):
    found = world.meet(open_orders=[World.listed("someone-1", stop=True)])
    assert found.adopted == 1
    assert world.orders.life.open["someone-1"].kind == d.STOP


def test_an_order_adopted_where_no_strategy_trades_is_known_after_a_restart_and_in_a_new_segment(
    new_world, pair
):
    world = new_world(pair, {"maker": (0,)})
    world.meet(open_orders=[world.listed("foreign", instrument=1, price_ticks=3000)])
    again = world.restarted(strategies={"maker": (0,)})
    assert again.orders.desks[again.orders.life.open["foreign"].strategy].name == "adopted"
    run, checkpoint = world.journal.checkpoint()
    assert run.strategies == [("maker", ["BTC/USDT"]), ("adopted", ["ETH/BTC"])]
    assert [order.strategy for order in checkpoint.orders] == [1]


def test_what_an_own_order_traded_before_the_first_meeting_is_not_owed(new_world):
    world = new_world(begin=False)
    world.recovery.begin("0", "", BOOT)
    mine = f"test-{world.ids.run - 1}-7"
    listed = OpenOrder(
        client_order_id=mine,
        venue_order_id="17",
        instrument=0,
        side=d.BUY,
        price_ticks=6_000_000,
        qty_lots=1000,
        cum_lots=300,
    )
    world.meet({"USDT": "1000"}, open_orders=[listed], trades=[World.trade(mine, 4, 300)])
    order = world.orders.life.open[mine]
    assert (order.filled_lots, order.state) == (300, State.PENDING_CANCEL)
    world.report("CANCELED", order, cum_lots=300)
    assert order.state is State.CANCELED
    assert not world.orders.life.owed


def unnamed(trade_id, lots, number, **more):
    """A trade of which the venue does not say whose it is."""
    return World.trade("", trade_id, lots, venue_order_id=number, exch_ns=START_NS, **more)


def balances(world, lots):
    """What the account has once it bought so many lots more."""
    return {"USDT": str(100_000 - lots * 6 / 10), "BTC": str(10 + lots / 100_000)}


def test_a_trade_that_comes_before_the_number_of_its_order_waits_for_it(world):
    order = world.place()
    trade = unnamed(4, 40, "17")
    for _ in range(3):  # told again and again
        found = world.meet(balances(world, 40), trades=[trade])
        assert (found.trades, found.notes, world.position(d.P_QTY)) == (0, [], 0.0)
    world.report("NEW", order, venue_order_id="17")
    for _ in range(2):
        world.meet(balances(world, 40), trades=[trade])
        assert (order.filled_lots, world.position(d.P_QTY)) == (40, pytest.approx(4e-4))
    world.fill(order, 4, 40)  # and by the stream
    assert (order.filled_lots, world.alarms()) == (40, [])


def test_a_trade_that_is_none_of_two_orders_is_somebody_else_s_once_both_have_their_numbers(world):
    first, second = world.place(), world.place(level=1)
    trades = [unnamed(4, 40, "17"), unnamed(5, 60, "18"), unnamed(6, 10, "19")]
    world.meet(balances(world, 110), trades=trades)
    world.report("NEW", first, venue_order_id="18")
    found = world.meet(balances(world, 110), trades=trades)
    assert (found.trades, first.filled_lots, world.alarms()) == (1, 60, [])
    world.report("NEW", second, venue_order_id="17")
    found = world.meet(balances(world, 110), trades=trades)
    assert (found.trades, first.filled_lots, second.filled_lots) == (2, 60, 40)
    assert world.alarms() == ["foreign_trade"]
    assert world.audits[-1].text == "order 19, which we never sent, traded 10 lots"
    assert world.position(d.P_QTY) == pytest.approx(1e-3)
    assert world.meet(balances(world, 110), trades=trades).notes == []


def test_a_trade_is_somebody_else_s_once_the_order_it_may_have_been_of_is_gone(world):
    order, other = world.place(), world.place(level=1)
    world.report("NEW", other, venue_order_id="16")
    world.meet(balances(world, 40), trades=[unnamed(4, 40, "17")])
    world.later(300)
    world.fill(other, 9, 100, exch_ns=world.time.now_ns())
    world.report("REJECTED", order)
    assert world.recovery.since_ns == START_NS - 60 * SECOND  # no order is open, and yet it is told again
    world.meet(balances(world, 140), trades=[unnamed(4, 40, "17")])
    assert (world.alarms(), world.position(d.P_QTY)) == (["foreign_trade"], pytest.approx(1e-3))
    assert world.recovery.since_ns == START_NS + 240 * SECOND


@pytest.mark.parametrize(
    ("order", "ours"),
    [
        ({"price": 6_000_000}, True),
        ({"price": 5_999_999}, False),  # a buy that pays no more than that
        ({"side": d.SELL, "price": 6_000_000}, False),
        ({"kind": d.STOP, "price": 5_900_000}, True),  # takes what there is once it triggers
        ({"instrument": "ETH/BTC"}, False),
    ],
)
def test_only_a_trade_that_an_order_could_have_made_waits_for_it(new_world, pair, order, ours):
    world = new_world(pair, {"maker": (0, 1)})
    row = int(order.pop("instrument", "") != "")
    world.place(**{**order, **({"row": 1, "price": 3_000} if row else {})})
    found = world.meet(trades=[unnamed(4, 40, "17")])
    assert (found.trades, world.alarms()) == ((0, []) if ours else (1, ["foreign_trade"]))


def test_a_trade_that_waits_when_the_daemon_is_killed_finds_its_order_after_the_restart(world):
    order = world.place()
    world.meet(balances(world, 40), trades=[unnamed(4, 40, "17")])
    asyncio.run(world.journal.sync_now())
    again = world.restarted()
    assert again.recovery.since_ns <= order.sent_ns - 60 * SECOND
    found = again.meet(balances(world, 40), trades=[unnamed(4, 40, "17")])
    assert (found.trades, again.alarms()) == (0, [])
    mine = again.orders.life.open[order.client_order_id]
    again.report("STATUS", mine, status="NEW", venue_order_id="17", cum_lots=40)
    again.meet(balances(world, 40), trades=[unnamed(4, 40, "17")])
    assert (mine.filled_lots, again.position(d.P_QTY)) == (40, pytest.approx(4e-4))
    assert again.alarms() == []
    last = again.restarted()
    assert last.position(d.P_QTY) == pytest.approx(4e-4)


def test_an_order_that_filled_unheard_while_the_clock_was_fast_is_missed(new_world):
    world = new_world()
    world.set_clock(HOUR)
    order = world.place(qty=100)
    world.report("NEW", order, venue_order_id="1")
    world.set_clock(-HOUR)
    world.later(5)
    world.meet({"USDT": "99940", "BTC": "10.001"}, asked_ns=world.time.now_ns())
    assert order.state is State.UNKNOWN


def test_what_comes_of_a_snapshot_bears_the_time_of_the_meeting(world):
    order = world.place(qty=100)
    world.report("NEW", order, venue_order_id="1")
    snapshot_ns = world.time.now_ns()
    traded = world.trade(order.client_order_id, 7, 40, exch_ns=snapshot_ns)
    world.set_clock(-HOUR)  # after it was read, and before it is taken over
    assert traded.wire_ns != world.time.now_ns()
    world.meet(trades=[traded], open_orders=[world.listed(order, cum_lots=40)], asked_ns=START_NS - HOUR)
    assert order.changed_ns == world.orders.life.trade_told_ns[0] == world.time.now_ns()


@pytest.mark.parametrize("owned", [True, False])
@pytest.mark.parametrize("stop", [True, False])
def test_a_strangers_order_that_is_to_go_is_cancelled_until_it_is_gone(new_world, pair, owned, stop):
    world = new_world(pair, {"maker": (0, 1) if owned else (0,)}, rules=OrderRules(foreign="cancel"))
    more = {"side": d.SELL, "price_ticks": 5000, "qty_lots": 1000}
    listed = World.listed("by-hand", stop=stop, instrument=1, **more)
    world.meet(open_orders=[listed])
    assert world.venue.canceled == ["by-hand"]
    world.report("CANCEL_REJECTED", "by-hand", instrument=1, reason="not sent: the venue is down")
    world.report("STATUS", "by-hand", instrument=1, status="NEW", venue_order_id="1", qty_lots=1000)
    world.later(60)
    world.meet(open_orders=[listed])
    assert world.venue.canceled == ["by-hand"] * 2


def test_what_was_adopted_to_stand_goes_once_the_policy_is_to_cancel(new_world):
    listed = World.listed("by-hand", side=d.SELL, price_ticks=6_100_000)
    world = new_world(rules=OrderRules(foreign="adopt"))
    world.meet(open_orders=[listed])
    assert world.venue.canceled == []
    again = world.restarted(rules=OrderRules(foreign="cancel"))
    again.meet(open_orders=[listed])
    assert again.venue.canceled == ["by-hand"]


def test_a_stop_that_lost_its_record_goes_to_the_strategy_whose_position_it_protects(new_world):
    world = new_world(strategies={"one": (0,), "two": (0,)}, balances={"USDT": "200000"})
    world.fill(world.place(1, qty=100_000), 1, 100_000)
    world.later(60)
    world.orders.halt("command", "a person looks")
    lost = f"{world.ids.prefix}-{world.ids.run}-77"
    world.meet(
        open_orders=[World.listed(lost, stop=True, side=d.SELL, price_ticks=5_000_000, qty_lots=100_000)]
    )
    trim_stops(world.orders, world.time.now_ns())
    assert world.orders.life.open[lost].strategy == 1
    assert (world.venue.canceled, world.venue.amended) == ([], [])
