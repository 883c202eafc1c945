"""An order beside all others of its instrument: what one strategy's memory, all a kernel sees, does not show.

Whichever strategy's they are, adopted ones and those of unknown fate among them.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from daemon.orders.money import UNIT, to_units
from daemon.orders.order import ADOPTED_LEVEL
from daemon.orders.refusals import REFUSED_POSITION_MAX
from kernels.dtypes import (
    BUY,
    P_FREE_BASE,
    P_QTY,
    POSITION_COLUMNS,
    REFUSED_DUPLICATE,
    REFUSED_FREE_BALANCE,
    REFUSED_OPEN_ORDERS,
    REFUSED_POSITION_NOTIONAL,
    REFUSED_SELF_TRADE,
    REST,
    STOP,
    X_DECIDED_HALF_TICKS,
    X_INSTRUMENT,
    X_KIND,
    X_LEVEL,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_SIDE,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.orders.gates import Gates
    from daemon.orders.order import Order
    from daemon.orders.purse import Purse


class Crowd:
    """Compares an action with every open order and every strategy's position."""

    def __init__(self, instruments: Sequence[Instrument], gates: Gates, position_notional_max: float) -> None:
        """position_notional_max: of all strategies together, in the quote."""
        #: open orders per instrument; the manager keeps them
        self.live: list[list[Order]] = [[] for _ in instruments]
        #: what the account has of each instrument's base, and of what it is paid in; the manager gives them
        self.purses: Sequence[Purse] = ()
        self.pays: Sequence[Purse] = ()
        self._rows = gates.rows
        self._shared = gates.shared
        self._notional_max = position_notional_max
        self._lot = [instrument.qty.as_float for instrument in instruments]
        self._tick = [instrument.price.as_float for instrument in instruments]
        self._spot = [instrument.spot for instrument in instruments]
        #: so many the venue lets stand
        self._orders_max = [instrument.orders_max or inf for instrument in instruments]
        self._stops_max = [instrument.stops_max or inf for instrument in instruments]
        #: so much of the base, in units, the venue lets an account have; 0: as much as it likes
        self._position_max = [to_units(one.position_max) if one.spot else 0 for one in instruments]
        self._lot_units = [to_units(instrument.lot_size) for instrument in instruments]
        #: spot instruments that sell the same coins
        self._of_coin = [
            [other.index for other in instruments if one.spot and other.spot and other.base == one.base]
            for one in instruments
        ]
        #: spot instruments that sell the coins which a buy is paid in
        self._of_price = [
            [other.index for other in instruments if one.spot and other.spot and other.base == one.quote]
            for one in instruments
        ]

    def collides(self, desk: Desk, action: list[int], replaced: Order | None = None) -> int:
        """Return a refusal for an open order it must not stand beside, but for one that it replaces."""
        side, kind, price = action[X_SIDE], action[X_KIND], action[X_PRICE_TICKS]
        instrument = desk.instruments[action[X_INSTRUMENT]]
        live = self.live[instrument]
        for order in live:
            if order is replaced:
                continue
            if order.side == side:
                if order.strategy == desk.index and order.kind == kind and order.level == action[X_LEVEL]:
                    return REFUSED_DUPLICATE
            elif (
                order.kind == REST
                and kind != STOP
                and (price >= order.price_ticks if side == BUY else price <= order.price_ticks)
            ):
                return REFUSED_SELF_TRADE
        if kind == STOP:
            full = sum(order.kind == STOP for order in live) >= self._stops_max[instrument]
        else:  # what only reduces is for the venue to refuse: of some that are counted the fate is unknown
            beside = len(live) - (replaced is not None)
            full = not action[X_REDUCES] and beside >= self._orders_max[instrument]
        return REFUSED_OPEN_ORDERS if full else 0

    def crowds(self, desk: Desk, action: list[int], instrument: int) -> int:
        """Refuse what, in the worst case, makes the position of all strategies together too large.

        On spot also what would sell or spend the coins that another holds, or buy more than an account may
        have. The kernel counts what is in one strategy's slots: neither another's, nor an order that was
        adopted.
        """
        shared, side = self._shared[instrument], action[X_SIDE]
        if side == BUY and self._position_max[instrument] and self._owns_too_much(action, instrument):
            return REFUSED_POSITION_MAX
        if side == BUY and self._of_price[instrument] and self._spends_held(action, instrument):
            return REFUSED_FREE_BALANCE
        if (
            side != BUY
            and (shared or len(self._of_coin[instrument]) > 1)
            and self._sells_others(desk, action, instrument)
        ):
            return REFUSED_FREE_BALANCE
        if not shared:
            return 0
        held = sum(desk.position[row * POSITION_COLUMNS + P_QTY] for desk, row in self._rows[instrument])
        live = self.live[instrument]
        lots = action[X_QTY_LOTS] + sum(order.leaves_lots for order in live if order.side == side)
        ticks = max(action[X_PRICE_TICKS], action[X_DECIDED_HALF_TICKS] / 2)
        notional = (side * held + lots * self._lot[instrument]) * ticks * self._tick[instrument]
        return 0 if notional <= self._notional_max else REFUSED_POSITION_NOTIONAL

    def _owns_too_much(self, action: list[int], instrument: int) -> bool:
        """Whether a buy brings the account over what it may have of the base: free, locked, and being bought.

        By whichever symbol it is bought. What other programs buy is known once it has traded.
        """
        owned = self.purses[instrument].total + action[X_QTY_LOTS] * self._lot_units[instrument]
        for index in self._of_coin[instrument]:
            lots = sum(order.leaves_lots for order in self.live[index] if order.side == BUY)
            owned += lots * self._lot_units[index]
        return owned > self._position_max[instrument]

    def _spends_held(self, action: list[int], instrument: int) -> bool:
        """Whether a buy is paid in coins that strategies hold, by whichever symbol, and are not selling."""
        held = 0.0
        for index in self._of_price[instrument]:
            for other, row in self._rows[index]:
                held += max(other.position[row * POSITION_COLUMNS + P_QTY], 0.0)
            for order in self.live[index]:
                if order.level != ADOPTED_LEVEL and order.side != BUY:
                    held -= order.leaves_lots * self._lot[index]
        price = action[X_PRICE_TICKS] * self._tick[instrument]
        free = self.pays[instrument].free / UNIT - max(held, 0.0)
        return action[X_QTY_LOTS] * self._lot[instrument] * price > free * (1 + 1e-9)

    def _sells_others(self, desk: Desk, action: list[int], instrument: int) -> bool:
        """Whether it needs coins that other strategies hold, by whichever symbol, and are not selling."""
        if not self._spot[instrument]:
            return False
        theirs = 0.0
        for index in self._of_coin[instrument]:
            for other, row in self._rows[index]:
                if other is not desk:
                    theirs += max(other.position[row * POSITION_COLUMNS + P_QTY], 0.0)
            for order in self.live[index]:
                own = order.level != ADOPTED_LEVEL  # somebody else's sells coins that nobody here bought
                if own and order.side != BUY and order.strategy != desk.index:
                    theirs -= order.leaves_lots * self._lot[index]
        free = desk.position[action[X_INSTRUMENT] * POSITION_COLUMNS + P_FREE_BASE] - max(theirs, 0.0)
        return action[X_QTY_LOTS] * self._lot[instrument] > free * (1 + 1e-9)
