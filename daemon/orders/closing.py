"""Ending what stands or is held: cancels, some asked for again, and the order that closes a position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.orders.intents import Refused
from daemon.orders.money import UNIT
from daemon.orders.order import ADOPTED_LEVEL, ANSWER_DUE, STANDING, State
from kernels.dtypes import (
    ACTION_COLUMNS,
    P_QTY,
    PLACE,
    POSITION_COLUMNS,
    REFUSED_NO_SLOT,
    REST,
    STOP,
    TARGET,
    X_DECIDED_HALF_TICKS,
    X_INSTRUMENT,
    X_KIND,
    X_PRICE_TICKS,
    X_QTY_LOTS,
    X_REDUCES,
    X_SIDE,
    X_SLOT,
    X_VERB,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.instruments import Instrument
    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders
    from daemon.orders.order import Order

#: an order is cancelled again so long after something was last asked of it
_AGAIN_NS: Final = 1_000_000_000
#: how far two quantities that are the same may lie apart as floats
_ROUNDING: Final = 1e-15


def _asked_lately(order: Order, now_ns: int) -> bool:
    return 0 <= now_ns - order.asked_ns < _AGAIN_NS


def _was_asked(order: Order) -> bool:
    """Whether something was asked of an order since it stands."""
    return order.asked_ns > order.since_ns


def stands(orders: Orders, order: Order) -> bool:
    """Whether an order of others is to stand, as adopted: only the kill switch ends it."""
    adopted = order.level == ADOPTED_LEVEL and orders.ids.parse(order.client_order_id) is None
    return adopted and orders.rules.foreign != "cancel"


def cancel_all(orders: Orders, now_ns: int, *, others: bool = True) -> None:
    """Cancel every open order but protective stops; with `others` the adopted ones too that are to stand."""
    for order in list(orders.life.open.values()):
        if order.kind != STOP and (others or not stands(orders, order)):
            orders.cancel(order, now_ns)


def withdraw(orders: Orders, now_ns: int) -> None:
    """Cancel again what should be gone and stands, but for protective stops.

    Orders of others that were adopted are no quotes, nobody here would move them: they are cancelled while
    the kill switch is thrown, and else never.

    Nothing should stand once the kill switch is thrown or a trading window is over, nor of a strategy that
    warms up. It was cancelled then; but a cancel may be lost or refused, the order's own acceptance may come
    later, and the run that asked may have ended.
    """
    for order in list(orders.life.open.values()):
        if order.state not in STANDING or order.kind == STOP:
            continue
        desk = orders.desks[order.strategy]
        unwanted = orders.risk.shut or not desk.ready
        if stands(orders, order):
            unwanted = orders.risk.halted
        elif order.kind == REST:  # one that could not be moved would go stale
            unwanted = not orders.risk.may_quote(desk, order.instrument)
        if unwanted and not _asked_lately(order, now_ns):
            orders.cancel(order, now_ns)


def give_way(orders: Orders, desk: Desk, action: list[int], instrument: int, now_ns: int) -> bool:
    """Cancel other strategies' quotes that an exit would meet; return whether there are any."""
    side, price = -action[X_SIDE], action[X_PRICE_TICKS]
    quotes = [
        order
        for order in orders.risk.live[instrument]
        if order.kind == REST and order.strategy != desk.index and not stands(orders, order)
        if order.side == side and side * (order.price_ticks - price) >= 0
    ]
    for order in quotes:
        if not (_was_asked(order) and _asked_lately(order, now_ns)):
            orders.cancel(order, now_ns)
    return bool(quotes)


def release(orders: Orders, stops: Iterable[Order], now_ns: int) -> None:
    """Cancel protective stops, and again where that was refused."""
    for stop in stops:
        if stop.state in STANDING and not (_was_asked(stop) and _asked_lately(stop, now_ns)):
            orders.cancel(stop, now_ns)


