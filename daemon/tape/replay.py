"""`tickd replay`: a capture or a tape through the very engine that trades, on virtual time.

Feed, engine, orders, risk and journal are the live ones; the seams under them are a clock that the frames
move, a disk that keeps no journal, since it would grow with the record, and the paper venue. Of a tape the
drains are those of the session; every line of a capture is one. The same file gives the same digests in every
process and at every speed: over all rows and decisions, and over orders and reports.

What lies before `--from` only keeps the books and the sequences: features and strategies begin there.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from rich.console import Console

from daemon.clock import SystemClock, VirtualTime
from daemon.config import Config, FeedConfig, JournalConfig, PaperConfig, StrategyConfig
from daemon.core import build, load_runtimes
from daemon.credentials import mask_keys
from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, EXIT_INTERRUPTED, ConfigError, FileFormatError, TickdError, UsageError
from daemon.faces.compiling import compiling
from daemon.faces.replay_progress import progress
from daemon.faces.replay_summary import show
from daemon.feeds.base import STREAMS
from daemon.feeds.core import FeedCore
from daemon.lifetime import nothing_to_lose
from daemon.memory_disk import InlineWorker, NowhereDisk
from daemon.no_net import NoNet
from daemon.plans import strategies_to_load
from daemon.seams import Seams
from daemon.snapshot import add_positions, order_counts
from daemon.spans import NoSpans
from daemon.status import InstrumentStatus, OrderCounts
from daemon.tape.bare import time_bare_decode
from daemon.tape.merge import open_sources
from daemon.tape.parts import share
from daemon.tape.player import WHOLE, Player, Span
from daemon.tape.runs import make_runs
from daemon.tape.served import Served, Unserved, status_of
from daemon.venues.make import make_paper, measure
from daemon.warm import Deaf, warm_up
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from daemon.core import Core
    from daemon.feeds.base import Stream
    from daemon.instruments import Instrument
    from daemon.options import ReplayOptions
    from daemon.orders.audit import Observer
    from daemon.seams import Clock
    from daemon.status import Status
    from daemon.tape.source import Chunk, MarketFeed, Source
    from daemon.venues.paper import PaperVenue

#: after the last frame time goes on for so long: reports on their way still arrive
AFTER_NS: Final = 1_000_000_000
#: what a paper account begins with, in each quote currency
_BALANCE: Final = Decimal(100_000)


class ReplayResult(msgspec.Struct, kw_only=True):
    """What a replay found. Times are of this machine, everything else is the same everywhere."""

    file: str
    symbols: list[str]
    strategies: list[str]  # that ran now
    traded_by: list[str] = []  # that ran when it was recorded; none: nobody did, or nobody knows
    events: dict[str, int]
    errors: dict[str, int]
    last_error: str
    gaps: dict[str, int]
    resyncs: int
    books_unsynced: list[str]  # symbols whose book is not in sync at the end
    trades_missed: int  # ids that the exchange gave and the file has not
    depths_dropped: int  # that a book waited with for its snapshot, in vain
    tick_gaps: int = 0  # that strategies took as they declare
    backwards: int  # entries stamped before the one above them
    notes: list[str] = []  # where a tape is cut
    halted: str = ""  # why nothing more was traded: a loss limit, a strategy that failed
    failed: bool = False  # it was a strategy
    decisions: int
    orders: OrderCounts
    positions: dict[str, float]
    pnl: dict[str, float]  # by quote currency, after fees
    decision_digest: str
    order_digest: str
    seconds: float
    events_per_s: float
    bare_seconds: float  # gunzip and msgspec alone, in the same run; 0: only a whole capture is timed so
    ratio: float  # seconds over bare_seconds; likewise


def run(options: ReplayOptions) -> int:
    """Replay a file and print what came of it; raises FileFormatError and ConfigError."""
    console = Console(stderr=True)
    source = open_sources(options.files)
    config = _config(options, source)
    mask_keys(os.environ, RealDisk(), config)
    results = []
    _say_whose(console, source, config)
    for number in range(options.repeat):
        if console.is_terminal:
            console.print(f"replay {number + 1} of {options.repeat}: {source.name}", highlight=False)
        results.append(replay(source, config, options.span, Served(options.port) if options.port else None))
    show(results, as_json=options.json)
    for result in results:
        if result.failed:
            raise TickdError(f"the replay of {source.name} ended halted: {result.halted}")
    return EXIT_DONE


def _say_whose(console: Console, source: Source, config: Config) -> None:
    """Say so where other strategies are about to run than those whose session it is."""
    ran, runs = source.traded_by, list(dict.fromkeys(one.name for one in config.strategy))
    if ran and set(ran) != set(runs):
        console.print(
            f"{source.name} is a session of {', '.join(ran)}, and {', '.join(runs)} runs on it now: choose "
            "by --strategy or --config, or prove the session itself by --verify",
            highlight=False,
            soft_wrap=True,
        )


def replay(source: Source, config: Config, span: Span = WHOLE, served: Served | None = None) -> ReplayResult:
    """Replay a file once; a capture's bare decode is timed before and after, since machines drift.

    served: who is told how it gets on meanwhile.
    """
    face = served or Unserved()
    clock = SystemClock()
    timed = source.capture if span == WHOLE else None
    bare_ns = 0 if timed is None else time_bare_decode(timed, clock)
    chunks = source.chunks(span.from_ns)
    first = next(chunks, None)
    if first is None:
        raise FileFormatError(f"{source.name} holds no entries: name another tape")
    time = VirtualTime(first.wires_ns[0])
    with (
        nothing_to_lose(EXIT_INTERRUPTED),
        compiling(Console(stderr=True), 1 + strategies_to_load(config)) as step,
    ):
        step("feed and venue")
        asyncio.run(warm_up(paper=True))
        core, feeds = _assemble(config, source, time, step)
        runs = make_runs(source.capture, core, feeds, time)
    player = Player(source.plays(feeds), time, span, clock, face.wait, runs)
    gc.collect()
    gc.freeze()  # as the live daemon does: what lives now lives to the end
    begun_ns = clock.mono_ns()
    read = partial(_status, source, core, feeds, player, (player.newest_ns, begun_ns), clock)
    with face.serving(read):
        _play(source, chain([first], chunks), player, core, feeds, clock, face.turn)
    elapsed_ns = clock.mono_ns() - begun_ns
    gc.unfreeze()
    core.engine.stop()
    time.advance(time.now_ns() + AFTER_NS)
    if timed is not None:
        bare_ns = (bare_ns + time_bare_decode(timed, clock)) // 2
    return _result(source, core, feeds, player, elapsed_ns, bare_ns)


def _play(
    source: Source,
    chunks: Iterable[Chunk],
    player: Player,
    core: Core,
    feeds: Sequence[FeedCore],
    clock: Clock,
    turn: Callable[[], None],
) -> None:
    """Play all that is in the span; trading begins with it. turn: called between chunks."""
    begun = False
    with progress(Console(stderr=True), clock, player.newest_ns, source.last_ns) as tell:
        for chunk in chunks:
            rest = chunk if begun else player.skip(chunk)
            if rest.wires_ns and not begun:
                begin(core, feeds, rest.wires_ns[0])
                begun = True
            if rest.wires_ns and not player.play(rest):
                break
            tell(player.newest_ns, player.count)
            turn()
    if not begun:
        raise FileFormatError(f"{source.name} ends before that: name an earlier --from")


def _status(
    source: Source,
    core: Core,
    feeds: Sequence[FeedCore],
    player: Player,
    begun: tuple[int, int],
    clock: Clock,
) -> Status:
    first_ns, begun_ns = begun
    return status_of(source, core, feeds, player, first_ns, clock.mono_ns() - begun_ns)


def begin(core: Core, feeds: Sequence[FeedCore], now_ns: int) -> None:
    """Let the engine take over from nobody, on books that are kept already."""
    engine = core.engine
    engine.rings[:] = new_rings(len(engine.rings))
    for feed, sink in zip(feeds, share(engine, [len(one.lanes) for one in feeds]), strict=True):
        feed.listen(sink)
        for lane in feed.lanes:
            if lane.sync.synced:
                sink.on_book_status(lane.index, True, "snapshot")
                sink.on_book(lane.index, now_ns, lane.book)
    if len(feeds) == 1:
        engine.start(feeds[0].ages_ns)
    else:
        engine.start(lambda at_ns: np.concatenate([one.ages_ns(at_ns) for one in feeds]))


def _assemble(
    config: Config, source: Source, time: VirtualTime, step: Callable[[str], object]
) -> tuple[Core, list[FeedCore]]:
    return assemble(config, source.markets, source.instruments, time, step)


def assemble(
    config: Config,
    markets: Sequence[MarketFeed],
    instruments: Sequence[Instrument],
    time: VirtualTime,
    step: Callable[[str], object],
    observers: Sequence[Observer] = (),
) -> tuple[Core, list[FeedCore]]:
    """Build the live core on virtual time, recovered from an empty journal, and feeds nobody listens to.

    instruments: of all markets, one after the other. observers: hear what orders do.
    """
    seams = Seams(time, time, NoNet(), NowhereDisk(), InlineWorker(), random.Random(0))  # noqa: S311 - replay
    rings = new_rings(len(instruments))
    venue = make_paper(config, instruments, rings, seams, measure(config, RealDisk()))
    paper = config.paper
    fees = (float(paper.fee_maker), float(paper.fee_taker))
    runtimes = load_runtimes(config, instruments, RealDisk(), fees, step, can_amend=True)
    core = build(
        config,
        instruments,
        runtimes,
        rings,
        seams,
        venue,
        NoSpans(),
        observers=observers,
        followers=[venue],
        digest=True,
    )
    asyncio.run(_open(core, venue))
    feeds: list[FeedCore] = []
    first = 0
    for market in markets:
        count = len(market.instruments)
        feeds.append(
            FeedCore(
                market.instruments,
                rings[first : first + count],
                Deaf(count),
                market.exchange.decoder(market.instruments),
                lambda _: None,  # its snapshots stand among the frames
                time,
                frames_kept=config.feed.ring,
                streams=config.feed.streams,
            )
        )
        first += count
    return core, feeds


async def _open(core: Core, venue: PaperVenue) -> None:
    await venue.start(core.engine)
    core.recovery.meet(await venue.snapshot(0))


def _config(options: ReplayOptions, source: Source) -> Config:
    """Return the configuration asked for, on the file's instruments."""
    exchange = source.markets[0].exchange.name
    given = Given(options.config, options.strategy, options.model)
    return configure(given, source.name, exchange, source.instruments, source.streams)


