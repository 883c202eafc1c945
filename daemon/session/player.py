"""The core of a session, told again what it was told: the replay that `--verify` is.

Every event is made again by the way it came: a frame, a whole book, a cut, a door, a timer. What the core
reads meanwhile stands behind it on the tape. Its journal is a Checker, which holds each record to the
session's.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from daemon.clock import VirtualTime
from daemon.core import build, make_runtimes
from daemon.errors import FileFormatError
from daemon.feeds.core import FeedCore
from daemon.feeds.exchanges import find_exchange
from daemon.feeds.taped import FEED, SNAPSHOT
from daemon.memory_disk import InlineWorker
from daemon.no_net import NoNet
from daemon.pulse import Pulse
from daemon.seams import Seams
from daemon.session.doors import run_now
from daemon.session.entries import NESTED
from daemon.spans import NoSpans
from daemon.venues.make import make_paper, restore_paper
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daemon.config import Config
    from daemon.core import Core
    from daemon.events import VenueSnapshot
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.plans import Plan
    from daemon.seams import Disk
    from daemon.session.checker import Checker, Mismatch
    from daemon.session.entries import Begin
    from daemon.session.events import Event
    from daemon.venues.base import VenueSink


class UnknownTimerError(Exception):
    """A timer fired that the replay never asked for, or has cancelled."""


class Difference(NamedTuple):
    """Where a replay is not its session, first."""

    event: Event
    mismatch: Mismatch | None  # of the journal; None: it shows in what was read or raised alone
    raised: str  # by the replay
    reads: int  # that it made more, or fewer (negative), than the session


class ReadClock:
    """What the session's core read, in order; what it did not read is as the last it did."""

    def __init__(self) -> None:
        self._values: deque[int] = deque()
        self._last = 0
        self.more = 0  # readings beyond those on record

    def load(self, values: Sequence[int]) -> None:
        """Take an event's readings; those of the one before are over."""
        self._values = deque(values)
        self.more = 0

    @property
    def left(self) -> int:
        """Return how many readings of the event were not made."""
        return len(self._values)

    def now_ns(self) -> int:
        """Return the next reading."""
        if self._values:
            self._last = self._values.popleft()
        else:
            self.more += 1
        return self._last

    mono_ns = now_ns

    def resync(self) -> int:
        """Never asked for: the core learns of a step by its door."""
        raise AssertionError("the core sets no clock")


class NumberedTimer:
    """One timer that was asked for."""

    def __init__(self, timers: dict[int, Callable[[], None]], number: int) -> None:
        self._timers = timers
        self._number = number

    def cancel(self) -> None:
        """Forget it."""
        self._timers.pop(self._number, None)


class NumberedScheduler:
    """Timers that fire when the tape says so."""

    def __init__(self) -> None:
        self._number = 0
        self._timers: dict[int, Callable[[], None]] = {}

    def call_at(self, when_ns: int, fn: Callable[[], None]) -> NumberedTimer:
        """Remember a call by its number."""
        del when_ns
        self._number += 1
        self._timers[self._number] = fn
        return NumberedTimer(self._timers, self._number)

    def ring(self, number: int) -> None:
        """Make a call."""
        try:
            fn = self._timers.pop(number)
        except KeyError:
            raise UnknownTimerError from None
        fn()


class ReadPulse(Pulse):
    """The loop's pulse, as it was read."""

    def __init__(self, clock: ReadClock) -> None:
        self._next = clock.now_ns

    def before_ns(self, at_ns: int) -> int:  # noqa: ARG002 - it was asked for the same
        """Return the next reading."""
        return self._next()


class RecordedVenue:
    """A venue at an exchange, of which a replay knows what its core saw; what is asked of it goes nowhere."""

    losses = 0

    def __init__(self, begin: Begin, clock: ReadClock) -> None:
        self.name = begin.venue
        self.can_amend, self.can_replace = begin.can_amend, begin.can_replace
        self._next = clock.now_ns

    @property
    def up(self) -> bool:
        """Whether orders could travel."""
        return self._next() != 0

    def is_short(self) -> bool:
        """Whether its rate limits left room for little."""
        return self._next() != 0

    def place(self, order: Order) -> None:
        """Send nothing: the journal has what was asked, and that is compared."""

    def cancel(self, order: Order) -> None:
        """Likewise."""

    def amend(self, order: Order, qty_lots: int) -> None:
        """Likewise."""

    def query(self, order: Order) -> None:
        """Likewise."""

    def replace(self, old: Order, new: Order) -> None:
        """Likewise."""

    def clock_stepped(self, step_ns: int) -> None:
        """Take nothing."""

    async def start(self, sink: VenueSink) -> None:
        """Never asked for: the session's connected outside of its core."""
        raise AssertionError(sink)

    async def snapshot(self, since_ns: int) -> VenueSnapshot:
        """Likewise."""
        raise AssertionError(since_ns)

    async def stop(self) -> None:
        """Likewise."""


