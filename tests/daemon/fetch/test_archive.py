from __future__ import annotations

import pytest
from aiohttp import web

from daemon.errors import EXIT_DONE, EXIT_FAILED
from daemon.fetch.archive import target_of
from daemon.fetch.days import Wanted
from daemon.tape.columns import numbers
from daemon.tape.forms.base import Series
from daemon.tape.ticks import read_ticks
from kernels.columns import T_ID
from tests.daemon.fetch.exchange import DAY_MS, STEP_MS, kline, trade
from tests.daemon.fetch.test_verb import cut

FOLDER = "exchange=binance/symbol=BTC-USDT"
FIRST = 19943  # 2024-08-08


def wanted(market, symbol, kind, interval=""):
    series = Series(exchange="binance", market=market, symbol="", exchange_symbol=symbol, clock="exchange")
    return Wanted(series, kind, interval)


def trades_of(day):
    ids = range(day * DAY_MS // STEP_MS, (day + 1) * DAY_MS // STEP_MS)
    return [list(trade(one).values()) for one in ids]


def klines_of(day, unit=1):
    rows = [kline("BTCUSDT", day * DAY_MS + k * 60_000, 60_000) for k in range(1440)]
    return [[row[0] * unit, *row[1:6], (row[6] + 1) * unit - 1, *row[7:]] for row in rows]


@pytest.fixture
def archive(fetch):
    """The command, and two days of trades."""
    for k in range(2):
        path = f"/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-0{8 + k}.zip"
        fetch.exchange.archive(path, trades_of(FIRST + k))
    return lambda *words, **named: fetch("--source", "archive", "--what", "trades", *words, **named)


def test_a_day_has_its_place_in_each_market():
    assert target_of(wanted("spot", "BTCUSDT", "trades"), FIRST) == (
        "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip"
    )
    assert target_of(wanted("usdm", "BTCUSDT", "klines", "1m"), FIRST) == (
        "/data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-08-08.zip"
    )
    assert target_of(wanted("coinm", "BTCUSD_PERP", "aggTrades"), FIRST) == (
        "/data/futures/cm/daily/aggTrades/BTCUSD_PERP/BTCUSD_PERP-aggTrades-2024-08-08.zip"
    )


def test_zips_become_the_ticks_that_rest_tells_too(fetch, archive):
    code, told, said = archive()
    assert (code, said) == (EXIT_DONE, "")
    assert (told["days"], told["rows"], told["findings"]) == (2, 4320, {})
    assert fetch.files == [f"{FOLDER}/date=2024-08-0{day}/ticks-00000.parquet" for day in (8, 9)]
    blocks = list(read_ticks(fetch.out / FOLDER))
    ids = [one for block in blocks for one in block.ticks[T_ID].tolist()]
    assert ids == [row[0] for k in range(2) for row in trades_of(FIRST + k)]
    assert fetch("--what", "trades")[1]["there"] == 2  # it is the same data
    fetch.out = fetch.out.with_name("other")
    assert fetch("--what", "trades")[0] == EXIT_DONE
    for mine, other in zip(blocks, read_ticks(fetch.out / FOLDER), strict=True):
        assert mine.ticks[1:-1].tolist() == other.ticks[1:-1].tolist()


def test_klines_in_microseconds_are_the_same_bars(fetch):
    import pyarrow.parquet as pq

    path = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-08-08.zip"
    fetch.exchange.archive(path, klines_of(FIRST, 1000))
    assert fetch("--source", "archive", until="2024-08-09")[0] == EXIT_DONE
    table = pq.read_table(fetch.out / FOLDER / "date=2024-08-08" / "bars-00000.parquet", partitioning=None)
    rows = klines_of(FIRST)
    opens = numbers(table.column("open_ns").combine_chunks())
    assert opens.tolist() == [row[0] * 1_000_000 for row in rows]
    closes = numbers(table.column("close").combine_chunks())
    assert (closes / 100).tolist() == [float(row[4]) for row in rows]


def test_days_that_it_does_not_have_are_told(fetch, archive):
    code, told, _ = archive(until="2024-08-11")
    assert (code, told["days"], told["absent"]) == (EXIT_DONE, 2, 1)
    code, _, said = archive(first="2024-08-11", until="2024-08-13")
    assert code == EXIT_FAILED
    assert f"{fetch.url} has none of these days" in said


def test_a_wrong_checksum_is_refused_and_the_days_before_are_kept(fetch, archive):
    path = "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-09.zip"
    fetch.exchange.archive(path, trades_of(FIRST + 1), checksum="ab" * 32)
    code, _, said = archive("--at-once", 1)
    assert code == EXIT_FAILED
    assert "and its .CHECKSUM says abababababab..; it was asked 6 times; 1 days were fetched before" in said
    assert said.count("\n") == 1
    assert fetch.files == [f"{FOLDER}/date=2024-08-08/ticks-00000.parquet"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (lambda body: body[: len(body) // 2], "is a truncated or damaged zip"),
        (lambda _: b"<html>", "is no file of the form binance"),
        (lambda _: b"", "is empty"),
    ],
)
def test_a_zip_that_is_none_is_refused_though_its_checksum_holds(fetch, archive, body, sentence):
    import hashlib

    path = "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip"
    zips = fetch.exchange.zips
    zips[path] = body(zips[path])
    zips[f"{path}.CHECKSUM"] = hashlib.sha256(zips[path]).hexdigest().encode()
    code, _, said = archive(until="2024-08-09")
    assert code == EXIT_FAILED
    assert sentence in said
    assert not fetch.out.exists()


def test_a_download_that_is_cut_begins_anew(fetch, archive):
    fetch.exchange.wrong.extend([None, cut, None, web.Response(status=503)])
    code, told, _ = archive("--at-once", 1)
    assert (code, told["days"], told["asked"]["again"]) == (EXIT_DONE, 2, 2)


def test_a_checksum_that_is_none_is_refused(fetch, archive):
    path = "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip"
    fetch.exchange.zips[f"{path}.CHECKSUM"] = b"<html>"
    code, _, said = archive(until="2024-08-09")
    assert code == EXIT_FAILED
    assert "does not begin with a SHA-256" in said


def test_rows_of_another_day_are_refused(fetch, archive):
    path = "/data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2024-08-08.zip"
    fetch.exchange.archive(path, trades_of(FIRST) + trades_of(FIRST + 1)[:1])
    code, _, said = archive(until="2024-08-09")
    assert code == EXIT_FAILED
    assert "BTCUSDT trades of 2024-08-08 has rows of another day" in said
    assert not fetch.out.exists()
