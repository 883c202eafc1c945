"""The synthetic market as a stream of chunks: the simulated exchange's live market, and what models train on.

    market = SyntheticMarket(instrument, MarketSettings(seed=7, price="60000"), start_ns)
    last_id, bids, asks = market.snapshot()
    chunk = market.advance(start_ns + 50_000_000)      # everything up to and including that time
    for event in chunk.events: ...

The same instrument index, settings and start give the same events in every process, however often `advance`
is called. Markets of different instruments with one seed and start share their common factor.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from daemon.errors import ConfigError
from kernels import market as kernel
from kernels.book import make
from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, B_BID_LOTS, B_BID_TICKS, BOOK_LEVELS, DEPTH, TICK, TRADE
from kernels.levels import SCRATCH_ROWS
from kernels.market_book import LEVELS, MARKET, MARKET_EVENT, follow_depth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.instruments import Instrument

#: the lowest price in ticks at which the book's far levels surely stay above zero
PRICE_TICKS_MIN: Final = 1000
_CHUNK_EVENTS: Final = 8192
_CHUNK_LEVELS: Final = 32_768
_BP: Final = 1e-4


class MarketSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a synthetic market behaves; the defaults make about 200 events a second."""

    seed: int = 1
    price: str = "60000"
    volatility_bps: float = 1.0  # of the common factor per square root of a second, in a normal regime
    signal: float = 0.35  # strength of what order flow tells of the next move; 0 for none
    trades_per_s: float = 28.0
    quotes_per_s: float = 60.0  # beside the one after each trade
    books_per_s: float = 120.0  # changes behind the best, seen in depth only
    quote_notional: float = 20_000.0  # typical value standing at the best, in quote currency
    trade_notional: float = 800.0  # median value of a trade
    depth_ms: int = 100
    first_id: int = 0  # that update and trade ids begin behind


class Chunk(NamedTuple):
    """What happened, in time order: events MARKET_EVENT[n], and the levels their DEPTH events point into.

    `levels` is int64[m, 2]: ticks and lots, 0 lots meaning gone.
    """

    events: NDArray[np.void]
    levels: NDArray[np.int64]


class Snapshot(NamedTuple):
    """The whole book after update `last_id`: rows (ticks, lots), best first."""

    last_id: int
    bids: NDArray[np.int64]
    asks: NDArray[np.int64]


class SyntheticMarket:
    """One instrument's market, run forward in time as far as it is asked to."""

    def __init__(self, instrument: Instrument, settings: MarketSettings, start_ns: int) -> None:
        """Set up the book at `start_ns`; raises ConfigError for settings that make no market."""
        self.instrument = instrument
        self.settings = settings
        price_ticks = _price_ticks(instrument, settings)
        _check_rates(settings)
        state = np.zeros(1, MARKET)
        price = price_ticks * instrument.price.as_float
        state["price_ticks"] = price_ticks
        state["volatility"] = settings.volatility_bps * _BP
        state["signal_drift"] = settings.signal
        state["trades_per_s"] = settings.trades_per_s
        state["quotes_per_s"] = settings.quotes_per_s
        state["books_per_s"] = settings.books_per_s
        state["quote_lots"] = settings.quote_notional / price / instrument.qty.as_float
        state["trade_lots"] = settings.trade_notional / price / instrument.qty.as_float
        state["threshold_ticks"] = max(0.6, 0.3 * _BP * price_ticks)
        state["gap_ticks"] = max(1.0, 0.1 * _BP * price_ticks)
        state["depth_every_ns"] = settings.depth_ms * 1_000_000
        state["rng"][0] = _seeds(settings.seed)
        state["rng"][0, 1] ^= np.uint64((instrument.index + 1) * 0xD1342543DE82EF95 & 0xFFFFFFFFFFFFFFFF)
        state["grid_ns"] = start_ns
        state["update_id"] = 1000 + settings.first_id
        state["trade_id"] = settings.first_id
        kernel.start(state)
        self._state = state
        self._due_ns = self._next_ns()
        self._events = np.zeros(_CHUNK_EVENTS, MARKET_EVENT)
        self._levels = np.zeros((_CHUNK_LEVELS, 2), np.int64)

    def snapshot(self) -> Snapshot:
        """Return the whole book as it stands after the last `advance`."""
        state = self._state[0]
        rows = np.stack((state["ticks"], state["lots"]), axis=-1)
        return Snapshot(int(state["update_id"]), rows[0].copy(), rows[1].copy())

    def advance(self, until_ns: int) -> Chunk:
        """Return what happens after the last call up to and at `until_ns`; the caller owns the arrays."""
        events, levels, rows = [], [], 0
        while self._due_ns <= until_ns:
            n, m = kernel.advance(self._state, until_ns, self._events, self._levels)
            self._due_ns = self._next_ns()
            if not n:  # as at most steps: the book's latent prices moved, and nobody saw it
                continue
            part = self._events[:n].copy()
            if rows:
                part["level"][part["kind"] == DEPTH] += rows
            events.append(part)
            levels.append(self._levels[:m].copy())
            rows += m
        if not events:
            return Chunk(self._events[:0], self._levels[:0])
        if len(events) == 1:
            return Chunk(events[0], levels[0])
        return Chunk(np.concatenate(events), np.concatenate(levels))

    def _next_ns(self) -> int:
        """Return when the market's next event or step is due: fields are slow to read, so this is kept."""
        state = self._state[0]
        return int(min(state["next_ns"], state["depth_ns"], state["grid_ns"]))


