"""`tickd backtest`: a strategy over typed ticks at compiled speed, and what came of it in figures."""

from __future__ import annotations

import os
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
from daemon.research.decided import Decided
from daemon.research.figures import summarise
from daemon.research.market import Market
from daemon.research.training_window import in_training
from daemon.research.training_window import refuse as refuse_training
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import find_parts, read_header, read_ticks
from daemon.venues.make import measure
from kernels.columns import T_KIND
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.feeds.base import Stream
    from daemon.instruments import Instrument
    from daemon.options import BacktestOptions
    from daemon.research.figures import BacktestResult
    from daemon.tape.ticks import Header

#: what a file of ticks does not say of its instrument: as a replay of a capture takes it
_QTY_MAX: Final = "9000"
_NOTIONAL_MIN: Final = "5"


def run(options: BacktestOptions) -> int:
    """Run it, and print what came of it; raises TickdError."""
    with interrupted_by_any():
        if options.html is None:
            result = backtest(options)
        else:
            from daemon.research.report_verb import backtest_with_page  # noqa: PLC0415 - it asks this one

            result = backtest_with_page(options, options.html)
    show(result, as_json=options.json)
    return EXIT_DONE


def backtest(options: BacktestOptions) -> BacktestResult:
    """Run a strategy over a folder of ticks; raises ConfigError, FileFormatError and TickdError."""
    header = read_header(options.path)
    instrument = instrument_of(header)
    streams = streams_of(options.path)
    given = Given(options.config, options.strategy, options.model)
    config = configure(given, str(options.path), header.exchange, [instrument], streams)
    disk = RealDisk()
    mask_keys(os.environ, disk, config)
    options = msgspec.structs.replace(options, marked=in_training(config, options.path, disk))
    refuse_training(options.marked, allowed=options.in_training)
    fees = float(config.paper.fee_maker), float(config.paper.fee_taker)
    clock = SystemClock()
    with compiling(Console(stderr=True), strategies_to_load(config) + 1) as step:
        runtimes = load_runtimes(config, [instrument], disk, fees, step, can_amend=True)
        refuse(config, [instrument], runtimes)
        step("backtest")
        test = Backtest(config, instrument, runtimes[0], measure(config, disk), point_s=options.point_s)
        test.compile()
    market, decided = Market(instrument, header), Decided(instrument.price)
    begun_ns, from_ns = clock.mono_ns(), 0
    for block in read_ticks(options.path):
        events = market.take(block)
        from_ns = from_ns or int(events.events["tick"]["wire_ns"][0])
        decided.take(events.events, test.take(events))
    if not from_ns:
        raise FileFormatError(f"{options.path} holds no ticks: name another folder")
    outcome = test.finish()
    seconds = (clock.mono_ns() - begun_ns) / 1e9
    return summarise(options, instrument, runtimes[0], outcome, decided, from_ns, seconds)


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


def streams_of(path: Path) -> tuple[Stream, ...]:
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
