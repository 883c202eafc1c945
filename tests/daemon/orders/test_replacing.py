"""An order in the place of another: two orders like any other, one request, and every answer to it."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.errors import JournalError
from daemon.events import NOT_SENT
from daemon.orders.audit import Sent
from daemon.orders.intents import Refused
from daemon.orders.order import State
from daemon.orders.reader import read_history
from daemon.orders.records import Asked, Placed
from daemon.orders.replacing import only_cancel
from daemon.orders.risk import RiskLimits
from kernels import dtypes as d
from kernels import limits
from tests.daemon.orders.conftest import FOLDER
from tests.daemon.orders.test_retelling import books, retold


def stand(world, **more):
    """Return an order that stands at the venue."""
    order = world.place(**more)
    world.report("NEW", order)
    return order


def test_both_are_recorded_the_cancel_first_before_one_request_leaves(world):
    old = stand(world)
    records = []
    world.venue.replace = lambda *_: records.extend(read_history(world.disk, FOLDER).records[-2:])
    new = world.replace(old)
    assert [type(record) for record in records] == [Asked, Placed]
    assert (records[0].client_order_id, records[0].qty_lots) == (old.client_order_id, 0)
    assert records[1].seq == new.seq
    assert records[1].action[d.X_VERB] == d.PLACE  # which every version of the journal knows


def test_both_stand_in_their_slots_and_are_reserved(world):
    free = world.account(d.A_FREE_QUOTE)
    old = stand(world)
    new = world.replace(old)
    assert world.venue.replaced == [(old.client_order_id, new.client_order_id)]
    assert (world.venue.placed, world.venue.canceled) == ([old.client_order_id], [])
    assert (old.state, new.state) == (State.PENDING_CANCEL, State.PENDING_NEW)
    assert (world.slot(slot=old.slot)[0], world.slot(slot=new.slot)[0]) == (
        d.SLOT_PENDING_CANCEL,
        d.SLOT_PENDING_NEW,
    )
    assert world.account(d.A_FREE_QUOTE) == pytest.approx(free - 60_000 * 0.001 - 59_999 * 0.001)
    assert [(audit.verb, audit.order) for audit in world.audits if isinstance(audit, Sent)][1:] == [
        (d.CANCEL, old),
        (d.PLACE, new),
    ]


@pytest.mark.parametrize("late", [False, True])
def test_done(world, late):
    """The cancel and the acknowledgement may be told in either order."""
    old = stand(world)
    new = world.replace(old)
    for kind, order in (("NEW", new), ("CANCELED", old)) if late else (("CANCELED", old), ("NEW", new)):
        world.report(kind, order)
    assert (old.state, new.state) == (State.CANCELED, State.WORKING)
    assert list(world.orders.life.open) == [new.client_order_id]
    world.later(10)
    assert world.venue.queried == []


def test_filled_before_the_cancel_arrived(world):
    """400, -2022: the old order is asked about, the new one was never tried."""
    old = stand(world)
    new = world.replace(old)
    world.report("CANCEL_REJECTED", old, code=-2011)
    world.report("REJECTED", new, code=-2022, reason=f"{NOT_SENT}: the order before it was not cancelled")
    assert (old.state, new.state) == (State.UNKNOWN, State.REJECTED)
    assert world.venue.queried == [old.client_order_id]
    world.fill(old, 1, 100)
    assert old.state is State.FILLED
    assert world.orders.life.open == {}


def test_half_done(world):
    """409, -2021: neither stands."""
    old = stand(world)
    new = world.replace(old)
    world.report("CANCELED", old)
    world.report("REJECTED", new, code=-2010, reason="Order would immediately match and take.")
    assert (old.state, new.state) == (State.CANCELED, State.REJECTED)
    assert world.orders.life.open == {}
    assert world.account(d.A_FREE_QUOTE) == pytest.approx(100_000)


def test_half_done_again_and_again_throws_the_kill_switch(new_world):
    world = new_world(limits=RiskLimits(orders_per_s_max=1000.0, rejections_max=3))
    first = stand(world, level=9)  # whoever accepts it begins the count anew, so all stand before
    olds = [stand(world, level=level) for level in range(3)]
    for old in olds:
        assert not world.risk.halted
        world.report("REJECTED", world.replace(old), code=-2010, reason="no")
        world.report("CANCELED", old)
    assert world.risk.halted
    assert first.client_order_id in world.venue.canceled


def test_without_an_answer_both_are_asked_about_and_nothing_is_sent_again(world):
    old = stand(world)
    new = world.replace(old)
    world.later(2.1)
    assert (old.state, new.state) == (State.UNKNOWN, State.UNKNOWN)
    assert sorted(world.venue.queried) == sorted([old.client_order_id, new.client_order_id])
    assert len(world.venue.replaced) == 1
    assert world.risk.gate(0) == d.GATE_UNKNOWN_ORDER
    world.report("STATUS", old, status="CANCELED", qty_lots=100)
    world.report("STATUS", new, status="NEW", qty_lots=100)
    assert (old.state, new.state) == (State.CANCELED, State.WORKING)
    assert not world.risk.gate(0)


def test_a_lost_request_leaves_the_old_order_standing_and_the_new_one_void(world):
    old = stand(world)
    new = world.replace(old)
    world.later(2.1)
    world.report("STATUS", old, status="NEW", qty_lots=100)
    assert old.state is State.WORKING
    for _ in range(12):
        world.report("NOT_FOUND", new)
        world.later(10)
        world.meet(open_orders=[world.listed(old)])
    assert new.state is State.VOID


def test_an_order_whose_cancel_was_refused_is_not_replaced_again(world):
    """No loop: what the venue did not take back it may not take back for ever."""
    old = stand(world)
    new = world.replace(old)
    world.report("CANCEL_REJECTED", old, code=-1013)
    world.report("REJECTED", new, code=-1013, reason="Filter failure: PERCENT_PRICE_BY_SIDE")
    world.report("STATUS", old, status="NEW", qty_lots=100)
    assert old.state is State.WORKING
    assert world.replace(old) is old  # only cancelled
    assert (len(world.venue.replaced), world.venue.canceled) == (1, [old.client_order_id])


def test_a_restart_remembers_both_and_that_a_cancel_was_refused(world):
    old, other = stand(world, level=1), stand(world, level=2)
    new = world.replace(old)
    world.report("REJECTED", world.replace(other), code=-2022)
    world.report("CANCEL_REJECTED", other, code=-2011)
    world.report("STATUS", other, status="NEW", qty_lots=100)
    again = world.restarted()
    life = again.orders.life
    assert {name: order.state for name, order in life.open.items()} == dict.fromkeys(
        [old.client_order_id, other.client_order_id, new.client_order_id], State.UNKNOWN
    )
    assert life.open[new.client_order_id].slot == new.slot
    assert life.open[other.client_order_id].cancel_refused
    assert not life.open[old.client_order_id].cancel_refused
    assert again.restarted().orders.life.open[other.client_order_id].cancel_refused  # by a checkpoint
    assert books(retold(world).orders)[0] == books(world.orders)[0]


# --- what may not leave as one ------------------------------------------------------------------------------
def only_cancelled(world, old, **more):
    assert world.replace(old, **more) is old
    assert world.venue.replaced == []
    assert world.venue.canceled == [old.client_order_id]
    return True


def test_what_is_left_of_a_replacement_is_what_the_kernel_leaves_of_it():
    action = [d.REPLACE, 0, 3, d.REST, 1, d.BUY, 6_000_000, 100, 0, 0, 12_000_001, 2]
    row = np.array(action)
    limits._only_cancel(row)
    assert only_cancel(action) == row.tolist()
    assert action[d.X_VERB] == d.REPLACE


def test_behind_a_gate_that_closed_since_it_is_only_cancelled(world):
    old = stand(world)
    world.risk.close(0, d.GATE_LOW_BUDGET)
    assert only_cancelled(world, old)


def test_without_a_budget_for_orders_it_is_only_cancelled(new_world):
    world = new_world(limits=RiskLimits(orders_per_s_max=1.0))
    assert only_cancelled(world, stand(world))


@pytest.mark.parametrize(("limit", "whole"), [(150.0, False), (200.0, True)])
def test_beside_what_another_strategy_has_out_it_must_fit_too(new_world, limit, whole):
    limits = RiskLimits(orders_per_s_max=1000.0, position_notional_max=limit)
    world = new_world(strategies={"a": (0,), "b": (0,)}, limits=limits)
    old = stand(world)
    world.report("NEW", world.place(strategy=1))
    if whole:
        assert world.replace(old) is not old
    else:
        assert only_cancelled(world, old)


def test_against_an_own_order_it_is_only_cancelled(world):
    old = stand(world)
    stand(world, level=1, side=d.SELL, price=6_100_000)
    assert only_cancelled(world, old, price=6_100_000)


def test_while_its_level_has_a_second_order_it_is_only_cancelled(world):
    old = stand(world)
    new = world.replace(old)
    world.report("NEW", new)
    assert world.replace(new) is new
    assert len(world.venue.replaced) == 1


def test_an_order_whose_cancel_flies_already_is_not_replaced(world):
    old = stand(world)
    world.orders.cancel(old, world.time.now_ns())
    assert only_cancelled(world, old)


def test_one_that_ended_since_its_approval_is_refused(world):
    old = stand(world)
    verdict = world.check(verb=d.REPLACE, slot=1, replaces=0)
    world.report("CANCELED", old)
    refused = world.orders.submit(verdict)
    assert isinstance(refused, Refused)
    assert world.venue.replaced == []


@pytest.mark.parametrize("at", [0, 1])
def test_what_cannot_be_recorded_is_not_sent_and_the_old_order_is_cancelled_once(world, at, monkeypatch):
    old = stand(world)
    append, left = world.journal.append, [at]

    def fail(body):
        if not left[0]:
            raise JournalError("the disk is full")
        left[0] -= 1
        append(body)

    monkeypatch.setattr(world.journal, "append", fail)
    refused = world.replace(old)
    assert isinstance(refused, Refused)
    assert refused.code == d.REFUSED_JOURNAL
    assert world.risk.halted
    assert (world.venue.replaced, world.venue.canceled) == ([], [old.client_order_id])
    assert old.state is State.PENDING_CANCEL
