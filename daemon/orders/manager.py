"""Orders: from an approval to the last fill.

`submit` journals, then sends; `apply` journals a report, then believes it. Nothing is ever sent twice: what
gets no answer becomes UNKNOWN, keeps its worst case reserved and is asked about (daemon/orders/doubts.py).
A journal that cannot be written throws the kill switch: orders stop, cancels and reports go on.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Final, cast

from daemon.errors import JournalError, UsageError
from daemon.events import ExecutionReport
from daemon.orders import records, replacing
from daemon.orders.audit import Alarm, Sent
from daemon.orders.closing import cancel_all, give_way
from daemon.orders.doubts import Doubts, OrderRules
from daemon.orders.foreign import take_foreign
from daemon.orders.intents import SEAL, Refused
from daemon.orders.lifecycle import Lifecycle
from daemon.orders.order import ADOPTED_LEVEL, ANSWER_DUE, STANDING, Order, State
from daemon.orders.records import BaselineMoved, CommandTaken, pack, pack_action, pack_ask
from daemon.orders.state import Event
from kernels.dtypes import (
    AMEND,
    CANCEL,
    GATE_VENUE_DOWN,
    PLACE,
    REFUSED_JOURNAL,
    REFUSED_NO_SLOT,
    REFUSED_QTY,
    REPLACE,
    X_INSTRUMENT,
    X_QTY_LOTS,
    X_REPLACES,
    X_SLOT,
    X_VERB,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import Command, VenueStatus
    from daemon.instruments import Instrument
    from daemon.orders.audit import Audit, Observer
    from daemon.orders.desk import Desk
    from daemon.orders.ids import Ids
    from daemon.orders.intents import Approved
    from daemon.orders.journal import Journal
    from daemon.orders.portfolio import Portfolio
    from daemon.orders.risk import Risk
    from daemon.orders.valuation import Baseline
    from daemon.seams import Clock, Scheduler, Timer
    from daemon.venues.base import ReplacingVenue, Venue

#: reports that come twice in the ordinary course of things
_REPEATED: Final = frozenset({"NEW", "TRADE"})
#: states in which every word of the venue counts
_ASKED_ABOUT: Final = frozenset({State.UNKNOWN, State.VOID})


class Orders:
    """Everything that leaves for the venue, and what becomes of it."""

    def __init__(
        self,
        clock: Clock,
        scheduler: Scheduler,
        ids: Ids,
        instruments: Sequence[Instrument],
        desks: Sequence[Desk],
        portfolio: Portfolio,
        risk: Risk,
        journal: Journal,
        venue: Venue,
        observers: list[Observer],
        rules: OrderRules | None = None,
    ) -> None:
        self.rules = rules or OrderRules()
        self.clock = clock
        self.ids = ids
        self.instruments = instruments
        self.desks = list(desks)
        self.portfolio = portfolio
        self.risk = risk
        self.journal = journal
        self.venue = venue
        self.life = Lifecycle(
            self.desks, portfolio, risk, self.tell, self.halt, self.record, self.rules.ended_max
        )
        self.doubts = Doubts(clock, scheduler, venue, self.rules, self.life.owes_trades, self.tell)
        self.life.doubts = self.doubts
        self.observers = observers
        #: while the journal is replayed: what came of each report is in there too, as records
        self.restoring = False
        self.recorded_ns = 0  # when the latest request had been recorded
        self.written_ns = 0  # when the latest request had left: what follows is not its latency
        self.venue_up_ns = 0  # when the venue last came up
        self.closed = False
        self._scheduler = scheduler
        self._number = 0  # of the latest approval submitted
        self.waiting: deque[tuple[int, Order, int]] = deque()  # (due, order, when it was asked)
        self._timer: Timer | None = None
        self._baseline: Baseline | None = None  # as last journalled
        journal.on_failure = self.on_journal_failure
        risk.trip, risk.withdraw = self.halt, partial(cancel_all, self, others=False)
        risk.give_way = partial(give_way, self)
        risk.crowd.purses = [portfolio.purse(one.base) for one in instruments]
        risk.crowd.pays = [portfolio.purse(one.quote) for one in instruments]

    # --- out ----------------------------------------------------------------------------------------------
    def submit(self, approved: Approved) -> Order | Refused:
        """Do what risk approved, once and now; refused when it cannot be journalled or its order is gone."""
        if approved.seal is not SEAL or approved.number <= self._number:
            raise TypeError("only a fresh approval of Risk.check can be submitted")
        self._number = approved.number
        action = approved.action
        verb = action[X_VERB]
        if verb == PLACE:
            return self._place(approved)
        slot = action[X_REPLACES if verb == REPLACE else X_SLOT]
        order = approved.desk.orders[action[X_INSTRUMENT]][slot]
        if order is None:
            return self.risk.refuse(REFUSED_NO_SLOT, approved.desk, action, approved.now_ns)
        if verb == REPLACE:
            return replacing.begin(self, approved, order) or self._place(approved, order)
        if verb == CANCEL:
            self.cancel(order, approved.now_ns)
        elif not self.amend(order, action[X_QTY_LOTS], approved.now_ns):
            return self.risk.refuse(REFUSED_QTY, approved.desk, action, approved.now_ns)
        return order

    def _place(self, approved: Approved, replaced: Order | None = None) -> Order | Refused:
        desk, instrument, now_ns = approved.desk, approved.instrument, approved.now_ns
        _, row, slot, kind, level, side, price_ticks, qty_lots, reduces, _, decided, _ = approved.action
        if not self.venue.up:  # what reduces risk passes the gate, and cannot leave either
            return self.risk.refuse(GATE_VENUE_DOWN, desk, approved.action, now_ns)
        client_order_id = self.ids.next()
        seq = self.ids.seq
        try:
            head = pack_action(
                records.PLACE, now_ns, seq, desk.index, instrument,
                PLACE, row, slot, kind, level, side, price_ticks, qty_lots, reduces, decided,
            )  # fmt: skip
            self.journal.append(head + desk.rows[row].tobytes())
        except JournalError as error:
            self.on_journal_failure(str(error))
            return self.risk.refuse(REFUSED_JOURNAL, desk, approved.action, now_ns)
        order = Order(
            client_order_id=client_order_id,
            seq=seq,
            strategy=desk.index,
            instrument=instrument,
            slot=slot,
            row=row,
            kind=kind,
            level=level,
            side=side,
            price_ticks=price_ticks,
            qty_lots=qty_lots,
            reduces=reduces != 0,
            wire_ns=now_ns,
            sent_ns=now_ns,
            changed_ns=now_ns,
        )
        order.since_ns = now_ns  # a call with more than 15 keywords builds a dict first: 550 ns
        order.decided_half_ticks = decided
        self.recorded_ns = self.clock.now_ns()
        try:
            if replaced is None:
                self.venue.place(order)
            else:
                cast("ReplacingVenue", self.venue).replace(replaced, order)
            self.written_ns = order.sent_ns = self.clock.now_ns()
        finally:  # nothing that can wait stands between the record and the wire
            self.life.enter(order)
            self._await_answer(order, now_ns)
            if replaced is not None:
                self.life.step(replaced, Event.CANCEL_ASKED, now_ns)
                self._await_answer(replaced, now_ns)
        if self.observers:
            if replaced is not None:
                self.tell(Sent(CANCEL, replaced, now_ns))
            self.tell(Sent(PLACE, order, now_ns))
        return order

    def cancel(self, order: Order, now_ns: int) -> None:
        """Ask for an order's end; harmless when it is asked for already or over. Needs no approval."""
        if order.state is State.PENDING_CANCEL or order.state >= State.FILLED:
            return
        before = order.state
        self.record(pack_ask(records.CANCEL, now_ns, order.client_order_id, 0))
        if order.state is not before:
            return  # what could not be recorded has thrown the kill switch, and that has cancelled it
        self.life.step(order, Event.CANCEL_ASKED, now_ns)
        self._await_answer(order, now_ns)
        self.recorded_ns = self.clock.now_ns()
        self.venue.cancel(order)
        self.written_ns = self.clock.now_ns()
        if self.observers:
            self.tell(Sent(CANCEL, order, now_ns))

    def amend(self, order: Order, leaves_lots: int, now_ns: int) -> bool:
        """Lower what is still to trade; return False where that is impossible now.

        Impossible are a larger quantity or none, and an order that is not simply open. One whose amend was
        refused, or that was amended as often as the venue permits, is cancelled instead: the next would be
        refused too, and the next.
        """
        lowers = 0 < leaves_lots < order.leaves_lots
        if not lowers or order.state not in STANDING:
            return False
        if order.amend_refused or 0 < self.instruments[order.instrument].amends_max <= order.amends:
            self.cancel(order, now_ns)
            return True
        order.asked_lots = order.filled_lots + leaves_lots
        before = order.state
        self.record(pack_ask(records.AMEND, now_ns, order.client_order_id, order.asked_lots))
        if order.state is not before:
            return True  # likewise, and that is less still
        self.life.step(order, Event.REPLACE_ASKED, now_ns)
        self._await_answer(order, now_ns)
        self.recorded_ns = self.clock.now_ns()
        self.venue.amend(order, order.asked_lots)
        self.written_ns = self.clock.now_ns()
        if self.observers:
            self.tell(Sent(AMEND, order, now_ns))
        return True

    # --- in -----------------------------------------------------------------------------------------------
    def apply(self, report: ExecutionReport) -> None:
        """Take one order message of the venue; after `close` none: what is not journalled is not believed."""
        if self.closed:
            return
        self.record(pack(report))
        self.take(report)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        """Whether a report says only what is known, as half of them do: an answer and the stream tell alike.

        Such a one changes nothing, so it is neither journalled nor decided on.
        """
        if kind not in _REPEATED:
            return False
        order = self.life.find(client_order_id)
        if order is None or not order.venue_order_id or order.state in _ASKED_ABOUT:
            return False
        if order.level == ADOPTED_LEVEL:  # by its id alone it may be another's
            return False
        if cum_lots > order.filled_lots:
            return False
        if kind == "NEW":
            return order.state is not State.PENDING_NEW
        return trade_id >= 0 and self.portfolio.trades[order.instrument].has(trade_id, order.side)

    def take(self, report: ExecutionReport) -> None:
        """Apply a report that is in the journal."""
        order = self.life.told_of(report)
        if order is not None:
            self.life.take(order, report)
        else:
            take_foreign(self, report)

    def venue_status(self, status: VenueStatus) -> None:
        """Close the gates while the connection for orders is down.

        `Recovery.meet` opens them again, with a snapshot asked for after the venue came up.
        """
        if status.up:
            self.venue_up_ns = status.wire_ns
            self.doubts.count_all_anew()
            self.doubts.ask_snapshot()
        else:
            self.risk.close_all(GATE_VENUE_DOWN)

    # --- commands and the kill switch ---------------------------------------------------------------------
    def command(self, command: Command, now_ns: int) -> None:
        """Journal a command and do its order side; raises TickdError for a resume that cannot be.

        "flatten" halts and cancels what a halt cancels; the engine, which knows prices, then closes positions
        and cancels their stops (daemon/flatten.py).
        """
        if command.verb == "resume":
            self.resume(command.source, now_ns, rebase=command.rebase)
        self.record(pack(CommandTaken(now_ns, command)))
        if command.verb == "halt":
            self.halt(command.source, command.reason, now_ns)
        elif command.verb == "flatten":
            self.halt(command.source, command.reason or "flatten", now_ns, flatten=True)
            cancel_all(self, now_ns)
        elif command.verb == "stop":
            cancel_all(self, now_ns, others=False)

    def halt(self, source: str, reason: str, now_ns: int | None = None, *, flatten: bool = False) -> None:
        """Throw the kill switch: gates close, all but protective stops are cancelled, restarts remember."""
        if self.restoring:
            return
        now_ns = self.clock.now_ns() if now_ns is None else now_ns
        if self.risk.halt(source, reason, now_ns, flatten=flatten):
            cancel_all(self, now_ns)

    def resume(self, source: str, now_ns: int | None = None, *, rebase: bool = False) -> None:
        """Reset the kill switch; after a JournalError, or a UsageError for losses, it stays thrown.

        rebase: measure day and drawdown anew. The venue is asked at once, and until it has answered nothing
        adds risk: what could not be agreed on halts again if it is still so.
        """
        now_ns = self.clock.now_ns() if now_ns is None else now_ns
        if not rebase and (loss := self.risk.losses.breach(self.portfolio.worth)):
            raise UsageError(
                f"{loss}, so trading would halt again at once; tickd resume --rebase measures the day's loss "
                "and the fall anew, from now on"
            )
        resumed = self.risk.resume(source, now_ns)
        if rebase:
            self.portfolio.rebase()
            self._record_baseline(self.portfolio.worth.save(), now_ns)
        if resumed:
            self.venue_up_ns = now_ns  # a word asked for before does not count
            self.risk.close_all(GATE_VENUE_DOWN)
            self.doubts.ask_snapshot()

    def save_baseline(self, now_ns: int) -> None:
        """Journal from where day and drawdown are measured, if it moved; the app calls this every second."""
        baseline = self.portfolio.worth.save()
        if isfinite(baseline.day_start) and baseline != self._baseline:
            self._record_baseline(baseline, now_ns)

    def _record_baseline(self, baseline: Baseline, now_ns: int) -> None:
        self._baseline = baseline
        self.record(pack(BaselineMoved(now_ns, baseline)))

    # --- answers that do not come -------------------------------------------------------------------------
    def _await_answer(self, order: Order, now_ns: int) -> None:
        order.asked_ns = now_ns
        due_ns = now_ns + self.rules.answer_ns
        self.waiting.append((due_ns, order, now_ns))
        if self._timer is None and not self.closed:
            self._timer = self._scheduler.call_at(due_ns, self._on_due)

    def close(self) -> None:
        """End waiting and asking, before the journal is closed: the next run asks about what is open."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.doubts.close()

    def _on_due(self) -> None:
        self._timer = None
        now_ns = self.clock.now_ns()
        waiting = self.waiting
        while waiting:
            due_ns, order, asked_ns = waiting[0]
            answered = order.asked_ns != asked_ns or order.state not in ANSWER_DUE
            if not answered and due_ns > now_ns:
                self._timer = self._scheduler.call_at(due_ns, self._on_due)
                return
            waiting.popleft()
            if not answered:
                self.apply(
                    ExecutionReport(
                        kind="TIMEOUT",
                        client_order_id=order.client_order_id,
                        instrument=order.instrument,
                        wire_ns=now_ns,
                        reason=f"no answer within {self.rules.answer_ns / 1e9:g} s",
                    )
                )

    # --- the journal, and who listens ---------------------------------------------------------------------
    def record(self, body: bytes) -> None:
        """Journal what happens anyway: the venue's word is true, and a cancel is safe, recorded or not."""
        if self.restoring:
            return
        try:
            self.journal.append(body)
        except JournalError as error:
            self.on_journal_failure(str(error))

    def on_journal_failure(self, text: str) -> None:
        """Halt: the journal cannot be written."""
        now_ns = self.clock.now_ns()
        self.tell(Alarm("journal", text, now_ns))
        self.halt("journal", text, now_ns)

    def tell(self, audit: Audit) -> None:
        """Tell the observers, in order."""
        for observer in self.observers:
            observer(audit)
