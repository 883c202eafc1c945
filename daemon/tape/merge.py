"""Several tapes as one record: merged by wire time, in an order that is the same however they are named.

Each tape keeps its own order, and each drain stays whole: it stands where its last frame was received, as
there its own daemon decided. Of two that end in the same nanosecond the one whose tape is the first by
exchange, market, symbols and beginning goes first.

Tapes of one exchange and market are one feed: different symbols side by side, and one symbol from session to
session. Of several exchanges or markets each is a feed of its own, and an instrument is called by its
exchange too: BTC/USDT@okx. A symbol that two tapes tell at the same time is refused: nobody could say which
of them is the market.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import partial
from itertools import combinations
from operator import gt
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import FileFormatError, UsageError
from daemon.faces.journal_table import iso
from daemon.feeds.taped import CUT, FEED, SNAPSHOT
from daemon.tape.source import Chunk, MarketFeed, join, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from daemon.feeds.base import Exchange, Stream
    from daemon.instruments import Instrument
    from daemon.tape.source import Play, Source, Takes

    #: what makes two instruments of two tapes the same: exchange, market, symbol
    Key = tuple[str, str, str]

#: entries that are handed on together
_ENTRIES: Final = 4096
#: the stream of what stands behind a tape whose symbols another one goes on with
_END: Final = "end"


def open_sources(paths: Sequence[Path]) -> Source:
    """Return what one path holds, or several merged; raises FileFormatError and UsageError."""
    sources = [open_source(path) for path in paths]
    return sources[0] if len(sources) == 1 else MergedSource(sources)


class MergedSource:
    """Tapes and captures, two or more."""

    capture: Path | None = None

    def __init__(self, sources: Sequence[Source]) -> None:
        """Put their instruments side by side; raises UsageError for what cannot be one record."""
        self._sources = sorted(sources, key=_order)
        self.name = " + ".join(one.name for one in self._sources)
        self.streams = _streams_of(self._sources)
        ends = [one.last_ns for one in self._sources]
        self.started_ns = min(one.started_ns for one in self._sources)
        self.last_ns = max(ends) if all(ends) else 0
        self.traded_by = list(dict.fromkeys(name for one in self._sources for name in one.traded_by))
        self._keys = [[_key(one) for one in source.instruments] for source in self._sources]
        #: of each tape: what tells its feed from the others. A capture's whole book names no symbol
        self._feeds = [
            keys[0][:2] if source.capture is None else keys[0]
            for source, keys in zip(self._sources, self._keys, strict=True)
        ]
        self._known: dict[tuple[str, ...], dict[Key, Instrument]] = {}
        exchanges: dict[tuple[str, ...], Exchange] = {}
        for source, keys, feed in zip(self._sources, self._keys, self._feeds, strict=True):
            exchanges[feed] = source.markets[0].exchange
            known = self._known.setdefault(feed, {})
            for key, one in zip(keys, source.instruments, strict=True):
                _refuse_other_rules(known.get(key, one), one, source.name)
                known[key] = one  # what is not compared is the newest's
        self.markets: Sequence[MarketFeed] = [
            MarketFeed(exchanges[feed], _numbered(list(known.values())))
            for feed, known in self._known.items()
        ]
        every = [one for market in self.markets for one in market.instruments]
        _refuse_twice(every)
        if len({(one.exchange, one.market) for one in every}) > 1:
            every = [msgspec.structs.replace(one, symbol=f"{one.symbol}@{one.exchange}") for one in every]
        self.instruments: Sequence[Instrument] = _numbered(every)
        self._lines: list[_Line] = []

    def chunks(self, from_ns: int) -> Iterator[Chunk]:
        """Yield all entries in one order; raises FileFormatError where two tapes tell one symbol at once.

        Of tapes that is known before the first entry is; of captures, when the second begins.
        """
        self._lines = [
            _Line(number, source, frozenset(keys), source.chunks(from_ns))
            for number, (source, keys) in enumerate(zip(self._sources, self._keys, strict=True))
        ]
        alive = [one for one in self._lines if one.load()]
        for one, other in combinations(sorted(alive, key=_head), 2):
            if one.last_ns > other.next_ns:
                _refuse_both(one, other)
        parts: list[Chunk] = []
        count = 0
        while alive:
            line = min(alive, key=_tail)
            for one in sorted(alive, key=_head):
                if not one.begun and _head(one) <= _tail(line):
                    one.begin(alive)
            parts.append(_in_order([one.take_until(_tail(line)) for one in alive]))
            count += len(parts[-1].wires_ns)
            if not line.load():
                alive.remove(line)
                if any(one.keys & line.keys for one in alive):
                    parts.append(Chunk([line.newest_ns], [f"{line.number}/{_END}"], [False], [b""]))
            if count >= _ENTRIES or not alive:
                yield join(parts)
                parts, count = [], 0

    def plays(self, feeds: Sequence[Takes]) -> dict[str, Play]:
        """Return what each tape's entries do to the feed of its market."""
        parts = []
        known = {feed: (feeds[place], list(its)) for place, (feed, its) in enumerate(self._known.items())}
        for source, keys, feed in zip(self._sources, self._keys, self._feeds, strict=True):
            core, every = known[feed]
            part = _Part(core, [every.index(key) for key in keys])
            parts.append((source.plays([part]), partial(_end, part)))
        return _Plays(parts)

    def notes(self) -> list[str]:
        """Return those of all."""
        return [note for one in self._sources for note in one.notes()]

    def backwards(self, played: int) -> int:  # noqa: ARG002 - drains of two tapes may overlap
        """Return how many there are on each tape by itself."""
        return sum(one.backwards for one in self._lines)


