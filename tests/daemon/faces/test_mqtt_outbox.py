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
        self.queue, self.hand = [], []

    def append(self, audit):
        self.seq += 1
        self.queue.append((self.seq, audit))
        if len(self.queue) > self.size:
            self.queue.pop(0)
            self.dropped += 1

    def take(self, most):
        if not self.hand:
            self.hand, self.queue = self.queue[:most], self.queue[most:]
        return self.hand

    def forget(self, count):
        gone, self.hand = self.hand[:count], self.hand[count:]
        return [number for number, _ in gone]


STEPS = ["append", "append", "append", "take", "done", "refused", "give up"]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 3))), st.integers(1, 4))
def test_it_is_its_slow_twin(steps, size):
    box, twin = Outbox(size), Twin(size)
    for number, (step, count) in enumerate(steps):
        if step == "append":
            box(alarm(number))
            twin.append(alarm(number))
        elif step == "take":
            assert list(box.take(count).items()) == twin.take(count)
        elif step == "give up":
            gone = twin.forget(count)
            box.give_up(gone)
            twin.dropped += len(gone)
        else:
            gone = twin.forget(count)
            box.done(gone, taken=step == "done")
            twin.told += len(gone) if step == "done" else 0
        waiting = len(twin.queue) + len(twin.hand)
        assert (box.waiting, box.dropped, box.told) == (waiting, twin.dropped, twin.told)


def test_ten_times_what_it_holds_leaves_the_newest_and_says_how_many_are_gone():
    box = Outbox(100)
    for number in range(1, 1001):
        box(alarm(number))
    assert (box.waiting, box.dropped) == (100, 900)
    assert box.take(2) == {901: alarm(901), 902: alarm(902)}
    assert (box.waiting, box.dropped) == (100, 900)


def test_what_is_being_told_is_not_dropped():
    box = Outbox(2)
    box(alarm(1))
    assert box.take(9) == {1: alarm(1)}
    for number in range(2, 10):
        box(alarm(number))
    assert box.take(9) == {1: alarm(1)}
    box.done([1], taken=True)
    assert box.take(9) == {8: alarm(8), 9: alarm(9)}
    assert (box.dropped, box.told) == (6, 1)


def test_an_order_is_told_as_it_was_and_not_as_it_has_become():
    box, one = Outbox(10), order()
    box(Sent(PLACE, one, 1))
    box(Moved(one, State.PENDING_NEW, State.WORKING, Event.ACCEPTED, 2))
    one.venue_order_id, one.filled_lots, one.qty_lots = "77", 3, 8
    box(Moved(one, State.WORKING, State.PARTIALLY_FILLED, Event.PART_FILL, 3))
    assert [entry[1:] for entry in box.take(9).values()] == [("", 10, 0), ("", 10, 0), ("77", 8, 3)]


def test_requests_whose_step_is_told_and_refusals_of_our_own_are_left_out():
    box, one = Outbox(10), order()
    box(Sent(CANCEL, one, 1))
    box(Sent(AMEND, one, 1))
    box(Refused(1, None, [0] * 12, 0, 1))
    assert (box.waiting, box.dropped, box.take(9)) == (0, 0, {})
    box(Filled(None, None, 1))
    assert box.take(9) == {1: Filled(None, None, 1)}
