"""What a fetch prints: a table, or JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from daemon.faces.show import print_json
from daemon.tape.dirty import sentence

if TYPE_CHECKING:
    from daemon.fetch.verb import Fetched


def show(result: Fetched, *, as_json: bool) -> None:
    """Print what a fetch did."""
    if as_json:
        print_json(result)
        return
    console, asked = Console(), result.asked
    grid = Table("", "", show_header=False, title=f"fetched to {result.out}")
    names = ", ".join(result.symbols)
    grid.add_row("what", f"{result.what} {result.interval}".strip() + f" of {names} ({result.market})")
    grid.add_row("days", f"{result.first} to {result.last}: {_days(result)}")
    grid.add_row("rows", f"{result.rows:,} in {result.bytes:,} bytes")
    again = f", {asked.again:,} of them again" if asked.again else ""
    waited = f", {asked.waited_s:,.1f} s of waiting for weight" if asked.waited_s else ""
    grid.add_row("asked", f"{asked.requests:,} requests of {result.source}{again}{waited}")
    grid.add_row("took", f"{result.seconds:.2f} s")
    console.print(grid)
    for symbol, findings in result.findings.items():
        console.print(f"{symbol}: {sentence(findings)}", highlight=False)


def _days(result: Fetched) -> str:
    parts = [f"{result.days:,} fetched", f"{result.there:,} were there"]
    if result.absent:
        parts.append(f"{result.absent:,} not in the archive")
    return ", ".join(parts)
