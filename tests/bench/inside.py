"""The production core in this process: frames go in at the feed, order bytes come out at a wire.

    inside = await Inside.build(symbols, seed, folder)
    inside.feed(frame)               as the transport hands one over that was all there was to read
    inside.stamped                   when each order's bytes were ready
    inside.settle(symbol)            the exchange's answer and both reports to the newest order

Feed, strategies with 100 trees, limits, orders, journal on the disk, and HMAC are those of `tickd run --live`
with the configuration of `tickd bench latency`; its exchange's own templates make the frames and answers.
Only the two sockets are missing.
"""

from __future__ import annotations

import time
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from daemon.bench import frames
from daemon.bench import participants as who
from daemon.bench.market import (
    HEAD,
    MARKS,
    S_ASK,
    S_MARK,
    S_MID,
    instrument,
    texts,
    write_quote,
)
from daemon.bench.model import with_trees
from daemon.bench.segment import new_line
from daemon.clock import LoopScheduler, SystemClock
from daemon.core import Core, build, make_runtimes
from daemon.disk import RealDisk, ThreadWorker
from daemon.events import Balance, VenueSnapshot, VenueStatus
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.options import LatencyOptions
from daemon.plans import compile_plans, plan_strategies
from daemon.rehearsal import Rehearsal
from daemon.seams import Seams
from daemon.spans import Spans
from daemon.venues.binance import BinanceVenue
from daemon.venues.binance_settings import BinanceSettings
from daemon.venues.signing import make_signer
from daemon.warm import warm_up
from kernels.ring import new_rings

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.venues.binance_session import Session

#: nobody listens there, and nobody asks
_URL: Final = "127.0.0.1:1"
#: as in configs/lowlatency.toml
_REHEARSE_NS: Final = 500_000
_WARM_FRAMES: Final = 500  # of each symbol, before the first mark


class KeptWire:
    """Takes an order's bytes as a socket would, and the time."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.stamped: list[int] = []

    def send(self, payload: bytes) -> None:
        """Take one."""
        self.stamped.append(time.perf_counter_ns())
        self.sent.append(payload)

    def close(self) -> None:
        """Do nothing."""


class Exchange:
    """Frames of the bench's exchange: quotes, marked or not, and what it says to an order that fills."""

    def __init__(self, symbols: int, seed: int) -> None:
        self._line = new_line(symbols, seed, latencies_max=1)
        self._quote = texts().quote
        self._buffer = np.zeros(4096, np.uint8)
        self._mark = 0
        self._orders = 0

    def quote(self, symbol: int, *, marked: bool) -> bytes:
        """Return the symbol's next quote; a marked one asks for an order."""
        symbols = self._line.symbols
        if marked:
            self._mark = self._mark % (MARKS - 1) + 1
            symbols[symbol, S_MARK] = self._mark
        end = write_quote(self._quote, self._buffer, 0, symbols, symbol, self._line.random)
        return self._buffer[HEAD:end].tobytes()

    def answers(self, order: bytes, symbol: int) -> list[bytes]:
        """Return the response to a place request, then its reports NEW and TRADE."""
        line, numbers = self._line, self._line.numbers
        line.rx[: len(order)] = np.frombuffer(order, np.uint8)
        frames.read_request(line.rx, 0, len(order), line.fields)
        buys = line.rx[line.fields[frames.SIDE, 0]] == ord("B")
        self._orders += 1
        numbers[frames.FILL_TICKS] = line.symbols[symbol, S_ASK if buys else S_MID]
        numbers[frames.ORDER_ID] = numbers[frames.TRADE_ID] = numbers[frames.EVENT_ID] = self._orders
        numbers[frames.TIME_MS] = time.time_ns() // 1_000_000
        said = []
        for text in (line.answer, line.report_new, line.report_trade):
            end = frames.fill(text, self._buffer, 0, line.rx, line.fields, numbers)
            said.append(self._buffer[:end].tobytes())
        return said


