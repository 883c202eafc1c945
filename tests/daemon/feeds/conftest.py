"""A sink that remembers, instruments of each market, and frames as Binance writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.clock import VirtualTime
from daemon.events import Tick
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.feeds.snapshots import SnapshotFetcher, Unshared
from daemon.instruments import Instrument, Market, make_instrument
from kernels.book import best_ask, best_bid
from kernels.ring import MASK, new_rings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from daemon.feeds.base import Decoder

RULES: dict[Market, tuple[str, str]] = {
    "spot": ("0.01", "0.00001"),
    "usdm": ("0.1", "0.001"),
    "coinm": ("0.1", "1"),
}


def instrument(market: Market = "spot", symbol: str = "BTC/USDT", index: int = 0) -> Instrument:
    tick, lot = RULES[market]
    return make_instrument(
        index,
        "binance",
        market,
        symbol,
        tick_size=tick,
        lot_size=lot,
        qty_min=lot,
        qty_max="9000",
        notional_min="5",
    )


def tell(fetcher: SnapshotFetcher) -> list[tuple[int, int]]:
    """Return the 429s and 418s that whoever shares the fetcher's address will be told of."""
    told: list[tuple[int, int]] = []

    class Sharer(Unshared):
        def limited(self, status: int, wait_ms: int) -> None:
            told.append((status, wait_ms))

    fetcher.limits = Sharer()
    return told


class Sink:
    """Hears everything; `books` holds (instrument, wire_ns, best bid, best ask) in ticks."""

    def __init__(self, rings: np.ndarray) -> None:
        self.rings = rings
        self.turns: list[Any] = [None] * len(rings)
        self.on_decided = None
        self.seen = [0] * len(rings)
        self.told: list[int] = []  # instruments
        self.full: list[int] = []
        self.ticks: list[Tick] = []
        self.books: list[tuple[int, int, int, int]] = []
        self.statuses: list[tuple[int, bool, str]] = []
        self.gaps: list[tuple[int, str]] = []
        self.drains: list[int] = []

    def on_tick(self, instrument: int) -> None:
        self.told.append(instrument)
        ring = self.rings[instrument]
        for number in range(self.seen[instrument], int(ring["head"])):
            kind, wire_ns, exch_ns, ident, *prices = ring["rows"][number & MASK].item()
            self.ticks.append(Tick(kind, instrument, wire_ns, exch_ns, *prices, ident))
        self.seen[instrument] = int(ring["head"])

    def absorb(self, instrument: int) -> None:
        self.full.append(instrument)

    def on_book(self, instrument: int, wire_ns: int, book: np.ndarray) -> None:
        self.books.append((instrument, wire_ns, best_bid(book), best_ask(book)))

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        self.statuses.append((instrument, synced, reason))

    def on_gap(self, instrument: int, reason: str) -> None:
        self.gaps.append((instrument, reason))

    def drain(self, wire_ns: int) -> None:
        self.drains.append(wire_ns)


class Bench:
    """A core with what surrounds it."""

    def __init__(
        self, instruments: Sequence[Instrument], decoder: Decoder | None = None, **options: Any
    ) -> None:
        self.time = VirtualTime(1_000)
        self.core_instruments = list(instruments)
        self.rings = new_rings(len(instruments))
        self.sink = Sink(self.rings)
        self.requests: list[int] = []
        self.core = FeedCore(
            instruments,
            self.rings,
            self.sink,
            decoder or BinanceDecoder(instruments),
            self.requests.append,
            self.time,
            **options,
        )


@pytest.fixture
def bench() -> Callable[..., Bench]:
    """Return a builder of benches: one Spot instrument unless told otherwise."""

    def build(*instruments: Instrument, **options: Any) -> Bench:
        return Bench(instruments or [instrument()], **options)

    return build


@pytest.fixture(name="instrument", scope="session")
def instrument_fixture() -> Callable[..., Instrument]:
    """Return the builder of instruments."""
    return instrument


class Frames:
    """Binance's frames, so that a test says only what matters to it."""

    @staticmethod
    def trade(
        number: int = 1,
        price: str = "100.00",
        qty: str = "1.5",
        *,
        maker: str = "true",
        name: str = "btcusdt",
    ) -> bytes:
        return (
            f'{{"stream":"{name}@trade","data":{{"e":"trade","E":1723161255343,"s":"{name.upper()}","t":{number},'
            f'"p":"{price}","q":"{qty}","T":1723161255342,"m":{maker},"M":true}}}}'
        ).encode()

    @staticmethod
    def quote(
        number: int = 1, bid: str = "100.00", ask: str = "100.01", *, qty: str = "2.0", name: str = "btcusdt"
    ) -> bytes:
        return (
            f'{{"stream":"{name}@bookTicker","data":{{"u":{number},"s":"{name.upper()}","b":"{bid}","B":"{qty}",'
            f'"a":"{ask}","A":"3.0"}}}}'
        ).encode()

    @staticmethod
    def depth(
        first: int, last: int, prev: int | None = None, bids: str = "", asks: str = "", name: str = "btcusdt"
    ) -> bytes:
        pu = "" if prev is None else f'"pu":{prev},'
        return (
            f'{{"stream":"{name}@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"{name.upper()}",'
            f'"U":{first},"u":{last},{pu}"b":[{bids}],"a":[{asks}]}}}}'
        ).encode()

    @staticmethod
    def snapshot(
        number: int, bids: str = '["100.00","1"]', asks: str = '["100.01","1"]', symbol: str = ""
    ) -> bytes:
        named = f'"symbol":"{symbol}",' if symbol else ""
        return f'{{"lastUpdateId":{number},{named}"bids":[{bids}],"asks":[{asks}]}}'.encode()


@pytest.fixture(scope="session")
def frames() -> type[Frames]:
    """Return the builders of frames."""
    return Frames
