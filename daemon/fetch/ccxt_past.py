"""The past of Spot at any exchange of ccxt, a page after the other by time, as its exchange tells it.

ccxt has exchanges that know little of the past, and answer what happened last wherever they were asked from.
So a day is only taken for whole where its exchange tells of what was before it, too.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
from ccxt.base import errors as ccxt

from daemon.errors import ConfigError, NetError, UsageError, VenueError, nearest
from daemon.feeds.trade_names import trade_id
from daemon.fetch.binance import INTERVALS_MS, ROWS_MAX
from daemon.fetch.days import DAY_NS
from daemon.fetch.pages import Page, Single
from daemon.pause import pause
from daemon.venues.ccxt_client import CcxtSettings, connect_client, make_client
from daemon.venues.ccxt_errors import reason_of
from daemon.venues.ccxt_exchanges import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

    from daemon.fetch.asking import Asker
    from daemon.fetch.days import Wanted

_DAY_MS: Final = DAY_NS // 1_000_000
_PATIENCE_S: Final = 300.0
#: some look no farther than so from where they are asked, so that nothing there is no end
_BARS_LEAST: Final = 100
_WINDOW_MS: Final = 3_600_000
#: how long before a day its exchange is tried for trades
_BEFORE_MS: Final = 7 * _DAY_MS
#: trades in an answer that may be full
_FULL: Final = 100
_SIDES: Final = ("buy", "sell")
_NEEDS: Final = {"klines": "fetchOHLCV", "trades": "fetchTrades"}


class _Told(NamedTuple):
    """A trade, as ccxt tells it."""

    time_ms: int
    id: str
    price: str
    qty: str
    side: str


class CcxtPast:
    """One exchange, open."""

    def __init__(self, client: Any, asker: Asker) -> None:
        self._client = client
        self._asker = asker

    def known(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Return the same with the exchange's own symbols; raises UsageError for what it does not tell."""
        client, found = self._client, []
        for one in wanted:
            market = client.markets.get(one.series.symbol)
            if market is None or not market.get("spot"):
                near = nearest(one.series.symbol, client.markets)
                raise UsageError(f"{client.id} has no spot market {one.series.symbol}{near}")
            if not client.has.get(_NEEDS[one.kind]):
                raise UsageError(f"{client.id} tells no {one.kind} of the past through ccxt")
            if one.kind == "klines" and one.interval not in (client.timeframes or {}):
                known = ", ".join(name for name in client.timeframes or () if name in INTERVALS_MS)
                raise UsageError(f"{client.id} has no klines of {one.interval} ({known} are)")
            series = msgspec.structs.replace(one.series, exchange_symbol=market["id"])
            found.append(one._replace(series=series))
        return found

    async def klines(
        self, wanted: Wanted, first: int, end: int, until_ms: int
    ) -> AsyncGenerator[tuple[Page, int], None]:
        """Yield pages as daemon/fetch/binance.py does; what ccxt does not tell of a bar is 0."""
        length_ms = INTERVALS_MS[wanted.interval]
        begin_ms, end_ms = first * _DAY_MS, end * _DAY_MS
        at_ms = begin_ms
        while at_ms < min(end_ms, until_ms):
            rows = await self._bars(wanted, at_ms)
            if at_ms == begin_ms and not (rows and rows[0][0] == begin_ms):
                before = await self._bars(wanted, begin_ms - ROWS_MAX * length_ms)
                self._check_covered(wanted, begin_ms, [int(one[0]) for one in before])
            page = [row for row in rows if row[0] < end_ms and row[0] + length_ms <= until_ms]
            at_ms = rows[-1][0] + length_ms if rows else at_ms + _BARS_LEAST * length_ms
            yield _klines(page, length_ms), min(at_ms, end_ms)
        if at_ms < end_ms:
            yield _klines([], length_ms), end_ms

    async def trades(self, wanted: Wanted, day: int, now_ms: int) -> AsyncGenerator[Page, None]:
        """Yield pages of one day's trades; an id that is no number becomes one."""
        begin_ms, end_ms = day * _DAY_MS, (day + 1) * _DAY_MS
        at_ms, last = begin_ms, set[_Told]()
        while at_ms < min(end_ms, now_ms):
            told = await self._trades(wanted, at_ms)
            if at_ms == begin_ms and not last:
                before = await self._trades(wanted, begin_ms - _BEFORE_MS)
                self._check_covered(wanted, begin_ms, [one.time_ms for one in before])
            inside = [one for one in told if one.time_ms < end_ms and one not in last]
            if not inside:
                if len(told) >= _FULL and told[-1].time_ms == at_ms:
                    raise VenueError(
                        0, f"{self._client.id} has more trades of one moment than it tells at once"
                    )
                if told and told[-1].time_ms >= end_ms:
                    return
                at_ms, last = at_ms + _WINDOW_MS, set()
                continue
            yield _trades(inside)
            if told[-1].time_ms >= end_ms:
                return
            at_ms, before_ms = inside[-1].time_ms, at_ms
            last = {one for one in inside if one.time_ms == at_ms} | (last if at_ms == before_ms else set())

    async def _bars(self, wanted: Wanted, since_ms: int) -> list[Any]:
        """Return bars that open from a time on, each once and in order."""
        call = partial(self._client.fetch_ohlcv, wanted.series.symbol, wanted.interval, since_ms, ROWS_MAX)
        rows = {int(row[0]): row for row in await self._ask(call, wanted)}
        return [rows[opened] for opened in sorted(rows) if opened >= since_ms]

    async def _trades(self, wanted: Wanted, since_ms: int) -> list[_Told]:
        """Return trades from a time on, in order."""
        call = partial(self._client.fetch_trades, wanted.series.symbol, since_ms, ROWS_MAX)
        told = [
            _Told(int(one["timestamp"]), *(str(one[name]) for name in ("id", "price", "amount", "side")))
            for one in await self._ask(call, wanted)
        ]
        if any(one.side not in _SIDES for one in told):
            raise VenueError(0, f"{self._client.id} tells {wanted} without their sides")
        return sorted((one for one in told if one.time_ms >= since_ms), key=lambda one: one.time_ms)

    def _check_covered(self, wanted: Wanted, begin_ms: int, before: list[int]) -> None:
        """Raise VenueError unless what was asked from before a time on begins before it.

        Else the time without a row may be one that the exchange does not tell of (any more).
        """
        if not before or before[0] >= begin_ms:
            when = np.datetime64(begin_ms, "ms").astype("datetime64[D]")
            who = self._client.id
            raise VenueError(0, f"{who} tells of {wanted} only what is later than the begin of {when}")

    async def _ask(self, call: Callable[[], Awaitable[Any]], wanted: Wanted) -> Any:
        """Return what ccxt makes of an answer; raises NetError for what passes, VenueError for all else."""

        async def once() -> Any:
            client = self._client
            if client.still_s > _PATIENCE_S:
                raise VenueError(0, f"{client.id} has banned this address for {client.still_s:.0f} s")
            if client.still_s:
                await pause(self._asker.seams, client.still_s)
            try:
                return await call()
            except ccxt.NetworkError as error:
                raise NetError(f"{client.id} did not tell {wanted} ({reason_of(error)})") from None
            except ccxt.BaseError as error:
                raise VenueError(0, f"{client.id} refuses {wanted} ({reason_of(error)})") from None
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                # ccxt raises whatever an odd answer makes of it
                raise NetError(f"{client.id} answered {wanted} with something else ({error!r})") from None

        return await self._asker.insist(once, 0)


