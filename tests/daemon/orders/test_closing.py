from __future__ import annotations

from decimal import Decimal

import pytest

from daemon.events import Command
from daemon.instruments import make_instrument
from daemon.orders.closing import close_position, excess_stops, left, owed, release, trim_stops, withdraw
from daemon.orders.doubts import OrderRules
from daemon.orders.intents import Approved
from daemon.orders.order import State
from daemon.orders.risk import RiskLimits
from daemon.orders.windows import parse_windows
from kernels import dtypes as d
from tests.daemon.orders.conftest import HOUR, SECOND, btc_usdt


def stand(world, **more):
    """Return an order that the venue has taken."""
    order = world.place(**more)
    world.report("NEW", order)
    return order


def withdrawn(world):
    """Return what is cancelled by looking now."""
    before = len(world.venue.canceled)
    withdraw(world.orders, world.time.now_ns())
    return world.venue.canceled[before:]


def refuse_cancel(world, order):
    """Let a cancel be refused, and the order stand all the same."""
    world.report("CANCEL_REJECTED", order, code=-1003)
    world.report("STATUS", order, status="NEW")
    assert order.state is State.WORKING


def test_a_cancel_of_the_kill_switch_that_was_refused_is_asked_for_again(world):
    order = stand(world)
    assert withdrawn(world) == []
    world.orders.halt("cli", "enough")
    refuse_cancel(world, order)
    assert withdrawn(world) == []  # in a moment: the venue may have good reasons
    world.later(1)
    assert withdrawn(world) == [order.client_order_id]
    world.report("CANCELED", order)
    assert withdrawn(world) == []


def test_an_order_accepted_after_the_kill_switch_was_thrown_does_not_stand(world):
    order = world.place()
    world.report("TIMEOUT", order)
    world.orders.halt("cli", "enough")
    world.report("CANCEL_REJECTED", order, code=-2011)  # it had not arrived yet
    world.report("STATUS", order, status="NEW")
    world.later(1)
    assert withdrawn(world) == [order.client_order_id]


def test_a_run_that_begins_halted_cancels_what_the_one_before_left_standing(world):
    order = stand(world)
    world.orders.halt("cli", "enough")  # and killed, before the cancel was on its way
    world.later(2)
    again = world.restarted()
    mine = again.orders.life.open[order.client_order_id]
    before = len(again.venue.canceled)
    again.report("STATUS", mine, status="NEW")
    withdraw(again.orders, again.time.now_ns())
    assert again.venue.canceled[before:] == [order.client_order_id]


def test_what_a_strategy_that_warms_up_left_standing_is_cancelled(new_world):
    world = new_world(strategies={"cold": (0,), "warm": (0,)})
    mine, _ = stand(world, level=1), stand(world, strategy=1, level=2)
    world.later(2)
    world.risk.set_ready(world.desks[0], ready=False)
    assert withdrawn(world) == [mine.client_order_id]


def test_a_protective_stop_stands_until_it_is_released_and_is_cancelled_again_where_that_is_refused(world):
    bought = stand(world, qty=100)
    world.fill(bought, 1, 100)
    stop = stand(world, kind=d.STOP, side=d.SELL, price=5_900_000, qty=100, reduces=True)
    world.orders.halt("cli", "enough")
    world.later(2)
    assert withdrawn(world) == []
    release(world.orders, [stop], world.time.now_ns())
    assert world.venue.canceled == [stop.client_order_id]
    refuse_cancel(world, stop)
    release(world.orders, [stop], world.time.now_ns())
    assert len(world.venue.canceled) == 1  # in a moment
    world.later(1)
    release(world.orders, [stop], world.time.now_ns())
    assert len(world.venue.canceled) == 2


def test_flattening_sells_what_is_free_and_no_more(world):
    order = world.place(qty=200_000)
    world.report("NEW", order)
    world.fill(order, 1, 200_000, commission=Decimal("0.002"), commission_asset="BTC")
    world.orders.halt("cli", "enough")
    assert world.position(d.P_QTY) == 1.998
    closing = close_position(world.orders, world.desks[0], 0, 5_900_000, world.time.now_ns())
    assert (closing.side, closing.qty_lots, closing.kind) == (d.SELL, 199_800, d.TARGET)


