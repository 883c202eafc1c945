"""Recovery: the journal's memory, then the venue's word. Start-up is nothing else.

`restore` replays the journal through the very code that runs live, but nothing is sent, halted, recorded or
told meanwhile: what came of each report is in the journal itself. Every order then open is UNKNOWN, and
asked about as soon as the venue is up. `meet` compares with a snapshot of the venue: trades we never heard of
are applied, open orders confirmed, foreign ones adopted (and cancelled, by policy), missing ones asked
about, balances taken over. The same `meet` runs after each reconnect and every so often. What cannot be
made to agree throws the kill switch.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

import msgspec

from daemon.errors import ConfigError
from daemon.events import ExecutionReport, Funding
from daemon.orders import records
from daemon.orders.checkpoint import load, save
from daemon.orders.desk import detached_desk
from daemon.orders.meeting import ADOPTED, Meeting
from daemon.orders.order import Order, State
from daemon.orders.state import Event
from kernels.dtypes import (
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

    from daemon.events import VenueSnapshot
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders
    from daemon.orders.meeting import Differences
    from daemon.orders.reader import History
    from daemon.orders.records import Record
    from daemon.seams import Boot

    #: a strategy's index in the journal's run, and its row
    Place = tuple[int, int]

#: trades are asked for from so long before the last one known: the exchanges' clocks and ours differ
_MARGIN_NS = 60_000_000_000
#: what a look has covered is asked for again for so long, and not for as long as an old order stands, or
#: nothing trades: a list may be late
_AGAIN_NS = 600_000_000_000


class Recovery:
    """Brings the order side up, and keeps it true."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._life = orders.life
        self._places: dict[Place, tuple[Desk, int]] = {}  # where it is now
        self._instrument_of: dict[int, int] = {}
        self._names: dict[int, str] = {}  # the journal's instrument index -> symbol
        self._run: records.Run | None = None  # of the journal, as it is read
        self._begun: records.Run  # this run, once it began
        self._stopped = False  # it was asked to end, and sent nothing more that opens
        self._met = False  # the venue's balances had been taken over by then: a run may end before it met it
        self._meeting = Meeting(orders, self.detach)
        self.meetings = 0  # with the venue's word, of this run
        self.differences = 0  # that these found
        self._replay: dict[type, Callable[..., None]] = {
            records.Run: self._on_run,
            records.Checkpoint: self._on_checkpoint,
            records.Placed: self._on_placed,
            records.Asked: self._on_asked,
            ExecutionReport: self._on_report,
            Funding: orders.portfolio.fund,
            records.CommandTaken: self._on_command,
            records.Latch: orders.risk.set_latch,
            records.Adopted: self._on_adopted,
            records.Voided: self._on_voided,
            records.Balances: self._on_balances,
            records.FeeValued: self._on_fee_valued,
            records.BaselineMoved: lambda moved: orders.portfolio.worth.load(moved.baseline),
        }

    # --- the journal --------------------------------------------------------------------------------------
    def restore(self, history: History) -> None:
        """Bring back what the journal remembers; raises ConfigError where that is not configured any more."""
        orders, life = self._orders, self._life
        doubts, life.doubts = life.doubts, None
        observers, orders.observers[:] = list(orders.observers), []
        orders.restoring = True
        for record in history.records:
            self.replay(record)
        orders.restoring = False
        self._meeting.first = not self._met
        life.doubts, orders.observers[:] = doubts, observers
        now_ns = orders.clock.now_ns()
        life.cap_stamps(now_ns)
        for order in list(life.open.values()):
            life.step(order, Event.DOUBT, now_ns)
            if orders.instruments[order.instrument].listed:
                orders.doubts.add(order, now_ns)
            else:  # its exchange has no orders in it, and cannot be asked
                life.step(order, Event.ABSENT, now_ns)

    def replay(self, record: Record) -> None:
        """Let one record happen again; what tells nothing of orders is passed over."""
        take = self._replay.get(type(record))
        if take is not None:
            take(record)

    def begin(self, program: str, config: str, boot: Boot) -> None:
        """Begin this run's first segment; raises JournalError. `config` is as it runs, secrets masked.

        It says until when orders may still come to light: should it be killed, the next run waits for them.
        """
        orders = self._orders
        waits_ns = self.forgets_ns(boot)
        now_ns = orders.clock.now_ns()
        self._life.last_trade_ns = self._life.last_trade_ns or now_ns
        run = records.Run(
            now_ns=now_ns,
            prefix=orders.ids.prefix,
            run=orders.ids.run,
            program=program,
            strategies=self._strategies(),
            instruments=[instrument.symbol for instrument in orders.instruments],
            config=config,
            steps=[(str(one.tick_size), str(one.lot_size)) for one in orders.instruments],
            boot=boot.name,
            listed_age_ns=boot.age_ns + waits_ns if waits_ns else 0,
            tells_end=True,
        )
        self._begun = run
        orders.journal.checkpoint = self.checkpoint
        orders.journal.begin(run, save(orders))

    def checkpoint(self) -> tuple[records.Run, records.Checkpoint]:
        """Return what a segment begins with: this run, and the whole state."""
        run = msgspec.structs.replace(self._begun, strategies=self._strategies())  # desks may have been added
        return run, save(self._orders)

    def _strategies(self) -> list[tuple[str, list[str]]]:
        """Return name and symbols of every desk, by index."""
        return [(desk.name, self._symbols(desk)) for desk in self._orders.desks]

    @property
    def since_ns(self) -> int:
        """Return from when on trades must be asked for.

        Before the latest known there may be some that nobody told of: what no look has covered is not known.
        Of an order in doubt all are wanted: by them it may be absent.
        """
        last_ns, looked_ns = self._life.last_trade_ns, self._orders.doubts.trades_asked_ns
        covered_ns = looked_ns - _AGAIN_NS if looked_ns >= 0 else 0
        if looked_ns >= 0:
            last_ns = min(max(last_ns, covered_ns), looked_ns)
        oldest_ns = min(
            (
                order.sent_ns if order.state is State.UNKNOWN else max(order.sent_ns, covered_ns)
                for order in self._life.open.values()
            ),
            default=last_ns,
        )
        return max(min(oldest_ns, last_ns, self._meeting.unnamed_ns or last_ns) - _MARGIN_NS, 0)

    def _on_run(self, run: records.Run) -> None:
        orders = self._orders
        self._run = run
        self._stopped = False
        here = {instrument.symbol: instrument.index for instrument in orders.instruments}
        self._names = dict(enumerate(run.instruments))
        self._instrument_of = {i: here[symbol] for i, symbol in self._names.items() if symbol in here}
        self._places = self._find_places(run)

    def _find_places(self, run: records.Run) -> dict[Place, tuple[Desk, int]]:
        """Return where the rows of a run's strategies are now: with the same strategy, or one of its name.

        So a strategy keeps what it holds of each symbol that it still trades, whichever came or went beside.
        """
        places: dict[Place, tuple[Desk, int]] = {}
        desks = list(self._orders.desks)
        changed = []
        for index, (name, symbols) in enumerate(run.strategies):
            same = next((one for one in desks if (one.name, self._symbols(one)) == (name, symbols)), None)
            rows = range(len(symbols))
            if same is None:
                changed += [((index, row), (name, symbols[row])) for row in rows]
            else:
                desks.remove(same)
                places |= {(index, row): (same, row) for row in rows}
        free: defaultdict[tuple[str, str], deque[tuple[Desk, int]]] = defaultdict(deque)
        for desk in desks:
            for row, symbol in enumerate(self._symbols(desk)):
                free[desk.name, symbol].append((desk, row))
        places |= {place: free[traded].popleft() for place, traded in changed if free[traded]}
        return places

    def _symbols(self, desk: Desk) -> list[str]:
        return [self._orders.instruments[index].symbol for index in desk.instruments]

    def detach(self, name: str, instruments: tuple[int, ...]) -> Desk:
        """Keep the books of a strategy that is not configured any more, or of what none has sent."""
        orders = self._orders
        desk = detached_desk(len(orders.desks), name, instruments)
        orders.desks.append(desk)
        orders.portfolio.add_desk(desk)
        orders.risk.gates.add_desk(desk)
        self._life.add_desk()
        return desk

    def _on_checkpoint(self, checkpoint: records.Checkpoint) -> None:
        load(self._orders, checkpoint, self._place, self._instrument)
        self._met = self._met or any(total != "0" for total in checkpoint.total.values())

    def _on_placed(self, placed: records.Placed) -> None:
        assert self._run is not None
        action = placed.action
        desk, row = self._place(placed.strategy, action[X_INSTRUMENT])
        order = Order(
            client_order_id=f"{self._run.prefix}-{self._run.run}-{placed.seq}",
            seq=placed.seq,
            strategy=desk.index,
            instrument=self._instrument(placed.instrument),
            slot=action[X_SLOT],
            row=row,
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
            decided_half_ticks=placed.decided_half_ticks,
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
        place = order.strategy, order.row
        order.instrument = self._instrument(order.instrument)
        assert self._run is not None
        if order.strategy >= len(self._run.strategies) and place not in self._places:
            self._places[place] = self.detach(ADOPTED, (order.instrument,)), 0  # made after the run began
        desk, order.row = self._place(*place)
        order.strategy = desk.index
        order.reserved = 0
        self._life.enter(order)

    def _on_command(self, taken: records.CommandTaken) -> None:
        """Note an orderly end; throw the switch for who commanded it, where the run ended before it did."""
        self._stopped = self._stopped or taken.command.verb == "stop"
        risk, command = self._orders.risk, taken.command
        flatten = command.verb == "flatten"
        if command.verb == "halt" or flatten:
            latch = risk.latch or records.Latch(taken.now_ns, True, command.source, command.reason)
            risk.set_latch(msgspec.structs.replace(latch, flatten=latch.flatten or flatten))

    def _on_fee_valued(self, fee: records.FeeValued) -> None:
        desk, row = self._place(fee.strategy, fee.row)
        self._orders.portfolio.value_fee(msgspec.structs.replace(fee, row=row), desk.index)

    def _on_voided(self, voided: records.Voided) -> None:
        order = self._life.open.get(voided.client_order_id)
        if order is not None:
            self._life.step(order, Event.DOUBT, voided.now_ns)
            self._life.step(order, Event.ABSENT, voided.now_ns)

    def _on_balances(self, balances: records.Balances) -> None:
        total = {asset: int(units) for asset, units in balances.total.items()}
        self._orders.portfolio.set_total(total, moved=self._met)
        self._met = True

    def _place(self, strategy: int, row: int) -> tuple[Desk, int]:
        """Return where a row is now: on a desk of its own where no strategy of the name trades its symbol."""
        place = self._places.get((strategy, row))
        if place is None:
            assert self._run is not None
            name, symbols = self._run.strategies[strategy]
            orders = self._orders
            here = {instrument.symbol: instrument.index for instrument in orders.instruments}
            symbol = symbols[row]
            if symbol not in here:
                raise ConfigError(f"the journal's strategy {name} traded {_gone([symbol])}")
            place = self._places[strategy, row] = self.detach(name, (here[symbol],)), 0
        return place

    def _instrument(self, index: int) -> int:
        if index not in self._instrument_of:
            raise ConfigError(f"the journal's last run traded {_gone([self._names.get(index, str(index))])}")
        return self._instrument_of[index]

    # --- the venue ----------------------------------------------------------------------------------------
    def forgets_ns(self, boot: Boot) -> int:
        """Return how long orders that a power cut has taken from the journal may still come to light.

        Nothing in a journal tells when the last of them was sent, nor on which machine: images share its id,
        and the start of this one may lie long before, where the journal was brought from another. So it is as
        long as an order may be on its way, from this run's start on; 0 where none can be lost: the last run
        was asked to end, or had each order on the disk before it left, or was of this start of this machine
        (`boot`), for a process that is killed loses nothing written.
        """
        run = self._run
        if run is None:
            return 0
        if run.boot and run.boot == boot.name:
            return max(0, run.listed_age_ns - boot.age_ns)
        return 0 if self._stopped or run.sync == "intent" else self._orders.rules.absence_ns

    def meet(self, snapshot: VenueSnapshot, asked_ns: int | None = None) -> Differences:
        """Compare with the venue's word, asked for at `asked_ns` (or told at its `wire_ns`), and settle."""
        first = self._meeting.first
        found = self._meeting.meet(snapshot, snapshot.wire_ns if asked_ns is None else asked_ns)
        self.meetings += 1
        self.differences += len(found.notes) + len(found.fatal)
        if found.notes or found.fatal:
            self._orders.record(records.pack(records.Met(snapshot.wire_ns, found.notes, found.fatal)))
        if first:  # the trades before our time are known now, and the next run must not take them for news
            self._orders.record(records.pack(save(self._orders)))
        if found.fatal:
            self._orders.halt("recovery", "; ".join(found.fatal), snapshot.wire_ns)
        return found


def _gone(symbols: list[str]) -> str:
    return (
        f"{', '.join(symbols)}, which the configuration lacks now: start with it until nothing is open in "
        "it, or move the journal away"
    )
