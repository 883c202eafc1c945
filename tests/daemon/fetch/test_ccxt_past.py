from __future__ import annotations

import asyncio
from random import Random

import pyarrow.parquet as pq
import pytest
from ccxt.base import errors as ccxt

from daemon.errors import EXIT_DONE, EXIT_USAGE, NetError, UsageError, VenueError
from daemon.fetch.asking import Asker
from daemon.fetch.ccxt_past import CcxtPast
from daemon.fetch.days import Wanted
from daemon.seams import Seams
from daemon.tape.forms.base import Series
from tests.daemon.fetch.exchange import DAY_MS
from tests.daemon.fetch.test_asking import Hurry

DAY = 19_943
BEGIN_MS = DAY * DAY_MS
LATER_MS = (DAY + 100) * DAY_MS
PAIR = "BTC/USDT"


def wanted(kind, interval="", symbol=PAIR):
    series = Series(
        exchange="kraken", market="spot", symbol=symbol, exchange_symbol="BTCUSDT", clock="exchange"
    )
    return Wanted(series, kind, interval)


class Client:
    """An exchange as ccxt has it: so many rows an answer, whatever is asked for."""

    id = "kraken"
    still_s = 0.0

    def __init__(self, times=(), rows=3):
        self.times = list(times)
        self.rows = rows
        self.asked = []
        self.wrong = []
        self.latest_alone = False
        self.window_ms = self.before_ms = 10**15
        self.markets = {PAIR: {"spot": True, "id": "XBTUSDT"}, "BTC/USDT:USDT": {"spot": False, "id": "P"}}
        self.has = {"fetchOHLCV": True, "fetchTrades": "emulated"}
        self.timeframes = {"1m": 1, "1h": 60, "1w": 10_080}

    async def told(self, since, limit):
        self.asked.append(since)
        if self.wrong:
            raise self.wrong.pop(0)
        rows = min(self.rows, limit)
        if self.latest_alone:
            return list(enumerate(self.times))[-rows:]
        until = since + self.window_ms if since >= self.before_ms else 10**15
        return [one for one in enumerate(self.times) if since <= one[1] < until][:rows]

    async def fetch_trades(self, symbol, since, limit):
        return [
            {"id": f"n{k}", "timestamp": at, "price": f"{100 + k}.5", "amount": "0.25", "side": "sell"}
            for k, at in await self.told(since, limit)
        ]

    async def fetch_ohlcv(self, symbol, interval, since, limit):
        return [[at, "1.5", "2", "1", "1.75", f"{k}.25"] for k, at in await self.told(since, limit)]


def collect(client, what, *args, interval="1m"):
    async def main():
        clock = Hurry()
        asker = Asker(Seams(clock, clock, None, None, None, Random(1)), "x", at_once=2, weight_1m=0)
        past = CcxtPast(client, asker)
        if what == "klines":
            return [one async for one in past.klines(wanted("klines", interval), *args)]
        return [
            row for page in [one async for one in past.trades(wanted("trades"), *args)] for row in page.rows
        ]

    return asyncio.run(main())


