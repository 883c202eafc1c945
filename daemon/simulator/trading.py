"""The signed methods: orders, their cancels, replacements and amendments; the account and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator.errors import (
    AMEND_REJECTED,
    CANCEL_REJECTED,
    INVALID_CANCEL_RESTRICTIONS,
    INVALID_PARAMETER,
    REPLACE_FAILED,
    REPLACE_PARTIALLY_FAILED,
    ApiError,
    missing,
    no_such_order,
    unknown_order,
)
from daemon.simulator.methods import TRADE, USER_DATA, Method, symbol_weight, test_weight, trades_weight
from daemon.simulator.newrequest import read_client_id, read_order
from daemon.simulator.order import ack_view, cancel_view, full_view, result_view, status_view, trade_view
from daemon.simulator.symbols import text

if TYPE_CHECKING:
    from daemon.simulator.methods import Call
    from daemon.simulator.newrequest import NewOrder
    from daemon.simulator.order import Fill, Order

#: the longest span a history query may ask for
_DAY_MS = 86_400_000


def place(call: Call) -> dict[str, Any]:
    """Place an order."""
    market = call.exchange.market(call.params.text("symbol"))
    new = read_order(call.params)
    call.params.finish()
    order, fills = call.exchange.place(call.account, market, new)
    return _placed(call, new, order, fills)


def _placed(call: Call, new: NewOrder, order: Order, fills: list[Fill]) -> dict[str, Any]:
    if new.response == "ACK":
        return ack_view(order, call.unit_ns)
    return (
        result_view(order, call.unit_ns)
        if new.response == "RESULT"
        else full_view(order, fills, call.unit_ns)
    )


def place_test(call: Call) -> dict[str, Any]:
    """Check an order as `place` would, and place nothing."""
    market = call.exchange.market(call.params.text("symbol"))
    rates = call.params.flag("computeCommissionRates", default=False)
    new = read_order(call.params)
    call.params.finish()
    call.exchange.check(call.account, market, new)
    if not rates:
        return {}
    return {
        "standardCommissionForOrder": call.account.rates(),
        "specialCommissionForOrder": {"maker": text(0), "taker": text(0)},
        "taxCommissionForOrder": {"maker": text(0), "taker": text(0)},
        "discount": _no_discount(),
    }


def _no_discount() -> dict[str, Any]:
    return {
        "enabledForAccount": False,
        "enabledForSymbol": False,
        "discountAsset": "BNB",
        "discount": text(0),
    }


def named(call: Call, id_name: str = "orderId", client_name: str = "origClientOrderId") -> Order | None:
    """Return the order that the parameters name, if it is known."""
    symbol = call.exchange.market(call.params.text("symbol")).symbol.name
    order_id, client_id = call.params.integer(id_name), call.params.optional(client_name)
    if order_id is None and client_id is None:
        raise ApiError(
            missing(client_name).code,
            f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!",
        )
    return call.exchange.registry.find(call.account, symbol, order_id, client_id or "")


def _check_restrictions(restriction: str | None, order: Order) -> None:
    if restriction is None:
        return
    if restriction not in ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        raise ApiError(INVALID_CANCEL_RESTRICTIONS, "Invalid cancelRestrictions")
    if restriction != f"ONLY_{order.status}":
        raise ApiError(CANCEL_REJECTED, "Order was not canceled due to cancel restrictions.")


def cancel(call: Call) -> dict[str, Any]:
    """Cancel an open order."""
    order = named(call)
    client_id = read_client_id(call.params, "newClientOrderId") or call.exchange.new_id()
    restriction = call.params.optional("cancelRestrictions")
    call.params.finish()
    return _cancel(call, order, client_id, restriction)


def _cancel(call: Call, order: Order | None, client_id: str, restriction: str | None) -> dict[str, Any]:
    if order is None or not order.open:
        raise unknown_order()
    _check_restrictions(restriction, order)
    call.exchange.cancel(order, client_id)
    view = cancel_view(order, order.client_id, call.unit_ns)
    view["clientOrderId"] = client_id
    return view


def cancel_all(call: Call) -> list[dict[str, Any]]:
    """Cancel every open order of a symbol."""
    symbol = call.exchange.market(call.params.text("symbol")).symbol.name
    call.params.finish()
    orders = call.exchange.registry.open_orders(call.account, symbol)
    if not orders:
        raise unknown_order()
    return [_cancel(call, order, call.exchange.new_id(), None) for order in orders]


def amend(call: Call) -> dict[str, Any]:
    """Lower an order's quantity, keeping its priority."""
    order = named(call)
    qty = call.params.decimal("newQty")
    if qty is None:
        raise missing("newQty")
    client_id = read_client_id(call.params, "newClientOrderId") or call.exchange.new_id()
    call.params.finish()
    if order is None or not order.open:
        raise ApiError(AMEND_REJECTED, "Unknown order sent.")
    original = order.client_id
    execution_id = call.exchange.amend(order, int(qty * 10**8), client_id)
    return {
        "transactTime": call.time(order.updated_ns),
        "executionId": execution_id,
        "amendedOrder": {
            "symbol": order.symbol.name,
            "orderId": order.order_id,
            "orderListId": -1,
            "origClientOrderId": original,
            "clientOrderId": order.client_id,
            "price": text(order.price),
            "qty": text(order.qty),
            "executedQty": text(order.executed),
            "preventedQty": text(0),
            "quoteOrderQty": text(0),
            "cumulativeQuoteQty": text(order.quote_executed),
            "status": order.status,
            "timeInForce": order.tif,
            "type": order.type,
            "side": order.side_text,
            "workingTime": call.time(order.working_ns) if order.working_ns >= 0 else -1,
            "selfTradePreventionMode": order.stp,
        },
    }


