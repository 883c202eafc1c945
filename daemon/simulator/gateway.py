"""The exchange's front: REST requests and websocket connections of one market, sans-IO.

A shell (daemon/simulator/server.py, or a test on virtual time) hands over requests and messages and writes
what comes back. Order of a request's checks: ban and weight, route, key, time, signature, parameters.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec

from daemon.simulator import public, trading, userstream, wallet
from daemon.simulator.auth import Keyring, check_signature, check_time, query_payload
from daemon.simulator.errors import UNKNOWN, UNSUPPORTED_OPERATION, ApiError
from daemon.simulator.methods import NONE, USER_STREAM, Call, Method, authorize
from daemon.simulator.params import Params
from daemon.simulator.rates import AddressLimits, Limits
from daemon.simulator.streams import Hub, MarketSession, Outbox
from daemon.simulator.usdm import public as usdm_public
from daemon.simulator.usdm import trading as usdm_trading
from daemon.simulator.usdm import wallet as usdm_wallet
from daemon.simulator.userstream import UserSession
from daemon.simulator.wsapi import SESSION_METHODS, ApiSession

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from daemon.simulator.auth import Key
    from daemon.simulator.exchange import Exchange
    from daemon.simulator.faults import Faults

PREFIXES: Final = {"spot": "/api/v3/", "usdm": "/fapi/v1/", "coinm": "/dapi/v1/"}
_AUTH: Final = ("timestamp", "recvWindow", "signature", "timeUnit")
_WS_APIS: Final = {"spot": "/ws-api/v3", "usdm": "/ws-fapi/v1"}
#: what spot had once
_GONE: Final = {one.path for one in userstream.SPOT}
#: what spot has and this exchange has not
_ABSENT: Final = re.compile(
    r"(order/oco|orderList(/.+)?|(all|open)OrderList|sor/order(/test)?|order/amendments|myPreventedMatches"
    r"|myAllocations|ticker(/tradingDay)?)"
)
#: public methods that the futures' WebSocket API has too
_FUTURES_NAMES: Final = ("depth", "ticker.price", "ticker.book")


def _methods(market: str) -> list[Method]:
    """Return the methods of a market; those without a name are REST's alone."""
    if market == "spot":
        return [*public.SPOT, *trading.METHODS]
    rows = [row if row.name in _FUTURES_NAMES else row._replace(name="") for row in public.FUTURES]
    if market != "usdm":
        return rows
    return [*rows, *usdm_public.METHODS, *usdm_trading.METHODS, *usdm_wallet.METHODS]


AnySession: TypeAlias = MarketSession | ApiSession | UserSession


class Answer(NamedTuple):
    """An HTTP answer, to be sent so much later; status 0 is none at all: the client waits in vain."""

    status: int
    headers: dict[str, str]
    body: bytes
    delay_s: float = 0.0


LOST: Final = Answer(0, {}, b"")


def page(status: int) -> Answer:
    """Return what answers where no method does: a page of the server before the API."""
    body = f"<html><body><h1>{status} {HTTPStatus(status).phrase}</h1></body></html>".encode()
    return Answer(status, {"Content-Type": "text/html"}, body)


class Session(NamedTuple):
    """What a websocket path leads to: a session, or the status that refuses it, 0 for a cut without one."""

    session: AnySession | None
    status: int = 101


