"""One connection to Binance's WebSocket API: what was asked on it, and what its frames answer.

A request is remembered by its id until it is answered. What Binance itself calls unknown (5xx, -1006, -1007
and their like), an answer that cannot be read, and whatever is unanswered when the connection ends become
TIMEOUT reports: they say nothing about the order, which must be queried. Only a definite refusal is REJECTED.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from daemon.errors import FrameError, NetError, VenueError
from daemon.events import NOT_SENT
from daemon.orders.order import State
from daemon.redact import redact
from daemon.venues.base import refusal_report
from daemon.venues.binance_requests import request
from daemon.venues.binance_wire import (
    UNKNOWN_OUTCOMES,
    ErrorBody,
    ExecutionEvent,
    ShutdownEvent,
    TerminatedEvent,
)
from daemon.wire import failed_there

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.events import ExecutionReport, ReportKind
    from daemon.orders.order import Order
    from daemon.seams import Clock, Wire
    from daemon.venues.binance_frames import OrderFrames
    from daemon.venues.binance_wire import Message, RateLimit, ReplacedRow
    from daemon.venues.signing import Signer

# --- what a request asks -----------------------------------------------------------------------------------
PLACE: Final = 1
CANCEL: Final = 2
AMEND: Final = 3
QUERY: Final = 4
TRADES: Final = 5  # the second half of a query, where trades were missing
TIME: Final = 6
CALL: Final = 7  # awaited by a coroutine
REPLACE: Final = 8  # a CANCEL and a PLACE in one

#: the report that a definite refusal becomes
REFUSALS: Final[dict[int, ReportKind]] = {
    PLACE: "REJECTED",
    CANCEL: "CANCEL_REJECTED",
    AMEND: "AMEND_REJECTED",
    QUERY: "TIMEOUT",
    TRADES: "TIMEOUT",
}
_OK: Final = 200
_BAD_REQUEST: Final = 400
_NO_SUCH_ORDER: Final = -2013
_NEW_ORDER_REJECTED: Final = -2010
_DUPLICATE_ID: Final = -4116  # of futures
_INVALID_TIMESTAMP: Final = -1021
#: a cancelReplace of which a half, or neither, was done: its data says which
_REPLACE_FAILED: Final = frozenset({-2021, -2022})
#: the limits of answers are read so often, since each order's answer tells them: between, we count ourselves
_LIMITS_NS: Final = 10_000_000
#: answered requests are forgotten at once, unanswered ones when there are more than this
_ASKED_MAX: Final = 4096


class Asked(msgspec.Struct, gc=False):
    """A request on its way."""

    verb: int
    order: Order | None
    sent_ns: int
    told: bool = False  # its timeout was reported
    answer: asyncio.Future[Message] | None = None
    status: ExecutionReport | None = None  # of TRADES: what the query said
    old: Order | None = None  # of REPLACE: what is cancelled


class Owner(Protocol):
    """Who hears of a session: the venue."""

    def on_report(self, report: ExecutionReport) -> None:
        """Take an order message."""

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether an event says only what is known already."""

    def on_time(self, sent_ns: int, server_ns: int, received_ns: int) -> None:
        """Take a measurement of the exchange's clock."""

    def on_limits(self, limits: list[RateLimit]) -> None:
        """Take the rate limits of an answer."""

    def on_limited(self, status: int, until_ms: int) -> None:
        """Take a 429 or 418; until_ms 0: it names no time."""

    def on_clock_refused(self) -> None:
        """Take a -1021: the estimate of the exchange's clock is wrong."""

    def on_trades_missing(self, session: Session, status: ExecutionReport, order: Order) -> None:
        """Learn that a queried order has trades we have not seen."""

    def on_frame_error(self, error: FrameError) -> None:
        """Count a frame that could not be read."""

    def on_ending(self, session: Session, reason: str) -> None:
        """Learn that the connection will end soon: it needs a successor."""

    def on_closed(self, session: Session, reason: str) -> None:
        """Learn that the connection is gone."""


