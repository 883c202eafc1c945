"""What a journal tells of orders, fills, positions, commands and refusals: one row each, money exact.

Rows hold text alone, so that an export is as exact as the journal: decimals without exponents, times as ISO
8601 has them; what is not known is empty. Orders come in the order in which they ended, those still open
last. A run of a version that recorded no tick and lot sizes is told in these, and without money.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.faces.journal_table import KINDS, SIDES, VERBS, asked, iso, rows_of
from daemon.orders.audit import Filled, Moved
from daemon.orders.money import UNIT, to_text
from daemon.orders.records import Checkpoint, CommandTaken, Latch, RefusedAction
from daemon.orders.refusals import REFUSAL_NAMES
from daemon.orders.retelling import Retelling, Spells
from kernels.dtypes import X_KIND, X_VERB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daemon.events import ExecutionReport
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.orders.records import Record

#: ended orders whose rows wait for what is told of them late; the daemon itself remembers as many
_ENDED_KEPT: Final = 4096
#: digits that an average has beyond its price's own
_AVERAGE_DIGITS: Final = 4


class OrderRow(NamedTuple):
    """An order from its decision to its end."""

    time: str  # of what it was decided on
    order: str
    strategy: str
    instrument: str
    kind: str
    side: str
    price: str
    quantity: str  # as an amend left it
    filled: str
    average: str
    value: str  # traded, in the quote
    fees: str
    decided: str  # the mid when it was decided, of a stop its trigger
    slippage: str  # what it cost more than at that, in the quote
    limit_slippage: str  # likewise at its own price
    state: str
    ended: str
    unknown_s: str
    reason: str


class FillRow(NamedTuple):
    """A trade."""

    time: str
    order: str
    strategy: str
    instrument: str
    kind: str  # maker or taker
    side: str
    price: str
    quantity: str
    value: str  # in the quote
    fee: str
    asset: str  # of the fee
    decided: str  # as of an order
    slippage: str
    limit: str  # the order's price
    limit_slippage: str
    trade: str  # its id at the venue


class PositionRow(NamedTuple):
    """What a strategy held after a trade, as the daemon believed."""

    time: str
    order: str
    strategy: str
    instrument: str
    quantity: str
    average: str
    cost: str
    realised: str  # before fees
    fees: str  # as far as they could be valued in the quote


class CommandRow(NamedTuple):
    """A command, or what the kill switch did."""

    time: str
    kind: str
    source: str
    reason: str


class RefusalRow(NamedTuple):
    """An action that was refused. The same one is recorded once a second."""

    time: str
    what: str
    strategy: str
    instrument: str
    wish: str
    side: str
    price: str
    quantity: str
    kind: str  # the reason


def orders(journal: Iterable[Record]) -> Iterator[tuple[int, OrderRow]]:
    """Yield every order."""
    lives: dict[str, _Life] = {}
    ended: dict[str, None] = {}  # the oldest end first
    spells = Spells()
    for telling, record, heard in told(journal):
        if isinstance(record, Checkpoint):
            assert telling.orders is not None
            spells.loaded(telling.orders)
            for order in telling.orders.life.open.values():
                _life(lives, telling, order)
        for audit in heard:
            if audit.order is None:
                continue
            life = _life(lives, telling, audit.order)
            if isinstance(audit, Filled):
                life.fill(telling, audit.report)
                continue
            spell = spells.moved(audit)
            life.unknown_ns += 0 if spell is None else spell[1] - spell[0]
            if not audit.after.terminal:
                ended.pop(audit.order.client_order_id, None)
            elif not audit.before.terminal:
                ended[audit.order.client_order_id] = None
                life.ended_ns = audit.now_ns
                life.reason = getattr(record, "reason", "")
        while len(ended) > _ENDED_KEPT:
            cid = next(iter(ended))
            del ended[cid]
            yield lives.pop(cid).row()
    for cid in [*ended, *(cid for cid in lives if cid not in ended)]:
        yield lives[cid].row()


def fills(journal: Iterable[Record]) -> Iterator[tuple[int, FillRow]]:
    """Yield every trade once, also those of orders that are not ours."""
    for telling, _, heard in told(journal):
        for audit in heard:
            if isinstance(audit, Filled):
                yield audit.now_ns, _fill_row(telling, audit)


def positions(journal: Iterable[Record]) -> Iterator[tuple[int, PositionRow]]:
    """Yield what a strategy held after each of its trades."""
    for telling, _, heard in told(journal):
        for audit in heard:
            if isinstance(audit, Filled) and audit.order is not None:
                yield audit.now_ns, _position_row(telling, audit.order, audit.now_ns)


def commands(journal: Iterable[Record]) -> Iterator[tuple[int, CommandRow]]:
    """Yield what people, signals and limits asked for, and what the kill switch did."""
    for record in journal:
        if isinstance(record, CommandTaken):
            command = record.command
            yield (
                record.now_ns,
                CommandRow(iso(record.now_ns), asked(command), command.source, command.reason),
            )
        elif isinstance(record, Latch):
            kind = "halted" if record.halted else "resumed"
            yield record.now_ns, CommandRow(iso(record.now_ns), kind, record.source, record.reason)


def refusals(journal: Iterable[Record]) -> Iterator[tuple[int, RefusalRow]]:
    """Yield every refusal on record."""
    for record, row in rows_of(journal):
        if isinstance(record, RefusedAction):
            yield (
                record.now_ns,
                RefusalRow(
                    row.time,
                    VERBS.get(record.action[X_VERB], ""),
                    row.strategy,
                    row.instrument,
                    KINDS.get(record.action[X_KIND], ""),
                    row.side,
                    row.price,
                    row.quantity,
                    REFUSAL_NAMES.get(record.code, str(record.code)),
                ),
            )


#: what `--show` takes
VIEWS: Final[
    dict[str, tuple[type[NamedTuple], Callable[[Iterable[Record]], Iterator[tuple[int, NamedTuple]]]]]
] = {
    "orders": (OrderRow, orders),
    "fills": (FillRow, fills),
    "positions": (PositionRow, positions),
    "commands": (CommandRow, commands),
    "refusals": (RefusalRow, refusals),
}


# --- what a retelling says ----------------------------------------------------------------------------------
def told(journal: Iterable[Record]) -> Iterator[tuple[Retelling, Record, list[Filled | Moved]]]:
    """Yield the retelling after each record that belongs to a run, and the steps and fills it brought."""
    heard: list[Filled | Moved] = []

    def listen(audit: object) -> None:
        if isinstance(audit, (Filled, Moved)):
            heard.append(audit)

    telling = Retelling([listen])
    for record in journal:
        telling.take(record)
        if telling.orders is not None:
            yield telling, record, heard
        heard.clear()


class Worth(NamedTuple):
    """A trade in units of the quote, signed as the order is, and what was paid more or got less by it."""

    notional: int
    slippage: int | None  # than the price it was decided at; None: that is not on record
    limit_slippage: int  # than the order's own price


def worth(telling: Retelling, order: Order, report: ExecutionReport) -> Worth:
    """Value a trade of an order."""
    unit = telling.by[report.instrument].tick_lot
    lots, ticks = order.side * report.last_lots, report.last_ticks
    decided = order.decided_half_ticks
    return Worth(
        lots * ticks * unit,
        lots * (2 * ticks - decided) * unit // 2 if decided else None,
        lots * (ticks - order.price_ticks) * unit,
    )


def decided_price(order: Order, instrument: Instrument) -> str:
    """Return the price that an order was decided at; empty where it is not on record."""
    half_ticks = order.decided_half_ticks
    return f"{instrument.price.decimal(half_ticks) / 2:f}" if half_ticks else ""


def plus(sum_so_far: int | None, more: int | None) -> int | None:
    """Return a sum; what is unknown of a part is unknown of the whole."""
    return None if sum_so_far is None or more is None else sum_so_far + more


def average(value: int, qty: int, instrument: Instrument) -> str:
    """Return the price at which a quantity was worth so much, both in units, beyond the tick's digits."""
    return f"{abs(Decimal(value) / qty):.{instrument.price.places + _AVERAGE_DIGITS}f}"


