"""One daemon's life: start-up in order, the loop, and an end that leaves nothing behind.

Start-up is recovery: the journal, then the venue's word, then READY. The end is its mirror: no new risk,
cancel what should not outlive us, wait for the venue's word, flush, and say what was.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from daemon.assembly import assemble
from daemon.cautions import cautions, say_begun
from daemon.credentials import find_token
from daemon.drift import Drift
from daemon.errors import EXIT_DONE, JournalError, TickdError
from daemon.events import Command
from daemon.faces.compiling import compiling, told_to
from daemon.faces.http import HttpFace
from daemon.faces.sinks import Sinks
from daemon.feeds.connections import FeedConnections
from daemon.feeds.core import FeedCore
from daemon.feeds.exchanges import ask_instruments, find_exchange
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.garbage import Garbage
from daemon.journal_lock import hold_journal
from daemon.kernel_cache import daemon_kind
from daemon.lifetime import nothing_to_lose, start_in_time
from daemon.listing import find_instruments
from daemon.loop import check_loop, lock_memory, settle_loop
from daemon.meetings import Meetings
from daemon.orders import retention
from daemon.orders.closing import left, owed
from daemon.pause import pause, within
from daemon.plans import compile_plans, plan_strategies, strategies_to_load
from daemon.pulse import Heartbeat
from daemon.rules_cache import RulesCache
from daemon.snapshot import take_status
from daemon.symbol_watch import statuses_of
from daemon.venues import make
from daemon.warm import warm_up
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import numpy as np
    from numpy.typing import NDArray

    from daemon.assembly import TradingDesk
    from daemon.config import Config
    from daemon.core import Core
    from daemon.faces.http_forms import Audit as HttpAudit
    from daemon.feeds.base import Exchange
    from daemon.logs import Logs
    from daemon.seams import Net, Seams, Timer, Worker
    from daemon.status import Status
    from daemon.venues.ccxt_venue import CcxtVenue

#: how long the end waits for the venue's word on what was cancelled
DRAIN_NS: Final = 3_000_000_000
_POLL_S: Final = 0.02
_LEFT: Final = "start again, or: tickd flatten --direct"
_SECOND_NS: Final = 1_000_000_000
#: what moves the clock by less within a second is a clock that is being slewed, not one that was set
_SLEW_NS: Final = 10_000_000


class App:
    """One daemon: `live` is its whole life, `start`, `wait` and `stop` are its parts.

    The venue is reached by `venue_net` where it is given, everything else by that of the seams; the tape is
    written by `tape_worker` where one is given.
    """

    def __init__(
        self,
        config: Config,
        seams: Seams,
        logs: Logs,
        venue_net: Net | None = None,
        tape_worker: Worker | None = None,
    ) -> None:
        self.config = config
        self.seams = seams
        #: where compiling is told of, and as whose
        self.console, self.whose = told_to(beside_others=False), ""
        self._venue_seams = seams if venue_net is None else seams._replace(net=venue_net)
        self._tape_worker = tape_worker
        self.logs = logs
        self.log = logs.get("daemon")
        self.started_ns = 0  # when recovery began: compiling, before it, may take a minute
        self.core: Core
        self._desk: TradingDesk
        self._taping: asyncio.Task[None]
        self.feed: FeedCore
        self.connections: FeedConnections
        self.meetings: Meetings
        self.last: Status | None = None  # as it ended
        self.failure: BaseException | None = None  # what ended it, where nobody asked for the end
        self._drift: Drift
        self._garbage = Garbage(seams.clock, seams.scheduler)
        self._rules = RulesCache(config, seams, lambda text: self.log.warning("rules", text=text))
        self._http: HttpFace | None = None
        self._sinks: Sinks
        self._tasks: list[asyncio.Task[Any]] = []
        self._beat: Timer | None = None
        self._pulse = Heartbeat(seams.clock, seams.scheduler, config.risk.tick_age_ms_max * 1_000_000)
        self._ended = False
        self.released = asyncio.Event()  # until then no socket is opened
        self.released.set()
        self._stopping, self._connecting = asyncio.Event(), asyncio.Event()

    async def live(self, seconds: float | None) -> None:
        """Start, run until asked to stop or for so long, and stop; raises TickdError when it cannot start."""
        start = asyncio.ensure_future(self.start())
        self._tasks.append(start)
        if await start_in_time(start, self._stopping, self._connecting, seconds, self.seams):
            await self.wait(seconds)
            await self.stop()

    # --- start-up ------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Recover, connect, and begin to trade; raises TickdError with one sentence."""
        config, seams, environ = self.config, self.seams, os.environ
        asyncio.get_running_loop().set_exception_handler(self._on_loop_exception)
        check_loop(config.loop)
        hold_journal(config, seams.disk)
        with (
            nothing_to_lose(EXIT_DONE),
            compiling(
                self.console, 1 + 2 * strategies_to_load(config), whose=self.whose, kind=daemon_kind(config)
            ) as step,
        ):
            plans = plan_strategies(config, seams.disk, step)
            make.check_keys(config, seams.disk, environ)
            self._sinks = Sinks(config, seams, environ, self.logs)
            step("feed and venue")
            await warm_up(paper=config.venue.kind == "paper")
            compile_plans(config, plans, step)
        if config.loop.lock_memory and (why := lock_memory()):
            self.log.warning("memory_not_locked", reason=why)
        await self.released.wait()
        self._connecting.set()
        exchange = find_exchange(config.feed.exchange, config.feed.market)
        instruments = await find_instruments(config, seams, self._rules, patient=config.mode != "demo")
        rings = new_rings(len(instruments))
        self._desk = desk = await assemble(
            config,
            plans,
            instruments,
            rings,
            seams,
            self._venue_seams,
            self._pulse,
            self.logs,
            self._tape_worker,
            self._sinks.observers,
        )
        self.core = core = desk.core
        self._drift = Drift(plans, core.runtimes)
        self.started_ns = seams.clock.now_ns()
        if desk.tape is not None:  # not among the tasks that the end cancels: it writes to the last
            self._taping = asyncio.get_running_loop().create_task(desk.tape.run())
            self._taping.add_done_callback(self._on_task_end)
        rehearsal = make.make_rehearsal(config, instruments, seams, environ, lambda: core.orders.written_ns)
        core.doors.set_phase("RECOVERING")
        await core.journal.sync_now()
        self._spawn(core.journal.run())
        if days := config.journal.retention_days:
            self._spawn(retention.run(Path(config.journal.path), days, seams, self.log))
        fetcher = self._make_feed(exchange, rings)
        await self._open_faces()  # before the first order can leave: a busy port must not end who trades
        # before the first connection: one made anew during the first meeting asks for another
        self.meetings = Meetings(core, seams, self.log, config.venue.reconcile_s)
        core.orders.doubts.ask_snapshot = self.meetings.ask
        await core.doors.connect()
        await self.meetings.first(live=config.mode == "live")
        core.doors.start()
        self._follow_market(exchange, fetcher)
        self._spawn(self.meetings.run())
        self._keep_memories(core)
        self._every_second()
        settle_loop(config.loop, rehearsal.idle if rehearsal else None)
        self._pulse.start()
        self._garbage.begin()
        say_begun(self.log, core)

    async def _open_faces(self) -> None:
        """Listen, and tell who wants to be told."""
        config, core, seams = self.config, self.core, self.seams
        token = find_token(os.environ, seams.disk, config)
        self._http = HttpFace(self.status, core.obey, self._on_http, seams.clock, token, self.feed.recent)
        await self._http.start(Path(config.http.socket), config.http.port)
        self._sinks.begin(core, self.status, self._spawn)

    def _make_feed(self, exchange: Exchange, rings: NDArray[np.void]) -> SnapshotFetcher:
        feed, seams, instruments = self.config.feed, self.seams, self.core.engine.instruments
        urls = [exchange.snapshot_url(instrument, feed.rest_url) for instrument in instruments]
        fetcher = SnapshotFetcher(urls, seams, feed.backoff_s_max)
        rules_url = exchange.instruments_url(feed.market, (), feed.rest_url)
        make.share_limits(self._desk.venue, fetcher, rules_url)
        self.feed = FeedCore(
            instruments,
            rings,
            self.core.engine,
            exchange.decoder(instruments),
            fetcher.request,
            seams.clock,
            frames_kept=feed.ring,
            streams=feed.streams,
        )
        self.core.doors.feed = self.feed
        listed = [one for one in instruments if one.listed]
        subscriptions = exchange.subscriptions(feed.market, listed, feed.streams, feed.ws_url)
        self.connections = FeedConnections(
            self.feed,
            subscriptions,
            fetcher,
            seams,
            stale_ms=feed.stale_ms,
            backoff_s_max=feed.backoff_s_max,
            ways=self._desk.ways,
        )
        return fetcher

    def _follow_market(self, exchange: Exchange, fetcher: SnapshotFetcher) -> None:
        """Begin to hear of the market: its streams, its books, and whether it is open."""
        for kind, text in cautions(self.core, self.config):
            self.log.warning(kind, text=text)
        self._spawn(fetcher.run(self._desk.books(self.feed)))
        self._spawn(self.connections.run())
        symbols, instruments = self.core.engine.market.symbols, self.core.engine.instruments
        take = self.core.doors.take_symbols
        apart = self.config.venue.kind == "ccxt"
        if apart:  # its exchange may be another than the feed's
            venue = cast("CcxtVenue", self._desk.venue)
            take(statuses_of(venue.markets()))
            self._spawn(symbols.run(venue.ask_markets, self.seams, take, coarse=True))
        else:
            ask = partial(ask_instruments, exchange, fetcher.get, self.config.feed, instruments)
            self._spawn(symbols.run(ask, self.seams, take))
        rules = None if apart else lambda told: take(statuses_of(told))
        self._spawn(self._rules.run(fetcher.get, instruments, rules))

    # --- while it runs --------------------------------------------------------------------------------------
    async def wait(self, seconds: float | None) -> None:
        """Return when asked to stop, or after so many seconds."""
        asked = self._stopping.wait()
        with suppress(TimeoutError):
            await (asked if seconds is None else within(self.seams, seconds, asked))

    def ask_stop(self, why: str) -> None:
        """End well, soon."""
        self.log.info("stopping", reason=why)
        self._stopping.set()

    def status(self) -> Status:
        """Return what every face shows."""
        status = take_status(
            self.core, self.feed, name=self.config.name, mode=self.config.mode, started_ns=self.started_ns
        )
        status.feed_connected = self.connections.connected
        status.feed_reconnects = self.connections.reconnects
        status.logs_dropped = self.logs.dropped
        status.tape = self._desk.tape_status()
        status.drift = self._drift.status()
        self._sinks.fill(status)
        status.rate_limits = make.limits_used(self._desk.venue, status.now_ns)
        status.loop_lag = self._pulse.lags()
        status.tasks = len(asyncio.all_tasks())
        status.gc_pause = self._garbage.pauses()
        status.gc_collections = self._garbage.by_generation()
        return status

    def _on_http(self, audit: HttpAudit) -> None:
        self.log.warning(audit.event, **msgspec.structs.asdict(audit))

    def _every_second(self) -> None:
        clock, scheduler = self.seams.clock, self.seams.scheduler

        def beat() -> None:
            now_ns = clock.now_ns()
            self.core.doors.second(now_ns)
            self._drift.second(now_ns)
            step_ns = clock.resync()
            self._pulse.clock_stepped(step_ns)
            if abs(step_ns) > _SLEW_NS:
                self.started_ns += step_ns
                self.meetings.clock_stepped(step_ns)
                self.core.doors.clock_stepped(step_ns)
            if abs(step_ns) > _SECOND_NS // 2:
                self.log.warning("clock_step", step_ms=step_ns / 1e6)
            if not self._stopping.is_set():
                self._beat = scheduler.call_at(clock.now_ns() + _SECOND_NS, beat)

        beat()

    def _keep_memories(self, core: Core) -> None:
        """Say how strategies began, and write what they learn every so often."""
        core.checkpoints.newest_ids = lambda index: self.feed.lanes[index].newest_ids
        for runtime in core.runtimes:
            self.log.info("strategy", name=runtime.name, began=runtime.began)
        if self.config.journal.checkpoint_s:
            self._spawn(core.checkpoints.run(self.config.journal.checkpoint_s))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._on_task_end)

    def _on_task_end(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._fail(task.exception())

    def _on_loop_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception):
            self._fail(error)
        else:
            self.log.warning("loop", text=str(context.get("message")))

    def _fail(self, error: BaseException | None) -> None:
        """End for a reason that nobody asked for.

        After a bug nobody knows what the state is worth, so the kill switch is thrown too: a restart stays
        halted until somebody has looked.
        """
        if self.failure is None:
            self.failure = error
            foreseen = isinstance(error, TickdError)
            text = str(error) if foreseen else f"{type(error).__name__}: {error}"
            self.log.error("failed", text=text, exc_info=None if foreseen else error)
            if not foreseen and hasattr(self, "core") and not self._ended:
                self.core.doors.halt("failure", text)
        self._stopping.set()

    # --- the end ------------------------------------------------------------------------------------------
    async def stop(self) -> None:
        """Cancel what should not outlive us, wait for the venue's word, flush; `last` is how it ended."""
        self._stopping.set()
        core = self.core
        core.doors.stop()
        core.doors.command(Command(verb="stop", source="daemon"))
        now_ns = self.seams.clock.now_ns
        deadline_ns = now_ns() + DRAIN_NS
        while (core.doors.trim_stops(now_ns()) or owed(core.orders)) and now_ns() < deadline_ns:
            await pause(self.seams, _POLL_S)
        for order in left(core.orders):  # its cancel was lost, or the venue cannot be reached
            self.log.error("left", order=order.client_order_id, state=order.state.name, then=_LEFT)
        core.doors.set_phase("STOPPED")
        self.last = self.status()
        await self._sinks.end()
        if self.failure is None and self.config.journal.checkpoint_s:  # else nobody knows what they are worth
            await core.checkpoints.write()
        await self.abandon()
        latch = core.engine.risk.latch
        if core.journal.failures and latch is not None and latch.source == "journal":
            # what came after is not on the record
            self.failure = self.failure or JournalError(latch.reason)

    async def abandon(self) -> None:
        """End all that could journal, and then the journal; harmless twice, enough after a failed start."""
        self._stopping.set()
        self._garbage.end()
        if self._beat is not None:
            self._beat.cancel()
        self._pulse.stop()
        if self._http is not None:
            await self._http.stop()
        if hasattr(self, "_sinks"):  # a start that failed is what a person wants to be told of
            await self._sinks.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._ended or not hasattr(self, "core"):
            return
        core, self._ended = self.core, True
        if core.engine.phase != "STOPPED":
            core.doors.stop()
        await core.doors.disconnect()
        core.doors.close()
        await self.seams.worker.call(bool)  # it does one thing at a time: a sync under way is over
        try:
            await core.journal.close(self.seams.clock.now_ns())
        except JournalError as error:
            self.failure = self.failure or error
        if self._desk.tape is not None:
            await self._desk.close_tape(self.seams, self.log)
            self._taping.cancel()