class Inside:
    """The core, its feed and its venue, on this process's own loop."""

    def __init__(
        self,
        core: Core,
        feed: FeedCore,
        session: Session,
        wire: KeptWire,
        exchange: Exchange,
        worker: ThreadWorker,
        rehearsal: Rehearsal,
    ) -> None:
        self.core = core
        #: to be called when a spinning loop comes round
        self.idle = rehearsal.idle
        self.exchange = exchange
        self.stamped = wire.stamped
        self._feed = feed
        self._session = session
        self._wire = wire
        self._worker = worker

    @classmethod
    async def build(cls, symbols: int, seed: int, folder: Path) -> Inside:
        """Compile, recover from an empty journal in `folder` and warm the strategies up."""
        disk, clock, worker = RealDisk(), SystemClock(), ThreadWorker()
        options = LatencyOptions(symbols=symbols, mode="spin")
        model = with_trees(disk, options.trees, who.FOLDER / f"trees-{options.trees}")
        config = who.config(who.OURS, f"http://{_URL}", options, model)
        config = msgspec.structs.replace(
            config, journal=msgspec.structs.replace(config.journal, path=str(folder / "journal"))
        )
        seams: Any = Seams(clock, LoopScheduler(clock), None, disk, worker, Random(seed))
        plans = plan_strategies(config, disk, lambda _: None)
        await warm_up(paper=False)
        compile_plans(config, plans, lambda _: None)
        instruments = [instrument(number) for number in range(symbols)]
        rings = new_rings(symbols)
        keys = list(who.KEYS.values())
        settings = BinanceSettings(ws_url=f"ws://{_URL}", rest_url=f"http://{_URL}")
        signer = make_signer("hmac", *keys)
        venue = BinanceVenue(instruments, signer, settings, seams)
        runtimes = make_runtimes(config, plans, instruments, (0.0, 0.0), can_amend=True)
        core = build(config, instruments, runtimes, rings, seams, venue, Spans())
        streams = config.feed.streams
        feed = FeedCore(
            instruments,
            rings,
            core.engine,
            BinanceDecoder(instruments),
            lambda _: None,
            clock,
            streams=streams,
        )
        wire = KeptWire()
        session = _connect(core, venue, wire, clock)
        core.engine.start(feed.ages_ns)
        rehearsal = Rehearsal(
            instruments[0], signer, settings, seams, _REHEARSE_NS, lambda: core.orders.written_ns
        )
        inside = cls(core, feed, session, wire, Exchange(symbols, seed), worker, rehearsal)
        for k in range(_WARM_FRAMES * symbols):
            feed.on_frame(inside.exchange.quote(k % symbols, marked=False), True)
        core.engine._watch(clock.now_ns())
        assert core.engine.state == "READY", core.engine.state
        return inside

    def feed(self, frame: bytes) -> None:
        """Take one frame from the market's socket, after which nothing more was readable."""
        self._feed.on_frame(frame, True)

    def settle(self, symbol: int) -> None:
        """Answer the newest order as the exchange does."""
        for frame in self.exchange.answers(self._wire.sent.pop(), symbol):
            self._session.on_frame(frame, True)

    def assert_whole(self, marked: int) -> None:
        """Assert that each marked quote became an order that was sent and filled, and that none is open."""
        tally, orders = self.core.tally, self.core.orders
        assert (tally.sent.total(), tally.fills, len(self.stamped)) == (marked, marked, marked)
        assert not orders.life.open
        assert not self.core.engine.risk.refusals

    async def close(self) -> None:
        """Stop its timers and close its journal."""
        self.core.engine.stop()
        await self.core.journal.close()
        self._worker.close()


def _connect(core: Core, venue: BinanceVenue, wire: KeptWire, clock: SystemClock) -> Session:
    """Stand where a connection to the venue is opened and its snapshot is met."""
    session = venue.attach(wire, core.engine)
    core.engine.phase = "RECOVERING"
    core.engine.on_venue_status(VenueStatus(up=True, reason="", wire_ns=clock.now_ns()))
    plenty = {"USDT": Balance(Decimal(10**9), Decimal(0))}
    core.recovery.meet(
        VenueSnapshot(balances=plenty, open_orders=[], trades=[], wire_ns=clock.now_ns()), clock.now_ns()
    )
    return session
