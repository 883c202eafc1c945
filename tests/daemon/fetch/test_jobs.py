from __future__ import annotations

import asyncio
import threading

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from daemon.errors import NetError, TickdError
from daemon.fetch import jobs
from daemon.fetch.days import DAY_NS, Store, Wanted
from daemon.fetch.jobs import Done, Job, Maker, Pages, fetch_klines, fetch_trades, merge, plan, run_all
from daemon.fetch.pages import READ
from daemon.memory_disk import InlineWorker
from daemon.tape.dirty import Finding, Place
from daemon.tape.forms.base import Series
from daemon.tape.ticks import read_header, read_ticks
from kernels.columns import T_A, T_ID, T_SEQ
from tests.daemon.fetch.exchange import DAY_MS, kline, trade

DAY = 19_943
NOW_NS = (DAY + 100) * DAY_NS


def series(symbol):
    return Series(
        exchange="binance", market="spot", symbol=symbol, exchange_symbol=symbol.replace("/", ""),
        clock="exchange",
    )  # fmt: skip


BTC = Wanted(series("BTC/USDT"), "trades", "")
BARS = Wanted(series("BTC/USDT"), "klines", "1m")


class Clock:
    def now_ns(self):
        return NOW_NS


class Rest:
    """Pages as a test has them."""

    def __init__(self, *pages, error=None):
        self.pages = pages
        self.error = error
        self.times = 0

    async def trades(self, wanted, day, now_ms):
        self.times += 1
        for one in self.pages:
            yield READ["trades"](msgspec.json.encode(one))
        if self.error:
            raise self.error

    async def klines(self, wanted, first, end, until_ms):
        for rows, next_ms in self.pages:
            yield READ["klines"](msgspec.json.encode(rows)), next_ms
        if self.error:
            raise self.error


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, 0)


@pytest.fixture
def made(store):
    """A maker and what it has done."""
    done = Done()
    return Maker(store, done, lambda _: None, InlineWorker()), done


def rows_of(day, count, **changed):
    first = day * DAY_MS // 40_000
    return [trade(first + k) | changed for k in range(count)]


def test_days_of_trades_are_jobs_and_instruments_take_turns(store, made):
    eth = Wanted(series("ETH/USDT"), "trades", "")
    made[0].begin(BTC, DAY + 1, NOW_NS).commit()
    found, there = plan(store, [BTC, eth], range(DAY, DAY + 3), NOW_NS)
    assert there == 1
    assert found == [
        Job(BTC, DAY, DAY + 1), Job(eth, DAY, DAY + 1), Job(BTC, DAY + 2, DAY + 3),
        Job(eth, DAY + 1, DAY + 2), Job(eth, DAY + 2, DAY + 3),
    ]  # fmt: skip


def test_runs_of_days_are_jobs_of_klines(store, made):
    made[0].begin(BARS, DAY + 2, NOW_NS).commit()
    found, there = plan(store, [BARS], range(DAY, DAY + 60), NOW_NS)
    assert there == 1
    assert found == [Job(BARS, DAY, DAY + 2), Job(BARS, DAY + 3, DAY + 47), Job(BARS, DAY + 47, DAY + 60)]


def test_what_failed_first_is_raised_and_the_others_are_ended():
    ended = []

    async def work(job):
        if job == 3:
            raise NetError("no")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(job)

    with pytest.raises(NetError, match="no"):
        asyncio.run(run_all(iter(range(10)), work, 4))
    assert sorted(ended) == [0, 1, 2]


def test_all_jobs_are_done_so_many_at_once():
    running = most = 0
    did = []

    async def work(job):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        did.append(job)

    asyncio.run(run_all(iter(range(10)), work, 4))
    assert (sorted(did), most) == (list(range(10)), 4)


def test_findings_add_up_and_the_first_places_stay():
    places = [Place("a", k, "", "") for k in range(9)]
    into = {"gap": Finding(3, places[:3])}
    merge(into, {"gap": Finding(4, places[3:7]), "value": Finding(1, places[8:])})
    assert (into["gap"].count, into["gap"].first, into["value"].count) == (7, places[:5], 1)


