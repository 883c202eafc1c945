from __future__ import annotations

from decimal import Decimal

import pytest

from daemon.events import Balance, VenueSnapshot
from daemon.flatten import Flatten
from daemon.orders.closing import close_position
from daemon.orders.money import UNIT, to_text
from daemon.orders.order import Order, State
from kernels import dtypes as d
from tests.daemon.orders.conftest import SECOND, World

ASK = 6_100_000


def look(world, free, locked, open_orders=(), asked_ns=None, usdt_locked="0"):
    """Meet a venue that has so much BTC free, and so much locked, and of USDT what the trades make it."""
    usdt = Decimal(to_text(world.portfolio.purse("USDT").total)) - Decimal(usdt_locked)
    told = {"USDT": Balance(usdt, Decimal(usdt_locked)), "BTC": Balance(Decimal(free), Decimal(locked))}
    snapshot = VenueSnapshot(told, list(open_orders), [], world.time.now_ns())
    return world.recovery.meet(snapshot, asked_ns)


def free(world):
    return world.position(d.P_FREE_BASE)


def asks(world, qty=100_000, **more):
    """A sell of a whole coin, or so much, that stands."""
    order = world.place(side=d.SELL, price=more.pop("price", ASK), qty=qty, **more)
    world.report("NEW", order, venue_order_id=order.client_order_id)
    return order


def test_what_orders_elsewhere_have_locked_is_not_free(world):
    look(world, "6", "4")
    assert free(world) == 6.0
    again = world.restarted()
    look(again, "7", "3")
    assert (free(again), again.portfolio.purse("BTC").total) == (7.0, 10 * UNIT)
    look(again, "10", "0")
    assert free(again) == 10.0


def test_what_our_own_orders_have_locked_is_counted_once(world):
    order = asks(world)
    for _ in range(2):
        look(world, "5", "5", [World.listed(order)])  # one of the five is ours
    assert free(world) == 9.0 - 4.0
    world.later(60)
    world.fill(order, 1, 40_000)
    world.later(60)
    for _ in range(2):
        look(world, "5", "4.6", [World.listed(order)])
    assert free(world) == 9.0 - 4.0


def test_our_own_bids_lock_what_they_would_cost(world):
    bid = world.place(qty=100_000, price=6_000_000)
    world.report("NEW", bid, venue_order_id="1")
    for _ in range(2):
        look(world, "10", "0", [World.listed(bid)], usdt_locked="60100")
    assert world.account(d.A_FREE_QUOTE) == 100_000 - 60_000 - 100


def test_what_our_orders_cannot_have_locked_others_have_and_it_stays_while_ours_may_be_all_of_it(world):
    order = asks(world)
    look(world, "9", "1", [World.listed(order)])
    assert free(world) == 9.0
    look(world, "8", "2", [World.listed(order)])
    assert free(world) == 8.0
    look(world, "9", "1", [World.listed(order)])  # of a moment before ours stood, it may be
    assert free(world) == 8.0
    world.later(60)
    look(world, "9", "1", [World.listed(order)])  # ours stood, and has locked all there is
    assert free(world) == 9.0


@pytest.mark.parametrize("lag_s", [0.0, 1.0])
def test_an_own_quote_that_is_cancelled_between_balances_and_orders_locks_nothing(world, lag_s):
    quote = asks(world, 1_000_000)
    look(world, "0", "10", [World.listed(quote)])
    world.later(60)
    asked_ns = world.time.now_ns() + int(lag_s * 1e9)
    world.later(0.2)
    world.orders.cancel(quote, world.time.now_ns())
    world.report("CANCELED", quote)
    world.later(lag_s)
    look(world, "0", "10", [], asked_ns)
    assert free(world) == 10.0
    world.later(60)
    look(world, "0", "10", [World.listed(quote)])  # as long as it is listed
    assert free(world) == 10.0
    look(world, "0", "10")
    assert free(world) == 0.0  # that is not ours by now


