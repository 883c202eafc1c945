"""A capture's plain ticks, a run of them in one compiled call: what turns do with each, at a replay's speed.

Between two frames that are no plain ticks, two timers, and two things that a strategy wants, nobody but the
strategy looks at anything: then Python need not be asked a frame. Entries and exits of a run are those of the
feed (daemon/feeds/core.py) and the engine, so that what comes of it is the same to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.compile import replay_run
from daemon.entry import bound
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.clock import VirtualTime
    from daemon.core import Core
    from daemon.feeds.core import FeedCore
    from daemon.tape.capture import Lines

_NEVER_NS: Final = 2**63 - 1
#: what a run costs to be compiled, once for each strategy, a shorter capture is not worth
_CAPTURE_BYTES_MIN: Final = 1 << 20


def make_runs(capture: Path | None, core: Core, feeds: Sequence[FeedCore], time: VirtualTime) -> Runs | None:
    """Return what takes a long capture's runs for a compiled strategy that follows its one instrument."""
    one = len(feeds) == len(core.runtimes) == len(core.engine.instruments) == 1
    if capture is None or not one or core.runtimes[0].turn is None:
        return None
    return Runs(core, feeds[0], time) if capture.stat().st_size >= _CAPTURE_BYTES_MIN else None


class Runs:
    """Of the one strategy that follows the one instrument of a feed."""

    def __init__(self, core: Core, feed: FeedCore, time: VirtualTime) -> None:
        """Compile its run, or find it in the cache."""
        (runtime,) = core.runtimes
        run = replay_run(runtime.strategy, modelled=bool(runtime.forest))
        account = core.orders.desks[0].account.array
        self._before = (runtime.memory, core.engine.rings, account, *runtime.forest)
        lane = feed.lanes[0]
        self._streams = (lane.stream(QUOTE).record, lane.stream(TRADE).record)
        self._engine, self._time = core.engine, time
        self._place = np.zeros(2, np.int64)
        nothing = np.zeros(0, np.int64)
        run(*self._before, b"", nothing, nothing, nothing, *self._streams, self._place, 0)
        self._run = bound(run)

    def take(self, lines: Lines, at: int, before_ns: int) -> int:
        """Take the run that begins with frame number `at`; return the number of the next frame.

        before_ns: when the one before it was received.
        """
        engine, time, place = self._engine, self._time, self._place
        if engine.turns[0] is None:
            return at
        place[:] = at, before_ns
        try:
            answer = self._run(
                *self._before,
                lines.text,
                lines.starts,
                lines.ends,
                lines.wires_ns,
                *self._streams,
                place,
                _NEVER_NS if time.next_ns is None else time.next_ns,
            )
        except Exception as error:  # whatever a strategy raises
            time.advance(place.item(1))
            engine.turn_raised(0, error)
            return place.item(0)
        taken, wire_ns = place.tolist()
        if taken > at:
            time.advance(wire_ns)
        if answer:
            engine.turned(0, answer, wire_ns)
        return int(taken)
