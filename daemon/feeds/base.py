"""What a feed tells, and to whom; and what an exchange must bring to be one.

The engine is the sink; a replay and a test can be one too. An exchange is a sans-IO decoder with its
addresses (daemon/feeds/binance.py, binance_rest.py) and one row in the table of daemon/feeds/exchanges.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.events import Depth, Snapshot, Tick
    from daemon.instruments import Instrument, Market

Stream = Literal["trade", "quote", "depth"]
STREAMS: Final[tuple[Stream, ...]] = ("trade", "quote", "depth")

#: every `FrameError.reason` a feed can count, so that metrics have a bounded label
FRAME_REASONS: Final = (
    "json",  # no JSON, or truncated
    "type",  # a field is missing, or of another type
    "size",  # larger than any frame of an exchange
    "stream",  # a stream we did not ask for
    "symbol",  # no instrument of ours, or not the stream's
    "price",
    "qty",
    "id",
    "time",
    "crossed",  # the bid above the ask
    # a depth update's levels (kernels.levels.ERROR_NAMES)
    "levels",
    "grid",
    "levels_max",
    "not_positive",
    "overflow",
    "side_missing",
)


class Control(msgspec.Struct, frozen=True, gc=False):
    """A well-formed frame that carries no market data."""

    kind: Literal["reply", "error", "shutdown", "no_print"]
    text: str = ""


class Decoder(Protocol):
    """Frames of one exchange and market to events; no socket, no clock, no state."""

    def decode(self, payload: bytes, wire_ns: int) -> Tick | Depth | Snapshot | Control:
        """Return what the frame says; raises FrameError with a reason of FRAME_REASONS."""

    def snapshot(self, instrument: int, payload: bytes, wire_ns: int) -> Snapshot:
        """Return the whole book that a REST request was answered with; raises FrameError."""


class Exchange(Protocol):
    """An exchange's market data: where it is, how it is asked for, and how it is read."""

    name: str

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments, all of one market."""

    def stream_url(
        self, market: Market, instruments: Sequence[Instrument], streams: Sequence[Stream], base_url: str = ""
    ) -> str:
        """Return the websocket address that brings these streams; `base_url` replaces the exchange's own."""

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:
        """Return the REST address of an instrument's whole book."""

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:
        """Return the REST address of the rules of these symbols (unified)."""

    def instruments(self, market: Market, symbols: Sequence[str], payload: bytes) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0; raises ConfigError, NetError."""


class MarketSink(Protocol):
    """Who sees the market, on the stack of the frame that brought it."""

    def on_tick(self, tick: Tick) -> None:
        """Take a trade or a quote; nothing is decided yet."""

    def on_book(self, instrument: int, wire_ns: int, book: NDArray[np.void]) -> None:
        """Take a book (a kernels.dtypes.BOOK array of length 1, owned by the feed) that has just changed."""

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        """Learn that an instrument's book follows the exchange's sequence, or that it stopped doing so."""


class FeedSink(MarketSink, Protocol):
    """Who sees the market and decides."""

    def drain(self, wire_ns: int) -> None:
        """Learn that nothing more was readable after the frame received at `wire_ns`: decide now."""