class _Line:
    """One tape on its way into the order."""

    def __init__(self, number: int, source: Source, keys: frozenset[Key], chunks: Iterator[Chunk]) -> None:
        self.number, self.keys = number, keys
        self.name, self.last_ns = source.name, source.last_ns
        self.begun = False
        self.newest_ns = 0  # of what was taken
        self.backwards = 0  # entries stamped before the one above them
        self._above_ns = 0
        self._drains = _drains(chunks)
        self._names: dict[str, str] = {}  # of its streams, as they are merged
        self._at = 0
        self._ends: Sequence[int] = ()  # when the drain of each entry ended
        self._chunk = Chunk((), (), (), ())

    @property
    def next_ns(self) -> int:
        """Return where the next entry stands in time."""
        return self._ends[self._at]

    @property
    def until_ns(self) -> int:
        """Return where the last stands of those that it has in hand."""
        return self._ends[-1]

    def load(self) -> bool:
        """Have an entry, if there is any more."""
        while self._at == len(self._ends):
            came = next(self._drains, None)
            if came is None:
                return False
            self._at = 0
            self._ends, self._chunk = came
        return True

    def begin(self, others: Sequence[_Line]) -> None:
        """Learn that its first entry is next; raises FileFormatError."""
        for one in others:
            if one.begun:
                _refuse_both(one, self)
        self.begun = True

    def take_until(self, limit: tuple[int, int]) -> tuple[Sequence[int], Chunk]:
        """Return what it has up to where another one ends: when each drain ended, and the entries."""
        find = bisect_right if self.number <= limit[1] else bisect_left
        begin, end = self._at, find(self._ends, limit[0], self._at)
        if begin == end:
            return (), Chunk((), (), (), ())
        part = self._chunk.part(begin, end)
        self._at, self.newest_ns = end, self._ends[end - 1]
        self.backwards += sum(map(gt, [self._above_ns, *part.wires_ns], part.wires_ns))
        self._above_ns = part.wires_ns[-1]
        names = self._names
        for stream in set(part.streams) - names.keys():
            names[stream] = f"{self.number}/{stream}"
        return self._ends[begin:end], part._replace(streams=[names[one] for one in part.streams])


def _head(line: _Line) -> tuple[int, int]:
    return line.next_ns, line.number


def _tail(line: _Line) -> tuple[int, int]:
    return line.until_ns, line.number


def _in_order(parts: Sequence[tuple[Sequence[int], Chunk]]) -> Chunk:
    """Return the entries of lines, given in the order of their numbers, by when their drains ended."""
    some = [one for one in parts if one[0]]
    if len(some) == 1:
        return some[0][1]
    ends = [end_ns for its, _ in some for end_ns in its]
    order = sorted(range(len(ends)), key=ends.__getitem__)  # stable: whoever has the lower number goes first
    wires_ns, streams, lasts, payloads = join([one for _, one in some])
    return Chunk(
        [wires_ns[at] for at in order],
        [streams[at] for at in order],
        [lasts[at] for at in order],
        [payloads[at] for at in order],
    )


