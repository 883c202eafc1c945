"""`tickd record`: a feed's frames onto a tape, and nobody trades.

The feed is the live one, books and all: it is they that notice a gap and ask for a whole book, which belongs
to the record as well.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import uvloop
from rich.console import Console

from daemon import __version__
from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.config_checks import PREFIX
from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import EXIT_DONE, ConfigError, TickdError, UsageError, nearest
from daemon.faces.compiling import compiling
from daemon.faces.record_summary import progress, show
from daemon.feeds.connections import FeedConnections
from daemon.feeds.core import FeedCore
from daemon.feeds.exchanges import EXCHANGES, fetch_instruments, find_exchange
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.feeds.taped import tape_snapshots, tape_ways
from daemon.lifetime import catch_signals, nothing_to_lose
from daemon.logs import open_logs
from daemon.net import make_net
from daemon.pause import within
from daemon.seams import Seams
from daemon.tape.header import TapeHeader
from daemon.tape.recorder import Recorder
from daemon.warm import Deaf, warm_up
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.config import Config
    from daemon.instruments import Instrument
    from daemon.options import RecordOptions

_NS: Final = 1_000_000_000
#: between two looks at the clock, and two words to a person
_LOOK_S: Final = 1.0
#: what moves the clock by less is a clock that is being slewed
_SLEW_NS: Final = 10_000_000


class Recorded(msgspec.Struct, kw_only=True):
    """What a recording came to."""

    folder: str
    exchange: str
    market: str
    symbols: list[str]
    seconds: float
    entries: int
    events: dict[str, int]
    errors: dict[str, int]  # frames that our decoder refuses; they are on the tape as well
    gaps: dict[str, int]  # times that a book was lost
    reconnects: int
    bytes: int  # on disk
    segments: int
    dropped: int
    lost_from: int  # -1: nothing
    failure: str  # of the disk, at the end


def choose(
    config: Config | None,
    *,
    exchange: str | None,
    market: str | None,
    symbols: Sequence[str],
    streams: Sequence[str],
    out: Path | None,
    environ: Mapping[str, str],
) -> Config:
    """Return what to record: a configuration's feed, or the one named; raises UsageError."""
    if config is None:
        if exchange is None or not symbols:
            raise UsageError("name a configuration, or --exchange and --symbol: what is to be recorded?")
        feed: dict[str, Any] = {"exchange": exchange, "market": market or "spot", "symbols": list(symbols)}
        if streams:
            feed["streams"] = list(streams)
        tree = {"name": "record", "mode": "paper", "feed": feed, "strategy": [{"name": "ema_cross"}]}
        try:
            config = from_tree(tree, environ, "the command line")
            find_exchange(config.feed.exchange, config.feed.market)
        except ConfigError as error:
            unknown = exchange not in EXCHANGES and not exchange.startswith(PREFIX)
            raise UsageError(f"{error}{nearest(exchange, EXCHANGES) if unknown else ''}") from None
    elif exchange or market or symbols or streams:
        raise UsageError(
            "the configuration names its feed; leave --exchange, --market, --symbol, --stream out"
        )
    path = str(out) if out is not None else config.tape.path
    return msgspec.structs.replace(config, tape=msgspec.structs.replace(config.tape, path=path))


def run(options: RecordOptions) -> int:
    """Record until a signal or the time asked for, and print what it came to; raises TickdError."""
    recorded = uvloop.run(_record(options))
    show(recorded, as_json=options.json)
    if recorded.failure:
        raise TickdError(recorded.failure)
    if recorded.dropped:
        raise TickdError(
            f"{recorded.dropped} entries from {recorded.lost_from} on are lost: the disk was too slow or full"
        )
    return EXIT_DONE


async def _record(options: RecordOptions) -> Recorded:
    config, console = options.config, Console(stderr=True)
    with nothing_to_lose(EXIT_DONE), compiling(console, 1) as step:
        step("feed")
        await warm_up(paper=False)
    clock, worker, net = SystemClock(), ThreadWorker(), make_net(config.feed)
    seams = Seams(clock, LoopScheduler(clock), net, RealDisk(), worker, random.Random())  # noqa: S311 - jitter
    logs = open_logs(config.log, seams)
    stop = asyncio.Event()
    catch_signals(lambda _: stop.set())
    try:
        recording = await begin(config, seams)
        with progress(console) as tell:
            await recording.run(stop, options.seconds, tell)
        return recording.summary()
    finally:
        await net.close()
        logs.stop()
        worker.close()


async def begin(config: Config, seams: Seams) -> Recording:
    """Ask the exchange for the instruments, and make what records them; raises NetError and ConfigError."""
    feed = config.feed
    exchange = find_exchange(feed.exchange, feed.market)
    instruments = await fetch_instruments(exchange, seams.net, feed.market, feed.symbols, feed.rest_url)
    return Recording(config, seams, instruments)


