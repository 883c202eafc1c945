"""OKX v5 market data, spot and perpetual swaps: frames to events. Sans-IO; addresses are in okx_rest.py.

    {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474",
        "px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3"}]}
    {"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["111.06","55154","0","2"]],
        "bids":[["111.05","57745","0","2"]],"ts":"1670324386802","seqId":363996337}]}
    {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["8476.98","415","0","13"]],
        "bids":[],"ts":"1597026383085","checksum":0,"prevSeqId":123456,"seqId":123457}]}

An update of a book names the one before (`prevSeqId`); a snapshot names -1. Where nothing changes for a
minute, an empty one names itself; after maintenance of theirs `seqId` may be smaller than what it follows.
`checksum` is 0 since June 2026: none. Sizes of swaps are contracts: of linear ones ours are of the base.

The pong that answers our ping is the text `pong`, which is no JSON.
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
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.feeds.base import Event, Stream
    from daemon.instruments import Instrument

    Route = Callable[["_Frame", int], list[Event]]

#: levels a side of `books`, every 100 ms
DEPTH: Final = 400

CHANNELS: Final[dict[Stream, str]] = {"trade": "trades", "quote": "bbo-tbt", "depth": "books"}

#: the notice of a connection's end, half a minute before
_UPGRADE: Final = "64008"
_MS: Final = 1_000_000


class _Arg(Struct, gc=False, rename={"instrument": "instId"}):
    channel: str = ""
    instrument: str = ""


class _Frame(Struct, gc=False):
    """Any frame: a reply has an event, data has none."""

    arg: _Arg = msgspec.field(default_factory=_Arg)
    action: str = ""
    data: msgspec.Raw = msgspec.Raw()
    event: str = ""
    code: str = ""
    msg: str = ""


class _Trade(Struct, gc=False, rename={"instrument": "instId", "id": "tradeId"}):
    instrument: str
    id: Id
    px: Price
    sz: Annotated[float, Meta(gt=0, lt=1e15)]
    side: Literal["buy", "sell"]  # what the taker did
    ts: Millis


class _Level(Struct, gc=False, array_like=True):
    price: Price
    qty: Size


class _Top(Struct, gc=False, rename={"id": "seqId"}):
    bids: list[_Level]
    asks: list[_Level]
    ts: Millis
    id: Id


class _Depth(Struct, gc=False, rename={"id": "seqId", "prev_id": "prevSeqId"}):
    ts: Millis
    id: Id
    prev_id: Annotated[int, Meta(ge=-1, lt=1 << 62)]


# numbers come as strings: strict=False reads them at once
_decode_frame = msgspec.json.Decoder(_Frame, strict=False).decode
_decode_trades = msgspec.json.Decoder(Annotated[list[_Trade], Meta(min_length=1)], strict=False).decode
_decode_tops = msgspec.json.Decoder(Annotated[list[_Top], Meta(min_length=1)], strict=False).decode
_decode_bodies = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Meta(min_length=1)]).decode
_decode_depth = msgspec.json.Decoder(_Depth, strict=False).decode

_REASONS: Final = {
    "px": "price",
    LEVEL_PRICE: "price",
    "sz": "qty",
    LEVEL_QTY: "qty",
    "tradeId": "id",
    "seqId": "id",
    "prevSeqId": "id",
    "ts": "time",
    "instId": "symbol",
}


def _trade_route(instrument: Instrument) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol
    size, of = instrument.told_ratio

    def trades(frame: _Frame, wire_ns: int) -> list[Event]:
        found: list[Event] = []
        for one in _decode_trades(frame.data):
            if one.instrument != symbol:
                raise FrameError("symbol", f"a trade of {one.instrument[:32]!r} came as one of {symbol}")
            side = 1.0 if one.side == "buy" else -1.0
            qty = one.sz * size / of
            found.append(Tick(TRADE, index, wire_ns, one.ts * _MS, one.px, qty, side, 0.0, one.id))
        return found

    return trades


def _quote_route(instrument: Instrument, numbers: QuoteNumbers) -> Route:
    index, symbol = instrument.index, instrument.exchange_symbol
    size, of = instrument.told_ratio

    def quotes(frame: _Frame, wire_ns: int) -> list[Event]:
        found: list[Event] = []
        for one in _decode_tops(frame.data):
            if not one.bids or not one.asks:
                raise FrameError("price", f"{symbol} has no {'ask' if one.bids else 'bid'}")
            bid, ask = one.bids[0], one.asks[0]
            if bid.price > ask.price:
                raise FrameError("crossed", f"{symbol} quoted {bid.price} bid above {ask.price} ask")
            # not `seqId` itself: maintenance may make it smaller
            ident = numbers.number(index, one.ts * _MS, one.id)
            prices = (bid.price, bid.qty * size / of, ask.price, ask.qty * size / of)
            found.append(Tick(QUOTE, index, wire_ns, one.ts * _MS, *prices, ident))
        return found

    return quotes


def _depth_route(instrument: Instrument) -> Route:
    index = instrument.index

    def depths(frame: _Frame, wire_ns: int) -> list[Event]:
        found: list[Event] = []
        for body in _decode_bodies(frame.data):
            one, payload = _decode_depth(body), bytes(body)
            if frame.action == "snapshot" or one.prev_id < 0:
                found.append(Snapshot(index, wire_ns, one.id, payload, in_stream=True))
            else:
                found.append(Depth(index, wire_ns, one.ts * _MS, one.id, one.id, one.prev_id, payload))
        return found

    return depths


class OkxDecoder(StreamedDecoder):
    """Frames to events for a fixed set of instruments."""

    trade_ids: TradeIds = "growing"  # one of a taker's several is told, with the last id
    depth_max = DEPTH

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__()
        self._symbols = {one.exchange_symbol for one in instruments}
        self._routes: dict[tuple[str, str], Route] = {}
        numbers = QuoteNumbers(len(instruments))
        for one in instruments:
            self._routes[CHANNELS["trade"], one.exchange_symbol] = _trade_route(one)
            self._routes[CHANNELS["quote"], one.exchange_symbol] = _quote_route(one, numbers)
            self._routes[CHANNELS["depth"], one.exchange_symbol] = _depth_route(one)

    def decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        """Return what the frame says; raises FrameError with a reason of feeds.base.FRAME_REASONS."""
        check_size(payload)
        if payload == b"pong":
            return Control("reply", "pong")
        try:
            frame = _decode_frame(payload)
            route = self._routes.get((frame.arg.channel, frame.arg.instrument))
            if frame.event or route is None:
                return self._decode_other(frame, payload)
            return route(frame, wire_ns)
        except DECODE_ERRORS as error:
            refuse(error, payload, _REASONS)

    def _decode_other(self, frame: _Frame, payload: bytes) -> Control:
        """Return what a frame says that is no data of ours."""
        arg = frame.arg
        if frame.event:
            text = f"{frame.code} {frame.msg}".strip()[:200]
            if frame.event == "error":
                return Control("error", text)
            return Control("shutdown" if frame.code == _UPGRADE else "reply", text)
        if arg.channel or arg.instrument:
            reason = "stream" if arg.instrument in self._symbols else "symbol"
            raise FrameError(reason, f"{arg.channel[:32]!r} of {arg.instrument[:32]!r} was not asked for")
        raise FrameError("type", f"a frame of no known kind; it begins {payload[:80]!r}")
