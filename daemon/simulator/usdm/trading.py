"""The signed methods about futures orders, and about conditional ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.simulator.errors import ApiError, missing, no_such_order, unknown_order
from daemon.simulator.methods import TRADE, USER_DATA, Method, symbol_weight
from daemon.simulator.symbols import UNIT
from daemon.simulator.trading import find_fills, find_open, find_orders, known, named
from daemon.simulator.usdm.account import FuturesAccount
from daemon.simulator.usdm.exchange import FuturesExchange
from daemon.simulator.usdm.newrequest import read_algo, read_order
from daemon.simulator.usdm.order import FuturesOrder, algo_view, answer_view, status_view, trade_view

if TYPE_CHECKING:
    from daemon.simulator.methods import Call
    from daemon.simulator.order import Order
    from daemon.simulator.usdm.order import AlgoOrder

#: the longest span a history query may ask for
_DAYS: Final = 7


def parts(call: Call) -> tuple[FuturesExchange, FuturesAccount]:
    """Return the exchange and the account that signed."""
    assert isinstance(call.exchange, FuturesExchange), "these methods are the futures'"
    assert isinstance(call.account, FuturesAccount), "and so are their accounts"
    return call.exchange, call.account


def _order(order: Order) -> FuturesOrder:
    assert isinstance(order, FuturesOrder)
    return order


def _open(call: Call) -> FuturesOrder:
    """Return the open order that the parameters name; raises ApiError -2011."""
    order = named(call)
    if order is None or not order.open:
        raise unknown_order()
    return _order(order)


def place(call: Call) -> dict[str, Any]:
    """Place an order."""
    exchange, account = parts(call)
    market = exchange.market(call.params.text("symbol"))
    new = read_order(call.params)
    call.params.finish()
    order, _ = exchange.place(account, market, new)
    return answer_view(_order(order), ack=new.response == "ACK")


def place_test(call: Call) -> dict[str, Any]:
    """Check an order as `place` would, and place nothing."""
    exchange, account = parts(call)
    market = exchange.market(call.params.text("symbol"))
    new = read_order(call.params)
    call.params.finish()
    exchange.check(account, market, new)
    return {}


def modify(call: Call) -> dict[str, Any]:
    """Change an open order's price and quantity."""
    exchange, _ = parts(call)
    order, side = _open(call), call.params.text("side")
    price, qty = call.params.decimal("price"), call.params.decimal("quantity")
    for name in ("positionSide", "priceMatch", "origType"):
        call.params.optional(name)
    call.params.finish()
    for name, value in (("price", price), ("quantity", qty)):
        if value is None:
            raise missing(name)
    if side != order.side_text:
        raise ApiError(-1117, "Invalid side.")
    assert price is not None
    assert qty is not None
    exchange.modify(order, int(price * UNIT), int(qty * UNIT))
    return answer_view(order)


def cancel(call: Call) -> dict[str, Any]:
    """Cancel an open order."""
    order = _open(call)
    call.params.finish()
    call.exchange.cancel(order, "")
    return answer_view(order)


def cancel_all(call: Call) -> dict[str, Any]:
    """Cancel every open order of a symbol."""
    exchange, account = parts(call)
    symbol = exchange.market(call.params.text("symbol")).symbol.name
    call.params.finish()
    for order in exchange.registry.open_orders(account, symbol):
        exchange.cancel(order, "")
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def countdown(call: Call) -> dict[str, Any]:
    """Cancel a symbol's open orders so many ms from now, unless called again before; 0 takes it back."""
    exchange, account = parts(call)
    symbol = exchange.market(call.params.text("symbol")).symbol.name
    wait_ms = call.params.integer("countdownTime")
    if wait_ms is None:
        raise missing("countdownTime")
    call.params.finish()
    exchange.countdowns.pop((account.name, symbol), None)
    if wait_ms:
        exchange.countdowns[account.name, symbol] = call.now_ns + wait_ms * 1_000_000
    return {"symbol": symbol, "countdownTime": str(wait_ms)}


def order_status(call: Call) -> dict[str, Any]:
    """Return one order, open or not."""
    return status_view(_order(known(call)))


def open_orders(call: Call) -> list[dict[str, Any]]:
    """Return the open orders of a symbol, or of all."""
    return [status_view(_order(order)) for order in find_open(call)]


