"""What 500 instruments take: each at most 64 kB beyond its ring, and each tick reaches its own strategy."""

from __future__ import annotations

import pytest

from daemon.config import StrategyConfig
from daemon.feeds.core import FRAMES_KEPT_MAX
from daemon.footprint import footprint
from daemon.snapshot import take_status
from kernels.ring import RING

MANY = 500
BEYOND_MAX = 64_000


@pytest.fixture(scope="module")
def many(new_floor):
    """A core of 500 instruments with a strategy each."""
    bases = tuple(f"B{number:03d}" for number in range(MANY))
    strategies = [
        StrategyConfig(name="ema_cross", symbols=(f"{base}/USDT",), warmup_ticks=0) for base in bases
    ]
    return new_floor(*strategies, bases=bases, balances={"USDT": "100000"})


def test_an_instrument_takes_little_beyond_its_ring(many):
    for index in range(MANY):
        many.quote(index=index)
    found = footprint(many.core, many.feed)
    assert found.rings == MANY * RING.itemsize
    assert 100 * MANY < found.frames < 300 * FRAMES_KEPT_MAX
    assert (found.streams + found.books + found.strategies) / MANY < BEYOND_MAX
    assert found.books < 100 * MANY  # none is streamed
    status = take_status(many.core, many.feed, name="x", mode="paper", started_ns=0)
    assert (status.footprint, len(status.instruments)) == (found, MANY)


def test_a_book_takes_what_its_levels_need(new_floor, new_script):
    floor = new_floor(new_script(), streams=("depth",))
    side = ",".join(f'["{price / 100:.2f}","1"]' for price in range(9_000, 8_000, -1))
    floor.depth(1, "", "")
    floor.snapshot(1, bids=f"[{side}]"[1:-1])
    books = footprint(floor.core, floor.feed).books
    assert 32_000 <= books < 48_000


def test_each_tick_reaches_the_strategy_of_its_instrument_and_no_other(many):
    before = [(int(one.memory[0]["decisions"]), int(one.memory[0]["seen"][0])) for one in many.core.runtimes]
    given = [1 + index % 3 for index in range(MANY)]
    for number in range(3):
        for index, ticks in enumerate(given):
            if number < ticks:
                many.quote(100.0 + index / 100, 101.0 + index / 100, index=index)
    for runtime, (decided, seen), ticks in zip(many.core.runtimes, before, given, strict=True):
        index = runtime.instruments[0].index
        assert int(runtime.memory[0]["decisions"]) - decided == ticks
        assert int(runtime.memory[0]["seen"][0]) - seen == ticks
        assert runtime.memory[0]["book"][0, 0, 0, 0] == pytest.approx(100.0 + index / 100)


def test_a_strategy_that_warms_up_keeps_no_other_from_its_turns(new_floor):
    slow, quick = (
        StrategyConfig(name="ema_cross", symbols=(f"{base}/USDT",), warmup_ticks=ticks)
        for base, ticks in (("BTC", 50), ("ETH", 2))
    )
    floor = new_floor(slow, quick, bases=("BTC", "ETH"))
    for _ in range(6):
        floor.quote(index=1)
        floor.quote()
    assert floor.engine.state == "WARMING"
    assert (int(floor.rings["turns"][0]), int(floor.rings["turns"][1])) == (0, 4)
    assert (floor.core.orders.desks[0].ready, floor.core.orders.desks[1].ready) == (False, True)
