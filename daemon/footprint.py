"""How much memory the instruments of a daemon take, by what it is for: what can be counted, in bytes.

An instrument's *ring* is where its newest ticks are kept: the typed ring that strategies read (kernels.ring)
and the deque of raw frames that a person finds (GET /frames). Everything else is beyond the ring: what the
feed knows of its streams, its book, and the memories of the strategies that own it. The objects of Python
around these, some 20 kB an instrument, are not counted here: `tickd bench latency` measures them as well.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from daemon.status import Footprint

if TYPE_CHECKING:
    from daemon.core import Core
    from daemon.feeds.core import FeedCore


def footprint(core: Core, feed: FeedCore) -> Footprint:
    """Return the bytes of all instruments together."""
    lanes = feed.lanes
    return Footprint(
        rings=core.engine.rings.nbytes,
        # an instrument's frames are of two sizes, a byte or two about each
        frames=sum(len(one.frames) * sys.getsizeof(one.frames[-1]) for one in lanes if one.frames),
        streams=feed.records.nbytes,
        books=sum(one.book.nbytes for one in lanes),
        strategies=sum(one.memory.nbytes for one in core.runtimes),
    )
