"""The venue's word against ours: what start-up, a reconnect and the periodic look have in common.

Trades we never heard of are applied and noted, open orders confirmed, unknown ones adopted, missing ones
asked about, balances taken over. An order that carries our own id and of which the journal knows nothing lost
its record in a power cut: it and its trades are taken in, and it is cancelled. Orders of others follow a
policy.
"""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.events import ExecutionReport, OpenOrder
from daemon.orders import records
from daemon.orders.audit import Alarm
from daemon.orders.funding import meet_fundings
from daemon.orders.lasting import LAG_NS, Lasting
from daemon.orders.locks import Locks
from daemon.orders.money import Apart
from daemon.orders.order import ADOPTED_LEVEL, Order, State
from kernels.dtypes import GATE_VENUE_DOWN, REST, STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.events import VenueSnapshot
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders

#: the desk of an order found at the venue in an instrument that no strategy owns
ADOPTED: Final = "adopted"
#: balances that differ for so long, and by something else each time, are told to a person
_UNSTEADY_NS: Final = 60_000_000_000


class Differences(msgspec.Struct):
    """What the venue and the daemon did not agree on, in sentences."""

    notes: list[str] = []  # settled by taking the venue's word
    fatal: list[str] = []  # not settled: the kill switch is thrown
    trades: int = 0  # applied that we had never heard of
    adopted: int = 0
    missing: int = 0  # our open orders that the venue does not list, now asked about
    unsettled: list[str] = []  # one look does not settle it: the next ones do
    #: orders or positions are: no gate is opened until they agree. Money that others move is no reason
    disputed: bool = False
    soon: bool = False  # the next look should not wait


