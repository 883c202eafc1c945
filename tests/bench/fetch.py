"""How near `tickd fetch` comes to what waiting alone takes, and what memory millions of rows take.

    .venv/bin/python -m tests.bench.fetch [--rounds 5] [--rows 144]
    .venv/bin/python -m tests.bench.fetch --trades 10000000

The first asks a server that waits 50 ms before each answer for 5 symbols' klines in 50 requests, n at once,
to files on the disk; ceil(50 / n) times 50 ms is what cannot be less. The second fetches so many trades of
one day. The server is a process of its own on loopback.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import uvloop
from aiohttp import web
from rich.console import Console

from daemon import kernel_cache
from daemon.clock import SystemClock
from daemon.faces.convert_summary import Advance
from daemon.net import RealNet
from daemon.options import FetchOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.fetch.verb import Fetched

SYMBOLS: Final = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT", "XRP/USDT")
PAGES: Final = 10
WAIT_S: Final = 0.05
DAY: Final = 19_943
_DAY_MS: Final = 86_400_000
_MINUTES: Final = 1440


def least_s(at_once: int) -> float:
    """Return what the waiting takes alone."""
    return math.ceil(len(SYMBOLS) * PAGES / at_once) * WAIT_S


def allowed_s(at_once: int) -> float:
    """Return what is wanted: 15 % more than that, and a millisecond a request."""
    return least_s(at_once) * 1.15 + 0.001 * len(SYMBOLS) * PAGES


def app(wait_s: float, trades: int) -> web.Application:
    """Return the server: klines of any minute, and so many trades on one day."""

    @cache
    def bars(first: int, last: int) -> str:
        row = (
            '[%d,"59000.10000000","59010.25000000","58990.00000000","59001.50000000","12.34500000",%d,'
            '"728123.45000000",321,"6.17000000","364061.72000000","0"]'
        )
        return ",".join(row % (one, one + 59_999) for one in range(first, last + 1, 60_000))

    async def klines(request: web.Request) -> web.Response:
        await asyncio.sleep(wait_s)
        rows = bars(int(request.query["startTime"]), int(request.query["endTime"]))
        return web.Response(text=f"[{rows}]", content_type="application/json")

    def time_ms(number: int) -> int:
        return DAY * _DAY_MS + number * _DAY_MS // trades

    async def single(request: web.Request) -> web.Response:
        first = int(request.query["fromId"])
        row = '{"id":%d,"price":"%d.10000000","qty":"0.%03d00000","time":%d,"isBuyerMaker":%s}'
        rows = ",".join(
            row % (k, 59_000 + k * 7 % 101, k % 997 + 1, time_ms(k), "true" if k % 3 else "false")
            for k in range(first, first + int(request.query["limit"]))
        )
        return web.Response(text=f"[{rows}]", content_type="application/json")

    async def aggregates(request: web.Request) -> web.Response:
        begin = int(request.query["startTime"])
        k = 0 if begin <= DAY * _DAY_MS else trades
        row = {"a": k, "p": "1", "q": "1", "f": k, "l": k, "T": begin, "m": True}
        return web.json_response([row])

    served = web.Application()
    for path, handler in (("klines", klines), ("historicalTrades", single), ("aggTrades", aggregates)):
        served.router.add_get(f"/api/v3/{path}", handler)
    return served


async def serve(wait_s: float, trades: int) -> None:
    """Serve until standard input closes, having told the port."""
    runner = web.AppRunner(app(wait_s, trades), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


@contextmanager
def server(wait_s: float = WAIT_S, trades: int = 1) -> Iterator[str]:
    """Run the server in a process of its own; gives its URL."""
    command = [sys.executable, "-m", "tests.bench.fetch", "--serve", f"{wait_s},{trades}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"
        assert child.stdin is not None
        child.stdin.close()


def fetch(**options: Any) -> Fetched:
    """Fetch into a folder that goes again."""
    from daemon.fetch.verb import _fetch, _wanted

    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder, Advance(Console(stderr=True), clock.mono_ns) as advance:
        made = FetchOptions(out=Path(folder), first=DAY, weight=10**9, **options)
        found = uvloop.run(_fetch(made, _wanted(made), clock, advance))
    assert found is not None
    return found


class Took(NamedTuple):
    """One fetch, in seconds."""

    whole_s: float  # with the files
    answers_s: float  # until the last answer was read


def rounds(url: str, at_once: int, rows: int, count: int) -> list[Took]:
    """Return what so many fetches of 50 pages took, the first one left out; rows: of a page."""
    from daemon.fetch import binance, jobs

    days = PAGES * rows // _MINUTES
    assert days * _MINUTES == PAGES * rows
    before, request, stamps = binance.ROWS_MAX, RealNet.request, list[float]()

    async def stamped(net: RealNet, *args: Any) -> Any:
        if not stamps:
            stamps.append(time.perf_counter())
        answer = await request(net, *args)
        stamps.append(time.perf_counter())
        return answer

    found = []
    RealNet.request = stamped  # type: ignore[method-assign]
    binance.ROWS_MAX = jobs.ROWS_MAX = rows  # type: ignore[misc]
    try:
        for _ in range(count + 1):
            stamps.clear()
            one = fetch(symbols=SYMBOLS, end=DAY + days, url=url, at_once=at_once)
            assert one.asked.requests == len(SYMBOLS) * PAGES
            assert one.rows == len(SYMBOLS) * PAGES * rows
            found.append(Took(one.seconds, stamps[-1] - stamps[0]))
    finally:
        RealNet.request = request  # type: ignore[method-assign]
        binance.ROWS_MAX = jobs.ROWS_MAX = before  # type: ignore[misc]
    return found[1:]


def main() -> None:
    """Measure, and print a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=144)
    parser.add_argument("--trades", type=int, default=0)
    parser.add_argument("--serve", default="")
    given = parser.parse_args()
    if given.serve:
        wait_s, trades = given.serve.split(",")
        asyncio.run(serve(float(wait_s), int(trades)))
        return
    kernel_cache.activate()
    if given.trades:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with server(0.0, given.trades) as url:
            found = fetch(symbols=SYMBOLS[:1], end=DAY + 1, url=url, at_once=10, what="trades")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sys.stdout.write(
            f"{found.rows:,} trades in {found.seconds:.1f} s, {found.bytes:,} bytes; "
            f"peak {peak / 1024:.0f} MiB, {before / 1024:.0f} before; {found.asked.requests:,} requests\n"
        )
        return
    with server() as url:
        for at_once in (5, 10, 25):
            took = rounds(url, at_once, given.rows, given.rounds)
            whole, answers = (sorted(column) for column in zip(*took, strict=True))
            middle = len(took) // 2
            sys.stdout.write(
                f"{at_once} at once, {given.rows} rows a request: to the last answer "
                f"{answers[0] * 1e3:.0f} ms (median {answers[middle] * 1e3:.0f}), with the files "
                f"{whole[0] * 1e3:.0f} ({whole[middle] * 1e3:.0f}); "
                f"waiting alone {least_s(at_once) * 1e3:.0f}, wanted {allowed_s(at_once) * 1e3:.0f}\n"
            )


if __name__ == "__main__":
    main()
