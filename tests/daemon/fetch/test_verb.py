from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from aiohttp import web

from daemon.cli import main
from daemon.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE
from daemon.tape.ticks import read_ticks
from kernels.columns import T_ID
from tests.daemon.fetch.exchange import kline

FOLDER = "exchange=binance/symbol=BTC-USDT"
BARS = [f"{FOLDER}/date=2024-08-0{day}/bars-00000.parquet" for day in (8, 9)]


async def cut(request):
    """Promise more than is sent."""
    answer = web.StreamResponse(headers={"Content-Length": "100000"})
    await answer.prepare(request)
    await answer.write(b'[[1723075200000,"5')
    request.transport.close()
    return answer


def test_days_appear_and_are_not_asked_for_again(fetch):
    code, told, said = fetch()
    assert (code, said) == (EXIT_DONE, "")
    assert fetch.files == BARS
    assert {k: told[k] for k in ("days", "there", "absent", "rows", "first", "last", "findings")} == {
        "days": 2, "there": 0, "absent": 0, "rows": 2 * 1440, "first": "2024-08-08", "last": "2024-08-09",
        "findings": {},
    }  # fmt: skip
    assert told["asked"]["requests"] == len(fetch.exchange.asked) == 3
    code, told, _ = fetch()
    assert (code, told["days"], told["there"]) == (EXIT_DONE, 0, 2)
    assert len(fetch.exchange.asked) == 3
    code, told, _ = fetch(until="2024-08-11")
    assert (told["days"], told["there"]) == (1, 2)
    begins = [int(one.partition("startTime=")[2].partition("&")[0]) for one in fetch.exchange.asked]
    assert sorted(begins[3:]) == [1_723_248_000_000, 1_723_308_000_000]  # of the day that lacked


def test_many_symbols_are_asked_for_at_once_and_no_more_than_said(fetch):
    fetch.exchange.delay_s = 0.01
    code, told, _ = fetch("--at-once", 4, symbols=("BTC/USDT", "ETH/USDT", "SOLUSDT"), until="2024-08-13")
    assert code == EXIT_DONE
    assert fetch.exchange.most_at_once == 4
    assert told["symbols"] == ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
    assert told["rows"] == 3 * 5 * 1440
    assert len(fetch.files) == 15


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: web.Response(text="<html>busy</html>", content_type="text/html"), "it begins '<html>busy"),
        (lambda: web.Response(status=500), "answered HTTP 500 to BTCUSDT klines 1m"),
        (lambda: cut, "failed: "),
        (lambda: web.json_response([kline("BTCUSDT", 0, 60_000)]), "of another time"),
    ],
)
def test_what_goes_wrong_to_the_end_is_one_sentence_and_what_was_whole_is_kept(fetch, wrong, sentence):
    # one day is two pages, and of the two days the third page is bad whenever it is asked for
    fetch.exchange.wrong.extend([None, None] + [wrong() for _ in range(20)])
    code, told, said = fetch("--at-once", 1)
    assert (code, told) == (EXIT_FAILED, None)
    assert said.count("\n") == 1
    assert said.startswith("tickd: ")
    assert sentence in said
    assert said.endswith("; 1 days were fetched before and are kept: run it again to go on\n")
    assert fetch.files == BARS[:1]
    fetch.exchange.wrong.clear()
    code, told, _ = fetch()
    assert (code, told["days"], told["there"]) == (EXIT_DONE, 1, 1)
    assert fetch.files == BARS


def test_what_passes_is_only_counted(fetch):
    fetch.exchange.wrong.extend([web.Response(status=502), cut, web.Response(text="<html>"), None])
    code, told, said = fetch("--at-once", 1)
    assert (code, said) == (EXIT_DONE, "")
    assert told["asked"] | {"bytes": 0} == {
        "requests": 6, "again": 3, "limited": 0, "bytes": 0, "waited_s": 0.0
    }  # fmt: skip


def test_a_ban_is_told_and_nothing_is_asked_any_more(fetch):
    fetch.exchange.wrong.extend([None, web.Response(status=418, headers={"Retry-After": "120"})])
    code, _, said = fetch("--at-once", 1, symbols=("BTC/USDT", "ETH/USDT"))
    assert code == EXIT_FAILED
    assert "has banned this address for 120 s (HTTP 418)" in said
    assert len(fetch.exchange.asked) == 2
    assert not fetch.out.exists()


def test_a_limit_is_waited_for(fetch):
    fetch.exchange.wrong.extend([web.Response(status=429, headers={"Retry-After": "1"})])
    code, told, _ = fetch("--at-once", 1)
    assert code == EXIT_DONE
    assert told["asked"]["limited"] == 1
    assert told["asked"]["waited_s"] >= 1.0


