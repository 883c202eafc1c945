"""Everything that enters the engine, as messages that are never changed after they are made.

Market data comes as Tick (trades and quotes), Depth and Snapshot; the venue's word as ExecutionReport and
VenueStatus; people and signals as Command. Times are int64 nanoseconds UTC.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec


class Tick(msgspec.Struct, gc=False, array_like=True):
    """A trade or a quote; a, b, c, d by kind as kernels.dtypes says. Frozen would cost 40 ns more."""

    kind: int
    instrument: int
    wire_ns: int
    exch_ns: int  # 0 where the exchange stamps nothing
    a: float
    b: float
    c: float
    d: float
    id: int


class Depth(msgspec.Struct, gc=False):
    """A depth update with the exchange's sequence; its levels wait in `payload` for a kernel."""

    instrument: int
    wire_ns: int
    exch_ns: int
    first_id: int
    last_id: int
    prev_id: int  # last_id of the one before, or -1 where the exchange does not say
    payload: bytes
    checksum: int = -1  # of the book as it then is; -1: the exchange sends none


class Snapshot(msgspec.Struct, gc=False):
    """A whole book, from REST or a stream."""

    instrument: int
    wire_ns: int
    last_id: int
    payload: bytes
    in_stream: bool = False  # it stands in sequence among its updates
    checksum: int = -1  # of the book; -1: the exchange sends none


# --- execution reports: any order message of the venue -----------------------------------------------------
ReportKind = Literal[
    "NEW",  # the venue has it
    "REJECTED",
    "TRADE",  # a fill, whole or partial
    "CANCELED",
    "REPLACED",  # amended; leaves in `qty_lots`
    "EXPIRED",
    "CANCEL_REJECTED",  # the cancel or amend did not happen; the order is as it was, or unknown to the venue
    "AMEND_REJECTED",
    "TIMEOUT",  # ours: sent, and no answer within the time allowed; says nothing about the venue
    "STATUS",  # the answer to a query: `status` holds the venue's own word
    "NOT_FOUND",  # the answer to a query: the venue does not know it (yet)
]


#: begins the reason of a REJECTED whose bytes certainly did not leave
NOT_SENT: Final = "not sent"


class ExecutionReport(msgspec.Struct, frozen=True):
    """One order message, whatever the venue calls it.

    A TRADE of a snapshot without `client_order_id` is of an order that the venue does not say whose it is.
    Fields are named when one is made, but for trades, where names would cost 0.5 us.
    """

    kind: ReportKind
    client_order_id: str
    instrument: int
    wire_ns: int
    exch_ns: int = 0
    venue_order_id: str = ""
    side: int = 0
    price_ticks: int = 0
    qty_lots: int = 0  # the order's quantity, as the venue now has it
    cum_lots: int = 0  # filled so far, as the venue says
    trade_id: int = -1  # of a TRADE: unique per instrument at the venue
    last_ticks: int = 0
    last_lots: int = 0
    is_maker: bool = False
    commission: Decimal = Decimal(0)
    commission_asset: str = ""
    status: str = ""
    code: int = 0  # the venue's error code
    reason: str = ""  # of a TRADE: what the venue did by an order of its own, such as "liquidated"

    @property
    def unsent(self) -> bool:
        """Whether it is no word of the venue's: the request certainly did not leave."""
        return self.reason.startswith(NOT_SENT)


class VenueStatus(msgspec.Struct, frozen=True):
    """The venue's connection came up or went down."""

    up: bool
    reason: str
    wire_ns: int


class Balance(msgspec.Struct, frozen=True):
    """What the account has of one asset."""

    free: Decimal
    locked: Decimal


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order the venue says is open."""

    client_order_id: str
    venue_order_id: str
    instrument: int
    side: int
    price_ticks: int
    qty_lots: int
    cum_lots: int
    stop: bool = False  # it waits for its trigger


class Funding(msgspec.Struct, frozen=True):
    """What open derivatives cost (negative) or brought by themselves."""

    wire_ns: int
    asset: str
    amount: Decimal
    exch_ns: int = 0
    id: int = 0  # the venue's number; 0: the stream told it, which has none
    instrument: int = -1  # of the daemon's; -1: the stream names none, or it is not ours


class MarginTerms(msgspec.Struct, frozen=True):
    """What the venue tells of margin in derivatives.

    `maintenance_rate`: of the value of positions as large as ours may become, the highest of all instruments.
    `liquidations`: at which price it liquidates a position of how many signed lots, by instrument.
    `entries`: at which average price a position was entered, by instrument.
    """

    maintenance_rate: float
    liquidations: dict[int, tuple[float, int]] = {}
    entries: dict[int, Decimal] = {}


class VenueSnapshot(msgspec.Struct, frozen=True):
    """The venue's word on the account, from which start-up recovers; `trades` are TRADE reports.

    `notes` say what the venue told and nobody could read, and so is not listed. `positions` are the account's
    in derivatives, in signed lots by instrument; what is not named is flat. None: the venue has none. Without
    `margin` what it told before still holds. `funding` is listed at least from when we last heard of it.
    `venue_ns` is the venue's own clock at `wire_ns`, which stamps fundings; 0 where that is not known.
    """

    balances: dict[str, Balance]
    open_orders: list[OpenOrder]
    trades: list[ExecutionReport]
    wire_ns: int
    notes: list[str] = []
    positions: dict[int, int] | None = None
    margin: MarginTerms | None = None
    funding: list[Funding] = []
    venue_ns: int = 0


Verb = Literal["halt", "resume", "flatten", "stop"]
VERBS: Final[tuple[Verb, ...]] = ("halt", "resume", "flatten", "stop")


class Command(msgspec.Struct, frozen=True):
    """What a person, a signal or a face asks for; journalled like any event."""

    verb: Verb
    source: str  # "http", "signal", "cli", "risk"
    reason: str = ""
    rebase: bool = False  # of a resume: measure the day's loss and the fall anew
