"""Binance Spot over HTTP: what is read once in a while, away from the connection on which orders travel.

Only reading requests are made here, so a failed one is asked again; nothing that changes an order is ever
repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
import structlog

from daemon.errors import DECODE_ERRORS, FrameError, NetError, VenueError
from daemon.events import Balance, OpenOrder, VenueSnapshot
from daemon.pause import Backoff, pause
from daemon.redact import redact
from daemon.venues.binance_frames import decoded
from daemon.venues.binance_requests import CLIENT_ID_LENGTH_MAX, original_id
from daemon.venues.binance_wire import UNKNOWN_OUTCOMES, BookTicker, ErrorBody
from daemon.venues.signing import signed_query
from daemon.wire import failed_there

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.events import ExecutionReport
    from daemon.instruments import Instrument
    from daemon.seams import Response, Seams
    from daemon.venues.binance_frames import OrderFrames
    from daemon.venues.binance_limits import Budget
    from daemon.venues.binance_wire import TradeRow
    from daemon.venues.order_names import OrderNames
    from daemon.venues.server_clock import ServerClock
    from daemon.venues.signing import Signer

_log = structlog.get_logger(component="venue")

B = TypeVar("B")
T = TypeVar("T")

TIMEOUT_S: Final = 10.0
TRIES: Final = 5
#: distances of tries, of requests here and of connections in binance.py
BACKOFF_S_FIRST: Final = 0.25
BACKOFF_S_MAX: Final = 30.0
#: a wait for room in the exchange's limits is logged from here on: a start may take a minute by it
_WAIT_TOLD_MS: Final = 1_000
ROWS_MAX: Final = 1000  # the longest list the exchange sends at once
_INVALID_TIMESTAMP: Final = -1021
_UNKNOWN: Final = -1000
NOT_FOUND: Final = 404  # HTTP's: nothing is at this path, whatever code may be in the answer
#: our own code for an answer that is not as documented; one that stays so cannot be agreed with
UNREADABLE: Final = -1
_LIMITED: Final = -1003
_NO_SUCH_ORDER: Final = -2013
#: refusals after which to ask again: soon, and once the exchange lets us or has heard of an order that traded
_PASSING: Final = frozenset({_INVALID_TIMESTAMP, _UNKNOWN, UNREADABLE})
PASSING_PATIENT: Final = _PASSING | {_LIMITED, _NO_SUCH_ORDER}
_BOOK_TICKER: Final = msgspec.json.Decoder(BookTicker, strict=False)  # prices are strings


class RestReader:
    """Signed reading requests, and the snapshot made of them."""

    #: what another market of the exchange calls otherwise, and its weights
    prefix = "/api/v3"
    trades_path = "myTrades"
    weight_trades, weight_names, weight_name = 20, 20, 4
    #: of the open orders of one symbol, and of all
    weight_open, weight_all_open = 6, 80
    #: of a book as the feed asks for it, which is the heaviest thing that it asks for
    weight_book = 50

    def __init__(
        self,
        url: str,
        signer: Signer,
        recv_window_ms: int,
        seams: Seams,
        frames: OrderFrames,
        budget: Budget,
        server: ServerClock,
        on_frame_error: Callable[[FrameError], None],
    ) -> None:
        self._url = url.rstrip("/")
        self._signer = signer
        self._recv_window_ms = recv_window_ms
        self._seams = seams
        self._frames = frames
        self._budget = budget
        self._server = server
        self._on_frame_error = on_frame_error
        self._error = msgspec.json.Decoder(ErrorBody)

    async def get(
        self,
        path: str,
        params: dict[str, str | int],
        weight: int,
        read: Callable[[bytes], T],
        *,
        patient: bool = False,
        signed: bool = True,
    ) -> T:
        """Return what `read` makes of the answer's body, asking again after a failure of network or server.

        patient: wait for room in the part of the request weight that snapshots have, and while the exchange
        limits us. Raises VenueError for a refusal, a rate limit or an answer that cannot be read (told to
        `on_frame_error` too), NetError when there is no answer at all.
        """
        passing = PASSING_PATIENT if patient else _PASSING
        backoff = Backoff(BACKOFF_S_FIRST, BACKOFF_S_MAX, self._seams.random)
        for attempt in range(1, TRIES + 1):
            while patient and (waits_ms := self._budget.reading_waits_ms(self._time_ms(), weight)):
                if waits_ms >= _WAIT_TOLD_MS:
                    _log.info("limit_waits", of=path, seconds=round(waits_ms / 1000, 1))
                await pause(self._seams, waits_ms / 1000)  # before it is signed: a signature is of its moment
            try:
                if signed:
                    body = await self._signed("GET", path, params, weight)
                else:
                    body = (await self._request("GET", f"{path}?{urlencode(params)}", weight)).body
                return self._read(path, body, read)
            except NetError:
                if attempt == TRIES:
                    raise
            except VenueError as error:
                if attempt == TRIES or error.code not in passing or error.status == NOT_FOUND:
                    raise
                if error.code == _INVALID_TIMESTAMP:
                    await self.ask_time()
            await pause(self._seams, backoff.next_s())
        raise AssertionError("the last try returns or raises")

    async def ask_time(self) -> None:
        """Measure the exchange's clock, distrusting what was measured before."""
        sent_ns = self._seams.clock.now_ns()
        path = f"{self.prefix}/time"
        answer = await self._request("GET", path, 1)
        self._server.forget()
        received_ns = self._seams.clock.now_ns()
        server_ns = self._read(path, answer.body, self._frames.server_time)
        self._server.measure(sent_ns, server_ns, received_ns)

    def _read(self, path: str, body: B, read: Callable[[B], T]) -> T:
        """Read an answer; one that is not as documented is the server's failure, not ours."""
        try:
            return read(body)
        except FrameError as error:
            self._on_frame_error(error)
            text = f"the answer to GET {path} could not be read: {redact(str(error))}"
            raise VenueError(UNREADABLE, text) from None

    async def _signed(self, method: str, path: str, params: dict[str, str | int], weight: int) -> bytes:
        signed = {
            **params,
            "recvWindow": self._recv_window_ms,
            "timestamp": self._time_ms(),
        }
        answer = await self._request(method, f"{path}?{signed_query(self._signer, signed)}", weight)
        return answer.body

    async def _request(self, method: str, target: str, weight: int) -> Response:
        """Make one request within the budget; raises VenueError for anything but a 200."""
        time_ms = self._time_ms()
        refusal = self._budget.take(time_ms, weight)
        if refusal:
            raise VenueError(_LIMITED, f"not sent: {refusal}")
        headers = {"X-MBX-APIKEY": self._signer.api_key}
        answer = await self._seams.net.request(method, self._url + target, headers, b"", TIMEOUT_S)
        time_ms = self._time_ms()
        self._budget.learn_headers(answer.headers, time_ms)
        if answer.status == 200:
            return answer
        if answer.status in {418, 429}:
            wait = answer.headers.get("Retry-After", "")
            wait_ms = int(wait) * 1000 if wait.isdecimal() else 0
            self._budget.block(answer.status, time_ms, wait_ms=wait_ms)
        path, _, query = target.partition("?")
        symbol = dict(parse_qsl(query)).get("symbol")
        asked = f"{method} {path} of {symbol}" if symbol else f"{method} {path}"
        failed = failed_there(answer.status)
        try:
            error = self._error.decode(answer.body)
        except DECODE_ERRORS:
            code = _UNKNOWN if failed else -answer.status
            text = f"{asked} was answered with HTTP status {answer.status}"
            raise VenueError(code, text, answer.status) from None
        code = _UNKNOWN if failed or error.code in UNKNOWN_OUTCOMES else error.code
        text = f"{asked} was refused: {redact(error.msg)} (code {error.code})"
        raise VenueError(code, text, answer.status)

    def _time_ms(self) -> int:
        return self._server.time_ms(self._seams.clock.now_ns())

    def of_spot(self, url: str) -> RestReader:
        """Return a reader of the same key at Spot's address."""
        return RestReader(
            url,
            self._signer,
            self._recv_window_ms,
            self._seams,
            self._frames,
            self._budget,
            self._server,
            self._on_frame_error,
        )

    async def touches(self, instruments: Sequence[Instrument]) -> list[tuple[float, float]]:
        """Return the best bid and ask of each instrument now; 0 for a side that nobody is on."""
        found = []
        for instrument in instruments:
            asked: dict[str, str | int] = {"symbol": instrument.exchange_symbol}
            best = await self.get(f"{self.prefix}/ticker/bookTicker", asked, 2, _best, signed=False)
            found.append((best.bidPrice, best.askPrice))
        return found

    # --- the snapshot ---------------------------------------------------------------------------------------
    async def snapshot(
        self, instruments: Sequence[Instrument], since_ns: int, names: OrderNames
    ) -> VenueSnapshot:
        """Return balances, open orders and trades since `since_ns`, as they were at `wire_ns` or later.

        The trades of hundreds of symbols take minutes, so what changes with each trade is asked for last.
        `names`: whose orders are known; the others' are looked up, and remembered.
        """
        wire_ns = self._seams.clock.now_ns()
        notes: list[str] = []
        trades: list[ExecutionReport] = []
        for instrument in instruments:
            trades += await self._trades(instrument, since_ns, names)
        open_orders = await self._open_orders(instruments, notes)
        account = await self.get(
            f"{self.prefix}/account", {"omitZeroBalances": "true"}, 20, self._frames.account, patient=True
        )
        return VenueSnapshot(
            balances={row.asset: Balance(row.free, row.locked) for row in account.balances},
            open_orders=open_orders,
            trades=trades,
            wire_ns=wire_ns,
            notes=notes,
        )

    async def _open_orders(self, instruments: Sequence[Instrument], notes: list[str]) -> list[OpenOrder]:
        """Return the open orders. One that stands off the grid we know is not ours: noted and left out."""
        rows = await self._open_rows(f"{self.prefix}/openOrders", instruments, self._frames.orders)
        by_symbol = {one.exchange_symbol: one for one in instruments}
        found = []
        for row in rows:
            symbol, instrument = row.symbol, by_symbol.get(row.symbol)
            if instrument is None:
                continue  # of an instrument that is not traded here
            try:
                if len(row.clientOrderId) > CLIENT_ID_LENGTH_MAX:
                    raise FrameError("size", "its id is longer than any")
                side, ticks, lots, filled = self._frames.order_counts(row, instrument.index)
            except FrameError as error:
                self._on_frame_error(error)
                notes.append(
                    f"the venue has order {row.clientOrderId} in {symbol}, which cannot be read ({error}) "
                    "and is left alone: look at it there, and restart if the exchange changed its grid"
                )
                continue
            found.append(
                OpenOrder(
                    client_order_id=row.clientOrderId,
                    venue_order_id=str(row.orderId),
                    instrument=instrument.index,
                    side=side,
                    price_ticks=ticks,
                    qty_lots=lots,
                    cum_lots=filled,
                    stop=row.waits,
                )
            )
        return found

    async def _open_rows(
        self, path: str, instruments: Sequence[Instrument], read: Callable[[bytes], list[T]]
    ) -> list[T]:
        """Return what is open, of each instrument or, where that weighs less, of all symbols there are."""
        if len(instruments) * self.weight_open > self.weight_all_open:
            return await self.get(path, {}, self.weight_all_open, read, patient=True)
        rows: list[T] = []
        for one in instruments:
            asked: dict[str, str | int] = {"symbol": one.exchange_symbol}
            rows += await self.get(path, asked, self.weight_open, read, patient=True)
        return rows

    async def _trades(
        self, instrument: Instrument, since_ns: int, names: OrderNames
    ) -> list[ExecutionReport]:
        wire_ns = self._seams.clock.now_ns()
        rows = await self._trade_rows(instrument.exchange_symbol, since_ns)
        called = await self._find_names(instrument, {row.orderId for row in rows}, names)

        def report(row: TradeRow) -> ExecutionReport:
            return self._frames.trade(row, instrument.index, called[row.orderId], wire_ns)

        # a trade left out would be a wrong position: one that cannot be read spoils the snapshot
        return self._read(
            f"{self.prefix}/{self.trades_path}", rows, lambda listed: [report(row) for row in listed]
        )

    async def _trade_rows(self, symbol: str, since_ns: int) -> list[TradeRow]:
        """Return the trades from `since_ns` on, page by page: the first by time, the next by number."""
        rows: list[TradeRow] = []
        start_ms = self._start_ms(since_ns)
        params: dict[str, str | int] = {"startTime": start_ms} if start_ms > 0 else {"fromId": 0}
        while True:
            wanted = {"symbol": symbol, "limit": ROWS_MAX, **params}
            page = await self._trade_page(wanted, patient=True)
            rows += page
            if len(page) < ROWS_MAX:
                return rows
            params = {"fromId": page[-1].id + 1}

    def _start_ms(self, since_ns: int) -> int:
        """Return a time as the exchange's clock had it then, or earlier: whose it is by is not known."""
        return (since_ns + min(self._server.offset_ns, 0)) // 1_000_000

    async def _trade_page(self, wanted: dict[str, str | int], *, patient: bool) -> list[TradeRow]:
        path = f"{self.prefix}/{self.trades_path}"
        return await self.get(path, wanted, self.weight_trades, self._frames.trades, patient=patient)

    async def _find_names(
        self, instrument: Instrument, numbers: set[int], names: OrderNames
    ) -> dict[int, str]:
        """Return whose each order of an instrument is; what is not known is looked up, as it weighs less.

        Between two orders lie all that the account has sent since, a year of them where one is old.
        """
        index, symbol = instrument.index, instrument.exchange_symbol
        called = {number: name for number in numbers if (name := names.find(index, str(number)))}
        unknown = numbers - called.keys()
        found: dict[int, str] = {}
        if len(unknown) * self.weight_name > self.weight_names:
            found = await self._order_names(symbol, min(unknown), max(unknown))
        for number in sorted(unknown):
            called[number] = found.get(number) or await self._order_name(symbol, number)
            names.remember(index, str(number), called[number])
        return called

    async def _order_names(self, symbol: str, first: int, last: int) -> dict[int, str]:
        """Return order number -> client order id of the orders from number `first` to `last`."""
        names: dict[int, str] = {}
        while True:
            params: dict[str, str | int] = {"symbol": symbol, "limit": ROWS_MAX, "orderId": first}
            path = f"{self.prefix}/allOrders"
            page = await self.get(path, params, self.weight_names, self._frames.orders, patient=True)
            names |= {row.orderId: original_id(row.clientOrderId) for row in page}
            if len(page) < ROWS_MAX or page[-1].orderId >= last:
                return names
            first = page[-1].orderId + 1

    async def _order_name(self, symbol: str, number: int) -> str:
        """Return the client order id of an order that the list lacks: it is kept up later than trades are.

        Without its name the trade would be taken for somebody else's, and a position would be wrong for good.
        """
        asked: dict[str, str | int] = {"symbol": symbol, "orderId": number}
        path = f"{self.prefix}/order"
        row = await self.get(path, asked, self.weight_name, self._frames.order, patient=True)
        return original_id(row.clientOrderId)


def _best(body: bytes) -> BookTicker:
    return decoded(_BOOK_TICKER, body)