@asynccontextmanager
async def opened(name: str, url: str, asker: Asker) -> AsyncIterator[CcxtPast]:
    """Open an exchange by ccxt's name, its markets known; raises ConfigError, NetError."""
    form = EXCHANGES.get(name)
    settings = CcxtSettings(exchange=name, name="fetch", credentials={}, rest_url=url)
    try:
        client = make_client(settings, form.options if form is not None else {}, asker.seams.clock)
    except ConfigError:
        import ccxt.async_support as known  # noqa: PLC0415 - where a name is to be corrected

        raise UsageError(f"ccxt has no exchange {name!r}{nearest(name, known.exchanges)}") from None
    client.options["adjustForTimeDifference"] = False  # nothing is signed
    session = connect_client(client, "", None)
    try:
        try:
            await client.load_markets()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # ccxt raises whatever an odd answer makes of it
            raise NetError(f"{name} tells no markets: {reason_of(error)}") from None
        yield CcxtPast(client, asker)
    finally:
        try:
            await client.close()
        finally:
            await session.close()


def _klines(rows: Sequence[Sequence[Any]], length_ms: int) -> Page:
    told = [
        (int(row[0]), *map(str, row[1:6]), int(row[0]) + length_ms - 1, "0", 0, "0", "0", "0") for row in rows
    ]
    ids = np.array([row[0] for row in told], np.int64)
    return Page(told, ids, ids + length_ms)


def _trades(rows: Sequence[_Told]) -> Page:
    told = [Single(trade_id(one.id), one.price, one.qty, one.time_ms, one.side == "sell") for one in rows]
    return Page(
        told,
        np.array([one.id for one in told], np.int64),
        np.array([one.time for one in told], np.int64),
    )
