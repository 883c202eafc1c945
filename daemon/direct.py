"""`tickd flatten --direct`: cancel every order and close every position when no daemon runs.

It is the daemon's own order side without feed, model and strategies. The journal tells what the strategies
hold, the venue what stands there; prices are asked for over REST. Every order is recorded before it leaves,
one without an answer is asked about and never sent again, and the kill switch stays thrown: the next daemon
knows all of it, and is HALTED. Where the journal cannot be written, it finds the orders by their ids.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from daemon import __version__
from daemon.config_show import to_toml
from daemon.core import build_orders, refuse_another_place
from daemon.errors import ConfigError, JournalError, NetError, TickdError, VenueError
from daemon.flatten import Flatten
from daemon.meetings import refuses
from daemon.memory_disk import MemoryDisk
from daemon.orders.audit import Alarm, Filled, Moved
from daemon.orders.funding import take_funding
from daemon.orders.gone import without_gone
from daemon.orders.money import to_text, to_units
from daemon.orders.order import STANDING, State
from daemon.orders.reader import History, read_history
from daemon.orders.recovery import Recovery
from daemon.orders.venue_alarm import take_alarm
from daemon.pause import pause, within
from daemon.takeover import give_cost, take_over
from kernels.dtypes import REST, STOP

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.config import Config
    from daemon.events import ExecutionReport, VenueSnapshot, VenueStatus
    from daemon.instruments import Instrument
    from daemon.orders.audit import Audit
    from daemon.orders.manager import Orders
    from daemon.orders.order import Order
    from daemon.seams import Disk, Seams
    from daemon.venues.base import Venue

    Touches = Callable[[Sequence[Instrument]], Awaitable[list[tuple[float, float]]]]

#: whom coins belong to that no strategy bought
_DESK: Final = "direct"
#: how long an exchange that cannot be reached is tried
_START_S: Final = 30.0
#: an order that is absent at the venue is believed to be after a minute of asking (daemon/orders/doubts.py)
_WORK_NS: Final = 180_000_000_000
_LOOK_S: Final = 0.5
#: while a position does not get on, the venue is asked after so long whether what held it back is gone
_ASK_NS: Final = 2_000_000_000
_ASK_NS_MAX: Final = 30_000_000_000
_FAILURES: Final = (NetError, VenueError)


class Report(msgspec.Struct, kw_only=True):
    """What was done, and what is left; sentences but for the ids."""

    canceled: list[str] = []  # client order ids
    closed: list[str] = []
    left: list[str] = []
    dust: list[str] = []  # too little for the venue to take an order for
    notes: list[str] = []


class _Books(NamedTuple):
    orders: Orders
    recovery: Recovery


class _Standstill:
    """Since when positions have not got on, and when the venue is asked because of that."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self._wait_ns = self._due_ns = 0

    def due(self, held: list[int], mono_ns: int) -> bool:
        """Whether to ask now: after twice as long each time, until something of what is held was closed."""
        if held != self._held:
            self._held, self._wait_ns, self._due_ns = held, _ASK_NS, mono_ns + _ASK_NS
        return mono_ns >= self._due_ns

    def asked(self, began_ns: int, mono_ns: int) -> None:
        """Take that the venue has answered: of many symbols that takes long, and work waits for it."""
        self._wait_ns = min(2 * self._wait_ns, _ASK_NS_MAX)
        self._due_ns = mono_ns + max(self._wait_ns, 2 * (mono_ns - began_ns))


