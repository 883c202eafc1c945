"""Counting what the order side does, from its audits: the numbers of a Status, kept as plain ints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from daemon.orders.audit import Alarm, Filled, Moved, Sent
from daemon.orders.order import State

if TYPE_CHECKING:
    from daemon.orders.audit import Audit
    from daemon.spans import Spans


class Tally:
    """An observer of the orders. It also hands the venue's first word on an order to the spans."""

    def __init__(self, spans: Spans) -> None:
        self.sent: Counter[int] = Counter()  # by verb
        self.ended: Counter[State] = Counter()  # orders by the terminal state they are in
        self.fills = 0
        self.alarms: Counter[str] = Counter()  # by kind
        self.last_alarm = ""
        self._spans = spans
        self._take: dict[type, Any] = {
            Sent: self._on_sent,
            Moved: self._on_moved,
            Filled: self._on_filled,
            Alarm: self._on_alarm,
        }

    def __call__(self, audit: Audit) -> None:
        """Count one audit."""
        take = self._take.get(type(audit))
        if take is not None:
            take(audit)

    def _on_sent(self, audit: Sent) -> None:
        self.sent[audit.verb] += 1

    def _on_moved(self, audit: Moved) -> None:
        before, after = audit.before, audit.after
        if before is State.PENDING_NEW and after is not State.UNKNOWN:
            self._spans.acknowledged(audit.now_ns - audit.order.sent_ns)
        if before is not after:
            if after.terminal:
                self.ended[after] += 1
            if before.terminal:  # a VOID order turned up
                self.ended[before] -= 1

    def _on_filled(self, _: Filled) -> None:
        self.fills += 1

    def _on_alarm(self, audit: Alarm) -> None:
        self.alarms[audit.kind] += 1
        self.last_alarm = audit.text
