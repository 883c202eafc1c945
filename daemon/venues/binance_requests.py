"""Orders as WebSocket API requests: bytes from templates, filled and signed by one kernel. Sans-IO.

The templates are made once a venue. After `session.logon` (Ed25519) requests carry neither key nor signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from daemon.entry import bound
from daemon.venues.signing import sorted_payload
from kernels import requests
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from daemon.instruments import Instrument, Scale
    from daemon.orders.order import Order
    from daemon.venues.signing import HmacSigner, Signer

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
    """A place in a template, by what stands there; `quoted` where JSON wants a string."""

    __slots__ = ("quoted", "value")

    def __init__(self, value: int, *, quoted: bool) -> None:
        self.value = value
        self.quoted = quoted


_NAME: Final = _Hole(requests.NAME, quoted=True)
_MARKED_NAME: Final = _Hole(requests.MARKED_NAME, quoted=True)
_SYMBOL: Final = _Hole(requests.SYMBOL, quoted=True)
_INTEGER: Final = _Hole(requests.INTEGER, quoted=False)
_PRICE: Final = _Hole(requests.PRICE, quoted=True)
_QTY: Final = _Hole(requests.QTY, quoted=True)
_TIME: Final = _Hole(requests.TIME, quoted=False)
_REQUEST_ID: Final = _Hole(requests.REQUEST_ID, quoted=False)
_SIGNATURE: Final = _Hole(requests.SIGNATURE, quoted=True)

_Params = dict[str, "str | int | _Hole"]


class OrderRequests:
    """The requests about orders of all instruments."""

    def __init__(
        self, instruments: Sequence[Instrument], signer: HmacSigner | None, recv_window_ms: int
    ) -> None:
        """Without a signer they rely on the session's logon."""

        def template(method: str, params: _Params) -> NDArray[np.void]:
            return _template(method, {"symbol": _SYMBOL, **params}, signer, recv_window_ms)

        self._listings = {instrument.index: _listing(instrument) for instrument in instruments}
        self._write = bound(requests.write)
        self._out = np.zeros(requests.OUT_BYTES, np.uint8)
        self._request = self._out.data
        self._place = {
            (kind, side): template(
                "order.place",
                {
                    "newClientOrderId": _NAME,
                    "stopPrice" if kind == STOP else "price": _PRICE,
                    "quantity": _QTY,
                    "side": name,
                    **fixed,
                },
            )
            for kind, fixed in _TYPES.items()
            for side, name in _SIDES.items()
        }
        self._cancel = template(
            "order.cancel", {"newClientOrderId": _MARKED_NAME, "origClientOrderId": _NAME}
        )
        # the exchange answers a cancel by its own number faster
        self._cancel_by_id = template("order.cancel", {"newClientOrderId": _MARKED_NAME, "orderId": _INTEGER})
        self._amend = template(
            "order.amend.keepPriority",
            {"newClientOrderId": _NAME, "newQty": _QTY, "origClientOrderId": _NAME},
        )
        self._query = template("order.status", {"origClientOrderId": _NAME})
        self._query_by_id = template("order.status", {"orderId": _INTEGER})
        self._trades = template("myTrades", {"orderId": _INTEGER, "limit": 1000})

    def _fill(
        self,
        template: NDArray[np.void],
        instrument: int,
        name: str,
        request_id: int,
        time_ms: int,
        x: int,
        qty_lots: int = 0,
        mark: int = 0,
    ) -> bytes:
        end = self._write(
            template,
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


def _template(
    method: str, params: _Params, signer: HmacSigner | None, recv_window_ms: int
) -> NDArray[np.void]:
    """Return one kind of request (kernels.requests.TEMPLATE), its parameters sorted."""
    fields: _Params = {**params, "timestamp": _TIME}
    if recv_window_ms != RECV_WINDOW_MS_DEFAULT:
        fields["recvWindow"] = recv_window_ms
    ordered = sorted(fields.items())
    template = np.zeros(1, requests.TEMPLATE)
    pairs: list[tuple[str, str | int | _Hole]] = list(ordered)
    text = 0
    if signer is not None:
        # every parameter we send sorts after apiKey, so key and ampersand are hashed once for all
        assert all(name > "apiKey" for name, _ in ordered)
        signed: list[str | _Hole] = [signer.bind(template, f"apiKey={signer.api_key}&".encode()).decode()]
        for name, value in ordered:
            signed += [f"{name}=", value if isinstance(value, _Hole) else str(value), "&"]
        text = _write_pieces(template, "signed", text, signed[:-1])
        pairs = [("apiKey", signer.api_key), *pairs, ("signature", _SIGNATURE)]
    request: list[str | _Hole] = ['{"id":', _REQUEST_ID, f',"method":"{method}","params":{{']
    for name, value in pairs:
        request += [f'"{name}":', *_json(value), ","]
    _write_pieces(template, "request", text, [*request[:-1], "}}"])
    return template


def _write_pieces(template: NDArray[np.void], field: str, at: int, parts: list[str | _Hole]) -> int:
    """Write text and holes into a template, its text from `at` on; return where that ends."""
    pieces, text = template[field][0], template["text"][0]
    start, piece = at, 0
    for part in parts:
        if isinstance(part, _Hole):
            pieces[piece] = start, at, part.value
            start, piece = at, piece + 1
        else:
            letters = part.encode()
            text[at : at + len(letters)] = list(letters)
            at += len(letters)
    pieces[piece] = start, at, requests.NOTHING
    return at


def _json(value: str | int | _Hole) -> list[str | _Hole]:
    if isinstance(value, _Hole):
        return ['"', value, '"'] if value.quoted else [value]
    return [f'"{value}"' if isinstance(value, str) else str(value)]


def _listing(instrument: Instrument) -> NDArray[np.void]:
    """Return what requests have of an instrument (kernels.requests.LISTING)."""
    listing = np.zeros(1, requests.LISTING)
    symbol = instrument.exchange_symbol.encode()
    listing["symbol"][0, : len(symbol)] = list(symbol)
    listing["symbol_size"] = len(symbol)
    listing["price"], listing["qty"] = _scale(instrument.price), _scale(instrument.qty)
    return listing


def _scale(scale: Scale) -> tuple[int, int, int]:
    """Return a step's numerator and denominator, and the decimal places it is written with: at least one."""
    places = max(scale.places, 1)
    return int(scale.step * 10**places), 10**places, places
