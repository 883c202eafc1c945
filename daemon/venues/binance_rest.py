"""Binance Spot over HTTP: what is read once in a while, away from the connection on which orders travel.

Only reading requests are made here, so a failed one is asked again; nothing that changes an order is ever
repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import NetError, VenueError
from daemon.events import Balance, OpenOrder, VenueSnapshot
from daemon.pause import Backoff, pause
from daemon.venues.binance_requests import original_id
from daemon.venues.binance_wire import ErrorBody
from daemon.venues.signing import signed_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import ExecutionReport
    from daemon.instruments import Instrument
    from daemon.seams import Response, Seams
    from daemon.venues.binance_frames import OrderFrames
    from daemon.venues.binance_limits import Budget
    from daemon.venues.binance_wire import TradeRow
    from daemon.venues.server_clock import ServerClock
    from daemon.venues.signing import Signer

TIMEOUT_S: Final = 10.0
TRIES: Final = 5
#: distances of tries, of requests here and of connections in binance.py
BACKOFF_S_FIRST: Final = 0.25
BACKOFF_S_MAX: Final = 30.0
ROWS_MAX: Final = 1000  # the longest list the exchange sends at once
_INVALID_TIMESTAMP: Final = -1021
_UNKNOWN: Final = -1000


class RestReader:
    """Signed reading requests, and the snapshot made of them."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        recv_window_ms: int,
        seams: Seams,
        frames: OrderFrames,
        budget: Budget,
        server: ServerClock,
    ) -> None:
        self._url = url.rstrip("/")
        self._signer = signer
        self._recv_window_ms = recv_window_ms
        self._seams = seams
        self._frames = frames
        self._budget = budget
        self._server = server
        self._error = msgspec.json.Decoder(ErrorBody)

    async def get(self, path: str, params: dict[str, str | int], weight: int) -> bytes:
        """Return the answer's body, asking again after a failure of the network or the server.

        Raises VenueError for a refusal or a rate limit, NetError when there is no answer at all.
        """
        backoff = Backoff(BACKOFF_S_FIRST, BACKOFF_S_MAX, self._seams.random)
        for attempt in range(1, TRIES + 1):
            try:
                return await self._get_once(path, params, weight)
            except NetError:
                if attempt == TRIES:
                    raise
            except VenueError as error:
                if attempt == TRIES or error.code not in {_INVALID_TIMESTAMP, _UNKNOWN}:
                    raise
                if error.code == _INVALID_TIMESTAMP:
                    await self.ask_time()
            await pause(self._seams, backoff.next_s())
        raise AssertionError("the last try returns or raises")

    async def ask_time(self) -> None:
        """Measure the exchange's clock, distrusting what was measured before."""
        sent_ns = self._seams.clock.now_ns()
        answer = await self._request("/api/v3/time", 1)
        self._server.forget()
        received_ns = self._seams.clock.now_ns()
        self._server.measure(sent_ns, self._frames.server_time(answer.body), received_ns)

    async def _get_once(self, path: str, params: dict[str, str | int], weight: int) -> bytes:
        signed = {
            **params,
            "recvWindow": self._recv_window_ms,
            "timestamp": self._server.time_ms(self._seams.clock.now_ns()),
        }
        answer = await self._request(f"{path}?{signed_query(self._signer, signed)}", weight)
        return answer.body

    async def _request(self, target: str, weight: int) -> Response:
        """Make one request within the budget; raises VenueError for anything but a 200."""
        time_ms = self._server.time_ms(self._seams.clock.now_ns())
        refusal = self._budget.take(time_ms, weight)
        if refusal:
            raise VenueError(-1003, f"not sent: {refusal}")
        headers = {"X-MBX-APIKEY": self._signer.api_key}
        answer = await self._seams.net.request("GET", self._url + target, headers, b"", TIMEOUT_S)
        time_ms = self._server.time_ms(self._seams.clock.now_ns())
        self._budget.learn_headers(answer.headers, time_ms)
        if answer.status == 200:
            return answer
        if answer.status in {418, 429}:
            wait = answer.headers.get("Retry-After", "")
            until_ms = time_ms + int(wait) * 1000 if wait.isdecimal() else 0
            self._budget.block(answer.status, time_ms, until_ms)
        path = target.partition("?")[0]
        try:
            error = self._error.decode(answer.body)
        except msgspec.DecodeError:
            code = _UNKNOWN if answer.status >= 500 else -answer.status
            raise VenueError(code, f"GET {path} was answered with HTTP status {answer.status}") from None
        code = _UNKNOWN if answer.status >= 500 else error.code
        raise VenueError(code, f"GET {path} was refused: {error.msg} (code {error.code})")

    # --- the snapshot ---------------------------------------------------------------------------------------
    async def snapshot(
        self, instruments: Sequence[Instrument], since_ns: int, known_ids: dict[int, str]
    ) -> VenueSnapshot:
        """Return balances, open orders and trades since `since_ns`, as they were at `wire_ns` or later.

        `known_ids`: order numbers whose client order id is known; others are looked up.
        """
        wire_ns = self._seams.clock.now_ns()
        body = await self.get("/api/v3/account", {"omitZeroBalances": "true"}, 20)
        account = self._frames.account(body)
        open_orders: list[OpenOrder] = []
        trades: list[ExecutionReport] = []
        for instrument in instruments:
            open_orders += await self._open_orders(instrument)
            trades += await self._trades(instrument, since_ns, known_ids)
        return VenueSnapshot(
            balances={row.asset: Balance(row.free, row.locked) for row in account.balances},
            open_orders=open_orders,
            trades=trades,
            wire_ns=wire_ns,
        )

    async def _open_orders(self, instrument: Instrument) -> list[OpenOrder]:
        body = await self.get("/api/v3/openOrders", {"symbol": instrument.exchange_symbol}, 6)
        found = []
        for row in self._frames.orders(body):
            side, ticks, lots, filled = self._frames.order_counts(row, instrument.index)
            found.append(
                OpenOrder(
                    client_order_id=row.clientOrderId,
                    venue_order_id=str(row.orderId),
                    instrument=instrument.index,
                    side=side,
                    price_ticks=ticks,
                    qty_lots=lots,
                    cum_lots=filled,
                )
            )
        return found

    async def _trades(
        self, instrument: Instrument, since_ns: int, known_ids: dict[int, str]
    ) -> list[ExecutionReport]:
        wire_ns = self._seams.clock.now_ns()
        rows = await self._trade_rows(instrument.exchange_symbol, since_ns)
        unknown = {row.orderId for row in rows} - known_ids.keys()
        names = known_ids
        if unknown:
            looked_up = await self._order_names(instrument.exchange_symbol, min(unknown), max(unknown))
            names = looked_up | known_ids
        return [
            self._frames.trade(row, instrument.index, names.get(row.orderId, ""), wire_ns) for row in rows
        ]

    async def _trade_rows(self, symbol: str, since_ns: int) -> list[TradeRow]:
        """Return the trades from `since_ns` on, page by page: the first by time, the next by number."""
        rows: list[TradeRow] = []
        params: dict[str, str | int] = {"startTime": since_ns // 1_000_000} if since_ns > 0 else {"fromId": 0}
        while True:
            body = await self.get("/api/v3/myTrades", {"symbol": symbol, "limit": ROWS_MAX, **params}, 20)
            page = self._frames.trades(body)
            rows += page
            if len(page) < ROWS_MAX:
                return rows
            params = {"fromId": page[-1].id + 1}

    async def _order_names(self, symbol: str, first: int, last: int) -> dict[int, str]:
        """Return order number -> client order id of the orders from number `first` to `last`."""
        names: dict[int, str] = {}
        while True:
            params: dict[str, str | int] = {"symbol": symbol, "limit": ROWS_MAX, "orderId": first}
            page = self._frames.orders(await self.get("/api/v3/allOrders", params, 20))
            names |= {row.orderId: original_id(row.clientOrderId) for row in page}
            if len(page) < ROWS_MAX or page[-1].orderId >= last:
                return names
            first = page[-1].orderId + 1
