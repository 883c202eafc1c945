"""`tickd journal A --slippage B`: what the same strategies got in two journals of one time, side by side.

One is live and the other on paper, say, both following the same market: what paper trading flatters shows as
a difference here. Orders of the two are not paired with each other, since a first fill that differs parts
them; what is compared is what came of all of them, by strategy and instrument, while both were at work.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from daemon.events import ExecutionReport
from daemon.faces.journal_table import aligned, iso, short, stamp
from daemon.faces.journal_views import told, worth
from daemon.orders.audit import Filled
from daemon.orders.records import Placed, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daemon.orders.order import Order
    from daemon.orders.records import Record
    from daemon.orders.retelling import Retelling

    Journal = Callable[[], Iterable[Record]]

#: words that are no answer of the venue's own accord
_OURS: Final = frozenset({"TIMEOUT", "NOT_FOUND"})
_COLUMNS: Final = (
    "strategy",
    "instrument",
    "journal",
    "orders",
    "filled",
    "fills",
    "maker",
    "bps",
    "bps p50",
    "bps p90",
    "answer ms",
    "fill ms",
)
_RIGHT: Final = frozenset(_COLUMNS[3:])
_NOTES: Final = (
    "filled: of the quantity ordered; bps: slippage against the mid when it was decided, above 0 a cost: of",
    "the turnover, and of a fill; answer, fill: medians, from the tick that was decided on to the venue's",
    "first word, and to an order's first trade",
)


class Part(msgspec.Struct, kw_only=True):
    """What came of one strategy's orders in one instrument; None where there was nothing to measure."""

    orders: int
    fills: int
    filled: float | None  # share of the quantity ordered
    maker: float | None  # share of the turnover
    slippage_bps: float | None  # of the turnover
    slippage_bps_p50: float | None  # of a fill
    slippage_bps_p90: float | None
    answer_ms_p50: float | None
    answer_ms_p90: float | None
    fill_ms_p50: float | None
    fill_ms_p90: float | None


class Pair(msgspec.Struct, kw_only=True):
    """One strategy in one instrument, in both journals."""

    strategy: str
    instrument: str
    this: Part
    other: Part


class Comparison(msgspec.Struct, kw_only=True):
    """Two journals of one time."""

    begin: str
    end: str
    this_mode: str
    other_mode: str
    pairs: list[Pair]


class Span(NamedTuple):
    """When a journal begins and ends, and in which mode its last run was."""

    begin_ns: int
    end_ns: int
    mode: str


class _Tally:
    """Orders and fills of one strategy in one instrument."""

    def __init__(self) -> None:
        self.orders = 0
        self.asked_lots = 0
        self.filled_lots = 0
        self.turnover = self.maker = self.decided = self.slippage = 0
        self.fill_bps: list[float] = []
        self.answer_ms: list[float] = []
        self.fill_ms: list[float] = []
        self.fills = 0

    def part(self) -> Part:
        """Return the figures."""
        return Part(
            orders=self.orders,
            fills=self.fills,
            filled=self.filled_lots / self.asked_lots if self.asked_lots else None,
            maker=self.maker / self.turnover if self.turnover else None,
            slippage_bps=self.slippage / self.decided * 1e4 if self.decided else None,
            slippage_bps_p50=_rank(self.fill_bps, 0.5),
            slippage_bps_p90=_rank(self.fill_bps, 0.9),
            answer_ms_p50=_rank(self.answer_ms, 0.5),
            answer_ms_p90=_rank(self.answer_ms, 0.9),
            fill_ms_p50=_rank(self.fill_ms, 0.5),
            fill_ms_p90=_rank(self.fill_ms, 0.9),
        )


