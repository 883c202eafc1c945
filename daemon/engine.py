"""The engine: the one place where trading state changes. Every event enters here and is done with on return.

1. Market data: ticks wait in the rings of the feed; a changed book is shown at once. Nothing is decided.
2. `drain`, when nothing more was readable: each strategy that owns what moved makes one compiled call (ticks
   step the features; then rows, model, decide, reconcile, limits), and each action it asks for is approved or
   refused, journalled and sent, but for one that warms up and while the daemon ends. Where only ticks of one
   instrument came, the last of them takes a turn: one call reads it and decides.
3. The venue's reports: applied to orders and portfolio; a fill wakes the strategy at once.
4. Commands and timers: events like any other.

All of it is one synchronous stack of plain calls, from the frame that came to the order that leaves. The
time of a drain is the receive time of its last frame, so that a recording alone reproduces every decision.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from daemon.flatten import Flatten
from daemon.market_watch import MarketWatch
from daemon.marks import Marks
from daemon.orders.closing import trim_stops, withdraw
from daemon.orders.fees import value_fees
from daemon.orders.funding import take_funding
from daemon.orders.intents import Approved
from daemon.orders.order import Order
from daemon.orders.venue_alarm import take_alarm
from daemon.pulse import STEADY
from daemon.readiness import Readiness
from daemon.redact import redact
from daemon.rejections import Rejections
from daemon.runtime import owners_of
from daemon.spans import NoSpans
from daemon.touch import Touch
from daemon.turns import Turns
from kernels import dtypes as dt
from kernels.dtypes import WHY_DRAIN
from kernels.reconcile import FAULT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.events import Command, ExecutionReport, VenueStatus
    from daemon.feeds.base import MarketFollower
    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders
    from daemon.pulse import Pulse
    from daemon.runtime import Runtime
    from daemon.seams import Clock, Scheduler, Timer
    from daemon.spans import Spans
    from daemon.status import DaemonState

#: how often what no event announces is looked at: silent feeds, losses, the day's boundary
WATCH_NS: Final = 100_000_000
FAULT_RAISED: Final = -1000  # by a strategy; kernels.reconcile names those of one that answered nonsense
_place: Final = attrgetter("index")


class Engine:
    """Takes events in, and acts. Build it, `start` it, then feed it; `daemon/app.py` and replays do."""

    def __init__(
        self,
        *,
        clock: Clock,
        scheduler: Scheduler,
        instruments: Sequence[Instrument],
        runtimes: Sequence[Runtime],
        rings: NDArray[np.void],
        desks: Sequence[Desk],
        orders: Orders,
        spans: Spans,
        depth: bool,
        stale_ns: int,
        lag_ns_max: int,
        tick_age_ns: int,
        collar: float,
        followers: Sequence[MarketFollower] = (),
        pulse: Pulse = STEADY,
        stamps: Clock | None = None,
    ) -> None:
        """Wire it; every gate is shut until `start`.

        rings: where the feed leaves its ticks, one for each instrument (kernels.ring).
        depth: books are subscribed, so an order needs one in sync. collar: how far from the touch a price
        may be, as a fraction. followers: who else sees the market before strategies do (the paper venue).
        pulse: how long the loop was stuck. stamps: what spans are measured by, where not by the clock.
        """
        self.phase: DaemonState = "STARTING"
        self._drains = self.woken = 0  # the latter of these: by a timer or a fill instead of a frame
        self.rejections = Rejections()
        self.repeated = 0  # reports that said only what was known
        self.runtimes = runtimes
        self.orders = orders
        self.risk = orders.risk
        self.portfolio = orders.portfolio
        self.instruments = instruments
        self.spans = spans
        self._timed = not isinstance(spans, NoSpans)  # on virtual time there is nothing to measure
        self.synced = [not depth] * len(instruments)
        self.venue_up = False
        self._now, self._stamp_ns = clock.now_ns, (stamps or clock).now_ns
        self._followers, self._scheduler = followers, scheduler
        self._desks = desks
        self._tick_age_ns = tick_age_ns
        self._stuck_ns = pulse.before_ns
        for runtime, desk in zip(runtimes, desks, strict=True):
            runtime.follow(rings, desk.account.array)
        self.rings = rings
        self.market = MarketWatch(instruments, rings, orders, stale_ns=stale_ns, lag_ns_max=lag_ns_max)
        self._fresh: set[int] = set()  # instruments of which something came since the last drain
        self._woken: list[Runtime] = []  # strategies with a `why`
        self.on_tick: Callable[[int], None] = self._fresh.add  # the set's own: a call less
        self.on_turn: Callable[[int], None] = self._fresh.discard
        self.on_funding = partial(take_funding, orders)
        self.touch = Touch(instruments, rings)
        self._marks = Marks(len(instruments), self.touch, self.portfolio)
        self._owners = owners_of(instruments, runtimes)
        self._runtimes_of = [tuple(runtime for runtime, _ in owners) for owners in self._owners]
        self._turns = Turns(self._runtimes_of, followers, spans, self._stamp_ns)
        self.turns, self.on_decided = self._turns.by_instrument, self._turns.on_decided
        for follower in followers:
            follower.on_watch = self._turns.settle_one
        self._grids = [(i.price.as_float, i.qty.as_float) for i in instruments]
        self._readiness = Readiness(runtimes, desks, self._owners, rings, orders, self._turns.settle)
        self._cold = self._readiness.cold
        self._acting = False
        self.flatten = Flatten(orders, instruments, self.touch, collar, self.market.seen)
        self._reports: deque[ExecutionReport] = deque()  # what a venue answered while we were still sending
        self._timers: list[Timer] = []
        self._shut()

    def _shut(self) -> None:
        """Shut every gate that something has to open."""
        self.risk.close_all(dt.GATE_NOT_READY)
        self.risk.close_all(dt.GATE_VENUE_DOWN)
        for index, synced in enumerate(self.synced):
            if not synced:
                self.risk.close(index, dt.GATE_BOOK_GAP)

    # --- its life --------------------------------------------------------------------------------------
    def start(self, ages_ns: Callable[[int], NDArray[np.int64]]) -> None:
        """Begin to trade: what had to be recovered is.

        ages_ns(now_ns) is the feed's: how long each instrument's most silent stream has been silent.
        """
        self._ages_ns = ages_ns
        self.phase = "READY"
        self.risk.open_all(dt.GATE_NOT_READY)
        self._readiness.start()
        now_ns = self._now()
        self._watch(now_ns)
        for runtime in self.runtimes:
            for why, period_ns in runtime.periods_ns.items():
                self._arm(now_ns, period_ns, partial(self._wake, runtime, why))
        self._arm(now_ns, WATCH_NS, self._watch)

    def withdraw_unseen(self) -> None:
        """Cancel what earlier runs left and should not stand while no market is seen: start-up waits."""
        self.risk.blind = self._readiness.blind(range(len(self.instruments)))
        withdraw(self.orders, self._now())

    def stop(self) -> None:
        """Let no more risk be added, and wake nobody; reports still come in."""
        self.phase = "DRAINING"
        self._readiness.stop()
        self.risk.close_all(dt.GATE_NOT_READY)
        for timer in self._timers:
            timer.cancel()

    @property
    def drains(self) -> int:
        """Times that everything readable had been read, or a fill or timer woke a strategy."""
        return self._drains + int(self.rings["turns"].sum())

    @property
    def state(self) -> DaemonState:
        """What the daemon is doing."""
        if self.phase != "READY":
            return self.phase
        if self.risk.halted:
            return "HALTED"
        return "WARMING" if self._cold else "READY"

    def _arm(self, now_ns: int, period_ns: int, fn: Callable[[int], None]) -> None:
        """Call `fn` on every multiple of the period from now on; a late loop skips what it missed."""
        place = len(self._timers)

        def ring() -> None:
            at_ns = self._now()
            self._timers[place] = self._scheduler.call_at((at_ns // period_ns + 1) * period_ns, ring)
            fn(at_ns)

        self._timers.append(self._scheduler.call_at((now_ns // period_ns + 1) * period_ns, ring))

    # --- 1. market data --------------------------------------------------------------------------------
    def absorb(self, instrument: int) -> None:
        """Let everybody take what waits in an instrument's full ring."""
        for follower in self._followers:
            follower.absorb(instrument)
        for runtime, row in self._owners[instrument]:
            runtime.absorb(row)

    def on_book(self, instrument: int, wire_ns: int, book: NDArray[np.int64]) -> None:
        """Show a changed book to every strategy that owns the instrument, and step its depth features."""
        for follower in self._followers:
            follower.on_book(instrument, wire_ns, book)
        self.touch.on_book(instrument, book)
        tick_size, lot_size = self._grids[instrument]
        for runtime, row in self._owners[instrument]:
            runtime.book(row, book, tick_size, lot_size, wire_ns)
        self._fresh.add(instrument)

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        """Gate orders on a book that lost the exchange's sequence."""
        for follower in self._followers:
            follower.on_book_status(instrument, synced, reason)
        self.synced[instrument] = synced
        if synced:
            self.risk.open(instrument, dt.GATE_BOOK_GAP)
        else:
            self.touch.forget_book(instrument)
            self.risk.close(instrument, dt.GATE_BOOK_GAP)

    def on_gap(self, instrument: int, reason: str) -> None:
        """Let strategies take it that ticks are missing from here on; once it ends that means nothing."""
        if self.phase == "READY":
            symbol = self.instruments[instrument].symbol
            self._cold = self._readiness.gap(instrument, symbol, reason, self._now())

    # --- 2. the drain ----------------------------------------------------------------------------------
    def drain(self, wire_ns: int) -> None:
        """Decide: nothing more was readable after the frame received at `wire_ns`."""
        self._drains += 1
        ready_ns = self._stamp_ns()
        for instrument in self._fresh:
            for follower in self._followers:
                if instrument in follower.watching:
                    follower.absorb(instrument)
            for runtime in self._runtimes_of[instrument]:
                self._rouse(runtime, WHY_DRAIN)
        if self._cold:
            self._cold = self._readiness.count(self._fresh)
        self._fresh.clear()
        woken = self._woken
        woken.sort(key=_place, reverse=True)
        while woken:  # what is woken meanwhile is asked by the drain that wakes it, the rest of these too
            self._ask(woken.pop(), wire_ns, ready_ns)

    def _rouse(self, runtime: Runtime, why: int) -> None:
        """Let a strategy be asked at the end of this drain."""
        if not runtime.why:
            self._woken.append(runtime)
        runtime.why |= why

    def _ask(self, runtime: Runtime, wire_ns: int, ready_ns: int) -> None:
        """Let a strategy that was woken decide, and do what it wants."""
        why, runtime.why = runtime.why, 0
        if runtime.fault:
            return
        try:
            wanted = runtime.decide(wire_ns, why)
        except Exception as error:  # whatever a strategy raises
            self._raised(runtime, error)
            return
        if self._timed:
            self.spans.decided(wire_ns, ready_ns, decided_ns := self._stamp_ns())
            ready_ns = decided_ns
        self._answer(runtime, wanted, wire_ns, ready_ns)

    def _answer(self, runtime: Runtime, wanted: int, wire_ns: int, decided_ns: int) -> None:
        """Do what a decision wants."""
        if wanted > 0:
            if self.phase == "READY" and (not self._cold or runtime.warm) and not self.flatten.active:
                self._act(runtime, wanted, wire_ns, decided_ns)
        elif wanted < 0:
            self._fail(runtime, wanted, f"broke its contract: {FAULT_NAMES[wanted]}")

    def turned(self, instrument: int, answer: int, wire_ns: int) -> None:
        """Do what a turn wants."""
        runtime = self._runtimes_of[instrument][0]
        self._answer(runtime, self._turns.wanted(instrument, answer), wire_ns, self._stamp_ns())

    def turn_raised(self, instrument: int, error: Exception) -> None:
        """Halt: the strategy that owns the instrument raised."""
        self._turns.let_followers_see(instrument)
        self._raised(self._runtimes_of[instrument][0], error)

    def _act(self, runtime: Runtime, count: int, wire_ns: int, decided_ns: int) -> None:
        desk = self._desks[runtime.index]
        # looked at here, once something is wanted: most ticks want nothing, and a strategy may have been slow
        late = self._now() - wire_ns + self._stuck_ns(wire_ns) > self._tick_age_ns
        if late:
            self.risk.close_all(dt.GATE_TICK_AGE)
        self._acting = True
        try:
            for action in runtime.actions[:count].tolist():
                verdict = self.risk.check(desk, action, wire_ns)
                if type(verdict) is Approved:
                    checked_ns = self._stamp_ns()
                    if type(self.orders.submit(verdict)) is Order:
                        recorded_ns, written_ns = self.orders.recorded_ns, self.orders.written_ns
                        self.spans.sent(wire_ns, decided_ns, checked_ns, recorded_ns, written_ns)
                        decided_ns = written_ns
        finally:  # whatever failed, the venue's word is not kept waiting
            self._acting = False
            if late:
                self.risk.open_all(dt.GATE_TICK_AGE)
            while self._reports:
                self.on_report(self._reports.popleft())

    def _raised(self, runtime: Runtime, error: Exception) -> None:
        what = redact(" ".join(f"raised {type(error).__name__}: {error}".split()))
        self._fail(runtime, FAULT_RAISED, what)

    def _fail(self, runtime: Runtime, fault: int, what: str) -> None:
        """Halt: a strategy failed, and trading on a guess is worse than not trading."""
        runtime.fault = fault
        runtime.fault_text = what
        self._turns.settle()
        self.orders.halt("strategy", f"strategy {runtime.name} {what}")

    # --- 3. the venue ----------------------------------------------------------------------------------
    def on_report(self, report: ExecutionReport) -> None:
        """Apply an order message; a fill wakes who owns the instrument."""
        if self._acting:
            self._reports.append(report)
            return
        kind = report.kind
        if self.knows(kind, report.client_order_id, report.cum_lots, report.trade_id):
            return
        if kind == "TRADE":
            self._marks.one(report.instrument, show=False)  # a fill is valued at the market it met
        self.orders.apply(report)
        if kind == "REJECTED":
            self.rejections.add(report)
            self.market.symbols.on_rejected(report)
        elif kind == "TRADE":
            for runtime in self._runtimes_of[report.instrument]:
                self._rouse(runtime, dt.WHY_FILL)
            self.woken += 1
            self.drain(report.wire_ns)
            if self.phase != "READY":  # the watch is over
                trim_stops(self.orders, report.wire_ns)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether an order message says only what is known; what waits to be applied is not known yet."""
        if self._acting or not self.orders.knows(kind, client_order_id, cum_lots, trade_id):
            return False
        self.repeated += 1
        return True

    def on_venue_status(self, status: VenueStatus) -> None:
        """Gate orders on the connection they travel by; meeting the venue's snapshot opens it again."""
        self.venue_up = status.up
        self.orders.venue_status(status)

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        """Record and tell what the venue has a person look at; what orders may do the gates know already."""
        take_alarm(self.orders, kind, text, wire_ns)

    # --- 4. commands and timers ------------------------------------------------------------------------
    def on_command(self, command: Command) -> None:
        """Do what a person or a signal asks; raises TickdError for a resume that cannot be."""
        now_ns = self._now()
        self.orders.command(command, now_ns)
        if command.verb == "flatten":
            self.flatten.begin(now_ns)
        elif command.verb == "resume":
            self.flatten.end()
            self._cold = self._readiness.forgive()

    def _wake(self, runtime: Runtime, why: int, now_ns: int) -> None:
        if why == dt.WHY_BAR and not runtime.bar_ended(now_ns):  # a tick closed it, or there is none yet
            return
        self._rouse(runtime, why)
        self.woken += 1
        self.drain(now_ns)

    def _watch(self, now_ns: int) -> None:
        """Look at what no event announces."""
        self.market.look(self._ages_ns(now_ns), now_ns)
        self._marks.all()
        if self.portfolio.unvalued:
            value_fees(self.portfolio, self.orders.record, now_ns)
        risk = self.risk
        risk.watch(self.portfolio, now_ns)
        risk.ration(self.orders.venue.is_short())
        risk.blind = self._readiness.blind(self.market.unseen(self.synced))
        if self._cold or risk.shut or risk.short or risk.losses.unseen or risk.blind:
            withdraw(self.orders, now_ns)
        trim_stops(self.orders, now_ns)
        self.flatten.look(now_ns)
