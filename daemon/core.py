"""The trading core, put together: strategies, orders, risk, portfolio, journal and engine.

A live daemon, a paper one and a replay build it here alike, and differ only in the seams, the venue and
who feeds it.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from daemon import __version__
from daemon.config_checks import absence_s_min
from daemon.config_show import to_toml
from daemon.doors import Doors
from daemon.engine import Engine
from daemon.errors import ConfigError, JournalError
from daemon.memory_checkpoint import Checkpoints
from daemon.orders.audit import Alarm
from daemon.orders.desk import Account, Desk
from daemon.orders.detached import left_behind, refuse_netted
from daemon.orders.doubts import OrderRules
from daemon.orders.gone import without_gone
from daemon.orders.ids import Ids, next_run
from daemon.orders.journal import Journal
from daemon.orders.manager import Orders
from daemon.orders.portfolio import Portfolio
from daemon.orders.reader import read_history
from daemon.orders.records import Run
from daemon.orders.recovery import Recovery
from daemon.orders.risk import Risk, RiskLimits
from daemon.orders.windows import day_offset_ns, parse_windows
from daemon.plans import plan_strategies
from daemon.pulse import STEADY
from daemon.runtime import Runtime
from daemon.session.digests import Digests
from daemon.tally import Tally
from daemon.venues.hosts import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from daemon.config import Config, VenueConfig
    from daemon.events import Command, Verb
    from daemon.feeds.base import MarketFollower
    from daemon.instruments import Instrument
    from daemon.orders.audit import Observer
    from daemon.orders.reader import History
    from daemon.plans import Plan
    from daemon.pulse import Pulse
    from daemon.seams import Disk, Seams
    from daemon.spans import Spans
    from daemon.venues.base import Venue


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
    checkpoints: Checkpoints
    doors: Doors

    async def obey(self, command: Command, *, often: bool = False) -> bool:
        """Do what a person asks, return once no power cut undoes it: whether there was anything to do.

        Raises TickdError. often: it is asked for faster than need be recorded, so where it stands already
        nothing is done.
        """
        failures = self.journal.failures
        stood = often and self._stands(command.verb)
        if not stood:
            self.doors.command(command)
        with suppress(JournalError):
            await self.journal.sync_now()
        if self.journal.failures > failures:
            text = f"{self.journal.failure}; the daemon is {self.engine.state}, which a restart may not know"
            raise JournalError(text)
        return not stood

    def _stands(self, verb: Verb) -> bool:
        """Whether what makes safe is done or under way, and on the record: once more would change nothing."""
        risk = self.engine.risk
        if risk.latch is None or risk.latch is not risk.recorded:
            return False
        return verb == "halt" or (verb == "flatten" and risk.latch.flatten and self.engine.flatten.active)


def load_runtimes(
    config: Config,
    instruments: Sequence[Instrument],
    disk: Disk,
    fees: tuple[float, float],
    step: Callable[[str], object],
    *,
    can_amend: bool,
) -> list[Runtime]:
    """Load, check and compile every configured strategy at once; raises ConfigError."""
    plans = plan_strategies(config, disk, step)
    return make_runtimes(config, plans, instruments, fees, can_amend=can_amend)


def make_runtimes(
    config: Config,
    plans: Sequence[Plan],
    instruments: Sequence[Instrument],
    fees: tuple[float, float],
    *,
    can_amend: bool,
    can_replace: bool = False,
) -> list[Runtime]:
    """Put planned strategies to work on their instruments; raises ConfigError where one does not compile."""
    by_symbol = {instrument.symbol: instrument for instrument in instruments}
    runtimes = []
    for index, plan in enumerate(plans):
        owned = [by_symbol[symbol] for symbol in plan.config.symbols]
        memory = plan.memory(config, owned, fees, can_amend=can_amend, can_replace=can_replace)
        strategy = plan.strategy
        if plan.config.on_gap:
            strategy = strategy._replace(on_gap=plan.config.on_gap)
        if plan.config.on_silence:
            strategy = strategy._replace(on_silence=plan.config.on_silence)
        ticks = plan.config.warmup_ticks
        runtimes.append(Runtime(index, strategy, owned, memory, plan.trees, ticks))
    return runtimes


def make_desks(runtimes: Sequence[Runtime]) -> list[Desk]:
    """Return each strategy's desk; those of one quote currency share what they see of the account."""
    accounts: defaultdict[str, Account] = defaultdict(Account)
    return [
        Desk(
            one.index,
            one.name,
            tuple(i.index for i in one.instruments),
            one.memory,
            accounts[one.instruments[0].quote],
        )
        for one in runtimes
    ]


def refuse_another_place(history: History, config: Config) -> None:
    """Raise ConfigError for a journal of orders elsewhere: what was held on paper, or there, is not here."""
    run = next((record for record in reversed(history.records) if isinstance(record, Run)), None)
    if run is None:
        return
    was, now = _place_of(run.config), _place_of(to_toml(config, {}))
    for key, ours in now.items():
        theirs = was.get(key, "" if key == "mode" else ours)  # an older version wrote fewer
        if theirs != ours:
            raise ConfigError(
                f'the journal {config.journal.path} was written with {key} = "{theirs}", and this is '
                f'"{ours}"; name another in journal.path'
            )


