from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from daemon.orders.doubts import OrderRules
from daemon.orders.intents import Approved
from daemon.orders.risk import RiskLimits
from kernels import dtypes as d
from tests.daemon.orders.conftest import World, btc_usdt


@pytest.fixture
def btc():
    return btc_usdt()


def test_a_second_order_for_the_same_wish_is_refused_even_while_the_first_is_being_cancelled(world):
    order = world.place(level=3)
    assert world.check(level=3, slot=1).reason == "duplicate"
    world.report("NEW", order)
    world.orders.cancel(order, world.time.now_ns())
    assert world.check(level=3, slot=1).reason == "duplicate"
    world.report("CANCELED", order)
    assert isinstance(world.check(level=3, slot=1), Approved)


def test_another_level_side_kind_or_strategy_is_another_wish(new_world):
    world = new_world(strategies={"one": (0,), "two": (0,)})
    world.place(level=3)
    assert isinstance(world.check(level=4, slot=1), Approved)
    assert isinstance(world.check(level=3, slot=1, side=d.SELL, price=6_000_001), Approved)
    assert isinstance(world.check(level=3, slot=1, kind=d.TARGET), Approved)
    assert isinstance(world.check(strategy=1, level=3, slot=1), Approved)


@pytest.mark.parametrize(("side", "against", "through"), [(d.BUY, 6_000_000, 1), (d.SELL, 6_000_000, -1)])
def test_no_strategy_trades_with_another(new_world, side, against, through):
    world = new_world(strategies={"one": (0,), "two": (0,)})
    world.place(side=-side, price=against)
    for price in (against, against + through):
        for kind in (d.REST, d.TARGET):
            assert world.check(strategy=1, side=side, price=price, kind=kind).reason == "self_trade"
    assert isinstance(world.check(strategy=1, side=side, price=against - through), Approved)
    assert isinstance(world.check(strategy=1, side=side, price=against, kind=d.STOP), Approved)


def test_the_limit_on_a_position_counts_what_all_strategies_hold_and_have_on_order(new_world):
    """Each of 1000 lots at 60,000 is worth 600."""
    limits = RiskLimits(orders_per_s_max=1000.0, position_notional_max=1_850.0)
    world = new_world(strategies={"one": (0,), "two": (0,)}, limits=limits)
    more = {"price": 6_000_000, "decided": 12_000_000}
    world.fill(world.place(0, qty=1000, **more), 1, 1000)
    world.place(0, qty=1000, **more)  # on its way
    assert world.check(1, qty=1100, **more).reason == "position_notional_max"
    assert isinstance(world.check(1, qty=1000, **more), Approved)
    dear = {"price": 6_000_000, "decided": 12_400_000}  # worth more than the order's price says
    assert world.check(1, qty=1000, **dear).reason == "position_notional_max"
    assert isinstance(world.check(1, side=d.BUY, kind=d.TARGET, qty=9000, reduces=True, **more), Approved)


def test_the_limit_on_a_position_counts_an_order_that_was_adopted(new_world):
    limits = RiskLimits(orders_per_s_max=1000.0, position_notional_max=1_000.0)
    rules = OrderRules(foreign="adopt")
    world = new_world(strategies={"one": (0,)}, limits=limits, rules=rules)
    assert isinstance(world.check(0, qty=1000, level=1), Approved)
    listed = [World.listed("by-hand", qty_lots=1000)]
    world.meet(open_orders=listed)
    again = world.restarted(limits=limits, rules=rules)
    again.meet(open_orders=listed)
    for each in (world, again):
        assert each.check(0, qty=1000, level=1).reason == "position_notional_max"


def test_the_limit_of_the_venue_on_open_orders_counts_all_that_stand_but_nothing_that_reduces(new_world, btc):
    world = new_world([replace(btc, orders_max=2)], {"one": (0,), "two": (0,)})
    world.fill(world.place(0, qty=1000, level=9), 1, 1000)
    first = world.place(0, level=1)
    assert isinstance(world.check(1, level=1), Approved)
    world.place(1, level=1)
    assert world.check(1, level=2, slot=1).reason == "open_orders_max"
    exit_ = {"side": d.SELL, "kind": d.TARGET, "qty": 1000, "reduces": True, "price": 6_000_001}
    assert isinstance(world.check(0, slot=2, **exit_), Approved)
    world.report("NEW", first)
    world.orders.cancel(first, world.time.now_ns())
    assert world.check(1, level=2, slot=1).reason == "open_orders_max"
    world.report("CANCELED", first)
    assert isinstance(world.check(1, level=2, slot=1), Approved)


def test_the_limit_of_the_venue_on_stops_counts_those_of_all_strategies(new_world, btc):
    world = new_world([replace(btc, stops_max=2)], {"one": (0,), "two": (0,)})
    stop = {"kind": d.STOP, "side": d.SELL, "price": 5_900_000, "qty": 100, "reduces": True}
    for strategy in (0, 1):
        world.fill(world.place(strategy, qty=1000, level=9), strategy + 1, 1000)
        world.place(strategy, level=1)  # no stop
        world.place(strategy, level=2, slot=1, **stop)
    for strategy in (0, 1):
        assert world.check(strategy, level=3, slot=2, **stop).reason == "open_orders_max"
        assert isinstance(world.check(strategy, level=3, slot=2), Approved)


