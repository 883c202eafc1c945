from __future__ import annotations

import pytest

from daemon.errors import ConfigError
from daemon.orders import records
from daemon.orders.checkpoint import load, save
from daemon.orders.order import State
from kernels import dtypes as d


def test_the_state_survives_bytes(world):
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    world.be_busy()
    saved = save(world.orders)
    assert records.unpack(records.pack(saved)) == saved


def test_loading_replaces_whatever_stood(new_world):
    world, other = new_world(), new_world()
    world.be_busy()
    other.place(level=77, qty=1)
    load(
        other.orders, records.unpack(records.pack(save(world.orders))), world_desk(other), lambda index: index
    )
    assert list(other.orders.life.open) == list(world.orders.life.open)
    assert other.slot(slot=0) == world.slot(slot=0)
    for asset, purse in world.portfolio.purses.items():
        assert other.portfolio.purse(asset).total == purse.total
        assert other.portfolio.purse(asset).reserved == purse.reserved
        assert other.portfolio.purse(asset).fees == purse.fees
    assert other.position(d.P_QTY) == world.position(d.P_QTY)


def world_desk(world):
    return lambda index, row: (world.desks[index], row)


def test_an_unknown_order_closes_its_instrument_again(new_world):
    world, other = new_world(), new_world()
    order = world.place()
    world.report("TIMEOUT", order)
    load(other.orders, save(world.orders), world_desk(other), lambda index: index)
    assert other.risk.gate(0) == d.GATE_UNKNOWN_ORDER


def test_trades_owed_are_owed_still(new_world):
    world, other = new_world(), new_world()
    order = world.place(qty=100)
    world.report("CANCELED", order, cum_lots=30)
    load(other.orders, save(world.orders), world_desk(other), lambda index: index)
    mine = other.orders.life.open[order.client_order_id]
    assert other.orders.life.leaves(mine) == 30
    other.fill(mine, 1, 30)
    assert mine.state is State.CANCELED


def test_the_margin_of_a_perpetual_is_held_back_again(new_world, perpetual):
    worlds = [new_world([perpetual], balances={"USDT": "10000"}) for _ in range(2)]
    order = worlds[0].place(kind=d.TARGET, side=d.SELL, qty=10_000, price=6_000_000)
    worlds[0].fill(order, 1, 10_000)
    load(worlds[1].orders, save(worlds[0].orders), world_desk(worlds[1]), lambda index: index)
    for world in worlds:
        world.portfolio.mark(0, 60_000.0)
    assert worlds[1].account(d.A_FREE_QUOTE) == worlds[0].account(d.A_FREE_QUOTE) == 4000.0


def test_what_is_not_configured_any_more_is_refused_by_who_translates(new_world):
    world, other = new_world(), new_world()
    world.be_busy()

    def gone(index, row):
        raise ConfigError("gone")

    with pytest.raises(ConfigError, match="gone"):
        load(other.orders, save(world.orders), gone, lambda index: index)
