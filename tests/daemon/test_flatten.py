"""Closing every position, and going on until that is done."""

from __future__ import annotations

from itertools import pairwise

import pytest

from daemon.config import RiskConfig, StrategyConfig
from daemon.orders.audit import Alarm
from daemon.orders.order import State
from kernels import dtypes as d
from kernels.dtypes import BUY, SELL


@pytest.fixture
def script(new_script):
    return new_script()


def test_a_flatten_closes_every_position_within_the_collar_and_halts(new_floor, new_script):
    scripts = [new_script(), new_script()]
    floor = new_floor(*scripts, market="usdm", streams=("trade", "quote"))
    floor.go_long(2.0, script=0)
    scripts[1].target(-1.0, 99.9)
    floor.quote()
    floor.later(0.003)
    scripts[1].wants = None
    assert [floor.position(0), floor.position(1)] == [2.0, -1.0]
    assert [order.decided_half_ticks for order in floor.sent()] == [20_002, 20_002]
    floor.audits.clear()
    assert floor.engine.flatten.left is None
    floor.command("flatten")
    assert floor.engine.flatten.left == [f"1 BTC of {floor.engine.orders.desks[0].name}", "1 open order"]
    (order,) = floor.sent()  # the exchange has 1 BTC in all
    assert (order.side, order.price_ticks, order.qty_lots, order.decided_half_ticks) == (
        SELL, 9910, 100_000, 20_002,
    )  # fmt: skip
    floor.later(0.003)
    assert [floor.position(0), floor.position(1)] == [0.0, 0.0]
    assert (floor.engine.state, floor.engine.flatten.left) == ("HALTED", [])
    floor.command("resume")
    assert floor.engine.flatten.left is None


def test_a_flatten_of_a_short_buys_within_the_collar(new_floor, script):
    floor = new_floor(script, market="usdm")
    floor.open_market()
    script.target(-1.0, 99.9)
    floor.quote()
    floor.later(0.003)
    script.wants = None
    floor.audits.clear()
    floor.command("flatten")
    assert [(order.side, order.price_ticks) for order in floor.sent()] == [(BUY, 10092)]


def test_a_flatten_of_futures_that_net_to_nothing_sends_nothing_and_ends(new_floor, new_script):
    floor = new_floor(new_script(), new_script(), market="usdm")
    floor.go_long(2.0)
    floor.scripts[1].target(-2.0, 99.9)
    floor.quote()
    floor.later(0.003)
    assert [floor.position(0), floor.position(1)] == [2.0, -2.0]
    floor.audits.clear()
    floor.command("flatten")
    floor.later(5)
    assert (floor.sent(), floor.engine.flatten.under_way) == ([], False)
    assert [kind for kind, _ in alarms(floor)] == ["settled"]
    later = floor.restarted(market="usdm")
    assert [later.position(0), later.position(1)] == [0.0, 0.0]


def nobody_bids(new_floor, script, **more):
    """Return a floor that holds 2 BTC of which nobody takes any, after a minute of flattening."""
    floor = new_floor(script, **more)
    floor.go_long(2.0)
    floor.audits.clear()
    floor.quote(qty=0.0)
    floor.command("flatten")
    for _ in range(300):
        floor.quote(qty=0.0)
        floor.later(0.2)
    assert floor.position() == 2.0
    return floor


def test_a_flatten_that_gets_nowhere_is_told_and_does_not_use_up_the_days_orders(new_floor, script):
    floor = nobody_bids(new_floor, script)
    assert [kind for kind, _ in alarms(floor)] == ["unprotected"]
    times = [order.sent_ns for order in floor.sent()]
    apart = [after - before for before, after in pairwise(times)]
    assert apart == sorted(apart)
    assert (apart[0], apart[-1]) == (pytest.approx(1e8, abs=5e7), pytest.approx(5e9, abs=1e8))
    assert len(times) < 25
    floor.later(600)
    assert [kind for kind, _ in alarms(floor)] == ["unprotected"] * 2


@pytest.mark.parametrize("price", [100.0, 99.0])
def test_a_flatten_that_waits_goes_on_at_once_where_prices_have_moved(new_floor, script, price):
    floor = nobody_bids(new_floor, script)
    orders = len(floor.sent())
    floor.quote(price, price + 0.02, qty=0.0)
    floor.later(0.2)
    assert (len(floor.sent()) > orders) is (price != 100.0)


def test_a_flatten_that_was_held_up_goes_on_at_once(new_floor, script):
    floor = nobody_bids(new_floor, script)
    reopen = close_market(floor)
    floor.later(0.2)
    reopen()
    floor.quote()
    floor.later(0.2)
    assert floor.position() == 0.0


