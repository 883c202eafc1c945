"""How long the loop may have been stuck before it read a frame, which the frame's own stamp cannot say.

A frame is stamped when it is read. What waited in a socket's buffer while the loop was busy elsewhere (a long
callback, a core taken away) looks fresh then, and is as old as that. So a timer beats, and what matters is
one number: the last moment up to which everything readable had been read. What is read now is at most as old
as that moment. An idle loop moves it at every beat; a stuck one cannot, whether frames are then read before
the late beat or after it.

    age of a tick = now - wire_ns + before_ns(wire_ns)

What an idle loop's beats may lack (a period and a timer's own lateness) is not counted, so the estimate may
be too low by a tenth of the limit and 2 ms. It is asked for only once a decision wants something; a tick pays
nothing for it. How late each beat was is counted, for whoever asks what the loop was like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from daemon.entry import bound
from daemon.latency import stage_latency
from kernels import stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from daemon.seams import Clock, Scheduler, Timer
    from daemon.status import StageLatency

#: beats within the limit; between 1 ms, below which timers of the loop do not go, and 50 ms
_PERIODS: Final = 10
_PERIOD_NS_MIN: Final = 1_000_000
_PERIOD_NS_MAX: Final = 50_000_000
#: a timer of an idle loop is at most so late: uvloop counts milliseconds
_GRACE_NS: Final = 2_000_000
#: after a late beat: one to get in front of a poll, one behind it
_TRIPS: Final = 2
_NEVER_NS: Final = 1 << 62


class Pulse:
    """The pulse of a loop that is never stuck: virtual time, a replay."""

    def before_ns(self, at_ns: int) -> int:  # noqa: ARG002 - it never was
        """Return how long the loop had been stuck when it read something at `at_ns`."""
        return 0


class Heartbeat(Pulse):
    """The pulse of a real loop, once it was started."""

    def __init__(self, clock: Clock, scheduler: Scheduler, limit_ns: int) -> None:
        """Wire it; limit_ns: the age that matters, which says how fine it measures."""
        self._now = clock.now_ns
        self._scheduler = scheduler
        self._period_ns = min(max(limit_ns // _PERIODS, _PERIOD_NS_MIN), _PERIOD_NS_MAX)
        self._slack_ns = self._period_ns + _GRACE_NS
        self._read_ns = _NEVER_NS  # everything readable until then was read
        self._due_ns = 0
        self._trips = 0  # left of a late beat's
        self._timer: Timer | None = None
        self._lags: NDArray[np.int64] = np.zeros(stats.HISTOGRAM_SIZE, dtype=np.int64)
        self._observe: Callable[..., Any] = stats.observe

    def start(self) -> None:
        """Beat from now on."""
        self._observe = bound(stats.observe)  # by now it is warm
        now_ns = self._now()
        self._read_ns = now_ns
        self._arm(now_ns + self._period_ns)

    def stop(self) -> None:
        """Beat no more; harmless twice, and before a start."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def before_ns(self, at_ns: int) -> int:
        """Return how long the loop had been stuck when it read something at `at_ns`."""
        return max(0, at_ns - self._read_ns - self._slack_ns)

    def lags(self) -> StageLatency:
        """Return by how much beats came too late; an idle loop's by less than 2 ms."""
        return stage_latency("loop lag", self._lags)

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew, which is no time that passed."""
        if self._timer is not None:
            self._timer.cancel()
            self._read_ns += step_ns
            self._arm(self._due_ns + step_ns)

    def _beat(self) -> None:
        """Learn how late it is.

        After a late beat what came meanwhile may still wait for the next poll. Calls that are due at once run
        once a round of the loop: the first may come before that poll, and the one behind it says that what
        was readable at the first has been read. So it goes on while rounds are long, as in a flood.
        """
        now_ns, asked_ns = self._now(), self._due_ns
        late = now_ns - asked_ns > _GRACE_NS
        if not self._trips:  # the trips behind a late beat wait for nothing
            self._observe(self._lags, max(0, now_ns - asked_ns))
        if self._trips == 1:
            self._read_ns = asked_ns
        if self._trips:
            self._trips = max(self._trips - 1, int(late))
        elif late:
            self._trips = _TRIPS
        if self._trips:
            self._arm(now_ns)
        else:
            self._read_ns = now_ns
            self._arm(now_ns + self._period_ns)

    def _arm(self, due_ns: int) -> None:
        self._due_ns = due_ns
        self._timer = self._scheduler.call_at(due_ns, self._beat)


#: one for all who have none of their own
STEADY: Final = Pulse()
