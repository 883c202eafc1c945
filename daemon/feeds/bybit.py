"""Bybit v5 market data, spot and perpetuals: frames to events. Sans-IO; addresses: bybit_rest.py.

    {"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"BTCUSDT",
        "S":"Buy","v":"0.001","p":"16578.50","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false}]}
    {"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1687940967466,"data":{"s":"BTCUSDT",
        "b":[["30247.20","30.028"]],"a":[],"u":177400507,"seq":66544703342},"cts":1687940967464}

A topic's `u` grows by one with each delta; a snapshot begins anew with any, and with 1 after a restart of
theirs. `ts` is when their gateway made a frame, `cts` when the matching engine made what it tells.

The top of the book is orderbook.1: told as snapshots, again after three seconds without a change, with the
same `u` and a newer `ts`. By their documentation it has no deltas; one that comes changes the top before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from daemon.errors import DECODE_ERRORS, FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import Control, TradeIds
from daemon.feeds.numbers import Id, Millis, Price, Size  # noqa: TC001 - msgspec reads the annotations
from daemon.feeds.refusal import LEVEL_PRICE, LEVEL_QTY, check_size, refuse
from daemon.feeds.stamps import QuoteNumbers
from daemon.feeds.streamed import StreamedDecoder
from daemon.feeds.trade_names import trade_id
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.feeds.base import Event, Stream
    from daemon.instruments import Instrument

    Route = Callable[["_Frame", bytes, int], Event | list[Event]]

#: levels a side of the depth that is asked for: the deepest of the two fastest, every 20 ms
DEPTH: Final = 50

_MS: Final = 1_000_000

_TOPICS: Final[dict[Stream, str]] = {
    "trade": "publicTrade",
    "quote": "orderbook.1",
    "depth": f"orderbook.{DEPTH}",
}


class _Frame(Struct, gc=False):
    """Any frame: data has a topic, a reply has none."""

    topic: str = ""
    type: str = ""
    ts: Millis = 0
    cts: Millis = 0
    data: msgspec.Raw = msgspec.Raw()
    op: str = ""
    success: bool = True
    ret_msg: str = ""


class _Trade(Struct, gc=False):
    s: str
    i: Annotated[str, Meta(min_length=1, max_length=64)]
    p: Price
    v: Annotated[float, Meta(gt=0, lt=1e15)]
    T: Millis
    S: Literal["Buy", "Sell"]  # what the taker did
    BT: bool = False  # a block, agreed on elsewhere at a price that was no market's


class _Level(Struct, gc=False, array_like=True):
    price: Price
    qty: Size


class _Top(Struct, gc=False):
    s: str
    b: list[_Level]
    a: list[_Level]
    u: Id


class _Depth(Struct, gc=False):
    s: str
    u: Id


# prices and quantities come as strings: strict=False reads them as numbers at once
_decode_frame = msgspec.json.Decoder(_Frame, strict=False).decode
_decode_trades = msgspec.json.Decoder(Annotated[list[_Trade], Meta(min_length=1)], strict=False).decode
_decode_top = msgspec.json.Decoder(_Top, strict=False).decode
_decode_depth = msgspec.json.Decoder(_Depth, strict=False).decode

_REASONS: Final = {
    "p": "price",
    LEVEL_PRICE: "price",
    "v": "qty",
    LEVEL_QTY: "qty",
    "i": "id",
    "u": "id",
    "T": "time",
    "ts": "time",
    "cts": "time",
    "s": "symbol",
}


def topic(stream: Stream, instrument: Instrument) -> str:
    """Return by what name an instrument's stream is asked for and told."""
    return f"{_TOPICS[stream]}.{instrument.exchange_symbol}"


def _trade_route(instrument: Instrument) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol

    def trades(frame: _Frame, _payload: bytes, wire_ns: int) -> list[Event]:
        found: list[Event] = []
        for one in _decode_trades(frame.data):
            _check_symbol(one.s, symbol)
            if one.BT:
                found.append(Control("no_print"))
                continue
            side = 1.0 if one.S == "Buy" else -1.0
            found.append(Tick(TRADE, index, wire_ns, one.T * _MS, one.p, one.v, side, 0.0, trade_id(one.i)))
        return found

    return trades


