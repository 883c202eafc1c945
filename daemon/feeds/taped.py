"""What a feed gives to a recorder, in the order in which its core takes it: enough to replay the market.

Streams: "feed/0", "feed/1", .. the frames of each connection, in the order of subscription; "snapshot/SYMBOL"
a whole book that was asked for over REST; "cut/0", .. an empty entry where that connection's books were lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from daemon.feeds.connection import Ways

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def tape_ways(tape: Tape, clock: Clock) -> Callable[[FeedCore, int], Ways]:
    """Return what makes the ways of a connection to a core, by its number: recorded."""
    now_ns, take = clock.now_ns, tape.take

    def ways(core: FeedCore, number: int) -> Ways:
        process, lose = core.process, core.disconnected
        frames, cuts = tape.stream(f"{FEED}{number}"), tape.stream(f"{CUT}{number}")

        def on_frame(payload: bytes, last: bool) -> None:
            wire_ns = now_ns()
            take(frames, wire_ns, last, payload)
            process(payload, wire_ns, last)

        def disconnected(instruments: Sequence[int]) -> None:
            take(cuts, now_ns(), False, b"")
            lose(instruments)

        return Ways(on_frame, disconnected)

    return ways


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
