"""`tickd replay`: a capture through the very engine that trades, on virtual time, as fast as it goes.

Feed, engine, orders, risk and journal are the live ones; the seams under them are a clock that the frames
move, a disk in memory and the paper venue. Every line is a drain of its own, at its own receive time. The
same file gives the same digests in every process: over all rows and decisions, and over orders and reports.
"""

from __future__ import annotations

import asyncio
import gc
import random
from typing import TYPE_CHECKING, Final

import msgspec
from rich.console import Console

from daemon.clock import SystemClock, VirtualTime
from daemon.config import Config, FeedConfig, JournalConfig, StrategyConfig
from daemon.core import build, load_runtimes
from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, EXIT_INTERRUPTED, ConfigError, TickdError, UsageError
from daemon.faces.compiling import compiling
from daemon.faces.replay_summary import show
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.lifetime import nothing_to_lose
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.plans import strategies_to_load
from daemon.seams import Seams
from daemon.snapshot import instrument_statuses, order_counts
from daemon.spans import NoSpans
from daemon.status import OrderCounts  # noqa: TC001 - msgspec reads the annotation
from daemon.tape.bare import time_bare_decode
from daemon.tape.capture import capture_instrument, read_frames
from daemon.venues.make import make_paper
from daemon.warm import warm_up
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.core import Core
    from daemon.instruments import Instrument
    from daemon.options import ReplayOptions
    from daemon.venues.paper import PaperVenue

#: after the last frame time goes on for so long: reports on their way still arrive
_AFTER_NS: Final = 1_000_000_000


class ReplayResult(msgspec.Struct, kw_only=True):
    """What a replay found. Times are of this machine, everything else is the same everywhere."""

    file: str
    symbol: str
    strategies: list[str]
    events: dict[str, int]
    errors: dict[str, int]
    last_error: str
    gaps: dict[str, int]
    resyncs: int
    book_synced: bool
    trades_missed: int  # ids that the exchange gave and the file has not
    depths_dropped: int  # that a book waited with for its snapshot, in vain
    tick_gaps: int = 0  # that strategies took as they declare
    backwards: int  # lines stamped before the line above them
    halted: str = ""  # why nothing more was traded: a loss limit, a strategy that failed
    failed: bool = False  # it was a strategy
    decisions: int
    orders: OrderCounts
    position: float
    pnl: float
    decision_digest: str
    order_digest: str
    seconds: float
    events_per_s: float
    bare_seconds: float  # gunzip and msgspec alone, in the same run
    ratio: float  # seconds over bare_seconds


def run(options: ReplayOptions) -> int:
    """Replay a file and print what came of it; raises FileFormatError and ConfigError."""
    console = Console(stderr=True)
    instrument = capture_instrument(options.file)
    config = _config(options, instrument)
    results = []
    for number in range(options.repeat):
        if console.is_terminal:
            console.print(f"replay {number + 1} of {options.repeat}: {options.file}", highlight=False)
        results.append(replay(options.file, instrument, config))
    show(results, as_json=options.json)
    for result in results:
        if result.failed:
            raise TickdError(f"the replay of {options.file} ended halted: {result.halted}")
    return EXIT_DONE


def replay(path: Path, instrument: Instrument, config: Config) -> ReplayResult:
    """Replay a file once; its bare decode is timed before and after, since machines drift."""
    clock = SystemClock()
    bare_ns = time_bare_decode(path, clock)
    frames = read_frames(path)
    before_ns, payload = next(frames)
    time = VirtualTime(before_ns)
    with (
        nothing_to_lose(EXIT_INTERRUPTED),
        compiling(Console(stderr=True), 1 + strategies_to_load(config)) as step,
    ):
        step("feed and venue")
        asyncio.run(warm_up(paper=True))
        core, feed = _assemble(config, instrument, time, step)
    process, advance = feed.process, time.advance
    gc.collect()
    gc.freeze()  # as the live daemon does: what lives now lives to the end
    begun_ns = clock.mono_ns()
    process(payload, before_ns, True)
    backwards = 0
    for wire_ns, payload in frames:
        if wire_ns < before_ns:
            backwards += 1
        before_ns = wire_ns
        advance(wire_ns)
        process(payload, wire_ns, True)
    elapsed_ns = clock.mono_ns() - begun_ns
    gc.unfreeze()
    core.engine.stop()
    time.advance(time.now_ns() + _AFTER_NS)
    bare_ns = (bare_ns + time_bare_decode(path, clock)) // 2
    return _result(path, instrument, core, feed, backwards, elapsed_ns, bare_ns)


