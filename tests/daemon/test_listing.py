"""What a start asks an exchange about the configured symbols, over virtual time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from daemon.config import Config, FeedConfig, JournalConfig, StrategyConfig
from daemon.errors import ConfigError
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
    found = asyncio.run(find_instruments(start.config, start.seams))
    assert [(one.symbol, one.listed) for one in found] == [("ETH/BTC", False), ("BTC/USDT", True)]
    assert found[0].lot_size == pair[1].lot_size
    never = Start(UNKNOWN, LISTED, symbols=("ETH/BTC", "BTC/USDT"))
    with pytest.raises(ConfigError, match=r"does not list ETH/BTC, BTC/USDT; correct feed.symbols"):
        asyncio.run(find_instruments(never.config, never.seams))
