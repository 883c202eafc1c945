"""The synthetic market as the exchange's own: each chunk into the market's state and the streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kernels.dtypes import DEPTH, QUOTE, TRADE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from daemon.simulator.market import SyntheticMarket
    from daemon.simulator.marketdata import MarketData
    from daemon.simulator.publisher import Publisher

_BUYER_IS_MAKER = -1


class SyntheticDriver:
    """Runs one synthetic market into one or more listings; the first one's streams are written."""

    def __init__(self, source: SyntheticMarket, markets: list[MarketData], publisher: Publisher) -> None:
        self._source = source
        self._markets = markets
        self._publisher = publisher
        self._update_id = 0
        self.events = 0
        self._load()

    def _load(self) -> None:
        """Start every listing from the whole book."""
        snapshot = self._source.snapshot()
        self._update_id = snapshot.last_id
        symbol = self._markets[0].symbol
        book = {
            "lastUpdateId": snapshot.last_id,
            "bids": self._texts(snapshot.bids),
            "asks": self._texts(snapshot.asks),
        }
        for market in self._markets:
            market.snapshot(snapshot.last_id, msgspec.json.encode(book))
            market.quote(
                int(snapshot.bids[0, 0]) * symbol.tick,
                int(snapshot.bids[0, 1]) * symbol.lot,
                int(snapshot.asks[0, 0]) * symbol.tick,
                int(snapshot.asks[0, 1]) * symbol.lot,
            )

    def _texts(self, rows: NDArray[np.int64]) -> list[list[str]]:
        symbol = self._markets[0].symbol
        return [
            [symbol.price_text(ticks * symbol.tick), symbol.qty_text(lots * symbol.lot)]
            for ticks, lots in rows.tolist()
        ]

    def advance(self, until_ns: int) -> int:
        """Run the market up to `until_ns`; returns how many events there were."""
        chunk = self._source.advance(until_ns)
        symbol = self._markets[0].symbol
        tick, lot = symbol.tick, symbol.lot
        for kind, exch_ns, a, b, c, d, event_id, first_id, level, n_bids, n_asks in chunk.events.tolist():
            now_ms = exch_ns // 1_000_000
            if kind == TRADE:
                for market in self._markets:
                    market.trade(event_id, a * tick, b * lot, c == _BUYER_IS_MAKER, now_ms)
                self._publisher.trade(self._markets[0].trades[-1], now_ms)
            elif kind == QUOTE:
                for market in self._markets:
                    market.quote(a * tick, b * lot, c * tick, d * lot)
                self._publisher.quote(event_id, now_ms)
            elif kind == DEPTH:
                bids = self._texts(chunk.levels[level : level + n_bids])
                asks = self._texts(chunk.levels[level + n_bids : level + n_bids + n_asks])
                self._depth(first_id, event_id, bids, asks, now_ms)
        self.events += len(chunk.events)
        return len(chunk.events)

    def _depth(
        self, first_id: int, last_id: int, bids: list[list[str]], asks: list[list[str]], now_ms: int
    ) -> None:
        payload = msgspec.json.encode({"b": bids, "a": asks})
        for market in self._markets:
            market.depth(last_id, payload)
        self._publisher.depth(first_id, last_id, self._update_id, bids, asks, now_ms)
        self._update_id = last_id
