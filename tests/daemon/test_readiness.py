from __future__ import annotations

import asyncio

import msgspec
import numpy as np
import pytest

from daemon.config import StrategyConfig
from daemon.orders.audit import Alarm
from daemon.orders.doubts import OrderRules
from daemon.orders.order import State
from kernels import dtypes as d
from kernels.feature_state import I_TICKS
from tests.daemon.orders.conftest import World

CROSS = StrategyConfig(name="ema_cross", warmup_ticks=4, tuning={"ema_fast": 2.0, "ema_slow": 4.0})


@pytest.fixture
def script(new_script):
    return new_script()


def seen(floor, strategy=0):
    return floor.core.runtimes[strategy].view("feature_i")[:, I_TICKS].tolist()


def gaps(floor):
    return [one.gaps for one in floor.core.runtimes]


def warm(floor, index=0):
    for _ in range(5):
        floor.quote(index=index)
    floor.later(0.1)


def cut(floor, index=0):
    floor.feed.disconnected([index])


def lose_trades(floor, index=0):
    floor.trade(index=index)
    for _ in range(3):
        next(floor._trade_ids)
    floor.trade(index=index)


def test_a_strategy_is_warm_once_its_ticks_came(new_floor, script):
    floor = new_floor(script, warmup_ticks=4)
    floor.open_market()
    script.target(1.0, 100.02)
    for state in ("WARMING", "WARMING", "READY"):
        floor.quote()
        assert floor.engine.state == state
        assert len(floor.sent()) == (state == "READY")


@pytest.mark.parametrize(("gap", "ticks_after"), [(cut, 0), (lose_trades, 1)])
def test_after_a_gap_one_that_forgets_adds_no_risk_before_it_is_warm_again(
    new_floor, script, gap, ticks_after
):
    floor = new_floor(script, warmup_ticks=4)
    warm(floor)
    floor.core.runtimes[0].view("state")[0] = 7.0
    gap(floor)
    (runtime,) = floor.core.runtimes
    assert (floor.engine.state, floor.gate(), runtime.gate[0]) == ("WARMING", "", d.GATE_NOT_READY)
    assert (seen(floor), runtime.view("state")[0], gaps(floor)) == ([ticks_after], 0.0, [1])
    script.target(1.0, 100.02)
    for number in range(ticks_after, 4):
        assert floor.sent() == []
        floor.quote()
        assert (len(floor.sent()) == 1) == (number == 3)
    assert (floor.engine.state, runtime.gate[0]) == ("READY", 0)


def test_what_it_had_standing_is_cancelled_but_for_its_stops(new_floor, script):
    floor = new_floor(script, warmup_ticks=3)
    warm(floor)
    floor.go_long(1.0)
    script.wants = [[d.REST, 0, 0, d.BUY, 99.9, 1.0], [d.STOP, 0, 1, d.SELL, 90.0, 1.0]]
    floor.quote()
    floor.later(0.01)
    assert len(floor.core.orders.life.open) == 2
    cut(floor)
    floor.later(0.01)
    (left,) = floor.core.orders.life.open.values()
    assert (left.kind, left.state) == (d.STOP, State.WORKING)
    (alarm,) = [one for one in floor.audits if isinstance(one, Alarm)]
    assert (alarm.kind, alarm.text) == (
        "gap",
        "strategy probe begins anew: the connection was cut of BTC/USDT",
    )


def test_an_order_of_others_that_is_to_stand_stays_where_a_strategy_begins_anew(new_floor, script):
    floor = new_floor(script, warmup_ticks=3)
    orders = floor.core.orders
    orders.rules = OrderRules(foreign="adopt")
    snapshot = asyncio.run(floor.venue.snapshot(0))
    snapshot.open_orders.append(World.listed("by-hand", price_ticks=90_00))
    floor.core.recovery.meet(snapshot, floor.time.now_ns())
    warm(floor)
    script.wants = [[d.REST, 0, 0, d.BUY, 99.9, 1.0]]
    floor.quote()
    floor.later(0.01)
    cut(floor)
    floor.later(2)
    (left,) = orders.life.open.values()
    assert (left.client_order_id, left.state) == ("by-hand", State.WORKING)


