"""Orders as WebSocket API requests: bytes from a template, filled and signed. Sans-IO.

An instrument's templates are made once; filling one with `%` costs a tenth of what a JSON encoder does. After
`session.logon` (Ed25519) requests carry neither key nor signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from daemon.venues.signing import sorted_payload
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.instruments import Instrument, Scale
    from daemon.orders.order import Order
    from daemon.venues.signing import Signer

#: the exchange's own default, left out of requests: each byte is hashed
RECV_WINDOW_MS_DEFAULT: Final = 5000
CLIENT_ID_LENGTH_MAX: Final = 36
#: what a cancel calls the order from then on, so that its own id can be told from the answer of a later query
CANCEL_MARK: Final = "-c"

#: what happens where an order would meet one of ours is said with each, not left to the account's default:
#: the new order goes and what rests keeps its place, but a protective stop never yields to a quote
_PREVENTION: Final = "selfTradePreventionMode"
_TYPES: Final = {
    TARGET: {"timeInForce": "IOC", "type": "LIMIT", _PREVENTION: "EXPIRE_TAKER"},
    REST: {"type": "LIMIT_MAKER", _PREVENTION: "EXPIRE_TAKER"},
    STOP: {"type": "STOP_LOSS", _PREVENTION: "EXPIRE_MAKER"},
}
_SIDES: Final = {BUY: "BUY", SELL: "SELL"}


class _Hole:
    """A place in a template, by its printf form; `quoted` where JSON wants a string."""

    __slots__ = ("form", "quoted")

    def __init__(self, form: str, *, quoted: bool) -> None:
        self.form = form
        self.quoted = quoted


_ID: Final = _Hole("%b", quoted=True)
_TIME: Final = _Hole("%d", quoted=False)


class Template:
    """One kind of request: its parameters sorted, fixed ones written in, the others left open."""

    __slots__ = ("_frame", "_payload", "_sign")

    def __init__(
        self, method: str, params: Mapping[str, str | int | _Hole], signer: Signer | None, recv_window_ms: int
    ) -> None:
        """Without a signer the request relies on the session's logon."""
        fields: dict[str, str | int | _Hole] = {**params, "timestamp": _TIME}
        if recv_window_ms != RECV_WINDOW_MS_DEFAULT:
            fields["recvWindow"] = recv_window_ms
        ordered = sorted(fields.items())
        pairs = [f'"{name}":{_json(value)}' for name, value in ordered]
        self._sign: Callable[[bytes], bytes] | None = None
        if signer is not None:
            # every parameter we send sorts after apiKey, so key and ampersand are hashed once for all
            assert all(name > "apiKey" for name, _ in ordered)
            self._sign = signer.bound(f"apiKey={signer.api_key}&".encode())
            pairs = [f'"apiKey":"{signer.api_key}"', *pairs, '"signature":"%b"']
        self._payload = "&".join(f"{name}={_plain(value)}" for name, value in ordered).encode()
        self._frame = f'{{"id":%d,"method":"{method}","params":{{{",".join(pairs)}}}}}'.encode()

    def fill(self, request_id: int, values: tuple[bytes | int, ...]) -> bytes:
        """Return the request; `values` fill the open places in the order of their names, the time last."""
        if self._sign is None:
            return self._frame % (request_id, *values)
        return self._frame % (request_id, *values, self._sign(self._payload % values))


class OrderRequests:
    """One instrument's requests."""

    __slots__ = (
        "_amend",
        "_cancel",
        "_cancel_by_id",
        "_place",
        "_price_base",
        "_price_num",
        "_qty_base",
        "_qty_num",
        "_query",
        "_query_by_id",
        "_trades",
    )

    def __init__(self, instrument: Instrument, signer: Signer | None, recv_window_ms: int) -> None:
        def template(method: str, params: dict[str, str | int | _Hole]) -> Template:
            return Template(method, {"symbol": instrument.exchange_symbol, **params}, signer, recv_window_ms)

        price, self._price_num, self._price_base = _decimal_hole(instrument.price)
        qty, self._qty_num, self._qty_base = _decimal_hole(instrument.qty)
        self._place = {
            (kind, side): template(
                "order.place",
                {
                    "newClientOrderId": _ID,
                    "stopPrice" if kind == STOP else "price": price,
                    "quantity": qty,
                    "side": name,
                    **fixed,
                },
            )
            for kind, fixed in _TYPES.items()
            for side, name in _SIDES.items()
        }
        self._cancel = template("order.cancel", {"newClientOrderId": _ID, "origClientOrderId": _ID})
        # the exchange answers a cancel by its own number faster
        self._cancel_by_id = template("order.cancel", {"newClientOrderId": _ID, "orderId": _TIME})
        self._amend = template(
            "order.amend.keepPriority", {"newClientOrderId": _ID, "newQty": qty, "origClientOrderId": _ID}
        )
        self._query = template("order.status", {"origClientOrderId": _ID})
        self._query_by_id = template("order.status", {"orderId": _TIME})
        self._trades = template("myTrades", {"orderId": _TIME, "limit": 1000})

    def place(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request for a new order: limit IOC for TARGET, post-only for REST, else a stop."""
        name = order.client_order_id.encode()
        price, price_part = divmod(order.price_ticks * self._price_num, self._price_base)
        qty, qty_part = divmod(order.qty_lots * self._qty_num, self._qty_base)
        values: tuple[bytes | int, ...]
        if order.kind == STOP:  # by name: quantity before stopPrice, price before quantity
            values = (name, qty, qty_part, price, price_part, time_ms)
        else:
            values = (name, price, price_part, qty, qty_part, time_ms)
        return self._place[order.kind, order.side].fill(request_id, values)

    def cancel(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request to cancel an order."""
        marked = cancel_id(order.client_order_id).encode()
        if order.venue_order_id:
            return self._cancel_by_id.fill(request_id, (marked, int(order.venue_order_id), time_ms))
        return self._cancel.fill(request_id, (marked, order.client_order_id.encode(), time_ms))

    def amend(self, request_id: int, order: Order, qty_lots: int, time_ms: int) -> bytes:
        """Return the request to lower an order's whole quantity to `qty_lots`, keeping its id and place."""
        name = order.client_order_id.encode()
        qty, qty_part = divmod(qty_lots * self._qty_num, self._qty_base)
        return self._amend.fill(request_id, (name, qty, qty_part, name, time_ms))

    def query(self, request_id: int, order: Order, time_ms: int) -> bytes:
        """Return the request for an order's status."""
        if order.venue_order_id:
            return self._query_by_id.fill(request_id, (int(order.venue_order_id), time_ms))
        return self._query.fill(request_id, (order.client_order_id.encode(), time_ms))

    def trades(self, request_id: int, venue_order_id: int, time_ms: int) -> bytes:
        """Return the request for an order's trades, at most 1,000."""
        return self._trades.fill(request_id, (venue_order_id, time_ms))


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


def _decimal_hole(scale: Scale) -> tuple[_Hole, int, int]:
    """Return a template's place for `scale`'s values as whole and part, the step's numerator, and the base.

    A step of whole units is written with one decimal too, so that every template takes the same two numbers.
    """
    places = max(scale.places, 1)
    base = 10**places
    return _Hole(f"%d.%0{places}d", quoted=True), int(scale.step * base), base


def _json(value: str | int | _Hole) -> str:
    if isinstance(value, _Hole):
        return f'"{value.form}"' if value.quoted else value.form
    return f'"{value}"' if isinstance(value, str) else str(value)


def _plain(value: str | int | _Hole) -> str:
    return value.form if isinstance(value, _Hole) else str(value)
