"""`tickd journal FOLDER --summary`: what a journal comes to, by strategy and instrument and in all.

Positions, realised results and fees are the daemon's own books, told again by the code that kept them. What
is open is valued at the price of the last trade of ours in the instrument: the journal holds no quotes. With
`--since`, results and counts are of what came after; positions are always whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from daemon.events import ExecutionReport, Funding
from daemon.faces.journal_count import Count, bps
from daemon.faces.journal_funding import FundingSums
from daemon.faces.journal_runs import Runs
from daemon.faces.journal_table import iso, stamp
from daemon.faces.journal_views import expired, worth
from daemon.orders.audit import Filled, Moved
from daemon.orders.money import to_text, to_units
from daemon.orders.order import State
from daemon.orders.records import Asked, Checkpoint, FundingNamed, Latch, Placed, RefusedAction
from daemon.orders.refusals import REFUSAL_NAMES
from daemon.orders.retelling import Retelling, Spells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.orders.audit import Audit
    from daemon.orders.order import Order
    from daemon.orders.records import Record

_NO_FUNDING: Final = "no funding is on record, so there is none in these figures"


class Line(msgspec.Struct, kw_only=True):
    """One strategy in one instrument, or all that are counted in one quote. Money is exact, as text."""

    strategy: str
    instrument: str  # empty: in all
    quote: str
    position: str | None = None  # in the base
    realised: str | None = None  # before fees
    unrealised: str | None = None
    mark: str | None = None  # by which
    mark_time: str | None = None
    fees: str | None = None  # as far as they were valued in the quote
    fees_paid: dict[str, str] = {}  # by asset
    turnover: str | None = None
    #: what trades cost more than at the prices they were decided at: mids, of stops their triggers
    slippage: str | None = None
    slippage_bps: float | None = None  # of what these trades turned over
    limit_slippage: str | None = None  # likewise at the orders' own prices: limits, triggers
    limit_slippage_bps: float | None = None
    maker_share: float | None = None  # of the turnover
    orders: int = 0
    fills: int = 0
    cancels: int = 0  # asked for
    rejections: dict[str, int] = {}  # by the venue's code
    unsent: int = 0  # orders that certainly did not leave
    refusals: dict[str, int] = {}  # by our reason
    unknown: int = 0  # spells
    unknown_s: float = 0.0
    unknown_s_max: float = 0.0


class Summary(msgspec.Struct, kw_only=True):
    """A whole journal."""

    begin: str | None
    end: str | None
    records: int
    runs: int
    #: of the runs before the last those that no end is on record of, and whether the last is so too: it runs,
    #: or was killed
    runs_cut: int = 0
    last_run_open: bool = False
    lines: list[Line]
    totals: list[Line]  # by quote
    #: what was paid below zero, by instrument and asset; "": the venue has not told yet of which it was
    funding: dict[str, dict[str, str]]
    halts: int
    halted_s: float
    halted: bool  # at the end
    notes: list[str]


class _Mark(NamedTuple):
    """A price: what a lot was worth, in units, and when."""

    text: str
    ns: int
    value: int
    lot: int


class Summing:
    """Adds up a journal, record by record."""

    def __init__(self, since_ns: int | None = None) -> None:
        self._since_ns = since_ns
        self._begun = since_ns is None
        self._first_ns = self._last_ns = self._records = 0
        self._runs = Runs()
        self._loaded = False
        self._expired: list[str] = []  # a sentence where the journal does not begin at its beginning
        self._counts: dict[tuple[str, str], Count] = {}
        self._marks: dict[str, _Mark] = {}
        self._quotes: dict[str, str] = {}
        self._before: dict[tuple[str, str], tuple[int, int]] = {}  # realised and fees when the span began
        self._funding = FundingSums(since_ns or 0, self._symbol)
        self._spells = Spells()
        self._halted_since: int | None = None
        self._halts = self._halted_ns = 0
        self._heard: list[Audit] = []
        self._telling = Retelling([self._heard.append])

    def take(self, record: Record) -> None:
        """Add one record."""
        ns = stamp(record)
        if ns and not self._begun and ns >= (self._since_ns or 0):
            self._begun = True
            self._leave_out()
        self._heard.clear()
        self._runs.take(record)
        self._telling.take(record)
        if self._telling.orders is None:
            return
        if self._begun and ns:
            self._records += 1
            self._first_ns = self._first_ns or ns
        self._last_ns = max(self._last_ns, ns)
        if isinstance(record, Checkpoint):
            self._load(record)
        elif isinstance(record, Latch):
            self._switch(record)
        elif self._begun:
            self._count(record)
        for audit in self._heard:
            if isinstance(audit, Filled):
                self._fill(audit)
            elif isinstance(audit, Moved):
                self._move(audit, record)

    def _leave_out(self) -> None:
        """Begin the span: what was realised and paid before is none of it."""
        self._before = {key: (one.realised, one.fees) for key, one in self._balanced().items()}

    def summary(self, chosen: Callable[[Line], bool], *, left_off: bool = False) -> Summary:
        """Return what it came to, of the lines that are chosen; asked once, at the end.

        left_off: the journal goes on behind it.
        """
        for since_ns, order in self._spells.lasting():
            self._of(order).doubt(self._last_ns - self._clip(since_ns))
        halted_ns = self._halted_ns
        if self._halted_since is not None:
            halted_ns += self._last_ns - self._clip(self._halted_since)
        lines: list[Line] = []
        totals: dict[str, Count] = {}
        for key, count in sorted(self._balanced().items()):
            quote = self._quotes[key[1]]
            line = self._line(*key, quote, count)
            if chosen(line):
                lines.append(line)
                totals.setdefault(quote, Count()).add(count)
        return Summary(
            begin=iso(self._first_ns) if self._first_ns else None,
            end=iso(self._last_ns) if self._last_ns else None,
            records=self._records,
            runs=self._runs.count,
            runs_cut=self._runs.cut,
            last_run_open=self._runs.last_open and not left_off,
            lines=lines,
            totals=[self._line("", "", quote, count) for quote, count in sorted(totals.items())],
            funding=self._funding.told(),
            halts=self._halts,
            halted_s=halted_ns / 1e9,
            halted=self._halted_since is not None,
            notes=self._notes(lines),
        )

    # --- records ------------------------------------------------------------------------------------------
    def _load(self, checkpoint: Checkpoint) -> None:
        """Take a run's beginning, or a new file's."""
        telling = self._telling
        assert telling.orders is not None
        assert telling.run is not None
        if not self._loaded:
            self._expired = expired(checkpoint)
            self._leave_out()
        self._loaded = True
        self._quotes.update((one.symbol, one.quote) for one in telling.orders.instruments)
        self._spells.loaded(telling.orders)
        if (latch := checkpoint.latch) is not None and latch.halted and self._halted_since is None:
            self._halted_since = latch.now_ns

    def _switch(self, latch: Latch) -> None:
        if latch.halted and self._halted_since is None:
            self._halted_since = latch.now_ns
            self._halts += self._begun
        elif not latch.halted and self._halted_since is not None:
            if self._begun:
                self._halted_ns += latch.now_ns - self._clip(self._halted_since)
            self._halted_since = None

    def _count(self, record: Record) -> None:
        orders = self._telling.orders
        assert orders is not None
        if isinstance(record, Placed):
            self._at(record.strategy, record.instrument).orders += 1
        elif isinstance(record, RefusedAction):
            why = REFUSAL_NAMES.get(record.code, str(record.code))
            self._at(record.strategy, record.instrument).refusals[why] += 1
        elif isinstance(record, Asked) and not record.qty_lots:
            order = orders.life.find(record.client_order_id)
            if order is not None:
                self._of(order).cancels += 1
        elif isinstance(record, Funding):
            self._funding.add(record)
        elif isinstance(record, FundingNamed):
            self._funding.name(record)

    def _fill(self, filled: Filled) -> None:
        telling, report, order = self._telling, filled.report, filled.order
        assert telling.orders is not None
        one, by = telling.orders.instruments[report.instrument], telling.by[report.instrument]
        self._marks[one.symbol] = _Mark(
            one.price.text(report.last_ticks), filled.now_ns, report.last_ticks * by.tick_lot, by.lot
        )
        if not self._begun:
            return
        count = self._of(order) if order is not None else self._named("", one.symbol)
        count.fills += 1
        notional = report.last_lots * report.last_ticks * by.tick_lot
        count.turnover += notional
        if report.is_maker:
            count.maker += notional
        if order is not None:
            value = worth(telling, order, report)
            count.own += notional
            count.limit_slippage += value.limit_slippage
            if value.slippage is not None:
                count.decided += notional
                count.slippage += value.slippage
        if report.commission:
            count.fees_paid[report.commission_asset] += to_units(report.commission)

    def _move(self, moved: Moved, record: Record) -> None:
        spell = self._spells.moved(moved)
        if not self._begun:
            return
        if spell is not None:
            self._of(moved.order).doubt(spell[1] - self._clip(spell[0]))
        if moved.after is State.REJECTED and moved.before is not State.REJECTED:
            count, report = self._of(moved.order), record if isinstance(record, ExecutionReport) else None
            if report is not None and report.unsent:
                count.unsent += 1
            else:
                count.rejections[str(report.code if report is not None else 0)] += 1

    # --- who is meant -------------------------------------------------------------------------------------
    def _named(self, strategy: str, symbol: str) -> Count:
        key = strategy, symbol
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = Count()
        return count

    def _of(self, order: Order) -> Count:
        return self._at(order.strategy, order.instrument)

    def _at(self, strategy: int, instrument: int) -> Count:
        orders = self._telling.orders
        assert orders is not None
        name = orders.desks[strategy].name if strategy < len(orders.desks) else str(strategy)
        return self._named(name, self._symbol(instrument))

    def _symbol(self, instrument: int) -> str:
        orders = self._telling.orders
        assert orders is not None
        return orders.instruments[instrument].symbol

    def _clip(self, ns: int) -> int:
        """Return when something began that lasts, within what is told of."""
        return max(ns, self._since_ns or 0)

    # --- sums ---------------------------------------------------------------------------------------------
    def _balanced(self) -> dict[tuple[str, str], Count]:
        """Return the counts with the daemon's own books in them, as they stand."""
        found: dict[tuple[str, str], Count] = {}
        for key, count in self._counts.items():
            found[key] = Count()
            found[key].add(count)
        orders = self._telling.orders
        if orders is None:
            return found
        for (strategy, row), held in orders.portfolio.holdings.items():
            desk = orders.desks[strategy]
            symbol = orders.instruments[desk.instruments[row]].symbol
            count = found.setdefault((desk.name, symbol), Count())
            count.qty += held.qty
            count.cost += held.cost
            count.realised += held.realised
            count.fees += held.fees
        for key, count in found.items():
            realised, fees = self._before.get(key, (0, 0))
            count.realised -= realised
            count.fees -= fees
            mark = self._marks.get(key[1])
            if count.qty:
                count.unrealised = None if mark is None else count.qty * mark.value // mark.lot - count.cost
        return found

    def _line(self, strategy: str, symbol: str, quote: str, count: Count) -> Line:
        """Return a line; without a symbol one of sums, where a position means nothing."""
        money = self._telling.priced
        mark = self._marks.get(symbol) if money and count.qty else None
        return Line(
            strategy=strategy,
            instrument=symbol,
            quote=quote,
            position=to_text(count.qty) if money and symbol else None,
            realised=to_text(count.realised) if money else None,
            unrealised=to_text(count.unrealised) if money and count.unrealised is not None else None,
            mark=mark.text if mark is not None else None,
            mark_time=iso(mark.ns) if mark is not None else None,
            fees=to_text(count.fees) if money else None,
            fees_paid={asset: to_text(units) for asset, units in sorted(count.fees_paid.items())},
            turnover=to_text(count.turnover) if money else None,
            slippage=to_text(count.slippage) if money and (count.decided or not count.own) else None,
            slippage_bps=bps(count.slippage, count.decided),
            limit_slippage=to_text(count.limit_slippage) if money else None,
            limit_slippage_bps=bps(count.limit_slippage, count.own),
            maker_share=count.maker / count.turnover if count.turnover else None,
            orders=count.orders,
            fills=count.fills,
            cancels=count.cancels,
            rejections=dict(sorted(count.rejections.items())),
            unsent=count.unsent,
            refusals=dict(sorted(count.refusals.items())),
            unknown=count.unknown,
            unknown_s=count.unknown_ns / 1e9,
            unknown_s_max=count.unknown_ns_max / 1e9,
        )

    def _notes(self, lines: list[Line]) -> list[str]:
        """Return what the figures cannot tell, in sentences."""
        notes = []
        if not self._telling.priced:
            notes.append("the journal's version recorded no tick and lot sizes, so money is unknown")
        unmarked = {one.instrument for one in lines if one.unrealised is None and self._telling.priced}
        if unmarked:
            notes.append(
                f"{', '.join(sorted(unmarked))} had no trade on record, so what is open there has no value"
            )
        orders = self._telling.orders
        waiting = sorted({asset for _, _, asset in orders.portfolio.unvalued}) if orders is not None else []
        if waiting:
            notes.append(
                f"some fees paid in {', '.join(waiting)} are no part of the fees in the quote: no value of "
                "theirs is on record"
            )
        undecided = sum(one.own - one.decided for one in self._counts.values())
        if undecided and self._telling.priced:
            share = undecided / sum(one.own for one in self._counts.values())
            notes.append(f"slippage leaves out {share:.1%} of the turnover, decided at what is not on record")
        return [*notes, *self._expired] if self._funding else [*notes, *self._expired, _NO_FUNDING]


def summarise(
    journal: Iterable[Record], since_ns: int | None, until_ns: int | None, chosen: Callable[[Line], bool]
) -> Summary:
    """Return what a journal comes to between two times; a record at `until_ns` is not part of it."""
    summing, left_off = Summing(since_ns), False
    for record in journal:
        if until_ns is not None and stamp(record) >= until_ns:
            left_off = True
            break
        summing.take(record)
    return summing.summary(chosen, left_off=left_off)
