"""The books of a feed's instruments: built from snapshots, changed by updates, given up when either is wrong.

Sans-IO. The exchange's own rule decides whether an update follows (sync.py); where it sends a checksum the
book must also come to that (kernels.checksum). A book that was given up is asked for again, and is no market
until it came: the sink is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.entry import bound
from daemon.errors import FrameError
from daemon.feeds.sync import APPLY, DROP, GAP, HOLD
from kernels import book as books
from kernels import checksum, shapes
from kernels.levels import ERROR_NAMES, make_scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.events import Depth, Snapshot
    from daemon.feeds.base import FeedSink
    from daemon.feeds.lane import Lane


class Bookkeeper:
    """Keeps the lanes' books.

    request(index): asks for a whole book, which comes later; refuse(error): counts a frame that is none;
    depth_max: the exchange tells nothing of levels behind so many a side; 0: it tells of every one.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        sink: FeedSink,
        request: Callable[[int], None],
        refuse: Callable[[FrameError], None],
        depth_max: int,
    ) -> None:
        self._lanes = lanes
        self.sink = sink
        self._request = request
        self._refuse = refuse
        self._depth_max = depth_max
        self._scratch = make_scratch()
        # bound once: each saves an attribute lookup a frame
        self._read = bound(shapes.read_depth)
        self._update = bound(books.update)
        self._replace = bound(books.replace)
        self._trim = bound(books.trim)
        self._checksum = bound(checksum.crc32_of_top)

    def take_plain(self, lane: Lane, payload: bytes, wire_ns: int) -> bool:
        """Apply an update that plainly follows, in one compiled call; return whether it was one."""
        code = self._read(payload, lane.depth.record, lane.book, lane.grid, self._scratch, wire_ns)
        if code >= 0:
            self.sink.on_book(lane.index, wire_ns, lane.book)
            return True
        if code == books.CROSSED:
            self._fault(lane, code)
            return True
        if code <= books.FULL:
            lane.book = books.grown(lane.book, code)
            return self.take_plain(lane, payload, wire_ns)
        return False

    def take(self, depth: Depth) -> None:
        """Take an update: apply it, keep it until a snapshot comes, or give the book up."""
        lane = self._lanes[depth.instrument]
        lane.depth.add()
        verdict = lane.sync.offer(depth)
        if verdict != DROP:
            lane.depth.newest_ns = depth.wire_ns
        if verdict == APPLY:
            if self._apply(lane, depth):
                self.sink.on_book(lane.index, depth.wire_ns, lane.book)
        elif verdict == GAP:
            self._lose(lane, "gap")
        elif verdict == HOLD and not lane.wanted:
            self.want(lane)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Build the book anew, unless it follows its sequence already: then it is the fresher one.

        One that the stream itself brought is in sequence, and always the fresher one.
        """
        lane = self._lanes[snapshot.instrument]
        lane.snapshots += 1
        lane.wanted = False
        if snapshot.in_stream:
            lane.sync.begin(snapshot.last_id)
            lane.depth.newest_ns = snapshot.wire_ns
            held: list[Depth] | None = []
        elif lane.sync.synced:
            return
        else:
            held = lane.sync.adopt(snapshot.last_id)
        if held is None:
            self.want(lane)
            return
        if not self._change(self._replace, lane, snapshot):
            return
        for depth in held:
            if not self._apply(lane, depth):
                return
        lane.resyncs += 1
        wire_ns = max(snapshot.wire_ns, lane.depth.newest_ns)
        self.sink.on_book_status(lane.index, True, "snapshot")
        self.sink.on_book(lane.index, wire_ns, lane.book)

    def want(self, lane: Lane) -> None:
        """Ask for a whole book."""
        lane.wanted = True
        self._request(lane.index)

    def doubt(self, lane: Lane) -> None:
        """Give a book up that lacks what a refused frame said, where there is one."""
        if lane.sync.synced:
            lane.sync.lose()
            self._lose(lane, "refused")

    def disconnected(self, lane: Lane) -> None:
        """Learn that nothing brings its updates any more."""
        lane.wanted = False
        if lane.sync.synced:
            lane.gaps["disconnected"] += 1
            self.sink.on_book_status(lane.index, False, "disconnected")
        lane.sync.lose()

    def _apply(self, lane: Lane, depth: Depth) -> bool:
        return self._change(self._update, lane, depth)

    def _change(self, kernel: Callable[..., int], lane: Lane, event: Depth | Snapshot) -> bool:
        """Change a book, grown where it has to be; return whether it is right afterwards."""
        code = kernel(lane.book, event.payload, lane.grid, self._scratch)
        if code <= books.FULL:
            lane.book = books.grown(lane.book, code)
            code = kernel(lane.book, event.payload, lane.grid, self._scratch)
        if code < 0:
            self._fault(lane, code)
            return False
        if self._depth_max:
            self._trim(lane.book, self._depth_max)
        if event.checksum >= 0 and self._checksum(lane.book, lane.checksum_units) != event.checksum:
            lane.sync.lose()
            self._lose(lane, "checksum")
            return False
        return True

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
        self.sink.on_book_status(lane.index, False, reason)
        if not lane.wanted:
            self.want(lane)
