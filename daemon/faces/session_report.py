"""What a report of a past session holds, composed of what its journal and its tape tell."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from daemon.faces.journal_summary import Summary, summarise
from daemon.faces.journal_table import iso, stamp
from daemon.faces.journal_views import commands, orders
from daemon.faces.report_books import Books
from daemon.orders.money import to_text
from daemon.orders.order import State
from daemon.orders.records import Ended, Run
from daemon.session.gaps import find_gaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daemon.orders.records import Record
    from daemon.tape.reader import Tape

#: where the journal's configuration does not say
_SILENT_MS: Final = 5_000


class RanRun(msgspec.Struct, kw_only=True):
    """A run of the session."""

    run: int
    begin: str
    end: str | None  # None: it has no end on record
    version: str
    mode: str  # "" where its configuration does not tell
    exchange: str
    strategies: dict[str, list[str]]  # the symbols of each


class Result(msgspec.Struct, kw_only=True):
    """What was gained, after fees, what is open valued at our last trades; exact, as text."""

    strategy: str  # empty: all in this quote
    quote: str
    result: str
    fall: str | None = None  # of all: the deepest fall from a peak of it
    fall_from: str | None = None
    fall_to: str | None = None


class FirstWords(msgspec.Struct, kw_only=True):
    """From what an order was decided on to the venue's first word of it, in ms."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Happening(msgspec.Struct, kw_only=True):
    """A command, a halt or its end, or an alarm."""

    time: str
    kind: str
    text: str


class FeedGap(msgspec.Struct, kw_only=True):
    """A time in which a connection brought nothing."""

    begin: str
    end: str | None  # None: nothing came any more
    seconds: float | None
    connection: int
    cut: bool  # else it was silent for longer than `feed.stale_ms`


class Feed(msgspec.Struct, kw_only=True):
    """What the tape tells of the feed."""

    frames: int
    gaps: int
    listed: list[FeedGap]  # the earliest
    notes: list[str]


class SessionReport(msgspec.Struct, kw_only=True):
    """A session: a journal's runs, or one of them."""

    journal: str
    tape: str | None
    name: str
    runs: list[RanRun]
    summary: Summary
    results: list[Result]  # by quote, in all and by strategy
    orders: dict[str, int]  # decided in the session, by the state they were left in
    rejections: dict[str, int]  # of these, by the reason
    refusals: dict[str, int]
    first_words: FirstWords | None
    happenings: list[Happening]
    feed: Feed | None
    notes: list[str]


class Drawn(msgspec.Struct):
    """What only a page shows: by quote the result after each trade, times in ns."""

    curves: dict[str, tuple[Any, Any]]


def make_report(
    reading: Callable[[], Iterable[Record]], journal: str, run: int | None, tape: Tape | None
) -> tuple[SessionReport, Drawn]:
    """Read a journal as often as it takes; `run` narrows it to one, which it holds.

    Raises JournalError, and FileFormatError of the tape.
    """
    ran, since_ns, silent_ms = _runs(_until(reading(), run), run)
    begin_ns = since_ns if run is not None else None
    summary = summarise(_until(reading(), run), begin_ns, None, lambda _: True)
    books = Books(since_ns)
    for record in _until(reading(), run):
        books.take(record)
    rows = [row for ns, row in orders(_until(reading(), run)) if ns >= since_ns]
    told = [(ns, row.kind, row) for ns, row in commands(_until(reading(), run)) if ns >= since_ns]
    happenings = [
        (ns, kind, f"{row.source}: {row.reason}" if row.reason else row.source) for ns, kind, row in told
    ]
    happenings = sorted([*happenings, *books.alarms], key=lambda one: one[0])
    refusals: Counter[str] = Counter()
    for line in summary.lines:
        refusals.update(line.refusals)
    notes = ["alarms of the feed and of the machine are in the log alone: the journal has none of them"]
    if tape is None:
        notes.append("no tape is given, so gaps of the feed are unknown: name the session's folder of a tape")
    report = SessionReport(
        journal=journal,
        tape=None if tape is None else str(tape.path),
        name=_name(reading()),
        runs=ran,
        summary=summary,
        results=_results(books) if books.priced else [],
        orders=dict(Counter(State[row.state].name for row in rows).most_common()),
        rejections=dict(
            Counter(row.reason or "no reason told" for row in rows if row.state == "REJECTED").most_common()
        ),
        refusals=dict(refusals.most_common()),
        first_words=_first_words(books),
        happenings=[Happening(time=iso(ns), kind=kind, text=text) for ns, kind, text in happenings],
        feed=None if tape is None else _feed(tape, silent_ms),
        notes=notes,
    )
    drawn = {
        quote: (np.array(one.times_ns, dtype=np.int64), np.array([float(to_text(v)) for v in one.values]))
        for quote, one in books.curves.items()
        if books.priced
    }
    return report, Drawn(drawn)