class Given(NamedTuple):
    """What the command line says: a configuration, or a strategy and a model for the defaults."""

    config: Config | None
    strategy: str | None
    model: Path | None


def configure(
    given: Given,
    name: str,
    exchange: str,
    instruments: Sequence[Instrument],
    streams: tuple[Stream, ...] | None,
) -> Config:
    """Return the configuration to run a record with, on its instruments; name: the record's, for people."""
    symbols = tuple(one.symbol for one in instruments)
    market = instruments[0].market
    if given.config is None:
        model = str(given.model) if given.model is not None else ""
        strategy = given.strategy or ("ml" if model else "ema_cross")
        if strategy == "ml" and not model:
            raise UsageError("strategy ml trades a model's prediction: name its bundle (--model FOLDER)")
        quotes = {one.quote: _BALANCE for one in instruments}
        return Config(
            name="replay",
            mode="paper",
            feed=FeedConfig(symbols=symbols, exchange=exchange, market=market, streams=streams or STREAMS),
            strategy=tuple(StrategyConfig(name=strategy, symbols=(one,), model=model) for one in symbols),
            paper=PaperConfig(balances={"USDT": _BALANCE, **quotes}),
            journal=JournalConfig(path="replay"),
        )
    if given.strategy is not None or given.model is not None:
        raise UsageError("--config names its strategies and models itself; leave --strategy and --model out")
    wanted = {symbol for one in given.config.strategy for symbol in one.symbols}
    if not wanted <= set(symbols):
        raise ConfigError(
            f"{name} holds {', '.join(symbols)}, and the configuration's strategies trade "
            f"{', '.join(sorted(wanted))}"
        )
    feed = msgspec.structs.replace(
        given.config.feed,
        symbols=symbols,
        exchange=exchange,
        market=market,
        streams=streams or given.config.feed.streams,
    )
    return msgspec.structs.replace(given.config, feed=feed)


