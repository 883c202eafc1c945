from __future__ import annotations

import pytest

from daemon.orders.audit import Latched
from daemon.orders.order import State
from daemon.orders.risk import RiskLimits
from kernels import dtypes as d


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (RiskLimits(daily_loss_max=100.0), "the day lost 1000.00 USDT, more than 100"),
        (RiskLimits(drawdown_max=500.0), "the value fell 1000.00 USDT, more than 500"),
    ],
)
def test_a_loss_throws_the_kill_switch_once_and_cancels(new_world, limits, sentence):
    world = new_world(limits=limits)
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    order = world.place()
    world.report("NEW", order)
    world.portfolio.mark(0, 59_900.0)  # ten coins
    for _ in range(3):
        world.risk.watch(world.portfolio, world.time.now_ns())
    assert world.risk.latch.reason == sentence
    assert world.check(level=5, slot=5).reason == "halted"
    assert order.state is State.PENDING_CANCEL
    assert len([audit for audit in world.audits if isinstance(audit, Latched)]) == 1


def test_a_value_unknown_for_long_with_money_at_stake_is_told_once(new_world):
    world = new_world(limits=RiskLimits(drawdown_max=500.0))

    def watch(seconds):
        world.later(seconds)
        world.risk.watch(world.portfolio, world.time.now_ns())
        return world.alarms().count("unpriced")

    assert [watch(1), watch(20)] == [0, 0]  # nothing is at stake
    world.report("NEW", world.place())
    assert [watch(1), watch(9)] == [0, 0]
    assert world.risk.gate(0) == 0
    assert [watch(2), watch(1), watch(300)] == [1, 1, 1]
    assert world.risk.gate(0) == d.GATE_UNPRICED  # no loss could be seen
    assert world.audits[-1].text.startswith("for 11 s nobody has known what the account is worth")
    assert "BTC/USDT" in world.audits[-1].text
    assert watch(600) == 2
    world.portfolio.mark(0, 60_000.0)
    assert watch(1000) == 2
    assert world.risk.gate(0) == 0


@pytest.mark.parametrize("rests_s", [10_000, 5])
def test_while_the_value_is_unknown_a_quote_that_was_withdrawn_stays_away(new_world, rests_s):
    """A strategy without a position that moves its quote each `rests_s`, and obeys the gate."""
    world = new_world(limits=RiskLimits(drawdown_max=500.0))
    order, placed_s, at_risk_s = None, 0, 0
    for second in range(60):
        world.later(1)
        world.risk.watch(world.portfolio, world.time.now_ns())
        if order is not None and (world.risk.gate(0) or second - placed_s >= rests_s):
            world.orders.cancel(order, world.time.now_ns())
            world.report("CANCELED", order)
            order = None
        elif order is None and not world.risk.gate(0):
            order, placed_s = world.place(), second
            world.report("NEW", order)
        at_risk_s += order is not None
    assert at_risk_s < 15
    assert world.risk.gate(0) == d.GATE_UNPRICED
    assert world.alarms() == ["unpriced"]
    world.portfolio.mark(0, 60_000.0)
    world.risk.watch(world.portfolio, world.time.now_ns())
    assert world.risk.gate(0) == 0


def test_without_a_limit_on_losses_an_unknown_value_is_nobodys_business(world):
    world.report("NEW", world.place())
    for _ in range(3):
        world.later(20)
        world.risk.watch(world.portfolio, world.time.now_ns())
    assert world.alarms() == []
