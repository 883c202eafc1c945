"""The exchange's sequences: which tick is a repetition, which is missing, and whether a book is whole.

Sans-IO state machines, one of each per instrument. They only judge ids; levels are kernels.book's business.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from daemon.events import Depth

#: this many ids in a row, all outside the sequence but in order among themselves, are the sequence from now
#: on; fewer are repetitions (a reconnect repeats some) or strays, and one stray id must not silence a feed
RUN_MIN: Final = 64

#: names of trades that are remembered: more than an exchange repeats after a reconnect
NAMES_KEPT: Final = 4096

#: depth updates kept while a snapshot is on its way: minutes of the busiest stream (20 to 50 a second)
HELD_MAX: Final = 8192

# --- what to do with a depth update ------------------------------------------------------------------------
APPLY: Final = 1
HOLD: Final = 2  # kept until a snapshot comes
DROP: Final = 3  # the book already has it
GAP: Final = 4  # something before it is missing; the book is wrong from here on, and this update is held


def new_chain() -> NDArray[np.int64]:
    """Return a chain[2] before the first id: the last id, and the largest step to the next that is plain.

    It is a part of a stream's record (kernels.shapes.STREAM): the kernel that reads frames takes plain steps
    itself, and what is not plain comes here.
    """
    return np.array([-1, 0], dtype=np.int64)


class IdChain:
    """Ids that only grow: of trades by one each, of quotes by anything up to `step_max`."""

    __slots__ = (
        "_chain",
        "_run",
        "_run_at",
        "_stray",
        "_trust",
        "contiguous",
        "gaps",
        "missed",
        "older",
        "repeated",
        "step_max",
    )

    def __init__(self, *, contiguous: bool, step_max: int, chain: NDArray[np.int64] | None = None) -> None:
        self.contiguous = contiguous
        self.step_max = step_max
        self._chain = new_chain() if chain is None else chain
        self._stray = -1
        self._run = 0
        self._run_at = -1  # the id that the strays in a row came after
        self._trust = True  # whatever comes next is taken
        self.gaps = 0  # times ids were missing
        self.missed = 0  # ids that were missing
        self.repeated = 0  # the last one again
        self.older = 0  # before the last, or implausibly far ahead

    @property
    def last(self) -> int:
        """The newest id, -1 before the first."""
        return int(self._chain[0])

    def admit(self, new: int) -> bool:
        """Say whether the tick with this id is news; count it where it is not the plain next one."""
        last = self.last
        step = new - last
        if step == 0:
            self.repeated += 1
            return False
        if step < 0 or (step > self.step_max and not self._trust):
            return self._admit_stray(new)
        if self.contiguous and step > 1 and last >= 0:
            self.gaps += 1
            self.missed += step - 1
        self._chain[:] = new, 1 if self.contiguous else self.step_max
        self._trust = False
        self._run = 0
        return True

    def _admit_stray(self, new: int) -> bool:
        """Count an id outside the sequence; admit it once strays have made a sequence of their own."""
        self.older += 1
        last = (
            self.last
        )  # the kernel moves it on: whatever plainly followed in between breaks a row of strays
        in_a_row = last == self._run_at and 0 < new - self._stray <= self.step_max
        self._run = self._run + 1 if in_a_row else 1
        self._run_at = last
        self._stray = new
        if self._run < RUN_MIN:
            return False
        self._chain[0] = new
        self._run = 0
        return True

    def resume(self) -> None:
        """Take whatever newer id comes next: after a cut any number may be missing."""
        self._trust = True
        self._chain[1] = 0


class TradeNames:
    """Ids without an order (a hash of an exchange's names): the newest are remembered, to know one again."""

    __slots__ = ("_kept", "_names", "gaps", "last", "missed", "older", "repeated")

    def __init__(self) -> None:
        self._names: set[int] = set()
        self._kept: deque[int] = deque()
        self.last = -1  # the newest id, -1 before the first
        self.gaps = self.missed = self.older = 0  # nobody can know
        self.repeated = 0

    def admit(self, new: int) -> bool:
        """Say whether the trade with this id is news."""
        if new in self._names:
            self.repeated += 1
            return False
        self._names.add(new)
        self._kept.append(new)
        if len(self._kept) > NAMES_KEPT:
            self._names.discard(self._kept.popleft())
        self.last = new
        return True

    def resume(self) -> None:
        """Go on after a cut: what comes again is known."""


class BookSync:
    """Whether one book follows its exchange's update ids.

    Spot: an update carries U..u and follows when U <= last + 1 <= u. USD-M and COIN-M: an update also carries
    pu, the u before it, and follows when pu == last; the first one after a snapshot when
    pu <= lastUpdateId <= u. (Binance words that U <= lastUpdateId <= u, which never holds when the snapshot's
    id falls into the hole between two updates; ids are shared by all symbols, so there are holes.)
    """

    __slots__ = ("_chain", "_fresh", "_held", "_old_at", "_old_run", "held_dropped", "synced")

    def __init__(self, chain: NDArray[np.int64] | None = None) -> None:
        self.synced = False
        self._chain = new_chain() if chain is None else chain
        self._fresh = False  # nothing applied since the snapshot
        self._old_run = 0
        self._old_at = -1  # the id that the old updates in a row came after
        self._held: deque[Depth] = deque()
        self.held_dropped = 0  # updates that waited for a snapshot in vain

    @property
    def last_id(self) -> int:
        """The id of the newest update applied, -1 while it is not known."""
        return int(self._chain[0])

    def _follow(self, last_id: int, *, fresh: bool) -> None:
        self._fresh = fresh
        self._old_run = 0
        self._chain[:] = last_id, 0 if fresh else 1

    @property
    def held(self) -> int:
        """How many updates wait for a snapshot."""
        return len(self._held)

    def offer(self, depth: Depth) -> int:
        """Judge the next update: APPLY, HOLD, DROP or GAP; GAP also ends the sync and holds the update."""
        if not self.synced:
            self._hold(depth)
            return HOLD
        if self._follows(depth):
            self._follow(depth.last_id, fresh=False)
            return APPLY
        last_id = self.last_id
        if depth.last_id <= last_id:
            # a stray id far ahead that was let in would make every true update look old, for ever; but a
            # snapshot may be seconds ahead of the stream
            self._old_run = self._old_run + 1 if self._old_at == last_id else 1
            self._old_at = last_id
            if self._old_run < (HELD_MAX if self._fresh else RUN_MIN):
                return DROP
        self.lose()
        self._hold(depth)
        return GAP

    def adopt(self, snapshot_id: int) -> list[Depth] | None:
        """Start from a snapshot: return the held updates that follow it, or None when it is too old for them.

        The updates are the caller's to apply, in order, after the snapshot's own levels.
        """
        held = self._held
        while held and self._is_old(held[0], snapshot_id):
            held.popleft()
        if held and not self._starts(held[0], snapshot_id):
            return None
        self.synced = True
        self._follow(held[-1].last_id if held else snapshot_id, fresh=not held)
        following = list(held)
        held.clear()
        return following

    def begin(self, snapshot_id: int) -> None:
        """Start from a snapshot of the stream's own: what was held is older, the next update follows it."""
        self.held_dropped += len(self._held)
        self._held.clear()
        self.synced = True
        self._follow(snapshot_id, fresh=False)

    def lose(self) -> None:
        """Stop following: hold updates until the next snapshot."""
        self.synced = False
        self._chain[:] = -1, 0
        self.held_dropped += len(self._held)
        self._held.clear()

    def _hold(self, depth: Depth) -> None:
        """Keep an update; what is held is always an unbroken chain, so a break starts it anew."""
        held = self._held
        if held and not self._chained(held[-1].last_id, depth):
            self.held_dropped += len(held)
            held.clear()
        if len(held) >= HELD_MAX:
            held.popleft()
            self.held_dropped += 1
        held.append(depth)

    def _follows(self, depth: Depth) -> bool:
        if self._fresh:
            return not self._is_old(depth, self.last_id) and self._starts(depth, self.last_id)
        return self._chained(self.last_id, depth)

    @staticmethod
    def _chained(last_id: int, depth: Depth) -> bool:
        if depth.prev_id >= 0:
            return depth.prev_id == last_id
        return depth.first_id <= last_id + 1 <= depth.last_id

    @staticmethod
    def _is_old(depth: Depth, snapshot_id: int) -> bool:
        return depth.last_id < snapshot_id if depth.prev_id >= 0 else depth.last_id <= snapshot_id

    @staticmethod
    def _starts(depth: Depth, snapshot_id: int) -> bool:
        return depth.prev_id <= snapshot_id if depth.prev_id >= 0 else depth.first_id <= snapshot_id + 1
