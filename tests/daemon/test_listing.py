"""What a start asks an exchange about the configured symbols, over virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest
from structlog.testing import capture_logs

from daemon.config import Config, FeedConfig, JournalConfig, StrategyConfig
from daemon.errors import ConfigError, NetError, TickdError
from daemon.listing import find_instruments
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.rules_cache import RulesCache
from daemon.seams import Response, Seams
from tests.daemon.feeds.test_exchanges import BODY, ILLEGAL
from tests.daemon.orders.conftest import FOLDER, START_NS, SteppedTime, World, btc_usdt, eth_btc

LISTED = Response(200, {}, BODY)
UNKNOWN = Response(400, {}, ILLEGAL)


class Start:
    """A start whose exchange answers so, one after the other; the last answer stays."""

    def __init__(self, *answers, symbols=("BTC/USDT",), mode="live", disk=None, now_ns=START_NS):
        self.time = SteppedTime(now_ns)
        self.answers = list(answers)
        self.asked_s = []
        self.told = []
        self.begun_ns = now_ns
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
            cache = RulesCache(self.config, self.seams, self.told.append)
            task = asyncio.ensure_future(find_instruments(self.config, self.seams, cache, patient=patient))
            while not task.done():
                for _ in range(20):
                    await asyncio.sleep(0)
                if not task.done():
                    self.time.advance(self.time.next_ns)
            return task.result()

        return asyncio.run(go())

    async def request(self, *_):
        self.asked_s.append((self.time.now_ns() - self.begun_ns) / 1e9)
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


@pytest.mark.parametrize(
    ("mode", "answer", "hinted"),
    [
        ("paper", NetError("the network is unreachable"), True),
        ("live", NetError("the network is unreachable"), False),  # nobody who trades for real wants a demo
        ("paper", Response(403, {}, b""), False),  # somebody answered
    ],
)
def test_who_rehearses_without_a_network_is_told_of_the_demo(mode, answer, hinted):
    with pytest.raises(NetError) as failed:
        Start(answer, mode=mode).find()
    assert ("without a network there is tickd demo" in str(failed.value)) is hinted


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


# --- by what it told last ---------------------------------------------------------------------------------
CUT = NetError("the line is cut")
HOUR = 3_600_000_000_000


def begun_before(*answers, **more):
    """Return a start an hour after one that the exchange answered."""
    first = Start(LISTED)
    first.find()
    return Start(*answers, disk=first.seams.disk, now_ns=START_NS + HOUR, **more)


@pytest.mark.parametrize("mode", ["live", "paper", "demo"])
@pytest.mark.parametrize("patient", [True, False])
def test_a_start_whose_exchange_cannot_be_reached_goes_by_what_it_told_last(mode, patient):
    start = begun_before(CUT, mode=mode)
    (one,) = start.find(patient=patient)
    assert (one.symbol, one.price.text(3), one.lot_size, one.trading) == (
        "BTC/USDT",
        "0.03",
        Decimal("0.1"),
        True,
    )
    assert start.asked_s == [0]
    (text,) = start.told
    assert text == (
        "binance spot tells no rules of instruments: this start goes by those of 1.0 h ago, and asks again "
        "(the line is cut)"
    )


@pytest.mark.parametrize(
    "answers",
    [
        [later(503)],
        [later(408)],
        [later(503), CUT],
        [later(418, after=9), CUT],
        [later(429, after=9), later(502)],
    ],
)
def test_failures_that_go_on_are_waited_out_for_a_minute_where_rules_are_at_hand(answers):
    start = begun_before(*answers)
    assert [one.symbol for one in start.find()] == ["BTC/USDT"]
    assert 60 <= start.asked_s[-1] <= 60 + 9 + start.config.feed.backoff_s_max
    assert len(start.told) == 1


def test_a_ban_is_waited_for_with_rules_at_hand_too():
    start = begun_before(later(418, after=600), later(418, after=600), LISTED)
    start.find()
    assert start.asked_s == [0, 600, 1200]
    assert start.told == []


def test_the_time_of_a_ban_is_no_failure_s():
    start = begun_before(later(418, after=600), later(503), LISTED)
    start.find()
    assert len(start.asked_s) == 3
    assert start.told == []


@pytest.mark.parametrize("status", [403, 418, 429, 451])
def test_what_the_exchange_refuses_nothing_that_was_kept_stands_in_for(status):
    start = begun_before(later(status))
    with pytest.raises(NetError, match=rf"HTTP {status}"):
        start.find(patient=False)
    assert start.told == []


def test_nor_for_a_symbol_that_it_does_not_list():
    start = begun_before(UNKNOWN)
    with pytest.raises(ConfigError, match="does not list BTC/USDT"):
        start.find()


def test_rules_that_are_too_old_when_waiting_has_lasted_are_none():
    first = Start(LISTED)
    first.find()
    start = Start(later(503), disk=first.seams.disk, now_ns=START_NS + 24 * HOUR - 30_000_000_000)
    start.answers = [later(503)] * 20 + [LISTED]
    start.find()
    assert len(start.asked_s) == 21  # as without any
    assert start.told == []
