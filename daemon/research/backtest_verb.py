"""`tickd backtest`: a strategy over typed ticks at compiled speed, and what came of it in figures."""

from __future__ import annotations

import os
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from rich.console import Console

from daemon.clock import SystemClock
from daemon.core import load_runtimes
from daemon.credentials import mask_keys
from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, FileFormatError
from daemon.faces.backtest_table import show
from daemon.faces.compiling import compiling
from daemon.instruments import make_instrument
from daemon.lifetime import interrupted_by_any
from daemon.plans import strategies_to_load
from daemon.research.backtest import Backtest, refuse
from daemon.research.market import Market
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import find_parts, read_header, read_ticks
from daemon.venues.make import measure
from kernels.columns import T_KIND
from kernels.dtypes import CANCEL, P_FEES, P_QTY, P_REALISED, P_UNREALISED, PLACE, QUOTE, REFUSAL_NAMES, TRADE

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.feeds.base import Stream
    from daemon.instruments import Instrument
    from daemon.options import BacktestOptions
    from daemon.research.backtest import Outcome
    from daemon.runtime import Runtime
    from daemon.tape.ticks import Header

_YEAR_S: Final = 365 * 86_400
#: what a file of ticks does not say of its instrument: as a replay of a capture takes it
_QTY_MAX: Final = "9000"
_NOTIONAL_MIN: Final = "5"


class BacktestResult(msgspec.Struct, kw_only=True):
    """What a backtest found; money is in the quote. All but the seconds is the same everywhere."""

    file: str
    symbol: str
    strategy: str
    events: int
    from_ns: int
    until_ns: int
    decisions: int
    placed: int
    cancelled: int
    refusals: dict[str, int]
    fills: int
    maker_fills: int
    turnover: float
    fees: float
    net: float  # realised, and what is held at the mid of the last decision, less fees
    position: float
    closing_fills: int  # those that realised something
    win_rate: float | None  # of those, how many gained before fees
    drawdown_max: float  # over fills and the points of the curve
    sharpe: float | None  # of the changes of equity between two points, annualised over 365 days
    sharpe_points: int
    point_s: int
    halted: str
    decision_digest: str
    seconds: float
    events_per_s: float


def run(options: BacktestOptions) -> int:
    """Run it, and print what came of it; raises TickdError."""
    with interrupted_by_any():
        result = backtest(options)
    show(result, as_json=options.json)
    return EXIT_DONE


def backtest(options: BacktestOptions) -> BacktestResult:
    """Run a strategy over a folder of ticks; raises ConfigError, FileFormatError and TickdError."""
    header = read_header(options.path)
    instrument = instrument_of(header)
    streams = _streams(options.path)
    given = Given(options.config, options.strategy, options.model)
    config = configure(given, str(options.path), header.exchange, [instrument], streams)
    disk = RealDisk()
    mask_keys(os.environ, disk, config)
    fees = float(config.paper.fee_maker), float(config.paper.fee_taker)
    clock = SystemClock()
    with compiling(Console(stderr=True), strategies_to_load(config) + 1) as step:
        runtimes = load_runtimes(config, [instrument], disk, fees, step, can_amend=True)
        refuse(config, [instrument], runtimes)
        step("backtest")
        test = Backtest(config, instrument, runtimes[0], measure(config, disk), point_s=options.point_s)
        test.compile()
    market = Market(instrument, header)
    begun_ns, from_ns = clock.mono_ns(), 0
    for block in read_ticks(options.path):
        events = market.take(block)
        from_ns = from_ns or int(events.events["tick"]["wire_ns"][0])
        test.take(events)
    if not from_ns:
        raise FileFormatError(f"{options.path} holds no ticks: name another folder")
    outcome = test.finish()
    seconds = (clock.mono_ns() - begun_ns) / 1e9
    return summarise(options, instrument, runtimes[0], outcome, from_ns, seconds)


