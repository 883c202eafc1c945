"""USD-M's user data stream, which has a connection of its own and lives and ends with its session.

Reports come by it alone, so a session without it is none: either one's end is the other's, and what was
missed between is in the snapshot that the next connection begins with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from daemon.errors import FrameError
from daemon.redact import redact
from daemon.venues.binance_session import Owner, Session
from daemon.venues.binance_usdm_wire import AccountEvent, AlgoEvent, ExpiredEvent, MarginEvent, OrderEvent

if TYPE_CHECKING:
    from daemon.events import Funding
    from daemon.seams import Clock, Wire
    from daemon.venues.binance_usdm_frames import UsdmFrames


class StreamOwner(Owner, Protocol):
    """Who hears of a stream: the venue."""

    def on_funding(self, funding: Funding) -> None:
        """Take what open positions cost or brought by themselves."""

    def on_margin_call(self, text: str, wire_ns: int) -> None:
        """Learn that positions are near their liquidation."""


class UsdmSession(Session):
    """A connection to the WebSocket API, and the user data stream beside it."""

    stream: UserStream | None = None

    def close(self, reason: str) -> None:
        """Begin to end both connections."""
        super().close(reason)
        if self.stream is not None:
            self.stream.close()

    def on_close(self, reason: str) -> None:
        """End: whatever is unanswered is unknown."""
        super().on_close(reason)
        if self.stream is not None:
            self.stream.close()


class UserStream:
    """The connection by which orders are told of."""

    def __init__(self, session: UsdmSession, owner: StreamOwner, frames: UsdmFrames, clock: Clock) -> None:
        self._session = session
        self._owner = owner
        self._frames = frames
        self._clock = clock
        self._wire: Wire | None = None

    def begin(self, wire: Wire) -> None:
        """Listen on `wire` from now on."""
        self._wire = wire

    def close(self) -> None:
        """Begin to end the connection."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def on_close(self, reason: str) -> None:
        """Take the session along."""
        self._wire = None
        self._session.close(f"the user data stream ended: {reason}")

    def on_frame(self, payload: bytes, last: bool) -> None:  # noqa: ARG002 - orders are not decided by frames
        """Take one event."""
        wire_ns = self._clock.now_ns()
        self._session.owed_ns = 0
        try:
            event = self._frames.event(payload)
            report = None
            if isinstance(event, OrderEvent):
                update = event.o
                # often it says only what an answer has said already
                if self._owner.knows(update.x, update.c, self._frames.update_lots(update), update.t):
                    return
                report = self._frames.update(update, wire_ns)
            elif isinstance(event, AlgoEvent):
                report = self._frames.algo_update(event, wire_ns)
            elif isinstance(event, AccountEvent):
                for funding in self._frames.funding(event, wire_ns):
                    self._owner.on_funding(funding)
            elif isinstance(event, MarginEvent):
                if text := self._frames.margin_call(event):
                    self._owner.on_margin_call(text, wire_ns)
            elif isinstance(event, ExpiredEvent):
                self._session.close("the user data stream's key ended")
        except FrameError as error:
            self._owner.on_frame_error(error)
            if error.reason != "event":
                # it may have been a fill: only a new connection and a snapshot tell
                self._session.close(f"an event could not be read: {redact(str(error))}")
            return
        if report is not None:
            self._owner.on_report(report)
