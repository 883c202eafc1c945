"""What `tickd bars` prints: the last bars as a table for people, or all it found as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from daemon.faces.journal_table import iso
from daemon.faces.show import print_json

if TYPE_CHECKING:
    from daemon.tape.bars import BarsResult

_WIDTH_MIN: Final = 120
_NUMBERS: Final = ("open", "high", "low", "close", "volume", "count", "buy_volume")


def show(result: BarsResult, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print_json(result)
        return
    console = Console()
    # numbers are not cut: lines wrap where a screen is narrower
    Console(width=max(console.width, _WIDTH_MIN)).print(table(result))
    console.print(sentence(result), markup=False, highlight=False)


def table(result: BarsResult) -> Table:
    """Draw the last bars; an incomplete one is marked."""
    title = f"{result.symbol}, {result.by}: the last {len(result.last)} of {result.bars:,} bars"
    grid = Table(title=title, box=None)
    grid.add_column("opened, UTC", no_wrap=True)
    for name in _NUMBERS:
        grid.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    grid.add_column("")
    for bar in result.last:
        mark = "" if bar["complete"] == "1" else "incomplete"
        grid.add_row(iso(int(bar["open_ns"])), *(bar[name] for name in _NUMBERS), mark)
    return grid


def sentence(result: BarsResult) -> str:
    """Say how many trades made them, and what was wrong with the file."""
    faults = {
        "trades missed": result.missed,
        "repeated": result.repeated,
        "stamped backwards": result.backwards,
        "without price or quantity": result.ignored,
        "of an unknown side": result.sideless,
        **{f"frames refused ({reason})": count for reason, count in result.errors.items()},
    }
    found = ", ".join(f"{name} {count:,}" for name, count in faults.items() if count) or "none"
    return f"{result.trades:,} trades, {result.empty:,} intervals without one; faults: {found}"
