"""What Binance says of orders, from bytes to execution reports. Sans-IO; decoders are built once.

An answer to a request carries the request's id, an event of the user data stream a subscription:

    {"id":7,"status":200,"result":{"symbol":"BTCUSDT","orderId":12,...},"rateLimits":[...]}
    {"id":7,"status":400,"error":{"code":-2010,"msg":"Account has insufficient balance ..."}}
    {"subscriptionId":0,"event":{"e":"executionReport","s":"BTCUSDT","c":"demo-1-7","x":"TRADE",...}}

Prices and quantities become ticks and lots by integer arithmetic on their digits; what is not on the grid, or
no number, raises FrameError, and so does everything else that is not as it should be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from daemon.errors import DECODE_ERRORS, FrameError
from daemon.events import ExecutionReport
from daemon.venues.binance_numbers import Steps, amount_of, check_amounts, to_ns
from daemon.venues.binance_requests import original_id
from daemon.venues.binance_wire import (
    Account,
    AmendRow,
    ErrorBody,
    ExecutionEvent,
    Message,
    OrderRow,
    PlacedRow,
    RateLimit,
    ReplacedRow,
    ServerTime,
    TradeRow,
)
from kernels.dtypes import BUY, SELL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import ReportKind
    from daemon.instruments import Instrument
    from daemon.orders.order import Order

T = TypeVar("T")

_SIDES: Final = {"BUY": BUY, "SELL": SELL}
#: order types whose price is their trigger
_TRIGGERED: Final = frozenset({"STOP_LOSS", "TAKE_PROFIT"})

#: how an order ended, by the venue's word for its status
ENDS: Final[dict[str, ReportKind]] = {
    "CANCELED": "CANCELED",
    "REJECTED": "REJECTED",
    "EXPIRED": "EXPIRED",
    "EXPIRED_IN_MATCH": "EXPIRED",
}
#: what just happened, by the venue's execution type; TRADE_PREVENTION depends on the status
_EXECUTIONS: Final[dict[str, ReportKind]] = {
    "NEW": "NEW",
    "TRADE": "TRADE",
    "CANCELED": "CANCELED",
    "REPLACED": "REPLACED",
    "REJECTED": "REJECTED",
    "EXPIRED": "EXPIRED",
}


class OrderFrames:
    """Decodes frames for a set of instruments."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._symbols = {
            instrument.exchange_symbol: (instrument.index, Steps(instrument.price), Steps(instrument.qty))
            for instrument in instruments
        }
        self._by_index = {index: (index, price, qty) for index, price, qty in self._symbols.values()}
        self._message = msgspec.json.Decoder(Message)
        self._placed = msgspec.json.Decoder(PlacedRow)
        self._order = msgspec.json.Decoder(OrderRow)
        self._orders = msgspec.json.Decoder(list[OrderRow])
        self._amend = msgspec.json.Decoder(AmendRow)
        self._replaced = msgspec.json.Decoder(ReplacedRow)
        self._error = msgspec.json.Decoder(ErrorBody)
        self._account = msgspec.json.Decoder(Account)
        self._time = msgspec.json.Decoder(ServerTime)
        self._trades = msgspec.json.Decoder(list[TradeRow])
        self._limits = msgspec.json.Decoder(list[RateLimit])

    def message(self, payload: bytes) -> Message:
        """Return a frame's parts; raises FrameError."""
        return decoded(self._message, payload)

    def limits(self, raw: msgspec.Raw) -> list[RateLimit]:
        """Return the rate limits of an answer."""
        return decoded(self._limits, raw)

    def cum_lots(self, event: ExecutionEvent) -> int:
        """Return how much of an order was filled so far; -1 for a symbol that is not ours."""
        found = self._symbols.get(event.s)
        return -1 if found is None else found[2](event.z)

    def execution(self, event: ExecutionEvent, wire_ns: int) -> ExecutionReport | None:
        """Return the report of an event; None for a symbol that is not ours. Raises FrameError."""
        found = self._symbols.get(event.s)
        if found is None:
            return None
        index, price, qty = found
        kind = _EXECUTIONS.get(event.x)
        if kind == "TRADE":
            return ExecutionReport(
                kind,
                event.c,
                index,
                wire_ns,
                to_ns(event.T),
                str(event.i),
                side_of(event.S),
                price(event.P if event.o in _TRIGGERED else event.p),
                qty(event.q),
                qty(event.z),
                event.t,
                price(event.L),
                qty(event.l),
                event.m,
                amount_of(event.n),
                event.N or "",
                event.X,
            )
        reason = ""
        if kind is None:
            # self-trade prevention took some of the quantity, or ended the order
            kind = ENDS.get(event.X, "STATUS")
            reason = event.x
        elif kind == "REJECTED":
            reason = event.r
        elif kind == "EXPIRED":
            reason = event.eR
        return ExecutionReport(
            kind=kind,
            # a cancel carries an id of its own, and the order's in C
            client_order_id=(event.C or original_id(event.c)) if kind == "CANCELED" else event.c,
            instrument=index,
            wire_ns=wire_ns,
            exch_ns=to_ns(event.T),
            venue_order_id=str(event.i),
            side=side_of(event.S),
            price_ticks=price(event.P if event.o in _TRIGGERED else event.p),
            qty_lots=qty(event.q),
            cum_lots=qty(event.z),
            status=event.X,
            reason=reason,
        )

    def placed(self, result: msgspec.Raw, order: Order, wire_ns: int) -> list[ExecutionReport]:
        """Return what the answer to a new order says: accepted or its first trades, its end if it has ended.

        That it was accepted goes without saying where it traded at once: each report costs its own step.
        """
        row = decoded(self._placed, result)
        index, price, qty = self._by_index[order.instrument]
        exch_ns = to_ns(row.transactTime)
        reports = [] if row.fills else [self._report("NEW", order, row.orderId, wire_ns, exch_ns)]
        cum_lots = 0
        for fill in row.fills:
            lots = qty(fill.qty)
            cum_lots += lots
            reports.append(
                ExecutionReport(
                    "TRADE",
                    order.client_order_id,
                    index,
                    wire_ns,
                    exch_ns,
                    str(row.orderId),
                    order.side,
                    order.price_ticks,
                    order.qty_lots,
                    cum_lots,
                    fill.tradeId,
                    price(fill.price),
                    lots,
                    False,
                    amount_of(fill.commission),
                    fill.commissionAsset,
                    "PARTIALLY_FILLED" if cum_lots < order.qty_lots else "FILLED",
                )
            )
        executed_lots = qty(row.executedQty)
        end = ENDS.get(row.status)
        if end is not None:
            reports.append(self._report(end, order, row.orderId, wire_ns, exch_ns, executed_lots, row.status))
        elif executed_lots > cum_lots:  # it says that more was traded than it lists
            reports.append(
                self._report("STATUS", order, row.orderId, wire_ns, exch_ns, executed_lots, row.status)
            )
        return reports

    def canceled(self, result: msgspec.Raw, order: Order, wire_ns: int) -> ExecutionReport:
        """Return what the answer to a cancel says."""
        row = decoded(self._order, result)
        _, _, qty = self._by_index[order.instrument]
        kind = ENDS.get(row.status, "STATUS")
        executed_lots, exch_ns = qty(row.executedQty), to_ns(row.transactTime or row.updateTime)
        report = self._report(kind, order, row.orderId, wire_ns, exch_ns, executed_lots, row.status)
        return msgspec.structs.replace(report, qty_lots=qty(row.origQty))

    def amended(self, result: msgspec.Raw, order: Order, wire_ns: int) -> ExecutionReport:
        """Return what the answer to an amend says: the order's new whole quantity."""
        row = decoded(self._amend, result)
        _, _, qty = self._by_index[order.instrument]
        report = self._report(
            "REPLACED",
            order,
            row.amendedOrder.orderId,
            wire_ns,
            to_ns(row.transactTime),
            qty(row.amendedOrder.executedQty),
        )
        return msgspec.structs.replace(report, qty_lots=qty(row.amendedOrder.qty))

    def replaced(self, result: msgspec.Raw) -> ReplacedRow:
        """Return what the answer to a cancelReplace says of its halves."""
        return decoded(self._replaced, result)

    def error(self, body: msgspec.Raw) -> ErrorBody:
        """Return why a half of it failed."""
        return decoded(self._error, body)

    def status(self, result: msgspec.Raw, order: Order, wire_ns: int) -> ExecutionReport:
        """Return what the answer to a query says."""
        row = decoded(self._order, result)
        _, price, qty = self._by_index[order.instrument]
        return ExecutionReport(
            kind="STATUS",
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            wire_ns=wire_ns,
            exch_ns=to_ns(row.updateTime),
            venue_order_id=str(row.orderId),
            side=side_of(row.side),
            price_ticks=price(row.stopPrice if row.type in _TRIGGERED else row.price),
            qty_lots=qty(row.origQty),
            cum_lots=qty(row.executedQty),
            status=row.status,
        )

    def server_time(self, result: bytes | msgspec.Raw) -> int:
        """Return the exchange's clock in ns."""
        return to_ns(decoded(self._time, result).serverTime)

    def account(self, body: bytes) -> Account:
        """Return the account."""
        account = decoded(self._account, body)
        for row in account.balances:
            check_amounts(row.free, row.locked)
        return account

    def order(self, body: bytes | msgspec.Raw) -> OrderRow:
        """Return one order."""
        return decoded(self._order, body)

    def orders(self, body: bytes | msgspec.Raw) -> list[OrderRow]:
        """Return a list of orders."""
        return decoded(self._orders, body)

    def trades(self, body: bytes | msgspec.Raw) -> list[TradeRow]:
        """Return a list of our trades."""
        return decoded(self._trades, body)

    def trade(
        self, row: TradeRow, instrument: int, client_order_id: str, wire_ns: int, cum_lots: int = 0
    ) -> ExecutionReport:
        """Return a listed trade as a report; `cum_lots` where the order's count up to it is known."""
        _, price, qty = self._by_index[instrument]
        return ExecutionReport(
            kind="TRADE",
            client_order_id=client_order_id,
            instrument=instrument,
            wire_ns=wire_ns,
            exch_ns=to_ns(row.time),
            venue_order_id=str(row.orderId),
            side=BUY if row.isBuyer else SELL,
            cum_lots=cum_lots,
            trade_id=row.id,
            last_ticks=price(row.price),
            last_lots=qty(row.qty),
            is_maker=row.isMaker,
            commission=amount_of(row.commission),
            commission_asset=row.commissionAsset,
        )

    def order_counts(self, row: OrderRow, instrument: int) -> tuple[int, int, int, int]:
        """Return an order's side, price in ticks, quantity and filled quantity in lots."""
        _, price, qty = self._by_index[instrument]
        ticks = price(row.stopPrice if row.type in _TRIGGERED else row.price)
        return side_of(row.side), ticks, qty(row.origQty), qty(row.executedQty)

    @staticmethod
    def _report(
        kind: ReportKind,
        order: Order,
        venue_order_id: int | str,
        wire_ns: int,
        exch_ns: int,
        cum_lots: int = 0,
        status: str = "",
    ) -> ExecutionReport:
        return ExecutionReport(
            kind=kind,
            client_order_id=order.client_order_id,
            instrument=order.instrument,
            wire_ns=wire_ns,
            exch_ns=exch_ns,
            venue_order_id=str(venue_order_id),
            side=order.side,
            price_ticks=order.price_ticks,
            qty_lots=order.qty_lots,
            cum_lots=cum_lots,
            status=status,
        )


def decoded(decoder: msgspec.json.Decoder[T], payload: bytes | msgspec.Raw) -> T:
    """Return what a message says; raises FrameError where it is none of the documented form."""
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        # an event we have not heard of does no harm; one we know, in another form, may be a fill
        reason = "event" if str(error).endswith("`$.event.e`") else "type"
        raise FrameError(reason, f"a frame is not as Binance documents it: {error}") from None
    except DECODE_ERRORS as error:
        raise FrameError("json", f"a frame is no JSON: {error}") from None


def side_of(text: str) -> int:
    """Return BUY or SELL; raises FrameError."""
    side = _SIDES.get(text)
    if side is None:
        raise FrameError("type", f"{text[:20]!r} is no side")
    return side
