"""Binance USD-M over HTTP: the snapshot, what the WebSocket API cannot tell, and how the account is set up.

Requests that change something are made once: none of them sends an order.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import ConfigError, FrameError, NetError, VenueError
from daemon.events import Balance, MarginTerms, OpenOrder, VenueSnapshot
from daemon.venues.binance_rest import PASSING_PATIENT, ROWS_MAX, RestReader
from daemon.venues.binance_usdm_frames import BY_THEMSELVES, UsdmFrames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import ExecutionReport, Funding
    from daemon.instruments import Instrument
    from daemon.orders.order import Order
    from daemon.venues.binance_settings import UsdmSettings
    from daemon.venues.binance_usdm_wire import SymbolSetup
    from daemon.venues.binance_wire import TradeRow
    from daemon.venues.order_names import OrderNames

#: the longest span that trades are told of at once
_SPAN_MS: Final = 7 * 86_400_000
#: how often the maintenance margin is asked for, which the exchange changes some times a year
_TERMS_NS: Final = 3_600_000_000_000
#: a list of incomes has what was so long ago
_LATE_MS: Final = 3_600_000
_NOTHING: Final = Decimal(0)
_MARGIN_TYPES: Final = {"cross": "CROSSED", "isolated": "ISOLATED"}


class UsdmRest(RestReader):
    """Signed requests to USD-M."""

    prefix = "/fapi/v1"
    trades_path = "userTrades"
    weight_trades, weight_names, weight_name = 5, 5, 1
    weight_open, weight_all_open = 1, 40
    weight_book = 20
    #: of a position of this value the maintenance margin is looked up; the venue sets it
    position_notional_max = 0.0
    _terms_ns = _funded_ms = 0
    _maintenance_rate = 0.0

    @property
    def _usdm(self) -> UsdmFrames:
        assert isinstance(self._frames, UsdmFrames)
        return self._frames

    # --- the snapshot ---------------------------------------------------------------------------------------
    async def snapshot(
        self, instruments: Sequence[Instrument], since_ns: int, names: OrderNames
    ) -> VenueSnapshot:
        """Return wallets, positions, open orders and trades since `since_ns`, as at `wire_ns` or later."""
        wire_ns = self._seams.clock.now_ns()
        notes: list[str] = []
        trades: list[ExecutionReport] = []
        for instrument in instruments:
            trades += await self._trades(instrument, since_ns, names)
        open_orders = await self._open_orders(instruments, notes)
        open_orders += await self._open_stops(instruments, notes)
        funding = await self._fundings(since_ns)
        margin = await self._margin_terms()
        account = await self.get("/fapi/v3/account", {}, 5, self._usdm.usdm_account, patient=True)
        held = self._read(
            "/fapi/v3/account", account.positions, lambda rows: [self._usdm.position(row) for row in rows]
        )
        return VenueSnapshot(
            balances={row.asset: Balance(row.walletBalance, _NOTHING) for row in account.assets},
            open_orders=open_orders,
            trades=trades,
            wire_ns=wire_ns,
            notes=notes,
            positions={one[0]: one[1] for one in held if one is not None and one[1]},
            margin=margin,
            funding=funding,
            venue_ns=self._server.time_ms(wire_ns) * 1_000_000,
        )

    async def _fundings(self, since_ns: int) -> list[Funding]:
        """Return what positions cost or brought by themselves since then, or since it was last asked."""
        now_ms = self._server.time_ms(self._seams.clock.now_ns())
        since_ms = self._start_ms(since_ns)
        start_ms = max(min(since_ms, self._funded_ms or since_ms), now_ms - 12 * _SPAN_MS)
        found = [one for kind in BY_THEMSELVES for one in await self._incomes(kind, start_ms)]
        self._funded_ms = now_ms - _LATE_MS
        return found

    async def _incomes(self, kind: str, start_ms: int) -> list[Funding]:
        """Return the incomes of a kind, page by page."""
        found: dict[int, Funding] = {}
        now_ns = self._seams.clock.now_ns()
        while True:
            asked: dict[str, str | int] = {"incomeType": kind, "startTime": start_ms, "limit": ROWS_MAX}
            page = await self.get(
                "/fapi/v1/income", asked, 30, lambda body: self._usdm.fundings(body, now_ns), patient=True
            )
            before = len(found)
            found |= {one.id: one for one in page}
            if len(page) < ROWS_MAX or len(found) == before:
                return list(found.values())
            start_ms = page[-1].exch_ns // 1_000_000  # of that moment there may be more

    async def _margin_terms(self) -> MarginTerms:
        """Return the maintenance margin, known for an hour, and where the exchange liquidates positions."""
        now_ns = self._seams.clock.now_ns()
        if not 0 <= now_ns - self._terms_ns < _TERMS_NS:
            self._maintenance_rate = await self.get(
                "/fapi/v1/leverageBracket",
                {},
                1,
                lambda body: self._usdm.maintenance_rate(body, self.position_notional_max),
                patient=True,
            )
            self._terms_ns = now_ns
        rate = self._maintenance_rate
        return await self.get(
            "/fapi/v3/positionRisk", {}, 5, lambda body: self._usdm.margin_terms(body, rate), patient=True
        )

    async def _open_stops(self, instruments: Sequence[Instrument], notes: list[str]) -> list[OpenOrder]:
        """Return the conditional orders that wait."""
        rows = await self._open_rows("/fapi/v1/openAlgoOrders", instruments, self._usdm.algos)
        by_symbol = {one.exchange_symbol: one for one in instruments}
        found = []
        for row in rows:
            symbol, instrument = row.symbol, by_symbol.get(row.symbol)
            if instrument is None:
                continue  # of an instrument that is not traded here
            try:
                side, ticks, lots = self._usdm.algo_counts(row, instrument.index)
            except FrameError as error:
                self._on_frame_error(error)
                notes.append(
                    f"the venue has the conditional order {row.clientAlgoId} in {symbol}, which cannot be "
                    f"read ({error}) and is left alone: look at it there"
                )
                continue
            found.append(
                OpenOrder(
                    client_order_id=row.clientAlgoId,
                    venue_order_id="",
                    instrument=instrument.index,
                    side=side,
                    price_ticks=ticks,
                    qty_lots=lots,
                    cum_lots=0,
                    stop=True,
                )
            )
        return found

    async def _trade_rows(self, symbol: str, since_ns: int) -> list[TradeRow]:
        """Return the trades from `since_ns` on: by spans of time, and by number once a span is full."""
        rows: list[TradeRow] = []
        now_ms = self._time_ms()
        start_ms = max(self._start_ms(since_ns), now_ms - 12 * _SPAN_MS)  # the exchange keeps three months
        params: dict[str, str | int] = {"startTime": start_ms, "endTime": start_ms + _SPAN_MS}
        while True:
            page = await self._trade_page({"symbol": symbol, "limit": ROWS_MAX, **params}, patient=True)
            rows += page
            if len(page) == ROWS_MAX:
                params = {"fromId": page[-1].id + 1}
            elif "fromId" in params or start_ms + _SPAN_MS > now_ms:
                return rows
            else:
                start_ms += _SPAN_MS + 1
                params = {"startTime": start_ms, "endTime": start_ms + _SPAN_MS}

    # --- one order ------------------------------------------------------------------------------------------
    async def trades_of(self, order: Order, number: int) -> list[ExecutionReport]:
        """Return the trades of an order by its number, each with the order's count up to it."""
        symbol = self.symbols[order.instrument]
        asked: dict[str, str | int] = {"symbol": symbol, "orderId": number, "limit": ROWS_MAX}
        rows = await self._trade_page(asked, patient=False)
        wire_ns = self._seams.clock.now_ns()

        def reports(listed: list[TradeRow]) -> list[ExecutionReport]:
            found, cum_lots = [], 0
            for row in listed:
                report = self._frames.trade(row, order.instrument, order.client_order_id, wire_ns)
                cum_lots += report.last_lots
                found.append(msgspec.structs.replace(report, cum_lots=cum_lots))
            return found

        return self._read(f"{self.prefix}/{self.trades_path}", rows, reports)

    async def stop_status(self, order: Order) -> list[ExecutionReport]:
        """Return what became of a stop: its status, before it the trades of the order it set off."""
        name = order.client_order_id
        algo = await self.get("/fapi/v1/algoOrder", {"clientAlgoId": name}, 1, self._usdm.algo)
        if not algo.actualOrderId:
            return [self._usdm.algo_status(algo, order, self._seams.clock.now_ns())]
        params: dict[str, str | int] = {
            "symbol": self.symbols[order.instrument],
            "orderId": algo.actualOrderId,
        }
        now_ns = self._seams.clock.now_ns
        status = await self.get(
            "/fapi/v1/order", params, 1, lambda body: self._frames.status(msgspec.Raw(body), order, now_ns())
        )
        if status.cum_lots <= order.filled_lots:
            return [status]
        return [*await self.trades_of(order, int(algo.actualOrderId)), status]

    # --- how the account is set up --------------------------------------------------------------------------
    async def set_up(self, instruments: Sequence[Instrument], settings: UsdmSettings) -> None:
        """See to margin type and leverage of each instrument; raises ConfigError for what cannot be had.

        While the exchange fails, or limits us, it raises VenueError or NetError: who connects tries again.
        In hedge mode no order of ours is taken, so it is asked for even where the account is left as it is.
        """
        self.symbols = {instrument.index: instrument.exchange_symbol for instrument in instruments}
        await self.ask_time()
        if await self.get("/fapi/v1/positionSide/dual", {}, 30, self._usdm.hedges):
            raise ConfigError("the account is in hedge mode: switch it to one-way mode there")
        if settings.as_it_is:
            return
        if await self.get("/fapi/v1/multiAssetsMargin", {}, 30, self._usdm.pools):
            raise ConfigError("the account is in multi-assets mode: switch it to single-asset mode there")
        margin = _MARGIN_TYPES[settings.margin]
        for instrument in instruments:
            setup = await self._setup(instrument)
            if setup.marginType != margin:
                await self._change(instrument, "marginType", margin)
            if setup.leverage != settings.leverage:
                await self._change(instrument, "leverage", settings.leverage)
            setup = await self._setup(instrument)
            if (setup.marginType, setup.leverage) != (margin, settings.leverage):
                raise ConfigError(
                    f"{instrument.symbol} is at {setup.marginType} margin and leverage {setup.leverage} "
                    f"after {margin} and {settings.leverage} were asked for: look at it there"
                )

    async def _setup(self, instrument: Instrument) -> SymbolSetup:
        symbol = instrument.exchange_symbol
        setups = await self.get("/fapi/v1/symbolConfig", {"symbol": symbol}, 5, self._usdm.setups)
        found = next((one for one in setups if one.symbol == symbol), None)
        if found is None:
            raise ConfigError(f"the exchange does not tell how {instrument.symbol} is set up")
        return found

    async def _change(self, instrument: Instrument, name: str, value: str | int) -> None:
        try:
            params: dict[str, str | int] = {"symbol": instrument.exchange_symbol, name: value}
            await self._signed("POST", f"/fapi/v1/{name}", params, 1)
        except VenueError as error:
            if error.code in PASSING_PATIENT:
                raise
            raise ConfigError(
                f"{name} {value} cannot be had for {instrument.symbol} ({error}): close what stands in its "
                "way, or configure in [venue] what the exchange has"
            ) from None

    async def count_down(self, instruments: Sequence[Instrument], wait_ms: int) -> None:
        """Have each instrument's orders cancelled so much later, unless asked again before.

        Each is an attempt of its own: one that the exchange refuses, as of a symbol that it closed, or that
        is not answered, keeps it from none of the others. Raises the first refusal, or else a NetError.
        """
        failures = await asyncio.gather(*(self._count_down(one, wait_ms) for one in instruments))
        told = [failure for failure in failures if failure is not None]
        if told:
            raise next((one for one in told if isinstance(one, VenueError)), told[0])

    async def _count_down(self, instrument: Instrument, wait_ms: int) -> NetError | VenueError | None:
        """Ask it for one; return what became of it instead."""
        params: dict[str, str | int] = {"symbol": instrument.exchange_symbol, "countdownTime": wait_ms}
        try:
            await self._signed("POST", "/fapi/v1/countdownCancelAll", params, 10)
        except (NetError, VenueError) as error:
            return error
        return None
