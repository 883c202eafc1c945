"""The daemon in a terminal: a live view, plain lines where there is none, a summary, and a picture.

Everything is drawn from a Status; rates are differences between two of them. A drawing takes some 10 ms, so
it is done by another process than the one that trades.
"""

from __future__ import annotations

import asyncio
import io
import re
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Final, Protocol

from rich import box
from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from daemon.faces.sink_words import bus_words, webhook_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from daemon.status import Status

PICTURE_COLUMNS: Final = 110
_STATE_STYLES: Final = {"READY": "bold green", "HALTED": "bold red", "DRAINING": "yellow", "STOPPED": "dim"}
#: between two looks at a flatten
_FLAT_S: Final = 0.5
_WEB_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class View(Protocol):
    """Something that shows one Status after the other."""

    def show(self, status: Status) -> None:
        """Draw the newest."""

    def close(self) -> None:
        """Give the terminal back."""


def open_view(console: Console) -> View:
    """Return the live view on a terminal, plain lines elsewhere."""
    return LiveView(console) if console.is_terminal else PlainView(console)


class LiveView:
    """Redraws in place; drawn only when shown, without a thread of its own."""

    def __init__(self, console: Console) -> None:
        self._before: Status | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def show(self, status: Status) -> None:
        """Draw the newest."""
        self._live.update(render(status, self._before), refresh=True)
        self._before = status

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


class PlainView:
    """One line per Status, for pipes and logs."""

    def __init__(self, console: Console) -> None:
        self._before: Status | None = None
        self._console = console

    def show(self, status: Status) -> None:
        """Print the newest."""
        self._console.print(line(status, self._before), soft_wrap=True, markup=False, highlight=False)
        self._before = status

    def close(self) -> None:
        """Nothing to give back."""


async def watch(read: Callable[[], Status], view: View, interval_s: float) -> None:
    """Show what `read` returns, again and again, until cancelled or until `read` raises."""
    try:
        while True:
            view.show(read())
            await asyncio.sleep(interval_s)
    finally:
        view.close()


async def wait_flat(
    read: Callable[[], list[str] | None], say: Callable[[str], object], seconds: float
) -> list[str] | None:
    """Say what a flatten has left, whenever that changes, until nothing is, or for so long; return it.

    None: there is no flatten any more.
    """
    told: list[str] = []
    for _ in range(ceil(seconds / _FLAT_S)):
        left = read()
        if not left:
            return left
        if left != told:
            say("; ".join(left))
            told = left
        await asyncio.sleep(_FLAT_S)
    return read()


@contextmanager
def steps(console: Console, title: str, total: int) -> Iterator[Callable[[str], None]]:
    """Show the progress of `total` named steps: yields what is called as each begins."""
    if not console.is_terminal:
        yield lambda name: console.print(f"{title}: {name}", soft_wrap=True, markup=False, highlight=False)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        begun = 0

        def step(name: str) -> None:
            nonlocal begun
            progress.update(task, completed=begun, description=f"{title}: {name}", refresh=True)
            begun += 1

        yield step