def test_all_trades_of_a_day_come_once_though_many_are_of_one_time():
    times = [BEGIN_MS - 1, *(BEGIN_MS + k // 2 for k in range(20)), BEGIN_MS + DAY_MS]
    rows = collect(Client(times), "trades", DAY, LATER_MS)
    assert [one.time for one in rows] == times[1:-1]
    assert [one.price for one in rows] == [f"{101 + k}.5" for k in range(20)]
    assert all(one.maker for one in rows)
    assert len({one.id for one in rows}) == 20


def test_trades_of_a_day_that_goes_on_end_with_the_latest():
    times = [BEGIN_MS + k for k in range(-1, 7)]
    assert len(collect(Client(times), "trades", DAY, BEGIN_MS + 100)) == 7
    assert collect(Client([BEGIN_MS - 1]), "trades", DAY, LATER_MS) == []


def test_hours_without_trades_are_passed_of_who_looks_an_hour_ahead():
    times = [BEGIN_MS - 1, BEGIN_MS + 3 * 3_600_000 + 5, BEGIN_MS + 9 * 3_600_000 + 7]
    client = Client(times)
    client.window_ms = 3_600_000
    client.before_ms = BEGIN_MS - 1
    assert [one.time for one in collect(client, "trades", DAY, LATER_MS)] == times[1:]


def test_who_tells_the_latest_trades_alone_is_refused():
    client = Client([BEGIN_MS + k for k in range(9)])
    client.latest_alone = True
    with pytest.raises(VenueError, match="tells of BTCUSDT trades only what is later than the begin of 2024"):
        collect(client, "trades", DAY, BEGIN_MS + 100)


def test_more_trades_of_one_moment_than_an_answer_has_are_refused():
    with pytest.raises(VenueError, match="kraken has more trades of one moment than it tells at once"):
        collect(Client([BEGIN_MS - 1] + [BEGIN_MS] * 200, rows=100), "trades", DAY, LATER_MS)
    assert len(collect(Client([BEGIN_MS - 1] + [BEGIN_MS] * 100, rows=99), "trades", DAY, LATER_MS)) == 99


@pytest.mark.parametrize("what", ["trades", "klines"])
def test_a_time_of_which_it_knows_nothing_any_more_is_refused(what):
    args = (DAY, LATER_MS) if what == "trades" else (DAY, DAY + 1, LATER_MS)
    with pytest.raises(VenueError, match=r"only what is later than the begin of 2024-08-08"):
        collect(Client([BEGIN_MS + 3 * DAY_MS]), what, *args)


def test_klines_are_paged_by_their_times():
    times = [BEGIN_MS + k * 3_600_000 for k in range(30)]
    pages = collect(Client(times, rows=5), "klines", DAY, DAY + 1, LATER_MS, interval="1h")
    rows = [row for page, _ in pages for row in page.rows]
    assert [row[0] for row in rows] == times[:24]
    assert rows[1] == (times[1], "1.5", "2", "1", "1.75", "1.25", times[2] - 1, "0", 0, "0", "0", "0")
    assert pages[-1][1] == BEGIN_MS + DAY_MS
    assert pages[0][0].times_ms.tolist() == times[1:6]


def test_a_bar_that_is_not_closed_is_left_out():
    times = [BEGIN_MS + k * 3_600_000 for k in range(30)]
    pages = collect(Client(times, rows=9), "klines", DAY, DAY + 1, times[5] + 1, interval="1h")
    assert [row[0] for page, _ in pages for row in page.rows] == times[:5]
    assert pages[-1][1] == BEGIN_MS + DAY_MS


def test_a_stretch_without_bars_is_passed():
    times = [BEGIN_MS + 20 * 3_600_000]
    client = Client([BEGIN_MS - 60_000, *times])
    pages = collect(client, "klines", DAY, DAY + 2, LATER_MS, interval="1m")
    assert [row[0] for page, _ in pages for row in page.rows] == times
    assert len(client.asked) < 25


def test_what_may_pass_is_asked_for_again_and_the_rest_is_told():
    client = Client([BEGIN_MS - 1, BEGIN_MS])
    client.wrong = [ccxt.RequestTimeout("slow"), ccxt.RateLimitExceeded("many"), KeyError("odd")]
    assert len(collect(client, "trades", DAY, LATER_MS)) == 1
    client.wrong = [ccxt.RequestTimeout("slow")] * 20
    with pytest.raises(
        NetError, match=r"kraken did not tell BTCUSDT trades .RequestTimeout: slow.; it was asked 6"
    ):
        collect(client, "trades", DAY, LATER_MS)
    client.wrong = [ccxt.BadSymbol("none")]
    with pytest.raises(VenueError, match=r"kraken refuses BTCUSDT trades .BadSymbol: none"):
        collect(client, "trades", DAY, LATER_MS)
    client.wrong, client.still_s = [], 301.0
    with pytest.raises(VenueError, match="kraken has banned this address for 301 s"):
        collect(client, "trades", DAY, LATER_MS)


def test_trades_without_sides_are_refused(monkeypatch):
    client = Client([BEGIN_MS])

    async def none(*_):
        return [{"id": "1", "timestamp": BEGIN_MS, "price": "1", "amount": "1", "side": None}]

    monkeypatch.setattr(client, "fetch_trades", none)
    with pytest.raises(VenueError, match="without their sides"):
        collect(client, "trades", DAY, LATER_MS)


def test_symbols_and_intervals_are_the_exchange_s():
    client = Client()
    past = CcxtPast(client, None)
    (one,) = past.known([wanted("klines", "1h")])
    assert one.series.exchange_symbol == "XBTUSDT"
    for asked, sentence in (
        (wanted("trades", symbol="BTC/USDC"), "kraken has no spot market BTC/USDC; did you mean"),
        (wanted("trades", symbol="BTC/USDT:USDT"), "kraken has no spot market"),
        (wanted("klines", "5m"), r"kraken has no klines of 5m .1m, 1h are"),
    ):
        with pytest.raises(UsageError, match=sentence):
            past.known([asked])
    client.has["fetchTrades"] = False
    with pytest.raises(UsageError, match="kraken tells no trades of the past through ccxt"):
        past.known([wanted("trades")])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--exchange", "ccxt:krakn"], "ccxt has no exchange 'krakn'; did you mean 'kraken'?"),
        (["--exchange", "ccxt:kraken", "--what", "aggTrades"], "of ccxt:kraken klines and trades of Spot"),
        (["--exchange", "ccxt:kraken", "--market", "usdm"], "of ccxt:kraken klines and trades of Spot"),
        (["--exchange", "ccxt:kraken", "--source", "archive"], "and no archive"),
        (["--exchange", "ccxt:kraken", "--interval", "7m"], "--interval 7m is none of 1s"),
    ],
)
def test_what_cannot_be_is_refused(fetch, words, sentence):
    code, _, said = fetch(*words)
    assert code == EXIT_USAGE
    assert sentence in said
    assert not fetch.out.exists()


