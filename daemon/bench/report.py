"""What `tickd bench latency` prints: one table for people, one JSON object for programs, targets in both."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from daemon.bench import plans
from daemon.bench.participants import ECHO, FLOOR_SLEEP, FLOOR_SPIN, NAIVE, OURS, OURS_FLOODED
from daemon.bench.results import (
    Latency,
    Proof,
    Quartiles,
    Ratio,
    Stage,
    latency,
    quartiles,
    rate,
    ratio,
    stages,
)
from daemon.faces.show import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from daemon.bench.exchange import Segment
    from daemon.bench.many import Many
    from daemon.options import LatencyOptions
    from daemon.status import Status

    Measured = dict[tuple[str, str], list[Segment]]

#: a figure that is to be reached: what is at most (or at least) wanted, and the bound beyond which it has
#: become worse than any noise explains; tails have none, since whoever else uses the cores makes them
_SPINNING: Final = {
    (plans.SETTLED, "p50"): (2.2, 9.0),
    (plans.SETTLED, "p99"): (2.5, inf),
    (plans.COLLIDING, "p50"): (2.7, 25.0),
    (plans.COLLIDING, "p99"): (4.0, inf),
}
_SLEEPING: Final = {
    (plans.SETTLED, "p50"): (1.5, 7.0),
    (plans.COLLIDING, "p50"): (1.5, 35.0),
    (plans.POISSON, "p50"): (2.0, inf),
}
_TAIL_MAX: Final = (3.0, inf)
_BARE_MAX: Final = (2.4, 40.0)
_SHARE_MAX: Final = (0.4, 0.8)
_NAIVE_MIN: Final = (40.0, 15.0)
_ORDERS_MIN: Final = (25_000.0, 2_000.0)
_TICKS_MIN: Final = (250_000.0, 80_000.0)
_READY_MAX_S: Final = (2.5, 15.0)
_TICK_MAX: Final = (1.3, 4.0)
_BEYOND_MAX_KB: Final = (64.0, 200.0)
_COLUMNS_MIN: Final = 110
#: a spinning floor's p99 is twice its p50 where nobody else is; a stall is a scheduler's slice
_STALL: Final = 20.0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that was promised, and what it was."""

    what: str
    wanted: str
    measured: float
    verdict: Literal["reached", "not reached", "disturbed"]  # disturbed: a tail that others made
    kept: bool  # within the bound that `make bench` fails beyond


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    mode: str
    trees: int
    symbols: int
    rate: float
    cores: tuple[int, int]
    rounds: int
    segment_s: float
    latency: list[Latency]
    disturbed: bool  # the floor itself had stalls: others use these cores, and tails say little of the daemon
    ratios: list[Ratio]
    orders_per_s: Quartiles
    ticks_per_s: Quartiles
    stages: list[Stage]
    bare_us: Quartiles  # to read a frame, make features and run the model, and nothing else; p50s
    judge_us: Quartiles  # to reconcile and limit what is wanted, and nothing else; p50s
    targets: list[Target]
    proofs: list[Proof]
    many: list[Many] = []


def make_report(
    options: LatencyOptions,
    cores: tuple[int, int],
    measured: Measured,
    statuses: list[Status],
    proofs: list[Proof],
    bare_ns: Sequence[NDArray[np.int64]],
    judge_ns: Sequence[NDArray[np.int64]],
    many: Sequence[Many] = (),
) -> Report:
    """Return the report of a run; the first Status is of the rounds in which all took turns.

    bare_ns, judge_ns: what daemon/bench/bare.py and judge.py took in each round.
    """
    latencies = [latency(scenario, name, segments) for (scenario, name), segments in measured.items()]
    ratios = _ratios(options, measured)
    orders = rate(measured[plans.ORDERS, OURS_FLOODED], "orders")
    ticks = rate(measured[plans.FLOOD, OURS_FLOODED], "sent")
    waterfall = stages(statuses[0])
    bare_us, judge_us = (
        quartiles([float(np.median(one)) / 1e3 for one in rounds]) for rounds in (bare_ns, judge_ns)
    )
    disturbed = _disturbed(latencies)
    targets = _targets(options, ratios, orders, ticks)
    targets += _inside_targets(waterfall, bare_us, judge_us) + _many_targets(many)
    return Report(
        mode=options.mode,
        trees=options.trees,
        symbols=options.symbols,
        rate=options.rate,
        cores=cores,
        rounds=plans.rounds(options),
        segment_s=plans.segment_ns(options) / 1e9,
        latency=latencies,
        disturbed=disturbed,
        ratios=ratios,
        orders_per_s=orders,
        ticks_per_s=ticks,
        stages=waterfall,
        bare_us=bare_us,
        judge_us=judge_us,
        targets=[_of_others(one) if disturbed and "p99" in one.what else one for one in targets],
        proofs=proofs,
        many=list(many),
    )