def test_a_quote_that_moves_all_the_time_locks_nothing_for_good(world):
    quote = asks(world, 1_000_000)
    for _ in range(3):
        world.later(60)
        asked_ns = world.time.now_ns()
        world.later(0.2)  # balances are told, and then the quote moves, and the list is told in between
        world.orders.cancel(quote, world.time.now_ns())
        world.report("CANCELED", quote)
        quote = asks(world, 1_000_000)
        look(world, "0", "10", [], asked_ns)
    world.orders.cancel(quote, world.time.now_ns())
    world.report("CANCELED", quote)
    assert free(world) == 10.0


def test_what_is_freed_by_lowering_an_own_order_is_not_locked_by_others(world):
    quote = asks(world, 1_000_000)
    listed = World.listed(quote)
    world.later(60)
    for lots in (600_000, 200_000):
        asked_ns = world.time.now_ns()
        world.later(0.2)  # the balances are told, then the order is lowered
        world.orders.amend(quote, lots, world.time.now_ns())
        world.report("REPLACED", quote, qty_lots=lots)
        look(world, "0", "10", [World.listed(quote)], asked_ns)
        assert free(world) == pytest.approx(10 - lots / 100_000)
    assert listed.qty_lots > quote.qty_lots


def test_an_order_of_unknown_fate_is_counted_once_though_it_is_listed_without_its_name(world):
    quote = world.place(side=d.SELL, price=ASK, qty=400_000)
    world.report("TIMEOUT", quote)
    assert quote.state is State.UNKNOWN
    nameless = World.listed(quote, client_order_id="777", venue_order_id="777")
    for _ in range(2):
        world.later(60)
        look(world, "6", "4", [nameless])
    assert free(world) == 6.0


def test_a_position_can_be_closed_at_once_though_the_balances_still_show_its_own_quote(world):
    look(world, "0", "0")
    look(world, "0", "0")
    world.fill(world.place(qty=1000), 1, 1000)  # the account's only coins
    quote = asks(world, 1000, level=1, reduces=True)
    world.later(60)
    asked_ns = world.time.now_ns()
    world.later(0.2)
    world.orders.cancel(quote, world.time.now_ns())
    world.report("CANCELED", quote)
    look(world, "0", "0.01", [], asked_ns)
    assert isinstance(close_position(world.orders, world.desks[0], 0, 5_950_000, world.time.now_ns()), Order)
    assert "locked" not in world.alarms()


def test_coins_of_a_strategy_that_others_have_locked_are_told_of_once_and_looked_at_again_soon(world):
    world.fill(world.place(qty=300_000, price=1_000_000), 1, 300_000)
    world.later(60)
    assert not look(world, "3", "10").soon  # what is left is enough
    assert world.alarms() == []
    for _ in range(2):
        assert look(world, "1", "12").soon
    assert world.alarms() == ["locked"]
    assert world.audits[-1].text.startswith(
        "the strategies hold 3 BTC of the account's 13, and orders that are not ours have 12 locked: exits "
    )
    assert not look(world, "13", "0").soon
    look(world, "1", "12")
    assert world.alarms() == ["locked"] * 2


def test_what_no_order_is_taken_for_is_held_back_by_nobody(world):
    world.fill(world.place(qty=8, price=6_000_000), 1, 8)
    world.later(60)
    assert look(world, "0", "10.00008").soon  # what it is worth nobody knows yet
    world.portfolio.mark(0, 60_000.0)
    assert not look(world, "0", "10.00008").soon  # less than five USDT


# --- exits beside a lock of others --------------------------------------------------------------------------
def holder(new_world):
    """A world of which the one strategy holds all of the account's coins: a whole one."""
    world = new_world(balances={"USDT": "100000"})
    world.fill(world.place(qty=100_000), 1, 100_000)
    world.later(60)
    return world


def look_beside(world, locked, open_orders=()):
    """Meet a venue that has of the account's BTC so much locked for others."""
    left = Decimal(to_text(world.portfolio.purse("BTC").total)) - Decimal(locked)
    return look(world, left, locked, open_orders)