class _Following:
    """Follows the orders that were placed within a time, and what the venue said of them."""

    def __init__(self, since_ns: int, until_ns: int) -> None:
        self._since_ns = since_ns
        self._until_ns = until_ns
        self._unanswered: dict[str, _Tally] = {}
        self._unfilled: set[str] = set()
        self._decided_ns: dict[str, int] = {}  # of the orders that are followed
        self.tallies: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)

    def take(self, telling: Retelling, record: Record, heard: Iterable[object]) -> None:
        """Take a record and what it brought about."""
        if isinstance(record, Placed):
            if self._since_ns <= record.now_ns < self._until_ns:
                self._place(telling, record)
        elif isinstance(record, ExecutionReport) and record.kind not in _OURS:
            tally = self._unanswered.pop(record.client_order_id, None)
            if tally is not None:
                tally.answer_ms.append(self._since_ms(record))
        for audit in heard:
            if isinstance(audit, Filled) and audit.order is not None:
                self._fill(telling, audit.order, audit.report)

    def _place(self, telling: Retelling, placed: Placed) -> None:
        orders, run = telling.orders, telling.run
        assert orders is not None
        assert run is not None
        cid = orders.ids.at(run.run, placed.seq)
        order = orders.life.find(cid)
        if order is None:
            return
        tally = self._of(telling, order)
        tally.orders += 1
        tally.asked_lots += order.qty_lots
        self._unanswered[cid] = tally
        self._unfilled.add(cid)
        self._decided_ns[cid] = placed.now_ns

    def _fill(self, telling: Retelling, order: Order, report: ExecutionReport) -> None:
        cid = order.client_order_id
        if cid not in self._decided_ns:
            return  # of an order from before
        tally, value = self._of(telling, order), worth(telling, order, report)
        notional = abs(value.notional)
        tally.fills += 1
        tally.filled_lots += report.last_lots
        tally.turnover += notional
        tally.maker += notional if report.is_maker else 0
        if value.slippage is not None and notional:
            tally.decided += notional
            tally.slippage += value.slippage
            tally.fill_bps.append(value.slippage / notional * 1e4)
        if cid in self._unfilled:
            self._unfilled.discard(cid)
            tally.fill_ms.append(self._since_ms(report))

    def _since_ms(self, report: ExecutionReport) -> float:
        return (report.wire_ns - self._decided_ns[report.client_order_id]) / 1e6

    def _of(self, telling: Retelling, order: Order) -> _Tally:
        assert telling.orders is not None
        name = telling.orders.desks[order.strategy].name
        return self.tallies[name, telling.orders.instruments[order.instrument].symbol]


def compare(
    this: Journal,
    other: Journal,
    since_ns: int | None,
    until_ns: int | None,
    chosen: Callable[[Pair], bool],
) -> Comparison | None:
    """Compare the orders placed while both journals were written, and between the two times where given.

    Each journal is read twice. Return None where they have no time in common.
    """
    spans = [span(this()), span(other())]
    begin_ns = max(*(one.begin_ns for one in spans), since_ns or 0)
    end_ns = min(one.end_ns for one in spans) + 1
    if until_ns is not None:
        end_ns = min(end_ns, until_ns)
    if begin_ns >= end_ns:
        return None
    mine, theirs = (_follow(journal(), begin_ns, end_ns) for journal in (this, other))
    pairs = [
        Pair(strategy=key[0], instrument=key[1], this=mine[key].part(), other=theirs[key].part())
        for key in sorted({*mine, *theirs})
    ]
    return Comparison(
        begin=iso(begin_ns),
        end=iso(end_ns - 1),
        this_mode=spans[0].mode,
        other_mode=spans[1].mode,
        pairs=[pair for pair in pairs if chosen(pair)],
    )


def span(journal: Iterable[Record]) -> Span:
    """Return what time a journal tells of."""
    first_ns = last_ns = 0
    mode = ""
    for record in journal:
        ns = stamp(record)
        first_ns = first_ns or ns
        last_ns = max(last_ns, ns)
        if isinstance(record, Run):
            mode = str(tomllib.loads(record.config).get("mode", ""))
    return Span(first_ns, last_ns, mode)


def _follow(journal: Iterable[Record], since_ns: int, until_ns: int) -> defaultdict[tuple[str, str], _Tally]:
    following = _Following(since_ns, until_ns)
    for telling, record, heard in told(journal):
        following.take(telling, record, heard)
    return following.tallies


def comparison(found: Comparison) -> Iterator[str]:
    """Yield the lines of it; "-" stands where there was nothing to measure."""
    yield f"orders placed from {short(found.begin)} to {short(found.end)} UTC"
    yield ""
    modes = [found.this_mode or "this", found.other_mode or "other"]
    if modes[0] == modes[1]:
        modes = [f"{modes[0]}, this", f"{modes[1]}, other"]
    cells: list[tuple[str, ...]] = [_COLUMNS]
    for pair in found.pairs:
        cells.append(_cells(pair.strategy, pair.instrument, modes[0], pair.this))
        cells.append(_cells("", "", modes[1], pair.other))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield aligned(_COLUMNS, row, widths, _RIGHT)
    yield ""
    yield from _NOTES


def _cells(strategy: str, instrument: str, mode: str, part: Part) -> tuple[str, ...]:
    return (
        strategy,
        instrument,
        mode,
        f"{part.orders:,}",
        "-" if part.filled is None else f"{part.filled:.1%}",
        f"{part.fills:,}",
        "-" if part.maker is None else f"{part.maker:.1%}",
        *(_number(one) for one in (part.slippage_bps, part.slippage_bps_p50, part.slippage_bps_p90)),
        *(_number(one) for one in (part.answer_ms_p50, part.fill_ms_p50)),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3f}"


def _rank(values: list[float], share: float) -> float | None:
    """Return the value that so large a share of them does not exceed; the middle of two for a half."""
    if not values:
        return None
    if share == 0.5:
        return median(values)
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