def test_an_unknown_symbol_is_named(fetch):
    code, _, said = fetch(symbols=("NONE/USDT",))
    assert code == EXIT_FAILED
    assert "refuses NONEUSDT klines 1m: Invalid symbol. (-1121)" in said
    assert not fetch.out.exists()


@pytest.mark.parametrize(
    ("words", "symbols", "sentence"),
    [
        (["--exchange", "nowhere"], ("BTC/USDT",), "--exchange nowhere is none that can be fetched from"),
        (["--interval", "7m"], ("BTC/USDT",), "--interval 7m is none of 1s, 1m"),
        (["--what", "trades", "--interval", "1m"], ("BTC/USDT",), "--interval is of klines"),
        (["--what", "trades", "--market", "usdm"], ("BTC/USDT",), "to holders of keys alone"),
        (["--until", "2024-08-08"], ("BTC/USDT",), "--until is not after --from"),
        (["--until", "2999-01-01"], ("BTC/USDT",), "days that have not begun cannot be fetched"),
        ([], ("???",), "symbol '???' is not understood"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(fetch, words, symbols, sentence):
    code, _, said = fetch(*words, symbols=symbols)
    assert code == EXIT_USAGE
    assert sentence in said
    assert not fetch.exchange.asked
    assert not fetch.out.exists()


def test_days_of_other_data_are_not_overwritten(fetch):
    assert fetch("--interval", "1h")[0] == EXIT_DONE
    code, _, said = fetch()
    assert code == EXIT_USAGE
    assert "holds klines 1h, which is not overwritten: name another --out" in said
    assert fetch("--what", "trades")[0] == EXIT_DONE  # these have files of their own
    code, _, said = fetch("--what", "aggTrades")
    assert code == EXIT_USAGE
    assert "holds trades, which is not overwritten" in said


def test_trades_become_the_ticks_that_a_backtest_reads(fetch, capsys):
    assert fetch("--what", "trades")[0] == EXIT_DONE
    ids = [one for block in read_ticks(fetch.out / FOLDER) for one in block.ticks[T_ID].tolist()]
    first = 19943 * 2160  # days since 1970, trades of a day
    assert ids == list(range(first, first + 2 * 2160))
    assert main(["backtest", str(fetch.out / FOLDER), "--json"]) == EXIT_DONE
    assert f'"events":{2 * 2160},' in capsys.readouterr().out


def test_people_see_a_table(fetch, capsys):
    words = ["fetch", "BTC/USDT", "--from", "2024-08-08", "--until", "2024-08-09"]
    assert main([*words, "--out", str(fetch.out), "--url", fetch.url]) == EXIT_DONE
    told = capsys.readouterr()
    assert "2024-08-08 to 2024-08-08: 1 fetched, 0 were there" in told.out
    assert told.err == ""


def test_two_at_once_on_one_folder_are_refused(fetch):
    from daemon.disk import RealDisk

    disk = RealDisk()
    disk.lock(fetch.out / ".fetch.lock")
    try:
        code, _, said = fetch()
        assert code == EXIT_FAILED
        assert f"another tickd fetch writes to {fetch.out}" in said
    finally:
        disk.release()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, EXIT_INTERRUPTED), (signal.SIGTERM, EXIT_INTERRUPTED), (signal.SIGKILL, -9)],
)
def test_what_is_ended_goes_on_where_it_was(fetch, number, code):
    fetch.exchange.delay_s = 0.05
    words = [
        "BTC/USDT",
        "--what",
        "trades",
        "--from",
        "2024-08-01",
        "--until",
        "2024-08-09",
        "--at-once",
        "1",
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "fetch", *words, "--out", fetch.out, "--url", fetch.url],
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while len(list(fetch.out.rglob("*.parquet"))) < 2:
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == code
    assert said == (b"" if code < 0 else b"tickd: interrupted\n")
    whole = [one for one in fetch.files if one.endswith("ticks-00000.parquet") and "/." not in one]
    assert 2 <= len(whole) < 8
    assert code < 0 or whole == fetch.files
    fetch.exchange.delay_s = 0.0
    before = len(fetch.exchange.asked)
    told = fetch("--what", "trades", first="2024-08-01", until="2024-08-09")[1]
    assert (told["days"], told["there"]) == (8 - len(whole), len(whole))
    assert len(fetch.exchange.asked) - before == 5 * told["days"]
    assert len(fetch.files) == 8
