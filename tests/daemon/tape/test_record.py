"""Recording without trading, from an exchange on loopback: what it sent is on the tape, and replays."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import NetError, UsageError
from daemon.net import make_net
from daemon.options import ReplayOptions
from daemon.seams import Seams
from daemon.tape import record
from daemon.tape import replay as replays
from daemon.tape.reader import read_tape
from daemon.tape.source import open_source
from tests.daemon.feeds.loopback import Exchange
from tests.daemon.feeds.test_paper_okx import Okx


class Told(Okx):
    """OKX, remembering what it said."""

    sent: list[bytes]

    def __init__(self):
        super().__init__()
        self.sent = []

    def hello(self):
        return self._remembered(super().hello())

    def answer(self, request):
        return self._remembered(super().answer(request))

    def go_on(self):
        return self._remembered(super().go_on())

    def _remembered(self, payloads):
        for payload in payloads:
            self.sent.append(payload)
            yield payload


def configured(urls, folder, **tape):
    tree = {
        "name": "one",
        "mode": "paper",
        "feed": {"exchange": "okx", "symbols": ["BTC/USDT"], "rest_url": urls[0], "ws_url": urls[1]},
        "strategy": [{"name": "ema_cross"}],
        "tape": {"path": str(folder), **tape},
    }
    return from_tree(tree, {}, "test")


async def recorded(folder, disturb):
    """Record while `disturb(exchange, recording)` runs; return the exchange and the recording."""
    exchange = Exchange(Told)
    async with exchange.running() as urls:
        config = configured(urls, folder)
        clock, worker, net = SystemClock(), ThreadWorker(), make_net(config.feed)
        seams = Seams(clock, LoopScheduler(clock), net, RealDisk(), worker, Random(1))
        try:
            recording = await record.begin(config, seams)
            stop = asyncio.Event()

            async def disturbed():
                try:
                    await disturb(exchange, recording)
                finally:
                    stop.set()

            looks = []
            await asyncio.gather(recording.run(stop, None, looks.append), disturbed())
        finally:
            await net.close()
            worker.close()
    return exchange, recording


async def until(look, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - of another task's objects
            await asyncio.sleep(0.01)


def test_what_the_exchange_sent_is_on_the_tape_and_makes_the_same_market_again(tmp_path):
    async def disturb(exchange, recording):
        (lane,) = recording.core.lanes
        await until(lambda: lane.depth.count > 10)
        exchange.voices[0].lie = True
        await until(lambda: lane.resyncs == 2)
        await exchange.cut()
        await until(lambda: lane.resyncs == 3 and lane.depth.count > 40)

    exchange, recording = asyncio.run(recorded(tmp_path, disturb))
    summary = recording.summary()
    (folder,) = tmp_path.iterdir()
    assert summary.folder == str(folder)
    tape = read_tape(folder)
    entries = list(tape)
    frames = [entry.payload for entry in entries if entry.stream == "feed/0"]
    first, second = (voice.sent for voice in exchange.voices)
    # what was still on its way at a cut, or at the end, did not come
    assert any(frames == first[:n] + second[: len(frames) - n] for n in range(len(first) + 1))
    assert [entry.stream for entry in entries if entry.stream != "feed/0"] == ["cut/0", "cut/0"]
    assert (summary.gaps, summary.reconnects, summary.dropped) == ({"gap": 1, "disconnected": 1}, 1, 0)
    assert summary.entries == len(entries)
    assert (tape.closed, tape.header.exchange, tape.header.mode) == (True, "okx", "record")

    source = open_source(folder)
    options = ReplayOptions(files=(folder,))
    result = replays.replay(source, replays._config(options, source))
    assert result.events == summary.events
    assert result.errors == summary.errors == {}
    assert result.resyncs == 3
    assert result.gaps == summary.gaps  # its own end is none


def test_an_exchange_that_is_not_there_is_said_in_a_sentence(tmp_path):
    async def begin():
        config = configured(("http://127.0.0.1:1", "ws://127.0.0.1:1"), tmp_path)
        clock, net = SystemClock(), make_net(config.feed)
        seams = Seams(clock, LoopScheduler(clock), net, RealDisk(), None, Random(1))
        try:
            await record.begin(config, seams)
        finally:
            await net.close()

    with pytest.raises(NetError, match="failed"):
        asyncio.run(begin())
    assert list(tmp_path.iterdir()) == []


def chosen(config=None, **given):
    usual = {"exchange": None, "market": None, "symbols": [], "streams": [], "out": None, "environ": {}}
    return record.choose(config, **(usual | given))


def test_a_feed_is_chosen_by_options_or_by_a_configuration():
    one = chosen(exchange="kraken", symbols=["BTC/USD", "ETHUSD"], streams=["trade"])
    assert (one.feed.exchange, one.feed.market, one.feed.symbols) == (
        "kraken",
        "spot",
        ("BTC/USD", "ETH/USD"),
    )
    assert (one.feed.streams, one.tape.path) == (("trade",), "var/record/tape-paper")
    assert chosen(exchange="binance", symbols=["BTC/USDT"], out=Path("x")).tape.path == "x"
    config = configured(("http://a", "ws://b"), "y")
    assert chosen(config) == config
    assert chosen(config, out=Path("z")).tape.path == "z"


def test_what_is_chosen_badly_is_refused():
    with pytest.raises(UsageError, match="what is to be recorded"):
        chosen()
    with pytest.raises(UsageError, match="what is to be recorded"):
        chosen(exchange="binance")
    with pytest.raises(UsageError, match="the configuration names its feed"):
        chosen(configured(("http://a", "ws://b"), "y"), symbols=["BTC/USDT"])
    with pytest.raises(UsageError, match=r"the command line: .*exchange"):
        chosen(exchange="nasdaq", symbols=["BTC/USDT"])
    with pytest.raises(UsageError, match="streams"):
        chosen(exchange="okx", symbols=["BTC/USDT"], streams=["bars"])
    with pytest.raises(UsageError, match=r"feed\.market 'usdm' of kraken is not supported"):
        chosen(exchange="kraken", symbols=["BTC/USDT"], market="usdm")


def test_a_session_s_folder_says_whose_and_when():
    config = configured(("http://a", "ws://b"), "tapes")
    assert record.session_folder(config, 1_723_161_254_937_085_768) == Path("tapes/one-20240808T235414-937")
