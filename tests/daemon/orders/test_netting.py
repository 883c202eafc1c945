from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.events import Balance
from daemon.orders.audit import Alarm
from daemon.orders.netting import settle_opposite
from kernels import dtypes as d
from tests.daemon.orders.conftest import World, btc_usdt

OWNERS = ("a", "b", "c")


def traded(instrument, *trades):
    """Return a world whose strategies made these trades (strategy, signed lots, price), without a fee."""
    world = World([instrument], dict.fromkeys(OWNERS, (0,)), balances={"USDT": "1000000", "BTC": "100"})
    for number, (who, lots, ticks) in enumerate(trades):
        side = d.BUY if lots > 0 else d.SELL
        order = world.place(who, kind=d.TARGET, side=side, price=ticks, qty=abs(lots))
        world.fill(order, number, abs(lots))
    return world


def held(world):
    return [world.position(d.P_QTY, strategy) for strategy in range(len(OWNERS))]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(-500, 500).filter(bool),
            st.integers(5_000_000, 7_000_000),
        ),
        max_size=8,
    )
)
@settings(deadline=None, max_examples=60)
def test_what_is_opposite_is_settled_and_nothing_else_is_moved(trades):
    world = traded(btc_usdt(market="usdm"), *trades)
    world.portfolio.mark(0, 61_234.5)
    before, value = held(world), world.portfolio.worth.value
    settle_opposite(world.orders, world.time.now_ns())
    after = held(world)
    assert sum(after) == pytest.approx(sum(before))
    assert min(after) >= 0 or max(after) <= 0
    assert all(0 <= now / was <= 1 for now, was in zip(after, before, strict=True) if was)
    assert world.portfolio.worth.value == pytest.approx(value)
    assert bool(world.alarms()) == (min(before) < 0 < max(before))


def test_the_wallet_then_has_what_the_exchange_has_paid(perpetual):
    world = traded(perpetual, (0, 200, 5_000_000), (1, -150, 5_100_000))
    settle_opposite(world.orders, world.time.now_ns())
    assert held(world) == [0.0005, 0.0, 0.0]
    assert world.portfolio.differences({"USDT": balance("1000001.5"), "BTC": balance("100")}) == []
    (alarm,) = [one for one in world.audits if isinstance(one, Alarm)]
    assert alarm.kind == "settled"
    assert alarm.text.startswith(
        "0.0015 BTC of BTC/USDT:USDT are settled, which strategies held against each"
    )


def balance(text):
    return Balance(Decimal(text), Decimal(0))


def test_it_is_on_record_and_done_once(perpetual):
    world = traded(perpetual, (0, 200, 5_000_000), (1, -200, 5_100_000))
    settle_opposite(world.orders, world.time.now_ns())
    records = world.journal.records
    settle_opposite(world.orders, world.time.now_ns())
    assert world.journal.records == records
    again = world.restarted()
    assert held(again) == [0.0, 0.0, 0.0]
    assert again.portfolio.purse("USDT").total == world.portfolio.purse("USDT").total
    assert again.portfolio.holdings[1, 0].realised == world.portfolio.holdings[1, 0].realised > 0


def test_coins_are_each_strategys_own():
    world = traded(btc_usdt(), (0, 200, 5_000_000), (1, -150, 5_100_000))
    settle_opposite(world.orders, world.time.now_ns())
    assert held(world) == [0.002, -0.0015, 0.0]