def _quote_route(instrument: Instrument, numbers: QuoteNumbers) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol
    bid: _Level | None = None
    ask: _Level | None = None
    last_id = -1  # of what these are from, -1 for nothing

    def quote(frame: _Frame, _payload: bytes, wire_ns: int) -> Tick:
        nonlocal bid, ask, last_id
        data = _decode_top(frame.data)
        _check_symbol(data.s, symbol)
        if _is_snapshot(frame, data.u):
            bid = ask = None
        elif last_id < 0 or not last_id <= data.u <= last_id + 1:
            last_id = -1
            raise FrameError("id", f"a change of {symbol}'s top does not follow what is known of it")
        bid, ask, last_id = _best(bid, data.b, max), _best(ask, data.a, min), data.u
        if bid is None or ask is None:
            raise FrameError("price", f"{symbol} has no {'bid' if bid is None else 'ask'}")
        if bid.price > ask.price:
            raise FrameError("crossed", f"{symbol} quoted {bid.price} bid above {ask.price} ask")
        # not `u` itself: a top that is told again is news of now, and after a restart ids begin anew
        ident = numbers.number(index, frame.ts * _MS, data.u)
        return Tick(QUOTE, index, wire_ns, _made_ns(frame), bid.price, bid.qty, ask.price, ask.qty, ident)

    return quote


def _best(best: _Level | None, levels: list[_Level], pick: Callable[..., _Level]) -> _Level | None:
    """Return the best of a side after its levels changed; there is one level, or none."""
    if held := [one for one in levels if one.qty]:
        return pick(held, key=_price)
    gone = best is not None and any(one.price == best.price for one in levels)
    return None if gone else best


def _price(level: _Level) -> float:
    return level.price


def _depth_route(instrument: Instrument) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol

    def depth(frame: _Frame, payload: bytes, wire_ns: int) -> Depth | Snapshot:
        data = _decode_depth(frame.data)
        _check_symbol(data.s, symbol)
        if _is_snapshot(frame, data.u):
            return Snapshot(index, wire_ns, data.u, payload, in_stream=True)
        return Depth(index, wire_ns, _made_ns(frame), data.u, data.u, data.u - 1, payload)

    return depth


def _made_ns(frame: _Frame) -> int:
    return (frame.cts or frame.ts) * _MS


def _is_snapshot(frame: _Frame, update_id: int) -> bool:
    return frame.type == "snapshot" or update_id == 1


def _check_symbol(told: str, symbol: str) -> None:
    if told != symbol:
        raise FrameError("symbol", f"data of {told[:32]!r} came on a topic of {symbol}")


class BybitDecoder(StreamedDecoder):
    """Frames to events for a fixed set of instruments, all of one market."""

    trade_ids: TradeIds = "names"  # of spot too, whose numbers nobody promises to grow
    depth_max = DEPTH

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__()
        self._symbols = {one.exchange_symbol for one in instruments}
        self._routes: dict[str, Route] = {}
        numbers = QuoteNumbers(len(instruments))
        for one in instruments:
            self._routes[topic("trade", one)] = _trade_route(one)
            self._routes[topic("quote", one)] = _quote_route(one, numbers)
            self._routes[topic("depth", one)] = _depth_route(one)

    def decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        """Return what the frame says; raises FrameError with a reason of feeds.base.FRAME_REASONS."""
        check_size(payload)
        try:
            frame = _decode_frame(payload)
            route = self._routes.get(frame.topic)
            if route is None:
                return self._decode_other(frame, payload)
            if frame.type not in {"snapshot", "delta"}:
                raise FrameError("type", f"{frame.topic} brought neither a snapshot nor a delta")
            if not frame.ts:
                raise FrameError("time", f"{frame.topic} brought what has no time")
            return route(frame, payload, wire_ns)
        except DECODE_ERRORS as error:
            refuse(error, payload, _REASONS)

    def _decode_other(self, frame: _Frame, payload: bytes) -> Control:
        """Return what a frame says that is no data of ours."""
        if frame.topic:
            reason = "stream" if frame.topic.rpartition(".")[2] in self._symbols else "symbol"
            raise FrameError(reason, f"topic {frame.topic[:64]!r} was not asked for")
        if not frame.success:
            return Control("error", frame.ret_msg[:200])
        if not frame.op:
            raise FrameError("type", f"a frame of no known kind; it begins {payload[:80]!r}")
        return Control("reply", frame.ret_msg[:200])
