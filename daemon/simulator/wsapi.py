"""One connection to the WebSocket API: requests, session logon, and the user data stream.

Events that a request causes are sent after its answer. Those caused by the market go out at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.errors import DECODE_ERRORS
from daemon.simulator.auth import check_signature, check_time, sorted_payload
from daemon.simulator.errors import (
    INVALID_JSON,
    SUBSCRIPTION_ACTIVE,
    SUBSCRIPTION_INACTIVE,
    UNSUPPORTED_OPERATION,
    ApiError,
    bad_key,
    missing,
)
from daemon.simulator.methods import NONE, USER_STREAM, Call, Method, authorize
from daemon.simulator.params import Params, as_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.simulator.auth import Key
    from daemon.simulator.faults import Faults
    from daemon.simulator.gateway import Gateway
    from daemon.simulator.streams import Outbox

#: what a connection answers by itself
SESSION_METHODS: Final = (
    "session.logon",
    "session.status",
    "session.logout",
    "session.subscriptions",
    "userDataStream.subscribe",
    "userDataStream.subscribe.signature",
    "userDataStream.unsubscribe",
)
_AUTH: Final = ("apiKey", "timestamp", "recvWindow", "signature", "returnRateLimits")
_encode = msgspec.json.encode


class ApiSession:
    """One WebSocket API connection."""

    def __init__(
        self, gateway: Gateway, outbox: Outbox, address: str, query: dict[str, str], now_ns: int
    ) -> None:
        self.outbox = outbox
        self._gateway = gateway
        self._address = address
        self._connected_ms = now_ns // 1_000_000
        self._rates = query.get("returnRateLimits", "true") != "false"
        unit = query.get("timeUnit", "MILLISECOND").upper()
        self._unit_ns = 1_000 if unit == "MICROSECOND" else 1_000_000
        self._key: Key | None = None
        self._authorized_ms: int | None = None
        self._subscriptions: dict[int, tuple[str, bool]] = {}  # id -> account, by logon
        self._next_subscription = 0
        self._held: list[bytes] | None = None
        handlers: tuple[Callable[[dict[str, str], int], Any], ...] = (self._logon, self._status, self._logout)
        if gateway.market == "spot":  # the futures have their user data streams elsewhere
            handlers += (self._list, self._subscribe, self._subscribe_signed, self._unsubscribe)
        self._session_methods = {
            name: (handler, 2) for name, handler in zip(SESSION_METHODS, handlers, strict=False)
        }

    def closed(self) -> None:
        """Forget the connection."""
        if self in self._gateway.api_sessions:
            self._gateway.api_sessions.remove(self)

    def hears(self, account: str) -> bool:
        """Whether it listens to the account."""
        return any(name == account for name, _ in self._subscriptions.values())

    def tell(self, account: str, event: dict[str, Any]) -> None:
        """Send an event to the subscriptions of its account."""
        for identifier, (name, _) in self._subscriptions.items():
            if name == account:
                frame = _encode({"subscriptionId": identifier, "event": self._in_unit(event)})
                if self._held is None:
                    self.outbox.send(frame)
                else:
                    self._held.append(frame)

    def _in_unit(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the event with its times in the connection's unit."""
        if self._unit_ns == 1_000_000:
            return event
        times = [name for name in ("E", "T", "O", "W", "u") if isinstance(event.get(name), int)]
        return event | {name: event[name] * 1_000 for name in times}

    def receive(self, text: bytes) -> None:
        """Take one request and answer it, then send the events it caused."""
        self._held = []
        try:
            if self._gateway.faults is None:
                self._send(self._answer(text))
            else:
                self._receive_faulty(self._gateway.faults, text)
        finally:
            held, self._held = self._held, None
            for frame in held:
                self.outbox.send(frame)

    def _receive_faulty(self, faults: Faults, text: bytes) -> None:
        """Take one request and answer it, as faults let it."""
        try:
            identifier, method, params = _read_request(text)
        except ApiError:
            self._send(self._answer(text))
            return
        about = self._gateway.market, method, str(params.get("symbol", ""))
        fate = faults.request("api", *about)
        answer = self._answer(text) if fate.executed else {}
        if fate.error is not None:
            answer = {"id": identifier, "status": fate.error.status, "error": fate.error.body()}
        if fate.answered:
            faults.answer(*about, lambda: self._send(answer))

    def _send(self, answer: dict[str, Any]) -> None:
        self.outbox.send(_encode(answer))
        if answer["status"] == 418:
            self.outbox.close(1008, "banned")

    def _answer(self, text: bytes) -> dict[str, Any]:
        now_ns = self._gateway.exchange.clock.now_ns()
        identifier: Any = None
        method: Method | None = None
        call: Call | None = None
        show_rates = self._rates
        try:
            identifier, name, raw = _read_request(text)
            values = {key: value for key, value in raw.items() if value is not None}
            show_rates = Params(values).flag("returnRateLimits", self._rates)
            local = self._session_methods.get(name)
            method = self._gateway.methods.get(name)
            params = Params({key: value for key, value in values.items() if key not in _AUTH})
            cost = local[1] if local else method.cost(params) if method else 1
            self._gateway.address(self._address).spend(cost, now_ns)
            texts = {key: as_text(value) for key, value in values.items()}
            if local is not None:
                result = local[0](texts, now_ns)
            elif method is None:
                raise ApiError(UNSUPPORTED_OPERATION, "This operation is not supported.")
            else:
                signer = self._signer(method, texts, now_ns) if method.security != NONE else None
                exchange = self._gateway.exchange
                account = exchange.accounts[signer.account] if signer else None
                call = Call(exchange, params, now_ns, self._unit_ns, self._gateway.limits, account)
                result = method.handler(call)
                params.finish()
            answer: dict[str, Any] = {"id": identifier, "status": 200, "result": result}
        except ApiError as error:
            answer = {"id": identifier, "status": error.status, "error": error.body()}
        if show_rates:
            rates = self._gateway.address(self._address).rows(now_ns)
            if method is not None and method.places_orders and call is not None:
                rates = [*call.account.orders.rows(now_ns), *rates]
            answer["rateLimits"] = rates
        return answer

    # --- who asks ---
    def _signer(self, method: Method, values: dict[str, str], now_ns: int) -> Key:
        """Return the key that signed, or the session's when nothing is signed."""
        if method.security == USER_STREAM:
            key = self._gateway.keyring.find(values.get("apiKey") or (self._key.api_key if self._key else ""))
            authorize(key, method)
            return key
        if "apiKey" not in values and self._key is not None:
            key = self._gateway.keyring.find(self._key.api_key)
            check_time(values.get("timestamp"), values.get("recvWindow"), now_ns)
        else:
            key = self._verified(values, now_ns)
        authorize(key, method)
        return key

    def _verified(self, values: dict[str, str], now_ns: int) -> Key:
        if not values.get("apiKey"):
            raise missing("apiKey")
        key = self._gateway.keyring.find(values["apiKey"])
        check_time(values.get("timestamp"), values.get("recvWindow"), now_ns)
        check_signature(key, sorted_payload(values), values.get("signature"))
        return key

    def _logon(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        key = self._verified(values, now_ns)
        if not key.can_logon:
            raise ApiError(-4056, "HMAC_SHA256 API key is not supported.")
        self._key = key
        self._authorized_ms = now_ns // 1_000_000
        return self._status(values, now_ns)

    def _status(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        del values
        return {
            "apiKey": self._key.api_key if self._key else None,
            "authorizedSince": self._authorized_ms,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._rates,
            "serverTime": now_ns // self._unit_ns,
            "userDataStream": bool(self._subscriptions),
        }

    def _logout(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        self._key = self._authorized_ms = None
        for identifier in [number for number, (_, by_logon) in self._subscriptions.items() if by_logon]:
            self._end(identifier, now_ns)
        return self._status(values, now_ns)

    # --- the user data stream ---
    def _subscribe(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        del values, now_ns
        if self._key is None:
            raise bad_key()
        return self._begin(self._key.account, by_logon=True)

    def _subscribe_signed(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        return self._begin(self._verified(values, now_ns).account, by_logon=False)

    def _begin(self, account: str, *, by_logon: bool) -> dict[str, Any]:
        if any(name == account for name, _ in self._subscriptions.values()):
            raise ApiError(SUBSCRIPTION_ACTIVE, "User Data Stream subscription already active.")
        identifier = self._next_subscription
        self._next_subscription += 1
        self._subscriptions[identifier] = (account, by_logon)
        return {"subscriptionId": identifier}

    def _unsubscribe(self, values: dict[str, str], now_ns: int) -> dict[str, Any]:
        identifier = Params(values).integer("subscriptionId")
        if identifier is not None and identifier not in self._subscriptions:
            raise ApiError(SUBSCRIPTION_INACTIVE, "User Data Stream subscription not active.")
        for number in [identifier] if identifier is not None else list(self._subscriptions):
            self._end(number, now_ns)
        return {}

    def _end(self, identifier: int, now_ns: int) -> None:
        del self._subscriptions[identifier]
        event = {"e": "eventStreamTerminated", "E": now_ns // self._unit_ns}
        frame = _encode({"subscriptionId": identifier, "event": event})
        assert self._held is not None, "subscriptions end by a request"
        self._held.append(frame)

    def _list(self, values: dict[str, str], now_ns: int) -> list[dict[str, int]]:
        del values, now_ns
        return [{"subscriptionId": identifier} for identifier in self._subscriptions]


def _read_request(text: bytes) -> tuple[Any, str, dict[str, Any]]:
    """Return id, method (without a version prefix) and params; raises ApiError -1135."""
    try:
        request = msgspec.json.decode(text)
    except DECODE_ERRORS:
        raise ApiError(INVALID_JSON, "Invalid JSON Request") from None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise ApiError(INVALID_JSON, "Invalid JSON Request")
    params = request.get("params") or {}
    identifier = request.get("id")
    if not isinstance(params, dict) or isinstance(identifier, (dict, list)):
        raise ApiError(INVALID_JSON, "Invalid JSON Request")
    return identifier, request["method"].removeprefix("v3/"), params
