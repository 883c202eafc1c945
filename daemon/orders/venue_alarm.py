"""What a venue has a person look at: on record, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.audit import Alarm
from daemon.orders.records import Met, pack

if TYPE_CHECKING:
    from daemon.orders.manager import Orders


def take_alarm(orders: Orders, kind: str, text: str, now_ns: int) -> None:
    """Record an alarm that a venue raises, and tell a person."""
    orders.record(pack(Met(now_ns, [text], [])))
    orders.tell(Alarm(kind, text, now_ns))