def excess_stops(orders: Orders) -> list[tuple[Order, int]]:
    """Return the stops on Spot that would sell more than the position they protect, and what each may keep.

    Nothing is reduce-only there: what exceeds the position would sell coins that no strategy bought. Those
    nearest to the market come first. The stops of others are theirs.
    """
    stops = [
        order
        for order in orders.life.open.values()
        if order.kind == STOP and order.state is not State.PENDING_CANCEL
        if orders.instruments[order.instrument].spot and orders.ids.parse(order.client_order_id)
    ]
    left: dict[tuple[int, int, int], int] = {}
    excess = []
    for stop in sorted(stops, key=lambda stop: stop.side * stop.price_ticks):
        key = (stop.strategy, stop.row, stop.side)
        if key not in left:
            position = orders.desks[stop.strategy].position[stop.row * POSITION_COLUMNS + P_QTY]
            left[key] = lots_of(orders.instruments[stop.instrument], max(-stop.side * position, 0.0))
        lots = orders.life.leaves(stop)
        if stop.state is State.PENDING_REPLACE:
            lots = min(lots, stop.asked_lots - stop.filled_lots)
        if lots > left[key] and stop.state in STANDING:
            excess.append((stop, left[key]))
        left[key] -= min(lots, left[key])
    return excess


def trim_stops(orders: Orders, now_ns: int) -> bool:
    """Lower or cancel the stops on Spot that exceed the position they protect; return whether any does.

    A strategy that is asked does so itself. One that failed, warms up or is not configured any more does not,
    and no run may leave such a stop behind.
    """
    excess = excess_stops(orders)
    for stop, lots in excess:
        asked = _was_asked(stop)
        if asked and _asked_lately(stop, now_ns):
            continue
        instrument = orders.instruments[stop.instrument]
        dust = instrument.is_dust(lots, instrument.price.decimal(stop.price_ticks))
        if dust or asked or not orders.venue.can_amend or not orders.amend(stop, lots, now_ns):
            orders.cancel(stop, now_ns)
    return bool(excess)


def owed(orders: Orders) -> bool:
    """Whether the venue owes its word: on an order that should not outlive us, on any that it was sent."""
    return any(
        order.state in ANSWER_DUE
        if order.kind == STOP or stands(orders, order)
        else order.state is not State.UNKNOWN
        for order in orders.life.open.values()
    )


def left(orders: Orders) -> list[Order]:
    """Return the open orders that should not outlive us."""
    more = [stop for stop, _ in excess_stops(orders)]
    return more + [one for one in orders.life.open.values() if one.kind != STOP and not stands(orders, one)]


def lots_of(instrument: Instrument, qty: float) -> int:
    """Return the whole lots in a quantity, whatever its sign."""
    lots = abs(qty) / instrument.qty.as_float
    nearest = round(lots)
    return nearest if abs(lots - nearest) <= 1e-6 + lots * _ROUNDING else int(lots)


def close_position(
    orders: Orders, desk: Desk, row: int, worst_ticks: int, now_ns: int, decided_half_ticks: int = 0
) -> Order | Refused | None:
    """Take a strategy's position to zero, at no worse than a price; None where what is left is dust.

    One order takes no more than the instrument's largest quantity and notional; the caller repeats until
    None. What open orders may still close is theirs, or both would: only a derivative's exchange knows what
    reduces.
    """
    instrument = orders.instruments[desk.instruments[row]]
    position = desk.position[row * POSITION_COLUMNS + P_QTY]
    side = -1 if position > 0 else 1
    qty_lots = lots_of(instrument, position)
    if instrument.spot:
        qty_lots -= sum(
            orders.life.leaves(order)
            for order in orders.risk.live[instrument.index]
            if order.strategy == desk.index and order.side == side
        )
    if instrument.spot and side < 0:
        free = orders.portfolio.purse(instrument.base).free / UNIT
        qty_lots = min(qty_lots, lots_of(instrument, max(free, 0.0)))
    qty_lots = min(qty_lots, int(instrument.qty_max / instrument.lot_size))
    if instrument.notional_max:
        worth = instrument.price.decimal(worst_ticks) * instrument.lot_size
        qty_lots = min(qty_lots, int(instrument.notional_max / worth))
    if instrument.is_dust(qty_lots, instrument.price.decimal(worst_ticks)):
        return None
    action = [0] * ACTION_COLUMNS
    action[X_VERB], action[X_INSTRUMENT], action[X_SLOT] = PLACE, row, desk.free_slot(row)
    action[X_KIND], action[X_SIDE], action[X_REDUCES] = TARGET, side, 1
    action[X_PRICE_TICKS], action[X_QTY_LOTS] = worst_ticks, qty_lots
    action[X_DECIDED_HALF_TICKS] = decided_half_ticks
    if action[X_SLOT] < 0:
        return orders.risk.refuse(REFUSED_NO_SLOT, desk, action, now_ns)
    verdict = orders.risk.check(desk, action, now_ns)
    return verdict if isinstance(verdict, Refused) else orders.submit(verdict)
