"""A replay on the metrics: its own loop, which turns between chunks and while a paced replay waits.

A replay is plain calls from its first entry to its last, so nobody answers while it plays; a chunk takes some
10 ms, and a scrape waits for a few.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvloop

from daemon import __version__
from daemon.clock import LoopScheduler, SystemClock, wait_until
from daemon.errors import UsageError
from daemon.snapshot import add_positions, order_counts
from daemon.status import InstrumentStatus, ReplayStatus, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.core import Core
    from daemon.events import Command
    from daemon.feeds.core import FeedCore
    from daemon.tape.player import Player
    from daemon.tape.source import Source


class Unserved:
    """Nobody asked for it."""

    wait = staticmethod(wait_until)

    def turn(self) -> None:
        """Answer nobody."""

    @contextmanager
    def serving(self, read: Callable[[], Status]) -> Iterator[None]:
        """Serve nothing."""
        del read
        yield


class Served:
    """Serves /metrics, /state and /healthz on a loopback port while a replay plays; commands are refused."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._clock = SystemClock()
        self._runner: asyncio.Runner

    @contextmanager
    def serving(self, read: Callable[[], Status]) -> Iterator[None]:
        """Listen; raises TickdError for a busy port."""
        from daemon.faces.http import HttpFace  # noqa: PLC0415 - aiohttp, for who asks for it

        face = HttpFace(read, _refuse, lambda _: None, self._clock)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as self._runner:
            self._runner.run(face.start(None, self._port))
            try:
                yield
            finally:
                self._runner.run(face.stop())

    def turn(self) -> None:
        """Answer who waits."""
        self._runner.run(_until(self._clock, 0))

    def wait(self, mono_ns: int) -> None:
        """Return once the monotonic clock is there, and answer meanwhile."""
        if (left_ns := mono_ns - self._clock.mono_ns()) > 0:
            self._runner.run(_until(self._clock, left_ns))


async def _until(clock: SystemClock, left_ns: int) -> None:
    passed = asyncio.get_running_loop().create_future()
    scheduler = LoopScheduler(clock)
    scheduler.call_at(clock.now_ns() + left_ns, lambda: passed.set_result(None))
    await passed


async def _refuse(command: Command, *, often: bool) -> bool:
    del often
    raise UsageError(f"a replay takes no {command.verb}: end it by a signal")


def status_of(
    source: Source, core: Core, feeds: Sequence[FeedCore], player: Player, first_ns: int, spent_ns: int
) -> Status:
    """Return a replay as faces show it; spent_ns: since its first entry, of `first_ns`, was played."""
    lanes = [lane for feed in feeds for lane in feed.lanes]
    instruments = [
        InstrumentStatus(
            symbol=one.symbol,
            base=one.base,
            trades=lane.trade.count,
            quotes=lane.quote.count,
            depths=lane.depth.count,
            snapshots=lane.snapshots,
            book_synced=core.engine.synced[one.index],
        )
        for one, lane in zip(source.instruments, lanes, strict=True)
    ]
    add_positions(core, instruments)
    spent_s = max(spent_ns, 1) / 1e9
    return Status(
        name="replay",
        mode="replay",
        version=__version__,
        state=core.engine.state,
        now_ns=core.orders.clock.now_ns(),
        uptime_s=spent_s,
        instruments=instruments,
        feed_frames=sum(feed.frames for feed in feeds),
        drains=core.engine.drains,
        decisions=sum(int(one.memory[0]["decisions"]) for one in core.runtimes),
        orders=order_counts(core),
        replay=ReplayStatus(
            position_ns=player.newest_ns,
            end_ns=source.last_ns,
            entries=player.count,
            entries_per_s=player.count / spent_s,
            speed=(player.newest_ns - first_ns) / 1e9 / spent_s,
        ),
    )
