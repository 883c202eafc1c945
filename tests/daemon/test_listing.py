"""What a start asks an exchange about the configured symbols, over virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from random import Random

import pytest
from structlog.testing import capture_logs

from daemon.config import Config, FeedConfig, JournalConfig, StrategyConfig
from daemon.errors import ConfigError, NetError, TickdError
from daemon.listing import find_instruments
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.seams import Response, Seams
from tests.daemon.feeds.test_exchanges import BODY, ILLEGAL
from tests.daemon.orders.conftest import FOLDER, START_NS, SteppedTime, World, btc_usdt, eth_btc

LISTED = Response(200, {}, BODY)
UNKNOWN = Response(400, {}, ILLEGAL)


class Start:
    """A start whose exchange answers so, one after the other; the last answer stays."""

    def __init__(self, *answers, symbols=("BTC/USDT",), mode="live", disk=None):
        self.time = SteppedTime(START_NS)
        self.answers = list(answers)
        self.asked_s = []
        self.seams = Seams(self.time, self.time, self, disk or MemoryDisk(), InlineWorker(), Random(1))
        self.config = Config(
            name="one",
            mode=mode,
            feed=FeedConfig(symbols=symbols),
            strategy=(StrategyConfig(name="ema_cross"),),
            journal=JournalConfig(path=str(FOLDER)),
        )

    def find(self, *, patient=True):
        async def go():
            task = asyncio.ensure_future(find_instruments(self.config, self.seams, patient=patient))
            while not task.done():
                for _ in range(20):
                    await asyncio.sleep(0)
                if not task.done():
                    self.time.advance(self.time.next_ns)
            return task.result()

        return asyncio.run(go())

    async def request(self, *_):
        self.asked_s.append((self.time.now_ns() - START_NS) / 1e9)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_symbol_that_is_listed_no_more_is_what_the_journal_has_of_it():
    pair = [btc_usdt(), eth_btc()]
    world = World(pair, {"maker": (0, 1)})
    start = Start(UNKNOWN, LISTED, symbols=("ETH/BTC", "BTC/USDT"), disk=world.disk)
    found = start.find(patient=False)
    assert [(one.symbol, one.listed) for one in found] == [("ETH/BTC", False), ("BTC/USDT", True)]
    assert found[0].lot_size == pair[1].lot_size
    never = Start(UNKNOWN, LISTED, symbols=("ETH/BTC", "BTC/USDT"))
    with pytest.raises(ConfigError, match=r"does not list ETH/BTC, BTC/USDT; correct feed.symbols"):
        never.find(patient=False)


def later(status, after=None):
    return Response(status, {} if after is None else {"Retry-After": str(after)}, b"<html>later</html>")


@pytest.mark.parametrize(
    ("answers", "asked_s"),
    [
        ([later(418, after=600), LISTED], [0, 600]),
        ([later(429, after=7), later(418, after=30), LISTED], [0, 7, 37]),
        ([later(418), LISTED], [0, 300]),
        ([later(429), LISTED], [0, 60]),
    ],
)
def test_a_start_that_is_told_to_keep_still_does_and_goes_on(answers, asked_s):
    start = Start(*answers)
    assert [one.symbol for one in start.find()] == ["BTC/USDT"]
    assert start.asked_s == asked_s


def test_failures_of_the_exchange_are_waited_out_at_growing_distances():
    cut = NetError("the line is cut")
    with capture_logs() as logs:
        start = Start(later(503), later(503), cut, cut, later(502), later(502), later(502), LISTED)
        start.find()
    gaps = [after - before for before, after in pairwise(start.asked_s)]
    assert all(0.5 * 2**n <= gap <= 2**n for n, gap in enumerate(gaps[:5]))
    assert gaps[-1] <= start.config.feed.backoff_s_max
    assert [one["reason"] for one in logs] == ["HTTP 503", "the line is cut", "HTTP 502"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (NetError("GET https://api cannot be made: no such host"), "no such host"),
        (Response(200, {}, b"<html>hello</html>"), "answered exchangeInfo with something else"),
        (Response(403, {}, b"not from your country"), r"\(HTTP 403\): not from your country"),
        (UNKNOWN, "does not list BTC/USDT"),
    ],
)
def test_what_no_waiting_mends_ends_the_start_at_once(answer, error):
    start = Start(answer)
    with pytest.raises(TickdError, match=error):
        start.find()
    assert start.asked_s == [0]


def test_what_is_definite_ends_a_start_that_has_waited_too():
    start = Start(later(503), Response(200, {}, b"[]"))
    with pytest.raises(NetError, match="something else"):
        start.find()
    assert len(start.asked_s) == 2


def test_who_has_no_patience_is_told_at_once():
    start = Start(later(418, after=600))
    with pytest.raises(NetError, match="HTTP 418"):
        start.find(patient=False)
    assert start.asked_s == [0]
