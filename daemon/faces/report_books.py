"""What a session's result was as it grew: the daemon's own books, valued after each trade.

What a journal's summary says of the end, this says of the whole way: realised results, less fees, and what
is open at the price of the last trade of ours in the instrument. What is held before any trade in it is on
record counts at its cost. Beside it how soon the venue's first word came of each order, and what alarmed.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.events import ExecutionReport
from daemon.faces.journal_table import stamp
from daemon.orders.audit import Alarm, Filled
from daemon.orders.records import Checkpoint, Met, Placed, Run
from daemon.orders.retelling import Retelling

if TYPE_CHECKING:
    from daemon.orders.audit import Audit
    from daemon.orders.records import Record

#: (strategy, instrument)
Key = tuple[str, str]
#: an answer to a question of ours, or its absence, is no word that came by itself
_OURS: Final = frozenset({"TIMEOUT", "NOT_FOUND"})
#: orders whose first word is waited for; beyond, the oldest is given up
_WAITING_MAX: Final = 4096


class Fall(NamedTuple):
    """The deepest fall of a result from its peak, in units of the quote; 0 from 0 to 0: it never fell."""

    units: int = 0
    peak_ns: int = 0
    bottom_ns: int = 0


class Curve:
    """The result in one quote, in units, after each trade of a session."""

    def __init__(self, begin_ns: int) -> None:
        self.times_ns = array("q", [begin_ns])
        self.values: list[int] = [0]
        self.fall = Fall()
        self._peak, self._peak_ns = 0, begin_ns

    def add(self, ns: int, value: int) -> None:
        """Take the result as it now is."""
        self.times_ns.append(ns)
        self.values.append(value)
        if value >= self._peak:
            self._peak, self._peak_ns = value, ns
        elif self._peak - value > self.fall.units:
            self.fall = Fall(self._peak - value, self._peak_ns, ns)


class Books:
    """Follows a journal, record by record; what is before `since_ns` is only its beginning."""

    def __init__(self, since_ns: int = 0) -> None:
        self.curves: dict[str, Curve] = {}  # by quote
        self.first_words_ns = array("q")  # from the tick, timer or trade that was decided on
        self.alarms: list[tuple[int, str, str]] = []  # time, kind, text
        self._since_ns = since_ns
        self._begun = False
        self._start: dict[Key, int] = {}
        self._values: dict[Key, int] = {}
        self._marks: dict[str, tuple[int, int]] = {}  # what a lot was worth, and the lot, in units
        self._quotes: dict[str, str] = {}
        self._waiting: dict[str, int] = {}
        self._head = ""
        self._heard: list[Audit] = []
        self._telling = Retelling([self._heard.append])

    def take(self, record: Record) -> None:
        """Let one record happen."""
        self._heard.clear()
        self._telling.take(record)
        orders, ns = self._telling.orders, stamp(record)
        if orders is None:
            return
        if isinstance(record, Run):
            self._head = f"{record.prefix}-{record.run}-"
            self._quotes.update((one.symbol, one.quote) for one in orders.instruments)
        elif isinstance(record, Checkpoint):
            self._value_all()
        if not self._begun and ns >= self._since_ns and not isinstance(record, Run):
            self._begin(ns)
        self._time(record, ns)
        for audit in self._heard:
            if isinstance(audit, Filled):
                self._fill(audit)
            elif isinstance(audit, Alarm) and self._begun:
                self.alarms.append((audit.now_ns, audit.kind, audit.text))
        if isinstance(record, Met) and self._begun:
            self.alarms += [(ns, "meeting", text) for text in record.settled]
            self.alarms += [(ns, "meeting, not settled", text) for text in record.fatal]

    def results(self) -> dict[Key, int]:
        """Return what each strategy gained in each instrument since the beginning, in units of its quote."""
        self._value_all()
        keys = self._values.keys() | self._start.keys()
        return {key: self._values.get(key, 0) - self._start.get(key, 0) for key in sorted(keys)}

    @property
    def priced(self) -> bool:
        """Whether the journal tells money at all: an older version's does not."""
        return self._telling.priced

    def quote(self, symbol: str) -> str:
        """Return what an instrument's results are in."""
        return self._quotes[symbol]

    def _begin(self, ns: int) -> None:
        self._begun = True
        self._start = dict(self._values)
        self.curves = {quote: Curve(ns) for quote in sorted(set(self._quotes.values()))}

    def _time(self, record: Record, ns: int) -> None:
        """Note when an order was decided, and when the first word of it came."""
        if isinstance(record, Placed) and self._begun:
            self._waiting[f"{self._head}{record.seq}"] = ns
            if len(self._waiting) > _WAITING_MAX:
                del self._waiting[next(iter(self._waiting))]
        elif isinstance(record, ExecutionReport):
            since_ns = self._waiting.pop(record.client_order_id, None)
            if since_ns is not None and record.kind not in _OURS and not record.unsent:
                self.first_words_ns.append(ns - since_ns)

    # --- money --------------------------------------------------------------------------------------------
    def _fill(self, filled: Filled) -> None:
        telling, report = self._telling, filled.report
        assert telling.orders is not None
        one, by = telling.orders.instruments[report.instrument], telling.by[report.instrument]
        self._marks[one.symbol] = report.last_ticks * by.tick_lot, by.lot
        for desk in telling.orders.desks:
            for row, instrument in enumerate(desk.instruments):
                if instrument == report.instrument:
                    self._value(desk.index, row, (desk.name, one.symbol))
        if self._begun:
            total = sum(
                value - self._start.get(key, 0)
                for key, value in self._values.items()
                if self._quotes[key[1]] == one.quote
            )
            self.curves.setdefault(one.quote, Curve(filled.now_ns)).add(filled.now_ns, total)

    def _value(self, strategy: int, row: int, key: Key) -> None:
        assert self._telling.orders is not None
        held = self._telling.orders.portfolio.holdings.get((strategy, row))
        if held is None:
            return
        mark = self._marks.get(key[1])
        open_units = held.qty * mark[0] // mark[1] - held.cost if mark is not None and held.qty else 0
        self._values[key] = held.realised - held.fees + open_units

    def _value_all(self) -> None:
        orders = self._telling.orders
        if orders is None:
            return
        for strategy, row in orders.portfolio.holdings:
            desk = orders.desks[strategy]
            self._value(strategy, row, (desk.name, orders.instruments[desk.instruments[row]].symbol))
