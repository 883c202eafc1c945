"""What a feed gives to a recorder, in the order in which its core takes it: enough to replay the market.

Streams: "feed/0", "feed/1", .. the frames of each connection, in the order of subscription; "snapshot/SYMBOL"
a whole book that was asked for over REST; "cut/0", .. an empty entry where that connection's books were lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from daemon.feeds.connection import Link, Untaped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.feeds.connection import FeedConnection
    from daemon.feeds.core import FeedCore
    from daemon.instruments import Instrument
    from daemon.seams import Clock

FEED: Final = "feed/"
SNAPSHOT: Final = "snapshot/"
CUT: Final = "cut/"


class Tape(Protocol):
    """Who records (daemon/tape/recorder.py)."""

    @property
    def take(self) -> Callable[[int, int, bool, bytes], None]:
        """Return what takes an entry: (stream, wire_ns, drain_end, payload)."""

    def stream(self, name: str) -> int:
        """Return a stream's number."""


class Taped(Untaped):
    """One connection's place on a tape."""

    def __init__(self, tape: Tape, number: int, clock: Clock) -> None:
        self._take = tape.take
        self._frames = tape.stream(f"{FEED}{number}")
        self._cuts = tape.stream(f"{CUT}{number}")
        self._now_ns = clock.now_ns

    def link(self, connection: FeedConnection, core: FeedCore) -> Link:
        """Return a link whose frames are recorded."""
        return _TapedLink(connection, core, self._take, self._frames, self._now_ns)

    def cut(self) -> None:
        """Record that the connection's books are lost."""
        self._take(self._cuts, self._now_ns(), False, b"")


class _TapedLink(Link):
    """Stamps a frame once, records it, and hands it on with that stamp."""

    __slots__ = ("_now_ns", "_process", "_stream", "_take")

    def __init__(
        self,
        connection: FeedConnection,
        core: FeedCore,
        take: Callable[[int, int, bool, bytes], None],
        stream: int,
        now_ns: Callable[[], int],
    ) -> None:
        super().__init__(connection, core)
        self._take = take
        self._stream = stream
        self._now_ns = now_ns
        self._process = core.process

    def on_frame(self, payload: bytes, last: bool) -> None:
        """Take a frame as Link does."""
        if self._sequence is not None and self.live:
            self._count(self._sequence(payload))
        if self.live:
            wire_ns = self._now_ns()
            self._take(self._stream, wire_ns, last, payload)
            self._process(payload, wire_ns, last)


def tape_snapshots(
    tape: Tape, instruments: Sequence[Instrument], take: Callable[[int, bytes, int], None]
) -> Callable[[int, bytes, int], None]:
    """Return what records whole books and hands them to `take`, which is FeedCore.process_snapshot."""
    streams = [tape.stream(f"{SNAPSHOT}{one.symbol}") for one in instruments]
    record = tape.take

    def taken(instrument: int, payload: bytes, wire_ns: int) -> None:
        record(streams[instrument], wire_ns, False, payload)
        take(instrument, payload, wire_ns)

    return taken
