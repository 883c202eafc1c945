"""Futures orders and conditional ones, and every form in which the exchange writes them down.

A conditional order waits in a service of its own under a number of its own; once its trigger is reached, an
order of the same client id goes to the book.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.order import Order
from daemon.simulator.symbols import UNIT, notional, text

if TYPE_CHECKING:
    from daemon.simulator.order import Fill
    from daemon.simulator.symbols import Symbol
    from daemon.simulator.usdm.account import FuturesAccount, Position

CONDITIONAL: Final = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET")
#: execution types that the futures call otherwise
_KINDS: Final = {"TRADE_PREVENTION": "EXPIRED", "REPLACED": "AMENDMENT"}


class FuturesOrder(Order):
    """An order in a futures symbol; it locks nothing, its margin is counted."""

    __slots__ = ("reduce_only",)

    account: FuturesAccount

    def __init__(
        self, symbol: Symbol, account: FuturesAccount, order_id: int, client_id: str, now_ns: int
    ) -> None:
        super().__init__(symbol, account, order_id, client_id, now_ns)
        self.reduce_only = False

    @property
    def spends(self) -> str:
        """The margin's asset."""
        return self.symbol.quote

    @property
    def receives(self) -> str:
        """The asset of profits and commissions."""
        return self.symbol.quote

    @property
    def average(self) -> int:
        """The average price of its executions."""
        return self.quote_executed * UNIT // self.executed if self.executed else 0


class AlgoOrder:
    """A conditional order that waits for its trigger."""

    __slots__ = (
        "account",
        "algo_id",
        "client_id",
        "created_ns",
        "order",
        "price",
        "qty",
        "reduce_only",
        "side",
        "status",
        "symbol",
        "tif",
        "trigger",
        "type",
        "updated_ns",
        "working_type",
    )

    def __init__(
        self, symbol: Symbol, account: FuturesAccount, algo_id: int, client_id: str, now_ns: int
    ) -> None:
        self.symbol = symbol
        self.account = account
        self.algo_id = algo_id
        self.client_id = client_id
        self.created_ns = self.updated_ns = now_ns
        self.side = 1
        self.type = "STOP_MARKET"
        self.tif = "GTC"
        self.price = self.qty = self.trigger = 0
        self.reduce_only = False
        self.working_type = "CONTRACT_PRICE"
        self.status = "NEW"
        self.order: FuturesOrder | None = None  # at the book, once triggered

    @property
    def open(self) -> bool:
        """Whether it still waits."""
        return self.status == "NEW"


def answer_view(order: FuturesOrder, *, ack: bool = False) -> dict[str, Any]:
    """Return the answer to placing, modifying or cancelling; ACK tells nothing of what it met at once."""
    symbol, done = order.symbol, 0 if ack else order.executed
    return {
        "orderId": order.order_id,
        "symbol": symbol.name,
        "status": "NEW" if ack else order.status,
        "clientOrderId": order.client_id,
        "price": symbol.price_text(order.price),
        "avgPrice": text(0 if ack else order.average),
        "origQty": symbol.qty_text(order.qty),
        "executedQty": symbol.qty_text(done),
        "cumQty": symbol.qty_text(done),
        "cumQuote": text(0 if ack else order.quote_executed),
        "timeInForce": order.tif,
        "type": order.type,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side_text,
        "positionSide": "BOTH",
        "stopPrice": symbol.price_text(0),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": order.stp,
        "goodTillDate": 0,
        "updateTime": order.updated_ns // 1_000_000,
    }


