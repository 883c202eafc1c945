"""`tickd backtest --parity`: the same ticks through the compiled backtest and the daemon's own engine.

Engine, order side and paper venue are those of a replay and of `tickd paper`; what surrounds a strategy in a
compiled backtest is written again, as kernels. Compared is every request and every fill, to the last bit:
times, orders, prices, quantities, position, fees and equity after each; then what was refused, the account,
and all that the strategy saw and remembers at the end.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console

from daemon.core import load_runtimes
from daemon.credentials import mask_keys
from daemon.disk import RealDisk
from daemon.errors import FileFormatError
from daemon.faces.compiling import compiling
from daemon.plans import strategies_to_load
from daemon.research.backtest import Backtest, refuse
from daemon.research.backtest_verb import instrument_of, streams_of
from daemon.research.difference import Found, Rows, first_difference
from daemon.research.market import Market
from daemon.research.replayed import Ended, replay_ticks
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import read_header, read_ticks
from daemon.venues.make import measure
from kernels.dtypes import REFUSAL_NAMES

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.instruments import Instrument
    from daemon.options import BacktestOptions
    from daemon.tape.ticks import Header

_WHOSE = ("the backtest", "the replay")


class Parity(msgspec.Struct, kw_only=True):
    """What came of it."""

    file: str
    symbol: str
    strategy: str
    events: int
    decisions: int
    requests: int  # of the backtest: what left for the venue
    fills: int
    same: bool
    difference: Found | None = None
    text: str  # what holds, or does not


def compare(options: BacktestOptions) -> Parity:
    """Run a strategy both ways; raises ConfigError, FileFormatError and TickdError as a backtest does."""
    header = read_header(options.path)
    instrument = instrument_of(header)
    given = Given(options.config, options.strategy, options.model)
    streams = streams_of(options.path)
    config = configure(given, str(options.path), header.exchange, [instrument], streams)
    mask_keys(os.environ, RealDisk(), config)
    with compiling(Console(stderr=True), 2 * strategies_to_load(config) + 1) as step:
        compiled = _compiled(options, config, instrument, header, step)
        replayed = replay_ticks(options.path, config, instrument, header, step)
    record = compiled.memory[0]
    difference = difference_of(compiled, replayed, instrument)
    name, decisions = config.strategy[0].name, int(record["decisions"])
    if difference is None:
        text = (
            f"backtest and replay of {name} on {options.path} are the same to the last bit: {decisions:,} "
            f"decisions at {compiled.events:,} events, {len(compiled.sent):,} requests, "
            f"{len(compiled.fills):,} fills, and the account"
        )
    else:
        text = f"backtest and replay of {name} on {options.path} differ: {difference.text}"
    return Parity(
        file=str(options.path),
        symbol=instrument.symbol,
        strategy=name,
        events=compiled.events,
        decisions=decisions,
        requests=len(compiled.sent),
        fills=len(compiled.fills),
        same=difference is None,
        difference=difference,
        text=text,
    )


def difference_of(one: Ended, other: Ended, instrument: Instrument) -> Found | None:
    """Return the first difference of a backtest and a replay; None: there is none."""
    found = first_difference(Rows(one.sent, one.fills), Rows(other.sent, other.fills), _WHOSE, instrument)
    if found is not None:
        return found
    for code in sorted(one.refusals.keys() | other.refusals.keys()):
        counts = one.refusals.get(code, 0), other.refusals.get(code, 0)
        if counts[0] != counts[1]:
            return _at_the_end("refusals", REFUSAL_NAMES[code], counts)
    if one.halted != other.halted:
        return _at_the_end("state", "halted", (one.halted, other.halted))
    mine, theirs = one.memory[0], other.memory[0]
    names = one.memory.dtype.names or ()
    for name in sorted(names, key=lambda each: each not in {"decisions", "digest", "rows", "state"}):
        if mine[name].tobytes() != theirs[name].tobytes():
            return _at_the_end("memory", name, (mine[name], theirs[name]))
    if one.account.tobytes() != other.account.tobytes():
        return _at_the_end("account", "account", (one.account, other.account))
    return None


def _at_the_end(what: str, field: str, values: tuple[Any, Any]) -> Found:
    said = [" ".join(str(value).split())[:160] for value in values]
    text = (
        f"no request and no fill differs, but at the end {field} ({what}) is {said[0]} in the backtest and "
        f"{said[1]} in the replay"
    )
    return Found(text=text, what=what, field=field, one=said[0], other=said[1])


def _compiled(
    options: BacktestOptions, config: Config, instrument: Instrument, header: Header, step: Any
) -> Ended:
    fees = float(config.paper.fee_maker), float(config.paper.fee_taker)
    disk = RealDisk()
    runtimes = load_runtimes(config, [instrument], disk, fees, step, can_amend=True)
    refuse(config, [instrument], runtimes)
    step("backtest")
    test = Backtest(config, instrument, runtimes[0], measure(config, disk), point_s=options.point_s)
    test.compile()
    market = Market(instrument, header)
    for block in read_ticks(options.path):
        test.take(market.take(block))
    outcome = test.finish()
    if not outcome.events:
        raise FileFormatError(f"{options.path} holds no ticks: name another folder")
    refused = {code: int(count) for code, count in enumerate(outcome.test["refusals"][0]) if count}
    return Ended(
        outcome.sent,
        outcome.fills,
        runtimes[0].memory,
        test.account,
        refused,
        bool(outcome.halted),
        outcome.events,
    )
