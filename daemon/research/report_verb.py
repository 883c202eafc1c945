"""`tickd backtest --html`: the same backtest, and a page of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from daemon.errors import TickdError, UsageError
from daemon.faces.report_page import page
from daemon.faces.terminal import counting
from daemon.research.report import DELAYS_MS, FEES, make_report
from daemon.research.training_window import refuse
from daemon.research.trial import Bench
from daemon.tape.replay import Given

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.options import BacktestOptions
    from daemon.research.figures import BacktestResult


def backtest_with_page(options: BacktestOptions, path: Path) -> BacktestResult:
    """Run the backtest, and write the page of it; raises UsageError for a file that is there, TickdError."""
    if path.exists():
        raise UsageError(f"{path} exists and is not overwritten: name another file, or remove it")
    bench = Bench(options.path, Given(options.config, options.strategy, options.model), options.point_s)
    refuse(bench.marked, allowed=options.in_training)
    bench.read()
    tried = bench.run({})
    total = len(DELAYS_MS) + len(FEES) if options.reruns else 0
    with counting(Console(stderr=True), "rerunning", total) as tell:
        done = 0

        def step(_: str) -> None:
            nonlocal done
            tell(done)
            done += 1

        report = make_report(bench, tried, step, reruns=options.reruns)
    text = page(report)
    try:
        bench.disk.replace(path, text.encode())
    except OSError as error:
        raise TickdError(f"{path} cannot be written: {error.strerror or error}") from None
    return tried.result
