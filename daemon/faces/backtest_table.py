"""What a backtest prints: tables for people, a JSON object for programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.table import Table

from daemon.faces.show import print_json
from daemon.faces.terminal import amount

if TYPE_CHECKING:
    from daemon.research.figures import BacktestResult

#: round trips that people are shown; programs are given all
_TRIPS_MAX: Final = 20
#: columns of a terminal that all of a round trip takes
_WIDE: Final = 130
_DAY_NS: Final = 86_400 * 10**9


def show(result: BacktestResult, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print_json(result)
    else:
        console = Console()
        console.print(Group(table(result), *([trips(result, console.width)] if result.trips else [])))


def table(result: BacktestResult) -> Table:
    """Draw the figures; a sentence stands where one cannot be said."""
    grid = Table(title=f"backtest of {result.file}", show_header=False)
    grid.add_column(style="dim")
    grid.add_column()
    for name, value in rows_of(result).items():
        grid.add_row(name, value)
    return grid


def rows_of(result: BacktestResult) -> dict[str, str]:
    """Return the figures in words; a sentence stands where one cannot be said."""
    makers = f", {result.maker_fills:,} of them resting" if result.fills else ""
    return {
        "instrument": result.symbol,
        "strategy": result.strategy,
        **({"IN TRAINING": result.in_training} if result.in_training else {}),
        "from, until": f"{_time(result.from_ns)}, {_time(result.until_ns)} UTC",
        "events": f"{result.events:,}, {result.decisions:,} decisions",
        "orders": f"{result.placed:,} placed, {result.cancelled:,} cancelled",
        "refusals": ", ".join(f"{name} {count:,}" for name, count in result.refusals.items()) or "none",
        "trades": f"{result.fills:,} fills{makers}",
        "turnover": f"{result.turnover:,.2f}",
        "fees": f"{result.fees:,.4f}",
        "slippage": _slippage(result),
        "net profit": f"{result.net:,.4f}, after fees, what is held at the last mid",
        "position": amount(result.position),
        "exposure": f"{result.exposure:.1%} of the time something worth an order was held",
        **_of_equity(result),
        **_of_trips(result),
        "halted": result.halted or "no",
        "digest of decisions": result.decision_digest,
        "speed": f"{result.events_per_s:,.0f} events/s, reading included",
    }


def trips(result: BacktestResult, width: int = 140) -> Table:
    """Draw the last round trips; in a narrow terminal without what the others tell too."""
    shown = result.trips[-_TRIPS_MAX:]
    title = f"round trips, first in, first out: {len(shown):,} of {len(result.trips):,}"
    grid = Table(title=title + (", --json gives all" if len(shown) < len(result.trips) else ""))
    narrow = width < _WIDE
    grid.add_column("entry, UTC")
    if not narrow:
        grid.add_column("exit, UTC")
    grid.add_column("side")
    grid.add_column("quantity", justify="right")
    grid.add_column("from" if narrow else "bought or sold at", justify="right")
    grid.add_column("to" if narrow else "closed at", justify="right")
    if not narrow:
        grid.add_column("fees", justify="right")
    grid.add_column("P&L" if narrow else "P&L after fees", justify="right")
    grid.add_column("held", justify="right")
    days = {one.entry_ns // _DAY_NS for one in shown}
    for one in shown:
        cut = 0 if not narrow else len("2024-01-31 ") if len(days) == 1 else len("2024-")
        grid.add_row(
            _time(one.entry_ns)[cut:],
            *(() if narrow else (_time(one.exit_ns),)),
            one.side,
            one.quantity,
            f"{one.entry_price:,.10g}",
            f"{one.exit_price:,.10g}",
            *(() if narrow else (f"{float(one.fees):,.4f}",)),
            f"{float(one.pnl):+,.4f}",
            _length(one.held_s),
        )
    return grid


def _slippage(result: BacktestResult) -> str:
    basis = f"{result.slippage_fills:,} fills against the mid when their order was decided on"
    told = _figure(result, "slippage", "{:+,.4f}")
    return told if result.slippage is None else f"{told}, {result.slippage_bps:+.3f} bps: {basis}"


def _of_equity(result: BacktestResult) -> dict[str, str]:
    basis = f"{result.changes:,} changes of equity over {result.point_s} s, a year of 365 days"
    error = "" if result.sharpe_error is None else f" ± {result.sharpe_error:.2f}"
    fall = _figure(result, "drawdown_share", "{:.3%} of the peak")
    if result.drawdown_s:
        since = "until it was regained" if result.drawdown_regained else "and not regained"
        fall += f", {_length(result.drawdown_s)} {since}"
    return {
        "return": _figure(result, "growth", "{:+.4%} of equity"),
        "buy and hold": _figure(result, "benchmark", "{:+.4%}, the mid from first to last, without fees"),
        "largest fall": f"{result.drawdown_max:,.4f}; {fall}",
        "Sharpe": _figure(result, "sharpe", f"{{:.2f}}{error}, of {basis}"),
        "Sortino": _figure(result, "sortino", f"{{:.2f}}, of {basis}"),
        "CAGR": _figure(result, "cagr", "{:+.2%} a year of 365 days"),
        "Calmar": _figure(result, "calmar", "{:.2f}, CAGR over the largest fall of the peak"),
    }


def _of_trips(result: BacktestResult) -> dict[str, str]:
    return {
        "round trips": f"{result.round_trips:,}, first in, first out",
        "won": _figure(result, "win_rate", f"{{:.1%}} of {result.round_trips:,}, after fees"),
        "profit factor": _figure(result, "profit_factor", "{:.3f}, won over lost, after fees"),
        "expectancy": _figure(result, "expectancy", "{:+,.4f} a round trip, after fees"),
        "not closed": _figure(result, "open_pnl", "{:+,.4f} at the last mid, after the fees of its entry"),
    }


def _figure(result: BacktestResult, name: str, form: str) -> str:
    value = getattr(result, name)
    return result.unsaid[name] if value is None else form.format(value)


def _length(seconds: float) -> str:
    """Return a time span: 12.500 s, 1:02:03; 3 days, 0:00:00."""
    return f"{seconds:.3f} s" if seconds < 60 else str(timedelta(seconds=int(seconds)))


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"
