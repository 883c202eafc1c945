"""What the daemon owns: balances, reserves, positions and fees; exact inside, floats in the desks' memory.

Balances are the account's, by asset: total (the venue's free and locked), reserved (the worst case of our
open orders) and free, the difference. Positions are a strategy's own, net of commissions taken in the base
asset, so that it never sells more than there is. What derivatives take as margin: daemon/orders/purse.py.
"""

from __future__ import annotations

from math import isfinite
from struct import Struct
from typing import TYPE_CHECKING, Final

from daemon.orders.funding import Fundings
from daemon.orders.money import UNIT, Apart, Holding, Multipliers, to_text, to_units
from daemon.orders.purse import MarginPurse, Purse
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

    from daemon.events import Balance, ExecutionReport, Funding
    from daemon.instruments import Instrument
    from daemon.orders.desk import Account, Desk
    from daemon.orders.order import Order
    from daemon.orders.records import FeeValued


_WORTH: Final = Struct("3d")
_SHORT: Final = "bring the difference back, or move the journal away, and resume"
#: units of a margin asset that a venue's rounding of each profit may add up to
_ROUNDED: Final = UNIT // 10_000
assert (A_DAY_PNL, A_DRAWDOWN) == (A_EQUITY + 1, A_EQUITY + 2), "they are written as one"


