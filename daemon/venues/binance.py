"""The live venue: Binance Spot's WebSocket API.

One connection carries requests, answers and the user data stream. It is replaced before its 24 hours are over
and when the server says that it shuts down, the new one being up before the old one goes; it is given up when
the exchange's clock, asked every few seconds, is not told. After a loss the connection is made again with a
growing, jittered delay, for as long as it takes; nothing that was asked on the old one is asked again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from daemon.errors import FrameError, NetError, VenueError
from daemon.events import NOT_SENT, VenueStatus
from daemon.pause import Backoff, connect_later, pause, within
from daemon.venues.base import refusal_report
from daemon.venues.binance_address import AddressBudget
from daemon.venues.binance_limits import BACKOFF_MS, Budget
from daemon.venues.binance_protocol import SPOT, Protocol
from daemon.venues.binance_requests import request
from daemon.venues.binance_rest import BACKOFF_S_FIRST
from daemon.venues.binance_session import AMEND, CANCEL, PLACE, QUERY, REFUSALS, TIME, TRADES, Asked
from daemon.venues.key_rights import KEY_REFUSED, refused
from daemon.venues.order_names import OrderNames
from daemon.venues.server_clock import ServerClock
from daemon.venues.signing import HmacSigner, check_encrypted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import msgspec

    from daemon.events import ExecutionReport, VenueSnapshot
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.seams import Seams, Timer, Wire
    from daemon.venues.base import VenueSink
    from daemon.venues.binance_session import Session
    from daemon.venues.binance_settings import BinanceSettings
    from daemon.venues.binance_wire import RateLimit
    from daemon.venues.signing import Signer

#: measurements of the exchange's clock before the first order
_TIMES: Final = 3
#: what the venue may say first of an order it has
_FIRST_WORDS: Final = frozenset({"NEW", "TRADE"})


class BinanceVenue:
    """A venue (daemon/venues/base.py) on Binance Spot."""

    name = "binance"
    can_amend = True
    can_replace = False
    protocol: Protocol = SPOT

    def __init__(
        self, instruments: Sequence[Instrument], signer: Signer, settings: BinanceSettings, seams: Seams
    ) -> None:
        for url in (settings.ws_url, settings.rest_url):
            check_encrypted(url)
        self.up = False
        self.budget = Budget()
        self.server = ServerClock(self.budget.clock_moved)
        #: connections lost, frames that could not be read by reason, orders that were not sent
        self.losses = 0
        self.frame_errors: dict[str, int] = {}
        self.unsent = 0
        self._listed = tuple(one for one in instruments if one.listed)  # it refuses to tell of others
        self._signer = signer
        self._settings = settings
        self.rest_url = settings.rest_url
        self._seams = seams
        self._clock = seams.clock
        self._now = seams.clock.now_ns
        protocol = self.protocol
        self._weights = protocol.weights
        self._frames = protocol.frames(instruments)
        in_session = signer if isinstance(signer, HmacSigner) else None
        self._requests = protocol.requests(instruments, in_session, settings.recv_window_ms)
        self.rest = protocol.rest(
            settings.rest_url,
            signer,
            settings.recv_window_ms,
            seams,
            self._frames,
            self.budget,
            self.server,
            self.on_frame_error,
        )
        self.address = AddressBudget(self.budget, self.server, seams.clock, self.rest.weight_book)
        self._sink: VenueSink | None = None
        self._session: Session | None = None
        self._ending: asyncio.Event = asyncio.Event()
        self._request_id = 0
        self._names = OrderNames()
        self._supervisor: asyncio.Task[None] | None = None
        self._beat: Timer | None = None

    def attach(self, wire: Wire, sink: VenueSink) -> Session:
        """Be up on a wire that is there, with no supervisor: for a rehearsal or a measurement."""
        self._sink, self.up = sink, True
        self._session = session = self.protocol.session(self, self._frames, self._clock)
        session.begin(wire)
        return session

    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of our clock: requests go on carrying the exchange's time."""
        self.server.clock_stepped(step_ns)
        if self._session is not None:
            self._session.clock_stepped(step_ns)

    # --- orders ---------------------------------------------------------------------------------------------
    def is_short(self) -> bool:
        """Whether its limits leave room for little more than cancels and queries."""
        return self.budget.is_short(self.server.time_ms(self._now()))

    def place(self, order: Order) -> None:
        """Send a new order."""
        self._ask(PLACE, order, self._requests.place)

    def cancel(self, order: Order) -> None:
        """Ask for its cancellation."""
        self._ask(CANCEL, order, self._requests.cancel)

    def amend(self, order: Order, qty_lots: int) -> None:
        """Lower its whole quantity, what was filled included, to `qty_lots`, keeping its priority."""
        self._ask(AMEND, order, self._requests.amend, qty_lots)

    def query(self, order: Order) -> None:
        """Ask what became of it; trades we have not seen are asked for too, and told before the status."""
        self._ask(QUERY, order, self._requests.query)

    def _ask(self, verb: int, order: Order, encode: Callable[..., bytes], *more: int) -> None:
        """Send `encode(number, order, *more, time)` now, or report that it was not sent."""
        now_ns = self._now()
        session = self._session
        if session is None:
            self._refuse(verb, order, "the venue is down", now_ns)
            return
        time_ms = self.server.time_ms(now_ns)
        budget, weight = self.budget, self._weights[verb]
        if verb == PLACE:
            refusal = budget.take_order(time_ms, weight, reduces=order.reduces)
        else:
            refusal = budget.take(time_ms, weight)
        if refusal:
            self._refuse(verb, order, refusal, now_ns)
            return
        self._request_id = number = self._request_id + 1
        try:
            session.ask(number, Asked(verb, order, now_ns), encode(number, order, *more, time_ms))
        except NetError as error:
            self._refuse(verb, order, str(error), now_ns)

    def _refuse(self, verb: int, order: Order, reason: str, now_ns: int) -> None:
        """Report what certainly did not leave, on the loop's next turn: who asked is not done with it yet."""
        self.unsent += 1
        kind, reason = REFUSALS[verb], f"{NOT_SENT}: {reason}"
        self._seams.scheduler.call_at(
            now_ns, lambda: self.on_report(refusal_report(order, kind, reason, self._now()))
        )

    # --- the session's owner --------------------------------------------------------------------------------
    def on_report(self, report: ExecutionReport) -> None:
        """Hand an order message on, remembering whose order number it tells."""
        if report.venue_order_id and report.kind in _FIRST_WORDS:
            self._names.remember(report.instrument, report.venue_order_id, report.client_order_id)
        if self._sink is not None:
            self._sink.on_report(report)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether an event says only what is known already."""
        return self._sink is not None and self._sink.knows(kind, client_order_id, cum_lots, trade_id)

    def on_time(self, sent_ns: int, server_ns: int, received_ns: int) -> None:
        """Take a measurement of the exchange's clock."""
        self.server.measure(sent_ns, server_ns, received_ns)

    def on_limits(self, limits: list[RateLimit]) -> None:
        """Take the rate limits of an answer."""
        self.budget.learn(limits, self.server.time_ms(self._clock.now_ns()))

    def on_limited(self, status: int, until_ms: int) -> None:
        """Send nothing until then."""
        self.budget.block(status, self.server.time_ms(self._clock.now_ns()), until_ms)

    def on_clock_refused(self) -> None:
        """Measure the exchange's clock anew."""
        self.server.forget()
        if self._session is not None:
            self._ask_time(self._session)

    def on_trades_missing(self, session: Session, status: ExecutionReport, order: Order) -> None:
        """Ask for the trades of a queried order before its status is told."""
        now_ns = self._clock.now_ns()
        time_ms = self.server.time_ms(now_ns)
        refusal = self.budget.take(time_ms, self._weights[TRADES])
        if refusal:
            self._refuse(QUERY, order, refusal, now_ns)
            return
        self._request_id = number = self._request_id + 1
        payload = self._requests.trades(number, order.instrument, int(status.venue_order_id), time_ms)
        with suppress(NetError):  # the connection is ending, and every order will be asked about again
            session.ask(number, Asked(TRADES, order, now_ns, status=status), payload)

    def on_frame_error(self, error: FrameError) -> None:
        """Count a frame that could not be read."""
        self.frame_errors[error.reason] = self.frame_errors.get(error.reason, 0) + 1

    def on_ending(self, session: Session, reason: str) -> None:  # noqa: ARG002 - why does not matter
        """Make a successor."""
        if session is self._session:
            self._ending.set()

    def on_closed(self, session: Session, reason: str) -> None:
        """Be down, unless a successor is up already."""
        if session is not self._session:
            return
        self._session = None
        self.losses += 1
        self._tell(up=False, reason=reason)
        self._ending.set()

    # --- the connection -------------------------------------------------------------------------------------
    async def start(self, sink: VenueSink) -> None:
        """Connect and stay connected; returns once orders can be sent.

        Raises ConfigError when the key is refused or a host is not allowed; while the exchange cannot be
        reached it goes on trying.
        """
        self._sink = sink
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(ready))
        self._supervisor.add_done_callback(lambda task: self._on_supervisor_end(task, ready))
        await asyncio.wait({ready, self._supervisor}, return_when=asyncio.FIRST_COMPLETED)
        if self._supervisor.done():
            self._supervisor.result()

    async def stop(self) -> None:
        """Disconnect, and be told nothing any more."""
        if self._beat is not None:
            self._beat.cancel()
        self.up = False
        self._sink = None
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
            self._supervisor = None
        session, self._session = self._session, None
        if session is not None:
            session.close("closed by us")

    async def snapshot(self, since_ns: int) -> VenueSnapshot:
        """Return balances, open orders and trades since `since_ns`; raises VenueError or NetError."""
        return await self.rest.snapshot(self._listed, since_ns, self._names)

    async def touches(self, instruments: Sequence[Instrument]) -> list[tuple[float, float]]:
        """Return the best bid and ask of each now."""
        return await self.rest.touches(instruments)

    async def _supervise(self, ready: asyncio.Future[None]) -> None:
        backoff = Backoff(BACKOFF_S_FIRST, self._settings.backoff_s_max, self._seams.random)
        while True:
            # a connection that may say nothing only lengthens the ban
            while blocked_ms := self.budget.blocked_ms(self.server.time_ms(self._clock.now_ns())):
                await pause(self._seams, blocked_ms / 1000)
            try:
                session = await self._open()
            except (NetError, VenueError) as error:
                if isinstance(error, VenueError) and error.code in KEY_REFUSED and not ready.done():
                    raise refused(self.name, str(error)) from None
                if self._session is None:
                    self._tell(up=False, reason=str(error))
                if isinstance(error, NetError) and error.status in BACKOFF_MS:
                    self.address.limited(error.status, error.retry_after_s * 1000)
                await connect_later(self._seams, backoff, "venue", error)
                continue
            old, self._session = self._session, session
            self._ending.clear()
            if old is not None:
                self._retire(old)
            else:
                self._tell(up=True, reason="connected")
            if not ready.done():
                ready.set_result(None)
            self._arm()
            await self._ending.wait()
            if self._clock.mono_ns() - session.opened_ns > 60_000_000_000:
                backoff.reset()
            else:  # a connection that is lost again and again must not be made again and again
                await pause(self._seams, backoff.next_s())

    def _on_supervisor_end(self, task: asyncio.Task[None], ready: asyncio.Future[None]) -> None:
        """Let nobody wait for a connection that nobody makes: tell the loop what `start` did not raise."""
        if task.cancelled() or not ready.done() or task.exception() is None:
            return
        self._tell(up=False, reason="the venue's supervisor failed")
        asyncio.get_running_loop().call_exception_handler(
            {"message": "the venue's supervisor failed", "exception": task.exception()}
        )

    async def _open(self) -> Session:
        """Return a session that carries orders and the user data stream; raises NetError or VenueError."""
        settings = self._settings
        session = self.protocol.session(self, self._frames, self._clock)
        session.begin(await self._seams.net.connect(settings.ws_url, session))
        try:
            for _ in range(_TIMES):
                sent_ns = self._clock.now_ns()
                result = await self._call(session, self.protocol.clock, {})
                server = self._frames.server_time(result)
                self.server.measure(sent_ns, server, self._clock.now_ns())
            await self._subscribe(session)
            if session.closed_reason:  # since the last answer: the connection that there is goes on
                raise NetError(session.closed_reason)
        except BaseException as error:
            session.close("closed by us: it did not get ready")
            if isinstance(error, FrameError):
                self.on_frame_error(error)
                raise NetError(f"the exchange's clock could not be read: {error}") from None
            raise
        return session

    async def _subscribe(self, session: Session) -> None:
        """Begin to hear of orders."""
        if self._signer.can_logon:
            await self._call(session, "session.logon", self._window(), self._signer)
            await self._call(session, "userDataStream.subscribe", {})
        else:
            await self._call(session, "userDataStream.subscribe.signature", self._window(), self._signer)

    def _window(self) -> dict[str, str | int | bool]:
        time_ms = self.server.time_ms(self._clock.now_ns())
        return {"recvWindow": self._settings.recv_window_ms, "timestamp": time_ms}

    async def _call(
        self,
        session: Session,
        method: str,
        params: dict[str, str | int | bool],
        signer: Signer | None = None,
    ) -> msgspec.Raw:
        time_ms = self.server.time_ms(self._clock.now_ns())
        refusal = self.budget.take(time_ms, 2)
        if refusal:
            raise NetError(f"{method} was not sent: {refusal}")
        timeout_s = self._settings.timeout_ms / 1000
        self._request_id += 1
        answer = session.call(self._request_id, method, params, signer)
        try:
            return await within(self._seams, timeout_s, answer)
        except TimeoutError:
            raise NetError(f"{method} was not answered within {timeout_s:g} s") from None

    def _retire(self, old: Session) -> None:
        """Close a replaced session once what was asked on it should be answered."""
        when_ns = self._clock.now_ns() + self._settings.timeout_ms * 1_000_000
        self._seams.scheduler.call_at(when_ns, lambda: old.close("replaced"))

    # --- heartbeat ------------------------------------------------------------------------------------------
    def _arm(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        when_ns = self._clock.now_ns() + self._settings.heartbeat_ms * 1_000_000
        self._beat = self._seams.scheduler.call_at(when_ns, self._on_beat)

    def _on_beat(self) -> None:
        """Look after the session: overdue answers, silence, age."""
        session = self._session
        if session is None:
            return
        now_ns = self._clock.now_ns()
        overdue_ns = now_ns - self._settings.timeout_ms * 1_000_000
        if session.tell_overdue(overdue_ns):
            session.close("the exchange does not answer")
            return
        if session.is_mute(overdue_ns):
            session.close("the user data stream does not tell of what was answered")
            return
        if self._clock.mono_ns() - session.opened_ns > self._settings.lifetime_ns:
            self._ending.set()
        self._ask_time(session)
        self._arm()

    def _ask_time(self, session: Session) -> None:
        now_ns = self._clock.now_ns()
        if self.budget.take(self.server.time_ms(now_ns), self._weights[TIME]):
            return
        self._request_id = number = self._request_id + 1
        session.knock(number, Asked(TIME, None, now_ns), request(number, self.protocol.clock, {}))

    def _tell(self, *, up: bool, reason: str) -> None:
        self.up = up
        if self._sink is not None:
            self._sink.on_venue_status(VenueStatus(up=up, reason=reason, wire_ns=self._clock.now_ns()))
