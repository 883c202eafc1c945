"""From one frame to the sink: the part of a feed that live, replay and tests share. Sans-IO.

    process(payload, wire_ns, last): 1. read  2. check the sequence  3. ring, or book  4. the sink decides

A frame of a shape that its stream is known for is read, checked and put into the ring by one compiled call
(kernels.shapes), which also decides on it where it is the last to be read and nothing but ticks of the same
instrument came before it (a turn). Every other goes by the typed decoder and the state machines of sync.py,
which say what is wrong with it, and may teach its stream a new shape.

One bad frame is counted by its reason and forgotten; it never raises out of here. What the sink raises is not
caught, and what a strategy raises in its turn is the sink's: neither must be taken for a bad frame.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from daemon.entry import bound
from daemon.errors import FrameError
from daemon.events import Depth, Snapshot, Tick
from daemon.feeds.base import STREAMS, Control
from daemon.feeds.bookkeeper import Bookkeeper
from daemon.feeds.lane import Lane, new_records
from daemon.feeds.shapes import learn
from daemon.feeds.silence import Silence
from kernels import shapes
from kernels.dtypes import DEPTH, QUOTE
from kernels.pipeline import TURN_MISS
from kernels.ring import MASK, push
from kernels.shapes import S_FIRST, S_ID, S_PREV, S_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.feeds.base import Decoder, Event, FeedSink
    from daemon.feeds.base import Stream as StreamName
    from daemon.feeds.lane import Stream
    from daemon.instruments import Instrument
    from daemon.seams import Clock

#: trades and quotes kept as they came, an instrument; and of all together, of some 200 bytes each
FRAMES_KEPT: Final = 1024
FRAMES_KEPT_MAX: Final = 32_768

#: whose ticks came since the last drain, where it is not one instrument's
_NOBODYS: Final = -1
_SEVERAL: Final = -2

#: what the hot path needs of a stream of ticks: its record, its instrument, and where its frames are kept
TickStream = tuple["NDArray[np.void]", int, "Callable[[bytes], None]"]


class FeedCore:
    """The feed of one market's instruments, indices 0 to n - 1 in order.

    `request_snapshot(index)` asks for a whole book; the answer comes later through `process_snapshot`, never
    from within the call. A replay passes a function that does nothing: its snapshots stand among its frames.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        rings: NDArray[np.void],
        sink: FeedSink,
        decoder: Decoder,
        request_snapshot: Callable[[int], None],
        clock: Clock,
        *,
        frames_kept: int = FRAMES_KEPT,
        streams: Sequence[StreamName] = STREAMS,
    ) -> None:
        assert [one.index for one in instruments] == list(range(len(instruments)))
        frames_kept = min(frames_kept, FRAMES_KEPT_MAX // len(instruments) + 1)
        self.records = records = new_records(len(instruments))  # of the streams, for who looks at all at once
        self.lanes = [
            Lane(one, record, frames_kept, decoder.time_unit_ns, decoder.trade_ids)
            for one, record in zip(instruments, records, strict=True)
        ]
        silence = Silence(records, streams)
        self.ages_ns = silence.ages_ns
        self.clock_stepped = silence.clock_stepped
        self.newest_ns = silence.newest_ns
        # frames that are nothing; the levels of a depth update are refused after it counted
        self._refused = 0
        self.errors: Counter[str] = Counter()
        self.last_error = ""
        self.controls: Counter[str] = Counter()
        #: called with each Control, for who supervises the connection
        self.on_control: Callable[[Control], None] = _ignore
        self._decoder = decoder
        self.sequence = decoder.sequence
        self._rings = rings
        self._books = Bookkeeper(self.lanes, sink, request_snapshot, self._refuse, decoder.depth_max)
        self._take_plain_depth = self._books.take_plain
        # bound once: each saves an attribute lookup a frame
        self._key_size = decoder.key_size
        self._ticks: dict[bytes, TickStream] = {}
        self._depths: dict[bytes, Lane] = {}
        for key, (instrument, kind) in decoder.keys.items():
            lane = self.lanes[instrument]
            if kind == DEPTH:
                self._depths[key] = lane
            else:
                self._ticks[key] = (lane.stream(kind).record, instrument, lane.frames.append)
        self._waiting = _NOBODYS
        self.listen(sink)
        self._now_ns = clock.now_ns
        self._read = bound(shapes.read)
        self._push = bound(push)

    def listen(self, sink: FeedSink) -> None:
        """Tell `sink` of the market from here on, in place of whoever was told."""
        self._sink = self._books.sink = sink
        self._turns = sink.turns
        self._on_decided = sink.on_decided
        self._on_tick = sink.on_tick

    # --- the hot path --------------------------------------------------------------------------------------

    def on_frame(self, payload: bytes, last: bool) -> None:
        """Take a frame from the wire and stamp it; `last`: nothing more is readable, so the sink decides."""
        self.process(payload, self._now_ns(), last)

    def process(self, payload: bytes, wire_ns: int, last: bool) -> None:
        """Take one frame received at `wire_ns`; raises only what the sink raises."""
        stream = self._ticks.get(payload[: self._key_size])
        waiting = self._waiting
        if stream is not None and last and (waiting == _NOBODYS or waiting == stream[1]):
            record, instrument, keep = stream
            turn = self._turns[instrument]
            if turn is not None:
                try:
                    answer = turn(payload, record, wire_ns)
                except Exception as error:  # whatever a strategy raises
                    keep(payload)
                    self._end_wait()
                    self._sink.turn_raised(instrument, error)
                    return
                if answer != TURN_MISS:
                    if self._on_decided is not None:
                        self._on_decided(wire_ns)
                    keep(payload)
                    if waiting != _NOBODYS:
                        self._end_wait()
                    if answer:
                        self._sink.turned(instrument, answer, wire_ns)
                    return
        self._take(stream, payload, wire_ns)
        if last:
            self._waiting = _NOBODYS
            self._sink.drain(wire_ns)
        elif stream is None or (waiting != _NOBODYS and waiting != stream[1]):
            self._waiting = _SEVERAL
        else:
            self._waiting = stream[1]

    def take(self, event: Tick | Depth | Snapshot, *, last: bool) -> None:
        """Take what a frame said that somebody has read already, as a record of ticks holds it."""
        self._take_event(event, b"")
        if last:
            self._waiting = _NOBODYS
            self._sink.drain(event.wire_ns)

    def _end_wait(self) -> None:
        """Let the sink know that a turn took what waited."""
        if self._waiting != _NOBODYS:
            self._sink.on_turn(self._waiting)
            self._waiting = _NOBODYS

    def _take(self, stream: TickStream | None, payload: bytes, wire_ns: int) -> None:
        """Take one frame into its ring or its book; a drain decides later."""
        if stream is not None:
            record, instrument, keep = stream
            came = self._read(payload, record, self._rings, wire_ns)
            if came:
                keep(payload)
                self._tell(instrument, came)
                return
        else:
            lane = self._depths.get(payload[: self._key_size])
            if lane is not None and self._take_plain_depth(lane, payload, wire_ns):
                return
        self._decode(payload, wire_ns)

    def _tell(self, instrument: int, came: int) -> None:
        """Let the sink know of a tick in a ring where so many came; a full ring cannot wait."""
        self._on_tick(instrument)
        if not came & MASK:
            self._sink.absorb(instrument)

    # --- frames that are not plainly the next of their stream -----------------------------------------------

    def _decode(self, payload: bytes, wire_ns: int) -> None:
        """Take a frame by the typed decoder, which says what is wrong with it."""
        try:
            event = self._decoder.decode(payload, wire_ns)
        except FrameError as error:
            self._refused += 1
            self._refuse(error)
            for index in error.books:
                self._books.doubt(self.lanes[index])
            return
        if isinstance(event, list):
            for one in event:
                self._take_event(one, payload)
        else:
            self._take_event(event, payload)

    def _take_event(self, event: Event, payload: bytes) -> None:
        """Take what a frame said, or a part of it."""
        if isinstance(event, Tick):
            self._take_tick(event, payload)
        elif isinstance(event, Depth):
            self._learn(self.lanes[event.instrument].depth, event, payload)
            self._books.take(event)
        elif isinstance(event, Snapshot):
            self._books.take_snapshot(event)
        else:
            self.controls[event.kind] += 1
            self.on_control(event)

    def _take_tick(self, tick: Tick, payload: bytes) -> None:
        lane = self.lanes[tick.instrument]
        stream = lane.stream(tick.kind)
        self._learn(stream, tick, payload)
        stream.add()
        ids = lane.quote_ids if tick.kind == QUOTE else lane.trade_ids
        gaps = ids.gaps
        if not ids.admit(tick.id):
            return
        if ids.gaps > gaps:
            self._sink.on_gap(tick.instrument, "trades were missed")
        stream.newest_ns = tick.wire_ns
        lane.frames.append(payload)
        came = self._push(
            self._rings,
            tick.instrument,
            tick.kind,
            tick.wire_ns,
            tick.exch_ns,
            tick.id,
            tick.a,
            tick.b,
            tick.c,
            tick.d,
        )
        self._tell(tick.instrument, came)

    def _learn(self, stream: Stream, event: Tick | Depth, payload: bytes) -> None:
        """Take the shape of a well-formed frame when its stream has none, or a new one: two in a row."""
        if payload[: self._key_size] not in self._decoder.keys:
            return
        count = stream.count
        again = stream.missed_at == count - 1
        stream.missed_at = count
        if (not stream.shaped or again) and count >= stream.learn_at:
            fields = self._decoder.fields[stream.kind]
            learnt = learn(stream.record, payload, fields, partial(_agrees, event, stream.time_unit_ns))
            stream.put_off(learnt)

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
            self._books.want(lane)
            return
        self._books.take_snapshot(snapshot)

    # --- around it -----------------------------------------------------------------------------------------

    def disconnected(self, instruments: Sequence[int]) -> None:
        """Learn that these instruments' connection was cut: their books are lost, their ids may jump."""
        for index in instruments:
            lane = self.lanes[index]
            lane.trade_ids.resume()
            lane.quote_ids.resume()
            self._books.disconnected(lane)
            if lane.told:
                self._sink.on_gap(index, "the connection was cut")

    def wants(self, instrument: int) -> bool:
        """Whether an instrument's whole book was asked for and has not come."""
        return self.lanes[instrument].wanted

    def recent(self) -> list[bytes]:
        """Return the newest frames of ticks as they came, by instrument, oldest first."""
        return [frame for lane in self.lanes for frame in lane.frames]

    @property
    def frames(self) -> int:
        """Frames and snapshots that ever came; derived, because counting them costs the hot path 30 ns."""
        told = int(self.records["count"].sum()) + sum(lane.snapshots for lane in self.lanes)
        return told + self.controls.total() + self._refused

    def _refuse(self, error: FrameError) -> None:
        self.errors[error.reason] += 1
        self.last_error = str(error)


def _agrees(event: Tick | Depth, unit_ns: int, ints: list[int], floats: list[float]) -> bool:
    """Whether a kernel read of a frame what the typed decoder read."""
    if isinstance(event, Depth):
        ids = [ints[slot] for slot in (S_FIRST, S_ID, S_PREV)]
        return ids == [event.first_id, event.last_id, event.prev_id]
    prices = [event.a, event.b, event.c, event.d]
    return floats == prices and (ints[S_ID], ints[S_TIME] * unit_ns) == (event.id, event.exch_ns)


def _ignore(control: Control) -> None:
    """Hear of a Control while nobody supervises."""
