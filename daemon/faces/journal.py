"""`tickd journal`: what happened, as rows, sentences, sums or files.

The journal is read once, from its first record to its last, and forgotten as it is told: its length costs
time and no memory.
"""

from __future__ import annotations

import sys
from array import array
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, UsageError
from daemon.faces.exports import check_target, write_csv, write_parquet
from daemon.faces.journal_choice import Choice
from daemon.faces.journal_figures import figures
from daemon.faces.journal_slippage import Pair, compare, comparison
from daemon.faces.journal_story import story
from daemon.faces.journal_summary import Line, summarise
from daemon.faces.journal_table import Row, RowReader, iso, rows_of, stamp, table
from daemon.faces.journal_views import VIEWS
from daemon.faces.show import print_json
from daemon.faces.waterfall import steps, waterfall
from daemon.orders.reader import read_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.options import JournalOptions
    from daemon.orders.records import Record

    Entry = tuple[Path, int, Record]

#: the questions that are not for rows, and the options that narrow each
_NARROWED: Final[dict[str, frozenset[str]]] = {
    "summary": frozenset({"symbol", "strategy", "since_ns", "until_ns"}),
    "slippage": frozenset({"symbol", "strategy", "since_ns", "until_ns"}),
    "waterfall": frozenset(),
    "order": frozenset(),
}
_OPTIONS: Final = ("symbol", "strategy", "order", "kind", "since_ns", "until_ns", "last", "csv", "parquet")


def run(options: JournalOptions) -> int:
    """Do what the options ask; raises UsageError and JournalError."""
    _check(options)
    if options.waterfall is not None:
        _print_waterfall(options, options.waterfall)
    elif options.summary:
        _print_summary(options)
    elif options.slippage is not None:
        _print_slippage(options, options.slippage)
    elif options.order is not None and not options.show:
        _print_story(options, options.order)
    elif options.json and options.show in {"", "records"} and options.csv is options.parquet is None:
        _print_raw(options)
    else:
        _print_rows(options)
    return EXIT_DONE


def _check(options: JournalOptions) -> None:
    """Refuse what does not go together, and files that cannot be written, before any work is done."""
    questions = ("show", "summary", "slippage", "waterfall")
    asked = [name for name in questions if getattr(options, name) not in {None, False, ""}]
    if len(asked) > 1:
        raise UsageError(f"--{asked[0]} and --{asked[1]} are two questions: ask one")
    question = asked[0] if asked else "order" if options.order is not None else "show"
    narrowed = _NARROWED.get(question, frozenset(_OPTIONS))
    for name in _OPTIONS:
        if name not in narrowed and name != question and getattr(options, name) is not None:
            option = name.removesuffix("_ns")
            raise UsageError(f"--{question} takes no --{option}; --show does, of rows")
    if options.csv is not None and options.parquet is not None:
        raise UsageError("--csv and --parquet are two files of one reading: ask for one at a time")
    if options.csv is not None:
        check_target(options.csv)
    elif options.parquet is not None:
        check_target(options.parquet)


# --- rows ---------------------------------------------------------------------------------------------------
def _print_rows(options: JournalOptions) -> None:
    """Print a view, or write it to files."""
    fields, rows = _chosen(options)
    if options.csv is not None:
        print(f"{write_csv(options.csv, fields, rows):,} rows are in {options.csv}")
    elif options.parquet is not None:
        print(f"{write_parquet(options.parquet, fields, rows):,} rows are in {options.parquet}")
    elif options.json:
        for row in rows:
            print_json({name: cell or None for name, cell in zip(fields, row, strict=True)})
    else:
        for line in table(fields, rows):
            sys.stdout.write(line + "\n")


def _chosen(options: JournalOptions) -> tuple[tuple[str, ...], Iterator[tuple[str, ...]]]:
    """Return the wanted view's fields and the rows that are wanted of it."""
    records = _records(options.folder)
    if options.show in {"", "records"}:
        choice = Choice(options, Row._fields, "what")
        found: Iterator[tuple[int, NamedTuple]] = (
            (stamp(record), row) for record, row in rows_of(choice.watch(records))
        )
        return Row._fields, choice.rows(found)
    kind, view = VIEWS[options.show]
    choice = Choice(options, kind._fields, "kind")
    return kind._fields, choice.rows(view(choice.watch(records)))


