"""One backtest among many over the same record: its own configuration, strategy's memory, venue and account.

What trials share is read and never written: the packed events, the strategy's compiled functions, a model's
trees. Everything that a run changes is made for it. What comes out is what `tickd backtest` says with the
same parameters, since it is the same code that says it.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from rich.console import Console

from daemon.clock import SystemClock
from daemon.config import from_tree
from daemon.core import make_runtimes
from daemon.credentials import mask_keys
from daemon.disk import RealDisk
from daemon.errors import ConfigError, TickdError, UsageError, nearest
from daemon.faces.compiling import compiling
from daemon.options import BacktestOptions
from daemon.plans import make_loaders, plan_strategies, strategies_to_load
from daemon.research import statistics
from daemon.research.backtest import Backtest, refuse
from daemon.research.backtest_verb import instrument_of, streams_of
from daemon.research.decided import Decided
from daemon.research.figures import curve_of, summarise
from daemon.research.packed import Record, read_record
from daemon.research.training_window import in_training
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import read_header
from daemon.venues.make import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from daemon.config import Config
    from daemon.plans import Plan
    from daemon.research.figures import BacktestResult
    from daemon.research.market import Events
    from daemon.research.ranges import Axis, Point
    from daemon.research.statistics import Changes
    from daemon.seams import Disk

#: what may be varied; the record says the rest, or it changes nothing here
_SECTIONS: Final = ("paper", "risk", "reconcile")
_KEYS: Final = ("venue.leverage", "venue.margin", "feed.stale_ms")
_OF_STRATEGY: Final = ("tuning", "warmup_ticks", "on_gap", "on_silence")


class Part(NamedTuple):
    """A stretch of the record's time."""

    from_ns: int
    until_ns: int


class Tried(NamedTuple):
    """What one backtest found."""

    result: BacktestResult
    times: NDArray[np.int64]
    equity: NDArray[np.float64]  # where it is known
    changes: Changes
    points: NDArray[np.void]  # POINT_ROW: the market and the account, every so often


class StoppedError(TickdError):
    """A trial was ended before it was done, as was asked."""