@contextmanager
def counting(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how much of `total` is done, on a terminal: yields what is told so, as often as one likes."""
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


# --- what is drawn ------------------------------------------------------------------------------------------
def render(status: Status, before: Status | None = None) -> RenderableType:
    """Return the whole view; `before` is an earlier Status of the same daemon, for rates."""
    below = Columns([_latency(status), _orders(status)], padding=(0, 2))
    faults = [Text(f"strategy {name} {what}", style="red") for name, what in _faults(status)]
    memories = [Text(text, style="yellow") for text in (*status.left_behind, *_memories(status))]
    parts = Group(_headline(status, before), "", _instruments(status), "", *faults, *memories, below)
    return Panel(parts, title=_title(status), title_align="left", border_style="dim", box=box.ROUNDED)


def summary(status: Status) -> RenderableType:
    """Return the table that ends a run."""
    seconds = max(status.uptime_s, 1e-9)
    facts = _table("")
    facts.show_header = False
    facts.add_column(style="dim")
    facts.add_column()
    ran, verb = ("ran", "ended ") if status.state == "STOPPED" else ("running", "")
    facts.add_row(ran, f"{status.uptime_s:.1f} s, {verb}{status.state}{_because(status)}")
    counts = [f"{total:,} {kind}{'' if total == 1 else 's'}" for kind, total in _event_totals(status)]
    facts.add_row("events", ", ".join(counts))
    facts.add_row("rate", f"{status.events / seconds:,.0f} events/s")
    facts.add_row("feed", f"{_errors(status)}, {_losses(status)}")
    facts.add_row("decisions", f"{status.decisions:,} over {status.drains:,} drains")
    for name, what in _faults(status):
        facts.add_row("failed", Text(f"strategy {name} {what}", style="red"))
    for text in status.left_behind:
        facts.add_row("left behind", Text(text, style="yellow"))
    for text in _memories(status):
        facts.add_row("memory", text)
    orders = status.orders
    facts.add_row(
        "orders", f"{orders.placed:,} placed, {orders.amended:,} amended, {orders.cancelled:,} cancelled"
    )
    facts.add_row(
        "fills",
        f"{orders.fills:,}, refused {sum(orders.refusals.values()):,} here and "
        f"{sum(orders.rejected.values()):,} by the venue, never sent {orders.unsent:,}, "
        f"unknown {orders.unknown}",
    )
    if status.mqtt is not None:
        facts.add_row("mqtt", bus_words(status.mqtt))
    if status.webhook is not None:
        facts.add_row("webhook", webhook_words(status.webhook))
    facts.add_row("PnL", f"{status.pnl:+,.2f} {status.quote} after fees")
    if status.digest:
        facts.add_row("digest", status.digest)
    ended = status.state == "STOPPED"
    return Group(
        "", facts, "", _instruments(status, gates=not ended), "", _latency(status), "", _orders(status)
    )


def line(status: Status, before: Status | None = None) -> str:
    """Return the view as one line of text."""
    order = next((one for one in status.latency if one.stage == "order" and one.count), None)
    latency = f", tick to order p50 {duration(order.p50_s)} p99 {duration(order.p99_s)}" if order else ""
    positions = " ".join(f"{amount(one.position)} {one.base or one.symbol}" for one in status.instruments)
    return (
        f"{status.state} {status.events:,} events ({_rate(status, before)}), "
        f"feed age {duration(_age(status))}, position {positions or '-'}, "
        f"PnL {status.pnl:+.2f} {status.quote}, "
        f"orders {status.orders.placed} placed {status.orders.fills} fills{latency}"
    )


def picture(content: RenderableType, title: str) -> str:
    """Return the content as an SVG that needs nothing from elsewhere."""
    console = Console(
        record=True, width=PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(content)
    return _WEB_FONT.sub("", console.export_svg(title=title, unique_id="tickd"))


def duration(seconds: float | None) -> str:
    """Return a span for people: 850 ns, 12.3 us, 4.56 ms, 1.2 s; - where it is not known."""
    if seconds is None:
        return "-"
    for scale, unit in ((1e-9, "ns"), (1e-6, "us"), (1e-3, "ms")):
        if seconds < 1000 * scale * 0.9995:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds:.1f} s" if seconds < 1000 else f"{seconds:,.0f} s"


def amount(position: float) -> str:
    """Return a position for people: +0.00000003, -1.5, +0; a float's noise, below any lot, is left out."""
    text = f"{position:+.10f}".rstrip("0").rstrip(".")
    return "+0" if text == "-0" else text


# --- parts --------------------------------------------------------------------------------------------------
def _title(status: Status) -> Text:
    style = _STATE_STYLES.get(status.state, "bold yellow")
    minutes, seconds = divmod(int(status.uptime_s), 60)
    text = Text.assemble(("tickd ", "bold"), f"{status.name} ({status.mode}) ", (status.state, style))
    return text.append(f"{_because(status)}  {minutes:02d}:{seconds:02d}")


def _because(status: Status) -> str:
    return f" ({status.reason})" if status.reason else ""


def _headline(status: Status, before: Status | None) -> Table:
    orders = status.orders
    cells: dict[str, str | Text] = {
        "ticks": f"{status.events:,}",
        "rate": _rate(status, before),
        "feed age": duration(_age(status)),
        f"equity {status.quote}": "-" if status.equity is None else f"{status.equity:,.2f}",
        "PnL": _money(status.pnl),
        "placed": f"{orders.placed:,}",
        "fills": f"{orders.fills:,}",
        "refused": f"{sum(orders.refusals.values()):,}",
        "errors": f"{sum(status.feed_errors.values()):,}",
        "venue": Text("up", style="green") if status.venue_up else Text("down", style="red"),
    }
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)  # ten columns in 80
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(*cells.values())
    return table


