"""Books and orders ask from one address: books leave orders their part of what it may."""

from __future__ import annotations

import pytest

from daemon.seams import Response
from daemon.venues.binance_address import AddressBudget
from daemon.venues.binance_limits import Budget
from daemon.venues.binance_rest import RestReader
from daemon.venues.binance_usdm_rest import UsdmRest
from daemon.venues.binance_wire import RateLimit
from daemon.venues.server_clock import ServerClock
from tests.daemon.feeds.test_snapshots import Rig, S

MINUTE_NS = 60 * S


class Market:
    """An exchange that counts what each minute weighs, and tells it if it `tells`."""

    def __init__(self, rig: Rig, weight: int, *, tells: bool = False, others: int = 0) -> None:
        self.rig = rig
        self.weight = weight
        self.tells = tells
        self.others = others  # what others use of each minute
        self.minutes: dict[int, int] = {}

    async def request(self, method, url, headers, body, timeout_s):
        minute = self.rig.time.now_ns() // MINUTE_NS
        self.minutes[minute] = self.minutes.get(minute, self.others) + self.weight
        told = {"X-MBX-USED-WEIGHT-1M": str(self.minutes[minute])} if self.tells else {}
        return Response(200, told, b"book")


def scene(limit: int, reader: type[RestReader], books: int, **market) -> tuple[Rig, Market, Budget]:
    """Return a fetcher whose address also has orders, and what both may ask."""
    rig = Rig(urls=[f"u{i}" for i in range(books)])
    budget = Budget()
    budget.learn([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, limit, 0)], rig.time.now_ns() // 1_000_000)
    there = Market(rig, reader.weight_book, **market)
    rig.net.request = there.request
    rig.fetcher.limits = AddressBudget(budget, ServerClock(), rig.time, reader.weight_book)
    return rig, there, budget


@pytest.mark.parametrize(("limit", "reader"), [(6_000, RestReader), (2_400, UsdmRest)])
def test_many_books_stay_within_the_readers_part_and_cancels_leave_meanwhile(limit, reader) -> None:
    rig, market, budget = scene(limit, reader, 200)
    refused: list[str] = []

    async def scenario() -> None:
        for index in range(200):
            rig.fetcher.request(index)
        for _ in range(5 * 60):
            await rig.pass_time(1)
            time_ms = rig.time.now_ns() // 1_000_000
            refused.append(budget.take(time_ms, 1))  # a cancel
            refused.append(budget.take_order(time_ms, 1))

    rig.run(scenario)
    assert sorted(index for index, _, _ in rig.taken) == list(range(200))
    assert max(market.minutes.values()) == limit / 2
    assert set(refused) == {""}


def test_books_wait_where_others_at_the_address_have_nearly_used_it_up() -> None:
    rig, market, _ = scene(6_000, RestReader, 50, tells=True, others=5_200)

    async def scenario() -> None:
        for index in range(50):
            rig.fetcher.request(index)
        await rig.pass_time(50)

    rig.run(scenario)
    first, second = sorted(market.minutes)  # the scene begins 20 s before a full minute
    assert market.minutes == {first: 5_400, second: 5_400}


def test_a_request_that_waits_for_room_can_be_overtaken_and_forgotten() -> None:
    rig, _, budget = scene(6_000, RestReader, 3)

    async def scenario() -> None:
        budget.reading_waits_ms(rig.time.now_ns() // 1_000_000, 3_000)
        rig.fetcher.request(0)
        await rig.pass_time(10)
        assert rig.taken == []
        rig.fetcher.forget(0)
        rig.fetcher.request(1)
        await rig.pass_time(11)

    rig.run(scenario)
    assert [index for index, _, _ in rig.taken] == [1]


def test_other_requests_of_the_feed_wait_and_count_as_books() -> None:
    rig, market, budget = scene(6_000, RestReader, 1)

    async def scenario() -> None:
        time_ms = rig.time.now_ns() // 1_000_000
        assert budget.reading_waits_ms(time_ms, 2_950) == 0
        assert await rig.fetcher.get("rules") == b"book"
        assert budget.used(time_ms) == {"request_weight_60s": (50, 6_000)}
        rig.fetcher.request(0)
        await rig.pass_time(19)
        assert market.minutes == {time_ms // 60_000: 50}

    rig.run(scenario)
