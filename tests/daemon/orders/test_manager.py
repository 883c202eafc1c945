from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from daemon.events import NOT_SENT, Command, VenueStatus
from daemon.orders.audit import Sent
from daemon.orders.intents import SEAL, Approved, Refused
from daemon.orders.order import State
from daemon.orders.risk import RiskLimits
from kernels import dtypes as d
from tests.daemon.orders.conftest import World, btc_usdt


def test_an_order_is_journalled_before_it_is_sent(world):
    sizes = []
    world.venue.place = lambda order: sizes.append(world.journal.records)
    before = world.journal.records
    world.place()
    assert sizes == [before + 1]


def test_a_placed_order_shows_in_its_slot_and_is_reserved(world):
    free = world.account(d.A_FREE_QUOTE)
    world.place(slot=3, level=7, price=6_000_000, qty=100)
    assert world.slot(slot=3) == [
        d.SLOT_PENDING_NEW,
        d.REST,
        7,
        d.BUY,
        6_000_000,
        100,
        float(world.time.now_ns()),
    ]
    assert world.account(d.A_FREE_QUOTE) == pytest.approx(free - 60_000 * 0.001)


def test_a_sell_reserves_the_base(world):
    world.place(side=d.SELL, qty=100_000)
    assert world.position(d.P_FREE_BASE) == 9.0


def test_ids_are_made_of_prefix_run_and_sequence(world):
    first, second = world.place(level=1), world.place(level=2)
    assert first.client_order_id == f"test-{world.ids.run}-1"
    assert second.client_order_id == f"test-{world.ids.run}-2"


def test_only_a_fresh_approval_can_be_submitted(world):
    verdict = world.check()
    world.orders.submit(verdict)
    with pytest.raises(TypeError, match="fresh approval"):
        world.orders.submit(verdict)
    forged = Approved(object(), 10_000, world.desks[0], world.action(), 0, 0)
    with pytest.raises(TypeError, match="fresh approval"):
        world.orders.submit(forged)
    assert forged.seal is not SEAL
    assert len(world.venue.placed) == 1


def test_acknowledged_filled_and_ended(world):
    order = world.place(qty=100)
    world.report("NEW", order, venue_order_id="17")
    assert (order.state, order.venue_order_id) == (State.WORKING, "17")
    world.fill(order, 1, 40)
    assert order.state is State.PARTIALLY_FILLED
    assert world.slot()[d.W_LEAVES_LOTS] == 60
    world.fill(order, 2, 60)
    assert order.state is State.FILLED
    assert world.slot() == [0.0] * d.WORKING_COLUMNS
    assert world.desks[0].orders[0][0] is None
    assert world.orders.life.open == {}
    assert world.position(d.P_QTY) == pytest.approx(0.001)


def test_a_fill_before_the_acknowledgement_is_applied(world):
    order = world.place(qty=10)
    world.fill(order, 1, 10)
    world.report("NEW", order)
    assert order.state is State.FILLED


def test_a_trade_counts_once_however_often_it_is_told(world):
    order = world.place(qty=10)
    report = world.fill(order, 1, 4)
    for _ in range(3):
        world.orders.apply(report)
    assert order.filled_lots == 4
    assert world.position(d.P_QTY) == pytest.approx(4e-5)


def test_a_trade_without_an_id_counts_by_the_venues_sum(world):
    order = world.place(qty=10)
    report = world.fill(order, -1, 4)
    world.orders.apply(report)
    assert order.filled_lots == 4


def test_no_answer_makes_an_order_unknown_and_it_is_asked_about(world):
    order = world.place()
    world.later(1.9)
    assert order.state is State.PENDING_NEW
    world.later(0.2)
    assert order.state is State.UNKNOWN
    assert world.venue.queried == [order.client_order_id]
    assert world.slot()[d.W_STATE] == d.SLOT_UNKNOWN
    assert world.risk.gate(0) == d.GATE_UNKNOWN_ORDER
    assert world.venue.placed == [order.client_order_id]  # never again


def test_an_answer_in_time_stops_the_clock(world):
    order = world.place()
    world.later(1)
    world.report("NEW", order)
    world.later(60)
    assert order.state is State.WORKING
    assert world.venue.queried == []


def test_a_cancel_without_an_answer_is_doubted_too_though_fills_came_between(world):
    order = world.place(qty=10)
    world.report("NEW", order)
    world.orders.cancel(order, world.time.now_ns())
    world.later(1)
    world.fill(order, 1, 5)
    world.later(1.5)
    assert order.state is State.UNKNOWN


def test_cancelling_twice_asks_once_and_an_ended_order_not_at_all(world):
    order = world.place()
    for _ in range(2):
        world.orders.cancel(order, world.time.now_ns())
    world.report("CANCELED", order)
    world.orders.cancel(order, world.time.now_ns())
    assert world.venue.canceled == [order.client_order_id]