def all_orders(call: Call) -> list[dict[str, Any]]:
    """Return a symbol's orders: from an id on, within a span, or the latest."""
    return [status_view(_order(order)) for order in find_orders(call, _DAYS)]


def user_trades(call: Call) -> list[dict[str, Any]]:
    """Return the account's fills: of an order, from an id on, within a span, or the latest."""
    return [trade_view(fill) for fill in find_fills(call, _DAYS)]


# --- conditional orders ---
def _algo(call: Call) -> AlgoOrder | None:
    exchange, account = parts(call)
    call.params.optional("symbol")
    algo_id, client_id = call.params.integer("algoId"), call.params.optional("clientAlgoId")
    if algo_id is None and client_id is None:
        raise missing("clientAlgoId")
    return exchange.find_algo(account, algo_id, client_id or "")


def place_algo(call: Call) -> dict[str, Any]:
    """Place a conditional order."""
    exchange, account = parts(call)
    market = exchange.market(call.params.text("symbol"))
    new = read_algo(call.params)
    call.params.finish()
    return algo_view(exchange.place_algo(account, market, new))


def cancel_algo(call: Call) -> dict[str, Any]:
    """Cancel a conditional order that still waits."""
    exchange, _ = parts(call)
    found = _algo(call)
    call.params.finish()
    algo = exchange.cancel_algo(found)
    return {"algoId": algo.algo_id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}


def algo_status(call: Call) -> dict[str, Any]:
    """Return one conditional order, waiting or not."""
    algo = _algo(call)
    if algo is None:
        raise no_such_order()
    return algo_view(algo)


def open_algos(call: Call) -> list[dict[str, Any]]:
    """Return the conditional orders that wait, of a symbol or of all."""
    return [algo_view(algo) for algo in _algos(call) if algo.open]


def all_algos(call: Call) -> list[dict[str, Any]]:
    """Return a symbol's conditional orders, the latest."""
    limit = call.params.limit(500, 1_000)
    for name in ("startTime", "endTime", "algoId"):
        call.params.integer(name)
    return [algo_view(algo) for algo in _algos(call)][-limit:]


def cancel_all_algos(call: Call) -> dict[str, Any]:
    """Cancel a symbol's conditional orders."""
    exchange, _ = parts(call)
    for algo in _algos(call):
        if algo.open:
            exchange.cancel_algo(algo)
    return {"code": 200, "msg": "The operation of cancel all open order is done."}


def _algos(call: Call) -> list[AlgoOrder]:
    exchange, account = parts(call)
    symbol = call.params.optional("symbol")
    for name in ("algoType", "algoId"):
        call.params.optional(name)
    return [
        algo
        for algo in exchange.algos.values()
        if algo.account is account and (symbol is None or algo.symbol.name == symbol)
    ]


METHODS = (
    Method("POST", "order", "order.place", TRADE, 1, place, places_orders=True),
    Method("POST", "order/test", "order.test", TRADE, 1, place_test),
    Method("PUT", "order", "order.modify", TRADE, 1, modify, places_orders=True),
    Method("DELETE", "order", "order.cancel", TRADE, 1, cancel),
    Method("GET", "order", "order.status", USER_DATA, 1, order_status),
    Method("DELETE", "allOpenOrders", "", TRADE, 1, cancel_all),
    Method("POST", "countdownCancelAll", "", TRADE, 10, countdown),
    Method("GET", "openOrders", "", USER_DATA, symbol_weight(1, 40), open_orders),
    Method("GET", "allOrders", "", USER_DATA, 5, all_orders),
    Method("GET", "userTrades", "", USER_DATA, 5, user_trades),
    Method("POST", "algoOrder", "algoOrder.place", TRADE, 1, place_algo, places_orders=True),
    Method("DELETE", "algoOrder", "algoOrder.cancel", TRADE, 1, cancel_algo),
    Method("GET", "algoOrder", "", USER_DATA, 1, algo_status),
    Method("GET", "openAlgoOrders", "", USER_DATA, symbol_weight(1, 40), open_algos),
    Method("GET", "allAlgoOrders", "", USER_DATA, 5, all_algos),
    Method("DELETE", "algoOpenOrders", "", TRADE, 1, cancel_all_algos),
)
