"""What waits to be told over MQTT: bounded, the oldest dropped first, filled on the trading stack.

An audit is appended (0.2 us); everything else about it happens when it is sent. The counters are differences,
so that what drops by itself, at the left end of a full deque, needs no look.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from daemon.orders.audit import Alarm, Filled, Latched, Moved, Sent
from kernels.dtypes import PLACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.faces.mqtt_messages import Entry
    from daemon.orders.audit import Audit


class Outbox:
    """An observer of the orders. What is in `hand` is being told, and is dropped no more."""

    def __init__(self, size: int) -> None:
        self.told = 0
        self.hand: dict[int, Entry] = {}
        self._given_up = 0
        self._appended = 0
        self._taken = 0
        self._queue: deque[Entry] = deque(maxlen=size)

    def __call__(self, audit: Audit) -> None:
        """Put one audit into the queue; refusals of our own are counted elsewhere, and are too many."""
        # by exact type: isinstance asks msgspec's metaclass, which costs 100 ns a class
        if type(audit) is Moved:
            order = audit.order
            self._queue.append((audit, order.venue_order_id, order.qty_lots, order.filled_lots))
        elif type(audit) is Sent:
            if audit.verb != PLACE:
                return  # the step that it takes is told
            order = audit.order
            self._queue.append((audit, order.venue_order_id, order.qty_lots, order.filled_lots))
        elif type(audit) is Filled or type(audit) is Alarm or type(audit) is Latched:
            self._queue.append(audit)
        else:
            return
        self._appended += 1

    @property
    def waiting(self) -> int:
        """How many are not told yet."""
        return len(self._queue) + len(self.hand)

    @property
    def dropped(self) -> int:
        """How many found no room, or were given up."""
        return self._appended - self._taken - len(self._queue) + self._given_up

    def take(self, most: int) -> dict[int, Entry]:
        """Return what is in hand, or else the oldest few, by their numbers, which count what was dropped."""
        if not self.hand:
            queue = self._queue
            first = self._appended - len(queue) + 1
            count = min(most, len(queue))
            self.hand = {first + index: queue.popleft() for index in range(count)}
            self._taken += count
        return self.hand

    def done(self, numbers: Iterable[int], *, taken: bool) -> None:
        """Forget what was in hand: the broker has taken it, or refused it."""
        for number in numbers:
            del self.hand[number]
            self.told += taken

    def give_up(self, numbers: Iterable[int]) -> None:
        """Drop what was in hand: it cannot be told."""
        for number in list(numbers):
            del self.hand[number]
            self._given_up += 1
