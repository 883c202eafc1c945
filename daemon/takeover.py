"""What the account has and no strategy bought, held as if we had: `tickd flatten --direct` closes it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.orders.checkpoint import save
from daemon.orders.money import UNIT, Holding, to_units
from daemon.orders.records import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.events import VenueSnapshot
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders


def take_over(orders: Orders, name: str, snapshot: VenueSnapshot) -> dict[int, int]:
    """Give it to the desk of that name, which has a row for every instrument: coins, and positions.

    Return by row how many units of coins have no cost: what they were bought for nobody knows.
    """
    portfolio = orders.portfolio
    desk = next(one for one in orders.desks if one.name == name)
    taken: dict[int, int] = {}
    seen: set[str] = set()
    for row, instrument in enumerate(orders.instruments):
        own = portfolio.holdings[desk.index, row]
        if not instrument.spot:
            _take_position(orders, desk, row, snapshot)
            continue
        if instrument.base in seen or not instrument.listed:
            continue
        seen.add(instrument.base)
        held = sum(
            portfolio.holdings[one.index, at].qty
            for one in portfolio.desks
            for at, index in enumerate(one.instruments)
            if orders.instruments[index].base == instrument.base
        )
        more = portfolio.purse(instrument.base).total - held
        if more > 0:
            taken[row] = more
            portfolio.put_holding(desk, row, Holding(own.qty + more, own.cost, own.realised, own.fees))
    orders.record(pack(save(orders)))
    return taken


def give_cost(
    orders: Orders, name: str, taken: dict[int, int], prices: Sequence[tuple[float, float]]
) -> None:
    """Let coins that were taken over have cost what they would fetch now, so that selling them is no profit.

    What has a price leaves `taken`; until it has one nothing of it can be sold.
    """
    portfolio = orders.portfolio
    desk = next(one for one in orders.desks if one.name == name)
    priced = [row for row in taken if prices[row][0] > 0]
    for row in priced:
        own = portfolio.holdings[desk.index, row]
        cost = own.cost + taken.pop(row) * to_units(Decimal(prices[row][0])) // UNIT
        portfolio.put_holding(desk, row, Holding(own.qty, cost, own.realised, own.fees))
    if priced:
        orders.record(pack(save(orders)))


def _take_position(orders: Orders, desk: Desk, row: int, snapshot: VenueSnapshot) -> None:
    """Hold a derivative's position as the venue has it, where that is not what the strategies hold."""
    portfolio, instrument = orders.portfolio, orders.instruments[row]
    held = [
        (one, at, portfolio.holdings[one.index, at])
        for one in portfolio.desks
        for at, index in enumerate(one.instruments)
        if index == row
    ]
    lots = (snapshot.positions or {}).get(row, 0)
    qty = lots * to_units(instrument.lot_size)
    if qty == sum(holding.qty for _, _, holding in held):
        return
    for one, at, was in held:  # the venue nets, so what one of them holds cannot be closed by itself
        portfolio.put_holding(one, at, Holding(0, 0, was.realised, was.fees))
    entry = snapshot.margin.entries.get(row, Decimal(0)) if snapshot.margin else Decimal(0)
    own = portfolio.holdings[desk.index, row]
    cost = to_units(instrument.qty.decimal(lots) * entry)
    portfolio.put_holding(desk, row, Holding(qty, cost, own.realised, own.fees))
