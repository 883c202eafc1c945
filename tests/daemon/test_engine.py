from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from daemon.config import StrategyConfig
from daemon.orders.audit import Alarm, Filled, Moved, Sent
from daemon.orders.money import UNIT
from daemon.orders.order import State
from daemon.venues.paper import PaperVenue
from kernels import dtypes as d
from kernels import features

SECOND = 1_000_000_000
BUY, SELL = d.BUY, d.SELL


@pytest.fixture
def script(new_script):
    return new_script()


# --- ticks and drains ---------------------------------------------------------------------------------------
def test_every_tick_steps_the_features_of_all_owners_and_only_the_drain_decides(new_floor, new_script):
    first, second = new_script(), new_script()
    floor = new_floor(first, second)
    memories = [runtime.memory[0] for runtime in floor.core.runtimes]
    twin = [memories[0]["feature_f"][0].copy(), memories[0]["feature_i"][0].copy()]
    for number in range(20):
        bid, ask = round(100.0 + 0.01 * (number % 7), 2), round(100.02 + 0.01 * (number % 7), 2)
        floor.quote(bid, ask, last=False)
        features.step(*twin, d.QUOTE, floor.time.now_ns(), bid, 5.0, ask, 5.0)
        floor.trade(bid, 0.5, sold=True, last=False)
        features.step(*twin, d.TRADE, floor.time.now_ns(), bid, 0.5, -1.0, 0.0)
    assert first.calls == second.calls == []
    floor.engine.drain(floor.time.now_ns())
    assert first.whys == second.whys == [d.WHY_DRAIN]
    for memory in memories:
        np.testing.assert_array_equal(memory["feature_f"][0], twin[0])
        np.testing.assert_array_equal(memory["feature_i"][0], twin[1])
    row = np.empty(len(features.FEATURES))
    features.row(*twin, floor.time.now_ns(), row)
    for script in (first, second):
        np.testing.assert_array_equal(script.calls[0].rows[0, :-1], row)


def test_the_frames_of_one_read_are_decided_on_once_at_the_time_of_the_last(new_floor, script):
    floor = new_floor(script)
    for bid in (100.0, 100.01, 100.02):
        floor.quote(bid, bid + 0.02, last=bid == 100.02)
    floor.quote()
    assert [call.now_ns for call in script.calls] == [floor.time.now_ns() - 1_000_000, floor.time.now_ns()]
    assert script.calls[0].book[0, :, 0, 0].tolist() == [100.02, 100.04]
    assert floor.core.runtimes[0].memory[0]["decisions"] == 2


def test_a_changed_book_wakes_its_owner_and_is_shown_behind_the_quote(new_floor, script):
    floor = new_floor(script, streams=("trade", "quote", "depth"))
    floor.depth(11, "", "")
    floor.snapshot(10, bids='["99.98","5"],["99.99","4"]', asks='["100.03","2"]')
    floor.quote(100.0, 100.02)
    script.calls.clear()
    floor.depth(12, '["99.99","0"],["99.97","7"]', '["100.04","3"]')
    assert script.whys == [d.WHY_DRAIN]
    book = script.calls[0].book[0]
    assert book[0, :4].tolist()[:3] == [[100.0, 5.0], [99.98, 5.0], [99.97, 7.0]]
    assert book[1, :3].tolist() == [[100.02, 5.0], [100.03, 2.0], [100.04, 3.0]]
    assert np.isnan(book[0, 3, 0])
    assert script.calls[0].now_ns == floor.time.now_ns()


def test_a_drain_without_news_asks_nobody(new_floor, script):
    floor = new_floor(script)
    floor.engine.drain(floor.time.now_ns())
    assert script.calls == []


def test_a_strategy_is_woken_by_its_own_instruments_only(new_floor, new_script):
    btc = StrategyConfig(name="ema_cross", symbols=("BTC/USDT",))
    eth = StrategyConfig(name="ema_cross", symbols=("ETH/USDT",))
    floor = new_floor(btc, eth, bases=("BTC", "ETH"))
    for _ in range(3):
        floor.quote(index=1)
    floor.quote(index=0)
    assert [int(runtime.memory[0]["decisions"]) for runtime in floor.core.runtimes] == [1, 3]


def test_what_follows_the_market_sees_it_before_the_strategies(new_floor, script):
    floor = new_floor(script, latency_ms=0)
    floor.open_market()
    script.target(1.0, 100.5)
    floor.quote(100.3, 100.32)  # the tick that is decided on is the one it is filled at
    floor.later(0)
    (fill,) = [audit for audit in floor.audits if isinstance(audit, Filled)]
    assert fill.report.last_ticks == 10032