def _disturbed(latencies: list[Latency]) -> bool:
    """Whether the spinning floor, which has nothing to wait for, was stopped now and then."""
    return any(
        one.p99_us > _STALL * one.p50_us
        for one in latencies
        if one.participant == FLOOR_SPIN and one.scenario == plans.SETTLED
    )


def _of_others(tail: Target) -> Target:
    return msgspec.structs.replace(tail, verdict="disturbed")


def _ratios(options: LatencyOptions, measured: Measured) -> list[Ratio]:
    floor = FLOOR_SPIN if options.mode == "spin" else FLOOR_SLEEP
    found = []
    for scenario in (plans.SETTLED, plans.COLLIDING, plans.POISSON):
        ours = measured[scenario, OURS]
        found.append(ratio(scenario, OURS, floor, ours, measured[scenario, floor]))
        found.append(ratio(scenario, ECHO, floor, measured[scenario, ECHO], measured[scenario, floor]))
    naive = measured.get((plans.SETTLED, NAIVE))
    if naive is not None:
        found.append(ratio(plans.SETTLED, NAIVE, OURS, naive, measured[plans.SETTLED, OURS]))
    return found


def _targets(
    options: LatencyOptions, ratios: list[Ratio], orders: Quartiles, ticks: Quartiles
) -> list[Target]:
    found = []
    by_name = {(one.scenario, one.of): one for one in ratios}
    for (scenario, quantile), limits in (_SPINNING if options.mode == "spin" else _SLEEPING).items():
        value = getattr(by_name[scenario, OURS], quantile).median
        found.append(_at_most(f"{scenario}: {quantile} to the floor's", limits, value))
    naive = by_name.get((plans.SETTLED, NAIVE))
    if naive is not None:
        found.append(_at_least("the naive stack's p50 to ours", _NAIVE_MIN, naive.p50.median))
    found.append(_at_least("orders/s, each acknowledged and reported", _ORDERS_MIN, orders.median))
    found.append(_at_least("ticks/s, flooded", _TICKS_MIN, ticks.median))
    return found


def _inside_targets(waterfall: list[Stage], bare_us: Quartiles, judge_us: Quartiles) -> list[Target]:
    by_name = {one.stage: one for one in waterfall}
    order = by_name["order"]
    judged_us = judge_us.median + by_name["risk"].p50_us + by_name["record"].p50_us
    inside = "inside, frame to order written"
    return [
        _at_most(f"{inside}: p50 to the bare sum", _BARE_MAX, order.p50_us / bare_us.median),
        _at_most(f"{inside}: p99 to p50", _TAIL_MAX, order.p99_us / order.p50_us),
        _at_most(
            f"{inside}: reconcile, limits, order state and journal of it",
            _SHARE_MAX,
            judged_us / order.p50_us,
        ),
    ]


def _many_targets(many: Sequence[Many]) -> list[Target]:
    """Return what was promised of many instruments, as the most of them kept it beside the fewest."""
    if not many:
        return []
    least, most = many[0], many[-1]
    found = []
    for one in dict.fromkeys((least.symbols, most.symbols)):
        ready_s = next(each.ready_s for each in many if each.symbols == one)
        found.append(_at_most(f"s from the command to READY, {_symbols(one)}", _READY_MAX_S, ready_s))
    beyond_kb = most.beyond_kb(least)
    if beyond_kb is not None:
        what = f"a tick's p50, {_symbols(most.symbols)} to {_symbols(least.symbols)}"
        found.append(_at_most(what, _TICK_MAX, most.tick_p50_us / least.tick_p50_us))
        found.append(_at_most(f"kB an instrument beyond its ring, {most.symbols}", _BEYOND_MAX_KB, beyond_kb))
    return found


def _symbols(count: int) -> str:
    return f"{count} symbol{'s' if count > 1 else ''}"


def _at_most(what: str, limits: tuple[float, float], value: float) -> Target:
    most, bound = limits
    wanted = f"at most {most:,g}"
    verdict = _verdict(value <= most)
    return Target(what=what, wanted=wanted, measured=value, verdict=verdict, kept=value <= bound)


def _at_least(what: str, limits: tuple[float, float], value: float) -> Target:
    least, bound = limits
    wanted = f"at least {least:,g}"
    verdict = _verdict(value >= least)
    return Target(what=what, wanted=wanted, measured=value, verdict=verdict, kept=value >= bound)


def _verdict(reached: bool) -> Literal["reached", "not reached"]:
    return "reached" if reached else "not reached"


