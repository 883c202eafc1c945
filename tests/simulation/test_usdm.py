"""The simulated world at USD-M futures: it keeps its promises, pays funding, and survives a liquidation."""

from __future__ import annotations

import pytest

from daemon.simulator.symbols import UNIT
from daemon.simulator.usdm.exchange import LIQUIDATION_ID
from tests.simulation.play import play
from tests.simulation.usdm import UsdmWorld


@pytest.mark.parametrize(
    ("seed", "level"), [(13, "usdm"), pytest.param(2, "usdm-bytes", marks=pytest.mark.heavy)]
)
def test_a_seed_at_futures_breaks_no_promise(seed, level):
    outcome = play(seed, level=level)
    assert not outcome.broken, outcome.text
    assert outcome.orders >= 200
    assert outcome.fills >= 100


def test_it_holds_both_sides_pays_funding_and_says_of_what_reduces_that_it_does():
    world = UsdmWorld(1, [])
    world.play()
    sent = {(order.side, order.reduce_only) for order in world.exchange.registry.orders.values()}
    assert sent == {(1, True), (-1, True), (1, False), (-1, False)}
    assert [one["row"]["incomeType"] for one in world.exchange.income].count("FUNDING_FEE") >= 5
    assert world.starts == 1


@pytest.mark.heavy
def test_a_liquidation_is_accounted_for():
    """Somebody takes out all the money, so that the exchange closes what is held, and pays it in again."""
    world, taken = UsdmWorld(3, []), []

    def take_out():
        taken.append(world.account.wallet("USDT") - UNIT // 10)
        world.exchange.deposit(world.account, "USDT", -taken[0])

    world.after(60, take_out)
    world.after(75, lambda: world.exchange.deposit(world.account, "USDT", taken[0]))
    world.play()
    orders = world.exchange.registry.orders.values()
    assert [order for order in orders if order.client_id.startswith(LIQUIDATION_ID)]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "bug", ["no dedupe", "re-send on timeout", "balances not compared", "strangers' orders left alone"]
)
def test_what_is_planted_is_found_at_futures_too(bug):
    assert sum(play(seed, bug=bug, level="usdm").promised for seed in range(1, 7)) >= 3


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(1000, 1020))
def test_twenty_seeds_at_futures_break_no_promise(seed):
    outcome = play(seed, level="usdm-bytes" if seed % 2 else "usdm")
    assert not outcome.broken, outcome.text