def test_without_the_package_it_is_said(fetch, monkeypatch):
    from daemon.fetch import verb

    monkeypatch.setattr(verb, "find_spec", lambda _: None)
    code, _, said = fetch("--exchange", "ccxt:kraken")
    assert code == EXIT_USAGE
    assert "needs the package ccxt; install it: scripts/setup ccxt" in said


def test_ccxt_s_own_binance_tells_what_ours_does(fetch):
    def read(table):
        folder = fetch.out / "exchange=binance" / "symbol=BTC-USDT"
        files = sorted(folder.rglob(f"{table}-*.parquet"))
        return [pq.read_table(one, partitioning=None).to_pydict() for one in files]

    fetch.exchange.latest_ms = (DAY + 5) * DAY_MS
    ours, theirs = fetch.out, fetch.out.with_name("ccxt")
    for what, table in (("klines", "bars"), ("aggTrades", "ticks")):
        fetch.out = ours
        assert fetch("--what", what)[0] == EXIT_DONE
        mine = read(table)
        fetch.out = theirs
        asked = "trades" if what == "aggTrades" else what  # what ccxt takes for them
        code, told, said = fetch("--what", asked, "--exchange", "ccxt:binance")
        assert (code, said) == (EXIT_DONE, "")
        assert told["findings"] == {}
        names = ("wire_ns", "trade_id", "side") if table == "ticks" else ("open_ns", "end_ns")
        for name in names:
            assert [one[name] for one in read(table)] == [one[name] for one in mine]
        for name in ("price", "size") if table == "ticks" else ("open", "high", "low", "close", "volume"):
            for one, other in zip(read(table), mine, strict=True):
                ratio = one[name][0] / other[name][0]  # each counts by steps of its own
                assert [value / ratio for value in one[name]] == pytest.approx(other[name])
    assert fetch("--what", "trades", "--exchange", "ccxt:binance")[1]["there"] == 2