def cancel_replace(call: Call) -> dict[str, Any]:
    """Cancel one order and place another; a half of it may fail, which the answer tells (409, -2021)."""
    params = call.params
    market = call.exchange.market(params.text("symbol"))
    modes = ("STOP_ON_FAILURE", "ALLOW_FAILURE")
    mode = params.choice(
        "cancelReplaceMode",
        modes,
        INVALID_PARAMETER,
        "Data sent for parameter 'cancelReplaceMode' is not valid.",
    )
    old = named(call, "cancelOrderId", "cancelOrigClientOrderId")
    client_id = read_client_id(params, "cancelNewClientOrderId") or call.exchange.new_id()
    restriction, exceeded = (
        params.optional("cancelRestrictions"),
        params.optional("orderRateLimitExceededMode"),
    )
    new = read_order(params)
    params.finish()
    if exceeded != "CANCEL_ONLY":
        call.account.orders.check(call.now_ns)
    canceled: dict[str, Any]
    try:
        canceled, cancel_result = _cancel(call, old, client_id, restriction), "SUCCESS"
    except ApiError as error:
        canceled, cancel_result = error.body(), "FAILURE"
    placed: dict[str, Any] | None = None
    place_result = "NOT_ATTEMPTED"
    if cancel_result == "SUCCESS" or mode == "ALLOW_FAILURE":
        try:
            if cancel_result == "SUCCESS" and call.exchange.faults is not None:
                call.exchange.faults.check_replacement(market.symbol)
            order, fills = call.exchange.place(call.account, market, new)
            placed, place_result = _placed(call, new, order, fills), "SUCCESS"
        except ApiError as error:
            placed, place_result = error.body(), "FAILURE"
    data = {
        "cancelResult": cancel_result,
        "newOrderResult": place_result,
        "cancelResponse": canceled,
        "newOrderResponse": placed,
    }
    if cancel_result == place_result == "SUCCESS":
        return data
    if "SUCCESS" in (cancel_result, place_result):
        raise ApiError(REPLACE_PARTIALLY_FAILED, "Order cancel-replace partially failed.", 409, data)
    raise ApiError(REPLACE_FAILED, "Order cancel-replace failed.", 400, data)


def order_status(call: Call) -> dict[str, Any]:
    """Return one order, open or not."""
    return status_view(known(call), call.unit_ns)


def known(call: Call) -> Order:
    """Return the order that a query names; raises ApiError -2013 where queries do not know of it."""
    order = named(call)
    if order is None or not call.exchange.knows(order.symbol, order.created_ns):
        raise no_such_order()
    return order


def find_open(call: Call) -> list[Order]:
    """Return the open orders that queries know of, of a symbol or of all."""
    symbol = call.params.optional("symbol")
    if symbol is not None:
        call.exchange.market(symbol)
    return [
        order
        for order in call.exchange.registry.open_orders(call.account, symbol)
        if call.exchange.knows(order.symbol, order.created_ns)
    ]


def open_orders(call: Call) -> list[dict[str, Any]]:
    """Return the open orders of a symbol, or of all."""
    return [status_view(order, call.unit_ns) for order in find_open(call)]