class Portfolio:
    """Balances and positions. Only daemon/orders/manager.py and recovery.py change it."""

    def __init__(
        self,
        instruments: Sequence[Instrument],
        desks: Sequence[Desk],
        reporting: str,
        day_offset_ns: int = 0,
        *,
        leverage: int = 1,
        isolated: bool = False,
    ) -> None:
        """Build it empty; `day_offset_ns` moves the day's boundary after midnight UTC.

        leverage, isolated: how the venue takes margin for derivatives.
        """
        self.instruments = instruments
        self.desks: list[Desk] = []
        self._accounts: list[Account] = []
        self.fundings = Fundings()
        self.trades = [TradeIds() for _ in instruments]
        self.holdings: dict[tuple[int, int], Holding] = {}  # (desk index, row)
        #: fees that wait for their value in the quote (daemon/orders/fees.py), by (desk index, row, asset)
        self.unvalued: dict[tuple[int, int, str], int] = {}
        self.worth = Valuation(instruments, reporting, day_offset_ns)
        self.margins = {
            asset: MarginPurse(asset, instruments, self.worth, leverage, isolated=isolated)
            for asset in {one.quote for one in instruments if not one.spot}
        }
        self.purses: dict[str, Purse] = {**self.margins}
        #: of each derivative, where its margin is taken from
        self._margin_of = [None if one.spot else self.margins[one.quote] for one in instruments]
        self._by = [Multipliers(instrument) for instrument in instruments]
        self._spot = [instrument.spot for instrument in instruments]
        self._base = [self.purse(instrument.base) for instrument in instruments]
        self._quote = [self.purse(instrument.quote) for instrument in instruments]
        self._held: list[list[tuple[Desk, int, Holding]]] = [[] for _ in instruments]
        for desk in desks:
            self.add_desk(desk)

    def add_desk(self, desk: Desk) -> None:
        """Take a desk into the books."""
        self.desks.append(desk)
        # an account is of one quote currency: who shares it sees what is free of that
        if desk.account not in self._accounts:
            self._accounts.append(desk.account)
            self._quote[desk.instruments[0]].show_in(desk.account.view, A_FREE_QUOTE)
        for row, index in enumerate(desk.instruments):
            if self._spot[index]:
                self._base[index].show_in(desk.position, row * POSITION_COLUMNS + P_FREE_BASE)
            holding = self.holdings.setdefault((desk.index, row), Holding())
            self._held[index].append((desk, row, holding))
            self._write_position(desk, row, holding)

    def purse(self, asset: str) -> Purse:
        """Return what there is of an asset, empty at first."""
        purse = self.purses.get(asset)
        if purse is None:
            purse = self.purses[asset] = Purse(asset)
        return purse

    @property
    def at_stake(self) -> bool:
        """Whether any strategy holds anything."""
        return any(holding.qty for holding in self.holdings.values())

    # --- reserves: what open orders may still cost --------------------------------------------------------
    def reserve(self, order: Order, leaves_lots: int) -> None:
        """Hold back the worst case of an order with so much still to trade; 0 gives all of it back."""
        index = order.instrument
        margin = self._margin_of[index]
        if margin is not None:
            margin.reserve(order, leaves_lots)
            return
        if order.side != BUY:
            purse = self._base[index]
            needed = leaves_lots * self._by[index].lot
        else:
            purse = self._quote[index]
            needed = leaves_lots * order.price_ticks * self._by[index].tick_lot
        if needed != order.reserved:
            purse.reserved += needed - order.reserved
            order.reserved = needed
            purse.show()

    # --- trades -------------------------------------------------------------------------------------------
    def fill(self, desk: Desk, row: int, side: int, report: ExecutionReport) -> bool:
        """Account for one trade of a desk's; return False when its fee waits for its value in the quote."""
        index = report.instrument
        by = self._by[index]
        lots = side * report.last_lots
        qty, notional = lots * by.lot, lots * report.last_ticks * by.tick_lot
        holding = self.holdings[desk.index, row]
        realised = holding.trade(qty, notional)
        base, quote = self._base[index], self._quote[index]
        if self._spot[index]:
            base.total += qty
            quote.total -= notional
        else:
            quote.total += realised
        valued = True
        if report.commission and not self._charge(index, holding, report, qty, notional):
            valued = False
            key = desk.index, row, report.commission_asset
            self.unvalued[key] = self.unvalued.get(key, 0) + to_units(report.commission)
        self._write_position(desk, row, holding)
        self._moved(index)
        return valued

    def fill_foreign(self, report: ExecutionReport) -> None:
        """Account for a trade of an order that is not ours: balances move, no position does."""
        index = report.instrument
        by = self._by[index]
        lots = report.side * report.last_lots
        if self.instruments[index].spot:
            self._base[index].total += lots * by.lot
            self._quote[index].total -= lots * report.last_ticks * by.tick_lot
        self._pay(self.purse(report.commission_asset), to_units(report.commission))
        self._moved(index)

    def fund(self, funding: Funding) -> None:
        """Account for what open derivatives cost or brought by themselves."""
        self.fundings.remember(funding)
        purse = self.purse(funding.asset)
        purse.total += to_units(funding.amount)
        purse.show()
        self.worth.move_balance(purse.asset, purse.total)
        if self.worth.known:
            self.worth.raise_peak()
        else:
            self.worth.settle()
        self.show_account()

    def _pay(self, purse: Purse, amount: int) -> None:
        if amount:
            purse.total -= amount
            purse.fees += amount
            self.worth.move_balance(purse.asset, purse.total)
            purse.show()

    def _charge(self, index: int, holding: Holding, report: ExecutionReport, qty: int, notional: int) -> bool:
        instrument = self.instruments[index]
        amount, asset = to_units(report.commission), report.commission_asset
        self._pay(self.purse(asset), amount)
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
        return False

    def value_fee(self, fee: FeeValued, strategy: int) -> None:
        """Take what a fee of ours that waited comes to; `strategy` is its desk's index in this run."""
        desk, key = self.desks[strategy], (strategy, fee.row, fee.asset)
        paid = int(fee.paid)
        left = self.unvalued.pop(key, paid) - paid
        if left:
            self.unvalued[key] = left
        holding = self.holdings[strategy, fee.row]
        holding.fees += int(fee.value)
        self._write_position(desk, fee.row, holding)

    def _moved(self, index: int) -> None:
        """Show and value what a trade of an instrument has moved."""
        base, quote = self._base[index], self._quote[index]
        worth = self.worth
        base.show()
        quote.show()
        worth.move_balance(base.asset, base.total)
        worth.move_balance(quote.asset, quote.total)
        spot = self._spot[index]
        if not spot:
            self._value_derivative(index)
        if spot and worth.known:
            worth.raise_peak()
        else:
            worth.settle()
        self.show_account()

    # --- values -------------------------------------------------------------------------------------------
    def mark(self, index: int, mid: float, *, show: bool = True) -> None:
        """Take an instrument's mid price and value what is held in it; an absurd one changes nothing.

        show: write what the account is worth to the desks; not before a fill, which does.
        """
        worth = self.worth
        if mid == worth.mids[index] or not 0.0 < mid < 1e300:
            return
        self._mark_positions(index, mid)
        moved = worth.mark(index, mid)
        self._move_margin(index)
        if moved and show:
            self.show_account()

    def mark_all(self, indices: Sequence[int], mids: Sequence[float]) -> None:
        """Take the mids (of all instruments) at these indices as `mark` does; the account is shown once."""
        worth = self.worth
        known = worth.mids
        news = [index for index in indices if mids[index] != known[index] and 0.0 < mids[index] < 1e300]
        for index in news:
            self._mark_positions(index, mids[index])
        if news and worth.mark_all(news, mids):
            self.show_account()
        for index in news:
            self._move_margin(index)

    def _mark_positions(self, index: int, mid: float) -> None:
        """Write what each strategy's position in an instrument would realise."""
        for desk, row, holding in self._held[index]:
            if holding.qty:
                desk.position[row * POSITION_COLUMNS + P_UNREALISED] = (
                    holding.qty_float * mid - holding.cost_float
                )

    def show_account(self) -> None:
        """Write equity, the day's result and the drawdown where strategies see them."""
        worth = self.worth
        shown = _WORTH.pack(worth.value, worth.day_pnl, worth.drawdown)
        for account in self._accounts:
            account.worth[:] = shown

    def revalue(self) -> None:
        """Value everything anew."""
        for margin in self.margins.values():
            margin.settle()
        for index, instrument in enumerate(self.instruments):
            if not instrument.spot:
                self._value_derivative(index)
        for purse in self.purses.values():
            self.worth.set_balance(purse.asset, purse.total)
        self.worth.settle()
        self.show_account()

    def _value_derivative(self, index: int) -> None:
        # what is listed no more was settled, and nobody tells its price
        held = [holding for _, _, holding in self._held[index]] if self.instruments[index].listed else []
        self.worth.quantity[index] = sum(holding.qty_float for holding in held)
        self.worth.cost[index] = sum(holding.cost_float for holding in held)
        self._move_margin(index)

    def _move_margin(self, index: int) -> None:
        margin = self._margin_of[index]
        if margin is not None:
            margin.move(index)

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

    def rebase(self) -> None:
        """Measure day and drawdown from now: a person asked for it."""
        self.worth.rebase()
        self.show_account()

    # --- the venue's figures ------------------------------------------------------------------------------
    def differences(self, balances: Mapping[str, Balance]) -> list[Apart]:
        """Return each of the venue's balances that is not what the trades make it."""
        told, found = _totals(balances), []
        rounded = {one.quote for one in self.instruments if not one.spot}
        for asset in sorted(told.keys() | self.purses.keys()):
            theirs, ours = told.get(asset, 0), self.purse(asset).total
            slack = _ROUNDED if asset in rounded else 0
            if abs(theirs - ours) > slack:
                text = f"the venue has {to_text(theirs)} {asset} where our trades make it {to_text(ours)}"
                found.append(Apart(asset, theirs - ours, text, slack))
        return found

    def position_differences(self, positions: Mapping[int, int]) -> list[Apart]:
        """Return each derivative of which the venue holds another position (lots) than we."""
        found = []
        for index, instrument in enumerate(self.instruments):
            if instrument.spot or not instrument.listed:
                continue
            theirs = positions.get(index, 0) * self._by[index].lot
            ours = sum(holding.qty for _, _, holding in self._held[index])
            if theirs != ours:
                text = (
                    f"the venue holds a position of {to_text(theirs)} {instrument.symbol} where our trades "
                    f"make it {to_text(ours)}: close the difference there by hand, or move the journal away, "
                    "and resume"
                )
                found.append(Apart(instrument.symbol, theirs - ours, text))
        return found

    def adopt(self, balances: Mapping[str, Balance], *, moved: bool) -> None:
        """Take over the venue's balances; `moved`: the difference came or went by hand, and is no profit."""
        self.set_total(_totals(balances), moved=moved)

    def set_total(self, total: Mapping[str, int], *, moved: bool = False) -> None:
        """Set every balance, in units; what is not named is gone. `moved` as of `adopt`."""
        changes: dict[str, int] = {}
        for asset in total.keys() | self.purses.keys():
            purse = self.purse(asset)
            changes[asset] = total.get(asset, 0) - purse.total
            purse.total = total.get(asset, 0)
            purse.show()
        if moved:
            self.worth.shift({asset: units for asset, units in changes.items() if units})
        self.revalue()

    def put_holding(self, desk: Desk, row: int, holding: Holding) -> None:
        """Set a position as it was saved."""
        index = desk.instruments[row]
        self.holdings[desk.index, row] = holding
        self._held[index] = [
            (other, at, holding if (other, at) == (desk, row) else held)
            for other, at, held in self._held[index]
        ]
        self._write_position(desk, row, holding)

    def balances_record(self, now_ns: int) -> Balances:
        """Return the balances as the journal holds them."""
        return Balances(now_ns, {asset: str(purse.total) for asset, purse in self.purses.items()})

    def held(self) -> dict[str, int]:
        """Return what the strategies hold of each base asset, together."""
        held: dict[str, int] = {}
        for index, instrument in enumerate(self.instruments):
            if instrument.spot and instrument.listed:
                own = sum(max(holding.qty, 0) for _, _, holding in self._held[index])
                held[instrument.base] = held.get(instrument.base, 0) + own
        return held

    def short_of(self) -> list[Apart]:
        """Return each base asset of which the strategies hold more than the account."""
        text = "the strategies hold {} {} and the account {}: " + _SHORT
        return [
            Apart(asset, total - own, text.format(to_text(own), asset, to_text(total)))
            for asset, own in self.held().items()
            if own > (total := self.purse(asset).total)
        ]


def _totals(balances: Mapping[str, Balance]) -> dict[str, int]:
    return {asset: to_units(balance.free + balance.locked) for asset, balance in balances.items()}