class _Life:
    """What is kept of an order until its row is told."""

    def __init__(self, telling: Retelling, order: Order) -> None:
        self.order = order
        self.unknown_ns = 0
        self.ended_ns = 0
        self.reason = ""
        self._notional = 0
        self._slippage: int | None = 0
        self._limit_slippage = 0
        self._qty = 0
        self._fees: dict[str, Decimal] = {}
        self._priced = telling.priced
        assert telling.orders is not None
        self._strategy = telling.orders.desks[order.strategy].name
        self._instrument = telling.orders.instruments[order.instrument]

    def fill(self, telling: Retelling, report: ExecutionReport) -> None:
        """Add a trade."""
        value = worth(telling, self.order, report)
        self._notional += value.notional
        self._slippage = plus(self._slippage, value.slippage)
        self._limit_slippage += value.limit_slippage
        self._qty += report.last_lots * telling.by[report.instrument].lot
        if report.commission:
            asset = report.commission_asset
            self._fees[asset] = self._fees.get(asset, Decimal(0)) + report.commission

    def row(self) -> tuple[int, OrderRow]:
        """Return the time it was decided on, and its row."""
        order, one = self.order, self._instrument
        money = self._priced and self._qty > 0
        ns = order.wire_ns or order.sent_ns
        return ns, OrderRow(
            iso(ns),
            order.client_order_id,
            self._strategy,
            one.symbol,
            KINDS.get(order.kind, str(order.kind)),
            SIDES.get(order.side, ""),
            one.price.text(order.price_ticks) if self._priced else f"{order.price_ticks} ticks",
            one.qty.text(order.qty_lots) if self._priced else f"{order.qty_lots} lots",
            one.qty.text(order.filled_lots) if self._priced else f"{order.filled_lots} lots",
            average(self._notional, self._qty, one) if money else "",
            to_text(abs(self._notional)) if money else "",
            ", ".join(f"{amount:f} {asset}" for asset, amount in self._fees.items()),
            decided_price(order, one) if self._priced else "",
            to_text(self._slippage) if money and self._slippage is not None else "",
            to_text(self._limit_slippage) if money else "",
            order.state.name,
            iso(self.ended_ns) if self.ended_ns else "",
            f"{self.unknown_ns / 1e9:.9f}" if self.unknown_ns else "",
            self.reason,
        )


