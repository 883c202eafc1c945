"""An order at the simulated exchange, and every form in which the exchange writes it down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.symbols import notional, text

if TYPE_CHECKING:
    from daemon.simulator.account import Account
    from daemon.simulator.symbols import Symbol

OPEN: Final = ("NEW", "PARTIALLY_FILLED")
STOPS: Final = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")


class Order:
    """One order; amounts in units, times in ns. `side` is +1 to buy, -1 to sell."""

    __slots__ = (
        "account",
        "amends",
        "client_id",
        "created_ns",
        "executed",
        "locked",
        "order_id",
        "price",
        "qty",
        "quote_executed",
        "quote_qty",
        "side",
        "status",
        "stop_price",
        "stp",
        "strategy",
        "symbol",
        "tif",
        "type",
        "updated_ns",
        "working",
        "working_ns",
    )

    def __init__(self, symbol: Symbol, account: Account, order_id: int, client_id: str, now_ns: int) -> None:
        self.symbol = symbol
        self.account = account
        self.order_id = order_id
        self.client_id = client_id
        self.created_ns = self.updated_ns = now_ns
        self.side = 1
        self.type = "LIMIT"
        self.tif = "GTC"
        self.price = self.qty = self.quote_qty = self.stop_price = 0
        self.executed = self.quote_executed = 0
        self.locked = 0  # units of the asset it spends that are locked for its leaves
        self.status = "NEW"
        self.stp = "EXPIRE_MAKER"
        self.working = False  # on the book: a stop only once triggered
        self.working_ns = -1
        self.amends = 0
        self.strategy: dict[str, int] = {}

    @property
    def key(self) -> tuple[str, int]:
        """What the exchange knows it by: numbers are counted in each symbol."""
        return self.symbol.name, self.order_id

    @property
    def leaves(self) -> int:
        """What is still to be filled."""
        return self.qty - self.executed

    @property
    def open(self) -> bool:
        """Whether it can still be filled or canceled."""
        return self.status in OPEN

    @property
    def is_stop(self) -> bool:
        """Whether it waits, or waited, for a trigger."""
        return self.type in STOPS

    @property
    def at_market(self) -> bool:
        """Whether it takes whatever price there is."""
        return self.type in ("MARKET", "STOP_LOSS", "TAKE_PROFIT")

    @property
    def spends(self) -> str:
        """The asset it pays with."""
        return self.symbol.quote if self.side > 0 else self.symbol.base

    @property
    def receives(self) -> str:
        """The asset it gets."""
        return self.symbol.base if self.side > 0 else self.symbol.quote

    @property
    def side_text(self) -> str:
        """BUY or SELL."""
        return "BUY" if self.side > 0 else "SELL"

    def cost(self, qty: int) -> int:
        """Return what `qty` of it locks: the worst notional of a buy, the quantity of a sell."""
        return notional(self.price, qty) if self.side > 0 else qty


class Fill:
    """One execution of an order; `commission` is in units of what was received, set when it is paid."""

    __slots__ = ("commission", "is_maker", "now_ns", "order", "price", "qty", "realised", "trade_id")

    def __init__(
        self, order: Order, trade_id: int, price: int, qty: int, is_maker: bool, now_ns: int
    ) -> None:
        self.order = order
        self.trade_id = trade_id
        self.price = price
        self.qty = qty
        self.commission = 0
        self.realised = 0  # of a position that it closed
        self.is_maker = is_maker
        self.now_ns = now_ns


def reached(kind: str, side: int, stop_price: int, last_price: int) -> bool:
    """Whether the last price sets a stop off: a stop buys when it rises, a take-profit when it falls."""
    if not last_price:
        return False
    rises = (side > 0) == kind.startswith("STOP")
    return last_price >= stop_price if rises else last_price <= stop_price


def ack_view(order: Order, unit_ns: int) -> dict[str, Any]:
    """Return the short answer to a placement (newOrderRespType ACK)."""
    return {
        "symbol": order.symbol.name,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
        "transactTime": order.updated_ns // unit_ns,
    }


def result_view(order: Order, unit_ns: int) -> dict[str, Any]:
    """Return the RESULT answer to a placement."""
    view = ack_view(order, unit_ns) | _amounts(order)
    if order.stop_price:
        view["stopPrice"] = text(order.stop_price)
    view["workingTime"] = order.working_ns // unit_ns if order.working_ns >= 0 else -1
    return view | order.strategy | {"selfTradePreventionMode": order.stp}


def full_view(order: Order, fills: list[Fill], unit_ns: int) -> dict[str, Any]:
    """Return the FULL answer to a placement: RESULT and the fills it met at once."""
    view = result_view(order, unit_ns)
    view["fills"] = [
        {
            "price": text(fill.price),
            "qty": text(fill.qty),
            "commission": text(fill.commission),
            "commissionAsset": order.receives,
            "tradeId": fill.trade_id,
        }
        for fill in fills
    ]
    return view


def cancel_view(order: Order, original: str, unit_ns: int) -> dict[str, Any]:
    """Return the answer to a cancel; `original` is the client id the order had."""
    view: dict[str, Any] = {"symbol": order.symbol.name, "origClientOrderId": original}
    view |= ack_view(order, unit_ns) | _amounts(order)
    if order.stop_price:
        view["stopPrice"] = text(order.stop_price)
    return view | order.strategy | {"selfTradePreventionMode": order.stp}


def status_view(order: Order, unit_ns: int) -> dict[str, Any]:
    """Return the answer to a query."""
    view = {
        "symbol": order.symbol.name,
        "orderId": order.order_id,
        "orderListId": -1,
        "clientOrderId": order.client_id,
    }
    return (
        view
        | _amounts(order)
        | {
            "stopPrice": text(order.stop_price),
            "icebergQty": text(0),
            "time": order.created_ns // unit_ns,
            "updateTime": order.updated_ns // unit_ns,
            "isWorking": order.working,
            "workingTime": order.working_ns // unit_ns if order.working_ns >= 0 else -1,
        }
        | order.strategy
        | {"selfTradePreventionMode": order.stp}
    )


def _amounts(order: Order) -> dict[str, Any]:
    return {
        "price": text(order.price),
        "origQty": text(order.qty),
        "executedQty": text(order.executed),
        "origQuoteOrderQty": text(order.quote_qty),
        "cummulativeQuoteQty": text(order.quote_executed),
        "status": order.status,
        "timeInForce": order.tif,
        "type": order.type,
        "side": order.side_text,
    }


def trade_view(fill: Fill, unit_ns: int) -> dict[str, Any]:
    """Return the fill's row of myTrades."""
    order = fill.order
    return {
        "symbol": order.symbol.name,
        "id": fill.trade_id,
        "orderId": order.order_id,
        "orderListId": -1,
        "price": text(fill.price),
        "qty": text(fill.qty),
        "quoteQty": text(notional(fill.price, fill.qty)),
        "commission": text(fill.commission),
        "commissionAsset": order.receives,
        "time": fill.now_ns // unit_ns,
        "isBuyer": order.side > 0,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def execution_report(
    order: Order,
    kind: str,
    execution_id: int,
    now_ns: int,
    *,
    fill: Fill | None = None,
    original: str = "",
    reason: str = "NONE",
    expiry: str = "",
    by: str = "",
) -> dict[str, Any]:
    """Return an `executionReport` in ms (times E, T, O, W); `by` is the id of a cancel that caused it."""
    now_ms = now_ns // 1_000_000
    report: dict[str, Any] = {
        "e": "executionReport",
        "E": now_ms,
        "s": order.symbol.name,
        "c": by or order.client_id,
        "S": order.side_text,
        "o": order.type,
        "f": order.tif,
        "q": text(order.qty),
        "p": text(order.price),
        "P": text(order.stop_price),
        "F": text(0),
        "g": -1,
        "C": original,
        "x": kind,
        "X": order.status,
        "r": reason,
        "i": order.order_id,
        "l": text(fill.qty if fill else 0),
        "z": text(order.executed),
        "L": text(fill.price if fill else 0),
        "n": text(fill.commission) if fill else "0",
        "N": order.receives if fill else None,
        "T": now_ms,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": order.working and order.open,
        "m": fill.is_maker if fill else False,
        "M": fill is not None,
        "O": order.created_ns // 1_000_000,
        "Z": text(order.quote_executed),
        "Y": text(notional(fill.price, fill.qty) if fill else 0),
        "Q": text(order.quote_qty),
        "V": order.stp,
    }
    if order.working_ns >= 0:
        report["W"] = order.working_ns // 1_000_000
    if expiry:
        report["eR"] = expiry
    if order.strategy:
        report["j"] = order.strategy["strategyId"]
        report["J"] = order.strategy["strategyType"]
    return report
