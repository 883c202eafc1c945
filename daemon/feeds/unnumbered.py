"""What decoders have in common whose exchange gives the updates of its books no ids.

Nothing in the next update tells that one was refused, so the refusal names the books that may lack it.
Quotes have no ids there either: they are numbered by their stamps.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import DECODE_ERRORS, FrameError
from daemon.events import Tick
from daemon.feeds.stamps import QuoteNumbers
from daemon.feeds.streamed import StreamedDecoder
from kernels.dtypes import QUOTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.feeds.base import Event
    from daemon.instruments import Instrument

#: the id of every snapshot and update: each follows the one before
NO_ID: Final = 0


class _Frame(msgspec.Struct, gc=False):
    channel: str = ""


_decode_frame = msgspec.json.Decoder(_Frame).decode


class UnnumberedDecoder(StreamedDecoder):
    """Decodes frames that name their channel; `depth_channel` is the one that brings books."""

    depth_channel: str

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        super().__init__()
        self._indices = {one.exchange_symbol: one.index for one in instruments}
        self._numbers = QuoteNumbers(1 + max(self._indices.values()))

    def decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        """Return what the frame says; raises FrameError with a reason of feeds.base.FRAME_REASONS."""
        try:
            return self._decode(payload, wire_ns)
        except FrameError as error:
            error.books = self._doubted(payload)
            raise

    @abstractmethod
    def _decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        """Do as `decode`; what it raises need not name any books."""

    def _index(self, symbol: str) -> int:
        index = self._indices.get(symbol, -1)
        if index < 0:
            raise FrameError("symbol", f"{symbol[:32]!r} was not asked for")
        return index

    def _quote(
        self, symbol: str, wire_ns: int, exch_ns: int, quote: tuple[float, float, float, float]
    ) -> Tick:
        """Return the tick of a bid with its quantity, and an ask with its."""
        index = self._index(symbol)
        if quote[0] > quote[2]:
            raise FrameError("crossed", f"{symbol} quoted {quote[0]} bid above {quote[2]} ask")
        number = self._numbers.number(index, exch_ns or wire_ns, quote)
        return Tick(QUOTE, index, wire_ns, exch_ns, *quote, number)

    def _doubted(self, payload: bytes) -> tuple[int, ...]:
        """Return the instruments of ours whose depth a refused frame may have told: those it names."""
        try:
            channel = _decode_frame(payload).channel
        except DECODE_ERRORS:
            return tuple(self._indices.values())
        if channel != self.depth_channel:
            return ()
        plain = payload.replace(rb"\/", b"/")
        return tuple(index for name, index in self._indices.items() if f'"{name}"'.encode() in plain)
