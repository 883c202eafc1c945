"""A simulated futures exchange on virtual time, with its doors: REST, WebSocket API and user data stream."""

from __future__ import annotations

import hashlib
import hmac
from random import Random
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from daemon.clock import VirtualTime
from daemon.instruments import make_instrument
from daemon.simulator.auth import Key, Keyring
from daemon.simulator.gateway import Gateway
from daemon.simulator.rates import Limits
from daemon.simulator.symbols import UNIT, list_symbol
from daemon.simulator.usdm.account import FuturesAccount
from daemon.simulator.usdm.exchange import FuturesExchange

START_NS = 1_700_000_000_000_000_000
API_KEY, SECRET = "k" * 64, "s" * 64
BOOK = b"""{"bids":[["1000.0","1.000"],["999.0","5.000"]],"asks":[["1001.0","1.000"],["1002.0","5.000"]]}"""


class FuturesKit:
    """One exchange with BTCUSDT, which last traded at 1000.5, and an account of 1,000 USDT at 20 times."""

    def __init__(self) -> None:
        self.time = VirtualTime(START_NS)
        self.account = FuturesAccount("main", {"USDT": 1_000 * UNIT}, 20_000, 50_000, Limits())
        instrument = make_instrument(
            0, "binance", "usdm", "BTC/USDT", tick_size="0.1", lot_size="0.001", qty_min="0.001",
            qty_max="1000", notional_min="100",
        )  # fmt: skip
        self.exchange = FuturesExchange([list_symbol(instrument)], [self.account], self.time, Random(7))
        self.gateway = Gateway(
            self.exchange, "usdm", Keyring([Key(API_KEY, "main", secret=SECRET.encode())]), Limits()
        )
        self.market = self.exchange.markets["BTCUSDT"]
        self.market.snapshot(1, BOOK)
        self.market.quote(1_000 * UNIT, UNIT, 1_001 * UNIT, UNIT)
        self.trade("1000.5", "0.001", buyer_is_maker=False)
        self.events: list[dict[str, Any]] = []
        self.exchange.reporter.emit = lambda _, event: self.events.append(event)

    @property
    def position(self) -> Any:
        return self.account.position(self.market.symbol)

    def call(self, verb: str, path: str, **params: Any) -> Any:
        """Make a signed request; returns the body, whatever the status."""
        query = urlencode({"timestamp": self.time.now_ns() // 1_000_000} | params)
        signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        if "/" not in path or not path.startswith("v"):
            path = f"v1/{path}"
        target = f"/fapi/{path}?{query}&signature={signature}"
        return msgspec.json.decode(
            self.gateway.request(verb, target, {"x-mbx-apikey": API_KEY}, "", "a").body
        )

    def order(self, **params: Any) -> Any:
        """Place an order; returns the body, whatever the status."""
        fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.2"} | params
        if fields["type"] == "LIMIT":
            fields = {"timeInForce": "GTC", "newOrderRespType": "RESULT"} | fields
        return self.call("POST", "order", **fields)

    def buy(self, qty: str = "0.2", **params: Any) -> Any:
        """Take what is offered at 1001."""
        return self.order(type="MARKET", quantity=qty, newOrderRespType="RESULT", **params)

    def stop(self, **params: Any) -> Any:
        """Place a conditional order; returns the body, whatever the status."""
        fields = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "algoType": "CONDITIONAL"}
        return self.call(
            "POST", "algoOrder", **(fields | {"quantity": "0.2", "triggerPrice": "990"} | params)
        )

    def trade(self, price: str, qty: str, *, buyer_is_maker: bool) -> None:
        """Let the public trade."""
        ticks, lots = int(float(price) * 10) * UNIT // 10, int(float(qty) * 1_000) * UNIT // 1_000
        now_ms = self.time.now_ns() // 1_000_000
        self.market.trade(len(self.market.trades) + 1, ticks, lots, buyer_is_maker, now_ms)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind since the last call, and forget all."""
        found = [event for event in self.events if event["e"] == kind]
        self.events.clear()
        return found


@pytest.fixture
def kit() -> FuturesKit:
    return FuturesKit()