def test_a_day_of_trades_comes_to_its_files_in_order(store, made):
    maker, done = made
    pages = [rows_of(DAY, 5)[:2], [], rows_of(DAY, 5)[2:]]
    asyncio.run(fetch_trades(Rest(*pages), maker, Clock(), Job(BTC, DAY, DAY + 1)))
    ticks = np.concatenate([one.ticks for one in read_ticks(store.folder(BTC, DAY))], axis=1)
    assert ticks[T_ID].tolist() == [row["id"] for row in rows_of(DAY, 5)]
    assert ticks[T_SEQ].tolist() == [0, 1, 2, 3, 4]
    assert (done.days, done.rows, done.findings) == (1, 5, {})


def test_gaps_and_impossible_values_are_told_with_their_day(made):
    maker, done = made
    pages = [rows_of(DAY, 9)[:2], rows_of(DAY, 9)[4:5] + rows_of(DAY, 9, price="-1")[5:6]]
    asyncio.run(fetch_trades(Rest(*pages), maker, Clock(), Job(BTC, DAY, DAY + 1)))
    found = done.findings["BTCUSDT"]
    assert {kind: one.count for kind, one in found.items()} == {"gap": 1, "value": 1}
    assert found["gap"].first[0].file == "BTCUSDT trades of 2024-08-08"
    assert found["gap"].first[0].row == 3


def test_finer_numbers_are_counted_exactly_and_told_of_once(store, made):
    maker, done = made
    rows = rows_of(DAY, 4)
    rows[2]["price"] = "100.1234567"
    rows[3]["qty"] = "nothing"
    asyncio.run(fetch_trades(Rest(rows[:2], rows[2:]), maker, Clock(), Job(BTC, DAY, DAY + 1)))
    folder = store.folder(BTC, DAY)
    ticks = np.concatenate([one.ticks for one in read_ticks(folder)], axis=1)
    assert read_header(folder).tick == "0.0000001"
    assert ticks[T_A].tolist() == [int(float(row["price"]) * 10**7 + 0.5) for row in rows[:3]]
    assert done.findings["BTCUSDT"]["value"].count == 1


def test_what_is_read_anew_is_told_of_once(made):
    rows = rows_of(DAY, 100)  # more than are looked at before
    rows[80]["price"], rows[90]["price"] = "100.1234567", "nothing"
    asyncio.run(fetch_trades(Rest(rows), made[0], Clock(), Job(BTC, DAY, DAY + 1)))
    assert made[1].findings["BTCUSDT"]["value"].count == 1
    assert made[1].rows == 99


def test_a_day_whose_rows_are_written_begins_anew_with_finer_numbers(store, made, monkeypatch):
    from daemon.tape import partitions

    monkeypatch.setattr(partitions, "GROUP_ROWS", 2)
    monkeypatch.setattr(jobs, "_ROWS_IDLE", 2)
    rows = rows_of(DAY, 5)
    rows[4]["price"] = "100.1234567"
    rest = Rest(rows[:4], rows[4:])
    asyncio.run(fetch_trades(rest, made[0], Clock(), Job(BTC, DAY, DAY + 1)))
    assert rest.times == 2
    assert made[1].rows == 5
    ticks = np.concatenate([one.ticks for one in read_ticks(store.folder(BTC, DAY))], axis=1)
    assert ticks[T_A, 0] == int(float(rows[0]["price"]) * 10**7 + 0.5)
    assert not list(store.root.rglob("*.tmp"))


def test_a_failure_within_a_day_leaves_nothing_of_it(store, made):
    rest = Rest(rows_of(DAY, 5), error=NetError("no"))
    with pytest.raises(NetError):
        asyncio.run(fetch_trades(rest, made[0], Clock(), Job(BTC, DAY, DAY + 1)))
    assert not list(store.root.iterdir())


def minutes(first, count):
    return [kline("BTCUSDT", DAY * DAY_MS + (first + k) * 60_000, 60_000) for k in range(count)]


