"""The doors of a core that is recorded (daemon/doors.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from daemon.doors import Doors

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from daemon.core import Core
    from daemon.events import Command, ExecutionReport, Funding, VenueSnapshot, VenueStatus
    from daemon.orders.meeting import Differences
    from daemon.orders.records import Checkpoint, Run
    from daemon.status import DaemonState
    from daemon.venues.base import VenueSink

T = TypeVar("T")


class RecordedDoors(Doors):
    """Doors that note each call. A paper venue is of the core, and is asked by a door itself."""

    def __init__(self, call: Callable[..., Any], core: Core, *, paper: bool) -> None:
        """Take the place of the core's own; call(name, fn, *args) notes a call and makes it."""
        plain = core.doors
        super().__init__(core.engine, core.recovery, core.checkpoints, plain.digests)
        self._call = call
        self._plain = plain
        self._paper = paper
        core.journal.on_failure = self.journal_failed
        core.journal.checkpoint = self.rotation
        core.checkpoints.settling = self.settle_memory

    # --- the venue ------------------------------------------------------------------------------------------
    @property
    def sink(self) -> VenueSink:
        """Who hears of orders: these; a paper venue's reports come by timers of the core itself."""
        return self._plain.sink if self._paper else self

    async def connect(self) -> None:
        """Let the venue connect."""
        if self._paper:
            self._call("connect", run_now, super().connect(), noted=())
        else:
            await super().connect()

    async def snapshot(self) -> VenueSnapshot:
        """Return the venue's word."""
        if self._paper:
            told: VenueSnapshot = self._call("snapshot", run_now, super().snapshot(), noted=())
            return told
        return await super().snapshot()

    async def disconnect(self) -> None:
        """Let the venue go."""
        if self._paper:
            self._call("disconnect", run_now, super().disconnect(), noted=())
        else:
            await super().disconnect()

    def on_report(self, report: ExecutionReport) -> None:
        """Take one order message."""
        self._call("on_report", self._plain.on_report, report)

    def on_funding(self, funding: Funding) -> None:
        """Take what open derivatives cost or brought by themselves."""
        self._call("on_funding", self._plain.on_funding, funding)

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        """Take what the venue has a person look at."""
        self._call("on_alarm", self._plain.on_alarm, kind, text, wire_ns)

    def on_venue_status(self, status: VenueStatus) -> None:
        """Take it that orders can travel, or cannot."""
        self._call("on_venue_status", self._plain.on_venue_status, status)

    def meet(self, snapshot: VenueSnapshot, asked_ns: int) -> Differences:
        """Compare with the venue's word, and settle."""
        noted = None if self._paper else snapshot
        found: Differences = self._call("meet", self._plain.meet, snapshot, asked_ns, noted=(noted, asked_ns))
        return found

    def close_venue(self) -> None:
        """Let no more risk be added before the venue has been met again."""
        self._call("close_venue", self._plain.close_venue)

    # --- people, and what fails -----------------------------------------------------------------------------
    def command(self, command: Command) -> None:
        """Do what a person or a signal asks."""
        self._call("command", self._plain.command, command)

    def halt(self, source: str, reason: str) -> None:
        """Throw the kill switch."""
        self._call("halt", self._plain.halt, source, reason)

    def journal_failed(self, text: str) -> None:
        """Halt: a sync failed."""
        self._call("journal_failed", self._plain.journal_failed, text)

    # --- its life -------------------------------------------------------------------------------------------
    def set_phase(self, phase: DaemonState) -> None:
        """Say which part of its life the daemon is in."""
        self._call("set_phase", self._plain.set_phase, phase)

    def withdraw_unseen(self) -> None:
        """Cancel what should not stand while no market is seen."""
        self._call("withdraw_unseen", self._plain.withdraw_unseen)

    def start(self) -> None:
        """Begin to trade."""
        self._plain.feed = self.feed
        self._call("start", self._plain.start)

    def stop(self) -> None:
        """Let no more risk be added."""
        self._call("stop", self._plain.stop)

    def trim_stops(self, now_ns: int) -> bool:
        """Lower or cancel the stops that exceed what they protect."""
        exceed: bool = self._call("trim_stops", self._plain.trim_stops, now_ns)
        return exceed

    def close(self) -> None:
        """End the order side."""
        self._call("close", self._plain.close)

    # --- what comes every so often --------------------------------------------------------------------------
    def second(self, now_ns: int) -> None:
        """Journal what is journalled each second."""
        self._call("second", self._plain.second, now_ns)

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew."""
        self._call("clock_stepped", self._plain.clock_stepped, step_ns)

    def rotation(self) -> tuple[Run, Checkpoint]:
        """Return what a new segment of the journal begins with."""
        begins: tuple[Run, Checkpoint] = self._call("rotation", self._plain.rotation)
        return begins

    def settle_memory(self, strategy: int) -> None:
        """Let a strategy take the ticks that wait."""
        self._call("settle_memory", self._plain.settle_memory, strategy)

    def take_symbols(self, statuses: Sequence[tuple[int, str, str]]) -> None:
        """Take which instruments are open for trading."""
        self._call("take_symbols", self._plain.take_symbols, statuses)


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine that waits for nothing returns."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waited")
