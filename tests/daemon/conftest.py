"""The trading core on virtual time: real kernels, feed, orders, risk, paper venue; the journal in memory."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from decimal import Decimal
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
import uvloop

from daemon.clock import VirtualTime
from daemon.config import Config, FeedConfig, JournalConfig, PaperConfig, StrategyConfig, VenueConfig
from daemon.core import build, load_runtimes
from daemon.disk import RealDisk
from daemon.events import Command
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.instruments import Instrument, make_instrument
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.orders.audit import Sent
from daemon.pulse import STEADY
from daemon.seams import Seams
from daemon.spans import NoSpans
from daemon.venues.paper import PaperVenue
from daemon.venues.paper_latency import fixed
from kernels import dtypes as d
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    import numpy as np

    from daemon.orders.order import Order
    from daemon.pulse import Pulse

START_NS = 1_700_000_000_000_000_000  # on a whole second
SECOND = 1_000_000_000
MS = 1_000_000

#: a plain Python strategy that does what the test's script says; one text, so it is compiled once for all
PROBE = """
SCRIPTS = {{}}
PARAMS = {{"who": 0.0}}
STATES = 1
INSTRUMENTS = {instruments}
TIMER_S = {timer_s}


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    return SCRIPTS[int(params[0])].decide(now_ns, why, rows, book, position, working, out)
"""


class Call(NamedTuple):
    """What a strategy was shown, copied."""

    now_ns: int
    why: int
    rows: np.ndarray
    book: np.ndarray
    position: np.ndarray
    working: np.ndarray


class Script:
    """What a probe wants standing, as rows of `out` (None: no opinion), and what it was shown."""

    def __init__(self, instruments: int = 1) -> None:
        self.instruments = instruments
        self.calls: list[Call] = []
        self.wants: list[list[float]] | None = None
        self.answer: Callable[[], Any] | None = None  # what to return instead of the count of wants

    def decide(self, now_ns, why, rows, book, position, working, out):
        shown = (array.copy() for array in (rows, book, position, working))
        self.calls.append(Call(now_ns, why, *shown))
        for row, want in enumerate(self.wants or []):
            out[row] = want
        if self.answer is not None:
            return self.answer()
        return d.NO_OPINION if self.wants is None else len(self.wants)

    @property
    def whys(self) -> list[int]:
        return [call.why for call in self.calls]

    def target(self, qty: float, price: float, instrument: int = 0) -> None:
        """Want one position, taking up to a price."""
        self.wants = [[d.TARGET, instrument, 0, 0, price, qty]]

    def rest(self, *quotes: tuple[int, float, float]) -> None:
        """Want resting orders (side, price, quantity), a level each."""
        self.wants = [[d.REST, 0, level, *quote] for level, quote in enumerate(quotes)]


RULES = {
    "BTC": {"tick_size": "0.01", "lot_size": "0.00001", "qty_min": "0.00001", "qty_max": "9000"},
    "ETH": {"tick_size": "0.01", "lot_size": "0.0001", "qty_min": "0.0001", "qty_max": "9000"},
}


class Floor:
    """A daemon's core with its feed and a paper venue; `restarted` is the next run of the same.

    Prices around 100, latencies to and from the venue of 1 ms each, no fees unless `paper` says so.
    """

    _who = count(1)

    def __init__(
        self,
        folder: Path,
        *strategies: Script | StrategyConfig,
        bases: tuple[str, ...] = ("BTC",),
        market: Any = "spot",
        streams: tuple[str, ...] = ("trade", "quote"),
        warmup_ticks: int = 0,
        balances: dict[str, str] | None = None,
        disk: MemoryDisk | None = None,
        time: VirtualTime | None = None,
        venue: PaperVenue | None = None,
        venue_type: type[PaperVenue] = PaperVenue,
        latency_ms: int = 1,
        leverage: int = 1,
        spans: Any = None,
        pulse: Pulse = STEADY,
        start: bool = True,
        **sections: Any,
    ) -> None:
        self.folder = folder
        self.scripts = [one for one in strategies if isinstance(one, Script)]
        self.time = time or VirtualTime(START_NS)
        self.disk = disk or MemoryDisk()
        self.audits: list[Any] = []
        self.instruments = [self._instrument(index, base, market) for index, base in enumerate(bases)]
        symbols = tuple(one.symbol for one in self.instruments)
        given = {"USDT": "100000", "BTC": "10"} if balances is None else balances
        paper = PaperConfig(
            latency_in_us=latency_ms * 1000,
            latency_out_us=latency_ms * 1000,
            fee_maker=Decimal(0),
            fee_taker=Decimal(0),
            balances={asset: Decimal(text) for asset, text in given.items()},
        )
        configured = tuple(self._configure(one, symbols, warmup_ticks) for one in strategies)
        self.config = Config(
            name="test",
            mode="paper",
            feed=FeedConfig(symbols=symbols, market=market, streams=streams),
            strategy=configured,
            **{
                "journal": JournalConfig(path="journal"),
                "paper": paper,
                "venue": VenueConfig(timeout_ms=2000, leverage=leverage),
            }
            | sections,
        )
        self.seams = Seams(self.time, self.time, NoNet(), self.disk, InlineWorker(), random.Random(0))
        self.rings = rings = new_rings(len(self.instruments))
        if venue is not None:  # of the run before: it goes on with this run's feed
            venue._rings = rings
            for one in venue._markets:
                one.matcher["seen"] = 0
        self.venue = venue or venue_type(
            self.instruments,
            rings,
            self.time,
            self.time,
            balances=self.config.paper.balances,
            fee_maker=self.config.paper.fee_maker,
            fee_taker=self.config.paper.fee_taker,
            delays=fixed(self.config.paper.latency_in_us * 1000, self.config.paper.latency_out_us * 1000),
        )
        fees = (float(self.config.paper.fee_maker), float(self.config.paper.fee_taker))
        runtimes = load_runtimes(
            self.config, self.instruments, RealDisk(), fees, lambda _: None, can_amend=True
        )
        self._bind(runtimes)
        self.core = build(
            self.config,
            self.instruments,
            runtimes,
            rings,
            self.seams,
            self.venue,
            spans or NoSpans(),
            observers=[self.audits.append],
            followers=[self.venue],
            pulse=pulse,
            digest=True,
        )
        self.engine = self.core.engine
        self.requests: list[int] = []
        self.feed = FeedCore(
            self.instruments,
            rings,
            self.engine,
            BinanceDecoder(self.instruments),
            self.requests.append,
            self.time,
            streams=self.config.feed.streams,
        )
        self._ids = count(self.time.now_ns() // MS)
        self._trade_ids = count(self.time.now_ns() // MS)
        asyncio.run(self._open())
        self.core.orders.doubts.ask_snapshot = self.meet
        if start:
            self.start()

    @staticmethod
    def _instrument(index: int, base: str, market: Any) -> Instrument:
        return make_instrument(
            index, "binance", market, f"{base}/USDT", notional_min="5", **RULES.get(base, RULES["ETH"])
        )

    def _configure(self, one: Script | StrategyConfig, symbols: tuple[str, ...], warmup: int) -> Any:
        if isinstance(one, StrategyConfig):
            return one if one.symbols else msgspec.structs.replace(one, symbols=symbols)
        name = {1: "probe", 2: "duo"}[one.instruments]
        return StrategyConfig(
            name=str(self.folder / f"{name}.py"),
            symbols=symbols[: one.instruments],
            params={"who": float(next(self._who))},
            warmup_ticks=warmup,
        )

    def _bind(self, runtimes: list[Any]) -> None:
        scripts = iter(self.scripts)
        for runtime in runtimes:
            table = getattr(runtime.strategy.decide, "__globals__", {}).get("SCRIPTS")
            if table is not None:
                table[int(runtime.view("params")[0])] = next(scripts)

    async def _open(self) -> None:
        await self.venue.start(self.engine)
        self.core.recovery.meet(await self.venue.snapshot(self.core.recovery.since_ns))

    def start(self) -> None:
        self.engine.start(self.feed.ages_ns)

    def meet(self) -> None:
        """Meet the venue's word, as the daemon does after a reconnect."""
        snapshot = asyncio.run(self.venue.snapshot(self.core.recovery.since_ns))
        self.core.recovery.meet(snapshot, self.time.now_ns())

    def restarted(self, *strategies: Script | StrategyConfig, **more: Any) -> Floor:
        """Return the next run, over the same disk, time and venue, whose account goes on."""
        more.setdefault("venue", self.venue)
        return Floor(self.folder, *(strategies or self.scripts), disk=self.disk, time=self.time, **more)

    # --- doing ----------------------------------------------------------------------------------------------
    def later(self, seconds: float) -> None:
        self.time.advance(self.time.now_ns() + round(seconds * SECOND))

    def _frame(self, index: int, stream: str, body: str, last: bool, ms: float) -> None:
        """Let a frame come, `ms` after what was before."""
        symbol = self.instruments[index].exchange_symbol
        self.later(ms / 1000)
        payload = f'{{"stream":"{symbol.lower()}@{stream}","data":{{"s":"{symbol}",{body}}}}}'
        self.feed.on_frame(payload.encode(), last)

    def quote(
        self, bid: float = 100.0, ask: float = 100.02, *, index: int = 0, qty: float = 5.0, last: bool = True
    ) -> None:
        body = f'"u":{next(self._ids)},"b":"{bid:.2f}","B":"{qty}","a":"{ask:.2f}","A":"{qty}"'
        self._frame(index, "bookTicker", body, last, 1)

    def trade(
        self,
        price: float = 100.0,
        qty: float = 1.0,
        *,
        index: int = 0,
        sold: bool = False,
        last: bool = True,
        at_ms: int = 0,
    ) -> None:
        body = (
            f'"t":{next(self._trade_ids)},"p":"{price:.2f}","q":"{qty}","T":{at_ms},"m":{str(sold).lower()}'
        )
        self._frame(index, "trade", body, last, 1)

    def depth(self, first: int, bids: str, asks: str, *, to: int = 0, index: int = 0) -> None:
        """Let a depth update come; levels as JSON text, ids from `first` to `to`."""
        self._frame(index, "depth", f'"U":{first},"u":{to or first},"E":0,"b":[{bids}],"a":[{asks}]', True, 1)

    def snapshot(self, number: int, bids: str = '["100.00","5"]', asks: str = '["100.02","5"]') -> None:
        payload = f'{{"lastUpdateId":{number},"bids":[{bids}],"asks":[{asks}]}}'.encode()
        self.feed.process_snapshot(0, payload, self.time.now_ns())

    def command(self, verb: Any, reason: str = "", *, rebase: bool = False) -> None:
        self.engine.on_command(Command(verb=verb, source="test", reason=reason, rebase=rebase))

    def open_market(self) -> None:
        """Let every instrument quote, and time pass until the watch has seen it."""
        for index in range(len(self.instruments)):
            self.quote(index=index)
        self.later(0.1)

    def go_long(self, qty: float = 1.0, script: int = 0) -> None:
        """Let a script's strategy buy, and leave it without an opinion."""
        self.open_market()
        self.scripts[script].target(qty, 100.02)
        self.quote()
        self.later(0.003)
        self.scripts[script].wants = None
        assert self.position(script) == pytest.approx(qty)

    # --- seeing ---------------------------------------------------------------------------------------------
    def sent(self, verb: int = d.PLACE) -> list[Order]:
        """Return the orders of what left for the venue."""
        return [audit.order for audit in self.audits if isinstance(audit, Sent) and audit.verb == verb]

    def refused(self) -> Counter[str]:
        counts = self.core.orders.risk.refusals
        return Counter({d.REFUSAL_NAMES[code]: number for code, number in counts.items()})

    def position(self, strategy: int = 0, row: int = 0) -> float:
        return float(self.core.runtimes[strategy].view("position")[row, d.P_QTY])

    def gate(self, index: int = 0) -> str:
        code = self.core.orders.risk.gate(index)
        return d.REFUSAL_NAMES[code] if code else ""


@pytest.fixture(scope="session")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the probes' files are."""
    folder = tmp_path_factory.mktemp("probes")
    (folder / "probe.py").write_text(PROBE.format(instruments=1, timer_s=0.0))
    (folder / "duo.py").write_text(PROBE.format(instruments=2, timer_s=1.0))
    return folder


@pytest.fixture(scope="session")
def new_floor(probes: Path) -> Callable[..., Floor]:
    """Return the builder of floors: strategies first, scripts of probes or configurations."""
    return partial(Floor, probes)


@pytest.fixture(scope="session")
def new_script() -> type[Script]:
    """Return the class of scripts."""
    return Script


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on either loop, with a limit on everything."""

    def runner(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as active:
            active.run(asyncio.wait_for(main, 20))

    return runner
