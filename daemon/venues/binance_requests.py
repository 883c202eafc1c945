"""Orders as WebSocket API requests: bytes from templates, filled and signed by one kernel. Sans-IO.

The templates are made once a venue. After `session.logon` (Ed25519) requests carry neither key nor signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from daemon.entry import bound
from daemon.venues.binance_templates import (
    INTEGER,
    LAST_NAME,
    MARKED_NAME,
    NAME,
    PRICE,
    QTY,
    SYMBOL,
    Hole,
    make_listing,
    make_template,
)
from daemon.venues.signing import sorted_payload
from kernels import requests
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.venues.binance_templates import Params, Template
    from daemon.venues.signing import HmacSigner, Signer

CLIENT_ID_LENGTH_MAX: Final = 36
#: what a cancel calls the order from then on, so that its own id can be told from the answer of a later query
CANCEL_MARK: Final = "-c"
_CANCELED_NAME: Final = Hole(requests.NAME, quoted=True, tail=CANCEL_MARK)

#: what happens where an order would meet one of ours is said with each, not left to the account's default:
#: the new order goes and what rests keeps its place, but a protective stop never yields to a quote
_PREVENTION: Final = "selfTradePreventionMode"
_TYPES: Final = {
    TARGET: {"timeInForce": "IOC", "type": "LIMIT", _PREVENTION: "EXPIRE_TAKER"},
    REST: {"type": "LIMIT_MAKER", _PREVENTION: "EXPIRE_TAKER"},
    STOP: {"type": "STOP_LOSS", _PREVENTION: "EXPIRE_MAKER"},
}
SIDES: Final = {BUY: "BUY", SELL: "SELL"}


class OrderRequests:
    """The requests about orders of all instruments."""

    def __init__(
        self, instruments: Sequence[Instrument], signer: HmacSigner | None, recv_window_ms: int
    ) -> None:
        """Without a signer they rely on the session's logon."""
        self._listings = {instrument.index: make_listing(instrument) for instrument in instruments}
        self._write = bound(requests.write)
        self._out = np.zeros(requests.OUT_BYTES, np.uint8)
        self._request = self._out.data
        self._make(
            lambda method, params: make_template(method, {"symbol": SYMBOL, **params}, signer, recv_window_ms)
        )

    def _make(self, template: Callable[[str, Params], Template]) -> None:
        """Make a template of each kind of request."""
        self._place = {
            (kind, side): template(
                "order.place",
                {
                    "newClientOrderId": NAME,
                    "stopPrice" if kind == STOP else "price": PRICE,
                    "quantity": QTY,
                    "side": name,
                    **fixed,
                },
            )
            for kind, fixed in _TYPES.items()
            for side, name in SIDES.items()
        }
        self._cancel = template("order.cancel", {"newClientOrderId": MARKED_NAME, "origClientOrderId": NAME})
        # the exchange answers a cancel by its own number faster
        self._cancel_by_id = template("order.cancel", {"newClientOrderId": MARKED_NAME, "orderId": INTEGER})
        self._amend = template(
            "order.amend.keepPriority",
            {"newClientOrderId": NAME, "newQty": QTY, "origClientOrderId": NAME},
        )
        replace: Params = {
            "cancelOrigClientOrderId": NAME,
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "newClientOrderId": LAST_NAME,
            "price": PRICE,
            "quantity": QTY,
            **_TYPES[REST],
        }
        self._replace = {
            (side, marked): template(
                "order.cancelReplace",
                {**replace, "cancelNewClientOrderId": _CANCELED_NAME if marked else NAME, "side": name},
            )
            for side, name in SIDES.items()
            for marked in (False, True)
        }
        self._query = template("order.status", {"origClientOrderId": NAME})
        self._query_by_id = template("order.status", {"orderId": INTEGER})
        self._trades = template("myTrades", {"orderId": INTEGER, "limit": 1000})

    def _fill(
        self,
        template: Template,
        instrument: int,
        name: str,
        request_id: int,
        time_ms: int,
        x: int,
        qty_lots: int = 0,
        mark: int = 0,
    ) -> bytes:
        end = self._write(
            template.array,
            self._listings[instrument],
            self._out,
            name.encode(),
            mark,
            request_id,
            time_ms,
            x,
            qty_lots,
        )
        return self._request[requests.FRAME_AT : end].tobytes()

    def place(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request for a new order: limit IOC for TARGET, post-only for REST, else a stop."""
        template = self._place[order.kind, order.side]
        name, instrument = order.client_order_id, order.instrument
        return self._fill(template, instrument, name, request_id, time_ms, order.price_ticks, order.qty_lots)

    def cancel(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request to cancel an order."""
        name = order.client_order_id
        marked = cancel_id(name)
        number = int(order.venue_order_id or 0)
        template = self._cancel_by_id if number else self._cancel
        mark = len(marked) - len(name)
        return self._fill(template, order.instrument, marked, request_id, time_ms, number, mark=mark)

    def amend(self, request_id: int, order: Order, qty_lots: int, time_ms: int) -> bytes:
        """Return the request to lower an order's whole quantity to `qty_lots`, keeping its id and place."""
        name = order.client_order_id
        return self._fill(self._amend, order.instrument, name, request_id, time_ms, 0, qty_lots)

    def replace(self, request_id: int, order: Order, old: Order, time_ms: int) -> bytes:
        """Return the request to cancel a resting order and, where that succeeds, place another."""
        name, new = old.client_order_id, order.client_order_id
        template = self._replace[order.side, cancel_id(name) != name]
        ticks, lots, mark = order.price_ticks, order.qty_lots, len(new)
        return self._fill(template, order.instrument, name + new, request_id, time_ms, ticks, lots, mark)

    def query(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request for an order's status."""
        number = int(order.venue_order_id or 0)
        template = self._query_by_id if number else self._query
        name = order.client_order_id
        return self._fill(template, order.instrument, name, request_id, time_ms, number)

    def trades(self, request_id: int, instrument: int, venue_order_id: int, time_ms: int) -> bytes:
        """Return the request for an order's trades, at most 1,000."""
        return self._fill(self._trades, instrument, "", request_id, time_ms, venue_order_id)


def cancel_id(client_order_id: str) -> str:
    """Return the id that a cancel gives the order: its own, marked where there is room for the mark."""
    marked = client_order_id + CANCEL_MARK
    return marked if len(marked) <= CLIENT_ID_LENGTH_MAX else client_order_id


def original_id(client_order_id: str) -> str:
    """Return the id an order was placed with, whether or not it was cancelled since."""
    return client_order_id.removesuffix(CANCEL_MARK)


def request(
    request_id: int, method: str, params: Mapping[str, str | int | bool], signer: Signer | None = None
) -> bytes:
    """Return any request, signed where a signer is given; for what happens once a connection."""
    fields = dict(params)
    if signer is not None:
        fields["apiKey"] = signer.api_key
        fields["signature"] = signer.sign(sorted_payload(fields)).decode()
    return msgspec.json.encode({"id": request_id, "method": method, "params": fields})
