"""Compiling, or loading from the cache, every kernel but the strategies' own, before a socket opens.

The parts themselves are run once, on a market of a few messages: a list of kernels would be forgotten when
one is added, and a kernel that compiles at its first use would stop the loop for 50 ms or more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.clock import VirtualTime
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.instruments import make_instrument
from daemon.latency import stage_latency
from daemon.market_watch import Found
from daemon.orders.order import Order
from daemon.spans import Spans
from daemon.venues.binance_requests import OrderRequests
from daemon.venues.paper import PaperVenue
from daemon.venues.paper_latency import fixed
from daemon.venues.signing import HmacSigner
from kernels import outlook
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET
from kernels.ring import new_rings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.events import ExecutionReport, Funding, VenueStatus
    from daemon.feeds.base import Turn
    from daemon.instruments import Instrument

_SNAPSHOT = b'{"lastUpdateId":1,"bids":[["100.00","5.0"],["99.00","5.0"]],"asks":[["101.00","5.0"]]}'
_DEPTH = (
    b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":%d,"u":%d,'
    b'"b":[["98.00","1.0"]],"a":[["102.00","1.0"]]}}'
)
_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":%d,"s":"BTCUSDT","b":"100.00","B":"5.0","a":"101.00",'
    b'"A":"5.0"}}'
)
_TRADE = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":%d,"p":"100.00","q":"%s","T":1,'
    b'"m":true}}'
)


async def warm_up(*, paper: bool) -> None:
    """Run a throwaway feed, its watch, the histograms, and the paper venue where one will be used."""
    instrument = make_instrument(
        0,
        "binance",
        "spot",
        "BTC/USDT",
        tick_size="0.01",
        lot_size="0.001",
        qty_min="0.001",
        qty_max="9000",
        notional_min="5",
    )
    spans = Spans()
    spans.decided(0, 1, 2)
    spans.sent(0, 1, 2, 3, 4)
    spans.acknowledged(1)
    stage_latency("warm", spans.histograms[0])
    rings = new_rings(1)
    Found(rings).otherwise(np.zeros(1, np.int64), 1, 1)
    outlook.mids(rings, np.zeros(1), np.zeros(1, np.int64))
    _request(instrument)
    time = VirtualTime(1)
    if paper:
        await _trade(instrument, time)
    else:
        feed = _feed(instrument, new_rings(1), time)
        for turn in (2, 3):
            _go_on(feed, turn, b"0.001")


def _request(instrument: Instrument) -> None:
    OrderRequests([instrument], HmacSigner("warm", "warm"), 1).place(1, _order(1, TARGET, BUY, 10_000), 1)


async def _trade(instrument: Instrument, time: VirtualTime) -> None:
    rings = new_rings(1)
    venue = PaperVenue(
        [instrument],
        rings,
        time,
        time,
        balances={"USDT": Decimal(10**6), "BTC": Decimal(10**3)},
        fee_maker=Decimal(0),
        fee_taker=Decimal(0),
        delays=fixed(1, 1),
    )
    await venue.start(_Nobody())
    feed = _feed(instrument, rings, time, venue)
    resting, stop = _order(1, REST, BUY, 10_000), _order(3, STOP, SELL, 9_000)
    for order in (resting, _order(2, TARGET, BUY, 10_100), stop):
        venue.place(order)
    time.advance(10)
    _go_on(feed, 2, b"0.001")
    venue.amend(resting, 500)
    deep = _order(4, REST, BUY, 9_900)
    venue.place(deep)
    time.advance(20)
    _go_on(feed, 3, b"20.0")
    for order in (deep, stop):  # until none is left
        venue.cancel(order)
    time.advance(30)
    await venue.stop()


def _feed(instrument: Instrument, rings: NDArray[np.void], time: VirtualTime, market: Any = None) -> FeedCore:
    feed = FeedCore([instrument], rings, Deaf(1, market), BinanceDecoder([instrument]), lambda _: None, time)
    _go_on(feed, 1, b"0.001")
    feed.process_snapshot(0, _SNAPSHOT, 1)
    feed.ages_ns(1)
    return feed


def _go_on(feed: FeedCore, turn: int, traded: bytes) -> None:
    for frame in (_DEPTH % (turn, turn), _QUOTE % turn, _TRADE % (turn, traded)):
        feed.process(frame, turn, last=False)


class Deaf:
    """A feed's sink that hands the market on and decides nothing."""

    def __init__(self, instruments: int, market: Any = None) -> None:
        """Hand it to `market`; to nobody where there is none."""
        market = market or _Nobody()
        self.turns: list[Turn | None] = [None] * instruments
        self.on_decided = None
        self.on_tick = self.absorb = market.absorb
        self.on_book = market.on_book
        self.on_book_status = market.on_book_status

    def on_gap(self, instrument: int, reason: str) -> None:
        """Miss nothing."""

    def drain(self, wire_ns: int) -> None:
        """Decide nothing."""

    def on_turn(self, instrument: int) -> None:
        """Take no turn."""

    def turned(self, instrument: int, answer: int, wire_ns: int) -> None:
        """Take no turn."""

    def turn_raised(self, instrument: int, error: Exception) -> None:
        """Take no turn."""


class _Nobody:
    """Hears everything and does nothing."""

    def absorb(self, instrument: int) -> None:
        """Do nothing."""

    def on_book(self, instrument: int, wire_ns: int, book: Any) -> None:
        """Do nothing."""

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        """Do nothing."""

    def on_report(self, report: ExecutionReport) -> None:
        """Do nothing."""

    def on_funding(self, funding: Funding) -> None:
        """Do nothing."""

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        """Do nothing."""

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:  # noqa: ARG002
        """Know nothing."""
        return False

    def on_venue_status(self, status: VenueStatus) -> None:
        """Do nothing."""


def _order(number: int, kind: int, side: int, price_ticks: int) -> Order:
    return Order(
        client_order_id=f"warm-{number}",
        seq=number,
        strategy=0,
        instrument=0,
        slot=number,
        row=0,
        kind=kind,
        level=0,
        side=side,
        price_ticks=price_ticks,
        qty_lots=1_000,
        reduces=False,
    )