def _instruments(status: Status, *, gates: bool = True) -> Table:
    table = _table("instrument", gap=1)
    for name in ("bid", "ask", "book", "position", "PnL", "fees", *(["gate"] if gates else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for one in status.instruments:
        gate = Text(one.gate, style="yellow") if one.gate else Text("open", style="green")
        table.add_row(
            one.symbol,
            *_prices(one.bid, one.ask),
            Text("synced", style="green") if one.book_synced else Text("no", style="yellow"),
            amount(one.position) if gates else f"{amount(one.position)} {one.base}",  # the gate fits in 80
            _money(one.realised + one.unrealised - one.fees),
            f"{one.fees:,.2f}",
            *([gate] if gates else []),
        )
    return table


def _prices(*prices: float | None) -> list[str]:
    """Return prices of one instrument with as many decimals each: those of the one that has most."""
    decimals = max(len(f"{one or 0:.10f}".rstrip("0").partition(".")[2]) for one in prices)
    return ["-" if one is None else f"{one:,.{decimals}f}" for one in prices]


def _table(first: str, gap: int = 2) -> Table:
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim")
    if first:
        table.add_column(first, no_wrap=True)
    return table


def _money(amount: float) -> Text:
    return Text(f"{amount:+,.2f}", style="green" if amount >= 0 else "red")


def _latency(status: Status) -> Table:
    table = _table("latency by stage")
    for name in ("count", "p50", "p99", "p99.9", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    pause = status.gc_pause  # no stage, but every stage waits for it
    for one in status.latency if pause is None else [*status.latency, pause]:
        spans = (one.p50_s, one.p99_s, one.p999_s, one.max_s)
        table.add_row(one.stage, f"{one.count:,}", *(duration(span) for span in spans))
    return table


def _orders(status: Status) -> Table:
    table = _table("orders and refusals")
    table.add_column("count", justify="right", no_wrap=True)
    for name, count in sorted(status.orders.by_state.items()):
        if count:
            table.add_row(name, f"{count:,}")
    for name, count in sorted(status.orders.refusals.items()):
        table.add_row(Text(f"refused: {name}", style="yellow"), f"{count:,}")
    for code, count in sorted(status.orders.rejected.items()):
        table.add_row(Text(f"rejected: {code}", style="red"), f"{count:,}")
    if status.orders.unsent:
        table.add_row(Text("never sent", style="yellow"), f"{status.orders.unsent:,}")
    if not table.row_count:
        table.add_row("none", "")
    return table


def _event_totals(status: Status) -> list[tuple[str, int]]:
    totals = []
    for kind, attribute in (
        ("trade", "trades"),
        ("quote", "quotes"),
        ("depth update", "depths"),
        ("snapshot", "snapshots"),
    ):
        totals.append((kind, sum(getattr(one, attribute) for one in status.instruments)))
    return totals


def _faults(status: Status) -> list[tuple[str, str]]:
    """Return the strategies that are not asked any more, and why."""
    return sorted(status.strategy_faults.items())


def _memories(status: Status) -> list[str]:
    """Return of each strategy that warms up, or missed ticks, what became of what it had learnt."""
    told = []
    for one in status.strategies:
        if one.cold_ticks or one.gaps:
            cold = f", warms up for {one.cold_ticks:,} more ticks" if one.cold_ticks else ""
            gaps = f", {one.gaps:,} gap{'s' if one.gaps > 1 else ''} ({one.on_gap})" if one.gaps else ""
            told.append(f"strategy {one.name} began {one.began}{cold}{gaps}")
    return told


def _losses(status: Status) -> str:
    """Return what never came, or came in vain."""
    gaps, missed, dropped = (
        sum(getattr(one, name) for one in status.instruments)
        for name in ("book_gaps", "trades_missed", "depths_dropped")
    )
    return f"{gaps:,} gaps, {missed:,} trades missed, {dropped:,} depth updates dropped"


def _errors(status: Status) -> str:
    by_reason = ", ".join(f"{reason} {count}" for reason, count in sorted(status.feed_errors.items()))
    return f"{sum(status.feed_errors.values())} errors{f' ({by_reason})' if by_reason else ''}"


def _age(status: Status) -> float | None:
    """Return the age of the oldest feed."""
    ages = [one.feed_age_s for one in status.instruments if one.feed_age_s is not None]
    return max(ages, default=None)


def _rate(status: Status, before: Status | None) -> str:
    if before is None or status.now_ns <= before.now_ns:
        per_s = status.events / status.uptime_s if status.uptime_s > 0 else 0.0
    else:
        per_s = (status.events - before.events) * 1e9 / (status.now_ns - before.now_ns)
    return f"{per_s:,.0f}/s"
