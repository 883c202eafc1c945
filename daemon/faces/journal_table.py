"""A journal as a table: one row a record, in the order in which it was written.

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
from daemon.orders.refusals import REFUSAL_NAMES
from kernels.dtypes import (
    AMEND,
    CANCEL,
    PLACE,
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

    from daemon.events import Command
    from daemon.orders.order import Order
    from daemon.orders.records import Record

#: records that are looked at for the columns' widths; a longer cell pushes those behind it
_LOOK_AHEAD: Final = 1000
_RIGHT: Final = frozenset(
    {
        "average",
        "cost",
        "decided",
        "fee",
        "fees",
        "filled",
        "limit",
        "limit_slippage",
        "price",
        "quantity",
        "realised",
        "slippage",
        "value",
    }
)
_TIMES: Final = frozenset({"time", "ended"})
#: ended orders that are remembered for what is told of them later
_ENDED_KEPT: Final = 4096
VERBS: Final = {PLACE: "place", AMEND: "amend", CANCEL: "cancel"}
KINDS: Final = {TARGET: "target", REST: "rest", STOP: "stop"}
SIDES: Final = {1: "buy", -1: "sell"}
#: what a report says of its order where the venue's own word for it is missing
_STATES: Final = {
    "NEW": "NEW",
    "REJECTED": "REJECTED",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "TIMEOUT": "UNKNOWN",
}
#: the states in which nothing more is expected of an order
ENDS: Final = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH", "VOID"})


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


def table(fields: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield the header and a line for each row; times in it are ISO, and UTC."""
    times = [name in _TIMES for name in fields]
    lines = (
        tuple(short(cell) if time and cell else cell for cell, time in zip(row, times, strict=True))
        for row in rows
    )
    first = [("time (UTC)", *fields[1:]), *islice(lines, _LOOK_AHEAD)]
    widths = [max(map(len, column)) for column in zip(*first, strict=True)]
    for row in chain(first, lines):
        yield aligned(fields, row, widths, _RIGHT)


def aligned(names: Iterable[str], row: Iterable[str], widths: list[int], right: frozenset[str]) -> str:
    """Return a row as a line, the columns whose names are in `right` flush right."""
    cells = (
        cell.rjust(width) if name in right else cell.ljust(width)
        for name, cell, width in zip(names, row, widths, strict=True)
    )
    return "  ".join(cells).rstrip()


def rows_of(journal: Iterable[Record]) -> Iterator[tuple[Record, Row]]:
    """Yield each record but sync marks, and its row."""
    reader = RowReader()
    for record in journal:
        row = reader.row(record)
        if row is not None:
            yield record, row


def stamp(record: Record) -> int:
    """Return when it was, by our clock; 0 for a sync mark."""
    if isinstance(record, records.Marked):
        return 0
    return record.wire_ns if isinstance(record, (ExecutionReport, Funding)) else record.now_ns


