"""What a replay plays: a capture of one Binance instrument, or a tape of any feed; several: merge.py."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from daemon.errors import FileFormatError
from daemon.feeds.exchanges import find_exchange
from daemon.feeds.taped import CUT, FEED, SNAPSHOT
from daemon.session.entries import begin_of
from daemon.tape.capture import capture_instrument, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from daemon.feeds.base import Exchange, Stream
    from daemon.instruments import Instrument, Market
    from daemon.tape.header import TapeHeader
    from daemon.tape.reader import Tape

    #: (payload, wire_ns, drain_end): what an entry does to a feed
    Play = Callable[[bytes, int, bool], object]


class Chunk(NamedTuple):
    """Consecutive entries: when each was received, whose it is, what it says."""

    wires_ns: Sequence[int]
    streams: Sequence[str]
    lasts: Sequence[bool]
    payloads: Sequence[bytes]

    def part(self, begin: int, end: int) -> Chunk:
        """Return the entries from number `begin` on, before number `end`."""
        wires_ns, streams, lasts, payloads = self
        return Chunk(wires_ns[begin:end], streams[begin:end], lasts[begin:end], payloads[begin:end])


def join(chunks: Sequence[Chunk]) -> Chunk:
    """Return the entries of all, one after the other."""
    return Chunk(
        [wire_ns for one in chunks for wire_ns in one.wires_ns],
        [stream for one in chunks for stream in one.streams],
        [last for one in chunks for last in one.lasts],
        [payload for one in chunks for payload in one.payloads],
    )


class MarketFeed(NamedTuple):
    """What one feed core takes: an exchange's instruments, indices from 0."""

    exchange: Exchange
    instruments: Sequence[Instrument]


class Takes(Protocol):
    """What entries are done to: a feed core, or a part of one."""

    def process(self, payload: bytes, wire_ns: int, last: bool) -> None:
        """Take a frame."""

    def process_snapshot(self, instrument: int, payload: bytes, wire_ns: int) -> None:
        """Take a whole book."""

    def disconnected(self, instruments: Sequence[int]) -> None:
        """Lose the books of a connection."""


class Source(Protocol):
    """Frames of one market, or of several, in the order of the record."""

    name: str  # as it is told to people
    capture: Path | None  # one line a drain, gzipped; None: it is no such file
    markets: Sequence[MarketFeed]
    instruments: Sequence[Instrument]  # of all markets, one after the other, indices from 0
    streams: tuple[Stream, ...] | None  # None: nobody knows
    started_ns: int  # when its recorder began; 0: nobody knows
    last_ns: int  # when the last entry was received; likewise
    traded_by: list[str]  # strategies that traded meanwhile; none: nobody did, or nobody knows

    def chunks(self, from_ns: int) -> Iterator[Chunk]:
        """Yield all entries that a book of `from_ns` may need, and all after; raises FileFormatError."""

    def plays(self, feeds: Sequence[Takes]) -> dict[str, Play]:
        """Return what an entry does to the feed of its market, by its stream."""

    def notes(self) -> list[str]:
        """Return what is to be known of it, once it was played: where it is cut, what it lost."""

    def backwards(self, played: int) -> int:
        """Return how many entries are stamped before the one above them; played: in the order of `chunks`."""


def open_source(path: Path) -> Source:
    """Return what is at a path, a session's folder, a segment or a capture; raises FileFormatError."""
    from daemon.tape.manifest import SUFFIX  # noqa: PLC0415 - Arrow, for who reads a tape

    if path.is_dir() or path.suffix == SUFFIX:
        return TapeSource(path)
    return CaptureSource(path)


class CaptureSource:
    """One instrument of Binance; every line is a drain of its own, its snapshot a line as the others."""

    def __init__(self, path: Path) -> None:
        self.name, self.path = str(path), path
        self.capture: Path | None = path
        instrument = capture_instrument(path)
        self.instruments: Sequence[Instrument] = (instrument,)
        exchange = find_exchange(instrument.exchange, instrument.market)
        self.markets: Sequence[MarketFeed] = (MarketFeed(exchange, self.instruments),)
        self.streams: tuple[Stream, ...] | None = None
        self.started_ns = self.last_ns = 0
        self.traded_by: list[str] = []

    def chunks(self, from_ns: int) -> Iterator[Chunk]:
        """Yield its lines."""
        del from_ns
        for lines in read_lines(self.path):
            count = len(lines)
            yield Chunk(lines.wires_ns.tolist(), (FEED,) * count, (True,) * count, lines)

    def plays(self, feeds: Sequence[Takes]) -> dict[str, Play]:
        """Return the one thing that a line is."""
        return {FEED: feeds[0].process}

    def notes(self) -> list[str]:
        """Return nothing: whatever is odd about a capture ends its replay."""
        return []

    def backwards(self, played: int) -> int:
        """Return the same: a line has the one above it."""
        return played


