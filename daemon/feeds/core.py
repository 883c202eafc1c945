"""From one frame to the sink: the part of a feed that live, replay and tests share. Sans-IO.

    process(payload, wire_ns): 1. decode  2. check the sequence  3. ring  4. sink, or book and then sink

One bad frame is counted by its reason and forgotten; it never raises out of here. What the sink raises is not
caught: an engine's or a strategy's exception must not be taken for a bad frame.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.entry import bound
from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import STREAMS, Control
from daemon.feeds.ring import Ring
from daemon.feeds.sync import APPLY, DROP, GAP, HOLD, BookSync, IdChain
from kernels import book as books
from kernels.dtypes import QUOTE
from kernels.levels import ERROR_NAMES, make_grid, make_scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.feeds.base import Decoder, FeedSink, Stream
    from daemon.instruments import Instrument
    from daemon.seams import Clock

RING_CAPACITY: Final = 4096

#: a jump of trade ids beyond a busy day's trades, or of update ids (about a million a second, shared by all
#: symbols of the market) beyond a week's, is a stray id and no gap
_TRADE_STEP_MAX: Final = 10_000_000
_QUOTE_STEP_MAX: Final = 10**12

_NEVER_NS: Final = 1 << 62


class Lane:
    """What the feed keeps of one instrument."""

    __slots__ = (
        "book",
        "depth_ns",
        "depths",
        "gaps",
        "grid",
        "index",
        "quote_ids",
        "quote_ns",
        "quotes",
        "resyncs",
        "ring",
        "snapshots",
        "sync",
        "trade_ids",
        "trade_ns",
        "trades",
        "wanted",
    )

    def __init__(self, instrument: Instrument, ring_capacity: int) -> None:
        self.index = instrument.index
        self.ring = Ring(ring_capacity)
        self.book = books.make()
        self.grid = make_grid(
            instrument.price.places, instrument.price.num, instrument.qty.places, instrument.qty.num
        )
        self.sync = BookSync()
        self.trade_ids = IdChain(contiguous=True, step_max=_TRADE_STEP_MAX)
        self.quote_ids = IdChain(contiguous=False, step_max=_QUOTE_STEP_MAX)
        #: well-formed frames by kind, repetitions included
        self.trades = 0
        self.quotes = 0
        self.depths = 0
        self.snapshots = 0
        #: wire_ns of the newest frame of each kind that was news, 0 before the first
        self.trade_ns = 0
        self.quote_ns = 0
        self.depth_ns = 0
        #: times the book stopped following its sequence, by reason
        self.gaps: Counter[str] = Counter()
        #: times it was built from a snapshot
        self.resyncs = 0
        #: a snapshot has been asked for and has not come
        self.wanted = False

    def not_after(self, now_ns: int) -> None:
        """Let what a clock that was set back put into the future count from now on: else silence hides."""
        self.trade_ns = min(self.trade_ns, now_ns)
        self.quote_ns = min(self.quote_ns, now_ns)
        self.depth_ns = min(self.depth_ns, now_ns)


class FeedCore:
    """The feed of one market's instruments, indices 0 to n - 1 in order.

    `request_snapshot(index)` asks for a whole book; the answer comes later through `process_snapshot`, never
    from within the call. A replay passes a function that does nothing: its snapshots stand among its frames.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        sink: FeedSink,
        decoder: Decoder,
        request_snapshot: Callable[[int], None],
        clock: Clock,
        *,
        ring_capacity: int = RING_CAPACITY,
        streams: Sequence[Stream] = STREAMS,
    ) -> None:
        assert [one.index for one in instruments] == list(range(len(instruments)))
        self.lanes = [Lane(one, ring_capacity) for one in instruments]
        self._refused = (
            0  # frames that are nothing; the levels of a depth update are refused after it counted
        )
        self.errors: Counter[str] = Counter()
        self.last_error = ""
        self.controls: Counter[str] = Counter()
        #: called with each Control, for who supervises the connection
        self.on_control: Callable[[Control], None] = _ignore
        self._streams = frozenset(streams)
        self._decoder = decoder
        self._sink = sink
        self._request_snapshot = request_snapshot
        self._scratch = make_scratch()
        # bound once: each saves an attribute lookup a frame
        self._decode = decoder.decode
        self._on_tick = sink.on_tick
        self._now_ns = clock.now_ns
        self._update = bound(books.update)
        self._replace = bound(books.replace)

    # --- the hot path --------------------------------------------------------------------------------------

    def on_frame(self, payload: bytes, last: bool) -> None:
        """Take a frame from the wire, stamp it, and let the sink decide when nothing more is readable."""
        wire_ns = self._now_ns()
        self.process(payload, wire_ns)
        if last:
            self._sink.drain(wire_ns)

    def process(self, payload: bytes, wire_ns: int) -> None:
        """Take one frame received at `wire_ns`; raises only what the sink raises."""
        try:
            event = self._decode(payload, wire_ns)
        except FrameError as error:
            self._refused += 1
            self._refuse(error)
            return
        if type(event) is not Tick:
            self._take(event)
            return
        lane = self.lanes[event.instrument]
        is_quote = event.kind == QUOTE
        if is_quote:
            lane.quotes += 1
            chain = lane.quote_ids
        else:
            lane.trades += 1
            chain = lane.trade_ids
        number = event.id
        if 0 < number - chain.last <= chain.easy_max:
            chain.last = number
        elif not chain.admit(number):
            return
        if is_quote:
            lane.quote_ns = wire_ns
        else:
            lane.trade_ns = wire_ns
        lane.ring.append(event)
        self._on_tick(event)

    # --- the book ------------------------------------------------------------------------------------------

    def process_snapshot(self, instrument: int, payload: bytes, wire_ns: int) -> None:
        """Take the REST answer to `request_snapshot`; a malformed or too old one is asked for again.

        An answer that nobody waits for any more is dropped: the connection was cut since, and a book built
        now would look whole without a single update following.
        """
        lane = self.lanes[instrument]
        if not lane.wanted:
            return
        try:
            snapshot = self._decoder.snapshot(instrument, payload, wire_ns)
        except FrameError as error:
            self._refused += 1
            self._refuse(error)
            self._want(lane)
            return
        self._take_snapshot(snapshot)

    def _take(self, event: Tick | Depth | Snapshot | Control) -> None:
        if isinstance(event, Depth):
            self._take_depth(event)
        elif isinstance(event, Snapshot):
            self._take_snapshot(event)
        elif isinstance(event, Control):
            self.controls[event.kind] += 1
            self.on_control(event)

    def _take_depth(self, depth: Depth) -> None:
        lane = self.lanes[depth.instrument]
        lane.depths += 1
        verdict = lane.sync.offer(depth)
        if verdict != DROP:
            lane.depth_ns = depth.wire_ns
        if verdict == APPLY:
            if self._apply(lane, depth):
                self._sink.on_book(lane.index, depth.wire_ns, lane.book)
        elif verdict == GAP:
            self._lose(lane, "gap")
        elif verdict == HOLD and not lane.wanted:
            self._want(lane)

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        """Build the book anew, unless it follows its sequence already: then it is the fresher one."""
        lane = self.lanes[snapshot.instrument]
        lane.snapshots += 1
        lane.wanted = False
        if lane.sync.synced:
            return
        held = lane.sync.adopt(snapshot.last_id)
        if held is None:
            self._want(lane)
            return
        code = self._replace(lane.book, np.frombuffer(snapshot.payload, np.uint8), lane.grid, self._scratch)
        if code < 0:
            self._fault(lane, code)
            return
        for depth in held:
            if not self._apply(lane, depth):
                return
        lane.resyncs += 1
        wire_ns = max(snapshot.wire_ns, lane.depth_ns)
        self._sink.on_book_status(lane.index, True, "snapshot")
        self._sink.on_book(lane.index, wire_ns, lane.book)

    def _apply(self, lane: Lane, depth: Depth) -> bool:
        code = self._update(lane.book, np.frombuffer(depth.payload, np.uint8), lane.grid, self._scratch)
        if code >= 0:
            return True
        self._fault(lane, code)
        return False

    def _fault(self, lane: Lane, code: int) -> None:
        """Give the book up: a message's levels were refused (and counted), or they left it crossed."""
        lane.sync.lose()
        if code == books.CROSSED:
            self._lose(lane, "crossed")
            return
        reason = ERROR_NAMES[code]
        self._refuse(FrameError(reason, f"the levels of a depth message were refused: {reason}"))
        self._lose(lane, "levels")

    def _lose(self, lane: Lane, reason: str) -> None:
        """Say that the book is wrong from here on, and ask for a snapshot."""
        lane.gaps[reason] += 1
        self._sink.on_book_status(lane.index, False, reason)
        if not lane.wanted:
            self._want(lane)

    def _want(self, lane: Lane) -> None:
        lane.wanted = True
        self._request_snapshot(lane.index)

    # --- around it -----------------------------------------------------------------------------------------

    def disconnected(self, instruments: Sequence[int]) -> None:
        """Learn that these instruments' connection was cut: their books are lost, their ids may jump."""
        for index in instruments:
            lane = self.lanes[index]
            lane.trade_ids.resume()
            lane.quote_ids.resume()
            lane.wanted = False
            if lane.sync.synced:
                lane.gaps["disconnected"] += 1
                self._sink.on_book_status(index, False, "disconnected")
            lane.sync.lose()

    @property
    def frames(self) -> int:
        """Frames and snapshots that ever came; derived, because counting them costs the hot path 30 ns."""
        told = sum(lane.trades + lane.quotes + lane.depths + lane.snapshots for lane in self.lanes)
        return told + self.controls.total() + self._refused

    def age_ns(self, instrument: int, now_ns: int) -> int:
        """Return how long ago the instrument's most silent stream spoke; over 100 years when one never did.

        Quotes and depth are looked at, each by itself, because one stream can stall while the others and the
        pings go on; and only what is news, because a stream can also repeat itself. Trades may be rare in an
        honest market and only count where nothing else is streamed.
        """
        lane = self.lanes[instrument]
        lane.not_after(now_ns)
        oldest_ns = now_ns
        if "quote" in self._streams:
            oldest_ns = lane.quote_ns
        if "depth" in self._streams:
            oldest_ns = min(oldest_ns, lane.depth_ns)
        if self._streams == {"trade"}:
            oldest_ns = lane.trade_ns
        return now_ns - oldest_ns if oldest_ns else _NEVER_NS

    def newest_ns(self, instrument: int) -> int:
        """Return when anything last came from an instrument, 0 before the first."""
        lane = self.lanes[instrument]
        return max(lane.trade_ns, lane.quote_ns, lane.depth_ns)

    def _refuse(self, error: FrameError) -> None:
        self.errors[error.reason] += 1
        self.last_error = str(error)


def _ignore(control: Control) -> None:
    """Hear of a Control while nobody supervises."""