# --- printing -----------------------------------------------------------------------------------------------
def show(report: Report, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        print_json(report)
        return
    console = Console()
    console = Console(width=max(console.width, _COLUMNS_MIN))  # a figure cut short would be none
    daemon = "spinning" if report.mode == "spin" else "sleeping between ticks"
    shared = ", the same for want of another" if report.cores[0] == report.cores[1] else ""
    console.print(
        f"exchange on core {report.cores[0]}, daemon on core {report.cores[1]}{shared}, {daemon}; "
        f"{report.trees} trees, {report.symbols} symbols; {report.rounds} rounds of segments of "
        f"{report.segment_s:.2f} s, {report.rate:,.0f} ticks/s where Poisson",
        highlight=False,
    )
    if not any(one.participant == NAIVE for one in report.latency):
        console.print("the naive stack was left out: pandas or lightgbm is not installed")
    if report.disturbed:
        console.print(
            "others use these cores: the floor itself stalls, and every p99 says more of them than of us"
        )
    for draw in (_latencies, _compared, _waterfall, _throughput, _many, _reached):
        if draw is not _many or report.many:
            console.print(draw(report))


def _latencies(report: Report) -> Table:
    table = _table("tick to order on the exchange's clock, us", "scenario", "who")
    for name in ("min", "p50", "p90", "p99", "p99.9", "max", "count", "late", "held back"):
        table.add_column(name, justify="right")
    for one in report.latency:
        if one.participant == OURS_FLOODED:
            continue
        figures = (one.min_us, one.p50_us, one.p90_us, one.p99_us, one.p999_us, one.max_us)
        counts = (one.count, one.late, one.held_back)
        table.add_row(one.scenario, one.participant, *map(_us, figures), *(f"{n:,}" for n in counts))
    table.caption = (
        "not sent: late, because the exchange itself was too late for a tick of its schedule; "
        "held back, because every symbol's order was still to come"
    )
    table.caption_justify = "left"
    return table


def _compared(report: Report) -> Table:
    table = _table("ratios, median (quartiles) over the segments", "scenario", "of", "to")
    table.add_column("p50", justify="right")
    table.add_column("p99", justify="right")
    for one in report.ratios:
        table.add_row(one.scenario, one.of, one.to, _spread(one.p50, ".2f"), _spread(one.p99, ".2f"))
    return table


def _waterfall(report: Report) -> Table:
    # a fill wakes its strategy, so there are more drains than ticks
    table = _table(
        "inside the daemon, us; decode and decide: drains, after fills too; turn: both in one call", "stage"
    )
    for name in ("p50", "p99", "p99.9", "max", "count"):
        table.add_column(name, justify="right")
    for one in report.stages:
        figures = (one.p50_us, one.p99_us, one.p999_us, one.max_us)
        table.add_row(one.stage, *(f"{x:,.2f}" for x in figures), f"{one.count:,}")
    table.caption = (
        f"the bare sum (a frame read, its features, the model): {_spread(report.bare_us, '.2f')}; "
        f"reconcile and limits alone, a part of decide: {_spread(report.judge_us, '.2f')}"
    )
    table.caption_justify = "left"
    return table


def _throughput(report: Report) -> Table:
    table = _table("throughput, median (quartiles) over the segments", "scenario")
    table.add_column("a second", justify="right")
    table.add_row(plans.SCENARIOS[plans.ORDERS], _spread(report.orders_per_s, ",.0f"))
    table.add_row(plans.SCENARIOS[plans.FLOOD], _spread(report.ticks_per_s, ",.0f"))
    return table


def _many(report: Report) -> Table:
    table = _table("many instruments, a strategy and a model each; rings and beyond: of one", "symbols")
    for name in ("READY, s", "tick p50, us", "p99", "resident, MB", "rings, kB", "beyond, kB", "accounted"):
        table.add_column(name, justify="right")
    for one in report.many:
        beyond_kb = one.beyond_kb(report.many[0])
        table.add_row(
            str(one.symbols),
            f"{one.ready_s:.2f}",
            f"{one.tick_p50_us:.2f}",
            f"{one.tick_p99_us:.2f}",
            f"{one.resident_mb:,.0f}",
            f"{one.ring_bytes / one.symbols / 1e3:,.1f}",
            "-" if beyond_kb is None else f"{beyond_kb:,.1f}",
            f"{one.accounted_kb:,.1f}",
        )
    return table


def _reached(report: Report) -> Table:
    table = _table("targets", "what", "wanted")
    table.add_column("measured", justify="right")
    table.add_column("")
    for one in report.targets:
        value = f"{one.measured:,.0f}" if one.measured >= 1000 else f"{one.measured:.2f}"
        table.add_row(one.what, one.wanted, value, one.verdict)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name)
    return table


def _us(value: float) -> str:
    return f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _spread(value: Quartiles, form: str) -> str:
    return f"{value.median:{form}} ({value.low:{form}}-{value.high:{form}})"
