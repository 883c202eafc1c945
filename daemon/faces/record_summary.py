"""What a recording shows: a line while it runs, and at the end a table for people or JSON for programs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from daemon.faces.show import print_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.tape.record import Recorded, Recording


@contextmanager
def progress(console: Console) -> Iterator[Callable[[Recording], None]]:
    """Yield what renews a line on a terminal; elsewhere nothing is shown."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("connecting", spinner="line") as status:
        yield lambda recording: status.update(line(recording))


def line(recording: Recording) -> str:
    """Return how a recording goes, in one line."""
    recorder = recording.recorder
    state = "connected" if recording.connections.connected else "NOT connected"
    lost = f", {recorder.dropped:,} entries LOST" if recorder.dropped else ""
    failing = f"; {recorder.failure}" if recorder.failure else ""
    return (
        f"{recording.age_s:,.0f} s, {state}: {recorder.written:,} entries, "
        f"{recorder.bytes_written / 1e6:,.1f} MB, {recorder.lag_ns / 1e6:,.0f} ms behind{lost}{failing}"
    )


def show(recorded: Recorded, *, as_json: bool) -> None:
    """Print what a recording came to."""
    if as_json:
        print_json(recorded)
    else:
        Console().print(table(recorded))


def table(recorded: Recorded) -> Table:
    """Draw it."""
    grid = Table(title=f"recorded into {recorded.folder}", show_header=False)
    grid.add_column(style="dim")
    grid.add_column()
    faults = [*recorded.errors.items(), *recorded.gaps.items()]
    rows = {
        "feed": f"{recorded.exchange} {recorded.market}: {', '.join(recorded.symbols)}",
        "for": f"{recorded.seconds:,.1f} s, {recorded.reconnects:,} reconnects",
        "entries": f"{recorded.entries:,}, {recorded.bytes / 1e6:,.2f} MB in {recorded.segments:,} "
        f"segment{'' if recorded.segments == 1 else 's'}",
        "events": ", ".join(f"{count:,} {kind}" for kind, count in recorded.events.items()),
        "bad frames and gaps": ", ".join(f"{name} {count:,}" for name, count in faults) or "none",
        "lost": f"{recorded.dropped:,} entries, from {recorded.lost_from:,} on"
        if recorded.dropped
        else "nothing",
    }
    for name, value in rows.items():
        grid.add_row(name, value)
    return grid