def instrument_of(header: Header) -> Instrument:
    """Return a file's instrument by its steps, with the rules beside them that a capture's has."""
    return make_instrument(
        0,
        header.exchange,
        header.market,
        header.symbol,
        tick_size=header.tick,
        lot_size=header.lot,
        qty_min=header.lot,
        qty_max=_QTY_MAX,
        notional_min=_NOTIONAL_MIN,
        exchange_symbol=header.exchange_symbol,
    )


def _streams(path: Path) -> tuple[Stream, ...]:
    """Return which streams a record is of: those of its first rows, and depth where there are files of it."""
    found: list[Stream] = []
    first = next(read_ticks(path, depth=False), None)
    kinds = set() if first is None else set(np.unique(first.ticks[T_KIND]).tolist())
    if TRADE in kinds:
        found.append("trade")
    if QUOTE in kinds:
        found.append("quote")
    if any(one.name.startswith("depth-") for one in find_parts(path)):
        found.append("depth")
    return tuple(found) or ("trade",)


def summarise(
    options: BacktestOptions,
    instrument: Instrument,
    runtime: Runtime,
    outcome: Outcome,
    from_ns: int,
    seconds: float,
) -> BacktestResult:
    """Work out the figures."""
    fills, sent, one = outcome.fills, outcome.sent, outcome.test[0]
    led = one["ledger"]
    prices = fills["ticks"] * instrument.price.as_float
    turnover = float(np.sum(prices * fills["lots"] * instrument.qty.as_float))
    realised = np.diff(fills["realised"], prepend=0.0)
    closing = realised[realised != 0.0]
    curve = outcome.points["equity"][np.isfinite(outcome.points["equity"])]
    sharpe = sharpe_of(curve, options.point_s)
    position = runtime.view("position")[0].tolist()
    return BacktestResult(
        file=str(options.path),
        symbol=instrument.symbol,
        strategy=runtime.name,
        events=outcome.events,
        from_ns=from_ns,
        until_ns=int(one["now_ns"]),
        decisions=outcome.decisions,
        placed=int(np.count_nonzero(sent["verb"] == PLACE)),
        cancelled=int(np.count_nonzero(sent["verb"] == CANCEL)),
        refusals={REFUSAL_NAMES[code]: int(n) for code, n in enumerate(one["refusals"]) if n},
        fills=len(fills),
        maker_fills=int(np.count_nonzero(fills["maker"])),
        turnover=turnover,
        fees=float(fills["fees"][-1]) if len(fills) else 0.0,
        net=position[P_REALISED] + position[P_UNREALISED] - position[P_FEES],
        position=position[P_QTY],
        closing_fills=len(closing),
        win_rate=float(np.mean(closing > 0)) if len(closing) else None,
        drawdown_max=_drawdown(outcome, float(led["value"])),
        sharpe=sharpe,
        sharpe_points=len(curve),
        point_s=options.point_s,
        halted=outcome.halted,
        decision_digest=f"{int(runtime.memory['digest'][0]):016x}",
        seconds=seconds,
        events_per_s=outcome.events / seconds if seconds else inf,
    )


def sharpe_of(equity: np.ndarray[tuple[int], np.dtype[np.float64]], point_s: int) -> float | None:
    """Return mean over deviation of the relative changes between points, times the root of those in a year.

    None where there are fewer than two changes, or none that differs.
    """
    if len(equity) < 3 or not np.all(equity > 0):
        return None
    changes = np.diff(equity) / equity[:-1]
    deviation = float(np.std(changes, ddof=1))
    if deviation == 0.0:
        return None
    sharpe = float(np.mean(changes)) / deviation * sqrt(_YEAR_S / point_s)
    return sharpe if isfinite(sharpe) else None


def _drawdown(outcome: Outcome, last: float) -> float:
    """Return the largest fall of equity, looked at after each fill and at each point."""
    times = np.concatenate([outcome.points["now_ns"], outcome.fills["told_ns"]])
    equity = np.concatenate([outcome.points["equity"], outcome.fills["equity"]])
    equity = np.append(equity[np.argsort(times, kind="stable")], last)
    equity = equity[np.isfinite(equity)]
    return float(np.max(np.maximum.accumulate(equity) - equity)) if len(equity) else 0.0
