"""What a backtest prints: a table for people, a JSON object for programs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from daemon.faces.show import print_json
from daemon.faces.terminal import amount

if TYPE_CHECKING:
    from daemon.research.backtest_verb import BacktestResult


def show(result: BacktestResult, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print_json(result)
    else:
        Console().print(table(result))


def table(result: BacktestResult) -> Table:
    """Draw it."""
    grid = Table(title=f"backtest of {result.file}", show_header=False)
    grid.add_column(style="dim")
    grid.add_column()
    makers = f", {result.maker_fills:,} of them resting" if result.fills else ""
    won = (
        "none"
        if result.win_rate is None
        else f"{result.win_rate:.1%} of {result.closing_fills:,} closing fills"
    )
    basis = f"changes of equity over {result.point_s} s, {result.sharpe_points:,} points, a year of 365 days"
    sharpe = f"too little to tell ({basis})" if result.sharpe is None else f"{result.sharpe:.2f} ({basis})"
    rows = {
        "instrument": result.symbol,
        "strategy": result.strategy,
        "from, until": f"{_time(result.from_ns)}, {_time(result.until_ns)} UTC",
        "events": f"{result.events:,}, {result.decisions:,} decisions",
        "orders": f"{result.placed:,} placed, {result.cancelled:,} cancelled",
        "refusals": ", ".join(f"{name} {count:,}" for name, count in result.refusals.items()) or "none",
        "trades": f"{result.fills:,} fills{makers}",
        "turnover": f"{result.turnover:,.2f}",
        "fees": f"{result.fees:,.4f}",
        "net profit": f"{result.net:,.4f}, after fees, what is held at the last mid",
        "position": amount(result.position),
        "won": f"{won}, before fees",
        "largest fall": f"{result.drawdown_max:,.4f}",
        "Sharpe": sharpe,
        "halted": result.halted or "no",
        "digest of decisions": result.decision_digest,
        "speed": f"{result.events_per_s:,.0f} events/s, reading included",
    }
    for name, value in rows.items():
        grid.add_row(name, value)
    return grid


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"
