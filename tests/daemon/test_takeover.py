from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from daemon.events import MarginTerms, VenueSnapshot
from daemon.instruments import NOT_LISTED
from daemon.orders.money import UNIT
from daemon.takeover import give_cost, take_over
from kernels import dtypes as d
from tests.daemon.orders.conftest import BOOT, World, btc_usdt

PERPETUAL = btc_usdt(market="usdm").symbol


def taken_over(world, positions=None, entries=None):
    """Let a desk of its own take over; return what each holds, in coins, and what that cost."""
    world.recovery.detach("other", tuple(range(len(world.instruments))))
    margin = MarginTerms(0.02, entries=entries or {})
    take_over(world.orders, "other", VenueSnapshot({}, [], [], 1, positions=positions, margin=margin))
    return {
        (desk.name, world.instruments[index].symbol): (holding.qty / UNIT, holding.cost / UNIT)
        for desk in world.orders.desks
        for row, index in enumerate(desk.instruments)
        if (holding := world.portfolio.holdings[desk.index, row]).qty
    }


def test_coins_that_no_strategy_holds_are_taken_over_once_though_two_symbols_sell_them():
    by_euro = replace(btc_usdt(1), symbol="BTC/EUR", exchange_symbol="BTCEUR", quote="EUR")
    world = World([btc_usdt(), by_euro])
    world.fill(world.place(kind=d.TARGET, qty=1000), 1, 1000)
    assert taken_over(world) == {("maker", "BTC/USDT"): (0.01, 600), ("other", "BTC/USDT"): (10, 0)}


def test_coins_of_a_symbol_that_is_listed_no_more_are_left():
    world = World([replace(btc_usdt(), status=NOT_LISTED)])
    assert taken_over(world) == {}


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ({0: 1000}, {("maker", PERPETUAL): (0.01, 600)}),  # as the strategies have it
        ({0: 300}, {("other", PERPETUAL): (0.003, 183)}),  # the exchange nets: nobody's part is known
        ({0: -300}, {("other", PERPETUAL): (-0.003, -183)}),
        ({}, {}),
    ],
)
def test_a_position_is_as_the_venue_has_it(positions, expected):
    world = World([btc_usdt(market="usdm")])
    world.fill(world.place(kind=d.TARGET, qty=1000), 1, 1000)
    assert taken_over(world, positions, {0: Decimal(61_000)}) == expected


def test_what_is_taken_over_is_on_record():
    world = World(begin=False)
    world.recovery.detach("other", (0,))
    world.recovery.begin("0", "", BOOT)
    world.meet({"USDT": "100000", "BTC": "10"})
    take_over(world.orders, "other", VenueSnapshot({}, [], [], 1))
    later = world.restarted()
    desk = later.orders.desks[1]
    assert (desk.name, later.portfolio.holdings[desk.index, 0].qty) == ("other", 10 * UNIT)


def test_coins_cost_what_they_fetch_once_that_is_known_and_selling_them_is_no_profit():
    world = World(begin=False)
    world.recovery.detach("other", (0,))
    world.recovery.begin("0", "", BOOT)
    world.meet({"USDT": "100000", "BTC": "10"})
    taken = take_over(world.orders, "other", VenueSnapshot({}, [], [], 1))
    held = world.portfolio.holdings
    for price, cost in ((0.0, 0), (60_000.5, 600_005), (1.0, 600_005)):
        give_cost(world.orders, "other", taken, [(price, price + 1)])
        assert (held[1, 0].qty, held[1, 0].cost) == (10 * UNIT, cost * UNIT)
    assert held[1, 0].trade(-10 * UNIT, -600_005 * UNIT) == 0
    assert world.restarted().portfolio.holdings[1, 0].cost == 600_005 * UNIT
