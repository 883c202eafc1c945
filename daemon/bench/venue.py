"""What the bench's exchange says when nobody measures: handshakes, REST, and the session's first requests.

Plain Python, on blocking sockets, before and between segments; sans-IO but for reading an HTTP head.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from daemon.bench.market import PRICE_TICK, QTY_LOT, S_HELD, base_asset
from daemon.bench.segment import CASH

if TYPE_CHECKING:
    import socket

    from daemon.bench.segment import Line

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: what the account holds of the quote currency at the start: more than any run can spend
CASH_START: Final = 10**12
#: ticks times lots in one unit of the quote currency
_CASH_UNITS: Final = 10**7
_HEAD_BYTES_MAX: Final = 1 << 14


class Head:
    """An HTTP request's first part."""

    def __init__(self, data: bytes) -> None:
        first, *lines = data.decode("latin-1").split("\r\n")
        self.method, target, _ = first.split(" ", 2)
        self.path = urlsplit(target).path
        self.headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }

    @property
    def body_bytes(self) -> int:
        """How long what follows is."""
        return int(self.headers.get("content-length", "0"))


def read_head(connection: socket.socket) -> Head | None:
    """Return the next request's head, None at the connection's end."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)  # what follows is a body or frames, and somebody else's to read
        if not byte or len(data) > _HEAD_BYTES_MAX:
            return None
        data += byte
    return Head(data)


def upgrade(head: Head) -> bytes:
    """Return the answer that makes the connection a websocket."""
    key = head.headers["sec-websocket-key"] + _GUID
    accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


def http(status: int, value: Any) -> bytes:
    """Return an HTTP answer of JSON."""
    body = msgspec.json.encode(value)
    head = f"HTTP/1.1 {status} \r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def text_frame(payload: bytes) -> bytes:
    """Return an unmasked text frame of up to 65,535 bytes."""
    size = len(payload)
    head = bytes([0x81, size]) if size < 126 else bytes([0x81, 126]) + size.to_bytes(2)
    return head + payload


def rest(endpoint: str, line: Line, time_ms: int) -> Any:
    """Return what a REST endpoint answers, by the last word of its path; None for one that is unknown."""
    if endpoint == "exchangeInfo":
        return {"symbols": [_symbol(number) for number in range(len(line.symbols))]}
    if endpoint == "account":
        return {"balances": balances(line)}
    if endpoint in {"openOrders", "allOrders", "myTrades"}:
        return []
    return {"serverTime": time_ms} if endpoint == "time" else None


def balances(line: Line) -> list[dict[str, str]]:
    """Return the account, as the orders filled so far have left it."""
    cash = CASH_START * _CASH_UNITS - int(line.tally[CASH])
    rows = [{"asset": "USDT", "free": _decimal(cash, 7), "locked": "0.00000000"}]
    for number, held in enumerate(line.symbols[:, S_HELD].tolist()):
        if held:
            rows.append({"asset": base_asset(number), "free": _decimal(held, 5), "locked": "0.00000000"})
    return rows


def session(request: bytes, time_ms: int) -> bytes:
    """Return the answer to a WebSocket API request that is no order."""
    asked = msgspec.json.decode(request)
    results: dict[str, Any] = {
        "time": {"serverTime": time_ms},
        "userDataStream.subscribe.signature": {"subscriptionId": 0},
    }
    answer = {"id": asked["id"], "status": 200, "result": results.get(asked["method"], {})}
    if asked["method"] not in results:
        answer = {"id": asked["id"], "status": 400, "error": {"code": -1000, "msg": "not at this exchange"}}
    return msgspec.json.encode(answer)


def _decimal(units: int, places: int) -> str:
    whole, part = divmod(units, 10**places)
    return f"{whole}.{part:0{places}d}"


def _symbol(number: int) -> dict[str, Any]:
    base = base_asset(number)
    return {
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": PRICE_TICK},
            {"filterType": "LOT_SIZE", "stepSize": QTY_LOT, "minQty": QTY_LOT, "maxQty": "9000"},
            {"filterType": "NOTIONAL", "minNotional": "5"},
        ],
    }
