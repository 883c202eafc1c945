"""A simulated exchange on virtual time, with its two doors: REST requests and WebSocket API messages."""

from __future__ import annotations

import gzip
import hashlib
import hmac
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
import pytest

from daemon.clock import VirtualTime
from daemon.instruments import make_instrument
from daemon.simulator.account import Account
from daemon.simulator.auth import Key, Keyring, sorted_payload
from daemon.simulator.exchange import Exchange
from daemon.simulator.fault import read_one
from daemon.simulator.faults import Faults
from daemon.simulator.gateway import Answer, Gateway
from daemon.simulator.rates import Limits
from daemon.simulator.symbols import UNIT, list_symbol
from daemon.simulator.wsapi import ApiSession

if TYPE_CHECKING:
    from pathlib import Path

START_NS = 1_700_000_000_000_000_000
API_KEY = "k" * 64
SECRET = "s" * 64
BOOK = b"""{"bids":[["100.00","1.0"],["99.99","2.0"],["99.00","5.0"]],
"asks":[["100.01","1.0"],["100.02","2.0"],["101.00","5.0"]]}"""

QUOTE = (
    '{"stream":"btcusdt@bookTicker",'
    '"data":{"u":1,"s":"BTCUSDT","b":"100.00","B":"1.00","a":"100.01","A":"2.00"}}'
)
TRADE = (
    '{"stream":"btcusdt@trade",'
    '"data":{"e":"trade","E":1001,"s":"BTCUSDT","t":7,"p":"100.01","q":"0.50","T":1000,"m":false}}'
)
DEPTH = (
    '{"stream":"btcusdt@depth@100ms",'
    '"data":{"e":"depthUpdate","E":1001,"s":"BTCUSDT","U":%d,"u":%d,"b":[["%s","%s"]],"a":[]}}'
)
SNAPSHOT = '{"lastUpdateId":10,"bids":[["100.00","1.00"]],"asks":[["100.01","2.00"]]}'


class Outbox:
    """What a connection was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.ended: tuple[int, str] | None = None

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)

    def close(self, code: int, reason: str) -> None:
        self.ended = (code, reason)

    def take(self) -> list[Any]:
        """Return the decoded messages since the last call."""
        messages = [msgspec.json.decode(payload) for payload in self.sent]
        self.sent.clear()
        return messages


class Kit:
    """One spot exchange with BTCUSDT and ETHBTC, one account, one HMAC key; a book of three levels a side."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.time = VirtualTime(START_NS)
        self.limits = limits or Limits()
        self.account = Account(
            "main", {"USDT": 100_000 * UNIT, "BTC": 10 * UNIT}, 100_000, 100_000, self.limits
        )
        symbols = [list_symbol(instrument("BTC/USDT")), list_symbol(instrument("ETH/BTC"))]
        self.exchange = Exchange(symbols, [self.account], self.time, Random(7))
        self.key = Key(API_KEY, "main", secret=SECRET.encode())
        self.keyring = Keyring([self.key])
        self.gateway = Gateway(self.exchange, "spot", self.keyring, self.limits)
        self.market = self.exchange.markets["BTCUSDT"]
        self.market.snapshot(1, BOOK)
        self.market.quote(100 * UNIT, UNIT, 10_001 * UNIT // 100, UNIT)

    def faults(self, *faults: dict[str, Any], seed: int = 1) -> Faults:
        """Put faults on a schedule; the kit's `crashes` counts the crashes they bring."""
        self.crashes = 0

        def crash() -> None:
            self.crashes += 1

        schedule = Faults({"spot": self.gateway}, self.time, self.time, seed, crash)
        schedule.add([read_one(fault, "here") for fault in faults])
        return schedule

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.time.advance(self.time.now_ns() + round(seconds * 1e9))

    @property
    def now_ms(self) -> int:
        return self.time.now_ns() // 1_000_000

    def rest(self, verb: str, path: str, address: str = "a", **params: Any) -> Answer:
        """Make an unsigned request."""
        return self.gateway.request(verb, f"/api/v3/{path}?{urlencode(params)}", {}, "", address)

    def signed(
        self, verb: str, path: str, address: str = "a", prefix: str = "/api/v3/", **params: Any
    ) -> Answer:
        """Make a signed request."""
        query = urlencode({"timestamp": self.now_ms} | params)
        signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        target = f"{prefix}{path}?{query}&signature={signature}"
        return self.gateway.request(verb, target, {"x-mbx-apikey": API_KEY}, "", address)

    def order(self, **params: Any) -> dict[str, Any]:
        """Place an order by REST; returns the body, whatever the status."""
        defaults = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "newOrderRespType": "FULL"}
        if params.get("type", "LIMIT") == "LIMIT":
            defaults["timeInForce"] = "GTC"
        body: dict[str, Any] = msgspec.json.decode(self.signed("POST", "order", **(defaults | params)).body)
        return body

    def connect(self, target: str = "/ws-api/v3") -> tuple[ApiSession, Outbox]:
        """Open a WebSocket API connection."""
        outbox = Outbox()
        session = self.gateway.connect(target, outbox, "a").session
        assert isinstance(session, ApiSession)
        return session, outbox

    def sign(self, **params: Any) -> dict[str, Any]:
        """Return WebSocket API parameters with time and signature."""
        full = {"apiKey": API_KEY, "timestamp": self.now_ms} | params
        payload = sorted_payload({name: str(value) for name, value in full.items()})
        return full | {"signature": hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()}

    def trade(self, price: str, qty: str, *, buyer_is_maker: bool) -> None:
        """Let the public trade."""
        self.market.trade(len(self.market.trades) + 1, units(price), units(qty), buyer_is_maker, self.now_ms)


def units(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(8, "0"))


def instrument(symbol: str, market: str = "spot", index: int = 0) -> Any:
    return make_instrument(
        index,
        "binance",
        market,  # type: ignore[arg-type]
        symbol,
        tick_size="0.01",
        lot_size="0.001",
        qty_min="0.001",
        qty_max="9000",
        notional_min="5",
    )


def request(session: ApiSession, outbox: Outbox, method: str, params: dict[str, Any] | None = None) -> Any:
    """Send a WebSocket API request; returns its answer, leaving the events in the outbox."""
    session.receive(msgspec.json.encode({"id": 1, "method": method, "params": params or {}}))
    answer = msgspec.json.decode(outbox.sent.pop(0))
    assert answer["id"] == 1
    return answer


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.fixture
def make_kit() -> Any:
    return Kit


@pytest.fixture
def make_outbox() -> Any:
    return Outbox


@pytest.fixture
def ask() -> Any:
    return request


@pytest.fixture
def make_symbol() -> Any:
    return lambda symbol="BTC/USDT", market="spot": list_symbol(instrument(symbol, market))


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write lines as a capture, a microsecond apart."""

    def write(*lines: str, first_ns: int = 1_000) -> Path:
        path = tmp_path / "tape.gz"
        path.write_bytes(
            gzip.compress(
                "".join(f"{first_ns + i * 1_000} {line}\n" for i, line in enumerate(lines)).encode()
            )
        )
        return path

    return write