def test_what_trades_little_by_little_is_tried_ten_times_a_second(new_floor, script):
    floor = nobody_bids(new_floor, script)
    floor.quote(qty=0.1)
    while floor.position() == 2.0:
        floor.later(0.1)
    for step in range(10):
        floor.quote(99.99 - step / 100, 100.02, qty=0.1)  # too little of a move to count as one
        floor.later(0.1)
    assert floor.position() < 1.3


def test_a_flatten_whose_orders_come_to_nothing_is_told_though_a_stop_stands(new_floor, script):
    floor = protected(new_floor, script, market="usdm")
    floor.quote(qty=0.0)
    floor.command("flatten")
    floor.later(60)
    ((kind, text),) = alarms(floor)
    assert kind == "flatten"
    assert text.startswith("flatten has traded nothing of 2 BTC of")
    assert stops(floor) == [State.WORKING]


def test_a_flatten_gets_past_our_own_resting_orders(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    script.rest((BUY, 100.0, 1.0), (SELL, 100.02, 1.0))
    floor.quote()
    floor.later(0.2)
    script.wants = None
    floor.command("flatten")
    floor.later(0.3)
    assert floor.position() == 0.0
    assert floor.core.orders.life.open == {}


def test_a_flatten_waits_for_what_our_own_orders_hold_back(new_floor, script):
    floor = new_floor(script, balances={"USDT": "100000"})
    floor.go_long(2.0)
    script.wants = [[d.REST, 0, 0, SELL, 100.02, 1.5], [d.STOP, 0, 1, SELL, 95.0, 0.5]]
    floor.quote()
    floor.later(0.2)
    script.wants = None
    assert floor.core.orders.portfolio.purse("BTC").free == 0
    floor.command("flatten")
    floor.later(0.3)
    assert floor.position() == 0.0


def test_a_flatten_goes_on_until_all_is_closed(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    floor.quote(qty=0.5)  # so much is bid for
    floor.command("flatten")
    floor.later(0.003)
    assert floor.position() == 1.5
    for bid in (99.99, 99.98, 99.97):
        floor.quote(bid, 100.02, qty=0.5)
        floor.later(0.15)
    assert floor.position() == 0.0
    orders = len(floor.sent())
    floor.later(2)
    assert len(floor.sent()) == orders


def test_a_flatten_is_not_held_up_by_a_strategy_that_wants_its_stop_back(new_floor, script):
    floor = new_floor(script, balances={"USDT": "100000"})
    floor.go_long(2.0)
    script.wants = [[d.STOP, 0, 1, SELL, 95.0, 2.0]]
    floor.quote()
    floor.later(0.2)
    assert floor.core.orders.portfolio.purse("BTC").free == 0
    floor.command("flatten")
    for _ in range(100):
        floor.quote()
        floor.later(0.004)
    assert floor.position() == 0.0
    assert floor.core.orders.life.open == {}


def test_a_flatten_closes_what_was_on_its_way_when_it_began(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    script.target(2.0, 100.02)
    floor.quote()
    floor.command("flatten")
    script.wants = None
    assert floor.position() == 0.0
    floor.later(0.003)
    assert floor.position() == 2.0
    floor.later(0.3)
    assert floor.position() == 0.0


def test_a_resume_ends_a_flatten(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    floor.quote(qty=0.5)
    floor.command("flatten")
    floor.later(0.003)
    floor.command("resume")
    floor.quote(99.99, 100.02)
    floor.later(1)
    assert floor.position() == 1.5


def test_a_flatten_closes_what_a_strategy_that_is_gone_left_behind(new_floor, new_script):
    floor = new_floor(new_script(), new_script())
    floor.go_long(2.0, script=1)
    later = floor.restarted(StrategyConfig(name="ema_cross"))
    later.quote()
    later.command("flatten")
    later.later(0.003)
    (order,) = later.sent()
    assert (order.side, order.filled_lots, order.state) == (SELL, 200_000, State.FILLED)


def orphaned(new_floor, script, *, bases=("BTC", "ETH"), **more):
    """Return the run after one that bought BTC, whose only strategy trades ETH."""
    floor = new_floor(script, bases=("BTC", "ETH"), **more)
    floor.go_long(1.0)
    later = floor.restarted(StrategyConfig(name="ema_cross", symbols=("ETH/USDT",)), bases=bases, **more)
    later.audits.clear()
    return later


def test_a_flatten_closes_what_is_held_of_an_instrument_no_strategy_owns(new_floor, script):
    later = orphaned(new_floor, script)
    later.open_market()
    later.command("flatten")
    later.later(0.01)
    (order,) = later.sent()
    assert (order.side, order.instrument, order.price_ticks, order.state) == (SELL, 0, 9910, State.FILLED)
    assert {desk.name: desk.position[d.P_QTY] for desk in later.core.orders.desks} == {
        "ema_cross": 0.0,
        later.core.orders.desks[1].name: 0.0,
    }
    assert not [audit for audit in later.audits if isinstance(audit, Alarm)]


def test_a_flatten_without_a_market_raises_one_alarm_and_goes_on_until_there_is_one(new_floor, script):
    later = orphaned(new_floor, script)
    later.quote(index=1)
    later.command("flatten")
    later.later(0.5)
    (alarm,) = [audit for audit in later.audits if isinstance(audit, Alarm)]
    assert alarm.kind == "flatten"
    assert "cannot close 1 BTC" in alarm.text
    assert later.sent() == []
    later.quote(index=0)
    later.later(0.2)
    (order,) = later.sent()
    assert (order.side, order.state) == (SELL, State.FILLED)
    later.later(1.0)
    assert len(later.sent()) == 1


def tripped(new_floor, script, **more):
    """Return a floor that holds 2 BTC with a stop below, after the market fell beyond the day's limit."""
    floor = new_floor(script, risk=RiskConfig(daily_loss_max=5.0, **more), balances={"USDT": "100000"})
    floor.go_long(2.0)
    script.wants = [[d.STOP, 0, 1, SELL, 80.0, 2.0]]
    floor.quote()
    floor.later(0.2)
    script.wants = None
    floor.audits.clear()
    floor.quote(90.0, 90.02)
    floor.later(0.2)
    assert floor.engine.state == "HALTED"
    assert floor.core.orders.risk.latch.source == "risk"
    return floor


def test_a_loss_beyond_its_limit_is_flattened_where_that_is_asked_for(new_floor, script):
    floor = tripped(new_floor, script, flatten_on_halt=True)
    floor.later(0.3)
    assert floor.position() == 0.0
    assert floor.core.orders.life.open == {}  # the stop is gone too
    assert floor.engine.state == "HALTED"


def test_without_it_a_loss_halts_and_leaves_the_position_under_its_stop(new_floor, script):
    floor = tripped(new_floor, script)
    floor.later(1)
    assert floor.position() == 2.0
    assert [order.kind for order in floor.core.orders.life.open.values()] == [d.STOP]


@pytest.mark.parametrize("halted_before", [False, True])
def test_a_flatten_that_was_commanded_goes_on_after_a_restart_and_ends_with_a_resume(
    new_floor, script, halted_before
):
    floor = new_floor(script)
    floor.go_long(2.0)
    if halted_before:
        floor.command("halt")
    floor.quote(99.0, 99.02, qty=0.5)  # so much is bid for
    floor.command("flatten")
    floor.later(0.15)
    assert 0.0 < floor.position() < 2.0
    later = floor.restarted()
    assert later.engine.state == "HALTED"
    later.quote(99.0, 99.02)
    later.later(0.5)
    assert later.position() == 0.0
    third = later.restarted()
    assert (third.engine.state, third.core.engine.risk.latch.flatten) == ("HALTED", True)
    third.command("resume")
    assert third.restarted().engine.state != "HALTED"


def test_a_persons_halt_flattens_nothing(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(flatten_on_halt=True))
    floor.go_long(2.0)
    floor.command("halt")
    floor.later(1)
    assert floor.position() == 2.0


def test_a_flatten_of_the_kill_switch_goes_on_after_a_restart_and_ends_with_a_resume(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(daily_loss_max=5.0, flatten_on_halt=True))
    floor.go_long(2.0)
    floor.quote(90.0, 90.02, qty=0.5)  # so much is bid for
    floor.later(0.15)
    assert 0.0 < floor.position() < 2.0
    later = floor.restarted(risk=RiskConfig(daily_loss_max=5.0, flatten_on_halt=True))
    assert later.engine.state == "HALTED"
    later.quote(90.0, 90.02)
    later.later(0.5)
    assert later.position() == 0.0
    later.command("resume", rebase=True)
    later.later(0.5)
    assert later.engine.state == "READY"


def protected(new_floor, script, *, stop=2.0, **more):
    """Return a floor that holds 2 BTC, all that there is of them, over a stop of so many."""
    floor = new_floor(script, **{"balances": {"USDT": "100000"}} | more)
    floor.go_long(2.0)
    script.wants = [[d.STOP, 0, 1, SELL, 80.0, stop]]
    floor.quote()
    floor.later(0.2)
    script.wants = None
    assert stops(floor) == [State.WORKING]
    floor.audits.clear()
    return floor


def stops(floor):
    return [order.state for order in floor.core.orders.life.open.values() if order.kind == d.STOP]


def alarms(floor):
    """Return kind and text of each, but for those of the market, which is not played while time passes."""
    told = [(audit.kind, audit.text) for audit in floor.audits if isinstance(audit, Alarm)]
    return [one for one in told if one[0] != "feed_silent"]


def close_market(floor):
    floor.core.orders.risk.suspend(0)
    return lambda: floor.core.orders.risk.restore(0)


def cut_line(floor):
    floor.venue.up = False

    def mend():
        floor.venue.up = True

    return mend


def fall_silent(floor):
    floor.later(5)
    return bool


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (close_market, "BTC/USDT is not TRADING"),
        (cut_line, "the connection for orders is down"),
        (fall_silent, "the prices of BTC/USDT are stale"),
    ],
)
def test_a_stop_stands_while_what_it_protects_cannot_be_closed(new_floor, script, trouble, why):
    floor = protected(new_floor, script, streams=("quote",))
    mend = trouble(floor)
    floor.command("flatten")
    floor.later(20)
    assert stops(floor) == [State.WORKING]
    assert floor.sent() == []
    assert alarms(floor) == [
        (
            "flatten",
            f"flatten cannot close 2 BTC of {floor.core.runtimes[0].name} while {why}: its stop stands",
        )
    ]
    mend()
    floor.quote()
    floor.later(0.4)
    assert (floor.position(), stops(floor)) == (0.0, [])


def test_a_trip_of_the_kill_switch_leaves_the_stop_of_a_closed_market_too(new_floor, script):
    floor = protected(new_floor, script, risk=RiskConfig(flatten_on_halt=True))
    mend = close_market(floor)
    floor.core.orders.halt("strategy", "it broke")
    floor.later(1)
    assert stops(floor) == [State.WORKING]
    mend()
    floor.quote()
    floor.later(0.4)
    assert (floor.position(), stops(floor)) == (0.0, [])


def test_a_stop_goes_last_of_what_holds_coins(new_floor, script):
    floor = protected(new_floor, script, stop=0.5)
    floor.command("flatten")
    assert [order.qty_lots for order in floor.sent()] == [150_000]
    assert stops(floor) == [State.WORKING]
    floor.later(0.4)
    assert [order.qty_lots for order in floor.sent()] == [150_000, 50_000]
    assert (floor.position(), stops(floor)) == (0.0, [])


def test_a_stop_of_a_derivative_stands_until_its_position_is_closed(new_floor, script):
    floor = protected(new_floor, script, market="usdm")
    floor.quote(qty=0.5)  # so much is bid for
    floor.command("flatten")
    floor.later(0.3)
    assert (floor.position(), stops(floor)) == (1.5, [State.WORKING])
    floor.quote(99.99, 100.02)
    floor.later(0.4)
    assert (floor.position(), stops(floor)) == (0.0, [])


def test_stops_that_protect_nothing_are_cancelled_though_a_market_is_closed(new_floor, script):
    floor = new_floor(script)
    floor.go_long(2.0)
    orders, desk = floor.core.orders, floor.core.orders.desks[0]
    for slot, side, ticks in ((1, BUY, 12_000), (2, SELL, 8_000)):
        placed = [d.PLACE, 0, slot, d.STOP, slot, side, ticks, 100_000]
        action = placed + [0] * (d.ACTION_COLUMNS - len(placed))
        assert orders.submit(orders.risk.check(desk, action, floor.time.now_ns())).kind == d.STOP
    floor.later(0.003)  # before the watch sees to it
    assert stops(floor) == [State.WORKING] * 2
    close_market(floor)
    floor.command("flatten")
    floor.later(0.003)
    assert floor.position() == 2.0
    assert [order.side for order in orders.life.open.values()] == [SELL]


def test_a_position_that_nothing_protects_and_nobody_takes_raises_an_alarm(new_floor, script):
    floor = protected(new_floor, script)
    floor.quote(qty=0.5)  # so much is bid for
    floor.command("flatten")
    floor.later(9)
    assert (floor.position(), stops(floor)) == (1.5, [])
    assert alarms(floor) == []
    floor.later(60)
    ((kind, text),) = alarms(floor)
    assert kind == "unprotected"
    assert "1.5 BTC" in text


def test_a_loss_beyond_its_limit_is_flattened_where_a_person_had_halted(new_floor, script):
    risk = RiskConfig(daily_loss_max=5.0, flatten_on_halt=True)
    floor = new_floor(script, risk=risk, balances={"USDT": "100000"})
    floor.go_long(2.0)
    floor.command("halt", "lunch")
    floor.quote(90.0, 90.02)
    floor.later(0.5)
    assert floor.position() == 0.0


def test_a_loss_beyond_its_limit_is_told_where_a_person_had_halted(new_floor, script):
    floor = new_floor(script, risk=RiskConfig(daily_loss_max=5.0), balances={"USDT": "100000"})
    floor.go_long(2.0)
    floor.command("halt", "lunch")
    floor.audits.clear()
    floor.quote(50.0, 50.02)
    floor.later(5)
    assert [audit.kind for audit in floor.audits if isinstance(audit, Alarm)] == ["loss"]
    assert floor.position() == 2.0
