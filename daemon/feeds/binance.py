"""Binance market data, Spot, USD-M and COIN-M: frames to events. Sans-IO; addresses are in binance_rest.py.

A combined frame is {"stream":"btcusdt@trade","data":{...}}. Its first bytes are looked up as they are: one
slice and one dict find the instrument and the decoder, before any JSON is read. Whatever does not match byte
for byte (white space, the raw form of /ws/<stream>, replies, snapshots) takes the slower door below and comes
out the same.

Prices and quantities become floats here; msgspec checks types, signs and ranges while it parses, so NaN,
infinities, 1e308 and null never pass. A depth update's levels stay bytes until kernels.levels parses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from daemon.errors import DECODE_ERRORS, FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import Control, TradeIds
from daemon.feeds.numbers import Id, Millis, Price, Size  # noqa: TC001 - msgspec reads the annotations
from daemon.feeds.refusal import check_size, refuse
from kernels.dtypes import DEPTH, QUOTE, TRADE
from kernels.shapes import (
    DECIMAL,
    LEVELS,
    S_A,
    S_ASKS,
    S_B,
    S_BIDS,
    S_C,
    S_D,
    S_EVENT,
    S_FIRST,
    S_ID,
    S_PREV,
    S_TIME,
    TRUE_SELLS,
    WHOLE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.instruments import Instrument

    Route = Callable[[bytes, int], Tick | Depth | Snapshot | Control]

#: the speeds at which a depth stream can be asked for
DEPTH_SUFFIXES: Final = ("depth", "depth@0ms", "depth@100ms", "depth@250ms", "depth@500ms", "depth@1000ms")

_MS: Final = 1_000_000


class _Trade(Struct, gc=False):
    s: str
    t: Id
    p: Price
    q: Annotated[float, Meta(gt=0, lt=1e15)]
    T: Millis
    m: bool  # the buyer rested, so the seller took


class _Quote(Struct, gc=False):
    s: str
    u: Id
    b: Price
    B: Size
    a: Price
    A: Size
    T: Millis = 0  # Spot stamps none


class _Depth(Struct, gc=False):
    s: str
    U: Id
    u: Id
    E: Millis
    pu: Id = -1
    T: Millis = 0


class _TradeFrame(Struct, gc=False):
    data: _Trade


class _QuoteFrame(Struct, gc=False):
    data: _Quote


class _DepthFrame(Struct, gc=False):
    data: _Depth


class _Any(Struct, gc=False):
    """What tells one unexpected frame from another."""

    stream: str = ""
    e: str = ""
    s: str = ""
    symbol: str = ""
    u: Id = -1
    last_update_id: Id = msgspec.field(default=-1, name="lastUpdateId")
    data: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Event(Struct, gc=False):
    e: str = ""


#: the same for the kernel that reads frames of a known shape
FIELDS: Final = {
    TRADE: {
        "t": (WHOLE, S_ID),
        "T": (WHOLE, S_TIME),
        "p": (DECIMAL, S_A),
        "q": (DECIMAL, S_B),
        "m": (TRUE_SELLS, S_C),
    },
    QUOTE: {
        "u": (WHOLE, S_ID),
        "T": (WHOLE, S_TIME),
        "b": (DECIMAL, S_A),
        "B": (DECIMAL, S_B),
        "a": (DECIMAL, S_C),
        "A": (DECIMAL, S_D),
    },
    DEPTH: {
        "U": (WHOLE, S_FIRST),
        "u": (WHOLE, S_ID),
        "pu": (WHOLE, S_PREV),
        "E": (WHOLE, S_EVENT),
        "T": (WHOLE, S_TIME),
        "b": (LEVELS, S_BIDS),
        "a": (LEVELS, S_ASKS),
    },
}

# prices and quantities come as strings: strict=False reads them as numbers at once
_decode_trade = msgspec.json.Decoder(_TradeFrame, strict=False).decode
_decode_quote = msgspec.json.Decoder(_QuoteFrame, strict=False).decode
_decode_depth = msgspec.json.Decoder(_DepthFrame, strict=False).decode
_decode_any = msgspec.json.Decoder(_Any, strict=False).decode
_decode_event = msgspec.json.Decoder(_Event, strict=False).decode

_REASONS: Final = {
    "p": "price",
    "b": "price",
    "a": "price",
    "q": "qty",
    "B": "qty",
    "A": "qty",
    "t": "id",
    "u": "id",
    "U": "id",
    "pu": "id",
    "lastUpdateId": "id",
    "T": "time",
    "E": "time",
    "s": "symbol",
}


def _trade_route(instrument: Instrument) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol

    def trade(payload: bytes, wire_ns: int) -> Tick:
        data = _decode_trade(payload).data
        if data.s != symbol:
            raise FrameError("symbol", f"a trade of {data.s[:32]!r} came on the stream of {symbol}")
        return Tick(TRADE, index, wire_ns, data.T * _MS, data.p, data.q, -1.0 if data.m else 1.0, 0.0, data.t)

    return trade


def _quote_route(instrument: Instrument) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol

    def quote(payload: bytes, wire_ns: int) -> Tick:
        data = _decode_quote(payload).data
        if data.s != symbol:
            raise FrameError("symbol", f"a quote of {data.s[:32]!r} came on the stream of {symbol}")
        if data.b > data.a:
            raise FrameError("crossed", f"{symbol} quoted {data.b} bid above {data.a} ask")
        return Tick(QUOTE, index, wire_ns, data.T * _MS, data.b, data.B, data.a, data.A, data.u)

    return quote


def _depth_route(instrument: Instrument) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol

    def depth(payload: bytes, wire_ns: int) -> Depth:
        check_size(payload)
        data = _decode_depth(payload).data
        if data.s != symbol:
            raise FrameError("symbol", f"depth of {data.s[:32]!r} came on the stream of {symbol}")
        if data.u < data.U:
            raise FrameError("id", f"{symbol} depth runs backwards from U {data.U} to u {data.u}")
        return Depth(index, wire_ns, (data.T or data.E) * _MS, data.U, data.u, data.pu, payload)

    return depth


def _first_bytes(routes: Mapping[str, Route]) -> tuple[int, dict[bytes, str]]:
    """Return how many first bytes of a combined frame tell its stream, and a stream for each such beginning.

    One length for all saves searching each frame for its stream's end (0.15 us). Streams that long names make
    alike in these bytes are left out: they go by the slower door.
    """
    heads = {f'{{"stream":"{stream}","data":{{'.encode(): stream for stream in routes}
    size = min(map(len, heads))
    streams: dict[bytes, str] = {}
    alike: set[bytes] = set()
    for head, stream in heads.items():
        first = streams.setdefault(head[:size], stream)
        if routes[first] is not routes[stream]:
            alike.add(head[:size])
    return size, {head: stream for head, stream in streams.items() if head not in alike}


class BinanceDecoder:
    """Frames of one market's streams to events, for a fixed set of instruments."""

    fields = FIELDS
    time_unit_ns = _MS
    trade_ids: TradeIds = "contiguous"
    sequence: Callable[[bytes], int] | None = None
    depth_max = 0

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._by_stream: dict[str, Route] = {}
        self._by_event: dict[tuple[str, str], Route] = {}  # raw form: event's name and symbol
        self._names = {one.exchange_symbol.lower() for one in instruments}
        self._symbols = {one.exchange_symbol: one.index for one in instruments}
        self._only = instruments[0].index if len(instruments) == 1 else -1
        kinds: dict[str, tuple[int, int]] = {}
        for one in instruments:
            for kind, event, suffixes, route in (
                (TRADE, "trade", ("trade",), _trade_route(one)),
                (QUOTE, "bookTicker", ("bookTicker",), _quote_route(one)),
                (DEPTH, "depthUpdate", DEPTH_SUFFIXES, _depth_route(one)),
            ):
                self._by_event[event, one.exchange_symbol] = route
                for suffix in suffixes:
                    stream = f"{one.exchange_symbol.lower()}@{suffix}"
                    self._by_stream[stream] = route
                    kinds[stream] = (one.index, kind)
        self.key_size, streams = _first_bytes(self._by_stream)
        self.keys = {key: kinds[stream] for key, stream in streams.items()}
        self._routes = {key: self._by_stream[stream] for key, stream in streams.items()}

    def decode(self, payload: bytes, wire_ns: int) -> Tick | Depth | Snapshot | Control:
        """Return what the frame says; raises FrameError with a reason of feeds.base.FRAME_REASONS."""
        try:
            route = self._routes[payload[: self.key_size]]
        except KeyError:
            route = self._decode_other
        try:
            return route(payload, wire_ns)
        except DECODE_ERRORS as error:
            # USD-M reports what moves quantity without a price (a settlement, say) as a trade of price 0
            if b'"X":"NA"' in payload:
                return Control("no_print")
            refuse(error, payload, _REASONS)

    def snapshot(self, instrument: int, payload: bytes, wire_ns: int) -> Snapshot:
        """Return the whole book that a REST request was answered with; raises FrameError."""
        check_size(payload)
        try:
            head = _decode_any(payload)
        except DECODE_ERRORS as error:
            refuse(error, payload, _REASONS)
        if head.last_update_id < 0:
            raise FrameError("type", f"this is no depth snapshot; it begins {payload[:80]!r}")
        return Snapshot(instrument, wire_ns, head.last_update_id, payload)

    def _decode_other(self, payload: bytes, wire_ns: int) -> Tick | Depth | Snapshot | Control:
        """Decode a frame whose first bytes are no stream's of ours."""
        check_size(payload)
        head = _decode_any(payload)
        if head.stream:
            return self._decode_stream(head, payload, wire_ns)
        if head.last_update_id >= 0:
            return Snapshot(self._snapshot_of(head.symbol), wire_ns, head.last_update_id, payload)
        # Spot's quotes are the one event that does not say its name
        event = head.e or ("bookTicker" if head.u >= 0 else "")
        if event:
            if event == "serverShutdown":
                return Control("shutdown")
            route = self._by_event.get((event, head.s))
            if route is None:
                reason = "stream" if head.s in self._symbols else "symbol"
                raise FrameError(reason, f"{event[:32]!r} of {head.s[:32]!r} was not asked for")
            return route(b'{"data":' + payload + b"}", wire_ns)
        if head.error:
            return Control("error", bytes(head.error)[:200].decode(errors="replace"))
        if head.result:
            return Control("reply")
        raise FrameError("type", f"a frame of no known kind; it begins {payload[:80]!r}")

    def _decode_stream(self, head: _Any, payload: bytes, wire_ns: int) -> Tick | Depth | Snapshot | Control:
        route = self._by_stream.get(head.stream)
        if route is not None:
            return route(payload, wire_ns)
        if head.data and _decode_event(head.data).e == "serverShutdown":
            return Control("shutdown")
        known = head.stream.partition("@")[0] in self._names
        reason = "stream" if known else "symbol"
        raise FrameError(reason, f"stream {head.stream[:64]!r} was not asked for")

    def _snapshot_of(self, symbol: str) -> int:
        """Return the instrument of a snapshot among frames: the one it names, or the only one there is."""
        index = self._symbols.get(symbol, -1) if symbol else self._only
        if index < 0:
            raise FrameError("symbol", f"a snapshot of {symbol[:32]!r} is of no instrument here")
        return index