class Player:
    """A core as the session's was, and what it is told."""

    def __init__(
        self,
        config: Config,
        instruments: Sequence[Instrument],
        plans: Sequence[Plan],
        disk: Disk,
        checker: Checker,
    ) -> None:
        self._config = config
        self._instruments = instruments
        self._plans = plans
        self._checker = checker
        self._clock = ReadClock()
        self._scheduler = NumberedScheduler()
        self._seams = Seams(
            self._clock,
            self._scheduler,
            NoNet(),
            disk,
            InlineWorker(),
            random.Random(0),  # noqa: S311 - none is drawn
        )
        self._by_symbol = {one.symbol: one.index for one in instruments}
        self._told: VenueSnapshot | None = None  # by a paper venue, lately
        self.core: Core
        self.feed: FeedCore
        self.played = self.played_ns = 0

    def play(self, events: Iterable[Event], on_event: Callable[[], None]) -> Difference | None:
        """Tell it all, up to the first difference or the end of the journal; raises FileFormatError."""
        checker, clock = self._checker, self._clock
        for event in events:
            if event.name == NESTED:
                raise FileFormatError(
                    f"the session cannot be verified from seq {event.entry.seq} on: a call of "
                    f"{event.arguments[0]} came from within another"
                )
            clock.load(event.reads)
            checker.allowed = event.records if event.records >= 0 else checker.place
            checker.expect_failures(event.failures)
            raised = ""
            try:
                self._take(event)
            except Exception as error:  # as the session's may have been: whatever a bug or a strategy raises
                raised = type(error).__name__
            checker.end_event()
            if checker.lost:
                return None
            differs = raised != event.raised or clock.more or clock.left
            if checker.mismatch is not None or differs:
                return Difference(event, checker.mismatch, raised, clock.more - clock.left)
            self.played += 1
            self.played_ns = event.entry.wire_ns
            on_event()
        return None

    # --- one event ------------------------------------------------------------------------------------------
    def _take(self, event: Event) -> None:
        entry, name = event.entry, event.name
        if name:
            self._call(name, event)
        elif entry.stream.startswith(FEED):
            self.feed.process(entry.payload, entry.wire_ns, entry.last)
        elif entry.stream.startswith(SNAPSHOT):
            index = self._by_symbol[entry.stream.partition("/")[2]]
            self.feed.process_snapshot(index, entry.payload, entry.wire_ns)
        else:
            self.feed.disconnected(msgspec.msgpack.decode(entry.payload, type=list[int]))

    def _call(self, name: str, event: Event) -> None:
        arguments = event.arguments
        if name == "begin":
            self._build(arguments[0])
            return
        doors = self.core.doors
        if name == "timer":
            self._scheduler.ring(arguments[0])
        elif name == "connect":
            run_now(doors.connect())
        elif name == "disconnect":
            run_now(doors.disconnect())
        elif name == "snapshot":
            self._told = run_now(doors.snapshot())
        elif name == "meet":
            snapshot, asked_ns = arguments
            told = self._told if snapshot is None else snapshot
            assert told is not None
            doors.meet(told, asked_ns)
        elif name == "rotation":
            begins = doors.rotation()
            if self._checker.begins_next:  # else the session could not begin its segment
                self._checker.allowed += 2
                self.core.journal.begin(*begins)
        else:
            getattr(doors, name)(*arguments)

    def _build(self, begin: Begin) -> None:
        config, instruments, seams = self._config, self._instruments, self._seams
        rings, nothing = new_rings(len(instruments)), VirtualTime()  # which reads no clock of the session
        paper = make_paper(config, instruments, rings, seams, begin.round_trips_ns) if begin.paper else None
        fees = (float(config.paper.fee_maker), float(config.paper.fee_taker))
        runtimes = make_runtimes(
            config, self._plans, instruments, fees, can_amend=begin.can_amend, can_replace=begin.can_replace
        )
        self.core = build(
            config,
            instruments,
            runtimes,
            rings,
            seams,
            paper or RecordedVenue(begin, self._clock),
            NoSpans(),
            followers=() if paper is None else (paper,),
            pulse=ReadPulse(self._clock),
            outside=self._seams._replace(clock=nothing, scheduler=nothing),
            recorded=True,
        )
        if paper is not None:
            restore_paper(paper, self.core.portfolio)
        exchange = find_exchange(config.feed.exchange, config.feed.market)
        self.feed = FeedCore(
            instruments,
            rings,
            self.core.engine,
            exchange.decoder(instruments),
            _ask_nobody,
            nothing,
            frames_kept=1,
            streams=config.feed.streams,
        )
        self.core.doors.feed = self.feed


def _ask_nobody(_: int) -> None:
    """Ask for no book: those that came stand on the tape."""