class Direct:
    """One flattening. It is the venue's sink."""

    def __init__(
        self,
        config: Config,
        instruments: Sequence[Instrument],
        venue: Venue,
        touches: Touches,
        seams: Seams,
        *,
        markets: Callable[[], Sequence[Instrument]] | None = None,
        everything: bool = False,
        reason: str = "",
        say: Callable[[str], object] = bool,
    ) -> None:
        """Open the journal; raises TickdError where what is held cannot be known.

        touches(instruments): their bids and asks now. markets(): which are open, once the venue is reached,
        where the instruments as they are do not tell. everything: of each symbol's base asset all that the
        account has is sold, whoever bought it, and each position in a derivative is closed. say: is told what
        a person should hear at once.
        """
        self.report = Report(canceled=[], closed=[], left=[], dust=[], notes=[])
        self._config = config
        self._instruments = instruments
        self._venue = venue
        self._ask_touches = touches
        self._markets = markets or (lambda: instruments)
        self._seams = seams
        self._everything = everything
        self._reason = reason or "flatten --direct"
        self._say = say
        self._traded: dict[tuple[int, int], list[tuple[int, int]]] = {}  # (instrument, side) -> (ticks, lots)
        self._prices = [(0.0, 0.0)] * len(instruments)
        self._taken: dict[int, int] = {}  # coins that have no cost yet
        self._must_meet = True
        self._standstill = _Standstill()
        self._settled = True  # by the last meeting
        self._stopped = False
        self.orders, self._recovery = self._open()
        self.orders.doubts.ask_snapshot = self._meet_soon
        self.on_funding = partial(take_funding, self.orders)
        self.on_alarm = partial(take_alarm, self.orders)
        self._flatten = Flatten(self.orders, instruments, self._prices.__getitem__, config.risk.collar)

    # --- the journal ---------------------------------------------------------------------------------------
    def _open(self) -> _Books:
        """Bring back what the journal remembers and go on writing it, in memory on a full disk."""
        disk = self._seams.disk
        books = self._remembered(disk)
        try:
            self._begin(books)
        except JournalError as error:
            self._note(f"{error}; the next daemon will find these orders by their ids")
            books.orders.close()  # or it would ask about the same orders
            books = self._remembered(MemoryDisk())
            self._begin(books)
        return books

    def _remembered(self, write_to: Disk) -> _Books:
        """Return the books as the journal has them; empty where it cannot be read and everything is sold."""
        try:
            history = read_history(self._seams.disk, Path(self._config.journal.path))
            refuse_another_place(history, self._config)
            books = self._build(write_to, history)
            books.recovery.restore(without_gone(history, books.orders))
            for text in history.cut:
                self._note(text)
        except (ConfigError, JournalError, OSError) as error:
            if not self._everything:
                raise TickdError(
                    f"what the strategies hold is not known: {error}; with --everything too, all that the "
                    "account has of the symbols' base assets is sold"
                ) from None
            self._note(f"the journal is not read: {error}")
            return self._build(write_to, History([], 0, []))
        return books

    def _build(self, disk: Disk, history: History) -> _Books:
        seams, config = self._seams._replace(disk=disk), self._config
        if config.venue.foreign_orders == "ignore":  # all orders are to go, and may hold what is to be sold
            config = replace(config, venue=replace(config.venue, foreign_orders="cancel"))
        orders = build_orders(
            config,
            self._instruments,
            [],
            seams,
            self._venue,
            [self._hear],
            history.run_last,
            digest=False,
        )
        return _Books(orders, Recovery(orders))

    def _begin(self, books: _Books) -> None:
        """Begin a run, with a desk for whatever is found at the venue."""
        books.recovery.detach(_DESK, tuple(range(len(self._instruments))))
        boot = self._seams.disk.boot()
        books.recovery.begin(__version__, to_toml(self._config, {}), boot)
        waits_ns = books.recovery.forgets_ns(boot)
        if waits_ns:
            self._note(
                "the power was cut, and orders of the last moment may be listed late: "
                f"do this again in {waits_ns / 1e9:.0f} s"
            )

    # --- the work ------------------------------------------------------------------------------------------
    async def run(self) -> Report:
        """Flatten until nothing is left, or nothing more can be done in time; raises NetError, VenueError."""
        seams, orders = self._seams, self.orders
        await orders.journal.sync_now()
        try:
            await within(seams, _START_S, self._venue.start(self))
        except TimeoutError:
            raise NetError(
                f"{self._venue.name} could not be reached within {_START_S:g} s; nothing was sent"
            ) from None
        for one in self._markets():
            if not one.trading:
                orders.risk.suspend(one.index)
        snapshot = await self._first_word()
        if self._everything:
            self._taken = take_over(orders, _DESK, snapshot)
        orders.halt("flatten --direct", self._reason)
        deadline_ns = seams.clock.now_ns() + _WORK_NS
        while not self._stopped and seams.clock.now_ns() < deadline_ns:
            try:
                asked = await self._step()
            except _FAILURES as error:
                self._note(str(error))
            else:
                if asked is not None:
                    snapshot = asked
                    break
            await pause(seams, _LOOK_S)
        self._sum_up(snapshot)
        return self.report

    def stop(self) -> None:
        """Leave what is left as it is: a person asked."""
        self._stopped = True

    async def close(self) -> None:
        """Disconnect and close the journal."""
        await self._venue.stop()
        self.orders.close()
        with suppress(JournalError):  # what could not be recorded was told
            await self.orders.journal.close(self._seams.clock.now_ns())

    async def _first_word(self) -> VenueSnapshot:
        """Return what the venue says first, which a bad line may bring late; raises NetError, VenueError."""
        until_ns = self._seams.clock.mono_ns() + int(_START_S * 1e9)
        while True:
            try:
                return await self._meet()
            except _FAILURES as error:
                if self._stopped or refuses(error) or self._seams.clock.mono_ns() >= until_ns:
                    raise
                self._note(str(error))
            await pause(self._seams, _LOOK_S)

    async def _step(self) -> VenueSnapshot | None:
        """Do what can be done now; return the venue's word once that says that nothing is left to do."""
        if not self._venue.up:
            return None
        mono_ns = self._seams.clock.mono_ns()
        qtys = [holding.qty for holding in self.orders.portfolio.holdings.values()]
        if self._must_meet or (self._flatten.under_way and self._standstill.due(qtys, mono_ns)):
            await self._meet()
            self._standstill.asked(mono_ns, self._seams.clock.mono_ns())
        held = self._held()
        for instrument, touch in zip(held, await self._ask_touches(held), strict=True):
            self._prices[instrument.index] = touch
        give_cost(self.orders, _DESK, self._taken, self._prices)
        if not self._work():
            return None
        snapshot = await self._meet()  # nobody may have told us of everything
        return snapshot if self._work() and self._settled else None

    def _held(self) -> list[Instrument]:
        """Return the instruments in which there is a position: their prices are wanted."""
        portfolio = self.orders.portfolio
        held = {
            index
            for desk in portfolio.desks
            for row, index in enumerate(desk.instruments)
            if portfolio.holdings[desk.index, row].qty and self._instruments[index].listed
        }
        return [self._instruments[index] for index in sorted(held)]

    def _work(self) -> bool:
        """Cancel what stands and send what closes positions; return whether there was nothing to do.

        Nothing can be done about a position whose market is closed, and its stops stand.
        """
        now_ns = self._seams.clock.now_ns()
        for order in list(self.orders.life.open.values()):
            # a TARGET takes what is there and goes; what is UNKNOWN is being asked about
            if order.kind == REST and order.state is not State.UNKNOWN:
                self.orders.cancel(order, now_ns)
        self._flatten.go_on(now_ns)
        closed = self.orders.risk.suspended
        busy = any(
            order.kind != STOP or order.state not in STANDING or order.instrument not in closed
            for order in self.orders.life.open.values()
        )
        return not busy and not self._flatten.under_way

    async def _meet(self) -> VenueSnapshot:
        self._must_meet = False
        asked_ns = self._seams.clock.now_ns()
        try:
            snapshot = await self._venue.snapshot(self._recovery.since_ns)
        except BaseException:
            self._must_meet = True
            raise
        found = self._recovery.meet(snapshot, asked_ns)
        self._settled = not found.unsettled
        for text in (*snapshot.notes, *found.notes, *found.fatal):
            self._note(text)
        return snapshot

    # --- the venue's word ----------------------------------------------------------------------------------
    def on_report(self, report: ExecutionReport) -> None:
        """Take one order message."""
        if not self.knows(report.kind, report.client_order_id, report.cum_lots, report.trade_id):
            self.orders.apply(report)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether an order message says only what is known."""
        return self.orders.knows(kind, client_order_id, cum_lots, trade_id)

    def on_venue_status(self, status: VenueStatus) -> None:
        """Ask what happened meanwhile once the connection is up again."""
        self.orders.venue_status(status)
        if status.up:
            self._meet_soon()
        else:
            self._note(f"the connection is down: {status.reason}")

    def _meet_soon(self) -> None:
        self._must_meet = True

    def _hear(self, audit: Audit) -> None:
        """Keep what the report tells."""
        if isinstance(audit, Alarm):
            self._note(audit.text)
        elif isinstance(audit, Moved):
            if audit.after is State.CANCELED and audit.before is not State.CANCELED:
                self.report.canceled.append(audit.order.client_order_id)
        elif isinstance(audit, Filled) and audit.order is not None and self._is_own(audit.order):
            key = audit.order.instrument, audit.order.side
            self._traded.setdefault(key, []).append((audit.report.last_ticks, audit.report.last_lots))

    def _is_own(self, order: Order) -> bool:
        """Whether it was sent to close something: what the daemon traded may only now be heard of."""
        ids = self.orders.ids
        return (ids.parse(order.client_order_id) or (0,))[0] == ids.run

    def _note(self, text: str) -> None:
        if text not in self.report.notes:
            self.report.notes.append(text)
            self._say(text)

    # --- the report ----------------------------------------------------------------------------------------
    def _sum_up(self, snapshot: VenueSnapshot) -> None:
        report, orders = self.report, self.orders
        for (index, side), trades in self._traded.items():
            instrument = self._instruments[index]
            lots = sum(part for _, part in trades)
            price = instrument.price.decimal(sum(ticks * part for ticks, part in trades)) / lots
            verb = "sold" if side < 0 else "bought"
            qty = instrument.qty.text(lots)
            report.closed.append(
                f"{verb} {qty} {instrument.base} at {price:.8g} {instrument.quote} on average"
            )
        for order in orders.life.open.values():
            symbol = self._instruments[order.instrument].symbol
            report.left.append(f"order {order.client_order_id} in {symbol} is {order.state.name}")
        report.left += [
            f"order {listed.client_order_id} in {self._instruments[listed.instrument].symbol} stands"
            for listed in snapshot.open_orders
            if orders.life.told_of(listed) is None
        ]
        report.left += snapshot.notes  # orders that could not be read
        if snapshot.positions is not None:  # a derivative's is the account's, whoever opened it
            report.left += [one.text for one in orders.portfolio.position_differences(snapshot.positions)]
        for desk in orders.desks:
            for row, index in enumerate(desk.instruments):
                self._sum_up_position(index, orders.portfolio.holdings[desk.index, row].qty, desk.name)

    def _sum_up_position(self, index: int, units: int, whose: str) -> None:
        if not units:
            return
        instrument = self._instruments[index]
        bid, ask = self._prices[index]
        price = bid if units > 0 else ask
        small = instrument.is_dust(abs(units) // to_units(instrument.lot_size), Decimal(price))
        text = f"{to_text(units)} {instrument.base} of {whose}"
        (self.report.dust if price > 0 and small else self.report.left).append(text)
