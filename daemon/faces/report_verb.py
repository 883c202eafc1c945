"""`tickd report SESSION`: what a past session did, for people, for programs, or as a page.

SESSION is a journal's folder, or the folder of a session's tape, whose header names the journal and the run.
"""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, TickdError, UsageError
from daemon.faces.exports import check_target
from daemon.faces.session_report import make_report
from daemon.faces.session_report_page import page
from daemon.faces.session_report_text import lines
from daemon.faces.show import print_json
from daemon.orders.reader import read_all, segments
from daemon.orders.records import Run
from daemon.tape.manifest import SUFFIX as TAPE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.options import ReportOptions
    from daemon.orders.records import Record
    from daemon.tape.reader import Tape


def run(options: ReportOptions) -> int:
    """Report; raises UsageError for what is no session, JournalError, FileFormatError, TickdError."""
    if options.html is not None:
        check_target(options.html)
    disk = RealDisk()
    tape, folder, number = _find(options, disk)
    said: set[str] = set()

    def tell(text: str) -> None:
        if text not in said:
            print(f"tickd: {text}", file=sys.stderr)
            said.add(text)

    def reading() -> Iterator[Record]:
        return (record for _, _, record in read_all(disk, folder, tell))

    _check_run(reading(), folder, number, tape)
    report, drawn = make_report(reading, str(folder), number, tape)
    if options.html is not None:
        text = page(report, drawn)
        try:
            disk.replace(options.html, text.encode())
        except OSError as error:
            raise TickdError(f"{options.html} cannot be written: {error.strerror or error}") from None
    if options.json:
        print_json(report)
    else:
        for line in lines(report):
            sys.stdout.write(line + "\n")
    return EXIT_DONE


def _find(options: ReportOptions, disk: RealDisk) -> tuple[Tape | None, Path, int | None]:
    """Return the session's tape, its journal's folder and which run of it is meant: None is all."""
    given = options.session
    if given.is_dir() and not any(given.glob(f"*{TAPE_SUFFIX}")) and segments(disk, given):
        if options.journal is not None:
            raise UsageError(f"{given} is a journal itself: leave --journal out")
        return None, given, options.run
    from daemon.tape.reader import read_tape  # noqa: PLC0415 - pyarrow, and needed of a tape alone

    tape = read_tape(given)
    number, folder = tape.header.session.get("run"), tape.header.session.get("journal")
    if not isinstance(number, int) or not isinstance(folder, str):
        raise UsageError(f"{given} is a tape of the market alone, with no session in it to report of")
    if options.run is not None and options.run != number:
        raise UsageError(f"{given} is of run {number}: leave --run out, or name the journal's folder")
    return tape, options.journal or Path(folder), number


def _check_run(journal: Iterator[Record], folder: Path, number: int | None, tape: Tape | None) -> None:
    """Raise UsageError where there is no such run, no run at all, or only another daemon's of that number."""
    first = next(journal, None)
    if first is None:
        raise UsageError(f"{folder} holds no journal: name the one that the session wrote (--journal)")
    numbers = []
    for record in chain((first,), journal):
        if isinstance(record, Run) and record.run not in numbers:
            if tape is not None and record.prefix != tape.header.name:
                raise UsageError(
                    f"{folder} is the journal of {record.prefix}, and the tape is of {tape.header.name}: "
                    "name the one that the session wrote (--journal)"
                )
            if record.run == number or number is None:
                return
            numbers.append(record.run)
    has = f"it has {', '.join(map(str, numbers[-5:]))}" if numbers else "it has none"
    raise UsageError(f"{folder} holds no run{'' if number is None else f' {number}'} ({has})")
