from __future__ import annotations

import pytest

from daemon.events import MarginTerms
from daemon.orders.risk import RiskLimits
from kernels import dtypes as d
from tests.daemon.orders.conftest import World, btc_usdt

LIMITS = RiskLimits(orders_per_s_max=1000.0, liquidation_distance_min=0.1)


def held(new_world, **margin) -> World:
    """Two perpetuals, 3,000 long in the first on a wallet of 1,000."""
    instruments = [btc_usdt(index, "usdm") for index in range(2)]
    strategies = {"one": (0,), "two": (1,)}
    world = new_world(instruments, strategies, balances={"USDT": "1000"}, limits=LIMITS, leverage=4, **margin)
    world.portfolio.mark_all([0, 1], [60_000.0, 60_000.0])
    world.fill(world.place(kind=d.TARGET, qty=5000), 1, 5000)
    look(world)
    return world


def look(world: World) -> None:
    world.risk.watch(world.portfolio, world.time.now_ns())


def gates(world: World) -> list[int]:
    return [world.risk.gate(index) for index in range(2)]


@pytest.mark.parametrize(("isolated", "other"), [(False, d.GATE_LIQUIDATION), (True, 0)])
def test_nothing_is_added_to_a_position_that_is_too_near_and_what_reduces_passes(new_world, isolated, other):
    world = held(new_world, isolated=isolated)
    assert gates(world) == [0, 0]
    world.portfolio.mark(0, 45_500.0)
    look(world)
    assert gates(world) == [d.GATE_LIQUIDATION, other]
    assert world.check(side=d.BUY).code == d.GATE_LIQUIDATION
    world.place(kind=d.TARGET, side=d.SELL, qty=5000, price=4_400_000, reduces=True)
    assert world.alarms() == ["liquidation_near"]
    world.portfolio.mark(0, 60_000.0)
    look(world)
    assert gates(world) == [0, 0]


def test_a_person_is_told_once_and_again_after_ten_minutes(new_world):
    world = held(new_world)
    world.portfolio.mark(0, 43_000.0)
    for _ in range(3):
        look(world)
        world.later(1)
    assert world.alarms() == ["liquidation_near"]
    world.later(600)
    look(world)
    assert world.alarms() == ["liquidation_near"] * 2


def test_the_venues_own_figure_closes_it_too(new_world):
    world = held(new_world)
    world.meet(positions={0: 5000}, margin=MarginTerms(0.004, {0: (55_000.0, 5000)}))
    look(world)
    assert gates(world) == [d.GATE_LIQUIDATION] * 2
    world.meet(positions={0: 5000}, margin=MarginTerms(0.004, {0: (40_000.0, 5000)}))
    look(world)
    assert gates(world) == [0, 0]


def test_without_a_position_nothing_is_near(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "0"}, limits=LIMITS)
    look(world)
    assert world.risk.gate(0) == 0
