"""Where Binance tells of the past, over REST, and how a stretch of it is asked for a page at a time.

Pages are asked for at once and taken in order. Trades have ids that follow one another, so that what a day's
first and last ids are is asked first, and all pages between can be asked for at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NamedTuple

from daemon.errors import NetError, UsageError
from daemon.fetch.days import DAY_NS
from daemon.fetch.pages import READ, Page, read_aggregates

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from daemon.fetch.asking import Asker
    from daemon.fetch.days import Kind, Wanted
    from daemon.instruments import Market

ROWS_MAX: Final = 1000
INTERVALS_MS: Final = {
    "1s": 1_000, "1m": 60_000, "3m": 180_000, "5m": 300_000, "15m": 900_000, "30m": 1_800_000,
    "1h": 3_600_000, "2h": 7_200_000, "4h": 14_400_000, "6h": 21_600_000, "8h": 28_800_000,
    "12h": 43_200_000, "1d": 86_400_000,
}  # fmt: skip
_DAY_MS: Final = DAY_NS // 1_000_000
#: that aggregates may be asked for by time
_HOUR_MS: Final = 3_600_000
#: that COIN-M's klines may span
_SPAN_MS: Final = 200 * _DAY_MS
_PATHS: Final[dict[Kind, str]] = {
    "klines": "klines",
    "trades": "historicalTrades",
    "aggTrades": "aggTrades",
}


class Place(NamedTuple):
    """One market's address, the weight that an address of ours has a minute, and what requests weigh."""

    rest_url: str
    api: str
    weight_1m: int
    weights: dict[Kind, int]


PLACES: Final[dict[Market, Place]] = {
    "spot": Place("https://api.binance.com", "/api/v3/", 6_000, {"klines": 2, "trades": 25, "aggTrades": 4}),
    "usdm": Place("https://fapi.binance.com", "/fapi/v1/", 2_400, {"klines": 5, "aggTrades": 20}),
    "coinm": Place("https://dapi.binance.com", "/dapi/v1/", 2_400, {"klines": 5, "aggTrades": 20}),
}


def check_kind(market: Market, kind: Kind, interval: str) -> None:
    """Raise UsageError for what the exchange tells nobody, or not so."""
    if kind not in PLACES[market].weights:
        raise UsageError(
            f"Binance tells single {kind} of {market} to holders of keys alone: take --what aggTrades, or "
            "the trades of --source archive"
        )
    if kind == "klines" and interval not in INTERVALS_MS:
        raise UsageError(f"--interval {interval} is none of {', '.join(INTERVALS_MS)}")