def _assemble(
    config: Config, instrument: Instrument, time: VirtualTime, step: Callable[[str], object]
) -> tuple[Core, FeedCore]:
    """Build the live core on virtual time, recovered from an empty journal and open for trading."""
    instruments = [instrument]
    seams = Seams(time, time, NoNet(), MemoryDisk(), InlineWorker(), random.Random(0))  # noqa: S311 - replay
    rings = new_rings(1)
    venue = make_paper(config, instruments, rings, seams)
    paper = config.paper
    fees = (float(paper.fee_maker), float(paper.fee_taker))
    runtimes = load_runtimes(config, instruments, RealDisk(), fees, step, can_amend=True)
    core = build(
        config, instruments, runtimes, rings, seams, venue, NoSpans(), followers=[venue], digest=True
    )
    decoder = BinanceDecoder(instruments)
    feed = FeedCore(
        instruments,
        rings,
        core.engine,
        decoder,
        lambda _: None,  # its snapshots stand among the frames
        time,
        frames_kept=config.feed.ring,
        streams=config.feed.streams,
    )
    asyncio.run(_open(core, venue))
    core.engine.start(feed.ages_ns)
    return core, feed


async def _open(core: Core, venue: PaperVenue) -> None:
    await venue.start(core.engine)
    core.recovery.meet(await venue.snapshot(0))


def _config(options: ReplayOptions, instrument: Instrument) -> Config:
    """Return the configuration asked for, on the file's one instrument."""
    symbols = (instrument.symbol,)
    if options.config is None:
        model = str(options.model) if options.model is not None else ""
        name = options.strategy or ("ml" if model else "ema_cross")
        if name == "ml" and not model:
            raise UsageError("strategy ml trades a model's prediction: name its bundle (--model FOLDER)")
        strategy = StrategyConfig(name=name, symbols=symbols, model=model)
        return Config(
            name="replay",
            mode="paper",
            feed=FeedConfig(symbols=symbols, market=instrument.market),
            strategy=(strategy,),
            journal=JournalConfig(path="replay"),
        )
    if options.strategy is not None or options.model is not None:
        raise UsageError("--config names its strategies and models itself; leave --strategy and --model out")
    wanted = {symbol for one in options.config.strategy for symbol in one.symbols}
    if wanted != {instrument.symbol}:
        raise ConfigError(
            f"{options.file} holds {instrument.symbol}, and the configuration's strategies trade "
            f"{', '.join(sorted(wanted))}"
        )
    feed = msgspec.structs.replace(options.config.feed, symbols=symbols, market=instrument.market)
    return msgspec.structs.replace(options.config, feed=feed)


def _result(
    path: Path,
    instrument: Instrument,
    core: Core,
    feed: FeedCore,
    backwards: int,
    elapsed_ns: int,
    bare_ns: int,
) -> ReplayResult:
    lane = feed.lanes[0]
    events = {
        "trade": lane.trade.count,
        "quote": lane.quote.count,
        "depth": lane.depth.count,
        "snapshot": lane.snapshots,
    }
    (held,) = instrument_statuses(core, feed, core.orders.clock.now_ns())
    digests = "-".join(f"{int(one.memory[0]['digest']):016x}" for one in core.runtimes)
    return ReplayResult(
        file=str(path),
        symbol=instrument.symbol,
        strategies=[one.name for one in core.runtimes],
        events=events,
        errors=dict(feed.errors),
        last_error=feed.last_error,
        gaps=dict(lane.gaps),
        resyncs=lane.resyncs,
        book_synced=core.engine.synced[0],
        trades_missed=lane.trade_ids.missed,
        depths_dropped=lane.sync.held_dropped,
        tick_gaps=sum(one.gaps for one in core.runtimes),
        backwards=backwards,
        halted=latch.reason if (latch := core.engine.risk.latch) is not None else "",
        failed=any(one.fault for one in core.runtimes),
        decisions=sum(int(one.memory[0]["decisions"]) for one in core.runtimes),
        orders=order_counts(core),
        position=held.position,
        pnl=held.realised + held.unrealised - held.fees,
        decision_digest=digests,
        order_digest=core.journal.digest(),
        seconds=elapsed_ns / 1e9,
        events_per_s=sum(events.values()) / (elapsed_ns / 1e9),
        bare_seconds=bare_ns / 1e9,
        ratio=elapsed_ns / bare_ns,
    )
