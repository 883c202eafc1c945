"""Bursts and floods: every tick reaches the features, only decisions coalesce, nothing grows or is lost."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import resource
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import StrategyConfig
from daemon.net import RealNet
from daemon.net_picows import READ_BUFFER_BYTES
from daemon.snapshot import take_status
from kernels.dtypes import NO_OPINION
from kernels.ring import CAPACITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MB = 1 << 20
CROSS = StrategyConfig(
    name="ema_cross", params={"qty": 1.0, "band_bps": 0.05}, tuning={"ema_slow": 20.0}, warmup_ticks=0
)


@pytest.fixture
def script(new_script):
    return new_script()


def status_of(floor):
    return take_status(floor.core, floor.feed, name="x", mode="paper", started_ns=0)


def features(floor) -> tuple[bytes, bytes]:
    runtime = floor.core.runtimes[0]
    return runtime.view("feature_f").tobytes(), runtime.view("feature_i").tobytes()


# --- one buffer ---------------------------------------------------------------------------------------------
def test_a_thousand_ticks_in_one_buffer_are_all_taken_and_decided_on_once(new_floor, script):
    burst, single = new_floor(script), new_floor(type(script)())
    for floor in (burst, single):
        floor.open_market()
        for number in range(1000):
            bid = round(100.0 + 0.01 * (number % 7), 2)
            last = floor is single or number == 999
            if number % 3:
                floor.quote(bid, round(bid + 0.02, 2), last=last)
            else:
                floor.trade(bid, last=last)
    assert (len(burst.scripts[0].calls), len(single.scripts[0].calls)) == (2, 1001)
    assert features(burst) == features(single)
    assert burst.scripts[0].calls[-1].rows.tobytes() == single.scripts[0].calls[-1].rows.tobytes()
    (btc,) = status_of(burst).instruments
    assert (btc.quotes + btc.trades, btc.ring_overflow) == (1001, 0)
    assert status_of(burst).coalesced == 999


TICKS = st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(TICKS, st.integers(1, 2 * CAPACITY))
def test_features_after_bursts_are_those_after_single_ticks(new_floor, ticks, times):
    """Ticks as (price, whether a trade, whether the last of a read), so often that rings run full."""
    floors = [new_floor(CROSS, market="usdm", balances={"USDT": "100000"}, latency_ms=1000) for _ in range(2)]
    for floor, alone in zip(floors, (True, False), strict=True):
        floor.open_market()
        rounds = max(1, min(times, 600 // len(ticks)))
        for step, (price, trade, ends) in enumerate(ticks * rounds):
            bid = round(100.0 + 0.01 * ((price + step) % 50), 2)
            if trade:
                floor.trade(bid, last=alone or ends)
            else:
                floor.quote(bid, round(bid + 0.02, 2), last=alone or ends)
        floor.quote()
    single, burst = floors
    assert features(single) == features(burst)
    assert single.rings["head"].tolist() == burst.rings["head"].tolist()
    assert single.rings["overflow"].sum() + burst.rings["overflow"].sum() == 0


# --- a real socket ------------------------------------------------------------------------------------------
def quotes(count: int, first: int = 1) -> Iterator[bytes]:
    """Quotes as text frames of a websocket, ids from `first`, a few thousand a piece."""
    for begin in range(first, first + count, 4096):
        piece = bytearray()
        for number in range(begin, min(begin + 4096, first + count)):
            bid = 10_000 + number % 97
            payload = (
                b'{"stream":"btcusdt@bookTicker","data":{"s":"BTCUSDT","u":%d,"b":"%d.%02d","B":"5.0","a":"%d.%02d",'
                b'"A":"5.0"}}' % (number, bid // 100, bid % 100, (bid + 2) // 100, (bid + 2) % 100)
            )
            piece += b"\x81" + (
                bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
            )
            piece += payload
        yield bytes(piece)


@contextmanager
def serving(pieces: Iterable[bytes]) -> Iterator[str]:
    """Serve one websocket from a thread, as fast as its other side takes it."""

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            request = peer.recv(4096).decode()
            key = next(
                line.split(": ")[1]
                for line in request.split("\r\n")
                if line.lower().startswith("sec-websocket-key")
            )
            digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
            peer.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )
            for piece in pieces:
                peer.sendall(piece)
            peer.recv(4096)  # until the other side has had enough

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
        thread.join(10)


class Reader:
    """Hands a websocket's frames to a feed until so many came; `lasts` counts the reads."""

    def __init__(self, on_frame: Callable[[bytes, bool], None], count: int) -> None:
        self._on_frame = on_frame
        self._left = count
        self.lasts = 0
        self.done = asyncio.Event()

    def on_frame(self, payload: bytes, last: bool) -> None:
        self.lasts += last
        self._on_frame(payload, last)
        self._left -= 1
        if not self._left:
            self.done.set()

    def on_close(self, reason: str) -> None:
        self.done.set()


