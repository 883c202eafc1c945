"""The forms of Binance's messages on orders: only the fields that are read, by the exchange's names."""

from __future__ import annotations

from decimal import Decimal  # noqa: TC003 - msgspec reads the annotations at run time
from typing import Annotated, Final

import msgspec
from msgspec import Meta

#: in ms or us: as nanoseconds it fits into an int64, which is what the journal holds
Time = Annotated[int, Meta(ge=-1, lt=9_000_000_000_000_000)]
TradeId = Annotated[int, Meta(ge=-1, lt=1 << 62)]
#: error codes after which nobody knows whether a request was executed: it failed within the exchange
UNKNOWN_OUTCOMES: Final = frozenset({-1000, -1001, -1006, -1007})
#: order types that stand nowhere until their trigger is reached
_CONDITIONAL: Final = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"})


class RateLimit(msgspec.Struct, gc=False):
    """How much of one limit is used."""

    rateLimitType: str  # noqa: N815 - theirs
    interval: str
    intervalNum: int  # noqa: N815
    limit: int
    count: int


class ReplacedRow(msgspec.Struct, gc=False):
    """What became of either half of a cancelReplace, with an order or an error for each that was tried."""

    cancelResult: str = ""  # noqa: N815
    newOrderResult: str = ""  # noqa: N815
    cancelResponse: msgspec.Raw = msgspec.Raw()  # noqa: N815
    newOrderResponse: msgspec.Raw = msgspec.Raw()  # noqa: N815


class ErrorData(ReplacedRow, gc=False):
    """When a limited request may be repeated, in ms; or what became of a cancelReplace's halves."""

    retryAfter: int = 0  # noqa: N815


class ErrorBody(msgspec.Struct, gc=False):
    """Why a request failed."""

    code: int
    msg: str = ""
    data: ErrorData | None = None


class ExecutionEvent(msgspec.Struct, gc=False, tag_field="e", tag="executionReport"):
    """An order changed; field names are the exchange's."""

    s: str
    c: str
    S: str
    o: str
    q: str
    p: str
    P: str
    C: str
    x: str
    X: str
    r: str
    i: int
    l: str  # noqa: E741
    z: str
    L: str
    n: str | None
    N: str | None
    T: Time
    t: TradeId
    m: bool
    eR: str = ""  # noqa: N815


class PositionEvent(msgspec.Struct, gc=False, tag_field="e", tag="outboundAccountPosition"):
    """Balances changed; positions are counted from fills, so it is not read."""


class BalanceEvent(msgspec.Struct, gc=False, tag_field="e", tag="balanceUpdate"):
    """A deposit or a withdrawal."""


class LockEvent(msgspec.Struct, gc=False, tag_field="e", tag="externalLockUpdate"):
    """A balance was locked from outside."""


class ListEvent(msgspec.Struct, gc=False, tag_field="e", tag="listStatus"):
    """An order list changed; we send none."""


class TerminatedEvent(msgspec.Struct, gc=False, tag_field="e", tag="eventStreamTerminated"):
    """The subscription ended."""


class ShutdownEvent(msgspec.Struct, gc=False, tag_field="e", tag="serverShutdown"):
    """The server is about to go."""


Event = (
    ExecutionEvent | PositionEvent | BalanceEvent | LockEvent | ListEvent | TerminatedEvent | ShutdownEvent
)


class Message(msgspec.Struct, gc=False):
    """Any frame of a WebSocket API connection."""

    id: int | str | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw()
    error: ErrorBody | None = None
    rateLimits: msgspec.Raw = msgspec.Raw()  # noqa: N815
    event: Event | None = None


class Fill(msgspec.Struct, gc=False):
    """A trade in the answer to a new order."""

    price: str
    qty: str
    commission: str
    commissionAsset: str  # noqa: N815
    tradeId: TradeId  # noqa: N815


class OrderRow(msgspec.Struct, gc=False):
    """An order in an answer; which fields come depends on the request."""

    symbol: str
    orderId: int  # noqa: N815
    clientOrderId: str  # noqa: N815
    origClientOrderId: str = ""  # noqa: N815
    transactTime: Time = 0  # noqa: N815
    updateTime: Time = 0  # noqa: N815
    side: str = ""
    type: str = ""
    price: str = "0"
    stopPrice: str = "0"  # noqa: N815
    origQty: str = "0"  # noqa: N815
    executedQty: str = "0"  # noqa: N815
    status: str = ""
    isWorking: bool = False  # noqa: N815 - it stands in the book

    @property
    def waits(self) -> bool:
        """Whether an open order waits for its trigger; one with a limit of its own rests once it came."""
        return self.type in _CONDITIONAL and not self.isWorking


class PlacedRow(msgspec.Struct, gc=False):
    """The answer to a new order; what we asked for is known."""

    orderId: int  # noqa: N815
    transactTime: Time = 0  # noqa: N815
    executedQty: str = "0"  # noqa: N815
    status: str = ""
    fills: list[Fill] = []


class AmendedRow(msgspec.Struct, gc=False):
    """An amended order."""

    orderId: int  # noqa: N815
    qty: str
    executedQty: str  # noqa: N815


class AmendRow(msgspec.Struct, gc=False):
    """The answer to an amend."""

    transactTime: Time  # noqa: N815
    amendedOrder: AmendedRow  # noqa: N815


class TradeRow(msgspec.Struct, gc=False):
    """One of our trades."""

    id: TradeId
    orderId: int  # noqa: N815
    price: str
    qty: str
    commission: str
    commissionAsset: str  # noqa: N815
    time: Time
    isBuyer: bool  # noqa: N815
    isMaker: bool  # noqa: N815


class BalanceRow(msgspec.Struct, gc=False):
    """What the account has of one asset."""

    asset: str
    free: Decimal
    locked: Decimal


class Account(msgspec.Struct):
    """The account."""

    balances: list[BalanceRow]


class ServerTime(msgspec.Struct, gc=False):
    """The exchange's clock."""

    serverTime: Time  # noqa: N815


class BookTicker(msgspec.Struct, gc=False):
    """The best bid and ask; 0 for a side that nobody is on."""

    bidPrice: float  # noqa: N815
    askPrice: float  # noqa: N815
