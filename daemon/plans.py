"""What a configuration alone can get wrong about its strategies, found before a socket opens.

A Plan is one configured strategy, loaded and checked with its model, its parameters and its tuning; it lacks
only the exchange's rules for its instruments, and until they are known it is tried on invented ones.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from daemon.compile import live_kernel, load_strategy
from daemon.errors import ConfigError
from daemon.instruments import make_instrument
from daemon.research.bundle import read_bundle
from daemon.runtime import new_memory
from strategies.base import StrategyError, bind_params

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.compile import Forest
    from daemon.config import Config, StrategyConfig
    from daemon.instruments import Instrument
    from daemon.seams import Disk
    from strategies.base import Strategy
    from strategies.model import Model, Reference


class Plan(NamedTuple):
    """One strategy, ready but for its instruments."""

    strategy: Strategy
    config: StrategyConfig  # with its model's tuning, and the symbols it trades
    params: NDArray[np.float64]
    trees: Forest
    reference: Reference  # what its model was trained on, where that is known

    def memory(
        self,
        config: Config,
        instruments: Sequence[Instrument],
        fees: tuple[float, float],
        *,
        can_amend: bool,
        can_replace: bool = False,
    ) -> NDArray[np.void]:
        """Return its memory before the first tick; raises ConfigError."""
        return new_memory(
            self.strategy,
            instruments,
            self.config,
            self.params,
            config.risk,
            config.reconcile,
            config.venue,
            fees,
            can_amend=can_amend,
            can_replace=can_replace,
        )


class Loaders(NamedTuple):
    """What reads strategies' files and models, each once."""

    strategy: Callable[[str], Strategy]
    model: Callable[[Path], Model]


def make_loaders(disk: Disk) -> Loaders:
    """Return what keeps all that it has read."""
    return Loaders(cache(load_strategy), cache(partial(read_bundle, disk)))


def strategies_to_load(config: Config) -> int:
    """Return how often `plan_strategies` and `compile_plans` each call their `step`."""
    return len({one.name for one in config.strategy})


def plan_strategies(
    config: Config, disk: Disk, step: Callable[[str], object], loaders: Loaders | None = None
) -> list[Plan]:
    """Load and check every configured strategy; raises ConfigError with one sentence.

    step(name) is called once for each name: it may compile when it is imported, and somebody may be watching.
    What several share, a file or a model, is read and checked once, and is in memory once: 500 forests of
    their own would cost 20 s of a start, and a cache miss for each node of each decision. loaders: of whoever
    plans again and again, with other parameters.
    """
    load, read = loaders or make_loaders(disk)
    plans: list[Plan] = []
    told: set[str] = set()
    for one in config.strategy:
        if one.name not in told:
            told.add(one.name)
            step(f"strategy {one.name}")
        model = read(Path(one.model)) if one.model else None
        plan = _plan(one, config, load(one.name), model)
        _trial(plan, config)
        plans.append(plan)
    return plans


def compile_plans(config: Config, plans: Sequence[Plan], step: Callable[[str], object]) -> None:
    """Compile each strategy's live functions, or find them in the cache; raises ConfigError.

    A strategy that does not compile, or fails on an empty market, is refused here; the daemon asks again for
    what this found, with the exchange's rules.
    """
    tried: set[tuple[str, int, int, bytes]] = set()
    told: set[str] = set()
    for plan in plans:
        if plan.config.name not in told:
            told.add(plan.config.name)
            step(f"strategy {plan.strategy.name}, live")
        key = (plan.config.name, id(plan.trees), len(plan.config.symbols), plan.params.tobytes())
        if key not in tried:
            tried.add(key)
            live_kernel(plan.strategy, _trial(plan, config), plan.trees)


def _plan(one: StrategyConfig, config: Config, strategy: Strategy, model: Model | None) -> Plan:
    symbols = one.symbols
    if strategy.instruments < len(symbols) and symbols == config.feed.symbols:
        symbols = symbols[: strategy.instruments]  # the feed's were meant by default: it trades the first
    if strategy.name == "ml" and not one.model:
        raise ConfigError("strategy ml trades a model's prediction: name its bundle (model = FOLDER)")
    try:
        params = bind_params(strategy, one.params)
    except StrategyError as error:
        raise ConfigError(str(error)) from None
    tuned = msgspec.structs.replace(one, symbols=symbols, tuning=_tuning(one, model))
    if model is None:
        return Plan(strategy, tuned, params, (), {})
    return Plan(strategy, tuned, params, model.forest, model.manifest.reference)


def _tuning(one: StrategyConfig, model: Model | None) -> dict[str, float]:
    """Return the feature tuning: the configured one, or that which the model was trained with."""
    if model is None:
        return one.tuning
    trained = dict(model.manifest.tuning)
    for key, value in one.tuning.items():
        if trained.get(key) != value:
            raise ConfigError(
                f"strategy {one.name}: tuning {key} = {value:g}, but model {model.name} was trained "
                f"with ({trained.get(key)}); leave it out, or retrain"
            )
    return trained


def _trial(plan: Plan, config: Config) -> NDArray[np.void]:
    """Return the memory it would have at an exchange of the simplest rules; raises ConfigError."""
    feed = config.feed
    instruments = [
        make_instrument(
            index,
            feed.exchange,
            feed.market,
            symbol,
            tick_size="1",
            lot_size="1",
            qty_min="1",
            qty_max="1",
            notional_min="1",
        )
        for index, symbol in enumerate(plan.config.symbols)
    ]
    return plan.memory(config, instruments, (0.0, 0.0), can_amend=True)
