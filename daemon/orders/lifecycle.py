"""The lives of all orders: every report finds its order, takes it through the table, and moves the money.

Nothing is sent from here. An order whose end the venue has told, but some of whose trades we never saw,
stays UNKNOWN and owed until they are known: only then are position and end both true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.orders.audit import Alarm, Filled, Moved
from daemon.orders.fees import take_coins, value_fees
from daemon.orders.order import ADOPTED_LEVEL, State
from daemon.orders.records import Voided, pack
from daemon.orders.state import Event, TransitionError, step
from kernels.dtypes import GATE_UNKNOWN_ORDER, STOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import ExecutionReport, OpenOrder
    from daemon.orders.audit import Audit
    from daemon.orders.desk import Desk
    from daemon.orders.doubts import Doubts
    from daemon.orders.order import Order
    from daemon.orders.portfolio import Portfolio
    from daemon.orders.risk import Risk

#: what the venue's own word for an order's status means; PENDING_CANCEL is a word it never uses for an end
STATUS_EVENTS: Final[dict[str, Event]] = {
    "NEW": Event.STANDS,
    "PENDING_NEW": Event.STANDS,
    "PENDING_CANCEL": Event.STANDS,
    "PARTIALLY_FILLED": Event.STANDS,
    "FILLED": Event.LAST_FILL,
    "CANCELED": Event.CANCELED,
    "REJECTED": Event.REJECTED,
    "EXPIRED": Event.EXPIRED,
    "EXPIRED_IN_MATCH": Event.EXPIRED,
}
#: words for an order that stands, or stood
_STOOD: Final = frozenset({Event.ACCEPTED, Event.REPLACED, Event.STANDS})
#: word of an order that comes by itself
_NEWS: Final = frozenset({"NEW", "TRADE", "REPLACED"})


class Lifecycle:
    """Open orders and the latest ended ones."""

    def __init__(
        self,
        desks: list[Desk],
        portfolio: Portfolio,
        risk: Risk,
        tell: Callable[[Audit], None],
        halt: Callable[[str, str, int], None],
        record: Callable[[bytes], None],
        ended_max: int,
    ) -> None:
        self.open: dict[str, Order] = {}
        self.ended: dict[str, Order] = {}  # the latest ones, oldest first
        #: id -> (the event to take once its trades are known, None while open; the venue's count of lots)
        self.owed: dict[str, tuple[Event | None, int]] = {}
        self.desks = desks
        self.doubts: Doubts | None = None  # None while the journal is read: nobody is asked about the past
        self.last_trade_ns = 0  # by the exchange's clock where it stamps trades
        self.trade_told_ns = [0] * len(risk.live)  # when the latest was told, by instrument
        self._portfolio = portfolio
        self._risk = risk
        self._live = risk.live
        self._tell = tell
        self._halt = halt
        self._record = record
        self._ended_max = ended_max
        self._rejections = [0] * len(desks)
        self._takes: dict[str, Callable[[Order, ExecutionReport], None]] = {
            "NEW": self._on_new,
            "REJECTED": self._on_rejected,
            "TRADE": self._on_trade,
            "CANCELED": self._on_canceled,
            "EXPIRED": self._on_expired,
            "REPLACED": self._on_replaced,
            "CANCEL_REJECTED": self._on_doubt,
            "AMEND_REJECTED": self._on_doubt,
            "TIMEOUT": self._on_doubt,
            "STATUS": self._on_status,
            "NOT_FOUND": self._on_not_found,
        }

    def owes_trades(self, order: Order) -> bool:
        """Whether the venue counts more trades of an order than we saw."""
        return order.client_order_id in self.owed

    def find(self, client_order_id: str) -> Order | None:
        """Return an order, open or lately ended."""
        return self.open.get(client_order_id) or self.ended.get(client_order_id)

    def told_of(self, told: ExecutionReport | OpenOrder) -> Order | None:
        """Return the order that a report or a line of the venue's lists is about.

        Its id tells, but for one that a stranger gives to orders of two symbols, or to one after the other;
        who amends one of ours by hand gives it another id, and its number stays.
        """
        order, number = self.find(told.client_order_id), told.venue_order_id
        if (
            order is not None
            and order.instrument == told.instrument
            and (order.level != ADOPTED_LEVEL or not number or order.venue_order_id in {"", number})
        ):
            return order
        live = self._live[told.instrument] if number else ()
        return next((one for one in live if one.venue_order_id == number), None)

    def add_desk(self) -> None:
        """Make room for one more desk, appended to the shared list."""
        self._rejections.append(0)

    def clear(self) -> None:
        """Forget every order, before a checkpoint is loaded."""
        for order in list(self.open.values()):
            self._leave(order)
        self.ended.clear()
        self.owed.clear()

    # --- the clock ----------------------------------------------------------------------------------------
    def clock_stepped(self, step_ns: int) -> None:
        """Take the step of a clock that was set anew: no order is younger or older for it."""
        for order in (*self.open.values(), *self.ended.values()):
            order.shift(step_ns)
        for order in self.open.values():
            self.desks[order.strategy].show(order, self.leaves(order))
        self.trade_told_ns = [told_ns + step_ns for told_ns in self.trade_told_ns]
        self.last_trade_ns += min(step_ns, 0)  # of whose clock it is is not known: the earlier time is safe

    def cap_stamps(self, now_ns: int) -> None:
        """Let no stamp of an earlier run lie ahead of the clock, which was set back since."""
        for order in (*self.open.values(), *self.ended.values()):
            order.cap(now_ns)
        self.trade_told_ns = [min(told_ns, now_ns) for told_ns in self.trade_told_ns]
        self.last_trade_ns = min(self.last_trade_ns, now_ns)

    # --- entering and leaving -----------------------------------------------------------------------------
    def enter(self, order: Order) -> None:
        """Take an order in: its slot, its reserve, its place among the open ones."""
        leaves = order.qty_lots - order.filled_lots
        self.open[order.client_order_id] = order
        self._live[order.instrument].append(order)
        self._portfolio.reserve(order, leaves)
        desk = self.desks[order.strategy]
        if order.slot >= 0:
            desk.orders[order.row][order.slot] = order
        else:
            self._risk.gates.shared[order.instrument] = True  # what its strategy cannot see
        desk.show(order, leaves)

    def _leave(self, order: Order) -> None:
        self._portfolio.reserve(order, 0)
        self.desks[order.strategy].free(order)
        self._live[order.instrument].remove(order)
        del self.open[order.client_order_id]
        self.owed.pop(order.client_order_id, None)
        ended = self.ended
        ended[order.client_order_id] = order
        if len(ended) > self._ended_max:
            del ended[next(iter(ended))]

    def _return(self, order: Order) -> None:
        """Take a VOID order in again: it was there after all."""
        del self.ended[order.client_order_id]
        desk = self.desks[order.strategy]
        hidden = order.slot < 0 and order.level == ADOPTED_LEVEL  # from its strategy, which would cancel it
        if not hidden and (order.slot < 0 or desk.orders[order.row][order.slot] is not None):
            order.slot = desk.free_slot(order.row)
        self.enter(order)

    # --- one step -----------------------------------------------------------------------------------------
    def step(self, order: Order, event: Event, now_ns: int, report: ExecutionReport | None = None) -> None:
        """Take an order through the table, and let slot, reserve, gate and doubts follow.

        report: the word that it ends by, or is doubted for.
        """
        before = order.state
        try:
            after = step(before, event, order.filled_lots > 0)
        except TransitionError as error:
            if order.kind == STOP and before is State.REJECTED and event in _STOOD:
                return  # it was refused at its trigger, and this is from before that
            text = f"order {order.client_order_id}: {error}"
            self._tell(Alarm("contradiction", text, now_ns))
            self._halt("orders", text, now_ns)
            return
        order.state = after
        order.changed_ns = now_ns
        if before is State.VOID and after is not State.VOID:
            self._tell(
                Alarm("void", f"order {order.client_order_id} was absent, and is {after.name}", now_ns)
            )
        if after >= State.FILLED:
            if before < State.FILLED:
                self._leave(order)
        else:
            if before >= State.FILLED:
                self._return(order)
            leaves = self.leaves(order)
            self._portfolio.reserve(order, leaves)
            self.desks[order.strategy].show(order, leaves)
        if (before is State.UNKNOWN) is not (after is State.UNKNOWN):
            self._doubt(order, now_ns, begins=after is State.UNKNOWN)
        self._tell(Moved(order, before, after, event, now_ns, report))

    def leaves(self, order: Order) -> int:
        """Return what may still trade, as far as we can know: the worst case."""
        owed = self.owed.get(order.client_order_id)
        whole = order.qty_lots if owed is None or owed[0] is None else owed[1]
        return max(whole - order.filled_lots, 0)

    def _doubt(self, order: Order, now_ns: int, *, begins: bool) -> None:
        instrument = order.instrument
        if begins:
            self._risk.close(instrument, GATE_UNKNOWN_ORDER)
            if self.doubts is not None:
                self.doubts.add(order, now_ns)
            return
        if self.doubts is not None:
            self.doubts.drop(order)
        if all(other.state is not State.UNKNOWN for other in self._live[instrument]):
            self._risk.open(instrument, GATE_UNKNOWN_ORDER)

    # --- reports ------------------------------------------------------------------------------------------
    def take(self, order: Order, report: ExecutionReport) -> None:
        """Apply one report to its order."""
        if report.venue_order_id and not order.venue_order_id:
            order.venue_order_id = report.venue_order_id
        self._takes[report.kind](order, report)
        if order.state is State.UNKNOWN and self.doubts is not None:
            if report.kind in _NEWS:
                self.doubts.hurry(order, report.wire_ns)
            elif report.kind == "STATUS":  # an answer, and the next would lead to another at once
                self.doubts.count_anew(order)

    def _on_new(self, order: Order, report: ExecutionReport) -> None:
        self._rejections[order.strategy] = 0
        self.step(order, Event.ACCEPTED, report.wire_ns)
        self._count(order, report)

    def _on_rejected(self, order: Order, report: ExecutionReport) -> None:
        self._end(order, Event.REJECTED, report)  # of a triggered stop it is the rest: some may have traded
        if report.unsent:
            return  # a used up budget or a lost line passes by itself, and says nothing of the orders
        if order.reduces and self.doubts is not None:
            self.doubts.ask_after_refusal()  # what it should have reduced may be locked by others, or gone
        in_a_row = self._rejections[order.strategy] + 1
        self._rejections[order.strategy] = in_a_row
        if in_a_row >= self._risk.limits.rejections_max:
            self._rejections[order.strategy] = 0  # whoever resumes starts the count anew
            name = self.desks[order.strategy].name
            why = f"strategy {name} had {in_a_row} orders in a row rejected, the last for: {report.reason}"
            self._halt("risk", why, report.wire_ns)

    def _on_trade(self, order: Order, report: ExecutionReport) -> None:
        if not self._is_new(order, report):
            return
        self._rejections[order.strategy] = 0
        order.filled_lots += report.last_lots
        self.note_trade(report)
        desk = self.desks[order.strategy]
        valued = self._portfolio.fill(desk, order.row, order.side, report)
        if not valued:
            take_coins(self._portfolio, desk, report)
            valued = value_fees(self._portfolio, self._record, report.wire_ns)
        self._tell(Filled(order, report, report.wire_ns))
        if not valued:
            text = f"the fee of {report.commission} {report.commission_asset} has no price in the quote yet"
            self._tell(Alarm("unpriced_fee", text, report.wire_ns))
        if order.filled_lots > order.qty_lots:
            text = (
                f"order {order.client_order_id} asked for {order.qty_lots} lots and got {order.filled_lots}"
            )
            self._tell(Alarm("overfill", text, report.wire_ns))
            self._halt("orders", text, report.wire_ns)
        self._shrink(order, report)
        whole = order.filled_lots >= order.qty_lots
        owed = self.owed.get(order.client_order_id)
        if owed is not None and order.filled_lots >= owed[1]:
            del self.owed[order.client_order_id]
            settled = Event.LAST_FILL if whole else Event.STANDS
            self.step(order, settled if owed[0] is None else owed[0], report.wire_ns)
        elif order.state < State.FILLED or order.filled_lots <= order.qty_lots:
            self.step(order, Event.LAST_FILL if whole else Event.PART_FILL, report.wire_ns)
        self._count(order, report)

    def note_trade(self, report: ExecutionReport) -> None:
        """Remember when the latest trade was: a snapshot asked for before may not know of it."""
        self.last_trade_ns = max(self.last_trade_ns, report.exch_ns or report.wire_ns)
        self.trade_told_ns[report.instrument] = report.wire_ns

    def _is_new(self, order: Order, report: ExecutionReport) -> bool:
        if report.trade_id >= 0:
            return self._portfolio.trades[report.instrument].add(report.trade_id, order.side, report.exch_ns)
        return report.cum_lots > order.filled_lots  # a venue without trade ids counts for us

    def _on_canceled(self, order: Order, report: ExecutionReport) -> None:
        self._end(order, Event.CANCELED, report)

    def _on_expired(self, order: Order, report: ExecutionReport) -> None:
        self._end(order, Event.EXPIRED, report)

    def _on_replaced(self, order: Order, report: ExecutionReport) -> None:
        if order.state is State.PENDING_REPLACE and report.qty_lots > order.asked_lots:
            return  # of an earlier amend, told twice
        self._shrink(order, report)
        order.since_ns = report.wire_ns
        whole = order.filled_lots >= order.qty_lots  # fills overtook the amend down to them
        self.step(
            order, Event.LAST_FILL if whole and order.state < State.FILLED else Event.REPLACED, report.wire_ns
        )
        self._count(order, report)

    def _on_doubt(self, order: Order, report: ExecutionReport) -> None:
        if report.kind == "CANCEL_REJECTED":
            order.cancel_refused = True
        elif report.kind == "AMEND_REJECTED":  # an exchange takes so many of an order, and no more
            order.amend_refused = order.amend_refused or not report.unsent
        self.step(order, Event.DOUBT, report.wire_ns, report)

    def _on_status(self, order: Order, report: ExecutionReport) -> None:
        event = STATUS_EVENTS.get(report.status)
        if event is None:
            text = f"order {order.client_order_id}: status {report.status!r} is not understood"
            self._tell(Alarm("contradiction", text, report.wire_ns))
            return
        self._shrink(order, report)
        if event is not Event.STANDS:
            self._end(order, event, report)
        elif report.cum_lots > order.filled_lots:
            self._count(order, report)
        else:
            self.step(order, Event.STANDS, report.wire_ns)

    def _on_not_found(self, order: Order, report: ExecutionReport) -> None:
        doubts = self.doubts
        if order.state is State.UNKNOWN and doubts is not None and doubts.not_found(order):
            self._void(order, report.wire_ns)

    def _void(self, order: Order, now_ns: int) -> None:
        """End an order by the absence rule."""
        self._record(pack(Voided(now_ns, order.client_order_id)))
        self._tell(
            Alarm("void", f"order {order.client_order_id} is not at the venue, by the absence rule", now_ns)
        )
        self.step(order, Event.ABSENT, now_ns)

    # --- quantities ---------------------------------------------------------------------------------------
    def _shrink(self, order: Order, report: ExecutionReport) -> None:
        """Take over a quantity that an amend has lowered; a late report of a larger one changes nothing."""
        if 0 < report.qty_lots < order.qty_lots:
            order.qty_lots = report.qty_lots
            order.amends += 1

    def _end(self, order: Order, event: Event, report: ExecutionReport) -> None:
        """End an order, unless the venue counts trades of it that we have not seen."""
        cum_lots = order.qty_lots if event is Event.LAST_FILL else report.cum_lots
        if cum_lots > order.filled_lots:
            self._owe(order, event, cum_lots, report.wire_ns)
        elif event is not Event.LAST_FILL or order.state is not State.FILLED:
            self.step(order, event, report.wire_ns, report)

    def _count(self, order: Order, report: ExecutionReport) -> None:
        """Compare the venue's count of an order with ours."""
        if report.cum_lots > order.filled_lots:
            event, _ = self.owed.get(order.client_order_id, (None, 0))
            self._owe(order, event, report.cum_lots, report.wire_ns)

    def _owe(self, order: Order, event: Event | None, cum_lots: int, now_ns: int) -> None:
        """Note that trades of an order are missing, and see to it that they are asked for."""
        if order.state is State.VOID:
            self.step(order, Event.STANDS, now_ns)
        if order.state >= State.FILLED:  # its end was told without a count: only the trades are missing
            text = f"the venue counts {cum_lots} lots of {order.client_order_id}, we saw {order.filled_lots}"
            self._tell(Alarm("lost_trades", text, now_ns))
            if self.doubts is not None:
                self.doubts.ask_snapshot()
            return
        _, before = self.owed.get(order.client_order_id, (None, 0))
        self.owed[order.client_order_id] = (event, max(cum_lots, before))
        self.step(order, Event.DOUBT, now_ns)
