"""All websockets of a feed: as many as its streams need, each kept alive by itself (connection.py)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from daemon.feeds.connection import FeedConnection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.feeds.base import Control, Subscription
    from daemon.feeds.core import FeedCore
    from daemon.feeds.snapshots import SnapshotFetcher
    from daemon.seams import Seams


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
    ) -> None:
        self._each = [FeedConnection(core, one, snapshots, seams, stale_ms=stale_ms) for one in subscriptions]
        core.on_control = self._on_control

    @property
    def connected(self) -> bool:
        """Whether every websocket is open."""
        return all(one.connected for one in self._each)

    @property
    def reconnects(self) -> int:
        """How often one had to be opened again."""
        return sum(one.reconnects for one in self._each)

    async def run(self) -> None:
        """Connect, and keep connected until cancelled."""
        await asyncio.gather(*(one.run() for one in self._each))

    def _on_control(self, control: Control) -> None:
        """Tell each: a frame does not say which connection it came by, and all are to the same servers."""
        for one in self._each:
            one.on_control(control)
