"""`tickd fetch`: klines and trades of many instruments at once, from an exchange's REST or its archive.

Whatever ends it, days that are whole stay and are not asked for again, and of the others there is nothing.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop
from rich.console import Console

from daemon.clock import LoopScheduler, SystemClock
from daemon.config_checks import PREFIX
from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import EXIT_DONE, ConfigError, NetError, TickdError, UsageError
from daemon.faces.convert_summary import Advance
from daemon.faces.fetch_summary import show
from daemon.fetch.archive import URL as ARCHIVE_URL
from daemon.fetch.archive import Archive
from daemon.fetch.asking import Asker, Counts
from daemon.fetch.binance import INTERVALS_MS, PLACES, Rest, check_kind
from daemon.fetch.days import DAY_NS, Store, Wanted, date_of
from daemon.fetch.jobs import Done, Maker, fetch_klines, fetch_trades, plan, run_all
from daemon.instruments import assets_of, unify
from daemon.lifetime import signals_caught
from daemon.net import RealNet
from daemon.seams import Seams
from daemon.tape.dirty import Finding  # noqa: TC001 - msgspec reads the annotation
from daemon.tape.forms.base import Series

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from daemon.fetch.jobs import Job
    from daemon.options import FetchOptions

    Do = Callable[[Job], Awaitable[None]]

#: the part of an address's weight that is used: others ask from it too
_WEIGHT_SHARE: Final = 0.9
#: days of trades in the making at once: each has a row group in memory
_TRADES_AT_ONCE: Final = 8
_LOCK: Final = ".fetch.lock"


class Fetched(msgspec.Struct, kw_only=True):
    """What a fetch came to."""

    out: str
    exchange: str
    market: str
    what: str
    interval: str  # of klines
    source: str  # its address
    symbols: list[str]
    first: str
    last: str
    days: int  # fetched, of all instruments together
    there: int  # were there
    absent: int  # the archive does not have
    rows: int
    bytes: int  # of files written
    asked: Counts
    findings: dict[str, dict[str, Finding]]  # by instrument and kind (daemon/tape/dirty.py)
    seconds: float


def run(options: FetchOptions) -> int:
    """Fetch, and print what came of it; raises TickdError."""
    wanted = _wanted(options)
    clock = SystemClock()
    with _locked(options.out), Advance(Console(stderr=True), clock.mono_ns) as advance:
        fetched = uvloop.run(_fetch(options, wanted, clock, advance))
    if fetched is None:
        raise KeyboardInterrupt
    show(fetched, as_json=options.json)
    return EXIT_DONE


def _wanted(options: FetchOptions) -> list[Wanted]:
    """Return what the options name; raises UsageError."""
    through = options.exchange.startswith(PREFIX)
    if through:
        _check_ccxt(options)
    elif options.exchange != "binance":
        raise UsageError(
            f"--exchange {options.exchange} is none that can be fetched from: name binance, or one of ccxt, "
            f"such as {PREFIX}kraken"
        )
    elif options.source == "rest" or options.what == "klines":
        check_kind(options.market, options.what, options.interval)
    found: dict[str, Wanted] = {}
    for symbol in options.symbols:
        try:
            unified = unify(symbol, options.market)
        except ConfigError as error:
            raise UsageError(str(error)) from None
        base, quote = assets_of(unified)
        series = Series(
            exchange=options.exchange.removeprefix(PREFIX),
            market=options.market,
            symbol=unified,
            exchange_symbol=base + quote + ("_PERP" if options.market == "coinm" else ""),
            clock="exchange",
        )
        interval = options.interval if options.what == "klines" else ""
        found.setdefault(unified, Wanted(series, options.what, interval))
    return list(found.values())


def _check_ccxt(options: FetchOptions) -> None:
    if options.market != "spot" or options.source != "rest" or options.what == "aggTrades":
        raise UsageError(f"of {options.exchange} klines and trades of Spot can be fetched, and no archive")
    if options.what == "klines" and options.interval not in INTERVALS_MS:
        raise UsageError(f"--interval {options.interval} is none of {', '.join(INTERVALS_MS)}")
    if find_spec("ccxt") is None:
        raise UsageError(
            f"--exchange {options.exchange} needs the package ccxt; install it: scripts/setup ccxt"
        )


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Be the only one that fetches to a folder, which is not left behind empty."""
    was_there = out.is_dir()
    disk = RealDisk()
    try:
        disk.lock(out / _LOCK)
    except BlockingIOError:
        raise TickdError(f"another tickd fetch writes to {out}; wait for it, or name another --out") from None
    except OSError as error:
        raise TickdError(f"{out} cannot be written to ({error.strerror or error})") from None
    try:
        for one in out.glob(".*.zip.tmp"):  # of who was ended at once
            one.unlink(missing_ok=True)
        yield
    finally:
        disk.release()
        if not was_there:
            with suppress(OSError):  # there is something in it
                out.rmdir()


