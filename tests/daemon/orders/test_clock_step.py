"""Any step of the wall clock: what the parts make of it is in their own tests, here they are all reached."""

from __future__ import annotations

import pytest

from daemon.orders.order import State
from kernels import dtypes as d
from tests.daemon.orders.conftest import HOUR, START_NS


@pytest.mark.parametrize("step_ns", [-HOUR, HOUR])
def test_a_clock_that_is_set_makes_no_answer_more_or_less_overdue(world, step_ns):
    first = world.place(level=1)  # its answer is lost
    world.later(1)
    world.set_clock(step_ns)
    second = world.place(level=2)  # and this one's
    world.later(0.9)
    assert first.state is State.PENDING_NEW
    world.later(0.2)
    assert (first.state, second.state) == (State.UNKNOWN, State.PENDING_NEW)
    world.later(0.95)
    assert second.state is State.UNKNOWN


def test_a_cancel_that_is_lost_as_the_clock_is_set_back_is_asked_about(world):
    order = world.place()
    world.report("NEW", order)
    world.orders.halt("http", "stop", world.time.now_ns())
    world.set_clock(-HOUR)
    world.later(3)
    assert order.state is State.UNKNOWN
    assert order.client_order_id in world.venue.queried


def test_a_clock_that_is_set_moves_what_a_slot_shows_and_tells_the_venue(world):
    order = world.place()
    world.report("NEW", order)
    world.later(1)
    world.set_clock(-HOUR)
    assert world.slot()[d.W_SINCE_NS] == order.since_ns == START_NS - HOUR
    assert world.venue.stepped_ns == -HOUR
