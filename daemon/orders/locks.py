"""What orders that are not ours have locked of the account: in symbols not traded here, say.

A venue tells balances and orders of two moments, and either may lag. So what an order of ours may have
locked counts as ours: free coins that were taken for locked would hold back exits, and locked ones that are
taken for free are refused by the venue.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

from daemon.orders.audit import Alarm
from daemon.orders.money import Multipliers, to_text, to_units
from kernels.dtypes import BUY

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.events import OpenOrder, VenueSnapshot
    from daemon.orders.manager import Orders
    from daemon.orders.order import Order

#: lots that no balance covers: of an order that was lowered nobody knows by how much
_ANY: Final = 1 << 62


class Locks:
    """Keeps `Purse.elsewhere`."""

    def __init__(self, orders: Orders, find: Callable[[OpenOrder], Order | None]) -> None:
        """`find` returns the order of ours that the venue lists."""
        self.held_back: set[str] = set()  # assets of which strategies hold more than they could sell
        self._orders = orders
        self._find = find
        self._by = [Multipliers(instrument) for instrument in orders.instruments]
        self._before: dict[str, int] = {}  # not ours, as of the last look

    def meet(self, snapshot: VenueSnapshot, since_ns: int, now_ns: int) -> None:
        """Take what is locked, less what our orders, open or changed since `since_ns`, may have.

        What is found beside such orders must be found twice; that it is less counts at once.
        """
        portfolio = self._orders.portfolio
        ours = self._ours(snapshot, since_ns)
        for asset, purse in portfolio.purses.items():
            if asset not in portfolio.margins:
                told = snapshot.balances.get(asset)
                theirs = max(to_units(told.locked) - ours.get(asset, 0), 0) if told else 0
                before = self._before.get(asset, 0) if asset in ours else theirs
                self._before[asset] = theirs
                purse.elsewhere = min(theirs, before)
                purse.show()
        self._tell_held_back(now_ns)

    def _ours(self, snapshot: VenueSnapshot, since_ns: int) -> dict[str, int]:
        """Return by asset, in units, what orders of ours may have locked when the balances were told."""
        orders = self._orders
        listed = {
            order.client_order_id: told.qty_lots - told.cum_lots
            for told in snapshot.open_orders
            if (order := self._find(told)) is not None
        }
        ours: dict[str, int] = {}
        for order in (*orders.life.open.values(), *orders.life.ended.values()):
            lots = max(self._lots(order, since_ns), listed.get(order.client_order_id, 0))
            instrument, by = orders.instruments[order.instrument], self._by[order.instrument]
            if lots and instrument.spot:
                buys = order.side == BUY
                units = lots * order.price_ticks * by.tick_lot if buys else lots * by.lot
                asset = instrument.quote if buys else instrument.base
                ours[asset] = ours.get(asset, 0) + units
        return ours

    def _lots(self, order: Order, since_ns: int) -> int:
        """Return how much of an order may have been locked since then."""
        if order.changed_ns < since_ns:
            return 0 if order.state.terminal else self._orders.life.leaves(order)
        lowered = order.since_ns > order.sent_ns and order.since_ns >= since_ns
        return _ANY if lowered else order.qty_lots

    def _tell_held_back(self, now_ns: int) -> None:
        """Tell once of coins that strategies hold and could not sell: an exit that is cut is no refusal."""
        portfolio = self._orders.portfolio
        held, before, self.held_back = portfolio.held(), self.held_back, set()
        for index, instrument in enumerate(self._orders.instruments):
            own, asset = held.get(instrument.base, 0), instrument.base
            if not (instrument.spot and own) or asset in self.held_back:
                continue
            purse = portfolio.purse(asset)
            lots = (min(own, purse.total) - purse.total + purse.elsewhere) // self._by[index].lot
            mid = portfolio.worth.mids[index]
            if lots <= 0 or instrument.is_dust(lots, Decimal(mid if isfinite(mid) else inf)):
                continue
            self.held_back.add(asset)
            if asset not in before:
                text = (
                    f"the strategies hold {to_text(own)} {asset} of the account's {to_text(purse.total)}, "
                    f"and orders that are not ours have {to_text(purse.elsewhere)} locked: exits and stops "
                    "are cut to the rest until those are gone"
                )
                self._orders.tell(Alarm("locked", text, now_ns))
