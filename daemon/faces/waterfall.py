"""One order's way, step by step, with the time between, from what the journal recorded of it.

An order's record bears the time of what it was decided on: the wire time of the tick, or of the fill or timer
that woke the strategy. A report bears when it came and, by the venue's own clock, when it was made. When the
order was approved and when it was sent is not recorded: those spans are kept of all orders together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.events import ExecutionReport
from daemon.faces.journal_table import ENDS, aligned, rows_of, short, stamp
from daemon.orders.records import Asked, Placed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.orders.records import Record

#: said below the table
NOTE: Final = "Deciding, checking and sending lie within the first step; `tickd state` has them by stage."
_RIGHT: Final = frozenset({"since_ns", "step_ns", "venue_ns", "price", "quantity"})
#: a query's answer, or its absence, is no word that came by itself
_OURS: Final = frozenset({"TIMEOUT", "NOT_FOUND"})


class Step(NamedTuple):
    """One record; `since_ns` and `venue_ns` count from the first one on, by our and by the venue's clock."""

    time: str
    stage: str
    since_ns: int
    step_ns: int  # from the one before
    venue_ns: int | None
    what: str
    price: str
    quantity: str
    state: str
    reason: str


def steps(journal: Iterable[Record], order: str) -> Iterator[Step]:
    """Yield what is on record of an order, oldest first; `order` is its client order id."""
    first_ns = before_ns = 0
    answered = False
    for record, row in rows_of(journal):
        if row.order != order:
            continue
        ns = stamp(record)
        venue_ns = record.exch_ns if isinstance(record, ExecutionReport) else 0  # 0: it does not say
        if not first_ns:
            first_ns = before_ns = ns
        stages = [] if isinstance(record, ExecutionReport) else [_asked(record)]
        if isinstance(record, ExecutionReport) and record.kind not in _OURS:
            stages += [] if answered else ["first word"]
            answered = True
            stages += ["fill"] if record.kind == "TRADE" else []
        stages += ["end"] if row.state in ENDS else []
        yield Step(
            short(row.time),
            ", ".join(stages),
            ns - first_ns,
            ns - before_ns,
            venue_ns - first_ns if venue_ns else None,
            row.what,
            row.price,
            row.quantity,
            row.state,
            row.reason,
        )
        before_ns = ns


def waterfall(found: list[Step]) -> Iterator[str]:
    """Yield the steps as a table, and what it cannot tell."""
    titles = ("time (UTC)", "stage", "since us", "step us", "venue us", *Step._fields[5:])
    cells = [titles, *(tuple(_us(cell) for cell in one) for one in found)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield aligned(Step._fields, row, widths, _RIGHT)
    yield NOTE


def _asked(record: Record) -> str:
    """Return the stage of a record that no report made."""
    if isinstance(record, Placed):
        return "tick"
    return "asked" if isinstance(record, Asked) else "settled"


def _us(cell: str | int | None) -> str:
    """Return a cell as text, nanoseconds as microseconds."""
    return f"{cell / 1000:,.1f}" if isinstance(cell, int) else cell or ""
