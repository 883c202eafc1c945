"""The daemon as a systemd service: when it is up, how it is, and that it is alive.

    READY=1      once it trades, warms up or is HALTED; a start that waits for its exchange asks for more time
    STATUS=      what `systemctl status` shows: mode, state, the feed's age, positions, p99 of tick to order
    WATCHDOG=1   from then on, unless the loop is late or nobody has looked after the feed for too long
    RELOADING=1  on SIGHUP, until all that can change has changed
    STOPPING=1   once it ends

A silent feed is no reason to be restarted: its connections are made anew by who looks after them, and each
attempt counts. What the watchdog is for is a loop that is stuck, and a supervisor that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from daemon.seams import Clock, Notices, Scheduler, Timer
    from daemon.status import DaemonState, Status

_SECOND_NS: Final = 1_000_000_000
#: beats within the watchdog's limit, at least; and of that limit, how late one may be
_BEATS: Final = 4
_LATE: Final = 10
#: beats between two status lines, for a snapshot of 500 instruments takes two milliseconds
_STATUS_BEATS: Final = 5
#: a start that goes on asks for so much more time at every beat
_MORE_US: Final = 60_000_000
_STATUS_CHARS_MAX: Final = 500
_POSITIONS_MAX: Final = 3
_BEFORE: Final = frozenset({"STARTING", "RECOVERING"})
_AFTER: Final = frozenset({"DRAINING", "STOPPED"})


class Served(NamedTuple):
    """What is asked of the daemon. status: only between its start and its end."""

    state: Callable[[], DaemonState]
    status: Callable[[], Status]
    acted_ns: Callable[[], int]  # when the feed was last looked after, by the monotonic clock
    reload: Callable[[], str]  # take the configuration anew; return what became of it, in one sentence


class SystemdFace:
    """Tells one service manager of one daemon, by timers of the loop that it vouches for."""

    def __init__(
        self,
        served: Served,
        notices: Notices,
        clock: Clock,
        scheduler: Scheduler,
        log: FilteringBoundLogger,
        *,
        watchdog_ns: int,
        idle_ns_max: int,
    ) -> None:
        """Wire it; watchdog_ns: 0 for a manager that expects no sign of life."""
        self._served = served
        self._send = notices.send
        self._clock = clock
        self._scheduler = scheduler
        self._log = log
        self._watchdog_ns = watchdog_ns
        self._idle_ns_max = idle_ns_max
        self._period_ns = min(_SECOND_NS, watchdog_ns // _BEATS) if watchdog_ns else _SECOND_NS
        self._late_ns_max = watchdog_ns // _LATE
        self._due_ns = 0  # of the next beat, monotonic
        self._beats = 0
        self._ready = self._stopping = False  # whether it was told
        self._begun_ns = 0  # when it was first vouched for
        self._withheld = ""  # why there was no sign of life at the last beat
        self._timer: Timer | None = None

    def start(self) -> None:
        """Tell from now on."""
        self._due_ns = self._clock.mono_ns()
        self._beat()

    def stop(self) -> None:
        """Tell that it ends, and then nothing more; harmless twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end()

    def reload(self) -> None:
        """Take the configuration anew, and tell what became of it."""
        if not self._ready or self._stopping:
            self._log.warning("reload", text="the configuration is not taken anew: it starts, or it ends")
            return
        self._send(f"RELOADING=1\nMONOTONIC_USEC={self._clock.mono_ns() // 1000}")
        said = self._served.reload()
        self._log.warning("reload", text=said)
        # told again until it is taken: a manager that waits for it would wait for ever
        self._ready = self._send(f"READY=1\nSTATUS={_line(said)}")

    def _beat(self) -> None:
        now_ns, state = self._clock.mono_ns(), self._served.state()
        late_ns = now_ns - self._due_ns
        if state in _AFTER:
            self._end()
        elif state in _BEFORE:
            self._send(f"EXTEND_TIMEOUT_USEC={_MORE_US}\nSTATUS={state.lower()}")
        elif not self._ready:
            self._ready = self._send(f"READY=1\nSTATUS={status_line(self._served.status())}")
        elif self._beats % _STATUS_BEATS == 0:
            self._send(f"STATUS={status_line(self._served.status())}")
        if self._watchdog_ns and self._ready:  # before that a sign would begin the watch, and it may compile
            self._vouch(state, now_ns, late_ns)
        self._beats += 1
        self._due_ns = now_ns + self._period_ns
        self._timer = self._scheduler.call_at(self._clock.now_ns() + self._period_ns, self._beat)

    def _vouch(self, state: DaemonState, now_ns: int, late_ns: int) -> None:
        """Give a sign of life, or say once why there is none."""
        self._begun_ns = self._begun_ns or now_ns
        why = ""
        if state in _AFTER:  # it waits for the venue and the disk, each for so long at most
            pass
        elif late_ns > self._late_ns_max:
            why = f"the loop was {late_ns / 1e9:.1f} s late"
        elif now_ns - max(self._begun_ns, self._served.acted_ns()) > self._idle_ns_max:
            why = f"nobody has looked after the feed for {self._idle_ns_max / 1e9:.0f} s"
        if not why:
            self._send("WATCHDOG=1")
        elif why.split()[0:2] != self._withheld.split()[0:2]:  # numbers differ at every beat
            self._log.error("watchdog", text=f"no sign of life for the service manager: {why}")
        self._withheld = why

    def _end(self) -> None:
        if not self._stopping:
            self._stopping = self._send("STOPPING=1\nSTATUS=ending")


def status_line(status: Status) -> str:
    """Return a Status as one line: mode, state, age of the stalest feed, positions, p99 of tick to order."""
    state = f"{status.state} ({status.reason})" if status.reason else status.state
    ages = [one.feed_age_s for one in status.instruments if one.feed_age_s is not None]
    held = [f"{one.symbol} {one.position:g}" for one in status.instruments if one.position]
    if len(held) > _POSITIONS_MAX:
        held[_POSITIONS_MAX:] = [f"and {len(held) - _POSITIONS_MAX} more"]
    p99_s = next((one.p99_s for one in status.latency if one.stage == "order"), None)
    parts = [
        f"{status.mode} {state}",
        f"feed {max(ages):.1f} s old" if ages else "no feed yet",
        ", ".join(held) if held else "flat",
    ]
    if p99_s is not None:
        parts.append(f"tick to order p99 {p99_s * 1e6:.0f} us")
    return _line("; ".join(parts))


def _line(text: str) -> str:
    """Return a text that is one field of a notice: no line break ends it, and nothing secret is in it."""
    return redact(" ".join(text.split()))[:_STATUS_CHARS_MAX]
