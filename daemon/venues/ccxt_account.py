"""An account at an exchange of ccxt, as it is read: an order, its trades, the whole for a snapshot; prices.

Only reading requests are made here; a failed one is the caller's to ask again. Lists are asked for by spans
of time. A span whose list is full, with other symbols' rows too where an exchange lists all together, is
halved until none is: whichever end of a list an exchange cuts off, nothing is missed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ccxt.base.errors import OrderNotFound
from msgspec.structs import replace

from daemon.errors import FrameError, NetError, VenueError
from daemon.events import OpenOrder, VenueSnapshot
from daemon.venues.ccxt_client import LISTS
from daemon.venues.ccxt_errors import reason_of
from daemon.venues.ccxt_exchanges import EXCHANGES
from daemon.venues.order_names import OrderNames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from daemon.events import ExecutionReport
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.seams import Clock
    from daemon.venues.ccxt_requests import Requests
    from daemon.venues.ccxt_rows import Rows

    #: (symbol, since in ms, rows at most, ccxt's params) -> rows
    Lister = Callable[[str, int, int, dict[str, Any]], Awaitable[list[Any]]]

_DAY_MS: Final = 86_400_000
#: the rows of a list, where ccxt does not say how many the exchange sends at once
_ROWS: Final = 100
#: the exchange's clock may be so much further from ours than was measured
_MARGIN_MS: Final = 60_000


class Account:
    """Reads one account, and remembers which of the exchange's order numbers are ours."""

    def __init__(
        self, requests: Requests, rows: Rows, instruments: Sequence[Instrument], clock: Clock
    ) -> None:
        self._requests = requests
        self._client = requests.client
        self._rows = rows
        self._instruments = instruments
        self._clock = clock
        self._has_one = requests.client.has.get("fetchOrder") is True  # asks about one order
        self.names = OrderNames()
        #: whether it is known to tell our ids: until then an order without one may be ours
        self.tells_ids = requests.form in EXCHANGES.values()

    @property
    def _ahead_ms(self) -> int:
        """Return how far our clock is ahead of the exchange's, as ccxt measured it; 0 where it cannot."""
        return int(self._client.options.get("timeDifference") or 0)

    def _since_ms(self, time_ns: int) -> int:
        """Return a time as the exchange's clock had it then, or earlier: whose it is by is not known."""
        return time_ns // 1_000_000 - max(self._ahead_ms, 0)

    # --- one order ------------------------------------------------------------------------------------------
    async def find(self, order: Order, symbol: str) -> Any:
        """Return an order by its number, by our id, or out of lists.

        Raises OrderNotFound, or VenueError where that proves nothing.
        """
        if order.venue_order_id and self._has_one:
            return await self._requests.fetch_number(symbol, order.venue_order_id)
        if not order.venue_order_id and self._requests.tells_by_id:
            try:
                return await self._asked(order, symbol)
            except OrderNotFound:
                if self.tells_ids:
                    raise
        return await self._listed(order, symbol)

    async def _asked(self, order: Order, symbol: str) -> Any:
        row = await self._requests.fetch_id(symbol, order.client_order_id)
        told = self._requests.ids.ours(str(row.get("clientOrderId") or ""))
        if not self.tells_ids and told != order.client_order_id:
            raise OrderNotFound(f"{self._client.id} told of {told or 'an order without an id'} instead")
        return row

    async def _listed(self, order: Order, symbol: str) -> Any:
        number, ids = order.venue_order_id, self._requests.ids
        since_ms = self._since_ms(order.sent_ns) - _MARGIN_MS
        strangers: set[str] = set()
        for row in await self.open_orders(symbol) + await self._orders(symbol, since_ms):
            if number and str(row.get("id")) == number:
                return row
            if ids.ours(str(row.get("clientOrderId") or "")) == order.client_order_id:
                return row
            strangers.add(str(row.get("id")))
        strangers = {one for one in strangers if not self.names.find(order.instrument, one)}
        if strangers and not number and not self.tells_ids:
            which = f"{len(strangers)} of {symbol} that may be {order.client_order_id}"
            raise VenueError(0, f"{self._client.id} has told no order by our id yet, and {which}")
        raise OrderNotFound(f"{ids.theirs(order.client_order_id)} is in no list of {self._client.id}")

    async def trades_of(self, number: str, order: Order, symbol: str) -> list[Any]:
        """Return the trades of an order, by its number."""
        if self._client.has.get("fetchOrderTrades") is True:
            return list(await self._client.fetch_order_trades(number, symbol))
        rows = await self._spans("fetchMyTrades", symbol, self._since_ms(order.sent_ns) - _MARGIN_MS)
        return [row for row in rows if str(row.get("order")) == number]

    async def open_orders(self, symbol: str) -> list[Any]:
        """Return the open orders of a symbol, as many as are told at once: by itself Bybit tells 20 of 50."""
        limit = self._open_max()
        return list(await self._client.fetch_open_orders(symbol, *([None, limit] if limit else [])))

    def _open_max(self) -> int:
        """Return how many open orders are told at once, 0 where ccxt does not say."""
        return int(list_told(self._client, "fetchOpenOrders").get("limit") or 0)

    async def touches(self, instruments: Sequence[Instrument]) -> list[tuple[float, float]]:
        """Return the best bid and ask of each now, 0.0 where there is none; raises as `snapshot` does."""
        found = []
        with self._reading("prices"):
            for instrument in instruments:
                # not a ticker, which leaves them out at some exchanges; texts, which ccxt cannot have sorted
                book = await self._client.fetch_order_book(instrument.symbol)
                bids, asks = ([float(row[0]) for row in book[side]] for side in ("bids", "asks"))
                found.append((max(bids, default=0.0), min(asks, default=0.0)))
        return found

    async def ask_markets(self) -> list[Instrument]:
        """Return what `markets` does, asked anew; raises as `snapshot` does."""
        with self._reading("its markets"):
            await self._client.load_markets(True)
        return self.markets()

    def markets(self) -> list[Instrument]:
        """Return the instruments with what the exchange said last of whether they are open."""

        def status(symbol: str) -> str:
            market = self._client.markets.get(symbol)
            if market is None:
                return "not listed"
            return "inactive" if market["active"] is False else "TRADING"

        return [
            replace(one, exchange=self._client.id, status=status(one.symbol)) for one in self._instruments
        ]

    # --- the whole ------------------------------------------------------------------------------------------
    async def snapshot(self, since_ns: int) -> VenueSnapshot:
        """Return balances, open orders and trades since `since_ns`, as they were at `wire_ns` or later.

        Raises VenueError for what cannot be read and NetError for whatever else went wrong.
        """
        wire_ns = self._clock.now_ns()
        open_orders: list[OpenOrder] = []
        trades: list[ExecutionReport] = []
        notes: list[str] = []
        with self._reading("a snapshot"):
            balances = self._rows.balances(await self._client.fetch_balance())
            for instrument in self._instruments:
                open_orders += await self._open(instrument, notes)
                trades += await self._trades(instrument, since_ns, wire_ns)
        return VenueSnapshot(balances, open_orders, trades, wire_ns, notes)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Make of what is raised within the errors of a venue."""
        try:
            yield
        except VenueError:
            raise
        except FrameError as error:
            # a trade left out would be a wrong position: one that cannot be read spoils the snapshot
            raise VenueError(0, f"an answer of {self._client.id} could not be read: {error}") from None
        except Exception as error:  # ccxt raises whatever an odd answer makes of it
            raise NetError(f"{self._client.id} was asked for {what}: {reason_of(error)}") from None

    async def _open(self, instrument: Instrument, notes: list[str]) -> list[OpenOrder]:
        """Return the open orders. One that stands off the grid we know is not ours: noted and left out.

        So are those that a full list may have cut off.
        """
        found = []
        listed = await self.open_orders(instrument.symbol)
        if 0 < self._open_max() <= len(listed):
            notes.append(
                f"{self._client.id} tells of {len(listed)} open orders in {instrument.symbol} and no more at "
                "once: what else may stand there is not known"
            )
        for raw in listed:
            try:
                row = self._rows.order(raw, instrument)
            except FrameError as error:
                which = raw.get("clientOrderId") or raw.get("id")
                notes.append(
                    f"the venue has order {which} in {instrument.symbol}, which cannot be read ({error}) "
                    "and is left alone: look at it there"
                )
                continue
            if row.client_order_id:
                # its trades are read next
                self.names.remember(instrument.index, row.number, row.client_order_id)
            name = row.client_order_id or self.names.find(instrument.index, row.number) or row.number
            found.append(
                OpenOrder(
                    client_order_id=name,
                    venue_order_id=row.number,
                    instrument=instrument.index,
                    side=row.side,
                    price_ticks=row.price_ticks,
                    qty_lots=row.qty_lots,
                    cum_lots=row.cum_lots or 0,
                    stop=row.waits,
                )
            )
        return found

    async def _trades(self, instrument: Instrument, since_ns: int, wire_ns: int) -> list[ExecutionReport]:
        raw = await self._spans("fetchMyTrades", instrument.symbol, self._since_ms(since_ns))
        await self._learn(instrument, raw)
        reports = []
        for row in raw:
            number = str(row.get("order"))
            # without a name: a meeting knows whether it may be ours
            name = self.names.find(instrument.index, number)
            reports.append(self._rows.trade(row, instrument, number, name, wire_ns))
        return reports

    async def _learn(self, instrument: Instrument, trades: list[Any]) -> None:
        """Learn our ids of the orders that traded: from the lists of their time, the rest one by one."""
        index, names = instrument.index, self.names
        unknown = {number: row for row in trades if not names.find(index, number := str(row.get("order")))}
        if not unknown:
            return
        oldest_ms = min(int(row["timestamp"]) for row in unknown.values())
        for raw in await self._orders(instrument.symbol, oldest_ms - _MARGIN_MS):
            self._name(index, str(raw.get("id")), raw)
        if not self._has_one:
            return
        for number in sorted(unknown):
            if not names.find(index, number):
                self._name(index, number, await self._requests.fetch_number(instrument.symbol, number))

    def _name(self, instrument: int, number: str, raw: Any) -> None:
        """Learn whose an order is, unless an exchange that leaves out our ids says nothing of that."""
        name = self._requests.ids.ours(str(raw.get("clientOrderId") or ""))
        if name or self.tells_ids:
            self.names.remember(instrument, number, name or number)

    # --- lists ----------------------------------------------------------------------------------------------
    async def _orders(self, symbol: str, since_ms: int) -> list[Any]:
        """Return the orders placed since, in whichever lists the exchange keeps them."""
        found = []
        for verb in order_lists(self._client):
            found += await self._spans(verb, symbol, since_ms)
        return found

    async def _spans(self, verb: str, symbol: str, since_ms: int) -> list[Any]:
        """Return the whole list since `since_ms`, asked for in spans that the exchange can answer in full."""
        known = list_told(self._client, verb)
        limit = known.get("limit") or self._requests.form.rows or _ROWS
        span_ms = int(min(known.get("untilDays") or 1, 7) * _DAY_MS)
        lister: Lister = getattr(self._client, _SNAKE[verb])
        what = "trades" if verb == "fetchMyTrades" else "orders"
        now_ms = self._clock.now_ns() // 1_000_000 - self._ahead_ms + _MARGIN_MS
        since_ms = max(since_ms, now_ms - int(known.get("daysBack") or 365) * _DAY_MS)
        rows: dict[Any, Any] = {}  # two orders of one account that meet have a trade of one id each
        spans = [(start, min(start + span_ms, now_ms)) for start in range(since_ms, now_ms, span_ms)]
        while spans:
            start, end = spans.pop()
            lists: list[tuple[str, list[Callable[[], Any]]]] = []
            before = LISTS.set(lists)
            try:
                part = await lister(symbol, start, limit, {"until": end})
            finally:
                LISTS.reset(before)
            told = [rows for of, rows in lists if of == what]  # an order has a list of its trades
            if len(part) >= limit or any(_is_cut(rows, limit, start, end) for rows in told):
                if end - start < 2:
                    raise VenueError(
                        0, f"{self._client.id} lists no more than {limit} {symbol} rows of one time"
                    )
                middle = (start + end) // 2
                spans += [(start, middle), (middle, end)]
            rows |= {(str(row.get("id")), str(row.get("order"))): row for row in part}
        return list(rows.values())


def _is_cut(rows: Sequence[Callable[[], Any]], limit: int, start: int, end: int) -> bool:
    """Whether a list is full with rows of one span alone, of whichever symbols: then others may be cut off.

    One that reaches beyond the span, at either end, has all of it.
    """
    return len(rows) >= limit and all(start <= (read().get("timestamp") or start) <= end for read in rows)


def order_lists(client: Any) -> tuple[str, ...]:
    """Return the lists in which ended orders of spot stand.

    ccxt's `has` speaks of all markets together, and its features leave out what is not spot's; of cancelled
    orders they leave out what is, too.
    """
    told = (client.features or {}).get("spot") or {}

    def kept(verb: str) -> bool:
        return client.has.get(verb) is True and told.get(verb, {}) is not None

    if kept("fetchOrders"):
        return ("fetchOrders",)
    ended = next((verb for verb in ("fetchClosedOrders", "fetchCanceledAndClosedOrders") if kept(verb)), "")
    cancelled = "fetchCanceledOrders" if client.has.get("fetchCanceledOrders") is True else ""
    return tuple(verb for verb in (ended, cancelled) if verb) if ended else ()


def list_told(client: Any, verb: str) -> dict[str, Any]:
    """Return what ccxt says of a list: its rows at once, its days. Cancelled orders are as ended ones."""
    spot = (client.features or {}).get("spot") or {}
    told: dict[str, Any] = (
        spot.get(verb) or (spot.get("fetchClosedOrders") if "Cancel" in verb else None) or {}
    )
    return told


_SNAKE: Final = {
    "fetchMyTrades": "fetch_my_trades",
    "fetchOrders": "fetch_orders",
    "fetchClosedOrders": "fetch_closed_orders",
    "fetchCanceledOrders": "fetch_canceled_orders",
    "fetchCanceledAndClosedOrders": "fetch_canceled_and_closed_orders",
}