def test_days_of_klines_are_whole_one_after_the_other(store, made):
    maker, done = made
    begin_ms = DAY * DAY_MS
    pages = [
        (minutes(0, 1000), begin_ms + 1000 * 60_000),
        (minutes(1000, 1000), begin_ms + 2000 * 60_000),
        ([], begin_ms + 3 * DAY_MS),
    ]
    with pytest.raises(NetError):
        asyncio.run(
            fetch_klines(Rest(*pages[:2], error=NetError("no")), maker, Clock(), Job(BARS, DAY, DAY + 3))
        )
    assert [store.has(BARS, day, NOW_NS) for day in range(DAY, DAY + 3)] == [True, False, False]
    asyncio.run(fetch_klines(Rest(*pages), maker, Clock(), Job(BARS, DAY, DAY + 3)))
    counts = [pq.read_metadata(one).num_rows for one in sorted(store.root.rglob("*.parquet"))]
    assert counts == [1440, 560, 0]
    assert done.days == 4
    assert not list(store.root.rglob("*.tmp"))


def test_a_day_of_klines_that_cannot_be_written_leaves_nothing(store, made, monkeypatch):
    from daemon.tape import partitions

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(partitions.TableFile, "publish", full)
    pages = [(minutes(0, 1440), (DAY + 1) * DAY_MS)]
    with pytest.raises(TickdError, match="No space left on device"):
        asyncio.run(fetch_klines(Rest(*pages), made[0], Clock(), Job(BARS, DAY, DAY + 1)))
    assert not list(store.root.iterdir())


def test_pages_that_end_early_are_an_error(store, made):
    pages = [(minutes(0, 10), DAY * DAY_MS + 600_000)]
    with pytest.raises(jobs.FileFormatError, match="the pages of BTCUSDT klines 1m end before 2024-08-08"):
        asyncio.run(fetch_klines(Rest(*pages), made[0], Clock(), Job(BARS, DAY, DAY + 1)))
    assert not list(store.root.iterdir())


def test_what_is_absent_is_counted(made):
    maker, done = made
    maker.absent(BTC)
    assert (done.absent, done.days) == (1, 0)


def test_an_empty_page_changes_nothing(made):
    pages = Pages(made[0].begin(BTC, DAY, NOW_NS))
    assert not pages.add(READ["trades"](b"[]"), idle=True)
    pages.flush()
    assert pages.day.rows == 0


def test_a_thread_is_waited_for_whose_caller_is_cancelled(store):
    from daemon.disk import ThreadWorker

    worker, began, may_end, ended = ThreadWorker(), threading.Event(), threading.Event(), []

    def work():
        began.set()
        may_end.wait(10)
        ended.append(1)

    async def main():
        maker = Maker(store, Done(), lambda _: None, worker)
        task = asyncio.ensure_future(maker.aside(work))
        await asyncio.to_thread(began.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [1]

    asyncio.run(main())
    worker.close()


@pytest.mark.parametrize(
    ("text", "places"),
    [
        *(("1", 0), ("1.50", 1), ("0.00000100", 6), ("1.", 0), ("1e-5", 0), ("1.5e-5", 0), ("x.y", 0)),
        *(("", 0), ("1." + "1" * 18, 18), ("1." + "1" * 19, 0)),
    ],
)
def test_decimals_are_counted_of_what_is_a_number(text, places):
    assert jobs._places(text) == places


def test_rows_are_read_sooner_where_nothing_else_is_done(made):
    pages = Pages(made[0].begin(BTC, DAY, NOW_NS))
    page = READ["trades"](msgspec.json.encode(rows_of(DAY, 600)))
    assert not pages.add(page, idle=False)
    assert pages.add(page.part(0, 0), idle=True)
    pages.flush()
    assert pages.day.rows == 600


def test_the_first_rows_tell_by_what_to_count(made, monkeypatch):
    reads = []
    real = jobs.Columns.read
    monkeypatch.setattr(jobs.Columns, "read", lambda *args: reads.append(1) or real(*args))
    asyncio.run(fetch_trades(Rest(rows_of(DAY, 5)), made[0], Clock(), Job(BTC, DAY, DAY + 1)))
    pages = [(minutes(0, 1440), (DAY + 1) * DAY_MS)]
    asyncio.run(fetch_klines(Rest(*pages), made[0], Clock(), Job(BARS, DAY, DAY + 1)))
    assert len(reads) == 2  # once each, though all their numbers have decimals
