"""The newest ticks of one instrument, for whoever reads behind the hot path.

The engine takes every tick on the stack of its frame, so nothing waits here. The ring serves those who come
later, such as a screen, a publisher or a person: each keeps a cursor and asks for what is new. A ring that
turned faster than a reader came by has lost ticks for that reader, and counts them.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.events import Tick


class Ring:
    """A deque of the newest `capacity` ticks, each with its place in all that ever came (0, 1, 2, ...)."""

    __slots__ = ("_ticks", "append", "capacity", "overflow", "pushed")

    def __init__(self, capacity: int) -> None:
        assert capacity > 0
        self.capacity = capacity
        self._ticks: deque[Tick] = deque(maxlen=capacity)
        #: the deque's own; the hot path is spared a call of `push` and adds to `pushed` itself
        self.append = self._ticks.append
        #: ticks that ever came; also the cursor of a reader who has read them all
        self.pushed = 0
        #: ticks that fell out before a reader came for them, summed over readers
        self.overflow = 0

    def push(self, tick: Tick) -> None:
        """Take the newest tick; the oldest falls out of a full ring."""
        self._ticks.append(tick)
        self.pushed += 1

    def __len__(self) -> int:
        return len(self._ticks)

    @property
    def newest(self) -> Tick | None:
        """The last tick, None before the first."""
        return self._ticks[-1] if self._ticks else None

    def read(self, cursor: int) -> tuple[list[Tick], int]:
        """Return the ticks from place `cursor` on, oldest first, and the cursor to come back with.

        Start with 0 for all that is still here, or with `pushed` for what comes from now on. What fell out in
        between is added to `overflow`; before a reader's first visit it is not, for nobody missed it.
        """
        oldest = self.pushed - len(self._ticks)
        if 0 < cursor < oldest:
            self.overflow += oldest - cursor
        skip = max(0, cursor - oldest)
        return list(islice(self._ticks, skip, None)), self.pushed