def _life(lives: dict[str, _Life], telling: Retelling, order: Order) -> _Life:
    life = lives.get(order.client_order_id)
    if life is None:
        life = lives[order.client_order_id] = _Life(telling, order)
    life.order = order  # a checkpoint makes it anew
    return life


def _fill_row(telling: Retelling, audit: Filled) -> FillRow:
    assert telling.orders is not None
    report, order = audit.report, audit.order
    one = telling.orders.instruments[report.instrument]
    side = report.side if order is None else order.side
    notional = report.last_lots * report.last_ticks * telling.by[report.instrument].tick_lot
    decided = slippage = limit = limit_slippage = ""
    if order is not None and telling.priced:
        value = worth(telling, order, report)
        decided, limit = decided_price(order, one), one.price.text(order.price_ticks)
        slippage = "" if value.slippage is None else to_text(value.slippage)
        limit_slippage = to_text(value.limit_slippage)
    elif order is not None:
        limit = f"{order.price_ticks} ticks"
    return FillRow(
        iso(audit.now_ns),
        report.client_order_id,
        telling.orders.desks[order.strategy].name if order is not None else "",
        one.symbol,
        "maker" if report.is_maker else "taker",
        SIDES.get(side, ""),
        one.price.text(report.last_ticks) if telling.priced else f"{report.last_ticks} ticks",
        one.qty.text(report.last_lots) if telling.priced else f"{report.last_lots} lots",
        to_text(notional) if telling.priced else "",
        f"{report.commission:f}",
        report.commission_asset,
        decided,
        slippage,
        limit,
        limit_slippage,
        str(report.trade_id) if report.trade_id >= 0 else "",
    )


def _position_row(telling: Retelling, order: Order, now_ns: int) -> PositionRow:
    assert telling.orders is not None
    one = telling.orders.instruments[order.instrument]
    held = telling.orders.portfolio.holdings[order.strategy, order.row]
    money = telling.priced
    return PositionRow(
        iso(now_ns),
        order.client_order_id,
        telling.orders.desks[order.strategy].name,
        one.symbol,
        to_text(held.qty) if money else f"{held.qty // UNIT} lots",
        average(held.cost, held.qty, one) if money and held.qty else "",
        to_text(held.cost) if money else "",
        to_text(held.realised) if money else "",
        to_text(held.fees) if money else "",
    )


def expired(first: Checkpoint) -> list[str]:
    """Return a sentence where a journal's first state says that files before it are gone, else none."""
    if all(total == "0" for total in first.total.values()):
        return []
    return [f"older files of the journal are gone: figures count from {iso(first.now_ns)} on"]
