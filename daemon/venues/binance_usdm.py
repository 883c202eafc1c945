"""The live venue for futures: Binance USD-M.

Orders leave by its WebSocket API as on Spot; what becomes of them is told by a user data stream, opened with
a listen key that is kept alive. The account's margin type and leverage are seen to before the first order.
What the WebSocket API cannot tell, trades and stops, is asked for over HTTP.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from daemon import redact
from daemon.errors import NetError, VenueError
from daemon.venues.base import refusal_report
from daemon.venues.binance import BinanceVenue
from daemon.venues.binance_protocol import Protocol
from daemon.venues.binance_session import AMEND, CANCEL, PLACE, QUERY, TIME, Session
from daemon.venues.binance_usdm_frames import UsdmFrames
from daemon.venues.binance_usdm_requests import UsdmRequests
from daemon.venues.binance_usdm_rest import UsdmRest
from daemon.venues.binance_usdm_stream import UsdmSession, UserStream
from daemon.venues.dead_man import DeadManSwitch
from daemon.venues.signing import check_encrypted
from kernels.dtypes import STOP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from daemon.events import ExecutionReport, Funding, ReportKind
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.seams import Seams
    from daemon.venues.base import VenueSink
    from daemon.venues.binance_settings import UsdmSettings
    from daemon.venues.signing import Signer

USDM: Final = Protocol(
    UsdmFrames,
    UsdmRequests,
    UsdmRest,
    UsdmSession,
    "session.status",  # there is none for the time alone, and this tells it
    {PLACE: 1, CANCEL: 1, AMEND: 1, QUERY: 1, TIME: 2},
)
#: a listen key ends an hour after it was last asked for
KEEP_NS: Final = 30 * 60 * 1_000_000_000
_NO_SUCH_ORDER: Final = -2013


class UsdmVenue(BinanceVenue):
    """A venue (daemon/venues/base.py) on Binance USD-M."""

    protocol = USDM
    _frames: UsdmFrames
    rest: UsdmRest

    def __init__(
        self, instruments: Sequence[Instrument], signer: Signer, settings: UsdmSettings, seams: Seams
    ) -> None:
        check_encrypted(settings.stream_url)
        super().__init__(instruments, signer, settings, seams)
        self._setup = settings
        self.rest.position_notional_max = settings.position_notional_max
        self._set_up = False
        self._kept_ns = -KEEP_NS  # when the listen key was last asked for, on the monotonic clock
        self._tasks: set[asyncio.Task[None]] = set()

    # --- orders ---------------------------------------------------------------------------------------------
    def query(self, order: Order) -> None:
        """Ask what became of it; trades we have not seen are asked for too, and told before the status."""
        if order.kind == STOP:
            self._spawn(self._report_on(order, lambda: self.rest.stop_status(order)))
        else:
            super().query(order)

    def on_trades_missing(self, session: Session, status: ExecutionReport, order: Order) -> None:  # noqa: ARG002
        """Ask for the trades of a queried order before its status is told."""

        async def ask() -> list[ExecutionReport]:
            return [*await self.rest.trades_of(order, int(status.venue_order_id)), status]

        self._spawn(self._report_on(order, ask))

    async def _report_on(self, order: Order, ask: Callable[[], Awaitable[list[ExecutionReport]]]) -> None:
        """Report what is asked for over HTTP, or that nobody knows."""
        kind: ReportKind = "TIMEOUT"
        try:
            reports = await ask()
        except NetError as error:
            code, reason = 0, str(error)
        except VenueError as error:
            code, reason = error.code, str(error)
            if code == _NO_SUCH_ORDER:
                kind = "NOT_FOUND"
        else:
            for report in reports:
                self.on_report(report)
            return
        self.on_report(refusal_report(order, kind, reason, self._clock.now_ns(), code))

    def on_funding(self, funding: Funding) -> None:
        """Hand on what open positions cost or brought by themselves."""
        if self._sink is not None:
            self._sink.on_funding(funding)

    def on_margin_call(self, text: str, wire_ns: int) -> None:
        """Hand on that positions are near their liquidation."""
        if self._sink is not None:
            self._sink.on_alarm("margin_call", text, wire_ns)

    def _on_unrenewed(self, text: str) -> None:
        if self._sink is not None:
            self._sink.on_alarm("dead_man", text, self._clock.now_ns())

    # --- the connection -------------------------------------------------------------------------------------
    async def start(self, sink: VenueSink) -> None:
        """Connect and stay connected, as on Spot; raises ConfigError where the account cannot be set up."""
        await super().start(sink)
        if self._setup.countdown_ms:
            switch = DeadManSwitch(
                self._setup.countdown_ms,
                lambda wait_ms: self.rest.count_down(self._listed, wait_ms),
                lambda: self.up,
                self._on_unrenewed,
                self._seams,
            )
            self._spawn(switch.keep())

    async def stop(self) -> None:
        """Disconnect, and be told nothing any more; a countdown goes on and cancels what was left."""
        for task in list(self._tasks):
            task.cancel()
        await super().stop()

    async def _open(self) -> Session:
        if not self._set_up:
            await self.rest.set_up(self._listed, self._setup)
            self._set_up = True
        return await super()._open()

    async def _subscribe(self, session: Session) -> None:
        """Open the user data stream beside the session."""
        assert isinstance(session, UsdmSession)
        if self._signer.can_logon:
            await self._call(session, "session.logon", self._window(), self._signer)
        key = self._frames.listen_key(await self._ask_stream(session, "start"))
        redact.register(key)
        self._kept_ns = self._clock.mono_ns()
        stream = UserStream(session, self, self._frames, self._clock)
        url = f"{self._setup.stream_url.rstrip('/')}/ws/{key}"
        stream.begin(await self._seams.net.connect(url, stream))
        session.stream = stream

    async def _ask_stream(self, session: Session, verb: str) -> Any:
        return await self._call(session, f"userDataStream.{verb}", {"apiKey": self._signer.api_key})

    def _on_beat(self) -> None:
        """Look after the session, and keep its stream's listen key alive."""
        session, mono_ns = self._session, self._clock.mono_ns()
        super()._on_beat()
        if session is not None and not session.closed_reason and mono_ns - self._kept_ns > KEEP_NS:
            self._kept_ns = mono_ns
            self._spawn(self._keep(session))

    async def _keep(self, session: Session) -> None:
        try:
            await self._ask_stream(session, "ping")
        except VenueError as error:
            session.close(f"the user data stream's key could not be kept: {error}")
        except NetError:
            self._kept_ns = -KEEP_NS  # the next beat tries again

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