def _place_of(text: str) -> dict[str, str]:
    """Return what a configuration tells of where orders go; of live ones at which exchange, too."""
    sections = tomllib.loads(text)
    place = {"mode": sections["mode"]} if "mode" in sections else {}
    if place.get("mode") != "live":
        return place
    venue, feed = sections.get("venue", {}), sections.get("feed", {})
    place |= {f"venue.{key}": venue[key] for key in ("kind", "environment") if key in venue}
    if exchange := venue.get("exchange") or feed.get("exchange"):
        place["venue.exchange"] = exchange.removeprefix("ccxt:")
    if "rest_url" in venue:
        here = urlsplit(venue["rest_url"]).hostname in LOOPBACK
        place["venue.rest_url"] = "this machine's" if here else "not this machine's"
    return place


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
    pulse: Pulse = STEADY,
    outside: Seams | None = None,
    digest: bool = False,
    recorded: bool = False,
) -> Core:
    """Put the core together and bring back what journal and checkpoint remember.

    Raises JournalError and ConfigError; a checkpoint that is odd costs the warm-up and no start.

    Nothing is asked of the venue yet, and every gate is shut. rings: the feed's, one for each instrument.
    pulse: of the loop that it runs on. outside: what does not decide goes by these
    seams, where others are given: spans, and the writing of memories.
    digest: the journal keeps one over all orders. recorded: it gets one each second over all decisions too.
    """
    history = read_history(seams.disk, Path(config.journal.path))
    refuse_another_place(history, config)
    outside = outside or seams
    checkpoints = Checkpoints(
        seams._replace(scheduler=outside.scheduler), Path(config.journal.path), runtimes
    )
    checkpoints.take_up(int(config.journal.checkpoint_age_s_max * 1e9))
    tally = Tally(spans)
    digests = Digests(runtimes) if recorded else None
    told: list[Observer] = [tally, *observers] if digests is None else [tally, digests, *observers]
    orders = build_orders(config, instruments, runtimes, seams, venue, told, history.run_last, digest=digest)
    engine = Engine(
        clock=seams.clock,
        scheduler=seams.scheduler,
        instruments=instruments,
        runtimes=runtimes,
        rings=rings,
        desks=tuple(orders.desks),
        orders=orders,
        spans=spans,
        depth="depth" in config.feed.streams,
        stale_ns=config.feed.stale_ms * 1_000_000,
        lag_ns_max=config.risk.feed_lag_ms_max * 1_000_000,
        tick_age_ns=config.risk.tick_age_ms_max * 1_000_000,
        collar=config.risk.collar,
        followers=followers,
        pulse=pulse,
        stamps=outside.clock,
    )
    recovery = _recover(orders, history, seams.clock.now_ns)
    recovery.begin(__version__, to_toml(config, {}), seams.disk.boot())
    doors = Doors(engine, recovery, checkpoints, digests)
    return Core(
        engine,
        orders,
        orders.portfolio,
        orders.journal,
        recovery,
        runtimes,
        tally,
        spans,
        checkpoints,
        doors,
    )


def _recover(orders: Orders, history: History, clock_ns: Callable[[], int]) -> Recovery:
    """Bring back what the journal remembers, and tell of what is odd about it."""
    recovery = Recovery(orders)
    recovery.restore(without_gone(history, orders))
    refuse_netted(orders)
    now_ns = clock_ns()
    for text in history.cut:
        orders.tell(Alarm("journal_cut", text, now_ns))
    for text in left_behind(orders):
        orders.tell(Alarm("left_behind", text, now_ns))
    return recovery


def build_orders(
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
    desks = make_desks(runtimes)
    limits = RiskLimits(
        orders_per_s_max=config.risk.orders_per_s_max,
        position_notional_max=config.risk.position_notional_max,
        daily_loss_max=config.risk.daily_loss_max,
        drawdown_max=config.risk.drawdown_max,
        liquidation_distance_min=config.risk.liquidation_distance_min,
        windows=parse_windows(config.risk.windows),
        flatten_on_halt=config.risk.flatten_on_halt,
    )
    return Orders(
        seams.clock,
        seams.scheduler,
        Ids(config.name, next_run(run_last, seams.clock.now_ns())),
        instruments,
        desks,
        Portfolio(
            instruments,
            desks,
            reporting=config.risk.currency or instruments[0].quote,
            day_offset_ns=day_offset_ns(config.risk.day_begins),
            leverage=config.venue.leverage,
            isolated=config.venue.margin == "isolated",
        ),
        Risk(limits, instruments, desks, journal, observers),
        journal,
        venue,
        observers,
        order_rules(config.venue),
    )


def order_rules(venue: VenueConfig) -> OrderRules:
    """Return the times of an order's life at a venue, and what happens to the orders of others there."""
    return OrderRules(
        answer_ns=venue.timeout_ms * 1_000_000,
        absence_ns=int((venue.absence_s or absence_s_min(venue)) * 1e9),
        foreign=venue.foreign_orders,
    )
