"""The simulated exchange: whatever a client sends, it is answered, and the account stays sound."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from daemon.errors import DECODE_ERRORS
from daemon.simulator.streams import MarketSession
from tests.daemon.simulator.conftest import API_KEY, Kit, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.simulator.account import Account


def _check(account: Account) -> None:
    for asset, balance in account.balances.items():
        assert balance.free >= 0, asset
        assert balance.locked >= 0, asset


def rest() -> Callable[[bytes], object]:
    """Open the REST door; an input is requests, a line each: verb, path, parameters. They are signed."""

    def run(data: bytes) -> None:
        kit = Kit()
        for line in data.decode("latin-1").split("\n"):
            verb, _, target = line.partition(" ")
            path, _, query = target.partition("?")
            for answer in (
                kit.gateway.request(verb, target, {"x-mbx-apikey": API_KEY}, "", "a"),
                kit.signed(verb, path, **dict(part.partition("=")[::2] for part in query.split("&"))),
            ):
                assert 200 <= answer.status < 600
                if answer.body and "html" not in answer.headers.get("Content-Type", ""):
                    msgspec.json.decode(answer.body)
        _check(kit.account)

    return run


def rest_seeds() -> list[bytes]:
    """Return requests of each kind."""
    limit = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=99.5&newClientOrderId=a-1"
    found = [
        "GET /api/v3/exchangeInfo?symbol=BTCUSDT",
        "GET /api/v3/depth?symbol=BTCUSDT&limit=5",
        "GET /api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3",
        f"POST order?{limit}",
        "POST order?symbol=BTCUSDT&side=SELL&type=MARKET&quoteOrderQty=20",
        f"POST order?{limit.replace('LIMIT', 'STOP_LOSS_LIMIT').replace('a-1', 'a-2')}&stopPrice=101",
        "GET order?symbol=BTCUSDT&origClientOrderId=a-1",
        "DELETE order?symbol=BTCUSDT&origClientOrderId=a-1",
        f"POST order/cancelReplace?{limit}&cancelReplaceMode=ALLOW_FAILURE&cancelOrderId=1",
        "GET openOrders?symbol=BTCUSDT",
        "GET allOrders?symbol=BTCUSDT&limit=3",
        "GET myTrades?symbol=BTCUSDT&fromId=0",
        "GET account?omitZeroBalances=true",
    ]
    return [one.encode() for one in [*found, "\n".join(found)]]


def api() -> Callable[[bytes], object]:
    """Open a WebSocket API connection; an input is requests, a line each, sent as they are and signed."""

    def run(data: bytes) -> None:
        kit = Kit()
        session, outbox = kit.connect()
        for line in data.split(b"\n"):
            before = len(outbox.sent)
            session.receive(line)
            assert len(outbox.sent) > before, "a request without an answer"
            request = _decoded(line)
            if request is not None:
                request["params"] = kit.sign(**request["params"])
                session.receive(msgspec.json.encode(request))
        outbox.take()
        _check(kit.account)

    return run


def _decoded(line: bytes) -> dict[str, dict[str, object]] | None:
    try:
        request = msgspec.json.decode(line)
    except DECODE_ERRORS:
        return None
    named = isinstance(request, dict) and isinstance(request.get("params"), dict)
    return request if named else None


def api_seeds() -> list[bytes]:
    """Return requests of each kind."""
    place = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5"}
    asked: list[tuple[str, dict[str, object]]] = [
        ("order.place", place | {"price": "99.5", "newClientOrderId": "a-1"}),
        ("order.place", place | {"price": "100.01", "newOrderRespType": "FULL"}),
        ("order.status", {"symbol": "BTCUSDT", "origClientOrderId": "a-1"}),
        ("order.amend.keepPriority", {"symbol": "BTCUSDT", "origClientOrderId": "a-1", "newQty": "0.2"}),
        ("order.cancel", {"symbol": "BTCUSDT", "origClientOrderId": "a-1"}),
        (
            "order.cancelReplace",
            place | {"price": "98", "cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": 1},
        ),
        ("userDataStream.subscribe.signature", {}),
        ("time", {}),
        ("session.status", {}),
    ]
    lines = [
        msgspec.json.encode({"id": number, "method": method, "params": params})
        for number, (method, params) in enumerate(asked)
    ]
    return [*lines, b"\n".join(lines)]


def streams() -> Callable[[bytes], object]:
    """Open a connection for market streams; an input is requests, a line each."""

    def run(data: bytes) -> None:
        kit, outbox = Kit(), Outbox()
        session = kit.gateway.connect("/stream?streams=btcusdt@trade", outbox, "a").session
        assert isinstance(session, MarketSession)
        for line in data.split(b"\n"):
            session.receive(line)
        kit.trade("100.00", "0.5", buyer_is_maker=True)
        session.closed()
        outbox.take()

    return run


def streams_seeds() -> list[bytes]:
    """Return requests of each kind."""
    return [
        b'{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms","btcusdt@bookTicker"],"id":1}',
        b'{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":2}',
        b'{"method":"LIST_SUBSCRIPTIONS","id":3}',
        b'{"method":"SET_PROPERTY","params":["combined",true],"id":4}',
        urlencode({"streams": "btcusdt@trade"}).encode(),
    ]