def test_dust_is_not_flattened(world):
    order = world.place(qty=8)  # 4.8 USDT
    world.fill(order, 1, 8)
    assert close_position(world.orders, world.desks[0], 0, 6_000_000, world.time.now_ns()) is None


def test_a_position_beyond_the_largest_order_is_closed_piece_by_piece(new_world):
    btc = btc_usdt()
    small = type(btc)(
        **{**{name: getattr(btc, name) for name in btc.__struct_fields__}, "qty_max": Decimal(1)}
    )
    world = new_world([small])
    order = world.place(qty=250_000)
    world.fill(order, 1, 250_000)
    sold = []
    for trade_id in (2, 3, 4):
        closing = close_position(world.orders, world.desks[0], 0, 5_900_000, world.time.now_ns())
        sold.append(closing.qty_lots)
        world.fill(closing, trade_id, closing.qty_lots)
    assert sold == [100_000, 100_000, 50_000]
    assert close_position(world.orders, world.desks[0], 0, 5_900_000, world.time.now_ns()) is None


def test_what_open_orders_may_still_close_is_not_closed_twice(world):
    bought = stand(world, qty=1000)
    world.fill(bought, 1, 1000)
    stop = stand(world, kind=d.STOP, side=d.SELL, price=5_900_000, qty=600, level=1)
    now_ns = world.time.now_ns()
    world.orders.cancel(stop, now_ns)  # it may be triggered before that arrives
    closing = close_position(world.orders, world.desks[0], 0, 5_900_000, now_ns)
    assert (closing.side, closing.qty_lots) == (d.SELL, 400)
    assert close_position(world.orders, world.desks[0], 0, 5_900_000, now_ns) is None
    world.fill(closing, 2, 400)
    world.report("CANCELED", stop)
    assert close_position(world.orders, world.desks[0], 0, 5_900_000, now_ns).qty_lots == 600


def test_a_position_sold_short_of_the_accounts_own_coins_is_bought_back_whatever_is_left_of_them(new_world):
    world = new_world(balances={"USDT": "100000", "BTC": "0.01"})
    world.fill(world.place(side=d.SELL, qty=1000), 1, 1000)
    assert world.position(d.P_FREE_BASE) == 0.0
    closing = close_position(world.orders, world.desks[0], 0, 6_100_000, world.time.now_ns())
    assert (closing.side, closing.qty_lots) == (d.BUY, 1000)


def test_quotes_alone_are_withdrawn_where_only_they_are_meant(world):
    quote, stop = stand(world), stand(world, kind=d.STOP, side=d.SELL)
    assert withdrawn(world) == []
    world.later(1)
    world.risk.ration(True)
    assert withdrawn(world) == [quote.client_order_id]
    assert stop.state is State.WORKING


def test_a_strangers_order_that_is_to_stand_is_no_quote_of_ours(new_world):
    world = new_world(rules=OrderRules(foreign="adopt"))
    world.meet(open_orders=[world.listed("by-hand")])
    mine = stand(world, level=1)
    world.later(1)
    world.risk.blind = {(0, 0)}
    assert withdrawn(world) == [mine.client_order_id]
    assert world.orders.life.open["by-hand"].state is State.WORKING


@pytest.mark.parametrize("why", ["halt", "window"])
@pytest.mark.parametrize("waits", [True, False])
def test_what_somebody_has_waiting_for_its_trigger_is_neither_in_the_book_nor_in_the_way(
    new_world, why, waits
):
    """A sell that waits 10 % below the market, adopted; one that rests there would meet each of our buys."""
    world = new_world(
        rules=OrderRules(foreign="adopt"),
        limits=RiskLimits(windows=parse_windows(["tue 22:00-22:14"] if why == "window" else [])),
    )
    listed = world.listed("by-hand", stop=waits, side=d.SELL, price_ticks=5_400_000)
    world.meet(open_orders=[listed])
    assert (type(world.check(level=1)) is Approved) is waits
    if why == "halt":
        world.orders.halt("cli", "enough")
    world.later(120)
    world.risk.watch(world.portfolio, world.time.now_ns())
    assert world.risk.shut
    if waits:
        assert withdrawn(world) == world.venue.canceled == []