async def _fetch(
    options: FetchOptions, wanted: list[Wanted], clock: SystemClock, advance: Advance
) -> Fetched | None:
    """Return what came of it; None: it was interrupted."""
    net, worker = RealNet(), ThreadWorker()
    seams = Seams(clock, LoopScheduler(clock), net, RealDisk(), worker, random.Random())  # noqa: S311 - jitter
    work = asyncio.ensure_future(_work(options, wanted, seams, net, advance))
    try:
        with signals_caught(lambda _: work.cancel()):
            await asyncio.wait((work,))
        return None if work.cancelled() else work.result()
    finally:
        await net.close()
        worker.close()


async def _work(
    options: FetchOptions, wanted: list[Wanted], seams: Seams, net: RealNet, advance: Advance
) -> Fetched:
    began_ns, now_ns = seams.clock.mono_ns(), seams.clock.now_ns()
    today = now_ns // DAY_NS
    end = today + 1 if options.end is None else options.end
    if options.first > today or end > today + 1:
        raise UsageError(f"days that have not begun cannot be fetched: today is {date_of(today)} (UTC)")
    store, done = Store(options.out, int(options.ttl_s * 1e9)), Done()
    asker = _asker(options, seams)
    there = 0
    try:
        async with _opened(options, asker, net, wanted) as (doing, known):
            jobs, there = plan(store, known, range(options.first, end), now_ns)
            of_all = sum(job.end - job.first for job in jobs)

            def tell(one: Wanted) -> None:
                part = (done.days + done.absent) / max(of_all, 1)
                advance.to(f"{one.series.symbol} {done.rows:,} rows", part)

            at_once = options.at_once if options.what == "klines" else min(options.at_once, _TRADES_AT_ONCE)
            await run_all(iter(jobs), doing(Maker(store, done, tell, seams.worker)), at_once)
    except TickdError as error:
        if done.days:
            kept = f"{done.days} days were fetched before and are kept: run it again to go on"
            error.args = (f"{error}; {kept}",)
        raise
    if done.absent and not (done.days or there):
        raise NetError(f"{asker.url} has none of these days")
    return Fetched(
        out=str(options.out),
        exchange=options.exchange,
        market=options.market,
        what=options.what,
        interval=options.interval if options.what == "klines" else "",
        source=asker.url,
        symbols=[one.series.symbol for one in wanted],
        first=date_of(options.first),
        last=date_of(end - 1),
        days=done.days,
        there=there,
        absent=done.absent,
        rows=done.rows,
        bytes=done.bytes,
        asked=asker.counts,
        findings=done.findings,
        seconds=(seams.clock.mono_ns() - began_ns) / 1e9,
    )


def _asker(options: FetchOptions, seams: Seams) -> Asker:
    url, weight = options.url, 0
    if options.source == "archive":
        url = url or ARCHIVE_URL
    elif not options.exchange.startswith(PREFIX):
        place = PLACES[options.market]
        url, weight = url or place.rest_url, options.weight or int(place.weight_1m * _WEIGHT_SHARE)
    return Asker(seams, url or options.exchange, at_once=options.at_once, weight_1m=weight)


@asynccontextmanager
async def _opened(
    options: FetchOptions, asker: Asker, net: RealNet, wanted: list[Wanted]
) -> AsyncIterator[tuple[Callable[[Maker], Do], list[Wanted]]]:
    """Give what makes the jobs of a maker be done, and what is wanted, as the exchange calls it."""
    if options.source == "archive":
        archive = Archive(asker, net.download)
        yield lambda maker: partial(archive.fetch, maker), wanted
        return
    fetch, clock = fetch_klines if options.what == "klines" else fetch_trades, asker.seams.clock
    if options.exchange.startswith(PREFIX):
        from daemon.fetch.ccxt_past import opened  # noqa: PLC0415 - it takes a second and 100 MB

        async with opened(options.exchange.removeprefix(PREFIX), options.url, asker) as past:
            yield lambda maker: partial(fetch, past, maker, clock), past.known(wanted)
    else:
        rest = Rest(asker, options.market)
        yield lambda maker: partial(fetch, rest, maker, clock), wanted