class Session:
    """A connection, from its handshake to its end."""

    def __init__(self, owner: Owner, frames: OrderFrames, clock: Clock) -> None:
        self.opened_ns = clock.mono_ns()
        self.asked: dict[int, Asked] = {}
        self.owed_ns = 0  # since when the user data stream owes a word on what an answer told; 0: it does not
        self.closed_reason = ""
        self._owner = owner
        self._frames = frames
        self._clock = clock
        self._wire: Wire | None = None
        self._limits_due_ns = 0

    # --- out ------------------------------------------------------------------------------------------------
    def begin(self, wire: Wire) -> None:
        """Send on `wire` from now on."""
        self._wire = wire

    def ask(self, request_id: int, asked: Asked, payload: bytes) -> None:
        """Send a request; raises NetError, and then it was not sent."""
        wire = self._wire
        if wire is None:
            raise NetError(self.closed_reason or "the connection is not open yet")
        self.asked[request_id] = asked
        try:
            wire.send(payload)
        except NetError:
            del self.asked[request_id]
            raise

    def knock(self, request_id: int, asked: Asked, payload: bytes) -> None:
        """Send a request whose answer shows that somebody is there: one that cannot leave has no answer."""
        try:
            self.ask(request_id, asked, payload)
        except NetError:  # the connection is ending, or nobody reads at its other end
            self.asked[request_id] = asked

    async def call(
        self,
        request_id: int,
        method: str,
        params: Mapping[str, str | int | bool],
        signer: Signer | None,
    ) -> msgspec.Raw:
        """Make a request, return its result; raises VenueError when refused, NetError on a cut line."""
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        asked = Asked(CALL, None, self._clock.now_ns(), answer=answer)
        self.ask(request_id, asked, request(request_id, method, params, signer))
        try:
            message = await answer
        finally:
            self.asked.pop(request_id, None)
        if message.error is not None:
            error = message.error
            text = f"{method} was refused: {redact(error.msg)} (code {error.code})"
            raise VenueError(error.code, text)
        return message.result

    def close(self, reason: str) -> None:
        """Begin to end the connection."""
        self.closed_reason = self.closed_reason or reason
        if self._wire is not None:
            self._wire.close()

    def tell_overdue(self, before_ns: int) -> bool:
        """Report what was asked before `before_ns` and is unanswered; forget the oldest of too many.

        Return whether the exchange owes its time since then: nobody is there.
        """
        silent = False
        for asked in list(self.asked.values()):
            if asked.sent_ns >= before_ns:
                break  # they are in the order of asking
            silent |= asked.verb == TIME
            if not asked.told:
                asked.told = True
                self._unknown(asked, "not answered in time")
        while len(self.asked) > _ASKED_MAX:
            del self.asked[next(iter(self.asked))]
        return silent

    def is_mute(self, before_ns: int) -> bool:
        """Whether an order that was accepted or cancelled before then was told of by the answer alone.

        Any event is a word: a stream that loses single ones is the meetings' to find.
        """
        return 0 < self.owed_ns < before_ns

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew: nothing is more or less overdue for it."""
        for asked in self.asked.values():
            asked.sent_ns += step_ns
        if self.owed_ns:
            self.owed_ns += step_ns

    # --- in -------------------------------------------------------------------------------------------------
    def on_close(self, reason: str) -> None:
        """End: whatever is unanswered is unknown."""
        self._wire = None
        self.closed_reason = self.closed_reason or reason
        unanswered = list(self.asked.values())
        self.asked.clear()
        self._owner.on_closed(self, self.closed_reason)
        for asked in unanswered:
            if asked.answer is not None and not asked.answer.done():
                asked.answer.set_exception(NetError(f"the connection ended: {self.closed_reason}"))
            elif not asked.told:
                self._unknown(asked, f"the connection ended: {self.closed_reason}")

    def on_frame(self, payload: bytes, last: bool) -> None:  # noqa: ARG002 - orders are not decided by frames
        """Take one frame."""
        wire_ns = self._clock.now_ns()
        try:
            message = self._frames.message(payload)
            event = message.event
            if type(event) is ExecutionEvent:
                self.owed_ns = 0
                # often it says only what an answer has said already
                if self._owner.knows(event.x, event.c, self._frames.cum_lots(event), event.t):
                    return
                report = self._frames.execution(event, wire_ns)
                if report is not None:
                    self._owner.on_report(report)
                return
        except FrameError as error:
            self._owner.on_frame_error(error)
            if error.reason != "event":
                # it may have been a fill: only a new connection and a snapshot tell
                self.close(f"a message could not be read: {redact(str(error))}")
            return
        if event is not None:
            self._on_event(event)
        else:
            self._on_answer(message, wire_ns)

    def _on_event(self, event: object) -> None:
        if isinstance(event, ShutdownEvent):
            self._owner.on_ending(self, "the server is about to shut down")
        elif isinstance(event, TerminatedEvent):
            self.close("the user data stream ended")

    def _on_answer(self, message: Message, wire_ns: int) -> None:
        # both bounds, since a clock may be set back
        if not 0 < self._limits_due_ns - wire_ns <= _LIMITS_NS or message.status != _OK:
            self._take_limits(message.rateLimits, wire_ns)
        if message.error is not None and message.status in {418, 429}:
            data = message.error.data
            self._owner.on_limited(message.status, data.retryAfter if data is not None else 0)
        asked = self.asked.pop(message.id, None) if isinstance(message.id, int) else None
        if asked is None:
            if (
                message.id is None
            ):  # so it answers an error to something it could not read, or ends the session
                self.close(f"the venue ended the session with status {message.status}")
            return
        if asked.answer is not None:
            if not asked.answer.done():
                asked.answer.set_result(message)
            return
        if message.error is not None:
            if message.error.code == _INVALID_TIMESTAMP:
                self._owner.on_clock_refused()
            if asked.old is None:
                self._on_refusal(asked.verb, asked.order, message.status, message.error, wire_ns)
            else:
                self._on_failed_replace(asked, message.status, message.error, wire_ns)
            return
        try:
            self._on_result(asked, message.result, wire_ns)
        except FrameError as error:
            self._owner.on_frame_error(error)
            self._unknown(asked, f"the answer could not be read: {redact(str(error))}")

    def _take_limits(self, raw: msgspec.Raw, wire_ns: int) -> None:
        self._limits_due_ns = wire_ns + _LIMITS_NS
        if bytes(raw):
            try:
                self._owner.on_limits(self._frames.limits(raw))
            except FrameError as error:
                self._owner.on_frame_error(error)

    def _on_result(self, asked: Asked, result: msgspec.Raw, wire_ns: int) -> None:
        frames, order = self._frames, asked.order
        if order is None:
            self._owner.on_time(asked.sent_ns, frames.server_time(result), wire_ns)
        elif asked.verb == PLACE:
            if order.state is State.PENDING_NEW:
                self.owed_ns = self.owed_ns or wire_ns
            for report in frames.placed(result, order, wire_ns):
                self._owner.on_report(report)
        elif asked.verb == CANCEL:
            if order.state is State.PENDING_CANCEL:
                self.owed_ns = self.owed_ns or wire_ns
            self._owner.on_report(frames.canceled(result, order, wire_ns))
        elif asked.verb == AMEND:
            self._owner.on_report(frames.amended(result, order, wire_ns))
        elif asked.old is not None:
            self._on_replaced(asked, frames.replaced(result), wire_ns)
        elif asked.verb == QUERY:
            status = frames.status(result, order, wire_ns)
            if status.cum_lots > order.filled_lots:
                self._owner.on_trades_missing(self, status, order)
            else:
                self._owner.on_report(status)
        else:
            self._on_trades(asked, order, result, wire_ns)

    def _on_trades(self, asked: Asked, order: Order, result: msgspec.Raw, wire_ns: int) -> None:
        """Report the trades of a queried order, and then what the query said."""
        cum_lots = 0
        for row in self._frames.trades(result):
            report = self._frames.trade(row, order.instrument, order.client_order_id, wire_ns)
            cum_lots += report.last_lots
            self._owner.on_report(msgspec.structs.replace(report, cum_lots=cum_lots))
        assert asked.status is not None, "trades are asked for after a status"
        self._owner.on_report(asked.status)

    def _on_replaced(self, asked: Asked, row: ReplacedRow, wire_ns: int, code: int = 0) -> None:
        """Report on either half of a replacement, the cancel first; each is an answer by itself."""
        for verb, order, result, body in (
            (CANCEL, asked.old, row.cancelResult, row.cancelResponse),
            (PLACE, asked.order, row.newOrderResult, row.newOrderResponse),
        ):
            half = Asked(verb, order, asked.sent_ns)
            try:
                if result == "SUCCESS":
                    self._on_result(half, body, wire_ns)
                elif result == "FAILURE":
                    self._on_refusal(verb, order, _BAD_REQUEST, self._frames.error(body), wire_ns)
                elif result == "NOT_ATTEMPTED":
                    error = ErrorBody(code, f"{NOT_SENT}: the order before it was not cancelled")
                    self._on_refusal(verb, order, _BAD_REQUEST, error, wire_ns)
                else:
                    self._unknown(half, "the answer does not tell")
            except FrameError as error:
                self._owner.on_frame_error(error)
                self._unknown(half, f"the answer could not be read: {redact(str(error))}")

    def _on_failed_replace(self, asked: Asked, status: int, error: ErrorBody, wire_ns: int) -> None:
        """Report a replacement that was done in part, or refused before either half was tried."""
        if error.data is not None and error.data.newOrderResult:
            self._on_replaced(asked, error.data, wire_ns, error.code)
        elif error.code in _REPLACE_FAILED:
            self._unknown(asked, "the answer does not tell")
        else:
            self._on_refusal(CANCEL, asked.old, status, error, wire_ns)
            self._on_refusal(PLACE, asked.order, status, error, wire_ns)

    def _on_refusal(
        self, verb: int, order: Order | None, status: int, error: ErrorBody, wire_ns: int
    ) -> None:
        if order is None:
            return
        kind = REFUSALS[verb]
        if failed_there(status) or error.code in UNKNOWN_OUTCOMES:
            kind = "TIMEOUT"
        elif verb == QUERY and error.code == _NO_SUCH_ORDER:
            kind = "NOT_FOUND"
        elif verb == PLACE and _is_taken(error):
            kind = "TIMEOUT"  # an order of this id is there, and ids are never used twice: it is this one
        self._owner.on_report(refusal_report(order, kind, redact(error.msg), wire_ns, error.code))

    def _unknown(self, asked: Asked, reason: str) -> None:
        for order in (asked.old, asked.order):
            if order is not None:
                self._owner.on_report(refusal_report(order, "TIMEOUT", reason, self._clock.now_ns()))


def _is_taken(error: ErrorBody) -> bool:
    """Whether an order was refused since another bears its id."""
    if error.code == _NEW_ORDER_REJECTED:
        return "duplicate" in error.msg.lower()
    return error.code == _DUPLICATE_ID
