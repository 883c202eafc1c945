"""A journal as a table for people: one line a record, in the order in which it was written.

Records speak of instruments by index, of orders by id, of prices in ticks and quantities in lots; what these
mean stands in the run they belong to. A run of an older version does not say how large a tick and a lot are:
then they are shown as they are, with their unit. Sync marks are left out, they tell nothing of trading.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from daemon.events import ExecutionReport, Funding
from daemon.instruments import Scale
from daemon.orders import records
from daemon.orders.money import to_text
from kernels.dtypes import (
    AMEND,
    CANCEL,
    PLACE,
    REFUSAL_NAMES,
    REST,
    STOP,
    TARGET,
    X_KIND,
    X_LEVEL,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_SIDE,
    X_VERB,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daemon.orders.order import Order
    from daemon.orders.records import Record

#: records that are looked at for the columns' widths; a longer cell pushes those behind it
_LOOK_AHEAD: Final = 1000
_RIGHT: Final = frozenset({"price", "quantity"})
_VERBS: Final = {PLACE: "place", AMEND: "amend", CANCEL: "cancel"}
_KINDS: Final = {TARGET: "target", REST: "rest", STOP: "stop"}
_SIDES: Final = {1: "buy", -1: "sell"}
#: what a report says of its order where the venue's own word for it is missing
_STATES: Final = {
    "NEW": "NEW",
    "REJECTED": "REJECTED",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "TIMEOUT": "UNKNOWN",
}


class Row(NamedTuple):
    """One line; what a record does not tell is empty."""

    time: str
    what: str
    order: str = ""
    strategy: str = ""
    instrument: str = ""
    side: str = ""
    price: str = ""
    quantity: str = ""
    state: str = ""
    reason: str = ""


class _About(NamedTuple):
    """What an order's first record told, for those that name only its id."""

    strategy: str
    instrument: int
    side: str


def table(journal: Iterable[Record]) -> Iterator[str]:
    """Yield the header and a line for each record, times in UTC."""
    lines = rows(journal)
    first = [Row._make(Row._fields)._replace(time="time (UTC)"), *islice(lines, _LOOK_AHEAD)]
    widths = [max(map(len, column)) for column in zip(*first, strict=True)]
    for row in chain(first, lines):
        yield aligned(Row._fields, row, widths, _RIGHT)


def aligned(names: Iterable[str], row: Iterable[str], widths: list[int], right: frozenset[str]) -> str:
    """Return a row as a line, the columns whose names are in `right` flush right."""
    cells = (
        cell.rjust(width) if name in right else cell.ljust(width)
        for name, cell, width in zip(names, row, widths, strict=True)
    )
    return "  ".join(cells).rstrip()


def rows(journal: Iterable[Record]) -> Iterator[Row]:
    """Yield a row for each record but sync marks."""
    return (row for _, row in rows_of(journal))


def rows_of(journal: Iterable[Record]) -> Iterator[tuple[Record, Row]]:
    """Yield each record but sync marks, and its row."""
    reader = _Reader()
    for record in journal:
        take = reader.take.get(type(record))
        if take is not None:
            yield record, take(record)


