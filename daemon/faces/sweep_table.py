"""What a sweep prints: tables for people, a JSON object for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Console, Group
from rich.table import Table

from daemon.faces.heat_map import Heat, heat_map
from daemon.faces.show import print_json
from daemon.research.sweep import LESS, Deflation
from daemon.research.sweep_log import TrialLine  # noqa: TC001 - msgspec reads the annotations
from daemon.research.walk import Stitched, WalkWindow  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from rich.console import RenderableType

#: figures beside the one that ranks
_BESIDE: Final = ("sharpe", "net", "drawdown_share", "fills", "fees")
_ERRORS_MAX: Final = 3


class SweepResult(msgspec.Struct, kw_only=True):
    """What a sweep found. Times and rates are of this machine, everything else is the same everywhere."""

    file: str
    symbol: str
    strategy: str
    in_training: str = ""  # how it is of the time that its model was trained on; empty: it is not
    events: int
    bytes_per_event: float  # that the record takes in memory
    search: str
    by: str
    trials: int  # that the search asks for
    done: int
    resumed: int  # of those: they were in the file
    failed: int
    unranked: int  # done, but without the figure that ranks
    unranked_because: list[str] = []
    errors: dict[str, int]  # why trials failed, and how many
    interrupted: bool
    best: list[TrialLine]  # all with the figure that ranks, the best first
    deflation: Deflation
    heat: Heat | None
    windows: list[WalkWindow]  # of a walk-forward
    stitched: Stitched | None
    threads: int
    seconds: float
    trials_per_s: float


def show(result: SweepResult, *, best: int, as_json: bool) -> None:
    """Print it; best: how many trials people are shown."""
    if as_json:
        print_json(result)
        return
    parts: list[RenderableType] = [summary(result)]
    if result.best:
        parts.append(ranking(result, best))
    if result.heat is not None:
        parts.append(heat_map(result.heat, result.by, least=result.by in LESS))
    if result.windows:
        parts.append(walked(result))
    Console().print(Group(*parts))


def summary(result: SweepResult) -> Table:
    """Draw what was done."""
    grid = Table(title=f"sweep over {result.file}", show_header=False)
    grid.add_column(style="dim")
    grid.add_column()
    ended = "; interrupted: the same command with --out goes on from its file" if result.interrupted else ""
    again = f", {result.resumed:,} of them known already" if result.resumed else ""
    rows = {
        "instrument": f"{result.symbol}, {result.events:,} events",
        "strategy": result.strategy,
        "IN TRAINING": result.in_training,
        "trials": f"{result.done:,} of {result.trials:,} ({result.search}){again}{ended}",
        "failed": _failed(result),
        "without a figure": _unranked(result),
        "deflated Sharpe": _deflated(result.deflation),
        **_stitched(result.stitched),
        "speed": f"{result.trials_per_s:,.1f} trials/s, {result.threads} threads, "
        f"{result.bytes_per_event:.1f} bytes of memory an event",
    }
    if result.windows or result.stitched is not None:
        del rows["deflated Sharpe"]
    for name, value in rows.items():
        if value:
            grid.add_row(name, value)
    return grid


def ranking(result: SweepResult, best: int) -> Table:
    """Draw the best trials."""
    shown = result.best[:best]
    order = "least" if result.by in LESS else "most"
    title = f"the best {len(shown):,} of {len(result.best):,} by {result.by}, {order} first"
    grid = _plain(title)
    grid.add_column("trial", justify="right")
    for name in shown[0].values:
        grid.add_column(name, justify="right", overflow="fold")
    columns = list(dict.fromkeys((result.by, *_BESIDE)))
    for name in columns:
        grid.add_column(name, justify="right")
    for one in shown:
        figures = (_figure(one.figures.get(name)) for name in columns)
        grid.add_row(str(one.trial), *one.values.values(), *figures)
    return grid


def walked(result: SweepResult) -> Table:
    """Draw the windows of a walk-forward."""
    grid = _plain(f"walk-forward: chosen by {result.by} on the part before, then measured")
    names = list(next((one.values for one in result.windows if one.values), {}))
    grid.add_column("measured from, UTC", no_wrap=True)
    for name in (*names, "in sample", "out of sample", "net", "fills"):
        grid.add_column(name, justify="right", overflow="fold")
    for one in result.windows:
        values = (one.values.get(name, "") for name in names)
        told = [_figure(one.in_sample), one.error or _figure(one.out_of_sample)]
        more = (_figure(one.figures.get(name)) for name in ("net", "fills"))
        grid.add_row(_time(one.split_ns), *values, *told, *more)
    return grid


def _plain(title: str) -> Table:
    """Return a table that leaves the width to its numbers."""
    return Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)


def _failed(result: SweepResult) -> str:
    if not result.failed:
        return "none"
    told = [f"{count:,}: {text}" for text, count in list(result.errors.items())[:_ERRORS_MAX]]
    left = len(result.errors) - len(told)
    return "\n".join([*told, *([f"and {left:,} other reasons"] if left else [])])


def _unranked(result: SweepResult) -> str:
    reasons = "; ".join(result.unranked_because)
    return f"{result.unranked:,} have no {result.by}: {reasons}" if result.unranked else ""


def _deflated(one: Deflation) -> str:
    if one.probability is None:
        return one.unsaid
    return (
        f"{one.probability:.1%}: the chance that the best one's {one.sharpe:.2f} is more than luck; the best "
        f"of {one.trials:,} trials without any worth would show {one.expected_max:.2f}"
    )


def _stitched(one: Stitched | None) -> dict[str, str]:
    if one is None:
        return {}

    def figure(name: str, form: str) -> str:
        value = getattr(one, name)
        return one.unsaid.get(name, "") if value is None else form.format(value)

    error = "" if one.sharpe_error is None else f" ± {one.sharpe_error:.2f}"
    return {
        "out of sample": f"{one.parts:,} parts, {one.sums['fills']:,.0f} fills",
        "  net profit": f"{one.sums['net']:,.4f} after fees of {one.sums['fees']:,.4f}",
        "  return": figure("growth", "{:+.4%}, each part's on what the ones before it left"),
        "  Sharpe": figure("sharpe", f"{{:.2f}}{error}, of {one.changes:,} changes of equity"),
        "  Sortino": figure("sortino", "{:.2f}"),
        "  largest fall": figure("drawdown_share", "{:.3%} of the peak"),
    }


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"
