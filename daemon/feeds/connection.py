"""One websocket of market data, kept alive: watched by the age of its data, reconnected with patience.

Pings prove nothing: exchanges keep answering them while a stream stands still. So the watchdog looks at when
data last came, for the connection and for each stream of quotes and depth. A cut loses the books at once,
which closes their instruments to new risk; the sequences say what was missed. The planned change of
connection (the exchange cuts each after 24 h) opens the new one first and lets both speak for a moment: what
comes twice is dropped by its ids, and nothing is lost (where updates have none the old one is cut first, and
the books are lost for that moment). An exchange that numbers the frames of a connection
has it opened anew when one is missing: nobody knows whose it was.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import structlog

from daemon.errors import NetError
from daemon.feeds.snapshots import BAN_S
from daemon.pause import Backoff, connect_later, pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.feeds.base import Subscription
    from daemon.feeds.core import FeedCore
    from daemon.feeds.snapshots import SnapshotFetcher
    from daemon.seams import Seams, Timer, Wire

_log = structlog.get_logger(component="feed")

_HOUR_NS: Final = 3_600_000_000_000
#: a connection's life, less up to an hour at random; the exchange ends it at 24 h
ROLLOVER_H: Final = 23
#: a silence of this many `stale_ms` ends a connection, and of one stream among speaking ones
CONNECTION_PATIENCE: Final = 3
STREAM_PATIENCE: Final = 12
#: after each silent reconnect patience doubles up to this, for the market itself may be quiet
_PATIENCE_MAX: Final = 16
#: a connection that lived this long was a good one; and, longer than any silence allowed, one that spoke
_GOOD_NS: Final = 60_000_000_000
_CALM_NS: Final = 3_600_000_000_000
#: how long both connections speak at a rollover
_OVERLAP_S: Final = 2.0
#: a ban is waited out in parts, so that who waits for its end can be told from who hangs
_HELD_S_MAX: Final = 30.0


class Ways(NamedTuple):
    """How what comes by a connection reaches the feed: its own verbs, or those of who keeps a record."""

    on_frame: Callable[[bytes, bool], None]
    disconnected: Callable[[Sequence[int]], None]


class Link:
    """One open websocket; the Handler that the network calls."""

    __slots__ = (
        "_connection",
        "_newest",
        "_sequence",
        "_take",
        "ended",
        "live",
        "opened_ns",
        "ready_ns",
        "reason",
        "wire",
    )

    def __init__(
        self,
        connection: FeedConnection,
        sequence: Callable[[bytes], int] | None,
        take: Callable[[bytes, bool], None],
    ) -> None:
        self._connection = connection
        self._sequence = sequence
        self._take = take
        self._newest = -1  # the number of the newest frame that had one
        self.wire: Wire | None = None
        self.live = True
        self.opened_ns = 0  # when it was begun
        self.ready_ns = 0  # when it could be asked: opening may take seconds (daemon/feeds/ccxt_net.py)
        self.ended = asyncio.Event()
        self.reason = ""

    def on_frame(self, payload: bytes, last: bool) -> None:
        """Take a frame, unless this connection has been given up and only its tail is still coming."""
        if self._sequence is not None and self.live:
            self._count(self._sequence(payload))
        if self.live:
            self._take(payload, last)

    def _count(self, number: int) -> None:
        """End it where a frame is missing; what came since is of books that are wrong."""
        if number < 0:
            return
        if self._newest >= 0 and number != self._newest + 1:
            self.end("sequence", f"frame {number} came after frame {self._newest}")
            self._connection.lost(self)
            self.live = False
        self._newest = number

    def on_close(self, reason: str) -> None:
        """Learn that the other side is gone."""
        if self.live:
            self.end("closed", reason)
            self._connection.lost(self)

    def end(self, kind: str, detail: str) -> None:
        """Say why it should be replaced; the first reason stands."""
        if not self.ended.is_set():
            self.reason = kind
            _log.warning("feed_ending", reason=kind, detail=detail)
            self.ended.set()


class FeedConnection:
    """Keeps one address streaming into a core; `run` is the task, cancelled to stop."""

    def __init__(
        self,
        core: FeedCore,
        subscription: Subscription,
        snapshots: SnapshotFetcher,
        seams: Seams,
        *,
        stale_ms: int,
        backoff_s_max: float = 30.0,
        ways: Ways | None = None,
    ) -> None:
        self._core = core
        self._ways = ways or Ways(core.on_frame, core.disconnected)
        self._subscription = subscription
        self._instruments = np.array(subscription.instruments, dtype=np.intp)
        self._snapshots = snapshots
        self._seams = seams
        self._stale_ns = stale_ms * 1_000_000
        self._backoff = Backoff(0.5, backoff_s_max, seams.random)
        self._patience = 1
        self._links: list[Link] = []  # one, or two during a rollover
        self._timer: Timer | None = None
        self._ping_ns = 0  # when the exchange wants to hear from us next
        self.acted_ns = seams.clock.mono_ns()  # when it last looked at its link, or tried to have one
        self.connects = 0
        self.ends: Counter[str] = Counter()

    @property
    def connected(self) -> bool:
        """Whether a websocket is open."""
        return bool(self._links)

    @property
    def reconnects(self) -> int:
        """How often it had to be opened again."""
        return max(0, self.connects - 1)

    async def run(self) -> None:
        """Connect, and keep connected until cancelled."""
        try:
            link = await self._open()
            while True:
                await link.ended.wait()
                self.ends[link.reason] += 1
                link = await self._replace(link)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for link in list(self._links):
                self._drop(link)

    async def _replace(self, old: Link) -> Link:
        """Return a new link in the place of one that ended."""
        lived_ns = self._seams.clock.now_ns() - old.opened_ns
        planned = old.reason in {"rollover", "shutdown"}
        if planned and self._subscription.overlaps:
            # the old one speaks on until the new one does
            new = await self._open(hushed=old)
            await pause(self._seams, _OVERLAP_S)
            self._drop(old)
            return new
        self._drop(old)
        if planned:
            return await self._open()
        if lived_ns > _GOOD_NS:
            self._backoff.reset()
        if lived_ns > _CALM_NS:
            self._patience = 1
        if old.reason.startswith("silent"):
            self._patience = min(_PATIENCE_MAX, self._patience * 2)
        await pause(self._seams, self._backoff.next_s())
        return await self._open()

    async def _open(self, hushed: Link | None = None) -> Link:
        """Connect, trying for ever, later each time.

        hushed: an older link that brings no depth any more once the new one asks for its own.
        """
        clock = self._seams.clock
        while True:
            while held_s := self._snapshots.held_s:  # a connection while we are banned only lengthens the ban
                self.acted_ns = clock.mono_ns()
                await pause(self._seams, min(held_s, _HELD_S_MAX))
            self.acted_ns = clock.mono_ns()
            link = Link(self, self._core.sequence, self._ways.on_frame)
            link.opened_ns = clock.now_ns()
            try:
                link.wire = await self._seams.net.connect(self._subscription.url, link)
            except NetError as error:
                link.live = False
                if error.status in BAN_S:
                    self._snapshots.limited(error.status, error.retry_after_s)
                await connect_later(self._seams, self._backoff, "feed", error)
                continue
            self.connects += 1
            link.ready_ns = clock.now_ns()
            self._links.append(link)
            if link.ended.is_set():  # closed before `connect` returned
                self.lost(link)
            else:
                self._watch(link)
            _log.info("feed_connected", connects=self.connects)
            if hushed is not None and hushed in self._links:
                self._send(hushed, self._subscription.hush)
            await self._ask(link, link.wire)
            return link

    async def _ask(self, link: Link, wire: Wire) -> None:
        """Subscribe to what its address had no room for."""
        for request in self._subscription.requests:
            if link.ended.is_set():
                return
            try:
                wire.send(request)
            except NetError as error:
                link.end("closed", str(error))
                return
            await pause(self._seams, self._subscription.request_gap_s)

    def resubscribe(self, instrument: int) -> None:
        """Let the depth of an instrument begin anew, if it comes by here."""
        self._say(self._subscription.anew.get(instrument, ()))

    def _say(self, requests: Sequence[bytes]) -> None:
        """Send requests on the newest link; one that is ending needs none: the next begins anew."""
        link = self._links[-1] if self._links else None
        if link is not None and not link.ended.is_set():
            self._send(link, requests)

    @staticmethod
    def _send(link: Link, requests: Sequence[bytes]) -> None:
        """Send requests on a link, which ends where it takes none."""
        try:
            for request in requests:
                if link.wire is not None:
                    link.wire.send(request)
        except NetError as error:
            link.end("closed", str(error))

    # --- endings -------------------------------------------------------------------------------------------

    def lost(self, link: Link) -> None:
        """Learn that a link is gone; when it was the only one, its books are lost and its ids may jump."""
        if link not in self._links:
            return
        self._links.remove(link)
        if not self._links:
            instruments = self._instruments.tolist()
            self._ways.disconnected(instruments)
            for index in instruments:
                self._snapshots.forget(index)

    def _drop(self, link: Link) -> None:
        link.live = False
        self.lost(link)
        if link.wire is not None:
            link.wire.close()

    def end_before(self, announced_ns: int) -> None:
        """End what was open when the exchange announced its end."""
        if self._links and self._links[-1].opened_ns <= announced_ns:
            self._links[-1].end("shutdown", "the exchange announced it")

    # --- the watchdog --------------------------------------------------------------------------------------

    def _watch(self, link: Link) -> None:
        """Look at a link's data twice per `stale_ms`, and end it at its planned time."""
        clock = self._seams.clock
        rollover_ns = clock.mono_ns() + int((ROLLOVER_H - self._seams.random.random()) * _HOUR_NS)

        def look() -> None:
            if link.ended.is_set() or link not in self._links:
                return
            self.acted_ns = clock.mono_ns()
            if self.acted_ns >= rollover_ns:
                link.end("rollover", "24 h are nearly over")
                return
            if self._subscription.ping and clock.mono_ns() >= self._ping_ns:
                self._ping_ns = clock.mono_ns() + int(self._subscription.ping_s * 1e9)
                self._say((self._subscription.ping,))
            now_ns = clock.now_ns()
            self._look(link, now_ns)
            self._timer = self._seams.scheduler.call_at(now_ns + self._stale_ns // 2, look)

        look()

    def _look(self, link: Link, now_ns: int) -> None:
        """End a link whose data, or one of whose streams, has been silent for too long."""
        limit_ns = self._stale_ns * self._patience
        link.ready_ns = min(link.ready_ns, now_ns)  # the clock may have been set back
        newest_ns = self._core.newest_ns(self._instruments)
        if now_ns - max(newest_ns, link.ready_ns) > CONNECTION_PATIENCE * limit_ns:
            link.end("silent", f"no data for {CONNECTION_PATIENCE * limit_ns // 1_000_000} ms")
            return
        ages_ns = self._core.ages_ns(now_ns)[self._instruments]
        place = int(ages_ns.argmax())
        age_ns = min(int(ages_ns[place]), now_ns - link.ready_ns)
        if age_ns > STREAM_PATIENCE * limit_ns:
            index = int(self._instruments[place])
            link.end(
                "silent_stream", f"a stream of instrument {index} is silent for {age_ns // 1_000_000} ms"
            )