class _Reader:
    """Remembers what later records refer to; `take` makes a row of each type of record."""

    def __init__(self) -> None:
        self._prefix = ""
        self._strategies: list[str] = []
        self._instruments: list[str] = []
        self._scales: list[tuple[Scale, Scale]] = []
        self._orders: dict[str, _About] = {}
        self.take: dict[type, Callable[[Any], Row]] = {
            records.Run: self._run,
            records.Placed: self._placed,
            records.RefusedAction: self._refused,
            records.Asked: self._asked,
            ExecutionReport: self._report,
            records.CommandTaken: self._command,
            records.Latch: self._latch,
            records.Adopted: self._adopted,
            records.Voided: self._voided,
            records.Balances: self._balances,
            Funding: self._funding,
            records.BaselineMoved: self._baseline,
            records.Checkpoint: self._checkpoint,
            records.Met: self._met,
        }

    # --- orders -------------------------------------------------------------------------------------------
    def _placed(self, placed: records.Placed) -> Row:
        cid = self._prefix + str(placed.seq)
        action = placed.action
        about = _About(self._strategy(placed.strategy), placed.instrument, _SIDES.get(action[X_SIDE], ""))
        self._orders[cid] = about
        return self._line(
            placed.now_ns,
            "place",
            cid,
            about,
            action[X_PRICE_TICKS],
            action[X_QTY_LOTS],
            state="PENDING_NEW",
            reason=_wish(action),
        )

    def _refused(self, refused: records.RefusedAction) -> Row:
        action = refused.action
        about = _About(self._strategy(refused.strategy), refused.instrument, _SIDES.get(action[X_SIDE], ""))
        why = REFUSAL_NAMES.get(refused.code, str(refused.code))
        return self._line(
            refused.now_ns,
            f"refuse {_VERBS.get(action[X_VERB], '')}".rstrip(),
            "",
            about,
            action[X_PRICE_TICKS],
            action[X_QTY_LOTS],
            reason=f"{why} ({_wish(action)})",
        )

    def _asked(self, asked: records.Asked) -> Row:
        amend = asked.qty_lots > 0
        return self._line(
            asked.now_ns,
            "amend" if amend else "cancel",
            asked.client_order_id,
            self._orders.get(asked.client_order_id),
            0,
            asked.qty_lots,
            state="PENDING_REPLACE" if amend else "PENDING_CANCEL",
        )

    def _report(self, report: ExecutionReport) -> Row:
        known = self._orders.get(report.client_order_id)
        side = _SIDES.get(report.side, known.side if known is not None else "")
        about = _About(known.strategy if known is not None else "", report.instrument, side)
        if report.kind == "TRADE":
            ticks, lots = report.last_ticks, report.last_lots
            fee = f"fee {report.commission:f} {report.commission_asset}"
            reason = f"{'maker' if report.is_maker else 'taker'}, {fee}"
        else:
            ticks, lots = report.price_ticks, report.qty_lots
            reason = f"{report.reason} ({report.code})" if report.code else report.reason
        return self._line(
            report.wire_ns,
            report.kind.lower().replace("_", " "),
            report.client_order_id,
            about,
            ticks,
            lots,
            state=report.status or _STATES.get(report.kind, ""),
            reason=reason,
        )

    def _adopted(self, adopted: records.Adopted) -> Row:
        order = adopted.order
        about = self._remember(order)
        return self._line(
            adopted.now_ns,
            "adopt",
            order.client_order_id,
            about,
            order.price_ticks,
            order.qty_lots,
            state=order.state.name,
            reason="found at the venue, unknown to the journal",
        )

    def _voided(self, voided: records.Voided) -> Row:
        cid = voided.client_order_id
        why = "the venue does not know it"
        return self._line(voided.now_ns, "void", cid, self._orders.get(cid), 0, 0, state="VOID", reason=why)

    # --- all else -----------------------------------------------------------------------------------------
    def _run(self, run: records.Run) -> Row:
        self._prefix = f"{run.prefix}-{run.run}-"
        self._strategies = [name for name, _ in run.strategies]
        self._instruments = run.instruments
        self._scales = [(Scale(Decimal(tick)), Scale(Decimal(lot))) for tick, lot in run.steps]
        traded = ", ".join(f"{name} on {' '.join(symbols)}" for name, symbols in run.strategies)
        return Row(_time(run.now_ns), "run", reason=f"number {run.run}, tickd {run.program}, {traded}")

    def _command(self, taken: records.CommandTaken) -> Row:
        command = taken.command
        return Row(_time(taken.now_ns), command.verb, reason=_said(command.source, command.reason))

    def _latch(self, latch: records.Latch) -> Row:
        what = "halted" if latch.halted else "resumed"
        return Row(_time(latch.now_ns), what, reason=_said(latch.source, latch.reason))

    def _balances(self, balances: records.Balances) -> Row:
        amounts = (f"{to_text(int(units))} {asset}" for asset, units in balances.total.items())
        return Row(_time(balances.now_ns), "balances", reason=", ".join(amounts))

    def _funding(self, funding: Funding) -> Row:
        return Row(_time(funding.wire_ns), "funding", reason=f"{funding.amount:f} {funding.asset}")

    def _baseline(self, moved: records.BaselineMoved) -> Row:
        day, peak = moved.baseline.day_start, moved.baseline.peak
        return Row(_time(moved.now_ns), "baseline", reason=f"the day began at {day:,.2f}, peak {peak:,.2f}")

    def _checkpoint(self, saved: records.Checkpoint) -> Row:
        for order in saved.orders:
            self._remember(order)
        count = sum(not order.state.terminal for order in saved.orders)
        return Row(_time(saved.now_ns), "checkpoint", reason=f"{count} open order{'' if count == 1 else 's'}")

    def _met(self, met: records.Met) -> Row:
        what = "irreconcilable" if met.fatal else "reconciled"
        return Row(_time(met.now_ns), what, reason="; ".join([*met.fatal, *met.settled]))

    # --- what the indices mean ----------------------------------------------------------------------------
    def _remember(self, order: Order) -> _About:
        about = _About(self._strategy(order.strategy), order.instrument, _SIDES.get(order.side, ""))
        self._orders[order.client_order_id] = about
        return about

    def _strategy(self, index: int) -> str:
        return self._strategies[index] if 0 <= index < len(self._strategies) else str(index)

    def _line(
        self,
        now_ns: int,
        what: str,
        cid: str,
        about: _About | None,
        ticks: int,
        lots: int,
        *,
        state: str = "",
        reason: str = "",
    ) -> Row:
        """Return a row of an order; 0 ticks or lots are not told of."""
        if about is None:
            about = _About("", -1, "")
        index = about.instrument
        symbol = self._instruments[index] if 0 <= index < len(self._instruments) else ""
        price, qty = f"{ticks} ticks", f"{lots} lots"
        if 0 <= index < len(self._scales):
            price, qty = self._scales[index][0].text(ticks), self._scales[index][1].text(lots)
        return Row(
            _time(now_ns),
            what,
            cid,
            about.strategy,
            symbol,
            about.side,
            price if ticks else "",
            qty if lots else "",
            state,
            reason,
        )


def _time(ns: int) -> str:
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest // 1000:06d}"


def _wish(action: tuple[int, ...]) -> str:
    kind = _KINDS.get(action[X_KIND], str(action[X_KIND]))
    return kind if action[X_KIND] == TARGET else f"{kind}, level {action[X_LEVEL]}"


def _said(source: str, reason: str) -> str:
    return f"{source}: {reason}" if reason else source