class Recording:
    """One feed on its way to a tape."""

    def __init__(self, config: Config, seams: Seams, instruments: Sequence[Instrument]) -> None:
        feed = config.feed
        self._config = config
        self._seams = seams
        self._instruments = instruments
        self._begun_ns = seams.clock.now_ns()
        self._mono_ns, self._ended_ns = seams.clock.mono_ns(), 0
        self._gaps: Counter[str] = Counter()
        self.recorder = Recorder(seams, session_folder(config, self._begun_ns), self._header(), config.tape)
        exchange = find_exchange(feed.exchange, feed.market)
        urls = [exchange.snapshot_url(instrument, feed.rest_url) for instrument in instruments]
        self._fetcher = SnapshotFetcher(urls, seams, feed.backoff_s_max)
        self.core = FeedCore(
            instruments,
            new_rings(len(instruments)),
            Deaf(len(instruments)),
            exchange.decoder(instruments),
            self._fetcher.request,
            seams.clock,
            frames_kept=1,
            streams=feed.streams,
        )
        self.connections = FeedConnections(
            self.core,
            exchange.subscriptions(feed.market, instruments, feed.streams, feed.ws_url),
            self._fetcher,
            seams,
            stale_ms=feed.stale_ms,
            backoff_s_max=feed.backoff_s_max,
            ways=tape_ways(self.recorder, seams.clock),
        )

    def _header(self) -> TapeHeader:
        feed = self._config.feed
        return TapeHeader(
            name=self._config.name,
            exchange=feed.exchange,
            market=feed.market,
            streams=feed.streams,
            instruments=tuple(self._instruments),
            started_ns=self._begun_ns,
            version=__version__,
            mode="record",
        )

    async def run(
        self, stop: asyncio.Event, seconds: float | None, tell: Callable[[Recording], object]
    ) -> None:
        """Record until `stop`, or for so long; raises what ended it otherwise. tell: called every second."""
        snapshots = tape_snapshots(self.recorder, self._instruments, self.core.process_snapshot)
        works = [self.recorder.run(), self._fetcher.run(snapshots), self.connections.run()]
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(work) for work in works]
        asked = asyncio.ensure_future(stop.wait())
        try:
            await self._wait([asked, *tasks], seconds, tell)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            self._ended_ns = self._seams.clock.mono_ns()
            self._gaps = sum((lane.gaps for lane in self.core.lanes), Counter())  # the end is none
            for task in [asked, *tasks]:
                task.cancel()
            await asyncio.gather(asked, *tasks, return_exceptions=True)
            await self.recorder.close()

    async def _wait(
        self,
        tasks: Sequence[asyncio.Future[Any]],
        seconds: float | None,
        tell: Callable[[Recording], object],
    ) -> None:
        """Return when a task ends, or after so long."""
        while not any(task.done() for task in tasks):
            left_s = _LOOK_S if seconds is None else min(seconds - self.age_s, _LOOK_S)
            if left_s <= 0:
                return
            try:
                await within(self._seams, left_s, asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
            except TimeoutError:
                step_ns = self._seams.clock.resync()
                if abs(step_ns) > _SLEW_NS:
                    self.core.clock_stepped(step_ns)
                tell(self)

    @property
    def age_s(self) -> float:
        """Return for how long it records, or recorded."""
        return ((self._ended_ns or self._seams.clock.mono_ns()) - self._mono_ns) / _NS

    def summary(self) -> Recorded:
        """Return what it came to, once it is closed."""
        recorder, lanes, feed = self.recorder, self.core.lanes, self._config.feed
        return Recorded(
            folder=str(recorder.folder),
            exchange=feed.exchange,
            market=feed.market,
            symbols=[one.symbol for one in self._instruments],
            seconds=self.age_s,
            entries=recorder.written,
            events={
                "trade": sum(lane.trade.count for lane in lanes),
                "quote": sum(lane.quote.count for lane in lanes),
                "depth": sum(lane.depth.count for lane in lanes),
                "snapshot": sum(lane.snapshots for lane in lanes),
            },
            errors=dict(self.core.errors),
            gaps=dict(self._gaps),
            reconnects=self.connections.reconnects,
            bytes=recorder.bytes_kept,
            segments=recorder.segments,
            dropped=recorder.dropped,
            lost_from=recorder.lost_from,
            failure=recorder.failure,
        )


def session_folder(config: Config, now_ns: int) -> Path:
    """Return the folder of a session that begins now."""
    moment = datetime.fromtimestamp(now_ns // _NS, UTC)
    return Path(config.tape.path) / f"{config.name}-{moment:%Y%m%dT%H%M%S}-{now_ns % _NS // 1_000_000:03d}"
