"""Many orders by a line that fails at random: we end knowing what the exchange knows, and all came once."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
import pytest

from daemon.orders.closing import withdraw
from daemon.orders.intents import Approved
from daemon.orders.order import State
from daemon.simulator.warm import warm_up
from kernels.dtypes import BUY, P_QTY, REST, SELL, TARGET
from tests.daemon.venues.ccxt_kit import ORDER, RULES, SECOND, trade

#: what the exchange never had is found absent within a test
IMPATIENT = msgspec.structs.replace(RULES, absence_ns=2 * SECOND, not_found_min=2)
FAULTS = [
    "lose",
    "drop",
    "late",
    500,
    503,
    "{}",
    "not json",
    (429, "slow down", ("Retry-After", "1")),
    (307, "", ("Location", ORDER)),
]
STATES = {"closed": State.FILLED, "canceled": State.CANCELED, "expired": State.EXPIRED, "open": State.WORKING}


@pytest.fixture(scope="module", autouse=True)
def _warm():
    warm_up(synthetic=True)


def gone(kit):
    """Whether nothing stands any more; as the daemon does, cancel again what a line that was down kept."""
    withdraw(kit.world.orders, kit.world.time.now_ns())
    return not kit.world.orders.life.open and not kit.venue.is_short()


def doubted(kit):
    return [one for one in kit.world.orders.life.open.values() if one.state is State.UNKNOWN]


async def be_busy(kit, draw):
    """Place and cancel at random, each with a fault or without."""
    world = kit.world
    for _ in range(40):
        if draw.random() < 0.5:
            kit.front.faults[draw.choice(["POST", "POST", "DELETE", "GET"])] = draw.choice(FAULTS)
        # an order in doubt closes its market; told to keep still, nobody is asked for prices
        await kit.until(lambda: not doubted(kit) and not kit.venue.is_short(), 30)
        bid, ask = await kit.touch()
        working = [order for order in world.orders.life.open.values() if order.state is State.WORKING]
        if working and draw.random() < 0.3:
            world.orders.cancel(draw.choice(working), world.time.now_ns())
        else:
            kind, side = draw.choice([TARGET, REST]), draw.choice([BUY, SELL])
            away = 10_000 if kind == TARGET else -draw.choice([100, 50_000])
            price = ask + away if side == BUY else bid - away
            slot = world.desks[0].free_slot(0)
            wanted = world.action(kind=kind, side=side, price=price, qty=1_000, slot=slot, level=slot)
            verdict = world.risk.check(world.desks[0], wanted, world.time.now_ns())
            if slot >= 0 and isinstance(verdict, Approved):
                world.orders.submit(verdict)
        await asyncio.sleep(draw.choice([0, 0.01, 0.1]))


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(3, 16))]
)
def test_a_line_that_fails_at_random_costs_no_order_and_makes_none(seed):
    async def work(kit):
        await be_busy(kit, Random(seed))
        kit.front.faults.clear()
        orders = kit.world.orders
        answered = (State.PENDING_NEW, State.PENDING_CANCEL, State.UNKNOWN)
        await kit.until(lambda: all(o.state not in answered for o in orders.life.open.values()), 20)
        orders.halt("test", "that was all")
        await kit.until(lambda: gone(kit), 20)
        truth = await kit.truth()
        assert len(kit.front.placed) > 5
        assert truth.keys() <= set(kit.front.placed)
        assert len(set(kit.front.placed)) == len(kit.front.placed)
        for name in kit.front.placed:
            order = orders.life.find(name)
            if name not in truth:
                assert order.state in {State.VOID, State.REJECTED}
                continue
            assert order.filled_lots == kit.world.instruments[0].qty.parse(truth[name]["filled"])
            assert order.state is STATES[truth[name]["status"]]
        assert not {"contradiction", "overfill", "foreign_trade", "foreign_order"} & set(kit.world.alarms())
        there = (await kit.venue.snapshot(kit.world.time.now_ns())).balances["BTC"].free
        assert float(there) == pytest.approx(1 + kit.world.position(P_QTY), abs=1e-9)

    trade(work, rules=IMPATIENT)