class Seen:
    """What a strategy sees of a market's book, made from its chunks as a feed would."""

    def __init__(self, market: SyntheticMarket) -> None:
        """Begin with the book that the market has published: make it before the first `advance`."""
        self._instrument = market.instrument
        self._book = make(2 * LEVELS)  # a chunk's new levels stand beside those that it deletes
        self._quote = np.full(4, np.nan)
        self._scratch = np.zeros((SCRATCH_ROWS, 2 * LEVELS), np.int64)
        _, bids, asks = market.snapshot()
        for side, ticks, lots in ((bids, B_BID_TICKS, B_BID_LOTS), (asks, B_ASK_TICKS, B_ASK_LOTS)):
            self._book[ticks, 0] = len(side)
            self._book[ticks, 1 : len(side) + 1] = side[::-1, 0]
            self._book[lots, 1 : len(side) + 1] = side[::-1, 1]

    def take(self, chunk: Chunk, ticks: NDArray[np.void]) -> NDArray[np.float64]:
        """Return float64[m, 2, BOOK_LEVELS, 2] for the DEPTH ticks of a chunk, which follows the last one."""
        out = np.empty((int(np.sum(ticks["kind"] == DEPTH)), 2, BOOK_LEVELS, 2))
        follow_depth(
            self._book,
            self._quote,
            self._scratch,
            chunk.events,
            chunk.levels,
            ticks,
            self._instrument.price.as_float,
            self._instrument.qty.as_float,
            out,
        )
        return out


def tick_rows(chunk: Chunk, instrument: Instrument) -> NDArray[np.void]:
    """Return a chunk's events as the features take them, TICK[n], received the moment they happened."""
    events = chunk.events
    price, lot = instrument.price, instrument.qty
    traded = events["kind"] == TRADE
    ticks = np.zeros(len(events), TICK)
    ticks["kind"] = events["kind"]
    ticks["wire_ns"] = ticks["exch_ns"] = events["exch_ns"]
    ticks["a"] = _values(events["a"], price.num, price.places)
    ticks["b"] = _values(events["b"], lot.num, lot.places)
    ticks["c"] = np.where(traded, events["c"], _values(events["c"], price.num, price.places))
    ticks["d"] = np.where(traded, 0.0, _values(events["d"], lot.num, lot.places))
    return ticks


def _values(counts: NDArray[np.int64], num: int, places: int) -> NDArray[np.float64]:
    """Return the float nearest to each count of steps: what parsing its decimal text gives."""
    return (counts * num) / float(10**places)


def _price_ticks(instrument: Instrument, settings: MarketSettings) -> int:
    try:
        ticks = instrument.price.parse(settings.price)
    except (ValueError, InvalidOperation):
        raise ConfigError(
            f"the synthetic market's price {settings.price!r} is no multiple of the tick size "
            f"{instrument.tick_size} of {instrument.symbol}; choose one that is"
        ) from None
    if ticks < PRICE_TICKS_MIN:
        raise ConfigError(
            f"the synthetic market's price {settings.price} is only {ticks} ticks of {instrument.symbol}; "
            f"choose at least {Decimal(PRICE_TICKS_MIN) * instrument.tick_size}"
        )
    return ticks


def _check_rates(settings: MarketSettings) -> None:
    for name in ("trades_per_s", "quotes_per_s", "books_per_s", "quote_notional", "trade_notional"):
        value = getattr(settings, name)
        if not 0.0 < value < 1e9:
            raise ConfigError(f"the synthetic market's {name} must be positive and below 1e9, not {value}")
    if not 0.0 <= settings.volatility_bps <= 20.0:
        raise ConfigError(
            f"the synthetic market's volatility_bps must be 0 to 20, not {settings.volatility_bps}"
        )
    if not 0.0 <= settings.signal <= 5.0:
        raise ConfigError(f"the synthetic market's signal must be 0 to 5, not {settings.signal}")
    if not 1 <= settings.depth_ms <= 10_000:
        raise ConfigError(f"the synthetic market's depth_ms must be 1 to 10000, not {settings.depth_ms}")


def _seeds(seed: int) -> NDArray[np.uint64]:
    """Return the generators' starts: far apart, and for every seed different."""
    base = (seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF
    return np.array([base, base ^ 0xA0761D6478BD642F], dtype=np.uint64)