@pytest.mark.parametrize("gap", [cut, lose_trades])
def test_one_that_goes_on_is_not_stopped_by_a_gap_and_counts_it(new_floor, gap):
    floor = new_floor(msgspec.structs.replace(CROSS, on_gap="mark"))
    warm(floor)
    before = seen(floor)[0]
    state = floor.core.runtimes[0].view("state").copy()
    gap(floor)
    assert (floor.engine.state, gaps(floor)) == ("READY", [1])
    assert seen(floor)[0] >= before
    assert np.array_equal(floor.core.runtimes[0].view("state"), state)
    assert floor.engine.turns[0] is not None


def test_the_configuration_has_the_last_word(new_floor):
    floor = new_floor(msgspec.structs.replace(CROSS, on_gap="reset"))
    warm(floor)
    cut(floor)
    assert (floor.engine.state, floor.engine.turns[0]) == ("WARMING", None)
    warm(floor)
    assert floor.engine.state == "READY"
    assert floor.engine.turns[0] is not None


def test_a_gap_of_one_instrument_leaves_the_other_s_features_and_takes_the_common_state(
    new_floor, new_script
):
    pair, other = new_script(2), new_script()
    floor = new_floor(pair, other, bases=("BTC", "ETH"), warmup_ticks=3)
    for index in range(2):
        warm(floor, index)
    cut(floor, 1)
    floor.quote()
    assert floor.core.runtimes[0].cold_ticks == [0, 3]
    assert seen(floor) == [6, 0]
    assert (seen(floor, 1), gaps(floor)) == ([6], [1, 0])
    assert floor.core.runtimes[1].warm
    warm(floor, 1)
    assert floor.engine.state == "READY"


def test_ticks_from_before_a_gap_do_not_reach_what_begins_after_it(new_floor, script):
    floor = new_floor(script, warmup_ticks=3)
    warm(floor)
    floor.quote(last=False)
    cut(floor)
    assert seen(floor) == [0]
    floor.quote()
    assert (seen(floor), floor.core.runtimes[0].cold_ticks) == ([1], [2])


def test_the_end_of_the_connection_at_the_end_is_no_gap(new_floor, script):
    floor = new_floor(script, warmup_ticks=3)
    warm(floor)
    before = seen(floor)
    floor.engine.stop()
    cut(floor)
    assert (seen(floor), gaps(floor)) == (before, [0])


def test_time_in_a_gap_does_not_let_features_explode(new_floor):
    floor = new_floor(msgspec.structs.replace(CROSS, on_gap="mark"))
    for number in range(200):
        floor.later(0.02)
        floor.quote(100.0 + number % 3 * 0.01, 100.02 + number % 3 * 0.01)
        floor.trade()
    rows = floor.core.runtimes[0].view("rows")
    calm = rows[0].copy()
    for silence_s in (1.0, 59.0, 3600.0):
        cut(floor)
        floor.later(silence_s)
        floor.quote(100.0, 100.02)
        now = rows[0]
        assert not np.isinf(now).any()
        known = ~np.isnan(now) & ~np.isnan(calm)
        assert np.all(np.abs(now[known]) <= 10 * np.abs(calm[known]) + 200)
    assert gaps(floor) == [3]


def test_who_withdraws_in_a_market_that_nobody_sees_says_itself_or_its_configuration(new_floor):
    leave = msgspec.structs.replace(CROSS, on_silence="leave")
    floor = new_floor(CROSS, leave)
    readiness = floor.engine._readiness
    assert readiness.blind([]) == set()
    assert readiness.blind([0]) == {(0, 0)}