@pytest.fixture
def shared(new_world):
    """One account with a person, whose order the venue lists."""
    world = new_world(
        rules=OrderRules(foreign="adopt"), limits=RiskLimits(windows=parse_windows(["mon-sun 00:00-23:00"]))
    )
    world.meet(open_orders=[world.listed("by-hand")])
    return world


def late(world):
    """Let the trading window end."""
    world.later(HOUR / SECOND)
    world.risk.watch(world.portfolio, world.time.now_ns())


def stop(world):
    world.orders.command(Command(verb="stop", source="daemon"), world.time.now_ns())


def halt(world):
    world.orders.halt("http", "a person")


def is_cold(world):
    world.risk.set_ready(world.desks[0], False)


@pytest.mark.parametrize(("then", "gone"), [(stop, False), (late, False), (is_cold, False), (halt, True)])
def test_a_strangers_order_that_is_to_stand_is_ended_by_the_kill_switch_alone(shared, then, gone):
    world = shared
    mine = stand(world, level=1)
    world.later(2)
    then(world)
    withdraw(world.orders, world.time.now_ns())
    assert sorted(world.venue.canceled) == sorted([mine.client_order_id, *["by-hand"] * gone])
    world.report("CANCELED", mine)
    theirs = world.orders.life.open["by-hand"]
    assert (owed(world.orders), left(world.orders)) == (gone, [])
    if gone:
        refuse_cancel(world, theirs)
        world.later(2)
        assert withdrawn(world) == ["by-hand"]
    else:
        again = world.restarted(rules=OrderRules(foreign="adopt"))
        again.meet(open_orders=[world.listed("by-hand")])
        assert withdrawn(again) == []
        assert again.orders.life.open["by-hand"].state is State.WORKING


@pytest.mark.parametrize(
    ("kind", "state", "waited"),
    [
        (d.STOP, State.PENDING_NEW, True),
        (d.STOP, State.PENDING_CANCEL, True),
        (d.STOP, State.WORKING, False),
        (d.STOP, State.UNKNOWN, False),
        (d.REST, State.PENDING_NEW, True),
        (d.REST, State.WORKING, True),
        (d.REST, State.UNKNOWN, False),
    ],
)
def test_the_end_waits_for_what_should_not_outlive_it_and_for_stops_on_their_way(world, kind, state, waited):
    order = world.place(kind=kind)
    order.state = state
    assert owed(world.orders) is waited
    protects_nothing = (kind, state) == (d.STOP, State.WORKING)
    assert left(world.orders) == [order] * (kind == d.REST or protects_nothing)


def test_a_position_of_many_tiny_lots_is_closed_by_no_more_than_it_is(new_world):
    doge = make_instrument(  # Kraken's
        0, "kraken", "spot", "DOGE/USDT",
        tick_size="0.0000001", lot_size="0.00000001", qty_min="13", qty_max="100000000", notional_min="0.5",
    )  # fmt: skip
    world = new_world([doge], balances={"USDT": "1000000"})
    lots = 1_000_000 * 10**8
    bought = world.place(price=1_000_000, qty=lots)
    world.report("NEW", bought)
    world.fill(bought, 1, lots)
    closing = close_position(world.orders, world.desks[0], 0, 990_000, world.time.now_ns())
    assert closing.qty_lots == lots


def test_what_closes_a_position_is_of_no_more_notional_than_the_venue_takes(new_world):
    btc = make_instrument(
        0, "binance", "spot", "BTC/USDT", tick_size="0.01", lot_size="0.00001", qty_min="0.00001",
        qty_max="9000", notional_min="5", notional_max="9000000",
    )  # fmt: skip
    world = new_world([btc], balances={"USDT": "20000000"})
    for trade in (1, 2):
        bought = world.place(price=6_000_000, qty=100 * 10**5)
        world.report("NEW", bought)
        world.fill(bought, trade, 100 * 10**5)
    closing = close_position(world.orders, world.desks[0], 0, 5_950_000, world.time.now_ns())
    assert btc.qty.decimal(closing.qty_lots) * btc.price.decimal(closing.price_ticks) <= 9_000_000


# --- stops on Spot, where no exchange knows what reduces ---------------------------------------------------
def protect(world, *stops, bought=1000):
    """Buy, and let stops of (trigger, lots) stand; return them."""
    order = stand(world, qty=bought)
    world.fill(order, 1, bought)
    stopped = [
        stand(world, kind=d.STOP, side=d.SELL, level=level, price=price, qty=qty)
        for level, (price, qty) in enumerate(stops)
    ]
    world.later(1)
    return stopped


