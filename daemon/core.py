"""The trading core, put together: strategies, orders, risk, portfolio, journal and engine.

A live daemon, a paper one and a replay build it here alike, and differ only in the seams, the venue and
who feeds it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from daemon import __version__
from daemon.compile import load_strategy
from daemon.config_show import to_toml
from daemon.engine import Engine
from daemon.errors import ConfigError
from daemon.orders.desk import Desk
from daemon.orders.doubts import OrderRules
from daemon.orders.ids import Ids, next_run
from daemon.orders.journal import Journal
from daemon.orders.manager import Orders
from daemon.orders.portfolio import Portfolio
from daemon.orders.reader import read_history
from daemon.orders.records import Run
from daemon.orders.recovery import Recovery
from daemon.orders.risk import Risk, RiskLimits
from daemon.research.bundle import read_bundle
from daemon.runtime import Runtime, new_memory
from daemon.tally import Tally
from strategies.base import StrategyError, bind_params

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.config import Config, StrategyConfig
    from daemon.feeds.base import MarketFollower
    from daemon.instruments import Instrument
    from daemon.orders.audit import Observer
    from daemon.orders.reader import History
    from daemon.seams import Disk, Seams
    from daemon.spans import Spans
    from daemon.venues.base import Venue
    from strategies.model import Model


class Core(NamedTuple):
    """What was built; the engine holds the rest together."""

    engine: Engine
    orders: Orders
    portfolio: Portfolio
    journal: Journal
    recovery: Recovery
    runtimes: list[Runtime]
    tally: Tally
    spans: Spans


def load_runtimes(
    config: Config,
    instruments: Sequence[Instrument],
    disk: Disk,
    fees: tuple[float, float],
    step: Callable[[str], None],
    *,
    can_amend: bool,
) -> list[Runtime]:
    """Load, check and compile every configured strategy; raises ConfigError.

    step(name) is called before each: the first compilation takes half a minute, and somebody may be watching.
    """
    by_symbol = {instrument.symbol: instrument for instrument in instruments}
    runtimes = []
    for index, one in enumerate(config.strategy):
        step(f"strategy {one.name}")
        strategy = load_strategy(one.name)
        owned = [by_symbol[symbol] for symbol in one.symbols]
        if strategy.instruments < len(owned) and one.symbols == config.feed.symbols:
            owned = owned[: strategy.instruments]  # the feed's were meant by default: it trades the first
        if strategy.name == "ml" and not one.model:
            raise ConfigError("strategy ml trades a model's prediction; name its bundle (model = FOLDER)")
        model = read_bundle(disk, Path(one.model)) if one.model else None
        try:
            params = bind_params(strategy, one.params)
        except StrategyError as error:
            raise ConfigError(str(error)) from None
        tuned = _tuned(one, model)
        memory = new_memory(
            strategy, owned, tuned, params, config.risk, config.reconcile, fees, can_amend=can_amend
        )
        trees = model.forest if model is not None else ()
        runtimes.append(Runtime(index, strategy, owned, memory, trees, one.warmup_ticks))
    return runtimes


def _refuse_another_mode(history: History, config: Config) -> None:
    """Raise ConfigError for a journal of another mode: what was held on paper is not at the venue."""
    for record in reversed(history.records):
        if isinstance(record, Run):
            mode = tomllib.loads(record.config).get("mode")
            if mode != config.mode:
                raise ConfigError(
                    f'the journal {config.journal.path} was written with mode = "{mode}", and this is '
                    f'"{config.mode}"; name another in journal.path'
                )
            return


def _tuned(config: StrategyConfig, model: Model | None) -> StrategyConfig:
    """Return the strategy's configuration with the feature tuning its model was trained with."""
    if model is None:
        return config
    trained = dict(model.manifest.tuning)
    for key, value in config.tuning.items():
        if trained.get(key) != value:
            raise ConfigError(
                f"strategy {config.name}: tuning {key} = {value:g}, but model {model.name} was trained "
                f"with ({trained.get(key)}); leave it out, or retrain"
            )
    return msgspec.structs.replace(config, tuning=trained)


def build(
    config: Config,
    instruments: Sequence[Instrument],
    runtimes: list[Runtime],
    rings: NDArray[np.void],
    seams: Seams,
    venue: Venue,
    spans: Spans,
    *,
    observers: Sequence[Observer] = (),
    followers: Sequence[MarketFollower] = (),
    digest: bool = False,
) -> Core:
    """Put the core together and bring back what the journal remembers; raises JournalError and ConfigError.

    Nothing is asked of the venue yet, and every gate is shut. rings: the feed's, one for each instrument.
    digest: the journal keeps one over all orders.
    """
    history = read_history(seams.disk, Path(config.journal.path))
    _refuse_another_mode(history, config)
    tally = Tally(spans)
    orders = _build_orders(
        config, instruments, runtimes, seams, venue, [tally, *observers], history.run_last, digest=digest
    )
    engine = Engine(
        clock=seams.clock,
        scheduler=seams.scheduler,
        instruments=instruments,
        runtimes=runtimes,
        rings=rings,
        desks=tuple(orders.desks),
        orders=orders,
        risk=orders.risk,
        portfolio=orders.portfolio,
        spans=spans,
        depth="depth" in config.feed.streams,
        stale_ns=config.feed.stale_ms * 1_000_000,
        tick_age_ns=config.risk.tick_age_ms_max * 1_000_000,
        collar=config.risk.collar,
        followers=followers,
    )
    recovery = Recovery(orders)
    recovery.restore(history)
    recovery.begin(__version__, to_toml(config, {}))
    return Core(engine, orders, orders.portfolio, orders.journal, recovery, runtimes, tally, spans)


def _build_orders(
    config: Config,
    instruments: Sequence[Instrument],
    runtimes: Sequence[Runtime],
    seams: Seams,
    venue: Venue,
    observers: list[Observer],
    run_last: int,
    *,
    digest: bool,
) -> Orders:
    """Return the order side, with nothing remembered yet."""
    journal = Journal(
        seams.disk,
        seams.worker,
        Path(config.journal.path),
        sync=config.journal.sync,
        group_ms=config.journal.group_ms,
        digest=digest,
    )
    desks = [
        Desk(one.index, one.name, tuple(i.index for i in one.instruments), one.memory) for one in runtimes
    ]
    limits = RiskLimits(
        orders_per_s_max=config.risk.orders_per_s_max,
        daily_loss_max=config.risk.daily_loss_max,
        drawdown_max=config.risk.drawdown_max,
    )
    return Orders(
        seams.clock,
        seams.scheduler,
        Ids(config.name, next_run(run_last, seams.clock.now_ns())),
        instruments,
        desks,
        Portfolio(instruments, desks, reporting=instruments[0].quote),
        Risk(limits, instruments, desks, journal, observers),
        journal,
        venue,
        observers,
        OrderRules(answer_ns=config.venue.timeout_ms * 1_000_000),
    )
