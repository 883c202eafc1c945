"""Recovery: the journal's memory, then the venue's word. Start-up is nothing else.

`restore` replays the journal through the very code that runs live, with nobody asked and nobody told;
every order then open is UNKNOWN. `meet` compares with a snapshot of the venue: trades we never heard of
are applied, open orders confirmed, foreign ones adopted (and cancelled, by policy), missing ones asked
about, balances taken over. The same `meet` runs after each reconnect and every so often. What cannot be
made to agree throws the kill switch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.errors import ConfigError
from daemon.events import ExecutionReport
from daemon.orders import records
from daemon.orders.audit import Alarm
from daemon.orders.checkpoint import load, save
from daemon.orders.desk import detached_desk
from daemon.orders.order import Order, State
from daemon.orders.state import Event
from kernels.dtypes import (
    GATE_VENUE_DOWN,
    REST,
    STOP,
    X_INSTRUMENT,
    X_KIND,
    X_LEVEL,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_SIDE,
    X_SLOT,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import OpenOrder, VenueSnapshot
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders
    from daemon.orders.reader import History

#: trades are asked for from so long before the last one known: the exchanges' clocks and ours differ
_MARGIN_NS = 60_000_000_000
#: the level id of an order found at the venue, which no strategy asked for
ADOPTED_LEVEL = -1


class Differences(msgspec.Struct):
    """What the venue and the daemon did not agree on, in sentences."""

    notes: list[str] = []  # settled by taking the venue's word
    fatal: list[str] = []  # not settled: the kill switch is thrown
    trades: int = 0  # applied that we had never heard of
    adopted: int = 0
    missing: int = 0  # our open orders that the venue does not list, now asked about


class Recovery:
    """Brings the order side up, and keeps it true."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._life = orders.life
        self._desk_of: dict[int, Desk] = {}  # the journal's strategy index -> desk
        self._instrument_of: dict[int, int] = {}
        self._names: dict[int, str] = {}  # the journal's instrument index -> symbol
        self._run: records.Run | None = None
        self._first = True  # no journal was there
        self._balances_before: list[str] = []
        self._replay: dict[type, Callable[..., None]] = {
            records.Run: self._on_run,
            records.Checkpoint: self._on_checkpoint,
            records.Placed: self._on_placed,
            records.Asked: self._on_asked,
            ExecutionReport: self._on_report,
            records.Latch: orders.risk.set_latch,
            records.Adopted: self._on_adopted,
            records.Voided: self._on_voided,
            records.Balances: self._on_balances,
            records.BaselineMoved: lambda moved: orders.portfolio.worth.load(moved.baseline),
        }

    # --- the journal --------------------------------------------------------------------------------------
    def restore(self, history: History) -> None:
        """Bring back what the journal remembers; raises ConfigError where that is not configured any more."""
        orders, life = self._orders, self._life
        self._first = not history.records
        doubts, life.doubts = life.doubts, None
        observers, orders.observers[:] = list(orders.observers), []
        for record in history.records:
            take = self._replay.get(type(record))
            if take is not None:
                take(record)
        life.doubts, orders.observers[:] = doubts, observers
        now_ns = orders.clock.now_ns()
        for order in list(life.open.values()):
            life.step(order, Event.DOUBT, now_ns)
            orders.doubts.add(order, now_ns)

    def begin(self, program: str, config: str) -> None:
        """Begin this run's first segment; raises JournalError. `config` is as it runs, secrets masked."""
        orders = self._orders
        now_ns = orders.clock.now_ns()
        self._life.last_trade_ns = self._life.last_trade_ns or now_ns
        run = records.Run(
            now_ns=now_ns,
            prefix=orders.ids.prefix,
            run=orders.ids.run,
            program=program,
            strategies=[
                (desk.name, [orders.instruments[index].symbol for index in desk.instruments])
                for desk in orders.desks
            ],
            instruments=[instrument.symbol for instrument in orders.instruments],
            config=config,
        )
        orders.journal.checkpoint = lambda: (run, save(orders))
        orders.journal.begin(run, save(orders))

    @property
    def since_ns(self) -> int:
        """Return from when on trades must be asked for."""
        oldest_ns = min(
            (order.sent_ns for order in self._life.open.values()), default=self._life.last_trade_ns
        )
        return max(min(oldest_ns, self._life.last_trade_ns) - _MARGIN_NS, 0)

    def _on_run(self, run: records.Run) -> None:
        orders = self._orders
        self._run = run
        self._desk_of.clear()
        here = {instrument.symbol: instrument.index for instrument in orders.instruments}
        self._names = dict(enumerate(run.instruments))
        self._instrument_of = {i: here[symbol] for i, symbol in self._names.items() if symbol in here}
        taken: set[int] = set()
        for index, (name, symbols) in enumerate(run.strategies):
            for desk in orders.desks:
                own = [orders.instruments[i].symbol for i in desk.instruments]
                if desk.index not in taken and (desk.name, own) == (name, symbols):
                    taken.add(desk.index)
                    self._desk_of[index] = desk
                    break

    def _detach(self, name: str, instruments: tuple[int, ...]) -> Desk:
        """Keep the books of a strategy that is not configured any more."""
        orders = self._orders
        desk = detached_desk(len(orders.desks), name, instruments)
        orders.desks.append(desk)
        orders.portfolio.add_desk(desk)
        orders.risk.gates.add_desk(desk)
        self._life.add_desk()
        return desk

    def _on_checkpoint(self, checkpoint: records.Checkpoint) -> None:
        load(self._orders, checkpoint, self._desk, self._instrument)

    def _on_placed(self, placed: records.Placed) -> None:
        assert self._run is not None
        action = placed.action
        order = Order(
            client_order_id=f"{self._run.prefix}-{self._run.run}-{placed.seq}",
            seq=placed.seq,
            strategy=self._desk(placed.strategy).index,
            instrument=self._instrument(placed.instrument),
            slot=action[X_SLOT],
            row=action[X_INSTRUMENT],
            kind=action[X_KIND],
            level=action[X_LEVEL],
            side=action[X_SIDE],
            price_ticks=action[X_PRICE_TICKS],
            qty_lots=action[X_QTY_LOTS],
            reduces=action[X_REDUCES] != 0,
            wire_ns=placed.now_ns,
            sent_ns=placed.now_ns,
            changed_ns=placed.now_ns,
            since_ns=placed.now_ns,
            asked_ns=placed.now_ns,
        )
        self._life.enter(order)

    def _on_asked(self, asked: records.Asked) -> None:
        order = self._life.open.get(asked.client_order_id)
        if order is not None:
            order.asked_lots = asked.qty_lots
            self._life.step(
                order, Event.REPLACE_ASKED if asked.qty_lots else Event.CANCEL_ASKED, asked.now_ns
            )

    def _on_report(self, report: ExecutionReport) -> None:
        self._orders.take(msgspec.structs.replace(report, instrument=self._instrument(report.instrument)))

    def _on_adopted(self, adopted: records.Adopted) -> None:
        order = adopted.order
        order.strategy = self._desk(order.strategy).index
        order.instrument = self._instrument(order.instrument)
        order.reserved = 0
        self._life.enter(order)

    def _on_voided(self, voided: records.Voided) -> None:
        order = self._life.open.get(voided.client_order_id)
        if order is not None:
            self._life.step(order, Event.DOUBT, voided.now_ns)
            self._life.step(order, Event.ABSENT, voided.now_ns)

    def _on_balances(self, balances: records.Balances) -> None:
        self._orders.portfolio.set_total({asset: int(units) for asset, units in balances.total.items()})

    def _desk(self, index: int) -> Desk:
        desk = self._desk_of.get(index)
        if desk is None:
            assert self._run is not None
            name, symbols = self._run.strategies[index]
            here = {instrument.symbol: instrument.index for instrument in self._orders.instruments}
            missing = [symbol for symbol in symbols if symbol not in here]
            if missing:
                raise ConfigError(f"the journal's strategy {name} traded {_gone(missing)}")
            desk = self._desk_of[index] = self._detach(name, tuple(here[symbol] for symbol in symbols))
        return desk

    def _instrument(self, index: int) -> int:
        if index not in self._instrument_of:
            raise ConfigError(f"the journal's last run traded {_gone([self._names.get(index, str(index))])}")
        return self._instrument_of[index]

    # --- the venue ----------------------------------------------------------------------------------------
    def meet(self, snapshot: VenueSnapshot, asked_ns: int | None = None) -> Differences:
        """Compare with the venue's word, asked for at `asked_ns` (or told at its `wire_ns`), and settle."""
        orders, life = self._orders, self._life
        asked_ns = snapshot.wire_ns if asked_ns is None else asked_ns
        found = Differences(notes=[], fatal=[])
        for report in sorted(snapshot.trades, key=lambda trade: (trade.exch_ns, trade.trade_id)):
            self._meet_trade(report, found)
        for listed in snapshot.open_orders:
            self._meet_open(listed, asked_ns, snapshot.wire_ns, found)
        listed_ids = {listed.client_order_id for listed in snapshot.open_orders}
        for order in list(life.open.values()):
            if order.client_order_id not in listed_ids:
                self._meet_missing(order, asked_ns, snapshot.wire_ns, found)
        self._meet_balances(snapshot, asked_ns, found)
        for order in [order for order in life.open.values() if orders.desks[order.strategy].detached]:
            if order.kind != STOP:
                orders.cancel(order, snapshot.wire_ns)  # no strategy is left to want it
        orders.doubts.trades_asked_ns = max(orders.doubts.trades_asked_ns, asked_ns)
        orders.risk.open_all(GATE_VENUE_DOWN)
        orders.doubts.hurry_all(snapshot.wire_ns)
        self._first = False
        if found.fatal:
            orders.halt("recovery", found.fatal[0], snapshot.wire_ns)
        return found

    def _meet_trade(self, report: ExecutionReport, found: Differences) -> None:
        orders = self._orders
        seen = orders.portfolio.trades[report.instrument]
        if report.trade_id in seen:
            return
        if self._first:
            seen.add(report.trade_id)  # before our time: the balances hold it already
            return
        found.trades += 1
        orders.apply(report)

    def _meet_open(self, listed: OpenOrder, asked_ns: int, now_ns: int, found: Differences) -> None:
        orders, life = self._orders, self._life
        order = life.find(listed.client_order_id)
        if order is None:
            self._adopt(listed, now_ns, found)
            return
        if order.state >= State.FILLED and order.state is not State.VOID:
            if order.changed_ns < asked_ns:
                found.fatal.append(
                    f"the venue lists order {order.client_order_id} as open, which ended here as "
                    f"{order.state.name}: look at it there, cancel it if need be, and resume"
                )
            return
        if order.state in {State.UNKNOWN, State.VOID} or listed.cum_lots > order.filled_lots:
            orders.apply(_status(listed, now_ns))

    def _adopt(self, listed: OpenOrder, now_ns: int, found: Differences) -> None:
        """Take an order nobody here remembers into the books, so that its fills are accounted for."""
        orders = self._orders
        ours = orders.ids.parse(listed.client_order_id) is not None
        if not ours and orders.rules.foreign == "ignore":
            return
        owners = [desk for desk in orders.desks if listed.instrument in desk.instruments]
        desk = owners[0] if owners else self._detach("adopted", (listed.instrument,))
        row = desk.instruments.index(listed.instrument)
        order = Order(
            client_order_id=listed.client_order_id,
            seq=0,
            strategy=desk.index,
            instrument=listed.instrument,
            slot=desk.free_slot(row),
            row=row,
            kind=REST,
            level=ADOPTED_LEVEL,
            side=listed.side,
            price_ticks=listed.price_ticks,
            qty_lots=listed.qty_lots,
            reduces=False,
            state=State.PARTIALLY_FILLED if listed.cum_lots else State.WORKING,
            venue_order_id=listed.venue_order_id,
            filled_lots=listed.cum_lots,
            sent_ns=now_ns,
            changed_ns=now_ns,
            since_ns=now_ns,
        )
        orders.record(records.pack(records.Adopted(now_ns, order)))
        self._life.enter(order)
        found.adopted += 1
        whose = "the journal lost" if ours else "is not ours"
        text = f"the venue lists order {order.client_order_id}, which {whose}"
        found.notes.append(text)
        orders.tell(Alarm("foreign_order", text, now_ns))
        if ours or orders.rules.foreign == "cancel":
            orders.cancel(order, now_ns)

    def _meet_missing(self, order: Order, asked_ns: int, now_ns: int, found: Differences) -> None:
        """Ask about an open order the venue does not list, unless it was touched since the asking."""
        if order.state is State.UNKNOWN or max(order.changed_ns, order.asked_ns) >= asked_ns:
            return
        found.missing += 1
        self._orders.apply(
            ExecutionReport(
                kind="TIMEOUT",
                client_order_id=order.client_order_id,
                instrument=order.instrument,
                wire_ns=now_ns,
                reason="not among the venue's open orders",
            )
        )

    def _meet_balances(self, snapshot: VenueSnapshot, asked_ns: int, found: Differences) -> None:
        """Take over the balances, unless a trade may lie between them and us: then the next time decides."""
        orders, life = self._orders, self._life
        portfolio = orders.portfolio
        differences = [] if self._first else portfolio.differences(snapshot.balances)
        may_be_moving = bool(life.open) or life.last_trade_wire_ns >= asked_ns
        found.notes += differences
        if differences and may_be_moving and differences != self._balances_before:
            self._balances_before = differences
            return
        self._balances_before = []
        for text in differences:
            orders.tell(Alarm("balance", text, snapshot.wire_ns))
        if self._first or differences:
            portfolio.adopt(snapshot.balances, moved=not self._first)
            orders.record(records.pack(portfolio.balances_record(snapshot.wire_ns)))
        found.fatal += portfolio.short_of()


def _status(listed: OpenOrder, now_ns: int) -> ExecutionReport:
    return ExecutionReport(
        kind="STATUS",
        client_order_id=listed.client_order_id,
        instrument=listed.instrument,
        wire_ns=now_ns,
        venue_order_id=listed.venue_order_id,
        side=listed.side,
        price_ticks=listed.price_ticks,
        qty_lots=listed.qty_lots,
        cum_lots=listed.cum_lots,
        status="PARTIALLY_FILLED" if listed.cum_lots else "NEW",
    )


def _gone(symbols: list[str]) -> str:
    return (
        f"{', '.join(symbols)}, which the configuration lacks now: start with it until nothing is open, or "
        "move the journal away"
    )