class Bench:
    """A record, and the strategy that is tried over it."""

    def __init__(self, path: Path, given: Given, point_s: int, disk: Disk | None = None) -> None:
        """Load the strategy and compile what runs it; raises TickdError."""
        self._path = path
        self.disk = disk or RealDisk()
        self._loaders = make_loaders(self.disk)
        self._clock = SystemClock()
        header = read_header(path)
        self.instrument = instrument_of(header)
        base = configure(given, str(path), header.exchange, [self.instrument], streams_of(path))
        self.config = base
        mask_keys(os.environ, self.disk, base)
        self.marked = in_training(base, path, self.disk)
        self._options = BacktestOptions(path=path, point_s=point_s, marked=self.marked)
        with compiling(Console(stderr=True), strategies_to_load(base) + 1) as step:
            self.plan = self._plan(base, step)
            test = self._make(base, self.plan)[0]
            step("backtest")
            test.compile()
        self._header = header
        self.record = Record(self.instrument, header)
        self.stopped = False  # set by whoever wants the trials under way to end

    def read(self) -> None:
        """Read the record, once for all trials; raises FileFormatError and ConfigError."""
        self.record = read_record(self._path, self.instrument, self._header)

    def digests(self) -> tuple[str, str]:
        """Return hashes over the strategy's source and over its model, "" without one."""
        trees = blake2b(digest_size=16)
        for array in self.plan.trees:
            trees.update(array.tobytes())
        source = blake2b(self.plan.strategy.source.encode(), digest_size=16).hexdigest()
        return source, trees.hexdigest() if self.plan.trees else ""

    def configured(self, point: Point) -> tuple[Config, Plan]:
        """Return the configuration of a point, and the strategy's plan; raises UsageError, ConfigError."""
        config = self.config
        for key in point:
            if "." in key:
                _check_key(key)
        keys = {_variable(key): (key, value) for key, value in point.items() if "." in key}
        if keys:
            tree = msgspec.json.decode(msgspec.json.encode(config))
            try:
                config = from_tree(tree, {name: value for name, (_, value) in keys.items()}, "the sweep")
            except ConfigError as error:
                text = str(error).removeprefix("the sweep: ")
                for name, (key, value) in keys.items():
                    text = text.replace(name, f"--set {key}={value}")
                raise UsageError(text) from None
        params = {key: float(value) for key, value in point.items() if "." not in key}
        if params:
            one = config.strategy[0]
            one = msgspec.structs.replace(one, params={**one.params, **params})
            config = msgspec.structs.replace(config, strategy=(one, *config.strategy[1:]))
        return config, self._plan(config, bool)

    def check(self, axes: Sequence[Axis]) -> None:
        """Raise TickdError for a name or a value that cannot be tried, with the rest as it is."""
        params = self.plan.strategy.params
        for axis in axes:
            if "." not in axis.name and axis.name not in params:
                raise UsageError(
                    f"--param {axis.name}: strategy {self.plan.strategy.name} has no such parameter; it has "
                    f"{', '.join(params) or 'none'}{nearest(axis.name, params)}"
                )
            # a parameter can be any number, and a setting has bounds
            for value in axis.values if "." in axis.name else axis.values[:1]:
                config, plan = self.configured({axis.name: value})
                self._make(config, plan)

    def run(self, point: Point, part: Part | None = None) -> Tried:
        """Run one backtest over the record, or a part of it; raises TickdError, of whatever it was."""
        begun_ns = self._clock.mono_ns()
        config, plan = self.configured(point)
        test, runtime = self._make(config, plan)
        decided, from_ns = Decided(self.instrument.price), 0
        for market in self._events(part):
            from_ns = from_ns or int(market.events["tick"]["wire_ns"][0])
            decided.take(market.events, self._take(test, market))
        if not from_ns:
            raise TickdError("this part of the record holds no ticks")
        outcome = test.finish()
        seconds = (self._clock.mono_ns() - begun_ns) / 1e9
        result = summarise(self._options, self.instrument, runtime, outcome, decided, from_ns, seconds)
        times, equity = curve_of(outcome)
        changes = statistics.on_grid(times, equity, self._options.point_s * 10**9)
        return Tried(result, times, equity, changes, outcome.points)

    def _events(self, part: Part | None) -> Iterator[Events]:
        return self.record.whole() if part is None else self.record.part(*part)

    def _take(self, test: Backtest, market: Events) -> NDArray[np.void]:
        if self.stopped:
            raise StoppedError("ended before it was done")
        return test.take(market)

    def _plan(self, config: Config, step: Callable[[str], object]) -> Plan:
        plans = plan_strategies(config, self.disk, step, self._loaders)
        if len(plans) != 1:
            refuse(config, [self.instrument], [])
        return plans[0]

    def _make(self, config: Config, plan: Plan) -> tuple[Backtest, Any]:
        fees = float(config.paper.fee_maker), float(config.paper.fee_taker)
        runtimes = make_runtimes(config, [plan], [self.instrument], fees, can_amend=True)
        refuse(config, [self.instrument], runtimes)
        trips_ns = measure(config, self.disk)
        point_s = self._options.point_s
        return Backtest(config, self.instrument, runtimes[0], trips_ns, point_s=point_s), runtimes[0]


def _check_key(key: str) -> None:
    first, *rest = key.split(".")
    of_strategy = first == "strategy" and rest[0] == "0" and len(rest) > 1 and rest[1] in _OF_STRATEGY
    if not (of_strategy or key in _KEYS or (first in _SECTIONS and rest)):
        raise UsageError(
            f"--set {key} is nothing that a backtest varies: it takes keys of {', '.join(_SECTIONS)}, "
            f"{', '.join(_KEYS)} and strategy.0.{{{','.join(_OF_STRATEGY)}}}; parameters go by --param"
        )


def _variable(key: str) -> str:
    return "__".join(("TICKD", *key.split(".")))
