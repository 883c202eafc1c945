"""Coinbase Advanced Trade's market data: frames to events. Sans-IO; addresses are in coinbase_rest.py.

A frame is {"channel":"l2_data","timestamp":"...","sequence_num":7,"events":[{"type":"update",...}]}. All of
a connection's are numbered together, so a missing one is known, but not whose it was: the connection is
opened anew. Updates of a book have no ids of their own. It tells of every level there is.

A quote is the top of the book at a trade: it comes with each, and not between.
"""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from daemon.errors import DECODE_ERRORS
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import Control, TradeIds
from daemon.feeds.numbers import Id, Price, Size  # noqa: TC001 - msgspec reads the annotations
from daemon.feeds.refusal import check_size, refuse
from daemon.feeds.stamps import Stamp, nanoseconds
from daemon.feeds.unnumbered import NO_ID, UnnumberedDecoder
from kernels.dtypes import TRADE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.feeds.base import Event
    from daemon.instruments import Instrument

_Kind = Literal["snapshot", "update"]


class _Trade(Struct, gc=False):
    product_id: str
    trade_id: Id
    price: Price
    size: Annotated[float, Meta(gt=0, lt=1e15)]
    side: Literal["BUY", "SELL"]  # of who rested
    time: Stamp


class _Trades(Struct, gc=False):
    type: _Kind
    trades: list[_Trade]


class _Ticker(Struct, gc=False):
    product_id: str
    best_bid: Price
    best_bid_quantity: Size
    best_ask: Price
    best_ask_quantity: Size


class _Tickers(Struct, gc=False):
    tickers: list[_Ticker]


class _Book(Struct, gc=False):
    type: _Kind
    product_id: str


class _TradeFrame(Struct, tag_field="channel", tag="market_trades"):
    events: list[_Trades]


class _TickerFrame(Struct, tag_field="channel", tag="ticker"):
    timestamp: Stamp
    events: list[_Tickers]


class _BookFrame(Struct, tag_field="channel", tag="l2_data"):
    timestamp: Stamp
    events: list[Raw]


class _Heartbeat(Struct, tag_field="channel", tag="heartbeats"):
    pass


class _Subscriptions(Struct, tag_field="channel", tag="subscriptions"):
    pass


class _Any(Struct, gc=False):
    """What tells one unexpected frame from another."""

    type: str = ""
    message: str = ""
    sequence_num: Id = -1


# prices and ids come as strings: strict=False reads them as numbers at once
_decode = msgspec.json.Decoder(
    _TradeFrame | _TickerFrame | _BookFrame | _Heartbeat | _Subscriptions, strict=False
).decode
_decode_book = msgspec.json.Decoder(_Book).decode
_decode_any = msgspec.json.Decoder(_Any).decode

_REASONS: Final = {
    "channel": "stream",
    "product_id": "symbol",
    "price": "price",
    "best_bid": "price",
    "best_ask": "price",
    "size": "qty",
    "best_bid_quantity": "qty",
    "best_ask_quantity": "qty",
    "trade_id": "id",
    "time": "time",
    "timestamp": "time",
}

#: a frame's number, which stands before its events, and where to look for it
_SEQUENCE: Final = re.compile(rb'"sequence_num":\s*(\d{1,18})[\s,}]')
_HEAD_BYTES: Final = 256


def sequence_of(payload: bytes) -> int:
    """Return a frame's number among all of its connection's, -1 for none."""
    found = _SEQUENCE.search(payload, 0, _HEAD_BYTES)
    if found is not None:
        return int(found[1])
    try:
        return _decode_any(payload).sequence_num
    except DECODE_ERRORS:
        return -1


class CoinbaseDecoder(UnnumberedDecoder):
    """Decodes all frames of its instruments; see feeds.base.Decoder."""

    trade_ids: TradeIds = "growing"  # a missing frame is known by its number
    depth_channel = "l2_data"
    depth_max = 0

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__(instruments)
        self.sequence = sequence_of

    def _decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        check_size(payload)
        events: list[Event] = []
        try:
            frame = _decode(payload)
            if isinstance(frame, _BookFrame):
                exch_ns = nanoseconds(frame.timestamp)
                events += (self._book(raw, wire_ns, exch_ns) for raw in frame.events)
            elif isinstance(frame, _TickerFrame):
                exch_ns = nanoseconds(frame.timestamp)
                events += (
                    self._ticker(one, wire_ns, exch_ns) for event in frame.events for one in event.tickers
                )
            elif isinstance(frame, _TradeFrame):  # newest first; a snapshot is history
                told = [one for event in frame.events if event.type == "update" for one in event.trades]
                told.sort(key=attrgetter("trade_id"))
                events += (self._trade(one, wire_ns) for one in told)
            elif isinstance(frame, _Heartbeat):
                events.append(Control("heartbeat"))
        except DECODE_ERRORS as error:
            return _other(error, payload)
        return events or Control("reply")

    def _trade(self, one: _Trade, wire_ns: int) -> Tick:
        side = -1.0 if one.side == "BUY" else 1.0
        exch_ns = nanoseconds(one.time)
        index = self._index(one.product_id)
        return Tick(TRADE, index, wire_ns, exch_ns, one.price, one.size, side, 0.0, one.trade_id)

    def _ticker(self, one: _Ticker, wire_ns: int, exch_ns: int) -> Tick:
        quote = (one.best_bid, one.best_bid_quantity, one.best_ask, one.best_ask_quantity)
        return self._quote(one.product_id, wire_ns, exch_ns, quote)

    def _book(self, raw: Raw, wire_ns: int, exch_ns: int) -> Depth | Snapshot:
        one = _decode_book(raw)
        index, payload = self._index(one.product_id), bytes(raw)
        if one.type == "snapshot":
            return Snapshot(index, wire_ns, NO_ID, payload, in_stream=True)
        return Depth(index, wire_ns, exch_ns, NO_ID, NO_ID, NO_ID, payload)


def _other(error: Exception, payload: bytes) -> Control:
    """Return what a frame says that is of no channel of ours: that a request was refused, or nothing."""
    try:
        said = _decode_any(payload)
    except DECODE_ERRORS:
        refuse(error, payload, _REASONS)
    if said.type != "error":
        refuse(error, payload, _REASONS)
    return Control("error", said.message[:200])
