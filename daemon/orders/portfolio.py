"""What the daemon owns: balances, reserves, positions and fees; exact inside, floats in the desks' memory.

Balances are the account's, by asset: total (the venue's free and locked), reserved (the worst case of our
open orders) and free, the difference. Positions are a strategy's own, net of commissions taken in the base
asset, so that it never sells more than there is. A derivative holds back its margin at leverage one.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from daemon.orders.money import UNIT, Holding, Multipliers, to_decimal, to_text, to_units
from daemon.orders.records import Balances
from daemon.orders.trades import TradeIds
from daemon.orders.valuation import Valuation
from kernels.dtypes import (
    A_DAY_PNL,
    A_DRAWDOWN,
    A_EQUITY,
    A_FREE_QUOTE,
    BUY,
    P_AVG_PRICE,
    P_FEES,
    P_FREE_BASE,
    P_QTY,
    P_REALISED,
    P_UNREALISED,
    POSITION_COLUMNS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from daemon.events import Balance, ExecutionReport
    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.orders.order import Order


class Portfolio:
    """Balances and positions. Only daemon/orders/manager.py and recovery.py change it."""

    def __init__(
        self, instruments: Sequence[Instrument], desks: Sequence[Desk], reporting: str, day_offset_ns: int = 0
    ) -> None:
        """Build it empty; `day_offset_ns` moves the day's boundary after midnight UTC."""
        self.instruments = instruments
        self.desks: list[Desk] = []
        self.total: dict[str, int] = {}
        self.reserved: dict[str, int] = {}
        self.margin: dict[str, int] = {}
        self.fees: dict[str, int] = {}  # by asset, as they were charged
        self.trades = [TradeIds() for _ in instruments]
        self.holdings: dict[tuple[int, int], Holding] = {}  # (desk index, row)
        self.worth = Valuation(instruments, reporting, day_offset_ns)
        self._by = [Multipliers(instrument) for instrument in instruments]
        self._held: list[list[tuple[Desk, int, Holding]]] = [[] for _ in instruments]
        #: where each asset's free balance is shown: a view and a place in it
        self._shows_free: dict[str, list[tuple[memoryview[float], int]]] = {}
        for desk in desks:
            self.add_desk(desk)

    def add_desk(self, desk: Desk) -> None:
        """Take a desk into the books."""
        self.desks.append(desk)
        quote = self.instruments[desk.instruments[0]].quote
        self._shows_free.setdefault(quote, []).append((desk.account, A_FREE_QUOTE))
        for row, index in enumerate(desk.instruments):
            base = self.instruments[index].base
            at = row * POSITION_COLUMNS + P_FREE_BASE
            self._shows_free.setdefault(base, []).append((desk.position, at))
            holding = self.holdings.setdefault((desk.index, row), Holding())
            self._held[index].append((desk, row, holding))
            self._write_position(desk, row, holding)

    # --- reserves: what open orders may still cost --------------------------------------------------------
    def reserve(self, order: Order, leaves_lots: int) -> None:
        """Hold back the worst case of an order with so much still to trade; 0 gives all of it back."""
        instrument = self.instruments[order.instrument]
        by = self._by[order.instrument]
        if instrument.spot and order.side != BUY:
            asset, needed = instrument.base, leaves_lots * by.lot
        elif instrument.spot or not order.reduces:
            asset, needed = instrument.quote, leaves_lots * order.price_ticks * by.tick_lot
        else:
            return  # closing a derivative needs no margin
        more = needed - order.reserved
        if more:
            order.reserved = needed
            self.reserved[asset] = self.reserved.get(asset, 0) + more
            self._write_free(asset)

    def free(self, asset: str) -> int:
        """Return what is free at the venue, in units, net of reserves and margin."""
        return self.total.get(asset, 0) - self.reserved.get(asset, 0) - self.margin.get(asset, 0)

    def free_decimal(self, asset: str) -> Decimal:
        """Return what is free, exactly."""
        return to_decimal(self.free(asset))

    # --- trades -------------------------------------------------------------------------------------------
    def fill(self, desk: Desk, order: Order, report: ExecutionReport) -> bool:
        """Account for one trade of ours; return False when its fee could not be valued in the quote."""
        instrument = self.instruments[report.instrument]
        by = self._by[report.instrument]
        qty = order.side * report.last_lots * by.lot
        notional = order.side * report.last_lots * report.last_ticks * by.tick_lot
        holding = self.holdings[desk.index, order.row]
        cost_before = abs(holding.cost)
        realised = holding.trade(qty, notional)
        self._settle(instrument, qty, notional, realised, abs(holding.cost) - cost_before)
        priced = self._charge(instrument, holding, report, qty, notional)
        self._write_position(desk, order.row, holding)
        self._write_free(instrument.base)
        self._write_free(instrument.quote)
        self._revalue()
        return priced

    def fill_foreign(self, report: ExecutionReport) -> None:
        """Account for a trade of an order that is not ours: balances move, no position does."""
        instrument = self.instruments[report.instrument]
        by = self._by[report.instrument]
        qty = report.side * report.last_lots * by.lot
        notional = report.side * report.last_lots * report.last_ticks * by.tick_lot
        self._settle(instrument, qty, notional, 0, 0)
        self._pay(report.commission_asset, to_units(report.commission))
        self._write_free(instrument.base)
        self._write_free(instrument.quote)
        self._revalue()

    def _settle(self, instrument: Instrument, qty: int, notional: int, realised: int, margin: int) -> None:
        total = self.total
        quote = instrument.quote
        if instrument.spot:
            total[instrument.base] = total.get(instrument.base, 0) + qty
            total[quote] = total.get(quote, 0) - notional
        else:
            total[quote] = total.get(quote, 0) + realised
            self.margin[quote] = self.margin.get(quote, 0) + margin

    def _pay(self, asset: str, amount: int) -> None:
        if amount:
            self.total[asset] = self.total.get(asset, 0) - amount
            self.fees[asset] = self.fees.get(asset, 0) + amount

    def _charge(
        self, instrument: Instrument, holding: Holding, report: ExecutionReport, qty: int, notional: int
    ) -> bool:
        amount, asset = to_units(report.commission), report.commission_asset
        if not amount:
            return True
        self._pay(asset, amount)
        if asset == instrument.quote:
            holding.fees += amount
            return True
        if asset == instrument.base and instrument.spot:
            # as if so much had been sold at the fill's price and the proceeds paid as a fee: what is left
            # of the position is what the account really has
            value = amount * notional // qty
            holding.trade(-amount, -value)
            holding.fees += value
            return True
        rate = self.worth.rate(asset, instrument.quote)
        holding.fees += int(amount * rate) if isfinite(rate) else 0
        self._write_free(asset)
        return isfinite(rate)

    # --- values -------------------------------------------------------------------------------------------
    def mark(self, index: int, mid: float) -> None:
        """Take an instrument's mid price and value what is held in it; an absurd one changes nothing."""
        worth = self.worth
        if mid == worth.mids[index] or not 0.0 < mid < 1e300:
            return
        for desk, row, holding in self._held[index]:
            if holding.qty:
                desk.position[row * POSITION_COLUMNS + P_UNREALISED] = (
                    holding.qty_float * mid - holding.cost_float
                )
        if worth.mark(index, mid):
            self.show_account()

    def show_account(self) -> None:
        """Write equity, the day's result and the drawdown into every desk's account."""
        worth = self.worth
        value, day_pnl, drawdown = worth.value, worth.day_pnl, worth.drawdown
        for desk in self.desks:
            account = desk.account
            account[A_EQUITY] = value
            account[A_DAY_PNL] = day_pnl
            account[A_DRAWDOWN] = drawdown

    def _revalue(self) -> None:
        worth = self.worth
        for index, instrument in enumerate(self.instruments):
            if not instrument.spot:
                worth.quantity[index] = sum(holding.qty_float for _, _, holding in self._held[index])
                worth.cost[index] = sum(holding.cost_float for _, _, holding in self._held[index])
        worth.balances(self.total)
        self.show_account()

    def _write_position(self, desk: Desk, row: int, holding: Holding) -> None:
        holding.qty_float = holding.qty / UNIT
        holding.cost_float = holding.cost / UNIT
        at = row * POSITION_COLUMNS
        position = desk.position
        mid = self.worth.mids[desk.instruments[row]]
        position[at + P_QTY] = holding.qty_float
        position[at + P_AVG_PRICE] = holding.average
        position[at + P_REALISED] = holding.realised / UNIT
        position[at + P_FEES] = holding.fees / UNIT
        position[at + P_UNREALISED] = holding.qty_float * mid - holding.cost_float if isfinite(mid) else 0.0

    def _write_free(self, asset: str) -> None:
        free = self.free(asset) / UNIT
        for view, at in self._shows_free.get(asset, ()):
            view[at] = free

    def rebase(self) -> None:
        """Measure day and drawdown from now: a person resumed."""
        self.worth.rebase()
        self.show_account()

    # --- the venue's figures ------------------------------------------------------------------------------
    def differences(self, balances: Mapping[str, Balance]) -> list[str]:
        """Return a sentence for each of the venue's balances that is not what the trades make it."""
        told = _totals(balances)
        return [
            f"the venue has {to_text(told.get(asset, 0))} {asset} where our trades make it "
            f"{to_text(self.total.get(asset, 0))}"
            for asset in sorted(told.keys() | self.total.keys())
            if told.get(asset, 0) != self.total.get(asset, 0)
        ]

    def adopt(self, balances: Mapping[str, Balance], *, moved: bool) -> None:
        """Take over the venue's balances; `moved`: by hand, so that it is no profit and no loss."""
        before = self.worth.value
        self.set_total(_totals(balances))
        if moved:
            self.worth.shift(self.worth.value - before)
            self.show_account()

    def set_total(self, total: dict[str, int]) -> None:
        """Set every balance, in units."""
        self.total = total
        for asset in self._shows_free:
            self._write_free(asset)
        self._revalue()

    def put_holding(self, desk: Desk, row: int, holding: Holding) -> None:
        """Set a position as it was saved."""
        index = desk.instruments[row]
        self.holdings[desk.index, row] = holding
        self._held[index] = [
            (other, at, holding if (other, at) == (desk, row) else held)
            for other, at, held in self._held[index]
        ]
        instrument = self.instruments[index]
        if not instrument.spot:
            self.margin[instrument.quote] = sum(
                abs(held.cost)
                for other, rows in enumerate(self._held)
                if not self.instruments[other].spot and self.instruments[other].quote == instrument.quote
                for _, _, held in rows
            )
        self._write_position(desk, row, holding)

    def balances_record(self, now_ns: int) -> Balances:
        """Return the balances as the journal holds them."""
        return Balances(now_ns, {asset: str(units) for asset, units in self.total.items()})

    def short_of(self) -> list[str]:
        """Return a sentence for each base asset of which the strategies hold more than the account."""
        held: dict[str, int] = {}
        for index, instrument in enumerate(self.instruments):
            if instrument.spot:
                own = sum(max(holding.qty, 0) for _, _, holding in self._held[index])
                held[instrument.base] = held.get(instrument.base, 0) + own
        return [
            f"the strategies hold {to_text(own)} {asset} and the account {to_text(self.total.get(asset, 0))}"
            for asset, own in held.items()
            if own > self.total.get(asset, 0)
        ]


def _totals(balances: Mapping[str, Balance]) -> dict[str, int]:
    return {asset: to_units(balance.free + balance.locked) for asset, balance in balances.items()}
