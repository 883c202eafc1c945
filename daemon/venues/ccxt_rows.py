"""ccxt's orders, trades and balances, read as exactly as their exchange wrote them. Sans-IO.

All numbers are text here (daemon/venues/ccxt_client.py), and become ticks, lots and Decimals without a float
in between. What cannot be read raises FrameError.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.errors import FrameError
from daemon.events import Balance, ExecutionReport
from daemon.orders.trades import hashed_id
from kernels.dtypes import BUY, SELL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import ReportKind
    from daemon.instruments import Instrument, Scale
    from daemon.orders.order import Order
    from daemon.venues.ccxt_ids import ClientIds

_SIDES: Final = {"buy": BUY, "sell": SELL}
#: ccxt's word for an order -> (the report that tells its end, the status of a STATUS report)
_WORDS: Final[dict[str, tuple[ReportKind | None, str]]] = {
    "open": (None, "NEW"),
    "canceling": (None, "PENDING_CANCEL"),
    "filled": (None, "FILLED"),  # its trades tell its end
    "closed": ("EXPIRED", "EXPIRED"),
    "canceled": ("CANCELED", "CANCELED"),
    "expired": ("EXPIRED", "EXPIRED"),
    "expired_in_match": ("EXPIRED", "EXPIRED_IN_MATCH"),
    "rejected": ("REJECTED", "REJECTED"),
}


class OrderRow(msgspec.Struct, frozen=True):
    """An order as an exchange tells it; None and "": it did not say."""

    number: str
    client_order_id: str
    end: ReportKind | None  # None: it is open, or nothing is said of that
    status: str
    side: int
    price_ticks: int
    qty_lots: int
    cum_lots: int | None
    exch_ns: int
    trades: Sequence[Any]
    waits: bool = False  # of an open one: for its trigger, as far as is told

    @property
    def untold(self) -> bool:
        """Whether it has ended and does not say with how much: its trades tell."""
        return self.end is not None and self.cum_lots is None


class Rows:
    """Reads what ccxt returns about some instruments."""

    def __init__(self, instruments: Sequence[Instrument], ids: ClientIds) -> None:
        self._ids = ids
        self._by_symbol = {one.symbol: one for one in instruments}

    def instrument(self, row: Any) -> Instrument | None:
        """Return what an order or a trade is about; None: nothing of ours."""
        return self._by_symbol.get(row.get("symbol") or "")

    def order(self, row: Any, instrument: Instrument) -> OrderRow:
        """Return an order. One that is "closed" with less than it wanted has ended without the rest."""
        qty_lots = _count(instrument.qty, row.get("amount"), "qty")
        cum_lots = _count(instrument.qty, row.get("filled"), "qty")
        # in place of the price that one to the market has not ccxt says what it has traded at, on no grid
        own = row.get("price") if row.get("type") != "market" else None
        trigger = row.get("triggerPrice") or row.get("stopPrice")
        # beside a price of its own it may be that of another order, to be sent once this one has filled
        leaves_at = row.get("stopLossPrice") or row.get("takeProfitPrice")
        word = row.get("status") or ""
        if word == "closed" and cum_lots is not None and cum_lots >= (qty_lots or 0):
            word = "filled"
        end, status = _WORDS.get(word, (None, ""))
        return OrderRow(
            number=str(row.get("id") or ""),
            client_order_id=self._ids.ours(str(row.get("clientOrderId") or "")),
            end=end,
            status=status,
            side=_SIDES.get(row.get("side") or "", 0),
            price_ticks=_count(instrument.price, own or leaves_at or trigger, "price") or 0,
            qty_lots=qty_lots or 0,
            cum_lots=cum_lots,
            exch_ns=_ns(row),
            trades=row.get("trades") or (),
            waits=not cum_lots and bool(_decimal(trigger, "price") or (leaves_at and not own)),
        )

    def trade(
        self, row: Any, instrument: Instrument, number: str, client_order_id: str, wire_ns: int
    ) -> ExecutionReport:
        """Return the TRADE report of one of our trades, in order `number`."""
        text = str(row.get("id") or "")
        ticks = _count(instrument.price, row.get("price"), "price")
        lots = _count(instrument.qty, row.get("amount"), "qty")
        side = _SIDES.get(row.get("side") or "", 0)
        if not text or not side or not ticks or not lots:
            raise FrameError("trade", f"a trade in {instrument.symbol} lacks its id, side, price or amount")
        commission, asset = _fee(row)
        return ExecutionReport(
            kind="TRADE",
            client_order_id=client_order_id,
            instrument=instrument.index,
            wire_ns=wire_ns,
            exch_ns=_ns(row),
            venue_order_id=number,
            side=side,
            trade_id=hashed_id(text),
            last_ticks=ticks,
            last_lots=lots,
            is_maker=row.get("takerOrMaker") == "maker",
            commission=commission,
            commission_asset=asset,
        )

    def trade_of(
        self, row: Any, instrument: Instrument, number: str, order: Order, wire_ns: int
    ) -> ExecutionReport:
        """Return the report of a trade of one order, which may leave out what the order says."""
        row = {**row, "side": row.get("side") or ("sell" if order.side == SELL else "buy")}
        return self.trade(row, instrument, number, order.client_order_id, wire_ns)

    def balances(self, answer: Any) -> dict[str, Balance]:
        """Return what the account has; an exchange that tells only sums has nothing locked."""
        total, free, used = (answer.get(name) or {} for name in ("total", "free", "used"))
        found = {}
        for asset in total.keys() | free.keys() | used.keys():
            locked = _decimal(used.get(asset), "balance") or Decimal(0)
            left = _decimal(free.get(asset), "balance")
            if left is None:
                left = (_decimal(total.get(asset), "balance") or Decimal(0)) - locked
            if left or locked:
                found[asset] = Balance(left, locked)
        return found


def _count(scale: Scale, value: Any, reason: str) -> int | None:
    if value is None:
        return None
    try:
        return scale.parse(str(value))
    except ValueError as error:
        raise FrameError(reason, str(error)) from None


def _decimal(value: Any, reason: str) -> Decimal | None:
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise FrameError(reason, f"{value!r} is no number") from None
    if not number.is_finite():
        raise FrameError(reason, f"{value!r} is not finite")
    return number


def tells_fee(row: Any) -> bool:
    """Whether a trade says what it cost: KuCoin's stream does not, and the list of trades does."""
    return any(fee.get("cost") is not None for fee in row.get("fees") or [row.get("fee") or {}])


def _fee(row: Any) -> tuple[Decimal, str]:
    """Return a trade's fee. Of several assets, which no exchange here takes, the first counts.

    What of the others is missing is found in the balances, and told, when next they are compared.
    """
    asset, cost = "", Decimal(0)
    for fee in row.get("fees") or [row.get("fee") or {}]:
        amount = _decimal(fee.get("cost"), "fee")
        currency = fee.get("currency")
        if amount is None or not currency or currency != (asset or currency):
            continue
        asset, cost = currency, cost + amount
    return cost, asset


def _ns(row: Any) -> int:
    time_ms = row.get("lastUpdateTimestamp") or row.get("timestamp")
    return int(time_ms) * 1_000_000 if time_ms else 0