def iso(ns: int) -> str:
    """Return a time as ISO 8601 has it, to the nanosecond."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class RowReader:
    """Makes rows of records, and remembers what later ones refer to."""

    def __init__(self) -> None:
        self._prefix = ""
        self._strategies: list[str] = []
        self._instruments: list[str] = []
        self._scales: list[tuple[Scale, Scale]] = []
        self._orders: dict[str, _About] = {}
        self._ended: dict[str, None] = {}  # the latest of them, oldest first
        self._take: dict[type, Callable[[Any], Row]] = {
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
            records.FeeValued: self._fee_valued,
            records.FundingNamed: self._funding_named,
            records.Ended: self._ended_run,
        }

    def row(self, record: Record) -> Row | None:
        """Return the next record's row, None for a sync mark or a digest."""
        take = self._take.get(type(record))
        if take is None:
            return None
        row = take(record)
        if row.state in ENDS and row.order in self._orders:
            self._ended[row.order] = None
            if len(self._ended) > _ENDED_KEPT:
                oldest = next(iter(self._ended))
                del self._ended[oldest], self._orders[oldest]
        return row

    # --- orders -------------------------------------------------------------------------------------------
    def _placed(self, placed: records.Placed) -> Row:
        cid = self._prefix + str(placed.seq)
        action = placed.action
        about = _About(self._strategy(placed.strategy), placed.instrument, SIDES.get(action[X_SIDE], ""))
        self._orders[cid] = about
        return self._line(
            placed.now_ns,
            "place",
            cid,
            about,
            action[X_PRICE_TICKS],
            action[X_QTY_LOTS],
            state="PENDING_NEW",
            reason=wish(action),
        )

    def _refused(self, refused: records.RefusedAction) -> Row:
        action = refused.action
        about = _About(self._strategy(refused.strategy), refused.instrument, SIDES.get(action[X_SIDE], ""))
        why = REFUSAL_NAMES.get(refused.code, str(refused.code))
        return self._line(
            refused.now_ns,
            f"refuse {VERBS.get(action[X_VERB], '')}".rstrip(),
            "",
            about,
            action[X_PRICE_TICKS],
            action[X_QTY_LOTS],
            reason=f"{why} ({wish(action)})",
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
        side = SIDES.get(report.side, known.side if known is not None else "")
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
        return Row(iso(run.now_ns), "run", reason=f"number {run.run}, tickd {run.program}, {traded}")

    def _command(self, taken: records.CommandTaken) -> Row:
        command = taken.command
        return Row(iso(taken.now_ns), asked(command), reason=said(command.source, command.reason))

    def _latch(self, latch: records.Latch) -> Row:
        what = "halted" if latch.halted else "resumed"
        return Row(iso(latch.now_ns), what, reason=said(latch.source, latch.reason))

    def _balances(self, balances: records.Balances) -> Row:
        amounts = (f"{to_text(int(units))} {asset}" for asset, units in balances.total.items())
        return Row(iso(balances.now_ns), "balances", reason=", ".join(amounts))

    def _funding(self, funding: Funding) -> Row:
        symbol = self._symbol(funding.instrument)
        return Row(
            iso(funding.wire_ns), "funding", instrument=symbol, reason=f"{funding.amount:f} {funding.asset}"
        )

    def _baseline(self, moved: records.BaselineMoved) -> Row:
        day, peak = moved.baseline.day_start, moved.baseline.peak
        return Row(iso(moved.now_ns), "baseline", reason=f"the day began at {day:,.2f}, peak {peak:,.2f}")

    def _checkpoint(self, saved: records.Checkpoint) -> Row:
        for order in saved.orders:
            self._remember(order)
        count = sum(not order.state.terminal for order in saved.orders)
        return Row(iso(saved.now_ns), "checkpoint", reason=f"{count} open order{'' if count == 1 else 's'}")

    def _met(self, met: records.Met) -> Row:
        what = "irreconcilable" if met.fatal else "reconciled"
        return Row(iso(met.now_ns), what, reason="; ".join([*met.fatal, *met.settled]))

    def _fee_valued(self, fee: records.FeeValued) -> Row:
        text = f"{to_text(int(fee.paid))} {fee.asset} come to {to_text(int(fee.value))} in the quote"
        return Row(iso(fee.now_ns), "fee valued", strategy=self._strategy(fee.strategy), reason=text)

    def _funding_named(self, named: records.FundingNamed) -> Row:
        parts = (f"{one.amount:f} {one.asset} of {self._symbol(one.instrument)}" for one in named.parts)
        return Row(iso(named.now_ns), "funding named", reason=", ".join(parts))

    def _ended_run(self, ended: records.Ended) -> Row:
        return Row(iso(ended.now_ns), "end", reason="the run ended by itself")

    # --- what the indices mean ----------------------------------------------------------------------------
    def _remember(self, order: Order) -> _About:
        about = _About(self._strategy(order.strategy), order.instrument, SIDES.get(order.side, ""))
        self._orders[order.client_order_id] = about
        return about

    def _strategy(self, index: int) -> str:
        return self._strategies[index] if 0 <= index < len(self._strategies) else str(index)

    def _symbol(self, index: int) -> str:
        return self._instruments[index] if 0 <= index < len(self._instruments) else ""

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
        symbol = self._symbol(index)
        price, qty = f"{ticks} ticks", f"{lots} lots"
        if 0 <= index < len(self._scales):
            price, qty = self._scales[index][0].text(ticks), self._scales[index][1].text(lots)
        return Row(
            iso(now_ns),
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


def short(time: str) -> str:
    """Return an ISO time as people read it, to the microsecond."""
    return f"{time[:10]} {time[11:26]}"


def wish(action: tuple[int, ...]) -> str:
    """Return what a strategy wanted to have standing, in words."""
    kind = KINDS.get(action[X_KIND], str(action[X_KIND]))
    return kind if action[X_KIND] == TARGET else f"{kind}, level {action[X_LEVEL]}"


def asked(command: Command) -> str:
    """Return what a command asked for, as on the command line."""
    return f"{command.verb} --rebase" if command.rebase else command.verb


def said(source: str, reason: str) -> str:
    """Return who asked for something, and why."""
    return f"{source}: {reason}" if reason else source