class TapeSource:
    """A session's tape: any exchange, several instruments."""

    capture: Path | None = None

    def __init__(self, path: Path) -> None:
        from daemon.tape.reader import read_tape  # noqa: PLC0415 - as above

        self.name = str(path)
        self.tape: Tape = read_tape(path)
        header = self.tape.header
        self.instruments: Sequence[Instrument] = header.instruments
        market = cast("Market", header.market)
        exchange = find_exchange(header.exchange, market)
        self.markets: Sequence[MarketFeed] = (MarketFeed(exchange, self.instruments),)
        streams = cast("tuple[Stream, ...]", header.streams)
        self.streams: tuple[Stream, ...] | None = streams
        self.started_ns = header.started_ns
        self.last_ns = self.tape.last_ns()
        self.traded_by = _strategies_of(read_tape(path))  # apart: `tape` notes its cuts as it is played
        self._connections = connections_of(header)

    def chunks(self, from_ns: int) -> Iterator[Chunk]:
        """Yield its entries from the last whole books before `from_ns` on."""
        batches = self.tape.batches(self._begin(from_ns))
        return _less_its_end(Chunk(one.wires_ns, one.streams, one.lasts, one.payloads) for one in batches)

    def _begin(self, from_ns: int) -> int:
        """Return the number of the last segment by which every book is built anew before `from_ns`.

        The manifest tells of books over REST alone: where they come in the stream it is the first.
        """
        segments = [listed for _, listed in self.tape.segments]
        before = sum(listed is not None and listed.last_ns < from_ns for listed in segments)
        if "depth" not in (self.streams or ()):
            return min(before, len(segments) - 1)
        wanted = {SNAPSHOT + one.symbol for one in self.instruments}
        for number in range(before - 1, -1, -1):
            listed = segments[number]
            wanted -= listed.streams.keys() if listed is not None else set()
            if not wanted:
                return number
        return 0

    def plays(self, feeds: Sequence[Takes]) -> dict[str, Play]:
        """Return what its streams do; those of a session's own record do nothing here."""
        return _Plays(feeds[0], self.instruments, self._connections)

    def notes(self) -> list[str]:
        """Return where it is cut, and from where on it has holes."""
        return [str(cut) for cut in self.tape.cuts]

    def backwards(self, played: int) -> int:
        """Return the same: entries stand in the order of the record."""
        return played


def _strategies_of(tape: Tape) -> list[str]:
    """Return who traded in the session that a tape is of."""
    try:
        first = next(iter(tape), None)
        begin = begin_of(first) if first is not None else None
    except FileFormatError:  # a newer session's can be played all the same; damage is told when it is
        begin = None
    return [one.partition(" ")[2] for one in begin.hashes] if begin is not None else []


def connections_of(header: TapeHeader) -> list[Sequence[int]]:
    """Return which instruments come by each connection of a tape, in the order of their numbers."""
    market = cast("Market", header.market)
    listed = [one for one in header.instruments if one.listed]
    streams = cast("tuple[Stream, ...]", header.streams)
    found = find_exchange(header.exchange, market).subscriptions(market, listed, streams)
    return [one.instruments for one in found]


def _less_its_end(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Yield all entries but the cuts behind which no frame comes.

    A recorder that ends closes its own connections, and nothing is missing behind its last frame.
    """
    held = Chunk([], [], [], [])  # from a cut on
    for chunk in chunks:
        entries = join([held, chunk]) if held.streams else chunk
        count = end = len(entries.streams)
        for at in range(count - 1, -1, -1):
            if entries.streams[at].startswith(FEED):
                break
            if entries.streams[at].startswith(CUT):
                end = at
        if end:
            yield entries if end == count else entries.part(0, end)
        held = entries.part(end, count)
    if kept := [at for at, stream in enumerate(held.streams) if not stream.startswith(CUT)]:
        yield join([held.part(at, at + 1) for at in kept])


class _Plays(dict[str, "Play"]):
    """What each stream does to a feed, found out when it first comes."""

    def __init__(
        self, feed: Takes, instruments: Sequence[Instrument], connections: Sequence[Sequence[int]]
    ) -> None:
        super().__init__()
        self._feed = feed
        self._numbers = {one.symbol: one.index for one in instruments}
        self._connections = connections

    def __missing__(self, name: str) -> Play:
        play: Play = _nothing
        if name.startswith(FEED):
            play = self._feed.process
        elif name.startswith(SNAPSHOT) and name.removeprefix(SNAPSHOT) in self._numbers:
            play = partial(_snapshot, self._feed, self._numbers[name.removeprefix(SNAPSHOT)])
        elif name.startswith(CUT) and name.removeprefix(CUT).isdigit():
            number = int(name.removeprefix(CUT))
            play = partial(
                _cut, self._feed, self._connections[number] if number < len(self._connections) else ()
            )
        self[name] = play
        return play


def _snapshot(feed: Takes, instrument: int, payload: bytes, wire_ns: int, _last: bool) -> None:
    feed.process_snapshot(instrument, payload, wire_ns)


def _cut(feed: Takes, instruments: Sequence[int], _payload: bytes, _wire_ns: int, _last: bool) -> None:
    feed.disconnected(instruments)


def _nothing(_payload: bytes, _wire_ns: int, _last: bool) -> None:
    """Do nothing."""
