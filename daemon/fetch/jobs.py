"""The work of a fetch: which days lack, and how each comes to its files.

A job is one day of trades, or a run of days of klines, whose requests span several. What is done is on the
disk at once; a first failure ends all jobs, and what they had begun leaves nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from daemon.errors import FileFormatError
from daemon.fetch.binance import INTERVALS_MS, ROWS_MAX
from daemon.fetch.days import DAY_NS, Day, date_of
from daemon.fetch.pages import batch_of, layout_of
from daemon.tape.dirty import PLACES_MAX as TOLD_MAX
from daemon.tape.dirty import Finding
from daemon.tape.forms.base import PLACES_MAX, FinerGridError, Grid, State
from daemon.tape.forms.rows import Columns, CsvForm

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence

    import pyarrow as pa

    from daemon.fetch.days import Store, Wanted
    from daemon.fetch.pages import Page
    from daemon.seams import Clock, Worker
    from daemon.tape.partitions import Written

T = TypeVar("T")

#: requests of one job of klines
_PAGES_MAX: Final = 64
#: rows that are read together: what is done a column costs more than what is done a row
_ROWS_AT_ONCE: Final = 1 << 13
_ROWS_IDLE: Final = 1 << 9
_PROBE_ROWS: Final = 64
#: columns that are counted (daemon/fetch/pages.py), and by what of the grid
_COUNTED: Final = {
    **dict.fromkeys(("price", "open", "high", "low", "close"), "price_places"),
    **dict.fromkeys(("size", "volume", "taker_volume"), "size_places"),
    "quote_volume": "money_places",
}


class Job(NamedTuple):
    """Days of one instrument, from one up to, and without, another."""

    wanted: Wanted
    first: int
    end: int


class Past(Protocol):
    """Whoever tells what was: pages in the order of time."""

    def klines(
        self, wanted: Wanted, first: int, end: int, until_ms: int
    ) -> AsyncGenerator[tuple[Page, int], None]:
        """Yield pages of the days from `first` up to, and without, `end`; each with when the next one begins.

        Bars that end after `until_ms` are left out: they are not closed.
        """

    def trades(self, wanted: Wanted, day: int, now_ms: int) -> AsyncGenerator[Page, None]:
        """Yield pages of one day, of one that goes on up to the latest trade."""


class Done(msgspec.Struct):
    """What came of jobs."""

    days: int = 0
    rows: int = 0
    bytes: int = 0
    absent: int = 0  # days that an archive does not have
    findings: dict[str, dict[str, Finding]] = {}  # by instrument and kind (daemon/tape/dirty.py)


def plan(store: Store, wanted: Sequence[Wanted], days: range, now_ns: int) -> tuple[list[Job], int]:
    """Return the jobs for what lacks, instruments in turns, and how many days are there; see Store.has."""
    there = 0
    by_instrument: list[list[Job]] = []
    for one in wanted:
        jobs: list[Job] = []
        longest = _days_at_once(one)
        for day in days:
            if store.has(one, day, now_ns):
                there += 1
            elif jobs and jobs[-1].end == day and day - jobs[-1].first < longest:
                jobs[-1] = jobs[-1]._replace(end=day + 1)
            else:
                jobs.append(Job(one, day, day + 1))
        by_instrument.append(jobs)
    most = max(map(len, by_instrument), default=0)
    return [jobs[k] for k in range(most) for jobs in by_instrument if k < len(jobs)], there


def _days_at_once(wanted: Wanted) -> int:
    if wanted.kind != "klines":
        return 1
    return max(1, _PAGES_MAX * ROWS_MAX * INTERVALS_MS[wanted.interval] * 1_000_000 // DAY_NS)


async def run_all(jobs: Iterator[Job], work: Callable[[Job], Awaitable[None]], at_once: int) -> None:
    """Do the jobs, so many at once; raises what ended the first of them that failed, the others cancelled."""

    async def worker() -> None:
        for job in jobs:
            await work(job)

    tasks = [asyncio.ensure_future(worker()) for _ in range(at_once)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Maker:
    """Makes days of an instrument: each with checks of its own, all by the finest grid so far."""

    def __init__(self, store: Store, done: Done, tell: Callable[[Wanted], object], worker: Worker) -> None:
        self.store = store
        self._worker = worker
        self._aside = 0
        self._done = done
        self._tell = tell
        self._grids: dict[tuple[str, str], Grid] = {}

    def begin(self, wanted: Wanted, day: int, asked_ns: int) -> Day:
        """Return a day that is to be filled."""
        self.store.clear(wanted, day)
        return Day(self.store, wanted, day, asked_ns, State(self._grids))

    def learn(self, finer: FinerGridError) -> None:
        """Count by a finer grid from now on."""
        self._grids[finer.key] = Grid(*map(max, self._grids.get(finer.key, Grid()), finer.grid))

    async def aside(self, do: Callable[..., T], *args: object) -> T:
        """Return what `do` does off the loop, so that requests go out meanwhile.

        Who is cancelled waits for its end: a thread goes on, and must not write what is taken back.
        """
        doing = asyncio.ensure_future(self._worker.call(do, *args))
        self._aside += 1
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            await asyncio.gather(doing, return_exceptions=True)
            raise
        finally:
            self._aside -= 1

    @property
    def idle(self) -> bool:
        """Whether nothing is done off the loop."""
        return not self._aside

    def count(self, day: Day, files: Sequence[Written]) -> None:
        """Count a day that is to be seen, and what it was written to."""
        series = day.wanted.series
        self._grids |= day.state.grids
        self._done.bytes += sum(one.bytes for one in files)
        self._done.days += 1
        self._done.rows += day.rows
        if day.findings:
            merge(self._done.findings.setdefault(series.exchange_symbol, {}), day.findings)
        self._tell(day.wanted)

    def absent(self, wanted: Wanted) -> None:
        """Count a day that is not to be had."""
        self._done.absent += 1
        self._tell(wanted)


def merge(into: dict[str, Finding], found: dict[str, Finding]) -> None:
    """Add findings to those before; the first places stay the first."""
    for kind, one in found.items():
        before = into.setdefault(kind, Finding())
        before.count += one.count
        before.first = (before.first + one.first)[:TOLD_MAX]


class Pages:
    """Pages on their way into one day."""

    def __init__(self, day: Day) -> None:
        self.day = day
        layout = layout_of(day.wanted.kind)
        self._form = CsvForm(layout=layout, series=day.wanted.series, names=layout.columns, skip=0, unit="ms")
        file = f"{day.wanted} of {date_of(day.day)}"
        self._checks = day.state.checks_of(
            day.wanted.series, file, "contiguous" if layout.contiguous and day.wanted.numbered else "names"
        )
        self._columns = Columns(self._form, day.state, self._checks)
        self._row = 1
        self._rows: list[Any] = []

    def add(self, page: Page, *, idle: bool) -> bool:
        """Take rows of the day; return whether it is time for a flush: sooner where nothing else is done."""
        self._rows.extend(page.rows)
        return len(self._rows) >= (_ROWS_IDLE if idle else _ROWS_AT_ONCE)

    def end(self) -> list[Written]:
        """Let the day be seen; raises as `flush` does."""
        self.flush()
        return self.day.commit()

    def flush(self) -> None:
        """Bring what was taken to the day; raises FinerGridError where the day has to begin anew."""
        rows, self._rows = self._rows, []
        if not rows:
            return
        batch = batch_of(self.day.wanted.kind, rows)
        if self._row == 1:
            self._probe(batch.slice(0, _PROBE_ROWS))
        while True:
            before = deepcopy(self._checks.findings)
            try:
                block, bars = self._columns.read(batch, self._row)
                break
            except FinerGridError as finer:
                self.day.state.widen(self.day.wanted.series, finer.grid)
                self._checks.findings = before
        self._checks.look(block)
        self._row += batch.num_rows
        self.day.add(block, bars)

    def _probe(self, batch: pa.RecordBatch) -> None:
        """Learn the grid by a few rows: to find it while all are read costs reading them anew."""
        found = dict.fromkeys(Grid._fields, 0)
        for name in batch.schema.names:
            if (what := _COUNTED.get(name)) is not None:
                places = max(map(_places, batch.column(name).to_pylist()), default=0)
                found[what] = max(found[what], places)
        self.day.state.at_least(self.day.wanted.series, Grid(**found))


def _places(text: str) -> int:
    """Return how many decimals a number has but for its last zeros; of what is none 0."""
    decimals = text.partition(".")[2].rstrip("0")
    return len(decimals) if decimals.isdecimal() and len(decimals) <= PLACES_MAX else 0


async def fetch_trades(past: Past, maker: Maker, clock: Clock, job: Job) -> None:
    """Bring one day of trades to its files."""
    while True:
        asked_ns = clock.now_ns()
        day = maker.begin(job.wanted, job.first, asked_ns)
        try:
            pages = Pages(day)
            async with aclosing(past.trades(job.wanted, job.first, asked_ns // 1_000_000)) as found:
                async for page in found:
                    if pages.add(page, idle=maker.idle):
                        await maker.aside(pages.flush)
            return maker.count(day, await maker.aside(pages.end))
        except FinerGridError as finer:
            maker.learn(finer)
            day.abandon()
        except BaseException:
            day.abandon()
            raise


async def fetch_klines(past: Past, maker: Maker, clock: Clock, job: Job) -> None:
    """Bring a run of days of klines to their files, each as soon as it is whole."""
    asked_ns = clock.now_ns()
    number = job.first
    pages = Pages(maker.begin(job.wanted, number, asked_ns))
    try:
        async with aclosing(past.klines(job.wanted, job.first, job.end, asked_ns // 1_000_000)) as found:
            async for page, next_ms in found:
                since = 0
                while number < job.end:
                    end_ms = (number + 1) * DAY_NS // 1_000_000
                    upto = int(page.ids.searchsorted(end_ms))
                    if pages.add(page.part(since, upto), idle=maker.idle):
                        await maker.aside(pages.flush)
                    since = upto
                    if next_ms < end_ms:
                        break
                    maker.count(pages.day, await maker.aside(pages.end))
                    number += 1
                    if number < job.end:
                        pages = Pages(maker.begin(job.wanted, number, asked_ns))
        if number < job.end:
            raise FileFormatError(f"the pages of {job.wanted} end before {date_of(number)}")
    finally:
        if number < job.end:
            pages.day.abandon()