def _result(
    source: Source,
    core: Core,
    feeds: Sequence[FeedCore],
    player: Player,
    elapsed_ns: int,
    bare_ns: int,
) -> ReplayResult:
    lanes = [lane for feed in feeds for lane in feed.lanes]
    events = {
        "trade": sum(lane.trade.count for lane in lanes),
        "quote": sum(lane.quote.count for lane in lanes),
        "depth": sum(lane.depth.count for lane in lanes),
        "snapshot": sum(lane.snapshots for lane in lanes),
    }
    held = [InstrumentStatus(symbol=one.symbol) for one in source.instruments]
    add_positions(core, held)
    pnl = {one.quote: 0.0 for one in source.instruments}
    for instrument, one in zip(source.instruments, held, strict=True):
        pnl[instrument.quote] += one.realised + one.unrealised - one.fees
    digests = "-".join(f"{int(one.memory[0]['digest']):016x}" for one in core.runtimes)
    return ReplayResult(
        file=source.name,
        symbols=[one.symbol for one in source.instruments],
        strategies=[one.name for one in core.runtimes],
        traded_by=source.traded_by,
        events=events,
        errors=dict(sum((feed.errors for feed in feeds), Counter())),
        last_error=next((feed.last_error for feed in feeds if feed.last_error), ""),
        gaps=dict(sum((lane.gaps for lane in lanes), Counter())),
        resyncs=sum(lane.resyncs for lane in lanes),
        books_unsynced=[one.symbol for one in source.instruments if not core.engine.synced[one.index]],
        trades_missed=sum(lane.trade_ids.missed for lane in lanes),
        depths_dropped=sum(lane.sync.held_dropped for lane in lanes),
        tick_gaps=sum(one.gaps for one in core.runtimes),
        backwards=source.backwards(player.backwards),
        notes=source.notes(),
        halted=latch.reason if (latch := core.engine.risk.latch) is not None else "",
        failed=any(one.fault for one in core.runtimes),
        decisions=sum(int(one.memory[0]["decisions"]) for one in core.runtimes),
        orders=order_counts(core),
        positions={one.symbol: one.position for one in held},
        pnl=pnl,
        decision_digest=digests,
        order_digest=core.journal.digest(),
        seconds=elapsed_ns / 1e9,
        events_per_s=sum(events.values()) / (elapsed_ns / 1e9),
        bare_seconds=bare_ns / 1e9,
        ratio=elapsed_ns / bare_ns if bare_ns else 0.0,
    )
