from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from daemon.errors import NetError, UsageError
from daemon.fetch.binance import INTERVALS_MS, PLACES, ROWS_MAX, Rest, check_kind, in_order
from daemon.fetch.days import Wanted
from daemon.fetch.pages import Page
from daemon.simulator.bars import INTERVALS
from daemon.tape.forms.base import Series
from tests.daemon.fetch.exchange import DAY_MS, STEP_MS, Exchange

SERIES = Series(
    exchange="binance", market="spot", symbol="BTC/USDT", exchange_symbol="BTCUSDT", clock="exchange"
)
DAY = 19_943
PER_DAY = DAY_MS // STEP_MS
LATER_MS = (DAY + 100) * DAY_MS


class Asker:
    """Asks an exchange of this process."""

    url = "http://x"
    at_once = 3

    def __init__(self, exchange):
        self.exchange = exchange
        self.weights = []
        self.targets = []

    async def get(self, target, weight, read, what):
        self.weights.append(weight)
        self.targets.append(target)
        parts = urlsplit(target)
        answer = getattr(self.exchange, parts.path.rpartition("/")[2])
        return read(msgspec.json.encode(answer(**dict(parse_qsl(parts.query)))))


def collect(rest, kind, *args, interval=""):
    """Return (asker's weights, the pages)."""

    async def main():
        wanted = Wanted(SERIES, kind, interval)
        found = rest.klines(wanted, *args) if kind == "klines" else rest.trades(wanted, *args)
        return [one async for one in found]

    return asyncio.run(main())


@pytest.fixture
def exchange():
    return Exchange()