@pytest.mark.parametrize("synced", [True, False])
def test_what_follows_the_market_believes_a_book_for_as_long_as_it_is_in_sync(new_floor, script, synced):
    floor = new_floor(script, streams=("trade", "quote", "depth"))
    floor.depth(11, "", "")
    floor.snapshot(10, bids='["99.99","5"],["100.00","0.5"]', asks='["100.02","5"]')
    floor.go_long(2.0)
    if not synced:
        floor.depth(50, "", "")
    script.target(0.0, 99.9)
    floor.quote(qty=0.5)
    script.wants = None
    floor.later(0.01)
    assert floor.position() == (0.0 if synced else 1.5)  # without a book only the quote is there to meet


# --- the venue's reports ------------------------------------------------------------------------------------
class InstantVenue(PaperVenue):
    """Answers while it is still being asked: the worst a venue can do to its caller."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._way = SimpleNamespace(send=lambda request: request(), tell=lambda report: report())


def test_reports_that_come_while_actions_are_sent_are_applied_after_the_last(new_floor, script):
    floor = new_floor(script, venue_type=InstantVenue)
    floor.open_market()
    floor.audits.clear()
    script.rest((BUY, 99.9, 1.0), (BUY, 99.8, 1.0), (BUY, 99.7, 1.0))
    floor.quote()
    assert [type(audit) for audit in floor.audits] == [Sent] * 3 + [Moved] * 3
    assert [order.state for order in floor.sent()] == [State.WORKING] * 3


def test_a_fill_that_comes_while_actions_are_sent_is_decided_on_after_the_last(new_floor, script):
    floor = new_floor(script, venue_type=InstantVenue)
    floor.open_market()
    script.wants = [[d.TARGET, 0, 0, 0, 100.02, 1.0], [d.REST, 0, 1, BUY, 99.9, 1.0]]
    floor.quote()
    kinds = [type(audit) for audit in floor.audits if isinstance(audit, (Sent, Filled))]
    assert kinds == [Sent, Sent, Filled]
    assert script.whys[-2:] == [d.WHY_DRAIN, d.WHY_FILL]
    assert script.calls[-1].position[0, d.P_QTY] == 1.0
    assert [order.state for order in floor.sent()] == [State.FILLED, State.WORKING]


def test_a_fill_wakes_its_owners_at_once_and_others_not(new_floor, new_script):
    filled, beside, elsewhere = new_script(), new_script(), new_script(2)
    floor = new_floor(filled, beside, elsewhere, bases=("BTC", "ETH"))
    floor.open_market()
    filled.target(1.0, 100.02)
    floor.quote()
    for one in (filled, beside, elsewhere):
        one.calls.clear()
    floor.later(0.002)  # no tick comes
    assert filled.whys == beside.whys == elsewhere.whys == [d.WHY_FILL]
    assert filled.calls[0].now_ns == floor.time.now_ns()
    assert filled.calls[0].position[0, d.P_QTY] == 1.0
    assert beside.calls[0].position[0, d.P_QTY] == 0.0


def test_a_fill_is_valued_at_the_market_it_met_and_makes_no_drawdown_of_its_own(new_floor, script):
    floor = new_floor(script, balances={"USDT": "100000"})
    floor.quote(105.0, 105.02)
    floor.later(0.1)  # the watch marks at 105
    script.target(1.0, 100.02)
    floor.quote(100.0, 100.02)
    script.wants = None
    floor.later(0.003)  # filled before it looks again
    floor.later(0.1)
    assert floor.core.portfolio.worth.drawdown == pytest.approx(0.01)  # half a spread


def test_a_fill_wakes_nobody_who_does_not_trade_its_instrument(new_floor, script):
    floor = new_floor(script, StrategyConfig(name="ema_cross", symbols=("ETH/USDT",)), bases=("BTC", "ETH"))
    floor.open_market()
    before = int(floor.core.runtimes[1].memory[0]["decisions"])
    floor.go_long()
    assert floor.core.runtimes[1].memory[0]["decisions"] == before + 1  # the quote of its own


def test_rejections_are_counted_by_the_venues_code(new_floor, script):
    floor = new_floor(script, latency_ms=3)
    floor.open_market()
    script.rest((BUY, 100.0, 1.0))
    floor.quote(100.0, 100.02)
    floor.quote(99.9, 99.92)  # before the order arrives the market came down to it: now it would take
    script.wants = None
    floor.later(0.01)
    assert (floor.engine.rejections.by_code, floor.engine.rejections.unsent) == ({-2010: 1}, 0)
    assert [order.state for order in floor.sent()] == [State.REJECTED]


# --- timers -------------------------------------------------------------------------------------------------
def test_a_timer_wakes_a_strategy_on_the_grid_of_its_period(new_floor, new_script):
    duo = new_script(2)
    floor = new_floor(duo, bases=("BTC", "ETH"), start=False)
    floor.later(0.3)
    floor.start()
    floor.later(2.9)
    begin_ns = floor.time.now_ns() - int(3.2 * SECOND)
    assert [(call.now_ns - begin_ns) / SECOND for call in duo.calls] == [1.0, 2.0, 3.0]
    assert duo.whys == [d.WHY_TIMER] * 3


def test_a_late_timer_skips_what_it_missed(new_floor, new_script):
    duo = new_script(2)
    floor = new_floor(duo, bases=("BTC", "ETH"))
    begin_ns = floor.time.now_ns()
    taken = iter([2.6, 0, 0, 0])

    def slow():
        floor.time._now_ns += int(next(taken) * SECOND)
        return d.NO_OPINION

    duo.answer = slow
    floor.later(5.0)
    assert [(call.now_ns - begin_ns) / SECOND for call in duo.calls] == [1.0, 3.6, 4.0, 5.0]


def test_a_strategy_without_a_period_is_never_woken_by_time(new_floor, script):
    floor = new_floor(script)
    floor.later(10)
    assert script.calls == []


# --- several strategies, several instruments ----------------------------------------------------------------
def test_a_fee_that_waits_for_its_value_has_it_once_the_market_tells(new_floor, script):
    floor = new_floor(script)
    floor.core.portfolio.unvalued[0, 0, "BTC"] = UNIT // 1000
    floor.later(0.2)
    assert floor.core.portfolio.unvalued
    floor.quote(100.0, 100.02)
    floor.later(0.2)
    assert floor.core.portfolio.unvalued == {}
    assert floor.core.portfolio.holdings[0, 0].fees == pytest.approx(0.10001 * UNIT)


def test_strategies_on_one_instrument_hold_their_own(new_floor, new_script):
    scripts = [new_script(), new_script()]
    floor = new_floor(*scripts)
    floor.open_market()
    scripts[0].target(1.0, 100.02)
    scripts[1].target(3.0, 100.02)
    floor.quote()
    floor.later(0.01)
    assert [floor.position(0), floor.position(1)] == [1.0, 3.0]
    scripts[0].target(0.0, 99.9)
    floor.quote()
    floor.later(0.01)
    assert [floor.position(0), floor.position(1)] == [0.0, 3.0]


def test_a_strategy_of_two_instruments_sees_and_trades_both(new_floor, new_script):
    duo = new_script(2)
    floor = new_floor(duo, bases=("BTC", "ETH"))
    floor.quote(100.0, 100.02, index=0)
    floor.quote(50.0, 50.02, index=1)
    floor.later(0.1)
    duo.wants = [[d.TARGET, 0, 0, 0, 100.02, 1.0], [d.TARGET, 1, 0, 0, 50.02, 2.0]]
    floor.trade(50.0, index=1)  # a tick of either wakes it, for both
    floor.later(0.01)
    assert duo.calls[-1].book[:, :, 0, 0].tolist() == [[100.0, 100.02], [50.0, 50.02]]
    assert [floor.position(0, 0), floor.position(0, 1)] == [1.0, 2.0]


def test_the_pairs_strategy_takes_both_legs_and_goes_home(new_floor):
    pairs = StrategyConfig(
        name="pairs",
        params={"warm_s": 30.0, "half_life_s": 20.0, "notional": 200.0, "enter": 8.0, "stop": 99.0},
        warmup_ticks=10,
    )
    floor = new_floor(pairs, bases=("BTC", "ETH"), market="usdm")
    rng = np.random.default_rng(5)

    def pass_s(seconds, dear_bps):
        for _ in range(int(seconds)):
            for index, price in ((0, 100.0 * (1 + dear_bps * 1e-4)), (1, 50.0)):
                bid = price * (1 + 1e-4 * rng.normal())
                floor.quote(bid, bid + 0.01, index=index)
            floor.later(1.0)

    pass_s(60, 0)
    assert floor.sent() == []
    pass_s(3, 50)  # BTC got dear
    btc, eth = floor.position(0, 0), floor.position(0, 1)
    assert btc == pytest.approx(-200 / 100.5, rel=0.01)
    assert eth == pytest.approx(200 / 50, rel=0.01)
    pass_s(30, 0)
    assert [floor.position(0, 0), floor.position(0, 1)] == [0.0, 0.0]
    assert not [audit for audit in floor.audits if isinstance(audit, Alarm)]


# --- plain Python and compiled ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "params"), [("ema_cross", {"qty": 0.5}), ("market_maker", {"qty": 0.5, "inventory_max": 2.0})]
)
def test_a_plain_python_decide_makes_the_same_decisions_and_orders_as_the_compiled_one(
    new_floor, tmp_path, name, params
):
    plain = tmp_path / f"{name}.py"
    plain.write_text(
        f"from strategies import {name} as shipped\n"
        f"from strategies.{name} import INSTRUMENTS, PARAMS, STATES, TIMER_S\n"
        "decide = shipped.decide.py_func\n"
    )
    found = []
    for reference in (name, str(plain)):
        floor = new_floor(StrategyConfig(name=reference, params=params, warmup_ticks=50), latency_ms=3)
        rng = np.random.default_rng(11)
        mid = 10_000
        for _ in range(1_500):
            mid += int(rng.integers(-3, 4))
            floor.quote(mid / 100, mid / 100 + 0.02, qty=float(rng.integers(1, 9)))
            if rng.random() < 0.3:
                floor.trade(mid / 100, 0.3, sold=bool(rng.random() < 0.5))
        floor.later(1)
        memory = floor.core.runtimes[0].memory[0]
        orders = [(o.client_order_id, o.side, o.price_ticks, o.qty_lots, o.state) for o in floor.sent()]
        found.append((orders, int(memory["digest"]), int(memory["decisions"]), floor.core.journal.digest()))
    assert found[0] == found[1]
    assert len(found[0][0]) > 20


# --- stops on Spot, which no exchange cuts to the position --------------------------------------------------
@pytest.mark.parametrize("halted", [False, True])
def test_stops_of_spot_together_sell_no_more_than_the_position(new_floor, script, halted):
    floor = new_floor(script)  # the account has 10 BTC that no strategy bought
    floor.go_long(2.0)
    if halted:
        floor.command("halt")
    script.wants = [[d.STOP, 0, level, SELL, 95.0 - level, 2.0] for level in range(4)]
    floor.quote()
    floor.later(0.2)
    script.wants = None
    floor.trade(90.0)
    floor.quote(90.0, 90.02)
    floor.later(1)
    assert floor.position() == 0.0


def exits_under_its_stop(new_floor, script):
    """Return a floor whose strategy has a stop, and an order on its way that closes what it protects."""
    floor = new_floor(script)
    floor.go_long(2.0)
    script.wants = [[d.STOP, 0, 1, SELL, 95.0, 2.0]]
    floor.quote()
    floor.later(0.2)
    script.wants = [[d.TARGET, 0, 0, 0, 99.9, 0.0], [d.STOP, 0, 1, SELL, 95.0, 2.0]]
    floor.quote()
    assert {order.kind for order in floor.core.orders.life.open.values()} == {d.TARGET, d.STOP}
    return floor


def test_a_stop_of_spot_does_not_outlive_the_position_of_a_strategy_that_failed(new_floor, script):
    floor = exits_under_its_stop(new_floor, script)

    def fail():
        raise RuntimeError("oops")

    script.answer = fail
    floor.later(1)
    assert floor.position() == 0.0
    floor.quote(94.0, 94.02)
    floor.trade(94.0)
    floor.later(1)
    assert floor.core.orders.portfolio.purse("BTC").total == 10 * UNIT


def test_a_stop_of_spot_does_not_outlive_the_position_of_a_run_that_ends(new_floor, script):
    floor = exits_under_its_stop(new_floor, script)
    floor.engine.stop()
    floor.command("stop")
    floor.later(3)
    assert floor.position() == 0.0
    assert not floor.core.orders.life.open


def test_of_a_target_across_zero_what_reduces_leaves_while_a_gate_is_closed(new_floor, script):
    floor = new_floor(script, market="usdm")
    floor.go_long(2.0)
    floor.audits.clear()
    floor.core.orders.risk.close_all(d.GATE_WINDOW)
    script.target(-1.0, 99.9)
    for _ in range(3):
        floor.quote()
        floor.later(0.01)
    (placed,) = floor.sent()
    assert (placed.side, placed.reduces, floor.position()) == (SELL, True, 0.0)
    assert set(floor.refused()) == {"window"}
    floor.core.orders.risk.open_all(d.GATE_WINDOW)
    floor.quote()
    floor.later(0.01)
    assert floor.position() == -1.0
