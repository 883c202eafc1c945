"""All websockets of a feed: as many as its streams need, each kept alive by itself (connection.py)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from daemon.feeds.connection import FeedConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.feeds.base import Control, Subscription
    from daemon.feeds.connection import Ways
    from daemon.feeds.core import FeedCore
    from daemon.feeds.snapshots import SnapshotFetcher
    from daemon.seams import Seams


#: announcements within so long are of one end
_ANNOUNCED_NS: Final = 60_000_000_000
_log = structlog.get_logger(component="feed")


class FeedConnections:
    """One connection for each Subscription; `run` is the task, cancelled to stop."""

    def __init__(
        self,
        core: FeedCore,
        subscriptions: Sequence[Subscription],
        snapshots: SnapshotFetcher,
        seams: Seams,
        *,
        stale_ms: int,
        backoff_s_max: float = 30.0,
        ways: Callable[[FeedCore, int], Ways] | None = None,
    ) -> None:
        """Wire it; ways(core, number): how a connection reaches the core, where not straight."""
        self._each = [
            FeedConnection(
                core,
                one,
                snapshots,
                seams,
                stale_ms=stale_ms,
                backoff_s_max=backoff_s_max,
                ways=None if ways is None else ways(core, number),
            )
            for number, one in enumerate(subscriptions)
        ]
        self._clock = seams.clock
        self._announced_ns = 0
        core.on_control = self._on_control
        snapshots.resubscribe = self.resubscribe
        snapshots.wanted = core.wants

    @property
    def connected(self) -> bool:
        """Whether every websocket is open."""
        return all(one.connected for one in self._each)

    @property
    def reconnects(self) -> int:
        """How often one had to be opened again."""
        return sum(one.reconnects for one in self._each)

    @property
    def acted_ns(self) -> int:
        """When each had looked after itself at least, by the monotonic clock; now, where there is none."""
        return min((one.acted_ns for one in self._each), default=self._clock.mono_ns())

    async def run(self) -> None:
        """Connect, and keep connected until cancelled, or until one fails."""
        tasks = [asyncio.create_task(one.run()) for one in self._each]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    def resubscribe(self, instrument: int) -> None:
        """Let the depth of an instrument begin anew with a whole book."""
        for one in self._each:
            one.resubscribe(instrument)

    def _on_control(self, control: Control) -> None:
        """Take what a frame says that is no market data; it does not say which connection it came by.

        All are to the same servers, and each may announce the same end: what was opened since the first
        announcement is not meant by the next.
        """
        if control.kind == "error":
            _log.error("feed_refused", said=control.text)
        elif control.kind == "shutdown":
            now_ns = self._clock.now_ns()
            if not 0 <= now_ns - self._announced_ns < _ANNOUNCED_NS:
                self._announced_ns = now_ns
            for one in self._each:
                one.end_before(self._announced_ns)
