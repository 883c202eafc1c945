"""What a feed tells, and to whom; and what an exchange must bring to be one.

The engine is the sink; a replay and a test can be one too. An exchange is a sans-IO decoder with its
addresses (daemon/feeds/binance.py, binance_rest.py) and one row in the table of daemon/feeds/exchanges.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, Protocol, Union

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

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

    kind: Literal["reply", "error", "shutdown", "no_print", "heartbeat"]
    text: str = ""


Event = Union["Tick", "Depth", "Snapshot", Control]
#: how an exchange numbers its trades: one after the other; upwards, with holes; or by names without order
TradeIds = Literal["contiguous", "growing", "names"]


class Decoder(Protocol):
    """Frames of one exchange and market to events; no socket, no clock, and no state but the last quotes'.

    What it says of its streams lets the feed read frames of a known shape by a kernel (kernels.shapes) that
    gives what `decode` would have given; a decoder without `keys` is always asked itself.
    """

    #: how many first bytes of a frame tell its stream
    key_size: int
    #: of the times in frames
    time_unit_ns: int
    trade_ids: TradeIds
    #: reads a frame's number among all of its connection's, -1 for none; None: streams are numbered, if any
    sequence: Callable[[bytes], int] | None
    #: levels a side beyond which it tells nothing; 0: it tells of every one
    depth_max: int

    @property
    def keys(self) -> Mapping[bytes, tuple[int, int]]:
        """Return (instrument, kind of kernels.dtypes) by these bytes."""

    @property
    def fields(self) -> Mapping[int, Mapping[str, tuple[int, int]]]:
        """Return by kind what a kernel reads of a frame: a field's name -> (what it is, its slot)."""

    def decode(self, payload: bytes, wire_ns: int) -> Event | list[Event]:
        """Return what the frame says; raises FrameError with a reason of FRAME_REASONS."""

    def snapshot(self, instrument: int, payload: bytes, wire_ns: int) -> Snapshot:
        """Return the whole book that a REST request was answered with; raises FrameError."""


class Subscription(msgspec.Struct, frozen=True):
    """What one websocket is opened at, what it is then asked for, and whose streams it brings."""

    url: str
    instruments: tuple[int, ...]
    requests: tuple[bytes, ...] = ()  # sent one after the other, `request_gap_s` between two
    request_gap_s: float = 0.0
    #: what makes an instrument's depth begin anew with a whole book, where its stream brings those
    anew: dict[int, tuple[bytes, ...]] = {}
    ping: bytes = b""  # what the exchange wants to hear every `ping_s`, beside the protocol's own pings
    ping_s: float = 0.0
    #: at a planned change the old connection speaks on until the new one does: ids tell what comes twice.
    #: Without ids an update that comes twice may undo a later one: there the old one is cut first.
    overlaps: bool = True
    #: what ends all its depth: said on the old connection before the new one asks, where a stream begins with
    #: a whole book, which an update of the older connection need not follow
    hush: tuple[bytes, ...] = ()


class Exchange(Protocol):
    """An exchange's market data: where it is, how it is asked for, and how it is read."""

    name: str
    markets: tuple[Market, ...]  # that it can bring

    def decoder(self, instruments: Sequence[Instrument]) -> Decoder:
        """Return the decoder for these instruments, all of one market."""

    def subscriptions(
        self, market: Market, instruments: Sequence[Instrument], streams: Sequence[Stream], base_url: str = ""
    ) -> list[Subscription]:
        """Return the connections that bring these streams; `base_url` replaces the exchange's own address."""

    def snapshot_url(self, instrument: Instrument, base_url: str = "") -> str:
        """Return the REST address of an instrument's whole book; "": its stream itself begins with one."""

    def instruments_url(self, market: Market, symbols: Sequence[str], base_url: str = "") -> str:
        """Return the REST address of the rules of these symbols (unified), of all there are for none."""

    def instruments(
        self,
        market: Market,
        symbols: Sequence[str],
        payload: bytes,
        remembered: Mapping[str, Instrument] = ...,
    ) -> list[Instrument]:
        """Return the instruments in the order of `symbols`, indices from 0; raises ConfigError, NetError.

        remembered: what to take, by unified symbol, for those that are not listed.
        """


#: (frame, its STREAM record, wire_ns) -> what kernels.pipeline says of a turn
Turn = Callable[[bytes, "NDArray[np.void]", int], int]


class MarketFollower(Protocol):
    """Who sees the market before the strategies do, on the stack of the frame that brought it."""

    #: called with an instrument that `watching` gained or lost
    on_watch: Callable[[int], None]

    @property
    def watching(self) -> AbstractSet[int]:
        """Return the instruments whose ticks cannot wait in their ring until it is full."""

    def absorb(self, instrument: int) -> None:
        """Take everything that waits in an instrument's ring."""

    def on_book(self, instrument: int, wire_ns: int, book: NDArray[np.int64]) -> None:
        """Take a book that has just changed, after the ticks that wait.

        It is one of kernels.book, and the feed's: read it before the next one comes, which may be another.
        """

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        """Learn that an instrument's book follows the exchange's sequence, or that it stopped doing so."""


class FeedSink(Protocol):
    """Who takes what the feed brings, and decides."""

    def on_tick(self, instrument: int) -> None:
        """Learn that a trade or quote waits in an instrument's ring (kernels.ring)."""

    def absorb(self, instrument: int) -> None:
        """Take everything that waits in an instrument's ring now: it is full."""

    def on_book(self, instrument: int, wire_ns: int, book: NDArray[np.int64]) -> None:
        """Take a book that has just changed, after the ticks that wait; see MarketFollower."""

    def on_book_status(self, instrument: int, synced: bool, reason: str) -> None:
        """Learn that an instrument's book follows the exchange's sequence, or that it stopped doing so."""

    def on_gap(self, instrument: int, reason: str) -> None:
        """Learn that ticks are missing between those that came and those that will."""

    def drain(self, wire_ns: int) -> None:
        """Learn that nothing more was readable after the frame received at `wire_ns`: decide now."""

    @property
    def turns(self) -> Sequence[Turn | None]:
        """Return, by instrument, what reads a frame and decides on it in one compiled call; None: not now."""

    @property
    def on_decided(self) -> Callable[[int], None] | None:
        """Return what to call with the receive time of a frame once a turn decided on it; None: nothing."""

    def on_turn(self, instrument: int) -> None:
        """Learn that a turn took what waited of an instrument: it needs no drain."""

    def turned(self, instrument: int, answer: int, wire_ns: int) -> None:
        """Act on a turn that answered other than 0: nothing to do."""

    def turn_raised(self, instrument: int, error: Exception) -> None:
        """Take what a strategy raised in its turn."""
