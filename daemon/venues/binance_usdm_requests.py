"""USD-M orders as WebSocket API requests. Sans-IO.

What can only reduce a position says so to the exchange too. Stops wait in its algo service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.venues.binance_requests import SIDES, OrderRequests
from daemon.venues.binance_templates import INTEGER, NAME, PRICE, QTY
from kernels.dtypes import REST, STOP, TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.orders.order import Order
    from daemon.venues.binance_templates import Params, Template

#: post-only orders never take, so what happens where they would meet one of ours needs no saying
_TYPES: Final = {
    TARGET: {"selfTradePreventionMode": "EXPIRE_TAKER", "timeInForce": "IOC", "type": "LIMIT"},
    REST: {"timeInForce": "GTX", "type": "LIMIT"},
}


class UsdmRequests(OrderRequests):
    """The requests about orders of all instruments."""

    def _make(self, template: Callable[[str, Params], Template]) -> None:
        order: Params = {"newClientOrderId": NAME, "price": PRICE, "quantity": QTY}
        self._orders = {
            (kind, side, reduces): template(
                "order.place", {**order, "side": name, **fixed, **({"reduceOnly": "true"} if reduces else {})}
            )
            for kind, fixed in _TYPES.items()
            for side, name in SIDES.items()
            for reduces in (False, True)
        }
        stop: Params = {
            "algoType": "CONDITIONAL",
            "clientAlgoId": NAME,
            "quantity": QTY,
            "reduceOnly": "true",
            "triggerPrice": PRICE,
            "type": "STOP_MARKET",
        }
        self._stops = {
            side: template("algoOrder.place", {**stop, "side": name}) for side, name in SIDES.items()
        }
        self._cancel = template("order.cancel", {"origClientOrderId": NAME})
        self._cancel_by_id = template("order.cancel", {"orderId": INTEGER})
        self._cancel_stop = template("algoOrder.cancel", {"clientAlgoId": NAME})
        amend: Params = {"origClientOrderId": NAME, "price": PRICE, "quantity": QTY}
        self._amends = {
            side: template("order.modify", {**amend, "side": name}) for side, name in SIDES.items()
        }
        self._query = template("order.status", {"origClientOrderId": NAME})
        self._query_by_id = template("order.status", {"orderId": INTEGER})

    def place(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request for a new order: limit IOC for TARGET, post-only for REST, else a stop."""
        if order.kind == STOP:
            template = self._stops[order.side]
        else:
            template = self._orders[order.kind, order.side, order.reduces]
        name, instrument = order.client_order_id, order.instrument
        return self._fill(template, instrument, name, request_id, time_ms, order.price_ticks, order.qty_lots)

    def cancel(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request to cancel an order."""
        number = int(order.venue_order_id or 0)
        template = self._cancel_by_id if number else self._cancel
        if order.kind == STOP:
            template = self._cancel_stop
        return self._fill(template, order.instrument, order.client_order_id, request_id, time_ms, number)

    def amend(self, request_id: int, order: Order, qty_lots: int, time_ms: int) -> bytes:
        """Return the request to lower an order's whole quantity; it goes to the end of its queue."""
        name, template = order.client_order_id, self._amends[order.side]
        return self._fill(template, order.instrument, name, request_id, time_ms, order.price_ticks, qty_lots)
