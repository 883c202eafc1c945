"""A venue on ccxt: orders at exchanges for which there is no adapter of our own, at ccxt's price in time.

An order is one request in a task of its own (daemon/venues/ccxt_client.py). What is known of it afterwards
comes by its answer, by private streams and by looking (daemon/venues/ccxt_watch.py): an order that is not as
we believe is asked about, and its trades are told before its status. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from ccxt.base.errors import BaseError, OrderNotFound

from daemon.errors import FrameError, NetError, VenueError
from daemon.events import NOT_SENT, VenueStatus
from daemon.orders.order import State
from daemon.pause import Backoff, pause
from daemon.venues.base import refusal_report
from daemon.venues.ccxt_account import Account
from daemon.venues.ccxt_client import TICKET, Ticket, connect_client, make_client
from daemon.venues.ccxt_dead_man import CcxtDeadMan
from daemon.venues.ccxt_errors import KEY_REFUSED, reason_of, report_of
from daemon.venues.ccxt_ids import ClientIds
from daemon.venues.ccxt_orphans import Orphans
from daemon.venues.ccxt_reports import order_report
from daemon.venues.ccxt_requests import Requests
from daemon.venues.ccxt_rows import Rows, tells_fee
from daemon.venues.ccxt_start import check_features, check_markets
from daemon.venues.ccxt_watch import BACKOFF_S_FIRST, Watch
from daemon.venues.key_rights import refused
from kernels.dtypes import REST, STOP, TARGET

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Sequence

    import aiohttp

    from daemon.events import ExecutionReport, ReportKind, VenueSnapshot
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.seams import Seams
    from daemon.venues.base import VenueSink
    from daemon.venues.ccxt_client import CcxtSettings
    from daemon.venues.ccxt_rows import OrderRow

#: what an event counts and its trades do not tell yet may be on its way for so long
_SOON_NS: Final = 250_000_000


class CcxtVenue:
    """A venue (daemon/venues/base.py) on an exchange of ccxt."""

    can_replace = False
    can_amend = False  # ccxt's editOrder is a cancel and a new order at most exchanges, and tells not where

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: CcxtSettings,
        seams: Seams,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """`context` verifies certificates; None: by the system's own. Raises ConfigError."""
        self.name = settings.exchange
        self.up = False
        self.losses = self.unsent = 0
        self.frame_errors: dict[str, int] = {}
        self._form = settings.find_form()
        self._instruments = tuple(instruments)
        self._settings, self._seams, self._clock = settings, seams, seams.clock
        self._context = context
        self.client = make_client(settings, self._form.options, seams.clock)
        self._ids = ClientIds(self._form, settings.name)
        self._rows = Rows(instruments, self._ids)
        self._requests = Requests(self.client, self._ids)
        self._account = Account(self._requests, self._rows, self._instruments, self._clock)
        self.live: dict[str, Order] = {}  # what may still change
        self._looking: set[str] = set()
        self._orphans = Orphans()
        self._watch = Watch(
            self.client, self._account, self._rows, self._instruments, seams, self, settings.backoff_s_max
        )
        self._dead_man = CcxtDeadMan(self.client, self._account, self._instruments, settings, seams, self)
        self._sink: VenueSink | None = None
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def clock_stepped(self, step_ns: int) -> None:
        """Change nothing: ccxt reads the machine's clock itself, and measures the difference every few s."""

    # --- orders ---------------------------------------------------------------------------------------------
    def is_short(self) -> bool:
        """Whether the exchange told us to keep still; of a budget it tells nothing."""
        return bool(self.client.still_s)

    def place(self, order: Order) -> None:
        """Send a new order."""
        if not self._ids.fits(order.client_order_id):
            self._refuse("REJECTED", order, f"its id is longer than {self.name} takes")
        elif order.kind == STOP and not self._settings.stops:
            self._refuse("REJECTED", order, "venue.stops is false")
        elif order.kind == REST and not self._settings.post_only:
            self._refuse("REJECTED", order, "venue.post_only is false")
        elif self._may_ask("REJECTED", order):
            self._spawn(self._place(order))

    def cancel(self, order: Order) -> None:
        """Ask for its cancellation."""
        if not order.venue_order_id and not self._requests.cancels_by_id:
            self._refuse("CANCEL_REJECTED", order, "its number at the exchange is not known yet")
        elif self._may_ask("CANCEL_REJECTED", order):
            self._spawn(self._cancel(order))

    def amend(self, order: Order, qty_lots: int) -> None:  # noqa: ARG002 - whatever the quantity
        """Refuse: no exchange is known to keep an order's place."""
        self._refuse("AMEND_REJECTED", order, "orders are not amended through ccxt")

    def query(self, order: Order) -> None:
        """Ask what became of it; trades we have not seen are told before the status."""
        if self._may_ask("TIMEOUT", order):
            self._spawn(self.look(order))

    def _may_ask(self, refusal: ReportKind, order: Order) -> bool:
        if not (self.up or refusal == "CANCEL_REJECTED"):  # a cancel is tried: lists may fail where it works
            self._refuse(refusal, order, "the venue is down")
            return False
        self.live[order.client_order_id] = order
        return True

    async def _place(self, order: Order) -> None:
        instrument = self._instruments[order.instrument]
        price, qty = instrument.price.text(order.price_ticks), instrument.qty.text(order.qty_lots)
        ticket = Ticket(patient=False)
        TICKET.set(ticket)
        try:
            raw = await self._requests.create(
                instrument, order.kind, order.side, price, qty, order.client_order_id
            )
            row = self._rows.order(raw, instrument)
        except Exception as error:  # whatever it was, the order may have left
            self._failed(order, report_of(error, ticket, "REJECTED"), error, ticket)
            return
        TICKET.set(None)
        self._report("NEW", order, venue_order_id=row.number)
        self._take(order, row)
        if (order.kind == TARGET or not self._account.tells_ids) and not order.state.terminal:
            await self.look(order)

    async def _cancel(self, order: Order) -> None:
        instrument = self._instruments[order.instrument]
        ticket = Ticket(patient=True)
        TICKET.set(ticket)
        try:
            if order.venue_order_id:
                raw = await self._requests.cancel_number(
                    instrument.symbol, order.venue_order_id, order.client_order_id
                )
            else:
                raw = await self._requests.cancel_id(instrument.symbol, order.client_order_id)
            row = self._rows.order(raw, instrument)
        except Exception as error:  # as above
            self._failed(order, report_of(error, ticket, "CANCEL_REJECTED"), error, ticket)
            return
        TICKET.set(None)
        if row.end is not None and not row.untold:
            self._take(order, row)
        else:  # it only says that it heard
            await self.look(order)

    async def look(self, order: Order) -> None:
        """Ask about an order and for the trades it has that we have not seen, and tell both."""
        if order.client_order_id in self._looking:
            return
        self._looking.add(order.client_order_id)
        instrument = self._instruments[order.instrument]
        trades: list[ExecutionReport] = []
        try:
            row = self._rows.order(await self._account.find(order, instrument.symbol), instrument)
            if row.untold or (row.cum_lots or 0) > order.filled_lots:
                told = await self._account.trades_of(row.number, order, instrument.symbol)
                now_ns = self._clock.now_ns()
                trades = [self._rows.trade_of(one, instrument, row.number, order, now_ns) for one in told]
        except Exception as error:  # as above; it is asked again while its order is in doubt
            if order.state is State.UNKNOWN:
                self._failed(order, "NOT_FOUND" if isinstance(error, OrderNotFound) else "TIMEOUT", error)
            return
        finally:
            self._looking.discard(order.client_order_id)
        self._learn(order, row)
        for trade in trades:
            self._tell_trade(trade)
        if not row.status:
            self._failed(order, "TIMEOUT", VenueError(0, f"{self.name} does not say how it stands"))
        elif not order.state.terminal or order.state is State.VOID:
            self._report("STATUS", order, row)

    # --- what the exchange says -----------------------------------------------------------------------------
    def _take(self, order: Order, row: OrderRow) -> None:
        """Take what an answer or an event says of an order: trades, its end, or that trades are missing."""
        self._learn(order, row)
        self._tell_trades(order, row.number, [one for one in row.trades if one.get("id")])
        if row.untold or (row.cum_lots or 0) > order.filled_lots:
            self._look_soon(order, row.cum_lots or 0)
        elif row.end is not None and not order.state.terminal:
            self._report(row.end, order, row)

    def _learn(self, order: Order, row: OrderRow) -> None:
        """Remember an order's number, and tell the trades that came before it was known."""
        self._account.tells_ids |= row.client_order_id == order.client_order_id
        instrument, names = self._instruments[order.instrument], self._account.names
        if not row.number or names.find(order.instrument, row.number) == order.client_order_id:
            return
        names.remember(order.instrument, row.number, order.client_order_id)
        self._tell_trades(order, row.number, self._orphans.of_order(instrument.symbol, row.number))

    def _tell_trades(self, order: Order, number: str, rows: Sequence[Any]) -> None:
        """Tell trades of one order; where one cannot be read nobody knows what it has traded.

        One that does not say its fee is looked for in the list of trades, for it counts once.
        """
        instrument, now_ns = self._instruments[order.instrument], self._clock.now_ns()
        whole = [raw for raw in rows if tells_fee(raw)]
        if len(whole) < len(rows):
            self._look_soon(order, order.filled_lots + 1)
        try:
            trades = [self._rows.trade_of(raw, instrument, number, order, now_ns) for raw in whole]
        except FrameError as error:
            self._failed(order, "TIMEOUT", error)
            return
        for trade in trades:
            self._tell_trade(trade)

    def _tell_trade(self, report: ExecutionReport) -> None:
        sink = self._sink
        if sink is not None and not sink.knows("TRADE", report.client_order_id, 0, report.trade_id):
            sink.on_report(report)

    def on_trade_event(self, raw: Any) -> None:
        """Take a trade of a stream."""
        instrument, number = self._rows.instrument(raw), str(raw.get("order") or "")
        if instrument is None or not number:
            return
        name = self._account.names.find(instrument.index, number)
        if not name:  # its order's answer is on its way, or it is somebody else's: a snapshot tells that
            self._orphans.keep(raw)
        elif (order := self.live.get(name)) is not None:
            self._tell_trades(order, number, [raw])
        elif tells_fee(raw):
            self._tell_trade(self._rows.trade(raw, instrument, number, name, self._clock.now_ns()))

    def on_order_event(self, raw: Any) -> None:
        """Take an order of a stream."""
        instrument = self._rows.instrument(raw)
        if instrument is None:
            return
        row = self._rows.order(raw, instrument)
        name = self._account.names.find(instrument.index, row.number)
        order = self.live.get(row.client_order_id) or self.live.get(name)
        if order is not None:
            if order.state is State.PENDING_NEW and row.end is None:
                self._report("NEW", order, venue_order_id=row.number)
            self._take(order, row)

    def _look_soon(self, order: Order, cum_lots: int) -> None:
        """Look at an order, unless the trades that an event counted come by themselves."""

        def look() -> None:
            if self._sink is not None and (order.filled_lots < cum_lots or not order.state.terminal):
                self._spawn(self.look(order))

        delay_ns = _SOON_NS if self._watch.streams_up else 0
        self._seams.scheduler.call_at(self._clock.now_ns() + delay_ns, look)

    # --- reports --------------------------------------------------------------------------------------------
    def _report(
        self, kind: ReportKind, order: Order, row: OrderRow | None = None, venue_order_id: str = ""
    ) -> None:
        if self._sink is None or (kind == "NEW" and self._sink.knows(kind, order.client_order_id, 0, -1)):
            return
        self._sink.on_report(order_report(kind, order, self._clock.now_ns(), row, venue_order_id))

    def _failed(self, order: Order, kind: ReportKind, error: Exception, ticket: Ticket | None = None) -> None:
        """Report what a failed request leaves us with."""
        TICKET.set(None)
        if isinstance(error, FrameError):
            self.on_frame_error(error)
        if ticket is not None and not ticket.left:
            self.unsent += 1
        if self._sink is not None:
            self._sink.on_report(refusal_report(order, kind, reason_of(error, ticket), self._clock.now_ns()))

    def _refuse(self, kind: ReportKind, order: Order, reason: str) -> None:
        """Report what certainly did not leave, on the loop's next turn: who asked is not done with it yet."""
        self.unsent += 1
        now_ns = self._clock.now_ns

        def tell() -> None:
            if self._sink is not None:
                self._sink.on_report(refusal_report(order, kind, f"{NOT_SENT}: {reason}", now_ns()))

        self._seams.scheduler.call_at(now_ns(), tell)

    # --- the connection -------------------------------------------------------------------------------------
    async def start(self, sink: VenueSink) -> None:
        """Connect and check; returns once orders can be sent.

        Raises ConfigError for what the exchange cannot do and where the key is refused; while the exchange
        cannot be reached it goes on trying.
        """
        self._sink, settings = sink, self._settings
        self._session = connect_client(self.client, settings.proxy, self._context)
        check_features(self.client, self._ids, post_only=settings.post_only, stops=settings.stops)
        backoff = Backoff(BACKOFF_S_FIRST, settings.backoff_s_max, self._seams.random)
        while True:
            try:
                await self._check()
                break
            except KEY_REFUSED as error:
                raise refused(self.name, reason_of(error)) from None
            except (BaseError, NetError) as error:
                self._tell(up=False, reason=reason_of(error))
            await pause(self._seams, backoff.next_s())
        self._tell(up=True, reason="connected")
        for work in self._watch.work() + self._dead_man.work():
            self._spawn(work)

    async def _check(self) -> None:
        """Find the exchange as it must be, or raise."""
        await self._watch.ask_time()
        await check_markets(self._requests, self._instruments, self._settings)
        await self.client.fetch_balance()
        await self._dead_man.begin()

    async def stop(self) -> None:
        """Disconnect, and be told nothing any more."""
        was_up, self.up, self._sink = self.up, False, None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if was_up:
            await self._dead_man.end()
        await self.client.close()
        if self._session is not None:
            await self._session.close()

    async def snapshot(self, since_ns: int) -> VenueSnapshot:
        """Return balances, open orders and trades since `since_ns`; raises VenueError or NetError."""
        return await self._account.snapshot(since_ns)

    async def touches(self, instruments: Sequence[Instrument]) -> list[tuple[float, float]]:
        """Return the best bid and ask of each instrument now; raises VenueError or NetError."""
        return await self._account.touches(instruments)

    def markets(self) -> list[Instrument]:
        """Return the instruments with what the exchange said last of whether they are open."""
        return self._account.markets()

    async def ask_markets(self) -> list[Instrument]:
        """Return the same, asked anew; raises VenueError or NetError."""
        return await self._account.ask_markets()

    def on_alive(self) -> None:
        """Be up."""
        if not self.up:
            self._tell(up=True, reason="the exchange answers again")

    def on_lost(self, reason: str) -> None:
        """Be down."""
        if self.up:
            self.losses += 1
            self._tell(up=False, reason=reason)

    def on_unrenewed(self, text: str) -> None:
        """Hand on that a countdown is running out."""
        if self._sink is not None:
            self._sink.on_alarm("dead_man", text, self._clock.now_ns())

    def on_frame_error(self, error: FrameError) -> None:
        """Count what could not be read."""
        self.frame_errors[error.reason] = self.frame_errors.get(error.reason, 0) + 1

    def _tell(self, *, up: bool, reason: str) -> None:
        self.up = up
        if self._sink is not None:
            self._sink.on_venue_status(VenueStatus(up=up, reason=reason, wire_ns=self._clock.now_ns()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_end)

    def _on_task_end(self, task: asyncio.Task[None]) -> None:
        """Tell the loop of a defect of ours: nobody awaits these tasks."""
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the ccxt venue failed", "exception": task.exception()}
            )
