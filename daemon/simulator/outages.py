"""What faults do to whole connections and to the exchange itself: each kind begins, and most end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from random import Random

    from daemon.seams import Clock, Scheduler
    from daemon.simulator.fault import Fault
    from daemon.simulator.faults import Entry
    from daemon.simulator.gateway import AnySession, Gateway
    from daemon.simulator.streams import Outbox

#: how a websocket is closed whose TCP connection is cut: a code that no close frame bears
CUT: Final = 1006
GOING_AWAY: Final = 1001
#: between two cuts of a storm
BEAT_S: Final = 1.0


class Silent:
    """The writing side of a connection that says nothing any more; pings and pongs go past it."""

    def __init__(self, line: Outbox) -> None:
        self.line = line

    def send(self, payload: bytes) -> None:
        """Say nothing."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        self.line.close(code, reason)


class SteppedClock:
    """A clock that differs from another by so much."""

    def __init__(self, clock: Clock, ahead_ns: int) -> None:
        self._clock = clock
        self._ahead_ns = ahead_ns

    def now_ns(self) -> int:
        """Return UTC nanoseconds as this clock has them."""
        return self._clock.now_ns() + self._ahead_ns

    def mono_ns(self) -> int:
        """Return monotonic nanoseconds."""
        return self._clock.mono_ns()

    def resync(self) -> int:
        """Take over what the other one has; return its step."""
        return self._clock.resync()


class Outages:
    """Begins and ends what faults do to connections, clocks and symbols of all gateways."""

    def __init__(
        self, gateways: Mapping[str, Gateway], clock: Clock, scheduler: Scheduler, random: Random
    ) -> None:
        self._gateways = gateways
        self._clock = clock
        self._scheduler = scheduler
        self._random = random

    def begin(self, entry: Entry) -> None:
        """Do what a fault does when it begins; `entry.undo` collects what ends with it."""
        begin: dict[str, Callable[[Entry], None]] = {
            "stall": self._stall,
            "disconnect": self._cut,
            "storm": self._storm,
            "server_shutdown": self._shut_down,
            "maintenance": self._close_all,
        }
        begin.get(entry.fault.kind, _nothing)(entry)

    def settle(self, live: Iterable[Entry]) -> None:
        """Give clocks and symbols what the faults in force make of them."""
        faults = [entry.fault for entry in live]
        for name, gateway in self._gateways.items():
            mine = [fault for fault in faults if fault.market in ("", name)]
            ahead_s = sum(fault.delay_s for fault in mine if fault.kind == "clock_step")
            gateway.exchange.clock = (
                SteppedClock(self._clock, round(ahead_s * 1e9)) if ahead_s else self._clock
            )
            for market in gateway.exchange.markets.values():
                broken = any(
                    fault.kind == "maintenance"
                    or (fault.kind == "break" and fault.symbol in ("", market.symbol.name))
                    for fault in mine
                )
                market.symbol.status = "BREAK" if broken else "TRADING"

    # --- connections ---
    def _sessions(self, fault: Fault) -> Iterator[AnySession]:
        """Yield the open connections that a fault concerns, its share of them."""
        for name, gateway in self._gateways.items():
            if fault.market not in ("", name):
                continue
            groups: dict[str, Iterable[AnySession]] = {
                "market": gateway.hub.sessions,
                "api": gateway.api_sessions,
                "user": gateway.user_sessions,
            }
            for of, sessions in groups.items():
                if fault.of in ("", of):
                    for session in list(sessions):
                        if fault.share >= 1 or self._random.random() < fault.share:
                            yield session

    def _stall(self, entry: Entry) -> None:
        for session in self._sessions(entry.fault):
            entry.struck += 1
            session.outbox = Silent(session.outbox)
            entry.undo.append(partial(_speak, session))

    def _cut(self, entry: Entry) -> None:
        for session in self._sessions(entry.fault):
            entry.struck += 1
            session.outbox.close(entry.fault.code or CUT, "")

    def _storm(self, entry: Entry) -> None:
        """Cut what is connected, and again after each beat what has come since."""
        self._cut(entry)
        beat_ns = round((entry.fault.delay_s or BEAT_S) * 1e9)
        timer = self._scheduler.call_at(self._clock.now_ns() + beat_ns, partial(self._storm, entry))
        entry.undo = [timer.cancel]

    def _shut_down(self, entry: Entry) -> None:
        """Announce the end on every connection, and close those that heard of it."""
        heard = list(self._sessions(entry.fault))
        entry.struck += len(heard)
        for name, gateway in self._gateways.items():
            if entry.fault.market in ("", name):
                gateway.announce_shutdown(heard)
        when_ns = self._clock.now_ns() + round(entry.fault.delay_s * 1e9)
        self._scheduler.call_at(when_ns, partial(_close, heard))

    def _close_all(self, entry: Entry) -> None:
        sessions = list(self._sessions(entry.fault))
        entry.struck += len(sessions)
        _close(sessions)


def _nothing(_: Entry) -> None:
    """Most kinds only wait for what they can strike."""


def _speak(session: AnySession) -> None:
    if isinstance(session.outbox, Silent):
        session.outbox = session.outbox.line


def _close(sessions: list[AnySession]) -> None:
    for session in sessions:
        session.outbox.close(GOING_AWAY, "")
