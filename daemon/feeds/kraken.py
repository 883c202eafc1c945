"""Kraken's spot market data, websocket v2: frames to events. Sans-IO; addresses are in kraken_rest.py.

A frame is {"channel":"book","type":"update","data":[{"symbol":"BTC/USD",...}]}. Updates of a book have no
ids: a checksum of its ten best levels says whether it is right, at the number of decimals that the exchange
fixed for the instrument. It tells nothing of levels behind the depth that was asked for.
"""

from __future__ import annotations

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

#: levels a side that are asked for, the most there are
DEPTH: Final = 1000


class _Trade(Struct, gc=False):
    symbol: str
    side: Literal["buy", "sell"]  # of who took
    price: Price
    qty: Annotated[float, Meta(gt=0, lt=1e15)]
    trade_id: Id
    timestamp: Stamp


class _Quote(Struct, gc=False):
    symbol: str
    bid: Price
    bid_qty: Size
    ask: Price
    ask_qty: Size
    timestamp: Stamp | None = None  # since 2025


class _Book(Struct, gc=False):
    symbol: str
    checksum: Annotated[int, Meta(ge=0, lt=1 << 32)]
    timestamp: Stamp | None = None


class _System(Struct, gc=False):
    system: str = ""


class _Trades(Struct, tag_field="channel", tag="trade"):
    type: Literal["snapshot", "update"]
    data: list[_Trade]


class _Quotes(Struct, tag_field="channel", tag="ticker"):
    data: list[_Quote]


class _Books(Struct, tag_field="channel", tag="book"):
    type: Literal["snapshot", "update"]
    data: list[Raw]


class _Status(Struct, tag_field="channel", tag="status"):
    data: list[_System]


class _Heartbeat(Struct, tag_field="channel", tag="heartbeat"):
    pass


class _Any(Struct, gc=False):
    """What tells one unexpected frame from another."""

    channel: str = ""
    method: str = ""
    success: bool = True
    error: str = ""


_decode = msgspec.json.Decoder(_Trades | _Quotes | _Books | _Status | _Heartbeat).decode
_decode_book = msgspec.json.Decoder(_Book).decode
_decode_any = msgspec.json.Decoder(_Any).decode

_REASONS: Final = {
    "channel": "stream",
    "symbol": "symbol",
    "price": "price",
    "bid": "price",
    "ask": "price",
    "qty": "qty",
    "bid_qty": "qty",
    "ask_qty": "qty",
    "trade_id": "id",
    "timestamp": "time",
}


class KrakenDecoder(UnnumberedDecoder):
    """Decodes all frames of its instruments; see feeds.base.Decoder."""

    trade_ids: TradeIds = "contiguous"
    depth_channel = "book"

    def __init__(self, instruments: Sequence[Instrument], depth: int = DEPTH) -> None:
        """Begin it; depth: levels a side that were asked for."""
        super().__init__(instruments)
        self.depth_max = depth

    def _decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        check_size(payload)
        events: list[Event] = []
        try:
            frame = _decode(payload)
            if isinstance(frame, _Books):
                begins = frame.type == "snapshot"
                events += (self._book(raw, wire_ns, begins=begins) for raw in frame.data)
            elif isinstance(frame, _Quotes):
                events += (self._ticker(one, wire_ns) for one in frame.data)
            elif isinstance(frame, _Heartbeat):
                events.append(Control("heartbeat"))
            elif isinstance(frame, _Status):
                events += (
                    Control("error", f"its system is {one.system[:32]}")
                    for one in frame.data
                    if one.system != "online"
                )
            elif frame.type == "update":  # a snapshot of trades is history
                events += (self._trade(one, wire_ns) for one in frame.data)
        except DECODE_ERRORS as error:
            return _other(error, payload)
        return events or Control("reply")

    def _trade(self, one: _Trade, wire_ns: int) -> Tick:
        side = 1.0 if one.side == "buy" else -1.0
        exch_ns = nanoseconds(one.timestamp)
        index = self._index(one.symbol)
        return Tick(TRADE, index, wire_ns, exch_ns, one.price, one.qty, side, 0.0, one.trade_id)

    def _ticker(self, one: _Quote, wire_ns: int) -> Tick:
        exch_ns = nanoseconds(one.timestamp) if one.timestamp else 0
        return self._quote(one.symbol, wire_ns, exch_ns, (one.bid, one.bid_qty, one.ask, one.ask_qty))

    def _book(self, raw: Raw, wire_ns: int, *, begins: bool) -> Depth | Snapshot:
        one = _decode_book(raw)
        index, payload = self._index(one.symbol), bytes(raw)
        if begins:
            return Snapshot(index, wire_ns, NO_ID, payload, in_stream=True, checksum=one.checksum)
        exch_ns = nanoseconds(one.timestamp) if one.timestamp else 0
        return Depth(index, wire_ns, exch_ns, NO_ID, NO_ID, NO_ID, payload, one.checksum)


def _other(error: Exception, payload: bytes) -> Control:
    """Return what a frame says that is of no channel of ours: an answer to a request, or nothing."""
    try:
        said = _decode_any(payload)
    except DECODE_ERRORS:
        refuse(error, payload, _REASONS)
    if not said.method:
        refuse(error, payload, _REASONS)
    return Control("reply") if said.success else Control("error", f"{said.method}: {said.error}"[:200])
