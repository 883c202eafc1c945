"""What derivatives take as margin, compared with a slow sum over everything."""

from __future__ import annotations

import random

import pytest

from daemon.events import MarginTerms
from daemon.orders.purse import MAINTENANCE_RATE, MarginPurse
from kernels import dtypes as d
from tests.daemon.orders.conftest import World, btc_usdt

LOT = 0.00001


def margin_of(world: World) -> MarginPurse:
    return world.portfolio.margins["USDT"]


@pytest.fixture
def levered(new_world, perpetual) -> World:
    world = new_world([perpetual], balances={"USDT": "1000"}, leverage=4)
    world.portfolio.mark(0, 60_000.0)
    return world


def test_an_order_takes_initial_margin_at_the_leverage_that_is_set(levered):
    levered.place(qty=1000, price=5_900_000)  # 0.01 BTC, 600 at the mid
    assert levered.account(d.A_EXPOSURE) == pytest.approx(600.0)
    assert levered.account(d.A_FREE_QUOTE) == pytest.approx(850.0)
    assert levered.account(d.A_MARGIN_BALANCE) == 1000.0
    assert levered.account(d.A_MAINTENANCE_RATE) == MAINTENANCE_RATE


def test_bids_and_asks_take_the_margin_of_the_larger_position_they_may_leave(levered):
    order = levered.place(qty=1000, kind=d.TARGET)
    levered.fill(order, 1, 1000)
    levered.place(qty=500, level=1, price=5_900_000)
    levered.place(qty=2000, level=2, side=d.SELL, price=6_100_000)
    assert levered.account(d.A_EXPOSURE) == pytest.approx(0.015 * 60_000)
    closing = levered.place(qty=1000, level=3, side=d.SELL, price=6_100_000, reduces=True)
    assert closing.reserved == 0
    assert levered.account(d.A_EXPOSURE) == pytest.approx(0.015 * 60_000)


def test_open_profit_secures_other_positions_in_cross_margin_alone(new_world, perpetual):
    balances = []
    for isolated in (False, True):
        world = new_world([perpetual], balances={"USDT": "1000"}, leverage=4, isolated=isolated)
        world.portfolio.mark(0, 60_000.0)
        world.fill(world.place(qty=1000, kind=d.TARGET), 1, 1000)
        world.portfolio.mark(0, 50_000.0)
        balances.append(world.account(d.A_MARGIN_BALANCE))
    assert balances == pytest.approx([900.0, 1000.0])


def test_what_the_venue_tells_replaces_what_was_assumed(levered):
    levered.meet(positions={}, margin=MarginTerms(0.004))
    assert levered.account(d.A_MAINTENANCE_RATE) == 0.004
    levered.meet(positions={})
    assert levered.account(d.A_MAINTENANCE_RATE) == 0.004, "no word changes nothing"


def test_a_distance_is_how_far_the_price_may_go_until_the_maintenance_margin_is_all(levered):
    levered.fill(levered.place(qty=5000, kind=d.TARGET), 1, 5000)  # 3,000 on 1,000
    ((index, far),) = margin_of(levered).distances()
    assert index == 0
    price = 60_000 * (1 - far)
    left = 1000 - 0.05 * (60_000 - price)
    assert left >= MAINTENANCE_RATE * 0.05 * price  # it is a lower bound
    assert left == pytest.approx(MAINTENANCE_RATE * 0.05 * 60_000 * (1 + far))


def test_an_isolated_position_has_its_own_margin_alone(new_world, perpetual):
    world = new_world([perpetual], balances={"USDT": "1000"}, leverage=10, isolated=True)
    world.portfolio.mark(0, 60_000.0)
    world.fill(world.place(qty=1000, kind=d.TARGET, side=d.SELL), 1, 1000)
    assert dict(margin_of(world).distances())[0] == pytest.approx((0.1 - 0.025) / 1.025)
    world.portfolio.mark(0, 63_000.0)  # a loss of 30 of the margin of 60
    assert dict(margin_of(world).distances())[0] == pytest.approx((30 - 0.025 * 630) / (630 * 1.025))


def test_the_venues_figure_counts_where_it_is_smaller_and_while_it_is_of_this_position(levered):
    levered.fill(levered.place(qty=3000, kind=d.TARGET), 1, 3000)
    own = dict(margin_of(levered).distances())[0]
    assert own == pytest.approx((1000 - 45) / 1845)
    levered.meet(positions={0: 3000}, margin=MarginTerms(0.025, {0: (54_000.0, 3000)}))
    assert dict(margin_of(levered).distances())[0] == pytest.approx(0.1)
    levered.meet(positions={0: 3000}, margin=MarginTerms(0.025, {0: (100.0, 3000)}))
    assert dict(margin_of(levered).distances())[0] == pytest.approx(own)
    levered.meet(positions={0: 3000}, margin=MarginTerms(0.025, {0: (54_000.0, 3001)}))
    assert dict(margin_of(levered).distances())[0] == pytest.approx(own)


def test_no_sequence_of_orders_fills_and_marks_makes_it_differ_from_a_sum_over_everything(new_world):
    instruments = [btc_usdt(index, "usdm") for index in range(3)]
    strategies = {f"s{index}": (index,) for index in range(3)}
    world = new_world(instruments, strategies, balances={"USDT": "100000"}, leverage=3)
    chance, trade, open_orders = random.Random(7), 0, []
    for index in range(2):
        world.portfolio.mark(index, 60_000.0)  # the third has no mid yet
    seen = 0
    for step in range(400):
        act, index = chance.choice(["place", "fill", "cancel", "mark"]), chance.randrange(3)
        if act == "place" and len(open_orders) < 12:
            side = chance.choice([d.BUY, d.SELL])
            price = 5_900_000 if side == d.BUY else 6_100_000
            more = {"level": step, "side": side, "price": price, "reduces": chance.random() < 0.2}
            open_orders.append(world.place(index, qty=chance.randint(1, 900), **more))
        elif act == "fill" and open_orders:
            order, trade = chance.choice(open_orders), trade + 1
            world.fill(order, trade, chance.randint(1, order.leaves_lots))
        elif act == "cancel" and open_orders:
            world.report("CANCELED", chance.choice(open_orders))
        elif act == "mark":
            world.portfolio.mark(index, chance.uniform(50_000, 70_000))
        open_orders = list(world.orders.life.open.values())
        expected = 0.0
        for at in range(3):
            lots = {d.BUY: 0, d.SELL: 0}
            for order in open_orders:
                lots[order.side] += order.leaves_lots * (order.instrument == at and not order.reduces)
            held = world.position(d.P_QTY, at)
            worst = max(abs(held + lots[d.BUY] * LOT), abs(held - lots[d.SELL] * LOT))
            expected += worst * world.portfolio.worth.mids[at] if worst else 0.0
        assert world.account(d.A_EXPOSURE) == pytest.approx(expected, nan_ok=True)
        seen += expected > 0
    assert seen > 200
