"""The ways into the trading core, but for market frames and the core's own timers.

Whoever is outside (the start, the venue, a person, the meetings, the end) calls these and nothing behind
them. A session that is recorded has a RecordedDoors here, which notes each call; a replay makes the noted
calls on these (daemon/session).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.clock_step import take_step
from daemon.orders.closing import trim_stops
from daemon.orders.records import pack
from kernels.dtypes import GATE_VENUE_DOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.engine import Engine
    from daemon.events import Command, ExecutionReport, Funding, VenueSnapshot, VenueStatus
    from daemon.feeds.core import FeedCore
    from daemon.memory_checkpoint import Checkpoints
    from daemon.orders.meeting import Differences
    from daemon.orders.records import Checkpoint, Run
    from daemon.orders.recovery import Recovery
    from daemon.session.digests import Digests
    from daemon.status import DaemonState
    from daemon.venues.base import VenueSink


class Doors:
    """Each verb does one thing to the core, at once; `connect`, `snapshot` and `disconnect` ask the venue."""

    def __init__(
        self, engine: Engine, recovery: Recovery, checkpoints: Checkpoints, digests: Digests | None
    ) -> None:
        """Wire it; digests: what a recorded session journals each second, None where it is not recorded."""
        self.feed: FeedCore  # as soon as there is one: before `start`
        self.digests = digests
        self.engine = engine
        self.orders = engine.orders
        self._recovery = recovery
        self._checkpoints = checkpoints

    # --- the venue ------------------------------------------------------------------------------------------
    @property
    def sink(self) -> VenueSink:
        """Who hears of orders: without a recording no call lies between."""
        return self.engine

    async def connect(self) -> None:
        """Let the venue connect; raises what it raises."""
        await self.orders.venue.start(self.sink)

    async def snapshot(self) -> VenueSnapshot:
        """Return the venue's word on all since the latest trade known; raises what it raises."""
        return await self.orders.venue.snapshot(self._recovery.since_ns)

    async def disconnect(self) -> None:
        """Let the venue go."""
        await self.orders.venue.stop()

    def on_report(self, report: ExecutionReport) -> None:
        """Take one order message."""
        self.engine.on_report(report)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether an order message says only what is known."""
        return self.engine.knows(kind, client_order_id, cum_lots, trade_id)

    def on_funding(self, funding: Funding) -> None:
        """Take what open derivatives cost or brought by themselves."""
        self.engine.on_funding(funding)

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        """Take what the venue has a person look at."""
        self.engine.on_alarm(kind, text, wire_ns)

    def on_venue_status(self, status: VenueStatus) -> None:
        """Take it that orders can travel, or cannot."""
        self.engine.on_venue_status(status)

    def meet(self, snapshot: VenueSnapshot, asked_ns: int) -> Differences:
        """Compare with the venue's word, and settle."""
        return self._recovery.meet(snapshot, asked_ns)

    def close_venue(self) -> None:
        """Let no more risk be added before the venue has been met again."""
        self.orders.risk.close_all(GATE_VENUE_DOWN)

    # --- people, and what fails -----------------------------------------------------------------------------
    def command(self, command: Command) -> None:
        """Do what a person or a signal asks; raises TickdError for a resume that cannot be."""
        self.engine.on_command(command)

    def halt(self, source: str, reason: str) -> None:
        """Throw the kill switch."""
        self.orders.halt(source, reason)

    def journal_failed(self, text: str) -> None:
        """Halt: a sync failed."""
        self.orders.on_journal_failure(text)

    # --- its life -------------------------------------------------------------------------------------------
    def set_phase(self, phase: DaemonState) -> None:
        """Say which part of its life the daemon is in."""
        self.engine.phase = phase

    def withdraw_unseen(self) -> None:
        """Cancel what earlier runs left and should not stand while no market is seen."""
        self.engine.withdraw_unseen()

    def start(self) -> None:
        """Begin to trade."""
        self.engine.start(self.feed.ages_ns)

    def stop(self) -> None:
        """Let no more risk be added, and wake nobody."""
        self.engine.stop()

    def trim_stops(self, now_ns: int) -> bool:
        """Lower or cancel the stops that exceed what they protect; return whether any does."""
        return trim_stops(self.orders, now_ns)

    def close(self) -> None:
        """End the order side: what comes now is not believed, and what is recorded ends here."""
        if self.digests is not None:
            self.orders.record(pack(self.digests.take(self.orders.clock.now_ns())))
        self.orders.close()

    # --- what comes every so often --------------------------------------------------------------------------
    def second(self, now_ns: int) -> None:
        """Journal what is journalled each second, where it changed."""
        self.orders.save_baseline(now_ns)
        if self.digests is not None and self.digests.changed:
            self.orders.record(pack(self.digests.take(now_ns)))

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew."""
        self.feed.clock_stepped(step_ns)
        take_step(self.orders, step_ns)

    def rotation(self) -> tuple[Run, Checkpoint]:
        """Return what a new segment of the journal begins with."""
        return self._recovery.checkpoint()

    def settle_memory(self, strategy: int) -> None:
        """Let a strategy take the ticks that wait: its memory is about to be written."""
        self._checkpoints.settle(strategy)

    def take_symbols(self, statuses: Sequence[tuple[int, str, str]]) -> None:
        """Take which instruments are open for trading, as their exchange says: index, status, exchange."""
        self.engine.market.symbols.take_statuses(statuses)