@pytest.mark.parametrize(("kind", "per_day"), [("trades", PER_DAY), ("aggTrades", PER_DAY // 2)])
def test_all_trades_of_a_day_are_asked_for_by_their_ids(exchange, kind, per_day):
    asker = Asker(exchange)
    pages = collect(Rest(asker, "spot"), kind, DAY, LATER_MS)
    ids = [one for page in pages for one in page.ids.tolist()]
    assert ids == list(range(DAY * per_day, (DAY + 1) * per_day))
    assert all(len(page.rows) == len(page.ids) for page in pages)
    pages = -(-per_day // ROWS_MAX)
    assert asker.weights == [4, 4] + [{"trades": 25, "aggTrades": 4}[kind]] * pages


def test_a_day_that_goes_on_ends_with_the_latest_trade(exchange):
    exchange.latest_ms = DAY * DAY_MS + 5 * 3_600_000
    now_ms = exchange.latest_ms + 10
    pages = collect(Rest(Asker(exchange), "spot"), "trades", DAY, now_ms)
    ids = [one for page in pages for one in page.ids.tolist()]
    # the trade of that moment is the first of two of an aggregate that began then
    assert ids == list(range(DAY * PER_DAY, exchange.latest_ms // STEP_MS + 1))


def test_a_day_behind_the_last_trade_is_cut_by_time(exchange, monkeypatch):
    # none is found in the 24 hours after the day, so that its ids end with the latest there is
    real = exchange.aggTrades

    def quiet(symbol, limit, startTime=None, endTime=None, fromId=None):  # noqa: N803
        if startTime is not None and int(startTime) >= (DAY + 1) * DAY_MS:
            return []
        return real(symbol, limit, startTime, endTime, fromId)

    exchange.latest_ms = (DAY + 2) * DAY_MS
    monkeypatch.setattr(exchange, "aggTrades", quiet)
    pages = collect(Rest(Asker(exchange), "spot"), "trades", DAY, LATER_MS)
    ids = [one for page in pages for one in page.ids.tolist()]
    assert ids == list(range(DAY * PER_DAY, (DAY + 1) * PER_DAY))


def test_trades_of_the_day_before_are_left_out_though_an_aggregate_holds_them(exchange, monkeypatch):
    real = exchange.aggTrades
    monkeypatch.setattr(
        exchange, "aggTrades", lambda **named: [one | {"f": one["f"] - 3} for one in real(**named)]
    )
    pages = collect(Rest(Asker(exchange), "spot"), "trades", DAY, LATER_MS)
    assert pages[0].ids[0] == DAY * PER_DAY


def test_a_day_without_a_trade_has_no_pages(exchange):
    exchange.latest_ms = (DAY - 3) * DAY_MS
    asker = Asker(exchange)
    assert collect(Rest(asker, "spot"), "trades", DAY, LATER_MS) == []
    assert len(asker.weights) == 24  # an hour each


def test_trades_that_were_named_and_are_not_told_are_an_error(exchange, monkeypatch):
    monkeypatch.setattr(exchange, "historicalTrades", lambda **_: [])
    with pytest.raises(NetError, match="tells nothing of BTCUSDT trades from id"):
        collect(Rest(Asker(exchange), "spot"), "trades", DAY, LATER_MS)


def test_klines_are_asked_for_by_time_and_all_of_them_once(exchange):
    asker = Asker(exchange)
    pages = collect(Rest(asker, "spot"), "klines", DAY, DAY + 3, LATER_MS, interval="1m")
    opens = [one for page, _ in pages for one in page.ids.tolist()]
    assert opens == list(range(DAY * DAY_MS, (DAY + 3) * DAY_MS, 60_000))
    assert [next_ms for _, next_ms in pages][-1] == (DAY + 3) * DAY_MS
    assert len(pages) == -(-3 * 1440 // ROWS_MAX)
    assert asker.weights == [2] * len(pages)


def test_a_bar_that_is_not_closed_is_left_out_and_the_future_not_asked_for(exchange):
    asker = Asker(exchange)
    now_ms = DAY * DAY_MS + 10 * 60_000 + 1
    ((page, next_ms),) = collect(Rest(asker, "spot"), "klines", DAY, DAY + 1, now_ms, interval="1m")
    assert page.ids.tolist() == [DAY * DAY_MS + k * 60_000 for k in range(10)]
    assert next_ms == (DAY + 1) * DAY_MS
    ((page, _),) = collect(Rest(asker, "spot"), "klines", DAY, DAY + 1, now_ms - 2, interval="1m")
    assert len(page.ids) == 9
    assert len(asker.targets) == 2


def test_coin_m_s_klines_span_200_days_at_most(exchange):
    asker = Asker(exchange)
    pages = collect(Rest(asker, "coinm"), "klines", DAY - 500, DAY, LATER_MS, interval="1d")
    assert [len(page.ids) for page, _ in pages] == [200, 200, 100]
    assert asker.weights == [5] * 3
    assert asker.targets[0].startswith("/dapi/v1/klines?")


def test_klines_of_another_time_are_an_error(exchange, monkeypatch):
    real = exchange.klines
    monkeypatch.setattr(exchange, "klines", lambda **named: real(**named | {"startTime": "0"}))
    with pytest.raises(NetError, match="answered with BTCUSDT klines 1m of another time"):
        collect(Rest(Asker(exchange), "spot"), "klines", DAY, DAY + 1, LATER_MS, interval="1m")


def test_what_is_told_to_holders_of_keys_alone_is_refused():
    for market in ("usdm", "coinm"):
        with pytest.raises(UsageError, match=f"single trades of {market} to holders of keys alone"):
            check_kind(market, "trades", "")
    with pytest.raises(UsageError, match="--interval 1w is none of 1s, 1m"):
        check_kind("spot", "klines", "1w")
    for market in PLACES:
        check_kind(market, "klines", "1d")


def test_the_intervals_are_as_long_as_the_exchange_s():
    assert {name: ms for name, ms in INTERVALS.items() if 0 < ms <= DAY_MS} == INTERVALS_MS


def test_works_are_done_some_at_once_and_taken_in_their_order():
    running = most = 0

    async def work(k):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - k % 7):  # later ones are faster
            await asyncio.sleep(0)
        running -= 1
        return k

    async def main():
        return [one async for one in in_order([lambda k=k: work(k) for k in range(20)], lambda: 4)]

    assert asyncio.run(main()) == list(range(20))
    assert most == 4


def test_who_leaves_early_leaves_no_task():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def first():
        return Page(None, None, None)

    async def main():
        pages = in_order([first, work, work], lambda: 3)
        await anext(pages)
        await pages.aclose()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert len(ended) == 2
