"""The newest ticks of one instrument, kept for whoever looks behind the hot path.

The engine takes every tick on the stack of its frame, so nothing waits here and nothing is lost when an old
one falls out. It is what a person or a debugger finds of the moments before something went wrong.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.events import Tick


class Ring:
    """The newest `capacity` ticks, oldest first; the oldest falls out of a full one."""

    __slots__ = ("append", "ticks")

    def __init__(self, capacity: int) -> None:
        assert capacity > 0
        self.ticks: deque[Tick] = deque(maxlen=capacity)
        #: the deque's own: the hot path is spared a call
        self.append = self.ticks.append