def _drains(chunks: Iterator[Chunk]) -> Iterator[tuple[list[int], Chunk]]:
    """Yield whole drains, and with each entry when its drain ended, which never runs backwards.

    A whole book belongs to the drain after it, which decides on it; a cut is not kept waiting for one.
    """
    held, ended_ns = Chunk([], [], [], []), 0
    for chunk in chunks:
        held = join([held, chunk])
        ends: list[int] = []
        is_open = False
        for count, (wire_ns, stream, last) in enumerate(zip(*held[:3], strict=True), 1):
            if stream.startswith(FEED):
                is_open = not last
            elif stream.startswith((SNAPSHOT, CUT)):
                is_open = stream.startswith(SNAPSHOT)
            if not is_open:
                ended_ns = max(ended_ns, wire_ns)
                ends += [ended_ns] * (count - len(ends))
        if ends:
            yield ends, held.part(0, len(ends))
            held = held.part(len(ends), len(held.wires_ns))
    if held.wires_ns:  # the recorder ended, or was killed, amid a drain
        yield [max(ended_ns, held.wires_ns[-1])] * len(held.wires_ns), held


class _Part:
    """A tape's instruments in the feed of its market."""

    def __init__(self, feed: Takes, places: Sequence[int]) -> None:
        self.process = feed.process
        self._feed = feed
        self.places = places

    def process_snapshot(self, instrument: int, payload: bytes, wire_ns: int) -> None:
        """Take a whole book."""
        self._feed.process_snapshot(self.places[instrument], payload, wire_ns)

    def disconnected(self, instruments: Sequence[int]) -> None:
        """Lose the books of a connection."""
        self._feed.disconnected([self.places[one] for one in instruments])


class _Plays(dict[str, "Play"]):
    """What each stream of each tape does, found out when it first comes."""

    def __init__(self, parts: Sequence[tuple[dict[str, Play], Play]]) -> None:
        super().__init__()
        self._parts = parts

    def __missing__(self, name: str) -> Play:
        number, _, stream = name.partition("/")
        plays, end = self._parts[int(number)]
        play = self[name] = end if stream == _END else plays[stream]
        return play


def _end(part: _Part, _payload: bytes, _wire_ns: int, _last: bool) -> None:
    """Lose every book: between two sessions nobody looked."""
    part.disconnected(range(len(part.places)))


def _key(one: Instrument) -> Key:
    return one.exchange, one.market, one.symbol


def _order(source: Source) -> tuple[list[Key], int]:
    return [_key(one) for one in source.instruments], source.started_ns


def _numbered(instruments: Sequence[Instrument]) -> list[Instrument]:
    return [msgspec.structs.replace(one, index=index) for index, one in enumerate(instruments)]


def _streams_of(sources: Sequence[Source]) -> tuple[Stream, ...] | None:
    """Return the streams of all; raises UsageError where they differ."""
    known = [one for one in sources if one.streams is not None]
    for one in known[1:]:
        if set(one.streams or ()) != set(known[0].streams or ()):
            raise UsageError(
                f"{known[0].name} holds {', '.join(known[0].streams or ())} and {one.name} "
                f"{', '.join(one.streams or ())}, which cannot be merged: replay them apart"
            )
    return known[0].streams if known else None


def _refuse_other_rules(known: Instrument, one: Instrument, name: str) -> None:
    for rule in ("tick_size", "lot_size", "contract_size", "checksum_places", "exchange_symbol"):
        was, now = getattr(known, rule), getattr(one, rule)
        if was != now:
            raise UsageError(
                f"{name} has {one.symbol} of {one.exchange} with the {rule} {now} and another tape with "
                f"{was}: replay them apart"
            )


def _refuse_both(one: _Line, begins: _Line) -> None:
    """Refuse a tape that begins before another one's end, if a symbol is on both."""
    if both := one.keys & begins.keys:
        exchange, _, symbol = min(both)
        raise FileFormatError(
            f"{one.name} and {begins.name} both tell {symbol} of {exchange} at {iso(begins.next_ns)}: "
            "leave one of them out, or replay them apart"
        )


def _refuse_twice(instruments: Sequence[Instrument]) -> None:
    keys = [_key(one) for one in instruments]
    if twice := [one for one in keys if keys.count(one) > 1]:
        exchange, _, symbol = twice[0]
        raise UsageError(f"a tape and a capture both tell {symbol} of {exchange}: replay them apart")