def status_view(order: FuturesOrder) -> dict[str, Any]:
    """Return the answer to a query."""
    view = answer_view(order)
    del view["cumQty"]
    return view | {"time": order.created_ns // 1_000_000}


def trade_view(fill: Fill) -> dict[str, Any]:
    """Return the fill's row of userTrades."""
    order = fill.order
    symbol = order.symbol
    return {
        "symbol": symbol.name,
        "id": fill.trade_id,
        "orderId": order.order_id,
        "side": order.side_text,
        "price": symbol.price_text(fill.price),
        "qty": symbol.qty_text(fill.qty),
        "realizedPnl": text(fill.realised),
        "quoteQty": text(notional(fill.price, fill.qty)),
        "commission": text(fill.commission),
        "commissionAsset": symbol.quote,
        "time": fill.now_ns // 1_000_000,
        "positionSide": "BOTH",
        "buyer": order.side > 0,
        "maker": fill.is_maker,
    }


def algo_view(algo: AlgoOrder) -> dict[str, Any]:
    """Return a conditional order as its placing and queries tell it."""
    symbol, order = algo.symbol, algo.order
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": symbol.name,
        "side": "BUY" if algo.side > 0 else "SELL",
        "positionSide": "BOTH",
        "timeInForce": algo.tif,
        "quantity": symbol.qty_text(algo.qty),
        "algoStatus": algo.status,
        "actualOrderId": str(order.order_id) if order else "",
        "actualPrice": text(order.average if order else 0),
        "triggerPrice": symbol.price_text(algo.trigger),
        "price": symbol.price_text(algo.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": algo.reduce_only,
        "createTime": algo.created_ns // 1_000_000,
        "updateTime": algo.updated_ns // 1_000_000,
        "triggerTime": algo.updated_ns // 1_000_000 if order else 0,
        "goodTillDate": 0,
    }


def algo_update(algo: AlgoOrder, now_ns: int, reason: str = "") -> dict[str, Any]:
    """Return an ALGO_UPDATE event."""
    symbol, order = algo.symbol, algo.order
    now_ms = now_ns // 1_000_000
    return {
        "e": "ALGO_UPDATE",
        "T": now_ms,
        "E": now_ms,
        "o": {
            "caid": algo.client_id,
            "aid": algo.algo_id,
            "at": "CONDITIONAL",
            "o": algo.type,
            "s": symbol.name,
            "S": "BUY" if algo.side > 0 else "SELL",
            "ps": "BOTH",
            "f": algo.tif,
            "q": symbol.qty_text(algo.qty),
            "X": algo.status,
            "ai": str(order.order_id) if order else "",
            "ap": text(order.average if order else 0),
            "aq": symbol.qty_text(order.executed if order else 0),
            "act": order.type if order else "0",
            "tp": symbol.price_text(algo.trigger),
            "p": symbol.price_text(algo.price),
            "V": "EXPIRE_MAKER",
            "wt": algo.working_type,
            "pm": "NONE",
            "cp": False,
            "pP": False,
            "R": algo.reduce_only,
            "tt": now_ms if order else 0,
            "gtd": 0,
            "rm": reason,
        },
    }


def order_update(
    order: FuturesOrder, kind: str, now_ns: int, fill: Fill | None = None, reason: str = "0"
) -> dict[str, Any]:
    """Return an ORDER_TRADE_UPDATE event."""
    symbol = order.symbol
    now_ms = now_ns // 1_000_000
    row: dict[str, Any] = {
        "s": symbol.name,
        "c": order.client_id,
        "S": order.side_text,
        "o": order.type,
        "f": order.tif,
        "q": symbol.qty_text(order.qty),
        "p": symbol.price_text(order.price),
        "ap": text(order.average),
        "sp": symbol.price_text(0),
        "x": _KINDS.get(kind, kind),
        "X": order.status,
        "i": order.order_id,
        "l": symbol.qty_text(fill.qty if fill else 0),
        "z": symbol.qty_text(order.executed),
        "L": symbol.price_text(fill.price if fill else 0),
        "T": now_ms,
        "t": fill.trade_id if fill else 0,
        "b": text(0),
        "a": text(0),
        "m": fill.is_maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type,
        "ps": "BOTH",
        "cp": False,
        "rp": text(fill.realised if fill else 0),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": order.stp,
        "pm": "NONE",
        "gtd": 0,
        "er": reason,
    }
    if fill:
        row |= {"n": text(fill.commission), "N": symbol.quote}
    return {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": now_ms, "o": row}


def account_update(
    account: FuturesAccount, asset: str, positions: list[Position], reason: str, change: int, now_ns: int
) -> dict[str, Any]:
    """Return an ACCOUNT_UPDATE event; `change`: of the wallet, but for profits and commissions."""
    now_ms = now_ns // 1_000_000
    wallet = text(account.wallet(asset))
    return {
        "e": "ACCOUNT_UPDATE",
        "E": now_ms,
        "T": now_ms,
        "a": {
            "m": reason,
            "B": [{"a": asset, "wb": wallet, "cw": wallet, "bc": text(change)}],
            "P": [
                {
                    "s": one.symbol.name,
                    "pa": one.symbol.qty_text(one.qty),
                    "ep": text(one.entry),
                    "bep": text(one.entry),
                    "cr": text(one.realised),
                    "up": text(one.unrealised),
                    "mt": "isolated" if one.isolated else "cross",
                    "iw": "0",
                    "ps": "BOTH",
                    "ma": asset,
                }
                for one in positions
            ],
        },
    }
