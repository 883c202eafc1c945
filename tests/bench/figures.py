"""Figures of two who were measured in turns: each with its quartiles, and their ratio round by round."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from daemon.bench.results import Quartiles, quartiles

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLUMNS_MIN: Final = 150


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What ours and theirs took, over the rounds; `ratio` is of neighbours."""

    what: str
    unit: str
    peer: str
    rounds: int
    samples: int  # of each side, all rounds together
    ours: Quartiles
    theirs: Quartiles
    ratio: Quartiles  # theirs to ours
    ratio_min: float | None = None  # wanted; None: told for comparison
    reached: bool | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of a run."""

    machine: str
    seed: int
    figures: list[Figure]
    notes: list[str]


def figure(
    what: str,
    unit: str,
    peer: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    samples: int,
    ratio_min: float | None = None,
) -> Figure:
    """Compare one value a round of each: `theirs` is to be at least `ratio_min` times `ours`."""
    ratio = quartiles([their / our for our, their in zip(ours, theirs, strict=True)])
    return Figure(
        what=what,
        unit=unit,
        peer=peer,
        rounds=len(ours),
        samples=samples,
        ours=quartiles(ours),
        theirs=quartiles(theirs),
        ratio=ratio,
        ratio_min=ratio_min,
        reached=None if ratio_min is None else ratio.median >= ratio_min,
    )


def machine() -> str:
    """Return what this ran on, as far as it can be told."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    kind = names[0] if names else platform.machine()
    return f"{len(names)} cores of {kind}, Python {platform.python_version()}, numpy {np.__version__}"


def show(report: Report, *, as_json: bool) -> None:
    """Print it: one JSON object for programs, a table for people."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return
    console = Console()
    console = Console(width=max(console.width, _COLUMNS_MIN))
    table = Table(
        box=None, padding=(0, 2, 0, 0), title="medians (quartiles) over the rounds", title_justify="left"
    )
    table.add_column("what", min_width=46)
    for name in ("ours", "theirs", "theirs to ours", "wanted", "", "samples"):
        table.add_column(name, justify="right")
    for one in report.figures:
        wanted = "" if one.ratio_min is None else f"at least {one.ratio_min:g}"
        said = "" if one.reached is None else "reached" if one.reached else "not reached"
        spans = (_spread(value, one.unit) for value in (one.ours, one.theirs))
        table.add_row(
            f"{one.what}, beside {one.peer}",
            *spans,
            _spread(one.ratio, ""),
            wanted,
            said,
            f"{one.samples:,} in {one.rounds}",
        )
    console.print(f"{report.machine}; seed {report.seed}", highlight=False)
    console.print(table)
    for note in report.notes:
        console.print(note, highlight=False)


def _spread(value: Quartiles, unit: str) -> str:
    form = ",.0f" if value.median >= 100 else ".3g"
    return f"{value.median:{form}} ({value.low:{form}}-{value.high:{form}}) {unit}".strip()