class Gateway:
    """One market's front; several may share an Exchange."""

    def __init__(self, exchange: Exchange, market: str, keyring: Keyring, limits: Limits) -> None:
        self.exchange = exchange
        self.market = market
        self.hub = Hub()
        self.keyring = keyring
        self.limits = limits
        self.api_sessions: list[ApiSession] = []
        self.user_sessions: list[UserSession] = []
        self.faults: Faults | None = None
        self._prefix = PREFIXES[market]
        rows = _methods(market)
        self._routes = {(method.verb, method.path): method for method in rows}
        if market == "spot" and exchange.listen_keys is not None:
            self._routes |= {(one.verb, one.path): one for one in userstream.SPOT}
        if market == "spot":
            self._routes |= {(one.verb, wallet.PREFIX + one.path): one for one in wallet.METHODS}
        self._paths = {path for _, path in self._routes}
        self.methods = {method.name: method for method in rows if method.name}
        self._addresses: dict[str, AddressLimits] = {}
        if market in _WS_APIS:
            exchange.reporter.emit = self._emit

    def names(self) -> set[str]:
        """Return what requests are called: by the WebSocket API, or by verb and path where it has no name."""
        return {_name(method) for method in self._routes.values()} | {*SESSION_METHODS}

    def address(self, address: str) -> AddressLimits:
        """Return what an address has used."""
        found = self._addresses.get(address)
        if found is None:
            found = self._addresses[address] = AddressLimits(self.limits)
        return found

    # --- REST ---
    def request(self, verb: str, target: str, headers: Mapping[str, str], body: str, address: str) -> Answer:
        """Answer one HTTP request, as faults let it; `headers` has lower-case names."""
        if self.faults is None:
            return self._execute(verb, target, headers, body, address)
        parts = urlsplit(target)
        method = self._route(verb, parts.path)
        name = _name(method) if method else ""
        symbol = dict((*parse_qsl(parts.query), *parse_qsl(body))).get("symbol", "")
        fate = self.faults.request("rest", self.market, name, symbol)
        answer = self._execute(verb, target, headers, body, address) if fate.executed else LOST
        if fate.error is not None:
            now_ns = self.exchange.clock.now_ns()
            answer = self._refusal(fate.error, None, None, self.address(address), now_ns)
            if fate.error.code == UNKNOWN:  # the API does not say so, but a gateway before it, with a page
                answer = page(fate.error.status)
        return answer._replace(delay_s=fate.delay_s) if fate.answered else LOST

    def _execute(self, verb: str, target: str, headers: Mapping[str, str], body: str, address: str) -> Answer:
        parts = urlsplit(target)
        now_ns = self.exchange.clock.now_ns()
        used = self.address(address)
        method: Method | None = None
        call: Call | None = None
        try:
            values = _read_values(parts.query, body)
            method = self._route(verb, parts.path)
            params = Params({name: value for name, value in values.items() if name not in _AUTH})
            used.spend(method.cost(params) if method else 1, now_ns)
            if method is None:
                path = self._method_path(parts.path)
                if self.market == "spot" and _ABSENT.fullmatch(path):
                    raise ApiError(UNSUPPORTED_OPERATION, "This operation is not supported.")
                status = 405 if path in self._paths else 410 if path in _GONE else 404
                return page(status)
            signer = None
            if method.security != NONE:
                signer = self._signer(method, values, parts.query, body, headers, now_ns)
            unit_ns = time_unit(headers.get("x-mbx-time-unit") or values.get("timeUnit"))
            account = self.exchange.accounts[signer.account] if signer else None
            call = Call(self.exchange, params, now_ns, unit_ns, self.limits, account, signer, rest=True)
            result = method.handler(call)
            params.finish()
        except ApiError as error:
            return self._refusal(error, method, call, used, now_ns)
        return Answer(200, self._headers(used, now_ns, method, call), msgspec.json.encode(result))

    def _route(self, verb: str, path: str) -> Method | None:
        return self._routes.get((verb, self._method_path(path)))

    def _method_path(self, path: str) -> str:
        """Return a path as methods have it: without the prefix, others' with it."""
        if path.startswith(self._prefix):
            return path.removeprefix(self._prefix)
        if path.startswith(wallet.PREFIX):
            return path
        newer = self._prefix.removesuffix("v1/")
        return path.removeprefix(newer) if self.market == "usdm" and path.startswith(newer) else ""

    def _signer(
        self,
        method: Method,
        values: Mapping[str, str],
        query: str,
        body: str,
        headers: Mapping[str, str],
        now_ns: int,
    ) -> Key:
        key = self.keyring.find(headers.get("x-mbx-apikey", ""))
        if method.security == USER_STREAM:
            return key
        check_time(values.get("timestamp"), values.get("recvWindow"), now_ns)
        check_signature(key, query_payload(query, body), values.get("signature"))
        authorize(key, method)
        return key

    def _headers(
        self, used: AddressLimits, now_ns: int, method: Method | None = None, call: Call | None = None
    ) -> dict[str, str]:
        headers = used.headers(now_ns)
        if method is not None and method.places_orders and call is not None:
            headers |= call.account.orders.headers(now_ns)
        return headers

    def _refusal(
        self, error: ApiError, method: Method | None, call: Call | None, used: AddressLimits, now_ns: int
    ) -> Answer:
        headers = self._headers(used, now_ns, method, call)
        body = error.body()
        if error.status in (418, 429):
            assert error.data is not None
            wait_ms = error.data["retryAfter"] - now_ns // 1_000_000
            headers["Retry-After"] = str(max(1, -(-wait_ms // 1_000)))
            del body["data"]  # REST says it in the header
        return Answer(error.status, headers, msgspec.json.encode(body))

    # --- websockets ---
    def connect(self, target: str, outbox: Outbox, address: str) -> Session:
        """Open a websocket path: market streams, the WebSocket API, or the futures' user data streams."""
        parts = urlsplit(target)
        now_ns = self.exchange.clock.now_ns()
        if not self.address(address).connect(now_ns):
            return Session(None, 429)
        query = dict(parse_qsl(parts.query))
        path = parts.path.rstrip("/")
        listened = self._listened(path, query, now_ns)
        api = path == _WS_APIS.get(self.market)
        if self.faults is not None:
            status = self.faults.connect(self.market, "user" if listened else "api" if api else "market")
            if status != 101:
                return Session(None, status)
        if listened is not None:
            user = UserSession(outbox, *listened, self._user_closed)
            self.user_sessions.append(user)
            return Session(user)
        if self.market == "usdm":
            path = path.removeprefix("/public").removeprefix("/market").removeprefix("/private")
        if api:
            try:
                self.address(address).spend(2, now_ns)
            except ApiError as error:
                return Session(None, error.status)
            session = ApiSession(self, outbox, address, query, now_ns)
            self.api_sessions.append(session)
            return Session(session)
        if path == "/stream":
            names = [name for name in query.get("streams", "").split("/") if name]
            return self._open_streams(outbox, names, query, combined=True)
        if path == "/ws" or path.startswith("/ws/"):
            names = [name for name in path.removeprefix("/ws").split("/") if name]
            return self._open_streams(outbox, names, query, combined=False)
        return Session(None, 404)

    def _open_streams(
        self, outbox: Outbox, names: list[str], query: Mapping[str, str], *, combined: bool
    ) -> Session:
        if self.limits.streams and len(names) > self.limits.streams:
            return Session(None, 400)
        try:
            micro = self.market == "spot" and time_unit(query.get("timeUnit")) == 1_000
        except ApiError as error:
            return Session(None, error.status)
        return Session(MarketSession(self.hub, outbox, names, combined, self.limits.streams, micro))

    def _listened(self, path: str, query: Mapping[str, str], now_ns: int) -> tuple[str, str, bool] | None:
        """Return account, listen key and form of the user data stream that a path names; None for others."""
        if self.exchange.listen_keys is None:
            return None
        path = path.removeprefix("/private")
        combined = path == "/stream"
        named = query.get("streams", "") if combined else path.removeprefix("/ws").strip("/")
        key = query.get("listenKey") or named
        account = self.exchange.listen_keys.owner(key, now_ns) if key else None
        return None if account is None else (account, key, combined)

    def _user_closed(self, session: UserSession) -> None:
        if session in self.user_sessions:
            self.user_sessions.remove(session)

    def _emit(self, account: str, event: dict[str, Any]) -> None:
        if self.faults is None:
            self._tell(account, event)
        elif self._heard(account, event):
            self.faults.event(self.market, event, lambda: self._tell(account, event))

    def _heard(self, account: str, event: dict[str, Any]) -> bool:
        """Whether anybody listens to the account."""
        return (
            any(user.account == account for user in self.user_sessions)
            or any(session.hears(account) for session in self.api_sessions)
            or self.hub.has(self._listen_key(account, event))
        )

    def _listen_key(self, account: str, event: dict[str, Any]) -> str:
        """Return the stream that tells of the account: its listen key's, which may be ending."""
        keys = self.exchange.listen_keys
        ending: str = event.get("listenKey", "")
        return ending or ("" if keys is None else keys.of(account))

    def _tell(self, account: str, event: dict[str, Any]) -> None:
        for user in list(self.user_sessions):
            if user.account == account:
                user.tell(event)
        for session in self.api_sessions:
            session.tell(account, event)
        key = self._listen_key(account, event)
        if self.hub.has(key):
            self.hub.tell(key, msgspec.json.encode(event))

    def shutdown(self) -> None:
        """Announce on every connection that the server goes down."""
        self.announce_shutdown([*self.hub.sessions, *self.api_sessions])

    def announce_shutdown(self, sessions: Collection[AnySession]) -> None:
        """Announce it on some connections; a user data stream by listen key has no word for it."""
        now_ms = self.exchange.clock.now_ns() // 1_000_000
        event = {"e": "serverShutdown", "E": now_ms}
        for session in self.hub.sessions:
            if session in sessions:
                payload = {"stream": "!serverShutdown", "data": event} if session.combined else event
                session.outbox.send(msgspec.json.encode(payload))
        for api in self.api_sessions:
            if api in sessions:
                api.outbox.send(msgspec.json.encode({"event": event}))


def _name(method: Method) -> str:
    return method.name or f"{method.verb} {method.path}"


def _read_values(query: str, body: str) -> dict[str, str]:
    """Return the parameters of query and body; raises ApiError -1101 for one sent twice."""
    values: dict[str, str] = {}
    for name, value in (*parse_qsl(query, keep_blank_values=True), *parse_qsl(body, keep_blank_values=True)):
        if name in values:
            raise ApiError(-1101, "Duplicate values for a parameter detected.")
        values[name] = value
    return values


def time_unit(name: str | None) -> int:
    """Return the nanoseconds of a time unit's name; milliseconds where none is named."""
    if name is None or name.upper() == "MILLISECOND":
        return 1_000_000
    if name.upper() == "MICROSECOND":
        return 1_000
    raise ApiError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
