"""What a replay prints: one table for people, one JSON object a replay for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from daemon.faces.show import print_json
from daemon.faces.terminal import amount

if TYPE_CHECKING:
    from daemon.tape.replay import ReplayResult


def show(results: list[ReplayResult], *, as_json: bool) -> None:
    """Print the results of one or more replays of a file."""
    if as_json:
        for result in results:
            print_json(result)
    else:
        for result in results:
            Console().print(table(result))


def table(result: ReplayResult) -> Table:
    """Draw one replay."""
    grid = Table(title=f"replay of {result.file}", show_header=False)
    grid.add_column(style="dim")
    grid.add_column()
    events = ", ".join(f"{count:,} {kind}" for kind, count in result.events.items())
    orders = result.orders
    faults = [*result.errors.items(), *result.gaps.items()]
    lost = {
        "trades missed": result.trades_missed,
        "gaps taken by strategies": result.tick_gaps,
        "depth updates dropped": result.depths_dropped,
        "entries that run backwards": result.backwards,
    }
    bare = f", {result.ratio:.2f}x the bare gunzip and decode" if result.ratio else ""
    rows = {
        "instruments": ", ".join(result.symbols),
        "strategies": ", ".join(result.strategies),
        "recorded with": ", ".join(result.traded_by) or "no strategy that is known",
        "events": events,
        "bad frames and gaps": ", ".join(f"{name} {count:,}" for name, count in faults) or "none",
        "lost": ", ".join(f"{name} {count:,}" for name, count in lost.items() if count) or "nothing",
        "books": f"NOT in sync: {', '.join(unsynced)}" if (unsynced := result.books_unsynced) else "in sync",
        "cut": "; ".join(result.notes) or "no",
        "halted": result.halted or "no",
        "decisions": f"{result.decisions:,}",
        "orders": f"{orders.placed:,} placed, {orders.cancelled:,} cancelled, {orders.fills:,} fills",
        "refusals": ", ".join(f"{name} {count:,}" for name, count in orders.refusals.items()) or "none",
        "positions": ", ".join(f"{name} {amount(qty)}" for name, qty in result.positions.items()),
        "PnL after fees": ", ".join(f"{value:,.4f} {name}" for name, value in result.pnl.items()),
        "speed": f"{result.events_per_s:,.0f} events/s{bare}",
        "digest of decisions": result.decision_digest,
        "digest of orders": result.order_digest,
    }
    for name, value in rows.items():
        grid.add_row(name, value)
    return grid
