"""What orders that are not ours have locked of the account: in symbols not traded here, say.

A venue tells balances and orders of two moments, and either may lag: what ours had locked when the balances
were told is no more than they may have had, and no less than they must. Between the two, what was known of
the others stays. Free coins that are taken for locked would hold back exits, and locked ones that are taken
for free are refused by the venue.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf, isfinite
from typing import TYPE_CHECKING, Final

from daemon.orders.audit import Alarm
from daemon.orders.money import Multipliers, to_text, to_units
from daemon.orders.order import State
from kernels.dtypes import BUY, TARGET

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

    def meet(self, snapshot: VenueSnapshot, since_ns: int, now_ns: int) -> None:
        """Take what is locked, less what ours had by then, at some moment since `since_ns`."""
        portfolio = self._orders.portfolio
        most, least = self._ours(snapshot, since_ns)
        for asset, purse in portfolio.purses.items():
            if asset not in portfolio.margins:
                told = snapshot.balances.get(asset)
                locked = to_units(told.locked) if told else 0
                low, high = locked - most.get(asset, 0), locked - least.get(asset, 0)
                purse.elsewhere = max(min(purse.elsewhere, high), low, 0)
                purse.show()
        self._tell_held_back(now_ns)

    def _ours(self, snapshot: VenueSnapshot, since_ns: int) -> tuple[dict[str, int], dict[str, int]]:
        """Return by asset, in units, what orders of ours may have locked since then, and what they must."""
        orders = self._orders
        listed = {
            order.client_order_id: told.qty_lots - told.cum_lots
            for told in snapshot.open_orders
            if (order := self._find(told)) is not None
        }
        most: dict[str, int] = {}
        least: dict[str, int] = {}
        for order in (*orders.life.open.values(), *orders.life.ended.values()):
            instrument, by = orders.instruments[order.instrument], self._by[order.instrument]
            told = listed.get(order.client_order_id, 0)
            lots = max(self._lots(order, since_ns), told)
            if lots and instrument.spot:
                buys = order.side == BUY
                lot = order.price_ticks * by.tick_lot if buys else by.lot
                asset = instrument.quote if buys else instrument.base
                most[asset] = most.get(asset, 0) + lots * lot
                stood = order.sent_ns < since_ns and not order.state.terminal
                if stood:  # and can only have shrunk since
                    least[asset] = least.get(asset, 0) + min(orders.life.leaves(order), told) * lot
        return most, least

    def _lots(self, order: Order, since_ns: int) -> int:
        """Return how much of an order may have been locked at any moment since then."""
        if order.changed_ns < since_ns:
            return 0 if order.state.terminal else self._orders.life.leaves(order)
        refused = order.state is State.REJECTED and not (order.venue_order_id or order.filled_lots)
        if refused or order.kind == TARGET:
            return 0  # it never stood: the other takes what is there, and goes
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