@pytest.mark.parametrize("kind", [d.TARGET, d.REST])
def test_what_others_have_locked_is_not_forgotten_because_an_exit_of_ours_traded(new_world, kind):
    world = holder(new_world)
    look_beside(world, "0.5")
    assert free(world) == 0.5
    order = world.place(kind=kind, side=d.SELL, qty=50_000, price=5_990_000, reduces=True)
    world.report("NEW", order, venue_order_id="x")
    world.fill(order, 2, 50_000)
    world.later(3)
    look_beside(world, "0.5")
    assert free(world) == 0.0
    look_beside(world, "0")
    assert free(world) == 0.5


def test_exits_beside_what_others_have_locked_are_not_refused_until_that_halts(new_world):
    world = holder(new_world)
    look_beside(world, "0.5")
    next_look_ns, sent = world.time.now_ns(), 0
    for _ in range(100):  # ten ticks a second; the strategy wants to be flat
        order = close_position(world.orders, world.desks[0], 0, 5_990_000, world.time.now_ns())
        if isinstance(order, Order):
            sent += 1
            assert order.qty_lots <= world.portfolio.purse("BTC").total * 100_000 // UNIT - 50_000
            world.report("NEW", order, venue_order_id=f"x{sent}")
            world.fill(order, 1 + sent, order.qty_lots)
        world.later(0.1)
        if world.time.now_ns() >= next_look_ns:
            next_look_ns += (5 if look_beside(world, "0.5").soon else 60) * SECOND
    assert (sent, world.position(d.P_QTY)) == (1, 0.5)


@pytest.mark.parametrize("pending", [False, True])
def test_exits_that_are_refused_do_not_hide_the_lock_that_refuses_them(new_world, pending):
    world = holder(new_world)
    look_beside(world, "0")
    for _ in range(3):
        exit_ = close_position(world.orders, world.desks[0], 0, 5_990_000, world.time.now_ns())
        world.report("REJECTED", exit_, reason="insufficient balance")
        quote = world.place(kind=d.REST, side=d.SELL, qty=100_000, price=ASK, reduces=True)
        world.report("REJECTED", quote, reason="insufficient balance")
        world.later(0.1)
    if pending:  # the next is on its way
        exit_ = close_position(world.orders, world.desks[0], 0, 5_990_000, world.time.now_ns())
    look_beside(world, "0.5")
    if pending:
        world.report("REJECTED", exit_, reason="insufficient balance")
    assert free(world) == 0.5


def test_a_stop_that_was_refused_at_its_trigger_had_stood(world):
    stop = asks(world, kind=d.STOP, price=5_900_000)
    world.report("REJECTED", stop)
    look(world, "9", "1")
    assert free(world) == 10.0


def test_a_flatten_sells_what_is_free_though_a_person_has_locked_a_part_since_the_last_look(new_world):
    world = holder(new_world)
    look_beside(world, "0")
    asked = []
    world.orders.doubts.ask_snapshot = lambda: asked.append(world.time.now_ns())
    world.orders.halt("command", "flatten", flatten=True)
    flatten = Flatten(world.orders, world.instruments, lambda _: (59_990.0, 60_010.0), 0.01)
    flatten.begin(world.time.now_ns())
    answered = 1
    for _ in range(300):
        for order in [world.orders.life.find(name) for name in world.venue.placed[answered:]]:
            answered += 1
            if order.qty_lots > 50_000:
                world.report("REJECTED", order, reason="Account has insufficient balance")
            else:
                world.report("NEW", order, venue_order_id=order.client_order_id)
                world.fill(order, answered, order.qty_lots)
        if asked:
            look_beside(world, "0.5")
            asked.clear()
        world.later(0.1)
        flatten.look(world.time.now_ns())
    assert world.position(d.P_QTY) == 0.5


def test_a_lock_of_others_counts_at_once_after_a_restart_though_a_stop_of_ours_stands(new_world):
    world = holder(new_world)
    stop = world.place(side=d.SELL, kind=d.STOP, price=5_000_000, qty=50_000, reduces=True)
    world.report("NEW", stop, venue_order_id="s")
    world.later(60)
    again = world.restarted()
    look(again, "0", "1", [World.listed(stop, stop=True)])
    assert free(again) == 0.0
    again.later(1)
    look(again, "0.5", "0.5", [World.listed(stop, stop=True)])  # they let go; ours stood all the while
    assert free(again) == 0.5