def _print_raw(options: JournalOptions) -> None:
    """Print records as they are, an object a line, with the place where each stands."""
    choice = Choice(options, Row._fields, "what")
    reader = RowReader()
    entries = _entries(options.folder)
    place: deque[Entry] = deque(maxlen=1)

    def watched() -> Iterator[Record]:
        for entry in entries:
            place.append(entry)
            yield entry[2]

    def wanted() -> Iterator[Entry]:
        for record in choice.watch(watched()):
            row = reader.row(record)
            if choice.all if row is None else choice.wants(stamp(record), row):
                yield place[0]

    found = False
    for path, offset, record in wanted() if options.last is None else deque(wanted(), options.last):
        found = True
        fields = {key: _plain(value) for key, value in msgspec.structs.asdict(record).items()}
        print_json({"file": path.name, "offset": offset, "record": type(record).__name__, **fields})
    if not found:
        choice.explain_nothing()


def _print_summary(options: JournalOptions) -> None:
    """Print what it comes to."""
    whole = msgspec.structs.replace(options, since_ns=None, until_ns=None)
    choice = Choice(whole, Line.__struct_fields__, "")
    records = choice.watch(_records(options.folder))
    summary = summarise(records, options.since_ns, options.until_ns, lambda line: choice.wants(0, line))
    if not summary.lines:
        choice.explain_nothing()
    if options.json:
        print_json(summary)
        return
    for line in figures(summary):
        sys.stdout.write(line + "\n")


def _print_slippage(options: JournalOptions, other: Path) -> None:
    """Print what came of the orders of two journals of one time."""
    choice = Choice(
        msgspec.structs.replace(options, since_ns=None, until_ns=None), Pair.__struct_fields__, ""
    )
    found = compare(
        lambda: choice.watch(_records(options.folder)),
        lambda: choice.watch(_records(other)),
        options.since_ns,
        options.until_ns,
        lambda pair: choice.wants(0, pair),
    )
    if found is None:
        raise UsageError(f"{options.folder} and {other} have no time in common: nothing can be compared")
    if not found.pairs:
        choice.explain_nothing()
    if options.json:
        print_json(found)
        return
    for line in comparison(found):
        sys.stdout.write(line + "\n")


# --- one order ----------------------------------------------------------------------------------------------
def _print_waterfall(options: JournalOptions, order: str) -> None:
    """Print one order's way through the journal."""
    found = list(steps(_records(options.folder), order)) if order else []
    if not found:
        raise _no_order(options.folder, order)
    if options.json:
        for one in found:
            print_json(one._asdict())
        return
    for line in waterfall(found):
        sys.stdout.write(line + "\n")


def _print_story(options: JournalOptions, order: str) -> None:
    """Explain one order in sentences."""
    told = False
    for ns, sentence in story(_records(options.folder), order):
        told = True
        if options.json:
            print_json({"time": iso(ns), "what": sentence})
        else:
            sys.stdout.write(f"{iso(ns)}  {sentence}\n")
    if not told:
        raise _no_order(options.folder, order)


def _no_order(folder: Path, order: str) -> UsageError:
    return UsageError(f"{folder} holds no order {order!r}; tickd journal {folder} lists them")


# --- reading ------------------------------------------------------------------------------------------------
def _records(folder: Path) -> Iterator[Record]:
    return (record for _, _, record in _entries(folder))


def _entries(folder: Path) -> Iterator[Entry]:
    """Return the journal's entries; raises UsageError where there is none. A torn tail is told."""
    entries = read_all(RealDisk(), folder, lambda text: print(f"tickd: {text}", file=sys.stderr))
    first = next(entries, None)
    if first is None:
        raise UsageError(
            f"{folder} holds no journal; a daemon keeps its own in var/NAME/journal-MODE, the demo in "
            "var/demo/journal"
        )
    return chain((first,), entries)


def _plain(value: Any) -> Any:
    """Return a record's feature row, float64 bytes, as numbers; all else is as JSON takes it."""
    return list(array("d", value)) if isinstance(value, bytes) else value