def _span(call: Call, days: int) -> tuple[int | None, int | None]:
    """Return startTime and endTime in ns; raises ApiError -1127 for more than so many days."""
    start, end = call.params.time_ms("startTime"), call.params.time_ms("endTime")
    if start is not None and end is not None and end - start > days * _DAY_MS:
        raise ApiError(-1127, f"More than {24 * days} hours between startTime and endTime.")
    return (
        None if start is None else start * 1_000_000,
        None if end is None else end * 1_000_000 + 999_999,
    )


def all_orders(call: Call) -> list[dict[str, Any]]:
    """Return a symbol's orders: from an id on, within a span, or the latest."""
    return [status_view(order, call.unit_ns) for order in find_orders(call)]


def find_orders(call: Call, days: int = 1) -> list[Order]:
    """Return the orders that a history query asks for, of a span of at most so many days."""
    symbol = call.exchange.market(call.params.text("symbol")).symbol.name
    first, (start, end) = call.params.integer("orderId"), _span(call, days)
    limit = call.params.limit(500, 1_000)
    found = [
        order
        for order in call.exchange.registry.orders.values()
        if order.account is call.account
        and order.symbol.name == symbol
        and (start is None or order.updated_ns >= start)
        and (end is None or order.updated_ns <= end)
        and (first is None or start is not None or end is not None or order.order_id >= first)
        and call.exchange.knows(order.symbol, order.created_ns)
    ]
    return found[-limit:] if first is None and start is None else found[:limit]


def my_trades(call: Call) -> list[dict[str, Any]]:
    """Return the account's fills: of an order, from an id on, within a span, or the latest."""
    return [trade_view(fill, call.unit_ns) for fill in find_fills(call)]


def find_fills(call: Call, days: int = 1) -> list[Fill]:
    """Return the fills that a history query asks for, of a span of at most so many days."""
    symbol = call.exchange.market(call.params.text("symbol")).symbol.name
    order_id, first = call.params.integer("orderId"), call.params.integer("fromId")
    start, end = _span(call, days)
    if (start is not None or end is not None) and (first is not None or order_id is not None):
        raise ApiError(-1128, "Combination of optional parameters invalid.")
    limit = call.params.limit(500, 1_000)
    found = [
        fill
        for fill in call.exchange.registry.fills
        if fill.order.account is call.account
        and fill.order.symbol.name == symbol
        and (order_id is None or fill.order.order_id == order_id)
        and (first is None or fill.trade_id >= first)
        and (start is None or fill.now_ns >= start)
        and (end is None or fill.now_ns <= end)
        and call.exchange.knows(fill.order.symbol, fill.now_ns)
    ]
    return found[-limit:] if first is None and start is None else found[:limit]


def account(call: Call) -> dict[str, Any]:
    """Return the balances."""
    omit = call.params.flag("omitZeroBalances", default=False)
    return call.account.view(call.time(call.account.updated_ns or call.now_ns), omit)


def commission(call: Call) -> dict[str, Any]:
    """Return the commission rates of a symbol."""
    name = call.exchange.market(call.params.text("symbol")).symbol.name
    none = {"maker": text(0), "taker": text(0), "buyer": text(0), "seller": text(0)}
    return {
        "symbol": name,
        "standardCommission": none | call.account.rates(),
        "specialCommission": none,
        "taxCommission": none,
        "discount": _no_discount(),
    }


def order_rates(call: Call) -> list[dict[str, Any]]:
    """Return the unfilled order counts."""
    return call.account.orders.rows(call.now_ns)


METHODS = (
    Method("POST", "order", "order.place", TRADE, 1, place, places_orders=True),
    Method("POST", "order/test", "order.test", TRADE, test_weight, place_test),
    Method("DELETE", "order", "order.cancel", TRADE, 1, cancel),
    Method(
        "POST", "order/cancelReplace", "order.cancelReplace", TRADE, 1, cancel_replace, places_orders=True
    ),
    Method("PUT", "order/amend/keepPriority", "order.amend.keepPriority", TRADE, 4, amend),
    Method("DELETE", "openOrders", "openOrders.cancelAll", TRADE, 1, cancel_all),
    Method("GET", "order", "order.status", USER_DATA, 4, order_status),
    Method("GET", "openOrders", "openOrders.status", USER_DATA, symbol_weight(6, 80), open_orders),
    Method("GET", "allOrders", "allOrders", USER_DATA, 20, all_orders),
    Method("GET", "myTrades", "myTrades", USER_DATA, trades_weight, my_trades),
    Method("GET", "account", "account.status", USER_DATA, 20, account),
    Method("GET", "account/commission", "account.commission", USER_DATA, 20, commission),
    Method("GET", "rateLimit/order", "account.rateLimits.orders", USER_DATA, 40, order_rates),
)