def test_a_refused_cancel_leads_to_a_query_and_filled_wins(world):
    order = world.place(qty=10)
    world.report("NEW", order)
    world.orders.cancel(order, world.time.now_ns())
    world.report("CANCEL_REJECTED", order, code=-2011)
    assert order.state is State.UNKNOWN
    world.report("STATUS", order, status="FILLED", qty_lots=10, cum_lots=10)
    assert order.state is State.UNKNOWN  # its trade is still owed
    world.fill(order, 1, 10)
    assert order.state is State.FILLED
    assert world.risk.gate(0) == 0


def test_an_amend_asks_for_what_is_filled_and_what_shall_be_left(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.fill(order, 1, 30)
    verdict = world.check(verb=d.AMEND, qty=20)
    assert world.orders.submit(verdict) is order
    assert world.venue.amended == [(order.client_order_id, 50)]
    assert order.state is State.PENDING_REPLACE
    assert world.slot()[d.W_LEAVES_LOTS] == 70  # the worst case until it is confirmed
    world.report("REPLACED", order, qty_lots=50, cum_lots=30)
    assert (order.state, order.leaves_lots) == (State.PARTIALLY_FILLED, 20)
    assert world.slot()[d.W_LEAVES_LOTS] == 20


def test_an_order_whose_amend_was_refused_is_cancelled_where_it_should_be_lowered(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    for reason, refused in ((f"{NOT_SENT}: budget", False), ("Filter failure: MAX_NUM_ORDER_AMENDS", True)):
        assert world.orders.amend(order, 80, world.time.now_ns())
        world.report("AMEND_REJECTED", order, reason=reason)
        world.report("STATUS", order, status="NEW")
        assert (order.state, order.amend_refused) == (State.WORKING, refused)
    again = world.restarted()
    again.meet(open_orders=[World.listed(order)])
    for each in (world, again):
        standing = each.orders.life.open[order.client_order_id]
        assert each.orders.amend(standing, 80, each.time.now_ns())
        assert standing.state is State.PENDING_CANCEL
    assert len(world.venue.amended) == 2


def test_an_order_that_was_amended_as_often_as_it_may_be_is_cancelled_where_it_should_be_lowered(new_world):
    world = new_world([replace(btc_usdt(), amends_max=2)])
    order = world.place(qty=100)
    world.report("NEW", order)
    for asked, qty in ((80, 80), (60, 60)):
        assert world.orders.amend(order, asked, world.time.now_ns())
        for _ in range(2):  # told by the answer and by the stream
            world.report("REPLACED", order, qty_lots=qty)
        assert (order.state, order.qty_lots) == (State.WORKING, qty)
    again = world.restarted()
    again.meet(open_orders=[World.listed(order)])
    for each in (world, again):
        standing = each.orders.life.open[order.client_order_id]
        assert standing.amends == 2
        assert each.orders.amend(standing, 40, each.time.now_ns())
        assert standing.state is State.PENDING_CANCEL
    assert [qty for _, qty in world.venue.amended] == [80, 60]


def test_an_amend_told_twice_does_not_answer_the_next_one(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.orders.amend(order, 80, world.time.now_ns())
    first = world.report("REPLACED", order, qty_lots=80)
    world.orders.amend(order, 50, world.time.now_ns())
    world.orders.apply(first)
    assert (order.state, order.qty_lots) == (State.PENDING_REPLACE, 80)


@pytest.mark.parametrize("leaves", [0, -5, 100, 101])
def test_an_amend_that_does_not_lower_is_refused(world, leaves):
    order = world.place(qty=100)
    world.report("NEW", order)
    verdict = world.check(verb=d.AMEND, qty=leaves)
    assert isinstance(world.orders.submit(verdict), Refused)
    assert world.venue.amended == []


def test_cancels_of_an_empty_slot_are_refused(world):
    assert world.check(verb=d.CANCEL).reason == "no_slot"


def test_a_full_disk_halts_and_sends_nothing_and_cancels_go_out(world):
    standing = world.place(level=1)
    world.report("NEW", standing)
    verdict = world.check(level=2, slot=1)
    world.disk.bytes_max = 0
    refused = world.orders.submit(verdict)
    assert isinstance(refused, Refused)
    assert refused.reason == "journal"
    assert world.venue.placed == [standing.client_order_id]
    assert world.venue.canceled == [standing.client_order_id]
    assert world.risk.halted
    assert "journal" in world.alarms()
    assert world.desks[0].orders[0][1] is None
    world.report("CANCELED", standing)  # the venue's word is believed, recorded or not
    assert standing.state is State.CANCELED


def test_trading_goes_on_after_room_was_made_and_somebody_resumed(world):
    world.disk.bytes_max = 0
    world.orders.submit(world.check())
    world.disk.bytes_max = None
    world.orders.resume("cli")
    world.meet()
    assert world.place().state is State.PENDING_NEW


def test_neither_halt_nor_flatten_cancels_protective_stops_by_itself(world):
    quote = world.place(level=1)
    stop = world.place(level=2, kind=d.STOP, side=d.SELL, price=5_000_000)
    for order in (quote, stop):
        world.report("NEW", order)
    world.orders.command(Command(verb="halt", source="cli", reason="lunch"), world.time.now_ns())
    assert world.venue.canceled == [quote.client_order_id]
    assert world.risk.latch is not None
    assert world.risk.latch.reason == "lunch"
    world.orders.command(Command(verb="flatten", source="cli"), world.time.now_ns())
    assert world.venue.canceled == [quote.client_order_id]
    assert stop.state is State.WORKING


def test_a_series_of_rejections_throws_the_kill_switch(new_world):
    world = new_world(limits=RiskLimits(orders_per_s_max=1000.0, rejections_max=3))
    for _ in range(3):
        assert not world.risk.halted
        world.report("REJECTED", world.place(), reason="no money")
    assert world.risk.halted
    assert "no money" in world.risk.latch.reason


def test_nothing_is_recorded_and_sent_while_the_venue_is_down_not_even_what_reduces_risk(world):
    world.fill(world.place(qty=100), 1, 100)
    world.venue.up = False
    verdict = world.check(side=d.SELL, qty=100, reduces=True)
    before = len(world.venue.placed)
    refused = world.orders.submit(verdict)
    assert (type(refused), refused.reason) == (Refused, "venue_down")
    assert (len(world.venue.placed), world.orders.life.open) == (before, {})


def test_orders_that_were_not_sent_are_no_rejections_of_the_venue(new_world):
    world = new_world(limits=RiskLimits(orders_per_s_max=1000.0, rejections_max=3))
    for _ in range(9):
        world.report("REJECTED", world.place(), reason=f"{NOT_SENT}: rate limited for 9.0 s more")
    assert not world.risk.halted


def test_a_trade_of_an_order_that_is_not_ours_moves_the_balance_and_no_position(world):
    world.report(
        "TRADE", "by-hand", trade_id=5, side=d.SELL, last_lots=100_000, last_ticks=6_000_000, cum_lots=100_000
    )
    assert world.position(d.P_QTY) == 0.0
    assert world.position(d.P_FREE_BASE) == 9.0
    assert world.account(d.A_FREE_QUOTE) == 160_000.0
    assert world.alarms() == ["foreign_trade"]


def test_an_overfill_is_accounted_for_and_halts(world):
    order = world.place(qty=10)
    world.fill(order, 1, 15)
    assert world.position(d.P_QTY) == pytest.approx(15e-5)
    assert "overfill" in world.alarms()
    assert world.risk.halted


def test_a_contradiction_halts_and_changes_nothing(world):
    order = world.place()
    world.report("REJECTED", order)
    world.fill(order, 1, 10)
    assert order.state is State.REJECTED
    assert world.position(d.P_QTY) == pytest.approx(1e-4)  # the money is the venue's word all the same
    assert "contradiction" in world.alarms()
    assert world.risk.halted


def test_observers_hear_of_what_was_sent(world):
    order = world.place()
    world.report("NEW", order)
    world.orders.cancel(order, world.time.now_ns())
    assert [audit.verb for audit in world.audits if isinstance(audit, Sent)] == [d.PLACE, d.CANCEL]


def test_the_same_orders_give_the_same_digest_and_others_another(new_world):
    def run(qty):
        world = new_world()
        order = world.place(qty=qty)
        world.report("NEW", order)
        world.fill(order, 1, qty)
        return world.journal.digest()

    assert run(10) == run(10)
    assert run(10) != run(11)


def test_after_close_nothing_is_awaited_asked_or_believed(world):
    doubtful, waiting = world.place(level=1), world.place(level=2)
    world.report("TIMEOUT", doubtful)
    queried = list(world.venue.queried)
    world.orders.close()
    asyncio.run(world.journal.close())
    world.later(60)
    world.report("NEW", waiting)
    assert (doubtful.state, waiting.state) == (State.UNKNOWN, State.PENDING_NEW)
    assert world.venue.queried == queried
    world.orders.cancel(waiting, world.time.now_ns())
    world.later(60)
    assert waiting.state is State.PENDING_CANCEL
    assert set(world.alarms()) == {"journal"}
    assert world.time.next_ns is None


def test_two_own_orders_that_trade_with_each_other_are_both_filled(new_world):
    world = new_world(strategies={"one": (0,), "two": (0,)})
    bought = world.place(0, qty=100)
    sold = world.place(1, kind=d.STOP, side=d.SELL, price=5_990_000, qty=100)
    for order in (bought, sold):
        world.report("NEW", order)
        told = world.fill(order, 77, 100, last_ticks=6_000_000)
        world.orders.apply(told)
    assert (bought.state, sold.state) == (State.FILLED, State.FILLED)
    assert (world.position(d.P_QTY, 0), world.position(d.P_QTY, 1)) == (1e-3, -1e-3)
    both = [World.trade(bought.client_order_id, 77, 100), World.trade(sold.client_order_id, 77, 100)]
    assert world.restarted().meet(trades=both).trades == 0


@pytest.mark.parametrize("ask", ["cancel", "amend"])
def test_what_cannot_be_recorded_cancels_once_and_contradicts_nothing(world, ask):
    order = world.place(qty=100)
    world.report("NEW", order)
    world.disk.bytes_max = 0
    if ask == "cancel":
        world.orders.cancel(order, world.time.now_ns())
    else:
        world.orders.amend(order, 50, world.time.now_ns())
    assert (order.state, world.venue.canceled) == (State.PENDING_CANCEL, [order.client_order_id])
    assert world.venue.amended == []
    assert world.risk.latch.source == "journal"
    assert set(world.alarms()) == {"journal"}


# --- what is asked of an order that is there ----------------------------------------------------------------
def submit(world, verb, **more):
    return world.orders.submit(world.check(verb=verb, **more))


def test_an_approved_cancel_or_amend_is_done_to_the_order_in_the_slot(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    assert submit(world, d.AMEND, qty=40) is order
    assert world.venue.amended == [(order.client_order_id, 40)]
    world.report("REPLACED", order, qty_lots=40)
    assert submit(world, d.CANCEL) is order
    assert world.venue.canceled == [order.client_order_id]


def test_a_cancel_whose_order_ended_since_its_approval_is_refused(world):
    order = world.place(qty=100)
    world.report("NEW", order)
    approved = world.check(verb=d.CANCEL)
    world.fill(order, 1, 100)
    assert world.orders.submit(approved).code == d.REFUSED_NO_SLOT
    assert world.venue.canceled == []


@pytest.mark.parametrize("lots", [0, 100, 101])
def test_an_amend_that_lowers_nothing_is_refused(world, lots):
    order = world.place(qty=100)
    world.report("NEW", order)
    assert submit(world, d.AMEND, qty=lots).code == d.REFUSED_QTY
    assert world.venue.amended == []


def test_without_observers_orders_go_their_way(world):
    world.orders.observers.clear()
    order = world.place(qty=100)
    world.report("NEW", order)
    assert world.orders.amend(order, 40, world.time.now_ns())
    world.report("REPLACED", order, qty_lots=40)
    world.orders.cancel(order, world.time.now_ns())
    assert (len(world.venue.placed), len(world.venue.amended), len(world.venue.canceled)) == (1, 1, 1)
    assert not any(isinstance(one, Sent) for one in world.audits)


def test_only_what_adds_nothing_to_an_orders_story_is_known(world):
    knows = world.orders.knows
    order = world.place(qty=100)
    cid = order.client_order_id
    assert not knows("CANCELED", cid, 0, -1)
    assert not knows("NEW", "test-1-99", 0, -1)
    assert not knows("NEW", cid, 0, -1)  # waiting for it
    world.report("NEW", order, venue_order_id="17")
    assert knows("NEW", cid, 0, -1)
    world.fill(order, 7, 40)
    assert knows("TRADE", cid, 40, 7)
    assert not knows("TRADE", cid, 60, 8)
    assert not knows("TRADE", cid, 40, 8)
    assert not knows("TRADE", cid, 40, -1)
    world.report("TIMEOUT", order)
    assert not knows("NEW", cid, 0, -1)  # in doubt every word counts


def test_a_connection_that_comes_up_is_met_and_one_that_goes_shuts_the_gates(world):
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(world.time.now_ns())
    world.orders.venue_status(VenueStatus(up=False, wire_ns=world.time.now_ns(), reason="cut"))
    assert world.risk.gate(0) == d.GATE_VENUE_DOWN
    world.orders.venue_status(VenueStatus(up=True, wire_ns=5, reason=""))
    assert (world.orders.venue_up_ns, len(asked)) == (5, 1)
    assert world.risk.gate(0) == d.GATE_VENUE_DOWN  # until its snapshot was met


def test_stop_cancels_what_rests_and_halts_nothing(world):
    order = world.place()
    world.report("NEW", order)
    world.orders.command(Command("stop", "signal", ""), world.time.now_ns())
    assert world.venue.canceled == [order.client_order_id]
    assert not world.risk.halted


def test_while_the_past_is_told_nothing_halts_and_nothing_is_recorded(world):
    records = world.journal.records
    world.orders.restoring = True
    world.orders.halt("http", "told")
    world.orders.record(b"anything")
    assert (world.risk.halted, world.journal.records) == (False, records)