class Meeting:
    """Compares snapshots of the venue with the order side, and settles what differs."""

    def __init__(self, orders: Orders, detach: Callable[[str, tuple[int, ...]], Desk]) -> None:
        """`detach` makes a desk for orders in instruments that no strategy owns."""
        self.first = True  # none is on record: the venue's word is all there is
        #: when the oldest trade was that waits until it is known whose it is; 0: none does
        self.unnamed_ns = 0
        self._orders = orders
        self._life = orders.life
        self._numbered: dict[tuple[int, str], Order] = {}  # by the venue's numbers, as of this meeting
        self._detach = detach
        self._locks = Locks(orders, self._find)
        self._balances = Lasting(orders.clock)
        self._positions = Lasting(orders.clock)
        self._ended = Lasting(orders.clock)  # orders that are listed after their end
        #: when it is told that the balances are unsteady, monotonic: None while they agree, inf once it was
        self._tell_unsteady_ns: float | None = None

    def meet(self, snapshot: VenueSnapshot, asked_ns: int) -> Differences:
        """Settle with a snapshot that was asked for at `asked_ns`."""
        orders, life = self._orders, self._life
        now_ns = orders.clock.now_ns()  # the snapshot's own stamp may be from before the clock took a step
        found = Differences(notes=[], fatal=[], unsettled=[])
        self._numbered = {
            (order.instrument, order.venue_order_id): order
            for order in (*life.ended.values(), *life.open.values())
            if order.venue_order_id
        }
        lost = [
            self._adopt(listed, now_ns, found)
            for listed in snapshot.open_orders  # ours first: their trades then find them
            if self._find(listed) is None and self._is_ours(listed.client_order_id)
        ]
        # a stop goes when what it protects is gone, or its strategy has another
        lost_ids = {order.client_order_id for order in lost if order.kind != STOP}
        self._meet_trades(snapshot, asked_ns, now_ns, found)
        there = set()
        ended: list[Apart] = []
        for listed in snapshot.open_orders:
            order = self._find(listed)
            if order is not None:
                self._meet_open(order, listed, asked_ns, now_ns, ended)
                there.add(order.client_order_id)
            elif orders.rules.foreign != "ignore" and not self._must_wait(listed):
                there.add(self._adopt(listed, now_ns, found).client_order_id)
        for order in list(life.open.values()):
            if order.client_order_id not in there:
                self._meet_missing(order, asked_ns, now_ns, found)
        self._dispute(self._ended, ended, {}, asked_ns, found)
        self._meet_positions(snapshot, asked_ns, found)
        found.notes += meet_fundings(orders, snapshot, asked_ns)
        if snapshot.margin is not None:
            for margin in orders.portfolio.margins.values():
                margin.learn(snapshot.margin)
        self._meet_balances(snapshot, asked_ns, found)
        self._locks.meet(snapshot, asked_ns - LAG_NS, now_ns)
        found.soon = found.soon or found.disputed or bool(self._locks.held_back)
        for order in list(life.open.values()):
            if order.client_order_id in lost_ids or self._is_unwanted(order):
                orders.cancel(order, now_ns)
        orders.doubts.trades_asked_ns = max(orders.doubts.trades_asked_ns, asked_ns)
        if orders.venue.up and asked_ns >= orders.venue_up_ns and not found.disputed:
            orders.risk.open_all(GATE_VENUE_DOWN)
        orders.doubts.hurry_all(now_ns)
        self.first = False
        return found

    def _is_unwanted(self, order: Order) -> bool:
        """Whether no strategy can want it: a stranger's that is to go, or what a strategy of before left."""
        orders = self._orders
        if order.level == ADOPTED_LEVEL and not self._is_ours(order.client_order_id):
            return orders.rules.foreign == "cancel"
        return orders.desks[order.strategy].detached and order.kind != STOP

    def _is_ours(self, client_order_id: str) -> bool:
        return self._orders.ids.parse(client_order_id) is not None

    def _find(self, told: OpenOrder | ExecutionReport) -> Order | None:
        """Return the order told of, one that has ended too, whose id may be another by then, or none."""
        return self._life.told_of(told) or self._numbered.get((told.instrument, told.venue_order_id))

    def _nameless(self, instrument: int, side: int) -> list[Order]:
        """Return the orders of which the venue has told no number.

        What may be of one of them, and is told without a name, waits: the meetings to come are told of it
        again, until the order has its number or is gone.
        """
        live = self._orders.risk.live[instrument]
        return [order for order in live if not order.venue_order_id and order.side == side]

    # --- trades -------------------------------------------------------------------------------------------
    def _meet_trades(self, snapshot: VenueSnapshot, asked_ns: int, now_ns: int, found: Differences) -> None:
        orders = self._orders
        unheard: Counter[int] = Counter()
        self.unnamed_ns = 0
        trades = sorted(snapshot.trades, key=lambda trade: (trade.exch_ns, trade.trade_id))
        for report in trades:
            seen = orders.portfolio.trades[report.instrument]
            cid = report.client_order_id
            order = self._find(report)
            side = report.side if order is None else order.side
            if seen.has(report.trade_id, side, report.exch_ns):
                continue
            if self.first:
                # before our time: the balances hold it already
                seen.add(report.trade_id, side, report.exch_ns)
                continue
            if order is None and not cid and self._may_be_ours(report):
                self.unnamed_ns = self.unnamed_ns or report.exch_ns or report.wire_ns
                continue
            if order is None and self._is_ours(cid):
                lots = sum(trade.last_lots for trade in trades if trade.client_order_id == cid)
                order = self._adopt(_as_open(report, max(lots, report.qty_lots)), now_ns, found)
            found.trades += 1
            # one made since the asking may be on its way, and what is not ours is told of by itself
            if order is not None and order.level != ADOPTED_LEVEL and report.exch_ns < asked_ns:
                unheard[report.instrument] += 1
            name = (cid or report.venue_order_id) if order is None else order.client_order_id
            orders.apply(msgspec.structs.replace(report, client_order_id=name, wire_ns=now_ns))
        found.notes += [
            f"{count} trade{'s' if count > 1 else ''} in {orders.instruments[index].symbol} came unheard, "
            "and only the venue's list tells of them: accounted for now"
            for index, count in unheard.items()
        ]

    def _may_be_ours(self, trade: ExecutionReport) -> bool:
        """Whether it may be of an order without a number."""
        return any(
            order.kind == STOP or order.side * (order.price_ticks - trade.last_ticks) >= 0
            for order in self._nameless(trade.instrument, trade.side)
        )

    # --- orders -------------------------------------------------------------------------------------------
    def _meet_open(
        self, order: Order, listed: OpenOrder, asked_ns: int, now_ns: int, ended: list[Apart]
    ) -> None:
        if order.state >= State.FILLED and order.state is not State.VOID:
            if order.changed_ns > asked_ns:
                return  # it ended meanwhile
            text = (
                f"the venue lists order {order.client_order_id} as open, which ended here as "
                f"{order.state.name}: look at it there, cancel it if need be, and resume"
            )
            ended.append(Apart(order.client_order_id, 0, text))
            return
        if order.state in {State.UNKNOWN, State.VOID} or listed.cum_lots > order.filled_lots:
            self._orders.apply(_status(listed, now_ns))

    def _must_wait(self, listed: OpenOrder) -> bool:
        """Whether an open order is left to a later look: who it is cannot be told yet."""
        named_alike = not listed.venue_order_id and listed.client_order_id in self._life.open
        return named_alike or self._may_list_ours(listed)

    def _may_list_ours(self, listed: OpenOrder) -> bool:
        """Whether an open order that only has a number may be one of ours without it."""
        return listed.client_order_id == listed.venue_order_id and any(
            order.qty_lots == listed.qty_lots
            and (order.kind == STOP or order.price_ticks == listed.price_ticks)
            for order in self._nameless(listed.instrument, listed.side)
        )

    def _adopt(self, listed: OpenOrder, now_ns: int, found: Differences) -> Order:
        """Take an order nobody here remembers into the books, so that its fills are accounted for.

        Of one of ours all trades are still to come; those of somebody else's are in the balances, as all are
        that were made before the first meeting. One that is
        to stand has no slot, or its strategy, which does not want it, would cancel it.
        """
        orders = self._orders
        ours = self._is_ours(listed.client_order_id)
        filled_lots = 0 if ours and not self.first else listed.cum_lots
        stands = not ours and orders.rules.foreign == "adopt"
        owners = [desk for desk in orders.desks if listed.instrument in desk.instruments]
        if listed.stop:  # it is one of its position: another strategy's would be one too many
            owners.sort(key=lambda desk: -self._protects(listed, desk))
        desk = owners[0] if owners else self._detach(ADOPTED, (listed.instrument,))
        row = desk.instruments.index(listed.instrument)
        name = listed.client_order_id
        if name in self._life.open:  # a stranger's ids may be told apart by symbol alone
            name = f"{orders.ids.run}:{listed.instrument}:{listed.venue_order_id}"
        order = Order(
            client_order_id=name,
            seq=0,
            strategy=desk.index,
            instrument=listed.instrument,
            slot=-1 if stands else desk.free_slot(row),
            row=row,
            kind=STOP if listed.stop else REST,
            level=ADOPTED_LEVEL,
            side=listed.side,
            price_ticks=listed.price_ticks,
            qty_lots=listed.qty_lots,
            reduces=False,
            sent_ns=now_ns,
            changed_ns=now_ns,
            since_ns=now_ns,
        )
        order.state = State.PARTIALLY_FILLED if filled_lots else State.WORKING
        order.venue_order_id = listed.venue_order_id
        order.filled_lots = filled_lots
        orders.record(records.pack(records.Adopted(now_ns, order)))
        self._life.enter(order)
        found.adopted += 1
        whose = "the journal lost" if ours else "is not ours"
        text = f"the venue has order {order.client_order_id}, which {whose}"
        found.notes.append(text)
        orders.tell(Alarm("foreign_order", text, now_ns))
        return order

    def _protects(self, listed: OpenOrder, desk: Desk) -> int:
        """Return how much of a desk's position an order may close, in units."""
        row = desk.instruments.index(listed.instrument)
        return -listed.side * self._orders.portfolio.holdings[desk.index, row].qty

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

    def _dispute(
        self,
        lasting: Lasting,
        apart: list[Apart],
        told_ns: Mapping[str, int],
        asked_ns: int,
        found: Differences,
    ) -> None:
        """Halt for what lasts: what had changed by the first look is in every list by now."""
        lasts = lasting.look(apart, told_ns, asked_ns)
        found.fatal += [one.text for one in lasts]
        left = [one.text for one in apart if one not in lasts]
        found.unsettled += left
        found.disputed = found.disputed or bool(left)

    def _meet_positions(self, snapshot: VenueSnapshot, asked_ns: int, found: Differences) -> None:
        """Compare positions in derivatives: another one than ours is nobody's to trade on."""
        if snapshot.positions is not None:
            orders = self._orders
            apart = orders.portfolio.position_differences(snapshot.positions)
            symbols = [instrument.symbol for instrument in orders.instruments]
            told_ns = dict(zip(symbols, orders.life.trade_told_ns, strict=True))
            self._dispute(self._positions, apart, told_ns, asked_ns, found)

    def _meet_balances(self, snapshot: VenueSnapshot, asked_ns: int, found: Differences) -> None:
        """Take over the balances, unless a trade may lie between them and us: then the next looks decide."""
        if self.unnamed_ns:  # one does: they hold it, whosever it is
            return
        orders, life = self._orders, self._life
        portfolio = orders.portfolio
        if self.first:
            portfolio.adopt(snapshot.balances, moved=False)
        apart = portfolio.differences(snapshot.balances)
        told_ns = dict.fromkeys(portfolio.purses, max(life.trade_told_ns))  # fees are of any asset
        may_be_moving = bool(life.open) or max(life.trade_told_ns) >= asked_ns - LAG_NS
        lasts = self._balances.look(apart, told_ns, asked_ns)
        lasts = lasts if may_be_moving else apart
        left = [one for one in apart if one not in lasts]
        held = portfolio.held()
        if any(held.get(one.of, 0) > portfolio.purse(one.of).total + one.units for one in left):
            found.disputed = True  # a position that the account may not have
        self._note_unsteady([one.text for one in left], snapshot.wire_ns, found)
        for one in lasts:
            self._balances.forget(one.of)
            found.notes.append(one.text)
            orders.tell(Alarm("balance", one.text, snapshot.wire_ns))
        if lasts:
            moved = {one.of: one.units for one in lasts}
            total = {asset: purse.total + moved.get(asset, 0) for asset, purse in portfolio.purses.items()}
            portfolio.set_total(total, moved=True)
        if self.first or lasts:
            orders.record(records.pack(portfolio.balances_record(snapshot.wire_ns)))
        else:
            portfolio.revalue()  # what additions have moved is summed anew, so that no rounding adds up
        unsettled = {one.of for one in left}
        found.fatal += [one.text for one in portfolio.short_of() if one.of not in unsettled]

    def _note_unsteady(self, left: list[str], wire_ns: int, found: Differences) -> None:
        """Tell once of balances that go on differing, and look again soon only for what may yet last."""
        now_ns = self._orders.clock.mono_ns()
        found.unsettled += left
        if not left:
            self._tell_unsteady_ns = None
            return
        if self._tell_unsteady_ns is None:
            self._tell_unsteady_ns = now_ns + _UNSTEADY_NS
        elif now_ns >= self._tell_unsteady_ns:
            self._tell_unsteady_ns = inf
            text = (
                f"for {_UNSTEADY_NS / 1e9:g} s the balances have differed, and by nothing that lasts, now: "
                f"{'; '.join(left)}; another program may be moving the money, and what it has come to is "
                "taken over once it pauses"
            )
            self._orders.tell(Alarm("balance", text, wire_ns))
        found.soon = found.soon or self._tell_unsteady_ns != inf or self._balances.recurs


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


def _as_open(trade: ExecutionReport, qty_lots: int) -> OpenOrder:
    """Return the order a trade of ours belongs to, as far as the trade tells."""
    return OpenOrder(
        client_order_id=trade.client_order_id,
        venue_order_id=trade.venue_order_id,
        instrument=trade.instrument,
        side=trade.side,
        price_ticks=trade.price_ticks or trade.last_ticks,
        qty_lots=qty_lots,
        cum_lots=0,
    )
