"""Playing a capture: its frames verbatim to the streams' listeners, its events to the market they describe.

The player hands out batches; whoever owns time and sockets (daemon/simulator/drive.py) paces them. A tape
plays once. Its REST snapshot stands in the file where its recorder received it: the player stops there
until a listener of depth has asked for the book, so that a fast tape meets the client in the state in which
the recorder was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from daemon.errors import DECODE_ERRORS
from daemon.simulator.marketdata import Snapshot
from daemon.tape.capture import capture_instrument, read_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.instruments import Instrument
    from daemon.simulator.marketdata import MarketData
    from daemon.simulator.publisher import Publisher
    from daemon.simulator.streams import Hub

#: frames looked at to learn which streams a tape holds, and its first snapshot
SCAN_FRAMES: Final = 5_000
_MARK: Final = b'{"stream":"'
_POWERS: Final = tuple(10 ** (8 - places) for places in range(9))  # of UNIT, 1e8


class _Trade(msgspec.Struct, gc=False):
    t: int
    p: str
    q: str
    T: int
    m: bool
    E: int = 0


class _Quote(msgspec.Struct, gc=False):
    b: str
    B: str
    a: str
    A: str


class _Depth(msgspec.Struct, gc=False):
    U: int
    u: int
    pu: int = -1
    E: int = 0


class _DepthLevels(msgspec.Struct, gc=False):
    b: list[list[str]]
    a: list[list[str]]


_trade = msgspec.json.Decoder(_Trade)
_quote = msgspec.json.Decoder(_Quote)
_depth = msgspec.json.Decoder(_Depth)
_levels = msgspec.json.Decoder(_DepthLevels)
_snapshot = msgspec.json.Decoder(Snapshot)


def price_units(number: str) -> int:
    """Return a decimal text of at most 8 places in units; raises ValueError for anything else."""
    whole, _, part = number.partition(".")
    if len(part) > 8:
        raise ValueError(f"{number} has more than 8 decimals")
    count: int = int(whole + part) * _POWERS[len(part)]
    return count


def _read_quote(data: bytes) -> tuple[int, int, int, int]:
    """Return best bid and ask, each with its quantity; zeros for a frame that makes no sense."""
    try:
        quote = _quote.decode(data)
        return price_units(quote.b), price_units(quote.B), price_units(quote.a), price_units(quote.A)
    except DECODE_ERRORS:
        return 0, 0, 0, 0


class TapeFacts(NamedTuple):
    """What a tape holds, from a look at its beginning."""

    instrument: Instrument
    streams: tuple[str, ...]
    snapshot: bytes | None


def scan(path: Path) -> TapeFacts:
    """Look at a tape's first frames; raises FileFormatError for a file that is no capture."""
    instrument = capture_instrument(path)
    streams: dict[str, None] = {}
    snapshot: bytes | None = None
    for number, (_, payload) in enumerate(read_frames(path)):
        if payload.startswith(_MARK):
            streams[_stream(payload)] = None
        elif snapshot is None:
            snapshot = payload
        if number >= SCAN_FRAMES:
            break
    return TapeFacts(instrument, tuple(streams), snapshot)


def _stream(payload: bytes) -> str:
    return payload[11 : payload.index(b'"', 11)].decode()


class Batch(NamedTuple):
    """What a step of the player did."""

    frames: int
    next_ns: int | None  # local time of the next frame; None: the tape has ended
    waits: bool  # the next line is the snapshot, which nobody has asked for yet


class TapePlayer:
    """Plays one tape into a hub and the markets it moves (its own, and a spot listing of the same pair)."""

    def __init__(
        self, path: Path, facts: TapeFacts, hub: Hub, publisher: Publisher, markets: list[MarketData]
    ) -> None:
        self.facts = facts
        self.frames = 0  # market frames handed to the hub; the snapshot is none
        self.unreadable = 0  # frames that did not move the market because they could not be read
        self.first_ns = 0
        self.asked = False  # the book was asked for by REST
        self._hub = hub
        self._publisher = publisher
        self._markets = markets
        self._lines: Iterator[tuple[int, bytes]] = read_frames(path)
        self._next: tuple[int, bytes] | None = next(self._lines, None)
        self._kinds: dict[bytes, tuple[str, str, int]] = {}  # stream, its kind, where its data begins
        self._patient = True
        if self._next is not None:
            self.first_ns = self._next[0]
        if facts.snapshot is not None:
            prior = _snapshot.decode(facts.snapshot)
            for market in markets:
                market.prior = prior

    def play(self, until_ns: int, frames_max: int) -> Batch:
        """Play what is due at the tape's own time `until_ns`, at most `frames_max` frames."""
        done = 0
        while self._next is not None and self._next[0] <= until_ns and done < frames_max:
            payload = self._next[1]
            if payload.startswith(_MARK):
                self._frame(payload)
                self.frames += 1
                done += 1
            elif self._patient and not self.asked and self._depth_is_heard():
                return Batch(done, self._next[0], waits=True)
            else:
                self._rest_snapshot(payload)
            self._next = next(self._lines, None)
        return Batch(done, self._next[0] if self._next is not None else None, waits=False)

    def lose_patience(self) -> None:
        """Wait for no request of the book any more."""
        self._patient = False

    def _depth_is_heard(self) -> bool:
        return any("@depth" in stream for stream in self._hub.streams())

    def _rest_snapshot(self, payload: bytes) -> None:
        last_id = _snapshot.decode(payload).lastUpdateId
        for market in self._markets:
            market.snapshot(last_id, payload)

    def _frame(self, payload: bytes) -> None:
        """Move the markets by one frame, then hand it to its listeners as it is."""
        name = payload[11 : payload.index(b'"', 11)]
        known = self._kinds.get(name)
        if known is None:
            stream = name.decode()
            kind = stream.partition("@")[2].partition("@")[0]
            known = self._kinds[name] = stream, kind, len(name) + 20
        stream, kind, start = known
        data = payload[start:-1]
        try:
            if kind == "bookTicker":
                for market in self._markets:
                    market.quote_later(data, _read_quote)
            elif kind == "trade":
                self._on_trade(data)
            elif kind == "depth":
                self._on_depth(data)
        except DECODE_ERRORS:
            self.unreadable += 1  # handed on all the same: what a listener makes of it is its own business
        self._hub.publish_combined(stream, payload)

    def _on_trade(self, data: bytes) -> None:
        trade = _trade.decode(data)
        price, qty = price_units(trade.p), price_units(trade.q)
        if not price or not qty:
            return  # the futures' stream carries such prints of insurance fund orders; they trade nothing
        for market in self._markets:
            market.trade(trade.t, price, qty, trade.m, trade.T)
        self._publisher.trade(self._markets[0].trades[-1], trade.E)

    def _on_depth(self, data: bytes) -> None:
        depth = _depth.decode(data)
        for market in self._markets:
            market.depth(depth.u, data)
        if self._publisher.needs_levels:
            levels = _levels.decode(data)
            self._publisher.depth(depth.U, depth.u, depth.pu, levels.b, levels.a, depth.E)