async def in_order(
    works: Iterable[Callable[[], Awaitable[Page]]], ahead: Callable[[], int]
) -> AsyncGenerator[Page, None]:
    """Yield what works come to, in their order, while up to `ahead()` of them are under way."""
    tasks: deque[asyncio.Future[Page]] = deque()
    try:
        for work in works:
            tasks.append(asyncio.ensure_future(work()))
            while len(tasks) >= ahead():
                yield await tasks[0]
                tasks.popleft()
        while tasks:
            yield await tasks[0]
            tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Rest:
    """One market's past."""

    def __init__(self, asker: Asker, market: Market) -> None:
        self.asker = asker
        self._place = PLACES[market]
        self._readers = 0

    def _ahead(self) -> int:
        """Return how many pages whoever reads may have: twice what is asked for at once, all together."""
        return max(2, 2 * self.asker.at_once // max(self._readers, 1))

    async def _in_order(self, works: Iterable[Callable[[], Awaitable[Page]]]) -> AsyncGenerator[Page, None]:
        self._readers += 1
        try:
            async with aclosing(in_order(works, self._ahead)) as pages:
                async for page in pages:
                    yield page
        finally:
            self._readers -= 1

    async def klines(
        self, wanted: Wanted, first: int, end: int, until_ms: int
    ) -> AsyncGenerator[tuple[Page, int], None]:
        """Yield pages of the days from `first` up to, and without, `end`; each with when the next one begins.

        until_ms: bars that end after it are left out, since they are not closed.
        """
        span_ms = min(ROWS_MAX * INTERVALS_MS[wanted.interval], _SPAN_MS)
        end_ms = end * _DAY_MS
        begins = range(first * _DAY_MS, min(end_ms, until_ms + 1), span_ms)
        query = f"symbol={wanted.series.exchange_symbol}&interval={wanted.interval}&limit={ROWS_MAX}"

        def ask(begin_ms: int) -> Callable[[], Awaitable[Page]]:
            last_ms = min(begin_ms + span_ms, end_ms) - 1
            return lambda: self._page(
                wanted.kind, f"{query}&startTime={begin_ms}&endTime={last_ms}", str(wanted)
            )

        async with aclosing(self._in_order(map(ask, begins))) as pages:
            for begin_ms in begins:
                page = await anext(pages)
                next_ms = end_ms if begin_ms == begins[-1] else begin_ms + span_ms
                if len(page.ids) and not begin_ms <= page.ids[0] <= page.ids[-1] < next_ms:
                    raise NetError(f"{self.asker.url} answered with {wanted} of another time")
                yield page.part(0, int(page.times_ms.searchsorted(until_ms, side="right"))), next_ms

    async def trades(self, wanted: Wanted, day: int, now_ms: int) -> AsyncGenerator[Page, None]:
        """Yield pages of one day's trades, of a day that goes on up to the latest one."""
        begin_ms, end_ms = day * _DAY_MS, (day + 1) * _DAY_MS
        first = await self._first_id(wanted, begin_ms, min(end_ms, now_ms))
        if first is None:
            return
        end = await self._first_id(wanted, end_ms, min(end_ms + _DAY_MS, now_ms))
        if end is None:
            end = await self._latest_id(wanted) + 1
        query = f"symbol={wanted.series.exchange_symbol}"

        def ask(number: int) -> Callable[[], Awaitable[Page]]:
            rows = min(ROWS_MAX, end - number)
            return lambda: self._page(wanted.kind, f"{query}&limit={rows}&fromId={number}", str(wanted))

        begins = range(first, end, ROWS_MAX)
        async with aclosing(self._in_order(map(ask, begins))) as pages:
            for number in begins:
                page = await anext(pages)
                if not len(page.ids) or page.ids[0] < number:
                    raise NetError(
                        f"{self.asker.url} tells nothing of {wanted} from id {number} on, which it has named"
                    )
                upto = int(page.ids.searchsorted(min(number + ROWS_MAX, end)))
                upto = min(upto, int(page.times_ms.searchsorted(end_ms)))
                since = int(page.times_ms.searchsorted(begin_ms))
                yield page.part(since, max(upto, since))
                if page.times_ms[-1] >= end_ms:
                    return

    async def _first_id(self, wanted: Wanted, begin_ms: int, end_ms: int) -> int | None:
        """Return the first id of a stretch of time; aggregates alone can be asked for by time."""
        for hour_ms in range(begin_ms, end_ms, _HOUR_MS):
            last_ms = min(hour_ms + _HOUR_MS, end_ms) - 1
            found = await self._aggregates(wanted, f"&startTime={hour_ms}&endTime={last_ms}")
            if len(found.ids):
                return int(found.ids[0]) if wanted.kind == "aggTrades" else found.rows[0].first
        return None

    async def _latest_id(self, wanted: Wanted) -> int:
        found = await self._aggregates(wanted, "")
        if not len(found.ids):
            raise NetError(f"{self.asker.url} tells of no trade of {wanted.series.exchange_symbol} any more")
        return int(found.ids[-1]) if wanted.kind == "aggTrades" else found.rows[-1].last

    async def _aggregates(self, wanted: Wanted, query: str) -> Page:
        target = f"{self._place.api}aggTrades?symbol={wanted.series.exchange_symbol}&limit=1{query}"
        weight = self._place.weights["aggTrades"]
        return await self.asker.get(target, weight, read_aggregates, str(wanted))

    async def _page(self, kind: Kind, query: str, what: str) -> Page:
        target = f"{self._place.api}{_PATHS[kind]}?{query}"
        return await self.asker.get(target, self._place.weights[kind], READ[kind], what)
