"""What the command line prints: a daemon's state, its live view, a training."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console

from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, EXIT_FAILED
from daemon.faces import terminal
from daemon.faces.client import fetch_status

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.options import TrainOptions
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


def follow_flatten(socket: Path, seconds: float) -> int:
    """Tell how a flatten gets on until it is done, or so long; return the exit code. Raises TickdError."""
    console = Console()
    left = asyncio.run(terminal.wait_flat(lambda: fetch_status(socket).flatten_left, console.print, seconds))
    if left:
        console.print(f"flatten is not done after {seconds:g} s and goes on; see tickd state")
        return EXIT_FAILED
    done = "flatten is done: no order stands, nothing but dust is held"
    console.print("flatten has ended: trading was resumed" if left is None else done)
    return EXIT_DONE


def train(options: TrainOptions) -> None:
    """Train a bundle, showing progress, and print what it achieved."""
    from daemon.research import train as training  # noqa: PLC0415 - numba, needed by this verb alone

    disk, given = RealDisk(), {"seed": options.seed, "horizon_ms": options.horizon_ms}
    with terminal.steps(Console(stderr=True), "training", training.STEPS) as step:
        if options.path is None:
            trained = training.train_synthetic(
                disk, options.out, minutes=options.minutes, on_step=step, **given
            )
        else:
            more = {"every": options.every, "trees": options.trees, "folds": options.folds}
            trained = training.train_recorded(disk, options.out, options.path, on_step=step, **given, **more)
    manifest = trained.manifest
    if options.json:
        print_json({"folder": str(trained.folder), "command": manifest.command, "metrics": manifest.metrics})
    else:
        lines = (f"{name}: {value}" for name, value in manifest.metrics.items())
        Console().print(f"{trained.folder} holds the bundle", *lines, sep="\n", markup=False)
