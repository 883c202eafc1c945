"""One order, as the daemon holds it. Only daemon/orders/manager.py changes it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec


class State(IntEnum):
    """Where an order is in its life; daemon/orders/state.py says which step may follow which."""

    PENDING_NEW = 1  # sent, no word yet
    WORKING = 2
    PARTIALLY_FILLED = 3
    PENDING_REPLACE = 4
    PENDING_CANCEL = 5
    UNKNOWN = 6  # sent, and no answer in time: anything may have happened
    FILLED = 7
    CANCELED = 8
    REJECTED = 9
    EXPIRED = 10
    VOID = 11  # absent at the venue by the absence rule; a late fill is still applied, and alarms

    @property
    def terminal(self) -> bool:
        """Whether nothing more is expected of it."""
        return self >= State.FILLED


#: the level id of an order found at the venue, which no strategy asked for
ADOPTED_LEVEL: Final = -1
#: simply open: the venue has it, and nothing else was asked of it
STANDING: Final = frozenset({State.WORKING, State.PARTIALLY_FILLED})
#: the venue owes an answer
ANSWER_DUE: Final = frozenset({State.PENDING_NEW, State.PENDING_REPLACE, State.PENDING_CANCEL})


class Order(msgspec.Struct, kw_only=True, gc=False):
    """An order, whole. Quantities in lots, prices in ticks, times in ns UTC."""

    client_order_id: str
    seq: int  # its number in this run
    strategy: int
    instrument: int
    slot: int  # its row in the strategy's working array
    row: int  # the instrument's row in the strategy's memory
    kind: int  # TARGET (limit IOC), REST (post-only), STOP (held at the venue)
    level: int
    side: int
    price_ticks: int  # worst price, resting price, or trigger
    qty_lots: int
    reduces: bool
    wire_ns: int = 0  # receive time of the tick that led to it
    sent_ns: int = 0
    changed_ns: int = 0
    since_ns: int = 0  # placed or last amended: what the slot shows
    state: State = State.PENDING_NEW
    venue_order_id: str = ""
    filled_lots: int = 0
    asked_ns: int = 0  # when something was last asked of the venue: an answer is due
    asked_lots: int = 0  # the quantity an amend under way asked for
    cancel_refused: bool = False  # by the venue, once: no replacement of it is tried again
    amend_refused: bool = False  # likewise: it is cancelled where it should be lowered
    amends: int = 0  # that lowered it
    decided_half_ticks: int = 0  # the mid that was decided on, of a STOP its trigger; 0: not known
    reserved: int = 0  # what its worst case holds back, in units of daemon/orders/money.py

    def shift(self, step_ns: int) -> None:
        """Move what is compared with the clock along with a step of it."""
        self.sent_ns += step_ns
        self.changed_ns += step_ns
        self.since_ns += step_ns
        self.asked_ns += step_ns

    def cap(self, now_ns: int) -> None:
        """Let nothing that is compared with the clock lie ahead of it: an earlier run's clock was fast."""
        self.sent_ns = min(self.sent_ns, now_ns)
        self.changed_ns = min(self.changed_ns, now_ns)
        self.since_ns = min(self.since_ns, now_ns)
        self.asked_ns = min(self.asked_ns, now_ns)

    @property
    def leaves_lots(self) -> int:
        """What is still to be traded."""
        return self.qty_lots - self.filled_lots
