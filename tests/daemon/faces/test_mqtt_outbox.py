"""What waits for a broker: bounded, in order, the oldest dropped, every number accounted for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.faces.mqtt_outbox import Outbox
from daemon.orders.audit import Alarm, Filled, Moved, Sent
from daemon.orders.intents import Refused
from daemon.orders.order import Order, State
from daemon.orders.state import Event
from kernels.dtypes import AMEND, CANCEL, PLACE, REST


def alarm(number):
    return Alarm("gap", str(number), number)


def order(**more):
    fixed = {"client_order_id": "one-1-1", "seq": 1, "strategy": 0, "instrument": 0, "slot": 0, "row": 0}
    return Order(**fixed, kind=REST, level=0, side=1, price_ticks=5, qty_lots=10, reduces=False, **more)


class Twin:
    """The same by a list, and by counting everything."""

    def __init__(self, size):
        self.size, self.seq, self.dropped, self.told = size, 0, 0, 0
        self.queue, self.head = [], None

    def append(self, audit):
        self.seq += 1
        self.queue.append((self.seq, audit))
        if len(self.queue) > self.size:
            self.queue.pop(0)
            self.dropped += 1

    def look(self):
        if self.head is None and self.queue:
            self.head = self.queue.pop(0)
        return self.head


@given(
    st.lists(st.sampled_from(["append", "append", "append", "look", "done", "refused", "give up"])),
    st.integers(1, 4),
)
def test_it_is_its_slow_twin(steps, size):
    box, twin = Outbox(size), Twin(size)
    for number, step in enumerate(steps):
        if step == "append":
            box(alarm(number))
            twin.append(alarm(number))
        elif step == "look":
            assert box.head() == twin.look()
        elif step == "give up":
            box.give_up()
            twin.dropped += twin.head is not None
            twin.head = None
        elif twin.head is not None:
            box.done(taken=step == "done")
            twin.told += step == "done"
            twin.head = None
        assert (box.waiting, box.dropped, box.told) == (
            len(twin.queue) + (twin.head is not None),
            twin.dropped,
            twin.told,
        )


def test_ten_times_what_it_holds_leaves_the_newest_and_says_how_many_are_gone():
    box = Outbox(100)
    for number in range(1, 1001):
        box(alarm(number))
    assert (box.waiting, box.dropped) == (100, 900)
    assert box.head() == (901, alarm(901))
    assert (box.waiting, box.dropped) == (100, 900)


def test_what_is_being_told_is_not_dropped():
    box = Outbox(2)
    box(alarm(1))
    assert box.head() == (1, alarm(1))
    for number in range(2, 10):
        box(alarm(number))
    assert box.head() == (1, alarm(1))
    box.done(taken=True)
    assert box.head() == (8, alarm(8))
    assert (box.dropped, box.told) == (6, 1)


def test_an_order_is_told_as_it_was_and_not_as_it_has_become():
    box, one = Outbox(10), order()
    box(Sent(PLACE, one, 1))
    box(Moved(one, State.PENDING_NEW, State.WORKING, Event.ACCEPTED, 2))
    one.venue_order_id, one.filled_lots, one.qty_lots = "77", 3, 8
    box(Moved(one, State.WORKING, State.PARTIALLY_FILLED, Event.PART_FILL, 3))
    told = []
    while (head := box.head()) is not None:
        told.append(head[1][1:])
        box.done(taken=True)
    assert told == [("", 10, 0), ("", 10, 0), ("77", 8, 3)]


def test_requests_whose_step_is_told_and_refusals_of_our_own_are_left_out():
    box, one = Outbox(10), order()
    box(Sent(CANCEL, one, 1))
    box(Sent(AMEND, one, 1))
    box(Refused(1, None, [0] * 12, 0, 1))
    assert (box.waiting, box.dropped, box.head()) == (0, 0, None)
    box(Filled(None, None, 1))
    assert box.head() == (1, Filled(None, None, 1))
