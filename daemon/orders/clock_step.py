"""A step of the wall clock, taken by the order side: what waits, waits no longer and no shorter for it.

Timers go by the monotonic clock, but what they look at is stamped by the wall clock, which is set anew by
hand, by NTP, after a machine slept or was restored. So every stamp that is yet to be compared with it is
moved along, in the very call in which the clock takes the step. What is on record stays as it was written.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.orders.manager import Orders


def take_step(orders: Orders, step_ns: int) -> None:
    """Take a step of so much; positive: the clock was set forward."""
    orders.waiting = deque((due + step_ns, order, asked + step_ns) for due, order, asked in orders.waiting)
    orders.venue_up_ns += step_ns
    risk, portfolio = orders.risk, orders.portfolio
    for part in (
        orders.life,
        orders.doubts,
        risk.losses,
        risk.liquidation,
        portfolio.worth,
        orders.venue,
    ):
        part.clock_stepped(step_ns)
