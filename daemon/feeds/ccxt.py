"""What ccxt.pro gives of any exchange, as frames of our own form: to events. Sans-IO.

ccxt reads the exchange's frames itself, so what is recorded and replayed here is each thing that it gave, put
into one frame by daemon/feeds/ccxt_streams.py:

    {"t":"trade","s":"BTC/USDT","d":[{"i":"674510826","T":1740394561685,"p":"95634.9","q":"0.5","S":"buy"}]}
    {"t":"quote","s":"BTC/USDT","T":1740394561685,"b":"95634.9","B":"1.5","a":"95635","A":"2"}
    {"t":"book","s":"BTC/USDT","T":1740394561685,"o":123456,"n":1,"b":[["95634.9","1.5"]],"a":[["95635","2"]]}
    {"t":"depth","s":"BTC/USDT","T":1740394561785,"o":123457,"n":2,"b":[["95634.9","0"]],"a":[]}
    {"t":"lost","s":"BTC/USDT","n":4,"why":"ccxt says that its book does not follow"}

`n` is our own number: each frame of a book has the one after the last, so that a recording that lacks one is
known by it; a loss skips one, and so does not follow. `o` is the exchange's number (ccxt's nonce), null where
ccxt tells none: nobody knows then whether ccxt's book is whole. `T` is null where no time is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from daemon.errors import DECODE_ERRORS, FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.numbers import Id, Millis, Price, Size  # noqa: TC001 - msgspec reads the annotations
from daemon.feeds.refusal import check_size, refuse
from daemon.feeds.stamps import QuoteNumbers
from daemon.feeds.streamed import StreamedDecoder
from daemon.feeds.trade_names import trade_id
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.feeds.base import Event, TradeIds
    from daemon.instruments import Instrument

#: levels a side that are told of ccxt's books
DEPTH: Final = 50

_MS: Final = 1_000_000


class _Trade(Struct, gc=False):
    p: Price
    q: Annotated[float, Meta(gt=0, lt=1e15)]
    S: Literal["buy", "sell"]  # what the taker did
    i: Annotated[str, Meta(max_length=128)] | None = None
    T: Millis | None = None


class _Trades(Struct, tag_field="t", tag="trade"):
    s: str
    d: list[_Trade]


class _Quote(Struct, tag_field="t", tag="quote"):
    s: str
    b: Price
    B: Size
    a: Price
    A: Size
    T: Millis | None = None


class _Book(Struct, tag_field="t", tag="book"):
    s: str
    n: Id
    T: Millis | None = None


class _Depth(Struct, tag_field="t", tag="depth"):
    s: str
    n: Id
    T: Millis | None = None


class _Lost(Struct, tag_field="t", tag="lost"):
    s: str
    n: Id
    T: None = None


# numbers are told as text, to the digit: strict=False reads them at once
_decode = msgspec.json.Decoder(_Trades | _Quote | _Book | _Depth | _Lost, strict=False).decode

_REASONS: Final = {
    "p": "price",
    "b": "price",
    "a": "price",
    "q": "qty",
    "B": "qty",
    "A": "qty",
    "i": "id",
    "n": "id",
    "T": "time",
    "s": "symbol",
    "t": "stream",
}


class CcxtDecoder(StreamedDecoder):
    """Decodes all frames of its instruments; see feeds.base.Decoder."""

    trade_ids: TradeIds = "names"  # texts of every kind
    depth_max = DEPTH

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__()
        self._instruments = {one.symbol: (one.index, *one.told_ratio) for one in instruments}
        self._numbers = QuoteNumbers(1 + max(one.index for one in instruments))

    def decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        """Return what the frame says; raises FrameError with a reason of feeds.base.FRAME_REASONS."""
        check_size(payload)
        try:
            told = _decode(payload)
        except DECODE_ERRORS as error:
            refuse(error, payload, _REASONS)
        if told.s not in self._instruments:
            raise FrameError("symbol", f"{told.s[:32]!r} was not asked for")
        index, size, of = self._instruments[told.s]
        if isinstance(told, _Trades):
            return [_trade(one, index, wire_ns, size, of) for one in told.d]
        if isinstance(told, _Quote):
            if told.b > told.a:
                raise FrameError("crossed", f"{told.s} quoted {told.b} bid above {told.a} ask")
            quote = (told.b, told.B * size / of, told.a, told.A * size / of)
            # by when it came: some exchanges' stamps are of the second, or missing
            ident = self._numbers.number(index, wire_ns, quote)
            return Tick(QUOTE, index, wire_ns, (told.T or 0) * _MS, *quote, ident)
        if isinstance(told, _Book):
            return Snapshot(index, wire_ns, told.n, payload, in_stream=True)
        return Depth(index, wire_ns, (told.T or 0) * _MS, told.n, told.n, told.n - 1, payload)


def _trade(one: _Trade, index: int, wire_ns: int, size: int, of: int) -> Tick:
    side = 1.0 if one.S == "buy" else -1.0
    # one without a name is known by what it says
    ident = trade_id(one.i or f"{one.T} {one.S} {one.p} {one.q}")
    return Tick(TRADE, index, wire_ns, (one.T or 0) * _MS, one.p, one.q * size / of, side, 0.0, ident)
