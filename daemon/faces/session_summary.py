"""What `tickd replay --verify` prints: a table for people, one JSON object for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from daemon.faces.show import print_json

if TYPE_CHECKING:
    from daemon.session.verify import Verdict


def show(verdict: Verdict, *, as_json: bool) -> None:
    """Print what came of it."""
    if as_json:
        print_json(verdict)
    else:
        Console().print(table(verdict))


def table(verdict: Verdict) -> Table:
    """Draw it."""
    grid = Table(title=f"session {verdict.session}", show_header=False)
    grid.add_column(style="dim")
    grid.add_column()
    found = verdict.difference
    rows = {
        "run": str(verdict.run),
        "events replayed": f"{verdict.events:,}, up to {verdict.until}",
        "records the same": f"{verdict.records:,} of {verdict.records_of_session:,}",
        "of these, digests": f"{verdict.digests:,}",
        "verified": "NO" if found else "to its end" if verdict.complete else f"so far: {verdict.why_short}",
    }
    if verdict.changed:
        rows["changed since"] = "\n".join(verdict.changed)
    if found is not None:
        rows["first difference"] = found.text
        told = {
            "event": f"{found.seq} of {found.stream}",
            "order": found.order,
            "what": found.feature,
            "in the session": found.session,
            "in the replay": found.replay,
            "interval": found.since and f"{found.since} to {found.until}",
        }
        rows |= {name: value for name, value in told.items() if value}
    for name, value in rows.items():
        grid.add_row(name, value)
    return grid
