"""A small capture that is made up, the same for the same seed; and recorders on virtual time."""

from __future__ import annotations

import asyncio
import gzip
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from daemon.clock import VirtualTime
from daemon.config import TapeConfig
from daemon.disk import RealDisk
from daemon.instruments import make_instrument
from daemon.memory_disk import InlineWorker
from daemon.no_net import NoNet
from daemon.seams import Seams

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.tape.header import TapeHeader

START_NS = 1_723_161_254_000_000_000


def made_up(count: int, *, seed: int = 1, snapshot: bool = True) -> list[bytes]:
    """Return `count` lines of Spot frames, one in 3 ms, and the snapshot among the first."""
    rng = np.random.default_rng(seed)
    mid, trade, update = 6_000_000, 100, 1_000
    lines = []
    for number in range(count):
        stamp = START_NS + number * 3_000_000
        mid += int(rng.integers(-400, 401))
        bid, ask = mid / 100, (mid + 1) / 100
        draw = rng.random()
        if number == 4 and snapshot:
            bids = ",".join(f'["{(mid - 1 - k) / 100:.2f}","1.00000"]' for k in range(50))
            asks = ",".join(f'["{(mid + 1 + k) / 100:.2f}","1.00000"]' for k in range(50))
            payload = f'{{"lastUpdateId":{update},"bids":[{bids}],"asks":[{asks}]}}'
        elif number < 4 or draw < 0.2:
            first, update = update + 1, update + 3
            level = f'["{40_000 + number % 90}.00","{rng.integers(0, 9)}.5"]'
            payload = (
                f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161254000,"s":"BTCUSDT",'
                f'"U":{first},"u":{update},"b":[{level}],"a":[]}}}}'
            )
        elif draw < 0.4:
            trade += 1
            payload = (
                f'{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161254000,"s":"BTCUSDT","t":{trade},'
                f'"p":"{bid:.2f}","q":"0.00123","T":1723161254000,"m":{str(rng.random() < 0.5).lower()}}}}}'
            )
        else:
            payload = (
                f'{{"stream":"btcusdt@bookTicker","data":{{"u":{number + 1},"s":"BTCUSDT","b":"{bid:.2f}",'
                f'"B":"{rng.integers(1, 9)}.00000","a":"{ask:.2f}","A":"2.00000"}}}}'
            )
        lines.append(f"{stamp} {payload}".encode())
    return lines


def write(path: Path, lines: list[bytes]) -> Path:
    """Write a capture."""
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n", 1))
    return path


@pytest.fixture(scope="session")
def lines_of() -> Callable[..., list[bytes]]:
    """Return the maker of lines."""
    return made_up


@pytest.fixture
def capture_of(tmp_path: Path) -> Callable[[list[bytes]], Path]:
    """Return what writes lines into a capture of their own."""
    numbers = iter(range(100))
    return lambda lines: write(tmp_path / f"capture{next(numbers)}.gz", lines)


def header_of(**members: Any) -> TapeHeader:
    """Return a header of Binance Spot's BTC/USDT."""
    from daemon.tape.header import TapeHeader

    instrument = make_instrument(
        0,
        "binance",
        "spot",
        "BTC/USDT",
        tick_size="0.01",
        lot_size="0.00001",
        qty_min="0.00001",
        qty_max="9000",
        notional_min="5",
    )
    usual = {
        "name": "test",
        "exchange": "binance",
        "market": "spot",
        "streams": ("trade", "quote", "depth"),
        "instruments": (instrument,),
        "started_ns": START_NS,
        "version": "0.0.0",
        "mode": "record",
    }
    return TapeHeader(**(usual | members))


class Session:
    """A recorder on virtual time and a disk that is given; `recorded` is what it was told, in order."""

    def __init__(self, disk: Any, folder: Path, **config: Any) -> None:
        from daemon.tape.recorder import Recorder

        self.time = VirtualTime(START_NS)
        self.worker = InlineWorker()
        self.seams = Seams(self.time, self.time, NoNet(), disk, self.worker, random.Random(1))
        self.recorder = Recorder(self.seams, folder, header_of(), TapeConfig(**config))
        self.alarms: list[str] = []
        self.recorder.on_alarm = self.alarms.append
        self.recorded: list[tuple[int, int, str, bool, bytes]] = []

    def take(self, stream: str, payload: bytes, *, last: bool = True) -> None:
        """Record a frame that comes now."""
        entry = (self.recorder.seq, self.time.now_ns(), stream, last, payload)
        self.recorder.take(self.recorder.stream(stream), entry[1], last, payload)
        self.recorded.append(entry)

    async def passes(self, seconds: float) -> None:
        """Let time pass, a quarter of a second at a time."""
        until_ns = self.time.now_ns() + int(seconds * 1e9)
        while self.time.now_ns() < until_ns:
            await settle()
            self.time.advance(min(until_ns, self.time.now_ns() + 250_000_000))
        await settle()


async def settle() -> None:
    """Let every task run until it waits for time."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(scope="session")
def header() -> Callable[..., TapeHeader]:
    """Return the maker of headers."""
    return header_of


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., Session]:
    """Return the maker of sessions; on a real disk in `tmp_path / "tape"` unless one is given."""

    def make(disk: Any = None, **config: Any) -> Session:
        return Session(disk or RealDisk(), tmp_path / "tape", **config)

    return make


@pytest.fixture
def tape_of(tmp_path: Path) -> Callable[..., Path]:
    """Return what records lines of a capture at their own times, and returns the session's folder.

    begin: what a daemon that trades notes before them.
    """
    numbers = iter(range(100))

    def make(
        lines: list[bytes],
        instrument: Any = None,
        members: dict[str, Any] | None = None,
        begin: bytes = b"",
        **config: Any,
    ) -> Path:
        from daemon.tape.recorder import Recorder

        folder = tmp_path / f"tape{next(numbers)}"
        time = VirtualTime(int(lines[0][:19]))
        seams = Seams(time, time, NoNet(), RealDisk(), InlineWorker(), random.Random(1))
        told = {} if instrument is None else {"instruments": (instrument,)}
        header = header_of(**told, **(members or {}))
        recorder = Recorder(seams, folder, header, TapeConfig(**config))
        books = recorder.stream(f"snapshot/{header.instruments[0].symbol}")
        frames = recorder.stream("feed/0")

        async def live() -> None:
            task = asyncio.ensure_future(recorder.run())
            if begin:
                recorder.take(recorder.stream("core"), int(lines[0][:19]), False, begin)
            for line in lines:
                stamp, _, payload = line.partition(b" ")
                while (time.next_ns or 0) <= int(stamp) and time.now_ns() < int(stamp):
                    time.advance(min(time.next_ns or int(stamp), int(stamp)))
                    await settle()
                time.advance(int(stamp))
                recorder.take(books if b'"lastUpdateId"' in payload else frames, int(stamp), True, payload)
            await recorder.close()
            task.cancel()

        asyncio.run(live())
        return folder

    return make