def read_all(floor, pieces: Iterable[bytes], count: int) -> int:
    """Let a floor's feed read it all from a real socket; return in how many reads."""

    async def main(url: str) -> int:
        net, reader = RealNet(), Reader(floor.feed.on_frame, count)
        await net.connect(url, reader)
        async with asyncio.timeout(300):
            await reader.done.wait()
        await net.close()
        return reader.lasts

    with serving(pieces) as url:
        return uvloop.run(main(url))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_what_one_read_brings_over_a_real_socket_is_decided_on_once(new_floor, script):
    floor = new_floor(script)
    pieces = list(quotes(1000))
    assert sum(map(len, pieces)) < READ_BUFFER_BYTES
    reads = read_all(floor, pieces, 1000)
    (btc,) = status_of(floor).instruments
    assert (btc.quotes, btc.ring_overflow) == (1000, 0)
    assert len(script.calls) == floor.engine.drains == reads
    assert reads < 50


@pytest.mark.parametrize("count", [50_000, pytest.param(3_000_000, marks=pytest.mark.heavy)])
def test_a_flood_is_taken_whole_in_bounded_memory(new_floor, script, count):
    """The other side writes as fast as we read: whatever its rate, this is the most that can come.

    A decision takes some 100 us, so that one for each tick could go on at 10,000 a second at most. What
    memory grows by is picows' buffer, which doubles up to what the kernel keeps for a socket.
    """
    floor = new_floor(script)
    decided = peak_bytes = 0

    def think() -> int:
        nonlocal decided, peak_bytes
        decided += 1
        script.calls.clear()
        sum(range(10_000))
        peak_bytes = max(peak_bytes, resident_bytes())
        return NO_OPINION

    script.answer = think
    before = 20_000  # until buffers are as large as they become
    read_all(floor, quotes(before), before)
    gc.collect()
    bytes_before, drains, decided = resident_bytes(), floor.engine.drains, 0
    peak_bytes = bytes_before
    reads = read_all(floor, quotes(count, before + 1), count)
    kernel_bytes = int(Path("/proc/sys/net/ipv4/tcp_rmem").read_text().split()[2])
    assert peak_bytes - bytes_before < 3 * kernel_bytes + 16 * MB
    (btc,) = status_of(floor).instruments
    assert (btc.quotes, btc.ring_overflow) == (before + count, 0)
    assert floor.rings["head"][0] == floor.core.runtimes[0].memory[0]["seen"][0] == before + count
    assert decided == floor.engine.drains - drains == reads < count / 10


@pytest.mark.parametrize("first", ["orders", "market"])
def test_what_waits_on_two_sockets_is_read_in_one_round_in_the_order_it_came(first):
    """A report that came before a quote is applied before it, though both are read late."""
    go = {"orders": threading.Event(), "market": threading.Event()}
    heard: list[tuple[str, int]] = []
    rounds = 0

    def when(name: str) -> Iterator[bytes]:
        go[name].wait(10)
        yield b"\x81\x01x"

    async def main(urls: dict[str, str]) -> None:
        loop, net = asyncio.get_running_loop(), RealNet()

        def spin() -> None:
            nonlocal rounds
            rounds += 1
            loop.call_soon(spin)

        readers = {
            name: Reader(lambda _payload, _last, name=name: heard.append((name, rounds)), 1) for name in urls
        }
        for name, url in urls.items():
            await net.connect(url, readers[name])
        spin()
        await asyncio.sleep(0.05)  # what was read in the round before would come first
        for name in sorted(go, key=lambda name: name != first):
            go[name].set()
            time.sleep(0.1)  # noqa: ASYNC251 - the loop is stuck, and that is what is tested
        async with asyncio.timeout(10):
            for reader in readers.values():
                await reader.done.wait()
        await net.close()

    with serving(when("orders")) as orders, serving(when("market")) as market:
        uvloop.run(main({"orders": orders, "market": market}))
    assert heard[0][0] == first
    assert heard[0][1] == heard[1][1]
