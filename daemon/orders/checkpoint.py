"""The order side's whole state as one record, and back: what a new journal segment begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.orders import records
from daemon.orders.money import Holding
from daemon.orders.order import State
from daemon.orders.state import Event
from daemon.orders.trades import TradeIds
from kernels.dtypes import GATE_UNKNOWN_ORDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.orders.desk import Desk
    from daemon.orders.manager import Orders

#: ended orders kept across a restart, for reports that come late
_ENDED: int = 512
_STILL_OPEN = -1


def save(orders: Orders) -> records.Checkpoint:
    """Return the state as it stands."""
    life, portfolio = orders.life, orders.portfolio
    return records.Checkpoint(
        now_ns=orders.clock.now_ns(),
        latch=orders.risk.latch,
        orders=[
            msgspec.structs.replace(order, reserved=0)  # taken anew when it is loaded
            for order in [*life.open.values(), *list(life.ended.values())[-_ENDED:]]
        ],
        owed=[
            records.Owed(cid, _STILL_OPEN if event is None else int(event), cum_lots)
            for cid, (event, cum_lots) in life.owed.items()
        ],
        holdings=[
            records.SavedHolding(
                strategy, row, str(held.qty), str(held.cost), str(held.realised), str(held.fees)
            )
            for (strategy, row), held in portfolio.holdings.items()
        ],
        total={asset: str(purse.total) for asset, purse in portfolio.purses.items()},
        fees={asset: str(purse.fees) for asset, purse in portfolio.purses.items()},
        trades=[(ids.floor, ids.dump()) for ids in portfolio.trades],
        baseline=portfolio.worth.save(),
        last_trade_ns=life.last_trade_ns,
        unvalued=[(*key, str(units)) for key, units in portfolio.unvalued.items()],
        funded_ns=portfolio.fundings.since_ns,
        funding=portfolio.fundings.loose,
        funding_ids=portfolio.fundings.ids,
        trade_times=[(ids.floor_ns, ids.dump_times()) for ids in portfolio.trades],
    )


def load(
    orders: Orders,
    checkpoint: records.Checkpoint,
    place_of: Callable[[int, int], tuple[Desk, int]],
    instrument_of: Callable[[int], int],
) -> None:
    """Put the state back, replacing whatever stood.

    The functions translate a strategy's row, and an instrument, of the run that saved it; they raise
    ConfigError for what is not configured any more.
    """
    life, portfolio = orders.life, orders.portfolio
    life.clear()
    for desk in portfolio.desks:
        for row in range(len(desk.instruments)):
            portfolio.put_holding(desk, row, Holding())
    for saved in checkpoint.holdings:
        if saved.qty == "0" and saved.realised == "0" and saved.fees == "0":
            continue  # nothing is lost with a strategy that never traded
        holding = Holding(int(saved.qty), int(saved.cost), int(saved.realised), int(saved.fees))
        portfolio.put_holding(*place_of(saved.strategy, saved.row), holding)
    for asset, units in checkpoint.fees.items():
        portfolio.purse(asset).fees = int(units)
    portfolio.set_total({asset: int(units) for asset, units in checkpoint.total.items()})
    portfolio.unvalued = {}
    for strategy, row, asset, units in checkpoint.unvalued:
        desk, at = place_of(strategy, row)
        portfolio.unvalued[desk.index, at, asset] = int(units)
    portfolio.worth.load(checkpoint.baseline)
    for index, (floor, ids) in enumerate(checkpoint.trades):
        if ids or floor >= 0:
            floor_ns, times = checkpoint.trade_times[index] if checkpoint.trade_times else (0, [])
            portfolio.trades[instrument_of(index)] = TradeIds(ids, floor, times, floor_ns)
    life.owed = {
        owed.client_order_id: (None if owed.event == _STILL_OPEN else Event(owed.event), owed.cum_lots)
        for owed in checkpoint.owed
    }
    life.last_trade_ns = checkpoint.last_trade_ns
    fundings = portfolio.fundings
    fundings.since_ns, fundings.loose = checkpoint.funded_ns, list(checkpoint.funding)
    fundings.ids = dict(checkpoint.funding_ids)
    for order in checkpoint.orders:
        desk, order.row = place_of(order.strategy, order.row)
        order.strategy = desk.index
        order.instrument = instrument_of(order.instrument)
        order.reserved = 0
        if order.state >= State.FILLED:
            life.ended[order.client_order_id] = order
            continue
        life.enter(order)
        if order.state is State.UNKNOWN:
            orders.risk.close(order.instrument, GATE_UNKNOWN_ORDER)
    orders.risk.set_latch(checkpoint.latch)