def _until(journal: Iterable[Record], run: int | None) -> Iterator[Record]:
    """Yield the records up to the end of a run: what was before it is where it began."""
    inside = False
    for record in journal:
        if isinstance(record, Run):
            if inside and record.run != run:
                return
            inside = record.run == run
        yield record


def _name(journal: Iterable[Record]) -> str:
    return next((record.prefix for record in journal if isinstance(record, Run)), "")


def _runs(journal: Iterable[Record], run: int | None) -> tuple[list[RanRun], int, int]:
    """Return the runs told of, when the first began (0: all are) and which silence is a gap, in ms."""
    found: dict[int, RanRun] = {}
    since_ns, silent_ms, number = 0, _SILENT_MS, 0
    for record in journal:
        if isinstance(record, Run):
            number = record.run
            if number in found or (run is not None and number != run):
                continue  # it stands at the beginning of each of its files
            config = tomllib.loads(record.config)
            silent_ms = config.get("feed", {}).get("stale_ms", silent_ms)
            since_ns = record.now_ns if run is not None else 0
            found[number] = RanRun(
                run=number,
                begin=iso(record.now_ns),
                end=None,
                version=record.program,
                mode=config.get("mode", ""),
                exchange=config.get("feed", {}).get("exchange", ""),
                strategies=dict(record.strategies),
            )
        elif isinstance(record, Ended) and number in found:
            found[number].end = iso(stamp(record))
    return list(found.values()), since_ns, silent_ms


def _results(books: Books) -> list[Result]:
    """Return the sums by quote, each followed by its parts."""
    by_strategy: Counter[tuple[str, str]] = Counter()
    for (strategy, symbol), units in books.results().items():
        by_strategy[books.quote(symbol), strategy] += units
    found = []
    for quote in sorted({quote for quote, _ in by_strategy} | books.curves.keys()):
        parts = {name: units for (its, name), units in sorted(by_strategy.items()) if its == quote}
        fall = books.curves[quote].fall if quote in books.curves else None
        fell = fall is not None and fall.units > 0
        found.append(
            Result(
                strategy="",
                quote=quote,
                result=to_text(sum(parts.values())),
                fall=None if fall is None else to_text(fall.units),
                fall_from=iso(fall.peak_ns) if fall is not None and fell else None,
                fall_to=iso(fall.bottom_ns) if fall is not None and fell else None,
            )
        )
        found += [Result(strategy=name, quote=quote, result=to_text(units)) for name, units in parts.items()]
    return found


def _first_words(books: Books) -> FirstWords | None:
    if not books.first_words_ns:
        return None
    spans_ms = np.array(books.first_words_ns, dtype=np.float64) / 1e6
    p50, p99, most = (float(np.quantile(spans_ms, share)) for share in (0.5, 0.99, 1.0))
    return FirstWords(count=len(spans_ms), p50_ms=p50, p99_ms=p99, max_ms=most)


def _feed(tape: Tape, silent_ms: int) -> Feed:
    gaps = find_gaps(tape.batches(), silent_ms * 1_000_000, closed=tape.closed)
    notes = [str(cut) for cut in tape.cuts]
    if tape.lost_from >= 0:
        notes.append(f"the recorder lost entries from {tape.lost_from} on")
    if gaps.total > len(gaps.kept):
        notes.append(f"only the first {len(gaps.kept):,} of its gaps are listed")
    return Feed(
        frames=gaps.frames,
        gaps=gaps.total,
        listed=[
            FeedGap(
                begin=iso(one.begin_ns),
                end=iso(one.end_ns) if one.end_ns else None,
                seconds=(one.end_ns - one.begin_ns) / 1e9 if one.end_ns else None,
                connection=one.connection,
                cut=one.cut,
            )
            for one in gaps.kept
        ],
        notes=notes,
    )
