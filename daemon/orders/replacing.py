"""One order in the place of another by one request: what may leave so, and what is recorded before it does.

Both are orders like any other: two records, two slots, two reserves, and an end for each. What may not stand
beside the old order is placed later; then the old one is only cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.order import STANDING
from daemon.orders.records import CANCEL as CANCEL_RECORD
from daemon.orders.records import pack_ask
from kernels.dtypes import (
    CANCEL,
    PLACE,
    REFUSED_JOURNAL,
    X_DECIDED_HALF_TICKS,
    X_INSTRUMENT,
    X_QTY_LOTS,
    X_REDUCES,
    X_REPLACES,
    X_SLOT,
    X_VERB,
)

if TYPE_CHECKING:
    from daemon.orders.desk import Desk
    from daemon.orders.intents import Approved, Refused
    from daemon.orders.manager import Orders
    from daemon.orders.order import Order


def replaceable(desk: Desk, action: list[int]) -> Order | None:
    """Return the order that a REPLACE cancels, None where it may not be replaced.

    One whose cancel was refused is not tried again: nothing says that it would ever be taken.
    """
    row = action[X_INSTRUMENT]
    old = desk.orders[row][action[X_REPLACES]]
    if old is None or old.cancel_refused or desk.gate[row] or desk.orders[row][action[X_SLOT]] is not None:
        return None
    return old


def only_cancel(action: list[int]) -> list[int]:
    """Return of a REPLACE the cancel, as kernels/limits.py leaves it."""
    cancel = list(action)
    cancel[X_VERB], cancel[X_SLOT] = CANCEL, action[X_REPLACES]
    cancel[X_QTY_LOTS], cancel[X_REDUCES], cancel[X_DECIDED_HALF_TICKS] = 0, 1, 0
    return cancel


def begin(orders: Orders, approved: Approved, old: Order) -> Order | Refused | None:
    """Record the cancel and leave the new order to be placed; return what came of it where it cannot be.

    The cancel comes first: were it the journal's last record, nothing has left.
    """
    now_ns, before = approved.now_ns, old.state
    if before not in STANDING or not orders.venue.up:
        orders.cancel(old, now_ns)
        return old
    approved.action[X_VERB] = PLACE  # which every version of the journal knows
    orders.record(pack_ask(CANCEL_RECORD, now_ns, old.client_order_id, 0))
    if old.state is not before:  # what could not be recorded has thrown the kill switch
        return orders.risk.refuse(REFUSED_JOURNAL, approved.desk, approved.action, now_ns)
    return None
