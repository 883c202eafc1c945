"""What the command line prints: a daemon's state, its live view, a journal's records."""

from __future__ import annotations

import asyncio
import sys
from array import array
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console

from daemon.disk import RealDisk
from daemon.errors import UsageError
from daemon.faces import terminal
from daemon.faces.client import fetch_status

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.status import Status


def print_status(status: Status, *, as_json: bool) -> None:
    """Print a Status, for people or for programs."""
    if as_json:
        print_json(status)
    else:
        Console().print(terminal.summary(status))


def print_json(value: object) -> None:
    """Print a value as one line of JSON on standard output."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def watch_socket(socket: Path, interval_s: float) -> None:
    """Show a running daemon until Ctrl-C; raises NotRunningError once it is gone."""
    view = terminal.open_view(Console())
    try:
        asyncio.run(terminal.watch(lambda: fetch_status(socket), view, interval_s))
    except KeyboardInterrupt:  # the only way to leave it
        return


def train(out: Path, *, seed: int, minutes: int, horizon_ms: int, as_json: bool) -> None:
    """Train a bundle on the synthetic market, showing progress, and print what it achieved."""
    from daemon.research.train import STEPS, train_synthetic  # noqa: PLC0415 - numba, needed by this verb alone

    with terminal.steps(Console(stderr=True), "training", STEPS) as step:
        trained = train_synthetic(
            RealDisk(), out, seed=seed, minutes=minutes, horizon_ms=horizon_ms, on_step=step
        )
    manifest = trained.manifest
    if as_json:
        print_json({"folder": str(trained.folder), "command": manifest.command, "metrics": manifest.metrics})
    else:
        lines = (f"{name}: {value}" for name, value in manifest.metrics.items())
        Console().print(f"{trained.folder} holds the bundle", *lines, sep="\n", markup=False)


def print_journal(folder: Path, *, as_json: bool) -> None:
    """Print a journal, oldest record first; raises UsageError where there is none."""
    from daemon.faces.journal_table import table  # noqa: PLC0415 - numpy, needed by this verb alone
    from daemon.orders.reader import read_all  # noqa: PLC0415 - likewise

    entries = read_all(RealDisk(), folder)
    first = next(entries, None)
    if first is None:
        raise UsageError(f"{folder} holds no journal; a daemon keeps its own in var/NAME/journal-MODE")
    if not as_json:
        for line in table(record for _, _, record in chain((first,), entries)):
            sys.stdout.write(line + "\n")
        return
    for path, offset, record in chain((first,), entries):
        fields = {key: _plain(value) for key, value in msgspec.structs.asdict(record).items()}
        print_json({"file": path.name, "offset": offset, "record": type(record).__name__, **fields})


def print_waterfall(folder: Path, order: str, *, as_json: bool) -> None:
    """Print one order's way through the journal; raises UsageError where there is none of it."""
    from daemon.faces.waterfall import steps, waterfall  # noqa: PLC0415 - as for the whole journal
    from daemon.orders.reader import read_all  # noqa: PLC0415 - likewise

    found = list(steps((record for _, _, record in read_all(RealDisk(), folder)), order)) if order else []
    if not found:
        raise UsageError(f"{folder} holds no order {order!r}; tickd journal {folder} lists them")
    if as_json:
        for one in found:
            print_json(one._asdict())
        return
    for line in waterfall(found):
        sys.stdout.write(line + "\n")


def _plain(value: Any) -> Any:
    """Return a record's feature row, float64 bytes, as numbers; all else is as JSON takes it."""
    return list(array("d", value)) if isinstance(value, bytes) else value
