"""What the order side tells its observers, after the fact: metrics, logs, the terminal and MQTT read these.

Observers are plain callables in a list. They run on the trading stack: they count or put aside, and no
more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from daemon.orders.intents import Refused

if TYPE_CHECKING:
    from daemon.events import ExecutionReport
    from daemon.orders.order import Order, State
    from daemon.orders.state import Event


class Sent(msgspec.Struct, frozen=True, gc=False):
    """Something left for the venue."""

    verb: int  # PLACE, AMEND or CANCEL
    order: Order
    now_ns: int


class Moved(msgspec.Struct, frozen=True, gc=False):
    """An order took a step, possibly back into the same state."""

    order: Order  # as it is now: it goes on changing
    before: State
    after: State
    event: Event
    now_ns: int
    report: ExecutionReport | None = None  # of an end or a doubt: the word that led to it, if any did


class Filled(msgspec.Struct, frozen=True, gc=False):
    """A trade was accounted for, once. `order` is None for a trade of an order this daemon never sent."""

    order: Order | None
    report: ExecutionReport
    now_ns: int


class Alarm(msgspec.Struct, frozen=True):
    """Something a person should look at. `kind` is a bounded label."""

    kind: str  # one of ALARMS
    text: str
    now_ns: int


class Latched(msgspec.Struct, frozen=True):
    """The kill switch was thrown (`halted`) or reset."""

    halted: bool
    source: str
    reason: str
    now_ns: int


#: the kinds an Alarm can have
ALARMS: Final = (
    "account_unseen",  # the venue does not say what it holds, for long
    "contradiction",  # a report no row of the transition table takes
    "feed_back",  # the end of a feed_silent
    "feed_silent",  # of instruments no market data comes, for longer than it may
    "foreign_order",  # the venue lists an order we never sent
    "foreign_trade",
    "journal",  # it cannot be written
    "journal_cut",  # it ended in a torn tail, which the start cut off
    "loss",  # beyond its limit, while the kill switch was thrown already
    "left_behind",  # a strategy that is not configured any more holds something, or has orders open
    "in_doubt",  # an order stays UNKNOWN for minutes
    "lost_trades",  # the venue counts more than the trades we saw
    "overfill",
    "unpriced",  # what the account is worth is unknown, so no limit on losses can act
    "unpriced_fee",
    "void",  # an order was declared absent, or turned up after that
    "ring_overflow",  # ticks came faster than they were taken, and were lost to who came too late
    "tape",  # the record of the session cannot be written: it cannot be verified from there on
    "gap",  # ticks were missed, and a strategy begins anew
    "flatten",  # a position cannot be closed yet
    "settled",  # opposite positions of a derivative, which its exchange nets, have closed each other
    "unprotected",  # a flatten could not close a position for long, and no stop protects it
    "liquidation_near",  # a position's distance from liquidation is below its limit
    "margin_call",  # the venue says that positions are near their liquidation
    "position_closed",  # the venue closed a position by itself: liquidation, deleveraging, settlement
    "dead_man",  # the venue was not told in time that we are alive, and will cancel what rests
    "market_closed",  # the exchange takes no orders in a symbol: a break, a halt, the end of its listing
    "locked",  # orders that are not ours hold back coins that a strategy would sell
    "balance",  # the venue's balance is not what the trades make it
)

#: those that tell that another is over
RELIEFS: Final = frozenset({"feed_back"})

Audit: TypeAlias = Sent | Moved | Filled | Refused | Alarm | Latched
Observer: TypeAlias = Callable[[Audit], None]
