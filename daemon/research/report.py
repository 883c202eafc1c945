"""What `tickd backtest --html` shows beside the figures: curves, months, and how delay and fees are borne."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from daemon.errors import TickdError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from daemon.research.figures import BacktestResult
    from daemon.research.trial import Bench, Tried

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

#: added to the way of an order to the venue; a round trip of 250 ms and more is not done here
DELAYS_MS: Final = (0, 1, 2, 5, 10, 20, 50, 100, 200)
#: of the fees that are configured
FEES: Final = ("0", "0.5", "1", "1.5", "2")
#: parts of a line, each drawn by its least and its most
_BUCKETS: Final = 1_500


class Month(NamedTuple):
    """What equity gained in a month, or in what there is of it."""

    year: int
    month: int
    growth: float
    whole: bool


class Reruns(NamedTuple):
    """The net profit of the same record under other circumstances; a sentence where it cannot be said."""

    at: list[float]  # ms, or times the fees
    net: list[float]
    unsaid: str


class Report(NamedTuple):
    """All that a page shows."""

    result: BacktestResult
    params: dict[str, float]
    settings: dict[str, str]
    curve: tuple[Ints, Floats]
    prices: tuple[Ints, Floats]  # the mid
    months: list[Month]
    delays: Reruns
    fees: Reruns


def make_report(bench: Bench, tried: Tried, step: Callable[[str], object], *, reruns: bool) -> Report:
    """Rerun the record as often as it takes, and return what there is to show; step(name) before each run."""
    paper = bench.config.paper
    points = tried.points
    known = np.isfinite(points["mid"])
    base_us = int(paper.latency_in_us)
    left = "left out: run it without --no-reruns"
    delays, fees = Reruns([], [], left), Reruns([], [], left)
    if reruns:
        if paper.latency == "fixed":
            delays = _delayed(bench, base_us, step)
        else:
            delays = Reruns([], [], "its latencies are measured ones (paper.latency), to which none is added")
        fees = _charged(bench, paper.fee_maker, paper.fee_taker, step)
    one = bench.plan
    return Report(
        result=tried.result,
        params=dict(zip(one.strategy.params, one.params.tolist(), strict=True)),
        settings={
            "latency": paper.latency
            if paper.latency != "fixed"
            else f"{base_us / 1000:g} ms there, {int(paper.latency_out_us) / 1000:g} ms back",
            "fees": f"maker {paper.fee_maker * 100:g} %, taker {paper.fee_taker * 100:g} %",
            "queue": paper.queue,
        },
        curve=(tried.times, tried.equity),
        prices=(points["now_ns"][known].astype(np.int64), points["mid"][known].astype(np.float64)),
        months=monthly(tried.times, tried.equity),
        delays=delays,
        fees=fees,
    )


def monthly(times: Ints, equity: Floats) -> list[Month]:
    """Return the growth of a known curve by months in UTC; the first and the last may not be whole."""
    found: list[Month] = []
    if len(equity) < 2 or not equity[0] > 0:
        return found
    stamps = [datetime.fromtimestamp(ns // 10**9, UTC) for ns in times.tolist()]
    before = float(equity[0])
    rows = list(zip(stamps, equity.tolist(), strict=True))
    for (year, month), group in groupby(rows, key=lambda row: (row[0].year, row[0].month)):
        *_, (_, last) = group
        found.append(Month(year, month, last / before - 1 if before > 0 else np.nan, whole=True))
        before = last
    if stamps[0].day > 1:
        found[0] = found[0]._replace(whole=False)
    if (stamps[-1] + timedelta(days=1)).month == stamps[-1].month:
        found[-1] = found[-1]._replace(whole=False)
    return found


def thin(times: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Return a line of a few thousand points that looks the same: of each part its least and its most."""
    if len(values) <= 2 * _BUCKETS:
        return times, values
    edges = np.linspace(0, len(values), _BUCKETS + 1).astype(np.intp)
    kept = {0, len(values) - 1}
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = values[begin:end]
        kept |= {begin + int(np.argmin(part)), begin + int(np.argmax(part))}
    places = np.array(sorted(kept))
    return times[places], values[places]


def _delayed(bench: Bench, base_us: int, step: Callable[[str], object]) -> Reruns:
    at, net, unsaid = [], [], ""
    for delay_ms in DELAYS_MS:
        step(f"{delay_ms} ms later")
        try:
            tried = bench.run({"paper.latency_in_us": str(base_us + 1000 * delay_ms)})
        except TickdError as error:
            unsaid = str(error)
            break
        at.append(float(delay_ms))
        net.append(tried.result.net)
    return Reruns(at, net, unsaid)


def _charged(bench: Bench, maker: Decimal, taker: Decimal, step: Callable[[str], object]) -> Reruns:
    at, net, unsaid = [], [], ""
    for times in FEES:
        step(f"{times} times the fees")
        point = {
            f"paper.fee_{name}": f"{fee * Decimal(times):f}"
            for name, fee in (("maker", maker), ("taker", taker))
        }
        try:
            tried = bench.run(point)
        except TickdError as error:
            unsaid = str(error)
            continue
        at.append(float(times))
        net.append(tried.result.net)
    return Reruns(at, net, unsaid)
