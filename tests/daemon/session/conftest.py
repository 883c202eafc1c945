"""A paper session on virtual time, its journal and its tape on the real disk; and how its tape is forged."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from daemon.assembly import assemble
from daemon.clock import VirtualTime
from daemon.config import from_tree
from daemon.disk import RealDisk
from daemon.events import Command
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.instruments import make_instrument
from daemon.logs import Logs
from daemon.memory_disk import InlineWorker
from daemon.no_net import NoNet
from daemon.options import VerifyOptions
from daemon.plans import plan_strategies
from daemon.pulse import STEADY
from daemon.seams import Seams
from daemon.session.verify import verify
from daemon.tape.reader import Entry, read_tape
from daemon.tape.recorder import Recorder
from kernels.ring import new_rings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.config import Config
    from daemon.session.verify import Verdict

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
SYMBOL = "BTC/USDT"


def session_config(folder: Path, **strategy: Any) -> Config:
    """Return a configuration that records; `strategy` are keys of its one strategy."""
    usual = {"name": "ema_cross", "warmup_ticks": 20, "params": {"qty": 1.0, "band_bps": 0.5}}
    tree = {
        "name": "s",
        "mode": "paper",
        "feed": {"symbols": [SYMBOL], "streams": ["trade", "quote"]},
        "strategy": [usual | strategy],
        "journal": {"path": str(folder / "journal")},
        "tape": {"record": True, "path": str(folder / "tape")},
    }
    return from_tree(tree, {}, "the test")


class Session:
    """One run, from its start on; the next of the same folder goes on where it ended."""

    def __init__(
        self, folder: Path, *, start_ns: int = START_NS, strategy: dict[str, Any] | None = None, **paper: Any
    ) -> None:
        config = session_config(folder, **(strategy or {}))
        self.config = replace(config, paper=replace(config.paper, **paper))
        self.time = time = VirtualTime(start_ns)
        one = make_instrument(
            0, "binance", "spot", SYMBOL, tick_size="0.01", lot_size="0.001", qty_min="0.001",
            qty_max="9000", notional_min="5",
        )  # fmt: skip
        seams = Seams(time, time, NoNet(), RealDisk(), InlineWorker(), random.Random(0))
        plans = plan_strategies(self.config, RealDisk(), lambda _: None)
        rings = new_rings(1)
        logs = Logs(time, lambda _: None, "error", "json")  # type: ignore[arg-type]
        self.desk = asyncio.run(assemble(self.config, plans, [one], rings, seams, seams, STEADY, logs))
        self.core, self.tape = self.desk.core, self.desk.tape
        self.path = self.tape.folder  # type: ignore[union-attr]
        doors = self.core.doors
        streams = self.config.feed.streams
        decoder = BinanceDecoder([one])
        self.feed = FeedCore([one], rings, self.core.engine, decoder, lambda _: None, time, streams=streams)
        doors.feed = self.feed
        self.ways = self.desk.ways(self.feed, 0)  # type: ignore[misc]
        self._ids, self._trade_ids = count(1), count(1)
        asyncio.run(self._open())
        doors.start()

    async def _open(self) -> None:
        doors = self.core.doors
        await doors.connect()
        doors.meet(await doors.snapshot(), self.time.now_ns())

    def quote(self, bid: float, qty: float = 5.0) -> None:
        """Let a quote come."""
        number = next(self._ids)
        body = f'"u":{number},"b":"{bid:.2f}","B":"{qty:.3f}","a":"{bid + 0.01:.2f}","A":"5.000"'
        frame = f'{{"stream":"btcusdt@bookTicker","data":{{"s":"BTCUSDT",{body}}}}}'
        self.ways.on_frame(frame.encode(), True)

    def trade(self, price: float, qty: float, *, sold: bool) -> None:
        """Let a trade come."""
        body = f'"t":{next(self._trade_ids)},"p":"{price:.2f}","q":"{qty:.3f}","T":0,"m":{str(sold).lower()}'
        frame = f'{{"stream":"btcusdt@trade","data":{{"s":"BTCUSDT",{body}}}}}'
        self.ways.on_frame(frame.encode(), True)

    def play(self, seconds: int, seed: int = 1) -> None:
        """Let the market walk, 20 quotes a second, and the app's beat come each second."""
        draw = random.Random(seed)
        bid = 100.0
        for tick in range(20 * seconds):
            self.time.advance(self.time.now_ns() + 50 * MS)
            bid = round(bid + draw.gauss(0, 0.02), 2)
            self.quote(bid, draw.randrange(1, 9))
            if tick % 20 == 19:
                self.core.doors.second(self.time.now_ns())

    def end(self) -> Path:
        """End it as the app does; return the session's folder."""
        doors = self.core.doors
        doors.stop()
        doors.command(Command(verb="stop", source="daemon"))
        self.time.advance(self.time.now_ns() + 100 * MS)
        doors.set_phase("STOPPED")
        asyncio.run(self._end())
        return self.path

    def end_of_tape(self) -> Path:
        """Leave it as a kill does, its tape's tail written; return the session's folder."""
        asyncio.run(self.core.journal.close())
        asyncio.run(self.tape.close())  # type: ignore[union-attr]
        return self.path

    async def _end(self) -> None:
        await self.core.doors.disconnect()
        self.core.doors.close()
        await self.core.journal.close(self.time.now_ns())
        await self.tape.close()  # type: ignore[union-attr]


def forge(session: Path, entries: Iterable[Entry]) -> Path:
    """Return a tape of other entries, with a header and a manifest as a recorder makes them."""
    header = read_tape(session).header
    time = VirtualTime(START_NS)
    seams = Seams(time, time, NoNet(), RealDisk(), InlineWorker(), random.Random(0))
    folder = session.with_name(f"{session.name}-forged-{next(_FORGED)}")
    recorder = Recorder(seams, folder, header, session_config(session.parent).tape)
    for entry in entries:
        recorder.take(recorder.stream(entry.stream), entry.wire_ns, entry.last, entry.payload)
    asyncio.run(recorder.close())
    return folder


_FORGED = count(1)


@pytest.fixture(scope="package")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a session of half a minute that ended well."""
    run = Session(tmp_path_factory.mktemp("session"))
    run.play(30)
    return run.end()


@pytest.fixture(scope="package")
def entries(session: Path) -> list[Entry]:
    """Return its entries."""
    return list(read_tape(session))


@pytest.fixture
def new_session() -> type[Session]:
    """Return the class of sessions."""
    return Session


@pytest.fixture
def forged(session: Path) -> Callable[[Iterable[Entry]], Path]:
    """Return what makes a tape of other entries beside the session's."""
    return lambda entries: forge(session, entries)


@pytest.fixture
def verified() -> Callable[..., Verdict]:
    """Return what verifies a session's folder, by its own configuration or another strategy's keys."""

    def check(path: Path, **strategy: Any) -> Verdict:
        config = None
        if strategy:
            folder = Path(read_tape(path).header.session["journal"]).parent
            config = session_config(folder, **strategy)
        return verify(VerifyOptions(session=path, config=config))

    return check
