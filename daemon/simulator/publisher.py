"""Writing one market's events as Binance's stream payloads, for the streams that someone listens to.

With the synthetic market everything is written here; with a tape only what the tape itself does not hold
(aggregate trades, klines, partial depth, slower depth, tickers).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.simulator.bars import INTERVALS, opens
from daemon.simulator.symbols import text
from daemon.simulator.tickers import day_ticker, mini_ticker

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from daemon.simulator.bars import Bar
    from daemon.simulator.marketdata import MarketData, Trade
    from daemon.simulator.streams import Hub

_encode = msgspec.json.encode
Levels = list[list[str]]
#: partial depth streams: levels and how often, in ms
_PARTIAL: Final = {
    f"depth{n}{suffix}": (n, every) for n in (5, 10, 20) for suffix, every in (("", 1000), ("@100ms", 100))
}


#: streams of every symbol's, which tell of those that changed
_OF_ALL: Final = frozenset({"!miniTicker@arr", "!ticker@arr"})
#: streams of marks, and how often they speak, in ms
_MARKS: Final = {"markPrice": 3_000, "markPrice@1s": 1_000}


class Publisher:
    """One symbol's streams; `native` are those that reach the hub from elsewhere (a tape)."""

    #: what futures tell of a mark, by market and time in ms
    mark: Callable[[MarketData, int], dict[str, Any]] | None = None

    def __init__(self, hub: Hub, market: MarketData, native: Collection[str] = ()) -> None:
        self._hub = hub
        self._market = market
        self._name = market.symbol.name
        self._futures = market.symbol.market != "spot"
        prefix = market.symbol.stream + "@"
        self._native = frozenset(stream.removeprefix(prefix) for stream in native)
        self._prefix = prefix
        self._due_ms: dict[str, int] = {}
        self._bars: dict[str, Bar] = {}
        self._slow = _Merge()
        self._version = -1
        self._wanted: frozenset[str] = frozenset()
        self._klines: list[str] = []

    def _kinds(self) -> frozenset[str]:
        """Return what is listened to and written here; looked up again only when subscriptions changed."""
        if self._version != self._hub.version:
            self._version = self._hub.version
            mine = {s.removeprefix(self._prefix) for s in self._hub.streams() if s.startswith(self._prefix)}
            of_all = {name for name in _OF_ALL if self._hub.has(name) and (self._futures or "mini" in name)}
            self._wanted = frozenset(mine - self._native) | of_all
            self._klines = [k.removeprefix("kline_") for k in sorted(self._wanted) if k[6:] in INTERVALS]
            self._bars = {interval: bar for interval, bar in self._bars.items() if interval in self._klines}
        return self._wanted

    def _due(self, kind: str, now_ms: int, every_ms: int) -> bool:
        """Whether a throttled stream may speak again; a calendar grid, so that it does not drift."""
        slot = now_ms // every_ms
        if self._due_ms.get(kind) == slot:
            return False
        self._due_ms[kind] = slot
        return True

    def _send(self, kind: str, payload: dict[str, Any]) -> None:
        self._hub.publish(self._prefix + kind, _encode(payload))

    def trade(self, trade: Trade, event_ms: int) -> None:
        """Write a trade: trade, aggTrade, klines, tickers."""
        kinds = self._kinds()
        if not kinds:
            return
        market, symbol = self._market, self._market.symbol
        price, qty = symbol.price_text(trade.price), symbol.qty_text(trade.qty)
        common = {"p": price, "q": qty, "T": trade.time_ms, "m": trade.buyer_is_maker}
        if "trade" in kinds:
            tail = {"X": "MARKET"} if self._futures else {"M": True}
            self._send(
                "trade", {"e": "trade", "E": event_ms, "s": self._name, "t": trade.trade_id} | common | tail
            )
        if "aggTrade" in kinds:
            ids = {"a": trade.trade_id, "f": trade.trade_id, "l": trade.trade_id}
            self._send(
                "aggTrade", {"e": "aggTrade", "E": event_ms, "s": self._name} | ids | common | {"M": True}
            )
        for interval in self._klines:
            self._kline(interval, trade, event_ms)
        if "avgPrice" in kinds and self._due("avgPrice", event_ms, 1_000):
            average = {"i": "5m", "w": text(market.average_price()), "T": trade.time_ms}
            self._send("avgPrice", {"e": "avgPrice", "E": event_ms, "s": self._name} | average)
        for kind, every_ms in _MARKS.items():
            if self.mark is not None and kind in kinds and self._due(kind, event_ms, every_ms):
                self._send(kind, self.mark(market, event_ms))
        for kind, view in (("miniTicker", mini_ticker), ("ticker", day_ticker)):
            if kind in kinds and self._due(kind, event_ms, 1_000):
                self._send(kind, view(market, event_ms))
            of_all = f"!{kind}@arr"
            if of_all in kinds and self._due(of_all, event_ms, 1_000):
                self._hub.publish(of_all, _encode([view(market, event_ms)]))

    def _kline(self, interval: str, trade: Trade, event_ms: int) -> None:
        """Write the closed bar when the next one opens; the current one every two seconds (1s: one)."""
        kind = f"kline_{interval}"
        open_ms = opens(trade.time_ms, interval)
        bar = self._bars.get(interval)
        if bar is not None and bar.open_ms < open_ms:
            self._send(kind, bar.event(self._name, interval, event_ms, closed=True))
            bar = None
        if bar is None:
            current = self._market.bars.current(interval)
            assert current is not None, "the market took the trade before it is written"
            bar = self._bars[interval] = current.copy_at(current.open_ms)
        else:
            bar.add(trade.trade_id, trade.price, trade.qty, trade.buyer_is_maker)
        if self._due(kind, event_ms, 1_000 if interval == "1s" else 2_000):
            self._send(kind, bar.event(self._name, interval, event_ms, closed=False))

    def quote(self, update_id: int, event_ms: int) -> None:
        """Write the best bid and ask."""
        if "bookTicker" not in self._kinds():
            return
        market, symbol = self._market, self._market.symbol
        payload: dict[str, Any] = {
            "u": update_id,
            "s": self._name,
            "b": symbol.price_text(market.bid),
            "B": symbol.qty_text(market.bid_qty),
            "a": symbol.price_text(market.ask),
            "A": symbol.qty_text(market.ask_qty),
        }
        if self._futures:
            payload = {"e": "bookTicker"} | payload | {"T": event_ms, "E": event_ms}
        self._send("bookTicker", payload)

    def depth(
        self, first_id: int, last_id: int, prev_id: int, bids: Levels, asks: Levels, event_ms: int
    ) -> None:
        """Write a depth update: 100 ms as it is, 1 s merged, partial books."""
        kinds = self._kinds()
        for kind in ("depth@0ms", "depth@100ms"):
            if kind in kinds:
                self._send(kind, self._depth_event(first_id, last_id, prev_id, bids, asks, event_ms))
        if "depth" in kinds:
            self._slow.add(first_id, last_id, prev_id, bids, asks)
            if self._due("depth", event_ms, 1_000):
                merged = self._slow
                self._slow = _Merge()
                levels = (
                    [list(row) for row in merged.bids.items()],
                    [list(row) for row in merged.asks.items()],
                )
                self._send(
                    "depth",
                    self._depth_event(merged.first_id, merged.last_id, merged.prev_id, *levels, event_ms),
                )
        elif self._slow.first_id:
            self._slow = _Merge()
        for kind, (limit, every_ms) in _PARTIAL.items():
            if kind in kinds and self._due(kind, event_ms, every_ms):
                top = self._market.levels(limit)
                if self._futures:
                    self._send(kind, self._depth_event(first_id, last_id, prev_id, *top, event_ms))
                else:
                    self._send(kind, {"lastUpdateId": last_id, "bids": top[0], "asks": top[1]})

    @property
    def needs_levels(self) -> bool:
        """Whether anyone listens to a stream that is written from depth levels."""
        return any(kind.startswith("depth") for kind in self._kinds())

    def _depth_event(
        self, first_id: int, last_id: int, prev_id: int, bids: Levels, asks: Levels, event_ms: int
    ) -> dict[str, Any]:
        event: dict[str, Any] = {"e": "depthUpdate", "E": event_ms}
        if self._futures:
            event["T"] = event_ms
        event |= {"s": self._name, "U": first_id, "u": last_id}
        if self._futures:
            event["pu"] = prev_id
        return event | {"b": bids, "a": asks}


class _Merge:
    """Depth updates joined into one: the last word on each price."""

    __slots__ = ("asks", "bids", "first_id", "last_id", "prev_id")

    def __init__(self) -> None:
        self.first_id = self.last_id = self.prev_id = 0
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}

    def add(self, first_id: int, last_id: int, prev_id: int, bids: Levels, asks: Levels) -> None:
        """Take one update in."""
        if not self.first_id:
            self.first_id, self.prev_id = first_id, prev_id
        self.last_id = last_id
        self.bids.update((price, qty) for price, qty in bids)
        self.asks.update((price, qty) for price, qty in asks)
