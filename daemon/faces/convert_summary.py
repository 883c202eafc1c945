"""What a conversion prints: a bar while it takes over a second, then a table, or JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from daemon.faces.show import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.tape.convert import Converted

_PATIENCE_NS: Final = 1_000_000_000
_STEPS: Final = 1000
_CLEAN: Final = "nothing wrong was found: no gap, no repetition, no disorder, nothing impossible"


class Advance:
    """A progress bar that appears after a second, on a terminal alone."""

    def __init__(self, console: Console, mono_ns: Callable[[], int]) -> None:
        self._console = console
        self._mono_ns = mono_ns
        self._shown_ns = mono_ns() + _PATIENCE_NS
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def to(self, name: str, part: float) -> None:
        """Show that this part of the work, 0 to 1, is done, and what is being read."""
        if self._bar is None:
            if not self._console.is_terminal or self._mono_ns() < self._shown_ns:
                return
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(name, total=_STEPS)
            self._bar.start()
        self._bar.update(self._task, completed=min(part, 1.0) * _STEPS, description=name)


def show(result: Converted, *, as_json: bool) -> None:
    """Print what a conversion did and found."""
    if as_json:
        print_json(result)
        return
    console = Console()
    for part in (_read(result), _written(result)):
        console.print(part)
    each = f"{result.bytes_per_tick:.2f} a tick, " if result.bytes_per_tick else ""
    each += f"{result.bytes_per_row:.2f} a row"
    console.print(f"{result.bytes:,} bytes in {result.seconds:.2f} s, {each}", highlight=False)
    console.print(_found(result) if result.findings else _CLEAN)


def _read(result: Converted) -> Table:
    grid = Table("file", "form", "instrument", "events", title="read")
    for one in result.inputs:
        events = {
            "trades": one.trades,
            "quotes": one.quotes,
            "depth updates": one.depth_updates,
            "books": one.snapshots,
            "bars": one.bars,
        }
        told = ", ".join(f"{count:,} {name}" for name, count in events.items() if count)
        form = f"{one.form}, SHA-256 holds" if one.checksum else one.form
        grid.add_row(one.file, form, one.symbol, told or "none")
    return grid


def _written(result: Converted) -> Table:
    grid = Table("file", "rows", "bytes", title="written")
    for one in result.outputs:
        grid.add_row(one.path, f"{one.rows:,}", f"{one.bytes:,}")
    return grid


def _found(result: Converted) -> Table:
    grid = Table("instrument", "what", "count", "row", "time", "the first of them", title="found in the data")
    for symbol, findings in result.findings.items():
        for kind, found in findings.items():
            for number, place in enumerate(found.first):
                head = (symbol, kind, f"{found.count:,}") if not number else ("", "", "")
                where = f"{place.row:,}" if len(result.inputs) == 1 else f"{place.file} {place.row:,}"
                grid.add_row(*head, where, place.time, place.text)
    return grid