def test_no_more_is_bought_than_the_venue_lets_an_account_have(new_world, btc):
    """10 BTC are there, and 100,000 lots are one."""
    world = new_world([replace(btc, position_max=Decimal("10.005"))], {"one": (0,), "two": (0,)})
    assert isinstance(world.check(0, qty=500, level=1), Approved)
    assert world.check(0, qty=501, level=1).reason == "position_max"
    first = world.place(0, qty=300, level=1)
    assert isinstance(world.check(1, qty=200, level=1), Approved)
    assert world.check(1, qty=201, level=1).reason == "position_max"
    world.fill(first, 1, 100)  # what traded is in the balance, and bought no more
    assert isinstance(world.check(1, qty=200, level=1), Approved)
    assert world.check(1, qty=201, level=1).reason == "position_max"
    world.orders.cancel(first, world.time.now_ns())
    assert world.check(1, qty=201, level=1).reason == "position_max"  # it may trade still
    world.report("CANCELED", first)
    assert isinstance(world.check(1, qty=400, level=1), Approved)
    assert isinstance(world.check(1, qty=1000, level=1, side=d.SELL, price=6_000_001), Approved)


def test_buys_of_the_same_coin_by_another_symbol_count_and_a_symbol_without_the_filter_has_no_bound(
    new_world, btc
):
    euro = replace(btc, index=1, symbol="BTC/EUR", exchange_symbol="BTCEUR", quote="EUR")
    bounded = replace(btc, position_max=Decimal("10.005"))
    balances = {"BTC": "10", "USDT": "10000", "EUR": "10000"}
    world = new_world([bounded, euro], {"one": (0,), "two": (1,)}, balances=balances)
    world.place(1, qty=400, level=1)
    assert world.check(0, qty=101, level=1).reason == "position_max"
    assert isinstance(world.check(0, qty=100, level=1), Approved)
    assert isinstance(world.check(1, qty=1000, level=2, slot=1), Approved)


def test_a_replacement_that_does_not_fit_beside_what_it_replaces_is_a_cancel_first(new_world, btc):
    world = new_world([replace(btc, position_max=Decimal("10.005"))])
    old = world.place(qty=300, level=1)
    world.report("NEW", old)
    wish = {"slot": 1, "replaces": old.slot, "level": old.level, "price": old.price_ticks - 100}
    for qty, verb in ((201, d.CANCEL), (200, d.REPLACE)):
        assert world.check(verb=d.REPLACE, qty=qty, **wish).action[d.X_VERB] == verb


def test_a_replacement_counts_as_the_order_it_replaces(new_world, btc):
    world = new_world([replace(btc, orders_max=1)])
    old = world.place(level=1)
    world.report("NEW", old)
    new = world.replace(old)
    assert world.venue.replaced == [(old.client_order_id, new.client_order_id)]
    assert world.check(level=2, slot=2).reason == "open_orders_max"


def test_no_strategy_sells_the_coins_that_another_bought_by_another_symbol(new_world, btc):
    """Two symbols sell the same BTC; 1000 lots are 0.01 of it."""
    euro = replace(btc, index=1, symbol="BTC/EUR", exchange_symbol="BTCEUR", quote="EUR")
    balances = {"BTC": "0.015", "USDT": "10000", "EUR": "10000"}
    world = new_world([btc, euro], {"one": (0,), "two": (1,)}, balances=balances)
    held = world.place(0, qty=1000)
    world.fill(held, 1, 1000)  # 0.025 in all, of which 0.01 are the first one's
    sell = {"side": d.SELL, "kind": d.REST, "price": 6_000_001}
    assert isinstance(world.check(1, qty=1500, **sell), Approved)
    assert world.check(1, qty=1501, **sell).reason == "free_balance"
    world.place(0, slot=1, qty=400, level=5, side=d.SELL, kind=d.REST, price=6_000_002)
    assert isinstance(world.check(1, qty=1500, **sell), Approved)  # what it is selling is reserved already
    assert world.check(1, qty=1501, **sell).reason == "free_balance"


def test_no_strategy_pays_with_the_coins_that_another_bought(new_world, pair):
    """1000 lots are 0.01 BTC, and at 0.05 each 0.1 ETH, which cost 0.005."""
    world = new_world(pair, {"one": (0,), "two": (1,)}, balances={"BTC": "0.005", "USDT": "10000"})
    world.fill(world.place(0, qty=1000), 1, 1000)  # 0.015 in all, of which 0.01 are the first one's
    buy = {"side": d.BUY, "kind": d.REST, "price": 5_000}
    assert isinstance(world.check(1, qty=1000, **buy), Approved)
    assert world.check(1, qty=1001, **buy).reason == "free_balance"
    world.place(0, slot=1, qty=400, level=5, side=d.SELL, kind=d.REST, price=6_000_002)
    assert isinstance(world.check(1, qty=1000, **buy), Approved)  # what it is selling is reserved already
    assert world.check(1, qty=1001, **buy).reason == "free_balance"
    world.place(1, qty=600, **buy)
    assert isinstance(world.check(1, slot=1, level=1, qty=400, **buy), Approved)
    assert world.check(1, slot=1, level=1, qty=401, **buy).reason == "free_balance"


def test_an_adopted_order_sells_no_strategy_s_coins(new_world):
    rules = OrderRules(foreign="adopt")
    world = new_world(
        strategies={"one": (0,), "two": (0,)}, balances={"BTC": "0.015", "USDT": "10000"}, rules=rules
    )
    world.fill(world.place(0, qty=1000), 1, 1000)  # 0.025 in all, of which 0.01 are the first one's
    sell = {"side": d.SELL, "kind": d.REST, "price": 6_000_001}
    assert isinstance(world.check(1, qty=1500, **sell), Approved)
    by_hand = World.listed("by-hand", side=d.SELL, price_ticks=6_100_000, qty_lots=1500)
    world.meet({"BTC": "0.025", "USDT": "9400"}, open_orders=[by_hand])
    assert world.check(1, qty=100, **sell).reason == "free_balance"
    assert isinstance(world.check(0, qty=1000, **sell), Approved)
