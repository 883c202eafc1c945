"""What waits to be told over MQTT: bounded, the oldest dropped first, filled on the trading stack.

An audit is appended (0.2 us); everything else about it happens when it is sent. The counters are differences,
so that what drops by itself, at the left end of a full deque, needs no look.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from daemon.orders.audit import Moved, Sent
from daemon.orders.intents import Refused
from kernels.dtypes import PLACE

if TYPE_CHECKING:
    from daemon.faces.mqtt_messages import Entry
    from daemon.orders.audit import Audit


class Outbox:
    """An observer of the orders. `head` is what is being sent: it stays until it is `done`."""

    def __init__(self, size: int) -> None:
        self.told = 0
        self._given_up = 0
        self._appended = 0
        self._taken = 0
        self._seq = 0
        self._queue: deque[Entry] = deque(maxlen=size)
        self._head: Entry | None = None

    def __call__(self, audit: Audit) -> None:
        """Put one audit into the queue; refusals of our own are counted elsewhere, and are too many."""
        if isinstance(audit, (Moved, Sent)):
            if isinstance(audit, Sent) and audit.verb != PLACE:
                return  # the step that it takes is told
            order = audit.order
            self._queue.append((audit, order.venue_order_id, order.qty_lots, order.filled_lots))
        elif isinstance(audit, Refused):
            return
        else:
            self._queue.append(audit)
        self._appended += 1

    @property
    def waiting(self) -> int:
        """How many are not told yet."""
        return len(self._queue) + (self._head is not None)

    @property
    def dropped(self) -> int:
        """How many found no room, or were given up."""
        return self._appended - self._taken - len(self._queue) + self._given_up

    def head(self) -> tuple[int, Entry] | None:
        """Return the oldest with its number, which counts what was dropped too; None: nothing waits."""
        if self._head is None:
            if not self._queue:
                return None
            self._seq = self._appended - len(self._queue) + 1
            self._head = self._queue.popleft()
            self._taken += 1
        return self._seq, self._head

    def done(self, *, taken: bool) -> None:
        """Forget the head: the broker has taken it, or refused it."""
        self._head = None
        self.told += taken

    def give_up(self) -> None:
        """Drop the head: it cannot be told."""
        if self._head is not None:
            self._head = None
            self._given_up += 1
