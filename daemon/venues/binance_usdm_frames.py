"""What Binance says of USD-M orders, from bytes to execution reports. Sans-IO; decoders are built once.

An answer tells that a request was taken; what became of an order is told by the user data stream:

    {"e":"ORDER_TRADE_UPDATE","E":..,"T":..,"o":{"s":"BTCUSDT","c":"demo-1-7","x":"TRADE","X":"FILLED",...}}
    {"e":"ALGO_UPDATE","T":..,"E":..,"o":{"caid":"demo-1-8","X":"CANCELED",...}}
    {"e":"ACCOUNT_UPDATE","E":..,"T":..,"a":{"m":"FUNDING_FEE","B":[{"a":"USDT","bc":"-0.02",...}],"P":[]}}

A conditional order's own number is not told on: it is asked for and cancelled by its client order id, which
the order it sets off bears too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import DECODE_ERRORS, FrameError
from daemon.events import ExecutionReport, Funding, MarginTerms
from daemon.venues.binance_frames import ENDS, OrderFrames, decoded, side_of
from daemon.venues.binance_numbers import amount_of, check_amounts, to_ns
from daemon.venues.binance_usdm_wire import (
    AlgoRow,
    AssetsMode,
    IncomeRow,
    ListenKey,
    PositionMode,
    RiskRow,
    SymbolBrackets,
    SymbolSetup,
    UsdmAccount,
    UserEvent,
    UserTradeRow,
)
from kernels.dtypes import STOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import ReportKind
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.venues.binance_usdm_wire import AccountEvent, AlgoEvent, MarginEvent, OrderUpdate, PositionRow
    from daemon.venues.binance_wire import OrderRow, TradeRow

#: what just happened, by the venue's execution type
_EXECUTIONS: Final[dict[str, ReportKind]] = {
    "NEW": "NEW",
    "TRADE": "TRADE",
    "CALCULATED": "TRADE",  # of a liquidation
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "AMENDMENT": "REPLACED",
}
#: what a conditional order came to while it had no order at the book; of the rest that order's events tell
_ALGO_EVENTS: Final[dict[str, ReportKind]] = {
    "NEW": "NEW",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "REJECTED": "REJECTED",  # at its trigger, long after it was accepted
}
#: the word of an order's status for that of a conditional one without an order at the book
_ALGO_STATUSES: Final = {
    "TRIGGERING": "NEW",
    "TRIGGERED": "NEW",
    "FINISHED": "EXPIRED",
}
#: wallet changes that positions cost or bring by themselves
BY_THEMSELVES: Final = ("FUNDING_FEE", "INSURANCE_CLEAR")
#: the ids of orders by which the exchange closes a position itself, and what it did
_OWN_ORDERS: Final = {
    "autoclose-": "liquidated",
    "adl_autoclose": "deleveraged",
    "settlement_autoclose-": "settled",
}
_OWN_IDS: Final = tuple(_OWN_ORDERS)


class UsdmFrames(OrderFrames):
    """Decodes frames for a set of instruments."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments)
        self._event: msgspec.json.Decoder[UserEvent] = msgspec.json.Decoder(UserEvent)
        self._algo = msgspec.json.Decoder(AlgoRow)
        self._algos = msgspec.json.Decoder(list[AlgoRow])
        self._user_trades = msgspec.json.Decoder(list[UserTradeRow])
        self._usdm_account = msgspec.json.Decoder(UsdmAccount)
        self._risks = msgspec.json.Decoder(list[RiskRow], strict=False)
        self._incomes = msgspec.json.Decoder(list[IncomeRow], strict=False)
        self._brackets = msgspec.json.Decoder(list[SymbolBrackets], strict=False)
        self._setups = msgspec.json.Decoder(list[SymbolSetup])
        self._position_mode = msgspec.json.Decoder(PositionMode)
        self._assets_mode = msgspec.json.Decoder(AssetsMode)
        self._listen_key = msgspec.json.Decoder(ListenKey)

    # --- the user data stream -------------------------------------------------------------------------------
    def event(self, payload: bytes) -> UserEvent:
        """Return an event; raises FrameError."""
        try:
            return self._event.decode(payload)
        except msgspec.ValidationError as error:
            # an event we have not heard of does no harm; one we know, in another form, may be a fill
            reason = "event" if str(error).endswith("`$.e`") else "type"
            raise FrameError(reason, f"an event is not as Binance documents it: {error}") from None
        except DECODE_ERRORS as error:
            raise FrameError("json", f"an event is no JSON: {error}") from None

    def update_lots(self, update: OrderUpdate) -> int:
        """Return how much of an order was filled so far; -1 for a symbol that is not ours."""
        found = self._symbols.get(update.s)
        return -1 if found is None else found[2](update.z)

    def update(self, update: OrderUpdate, wire_ns: int) -> ExecutionReport | None:
        """Return the report of an order's event; None for a symbol that is not ours. Raises FrameError."""
        found = self._symbols.get(update.s)
        if found is None:
            return None
        index, price, qty = found
        kind = _EXECUTIONS.get(update.x)
        if kind is None:
            raise FrameError("type", f"{update.x[:30]!r} is no execution type of USD-M")
        if kind == "TRADE":
            return ExecutionReport(
                kind,
                update.c,
                index,
                wire_ns,
                to_ns(update.T),
                str(update.i),
                side_of(update.S),
                price(update.p),
                qty(update.q),
                qty(update.z),
                update.t,
                price(update.L),
                qty(update.l),
                update.m,
                amount_of(update.n),
                update.N or "",
                update.X,
                0,
                _closed_by(update.c),
            )
        return ExecutionReport(
            kind=kind,
            client_order_id=update.c,
            instrument=index,
            wire_ns=wire_ns,
            exch_ns=to_ns(update.T),
            venue_order_id=str(update.i),
            side=side_of(update.S),
            price_ticks=price(update.p),
            qty_lots=qty(update.q),
            cum_lots=qty(update.z),
            status=update.X,
            reason=f"expiry reason {update.er}" if kind == "EXPIRED" else "",
        )

    def algo_update(self, event: AlgoEvent, wire_ns: int) -> ExecutionReport | None:
        """Return the report of a conditional order's event; None where its order tells, or is not ours."""
        update = event.o
        found, kind = self._symbols.get(update.s), _ALGO_EVENTS.get(update.X)
        if found is None or kind is None:
            return None
        index, price, qty = found
        return ExecutionReport(
            kind=kind,
            client_order_id=update.caid,
            instrument=index,
            wire_ns=wire_ns,
            exch_ns=to_ns(event.T),
            side=side_of(update.S),
            price_ticks=price(update.tp),
            qty_lots=qty(update.q),
            status=update.X,
            reason=update.rm,
        )

    @staticmethod
    def funding(event: AccountEvent, wire_ns: int) -> list[Funding]:
        """Return what an account's event tells of funding and of what a liquidation cost."""
        if event.a.m not in BY_THEMSELVES:
            return []
        return [Funding(wire_ns, row.a, amount_of(str(row.bc)), to_ns(event.T)) for row in event.a.B]

    @staticmethod
    def margin_call(event: MarginEvent) -> str:
        """Return a sentence about the positions that are near their liquidation; empty: none is."""
        near = "; ".join(
            f"{one.pa} {one.s} at a mark price of {one.mp}, open profit {one.up}, maintenance margin {one.mm}"
            for one in event.p
        )
        return f"the exchange calls for margin, add some or reduce: {near}" if near else ""

    # --- answers --------------------------------------------------------------------------------------------
    def placed(self, result: msgspec.Raw, order: Order, wire_ns: int) -> list[ExecutionReport]:
        """Return what the answer to a new order says: that it was accepted."""
        if order.kind == STOP:
            algo = decoded(self._algo, result)
            return [self._report("NEW", order, "", wire_ns, to_ns(algo.createTime))]
        row = decoded(self._order, result)
        return [self._report("NEW", order, row.orderId, wire_ns, to_ns(row.updateTime))]

    def canceled(self, result: msgspec.Raw, order: Order, wire_ns: int) -> ExecutionReport:
        """Return what the answer to a cancel says; a stop that could be cancelled never traded."""
        if order.kind == STOP:
            return self._report("CANCELED", order, "", wire_ns, 0)
        return super().canceled(result, order, wire_ns)

    def amended(self, result: msgspec.Raw, order: Order, wire_ns: int) -> ExecutionReport:
        """Return what the answer to a modification says: the order's new quantity, or its end."""
        row = decoded(self._order, result)
        _, _, qty = self._by_index[order.instrument]
        kind: ReportKind = ENDS.get(row.status, "REPLACED")
        report = self._report(
            kind, order, row.orderId, wire_ns, to_ns(row.updateTime), qty(row.executedQty), row.status
        )
        return msgspec.structs.replace(report, qty_lots=qty(row.origQty))

    def algo(self, body: bytes) -> AlgoRow:
        """Return a conditional order."""
        return decoded(self._algo, body)

    def algo_status(self, row: AlgoRow, order: Order, wire_ns: int) -> ExecutionReport:
        """Return what a query of a conditional order without an order at the book says."""
        _, price, qty = self._by_index[order.instrument]
        report = self._report(
            "STATUS",
            order,
            "",
            wire_ns,
            to_ns(row.updateTime),
            status=_ALGO_STATUSES.get(row.algoStatus, row.algoStatus),
        )
        return msgspec.structs.replace(
            report, price_ticks=price(row.triggerPrice), qty_lots=qty(row.quantity)
        )

    def order_row(self, body: bytes) -> OrderRow:
        """Return one order."""
        return decoded(self._order, body)

    def algos(self, body: bytes) -> list[AlgoRow]:
        """Return a list of conditional orders."""
        return decoded(self._algos, body)

    def algo_counts(self, row: AlgoRow, instrument: int) -> tuple[int, int, int]:
        """Return a conditional order's side, trigger in ticks and quantity in lots."""
        _, price, qty = self._by_index[instrument]
        return side_of(row.side), price(row.triggerPrice), qty(row.quantity)

    def trades(self, body: bytes | msgspec.Raw) -> list[TradeRow]:
        """Return a list of our trades."""
        rows = decoded(self._user_trades, body)
        return [*rows]

    def trade(
        self, row: TradeRow, instrument: int, client_order_id: str, wire_ns: int, cum_lots: int = 0
    ) -> ExecutionReport:
        """Return a listed trade as a report, with what the exchange did if it was of an order of its own."""
        report = super().trade(row, instrument, client_order_id, wire_ns, cum_lots)
        closed = _closed_by(client_order_id)
        return msgspec.structs.replace(report, reason=closed) if closed else report

    # --- the account ----------------------------------------------------------------------------------------
    def usdm_account(self, body: bytes) -> UsdmAccount:
        """Return wallets and positions."""
        account = decoded(self._usdm_account, body)
        check_amounts(*(row.walletBalance for row in account.assets))
        return account

    def position(self, row: PositionRow) -> tuple[int, int] | None:
        """Return a position's instrument and signed lots; None for a symbol that is not ours."""
        found = self._symbols.get(row.symbol)
        if found is None:
            return None
        lots = found[2](row.positionAmt.removeprefix("-"))
        return found[0], -lots if row.positionAmt.startswith("-") else lots

    def margin_terms(self, body: bytes, maintenance_rate: float) -> MarginTerms:
        """Return what the exchange tells of our positions."""
        terms = MarginTerms(maintenance_rate, {}, {})
        for row in decoded(self._risks, body):
            position = self.position(row)
            if position is None:
                continue
            index, lots = position
            terms.entries[index] = amount_of(str(row.entryPrice))
            if row.liquidationPrice > 0:
                terms.liquidations[index] = row.liquidationPrice, lots
        return terms

    def fundings(self, body: bytes, wire_ns: int) -> list[Funding]:
        """Return the fundings of a list of incomes."""
        fundings = []
        for row in decoded(self._incomes, body):
            amount = amount_of(str(row.income))
            ours = self._symbols.get(row.symbol)
            index = -1 if ours is None else ours[0]
            fundings.append(Funding(wire_ns, row.asset, amount, to_ns(row.time), row.tranId, index))
        return fundings

    def maintenance_rate(self, body: bytes, value: float) -> float:
        """Return the maintenance margin of a position of a value, as a fraction: the most of our symbols."""
        rates = [
            bracket.maintMarginRatio
            for one in decoded(self._brackets, body)
            for bracket in one.brackets
            if one.symbol in self._symbols and (bracket.notionalFloor < value or not bracket.notionalFloor)
        ]
        if not rates or not 0 <= max(rates) < 1:
            raise FrameError("type", "it tells no maintenance margin of our symbols")
        return max(rates)

    def setups(self, body: bytes) -> list[SymbolSetup]:
        """Return how symbols are set up."""
        return decoded(self._setups, body)

    def hedges(self, body: bytes) -> bool:
        """Return whether the account is in hedge mode."""
        return decoded(self._position_mode, body).dualSidePosition

    def pools(self, body: bytes) -> bool:
        """Return whether the account is in multi-assets mode."""
        return decoded(self._assets_mode, body).multiAssetsMargin

    def listen_key(self, result: msgspec.Raw) -> str:
        """Return what the user data stream is opened with."""
        return decoded(self._listen_key, result).listenKey


def _closed_by(client_order_id: str) -> str:
    """Return what the exchange did by an order of its own; empty for everybody else's."""
    if not client_order_id.startswith(_OWN_IDS):
        return ""
    return next(what for start, what in _OWN_ORDERS.items() if client_order_id.startswith(start))