def sell(world, lots):
    """Let an exit fill."""
    world.fill(stand(world, side=d.SELL, price=6_100_000, qty=lots, kind=d.TARGET), 2, lots)


def trimmed(world):
    """Return what is cancelled and what is lowered by looking now."""
    canceled, amended = len(world.venue.canceled), len(world.venue.amended)
    trim_stops(world.orders, world.time.now_ns())
    return world.venue.canceled[canceled:], world.venue.amended[amended:]


def test_a_stop_that_lost_its_position_is_cancelled_and_again_where_that_is_refused(world):
    (stop,) = protect(world, (5_900_000, 1000))
    assert trimmed(world) == ([], [])
    sell(world, 1000)
    assert trimmed(world) == ([stop.client_order_id], [])
    assert trimmed(world) == ([], [])
    refuse_cancel(world, stop)
    assert trimmed(world) == ([], [])  # in a moment
    assert excess_stops(world.orders) == [(stop, 0)]
    world.later(1)
    assert trimmed(world) == ([stop.client_order_id], [])
    world.report("CANCELED", stop)
    assert excess_stops(world.orders) == []


def test_the_stops_nearest_to_the_market_keep_what_is_left_to_protect(world):
    far, near, middle = protect(world, (5_700_000, 300), (5_900_000, 300), (5_800_000, 400))
    sell(world, 500)
    assert trimmed(world) == ([far.client_order_id], [(middle.client_order_id, 200)])
    world.report("REPLACED", middle, qty_lots=200)
    world.report("CANCELED", far)
    assert trimmed(world) == ([], [])
    assert (near.state, middle.leaves_lots) == (State.WORKING, 200)


def test_a_stop_that_cannot_be_lowered_is_cancelled(world):
    (stop,) = protect(world, (5_900_000, 1000))
    sell(world, 400)
    assert trimmed(world) == ([], [(stop.client_order_id, 600)])
    world.report("AMEND_REJECTED", stop)
    world.report("STATUS", stop, status="NEW")
    world.later(1)
    assert trimmed(world) == ([stop.client_order_id], [])


def test_where_the_venue_lowers_nothing_a_stop_that_is_too_large_goes(world):
    world.venue.can_amend = False
    (stop,) = protect(world, (5_900_000, 1000))
    sell(world, 400)
    assert trimmed(world) == ([stop.client_order_id], [])


def test_a_stop_of_a_strategy_that_is_not_configured_any_more_goes_with_its_position(world):
    (stop,) = protect(world, (5_900_000, 1000))
    exits = stand(world, side=d.SELL, price=6_100_000, qty=1000, kind=d.TARGET)
    later = world.restarted(strategies={"new": (0,)})
    mine = later.orders.life.open[stop.client_order_id]
    later.report("STATUS", mine, status="NEW")
    assert later.orders.desks[mine.strategy].detached
    assert trimmed(later) == ([], [])
    later.fill(later.orders.life.open[exits.client_order_id], 2, 1000)
    assert trimmed(later) == ([stop.client_order_id], [])


def test_a_commission_leaves_no_stop_too_large_that_fits_to_the_lot(world):
    bought = stand(world, qty=1000)
    world.fill(bought, 1, 1000, commission=Decimal("0.000000000000001"), commission_asset="BTC")
    assert world.position(d.P_QTY) < 0.01
    stand(world, kind=d.STOP, side=d.SELL, price=5_900_000, qty=1000)
    assert trimmed(world) == ([], [])


def test_stops_of_futures_and_of_others_stand(new_world, perpetual):
    world = new_world([perpetual])
    protect(world, (5_900_000, 1000))
    sell(world, 1000)
    assert trimmed(world) == ([], [])  # the exchange knows that it only reduces
    spot = new_world(rules=OrderRules(foreign="adopt"))
    spot.meet(open_orders=[spot.listed("by-hand", stop=True, side=d.SELL, price_ticks=5_900_000)])
    assert spot.orders.life.open["by-hand"].kind == d.STOP
    assert trimmed(spot) == ([], [])
