"""The loop: what is due when, where it stops, and what it says then."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import backtest, watch
from kernels import book as books
from kernels import dtypes as d
from kernels.backtest_state import (
    EV_END,
    EV_FRESH,
    EV_GAP,
    EV_LOST,
    EV_SYNCED,
    EV_TOLD,
    EV_WHOLE,
    EVENT,
    NOTHING,
    ROOM,
    ROWS,
)
from kernels.dtypes import BUY, DEPTH, QUOTE, REST, SELL, TRADE, WHY_BAR, WHY_DRAIN, WHY_FILL, WHY_TIMER
from kernels.ring import CAPACITY

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
HOUR = 3_600_000_000_000


def join(*events: np.ndarray) -> np.ndarray:
    return np.concatenate(events)


def test_a_decision_is_due_at_the_end_of_a_drain_and_not_before(new_ground):
    ground = new_ground()
    events = join(
        ground.event(TRADE, START_NS + 1, 100.0, 1.0, 1.0, flags=0),
        ground.event(QUOTE, START_NS + 2, 99.0, 1.0, 101.0, 1.0),
        ground.event(NOTHING, START_NS + 3),
    )
    assert ground.advance(events) == WHY_DRAIN
    assert (int(ground.t["decide_ns"]), int(ground.t["at"])) == (START_NS + 2, 2)
    assert ground.advance(events) == backtest.NEED_EVENTS  # a repetition decides nothing
    assert (int(ground.t["now_ns"]), int(ground.rings["head"][0])) == (START_NS + 3, 2)


def test_time_goes_on_by_what_is_due_each_at_its_own(new_ground):
    ground = new_ground()
    ground.t["timer_period_ns"] = 250 * MS
    ground.begin()
    events = ground.event(QUOTE, START_NS + 600 * MS, 99.0, 1.0, 101.0, 1.0)
    times = []
    while (why := ground.advance(events)) > 0:
        times.append((why, (int(ground.t["decide_ns"]) - START_NS) // MS))
    assert times == [(WHY_TIMER, 250), (WHY_TIMER, 500), (WHY_DRAIN, 600)]
    assert ground.t["watch_ns"] == START_NS + 700 * MS


def test_at_the_end_of_a_bar_it_asks_whether_one_was_made_and_wakes_for_that_alone(new_ground):
    ground = new_ground()
    ground.t["bar_period_ns"] = ground.t["timer_period_ns"] = 250 * MS
    ground.begin()
    events = join(
        ground.event(TRADE, START_NS + 450 * MS, 100.0, 1.0, 1.0, flags=0),  # its drain goes on
        ground.event(QUOTE, START_NS + 600 * MS, 99.0, 1.0, 101.0, 1.0),
    )
    told = []
    while (why := ground.advance(events)) != backtest.NEED_EVENTS:
        told.append((why, (int(ground.t["now_ns"]) - START_NS) // MS, int(ground.t["decide_ns"]) - START_NS))
        if why == backtest.BAR_DUE:
            ground.t["bar_ended"] = len(told) > 2
    assert [(why, at) for why, at, _ in told] == [
        (WHY_TIMER, 250),
        (backtest.BAR_DUE, 250),
        (WHY_TIMER | WHY_DRAIN, 500),
        (backtest.BAR_DUE, 500),
        (WHY_BAR, 500),
        (WHY_DRAIN, 600),
    ]
    assert [at_ns // MS for why, _, at_ns in told if why > 0] == [250, 500, 500, 600]
    backtest.end(ground.test, 1_000 * MS)
    assert ground.advance(events) == backtest.NEED_EVENTS  # and nobody is woken any more


def test_a_gap_is_told_once_to_whoever_makes_bars_and_goes_on(new_ground):
    ground = new_ground()
    ground.t["bar_period_ns"], ground.t["resets"] = 3_000 * MS, 0
    ground.begin()
    events = ground.event(TRADE, START_NS + MS, 100.0, 1.0, 1.0, flags=EV_END | EV_GAP)
    assert [ground.advance(events) for _ in range(3)] == [backtest.MISS, WHY_DRAIN, backtest.NEED_EVENTS]
    assert ground.t["gaps"] == 1


def test_a_fill_wakes_the_strategy_with_what_came_meanwhile(new_ground):
    ground = new_ground()
    assert ground.advance(ground.event(QUOTE, START_NS + MS, 99.0, 1.0, 101.0, 1.0)) == WHY_DRAIN
    ground.open()
    ground.place(REST, BUY, 100.0, 100)
    events = join(
        ground.event(TRADE, START_NS + 3 * MS, 99.5, 1.0, float(SELL)),
        ground.event(QUOTE, START_NS + 3 * MS, 99.0, 2.0, 101.0, 1.0, flags=0),
        ground.event(QUOTE, START_NS + 9 * MS, 99.0, 3.0, 101.0, 1.0),
    )
    ground.t["at"] = 0
    found = [(ground.advance(events), int(ground.t["decide_ns"]) - START_NS) for _ in range(3)]
    assert found == [(WHY_DRAIN, 3 * MS), (WHY_DRAIN | WHY_FILL, 4 * MS), (WHY_DRAIN, 9 * MS)]
    assert ground.filled["exch_ns"][0] == START_NS + 3 * MS


def test_a_machine_that_slept_for_hours_does_what_was_due_in_the_first_minute_and_no_more(new_ground):
    ground = new_ground()
    ground.t["timer_period_ns"] = 30_000 * MS
    ground.begin()
    events = ground.event(QUOTE, START_NS + 5 * HOUR, 99.0, 1.0, 101.0, 1.0)
    times = []
    while (why := ground.advance(events)) > 0:
        times.append((int(ground.t["decide_ns"]) - START_NS) // 1_000_000_000)
        assert why in {WHY_TIMER, WHY_DRAIN}
    assert times == [10, 40, 18_000, 18_000]


def test_it_stops_where_rows_are_to_be_taken_away(new_ground):
    ground = new_ground()
    ground.t["points"] = ROWS - ROOM - 1
    ground.t["point_period_ns"], ground.t["point_ns"] = watch.PERIOD_NS, 0
    events = ground.event(QUOTE, START_NS + 400 * MS, 99.0, 1.0, 101.0, 1.0)
    stops = 0
    while (code := ground.advance(events)) == backtest.NEED_ROOM:
        stops += 1
        ground.t["points"] = 0
    assert (stops, code) == (1, WHY_DRAIN)


def test_a_book_is_built_grown_told_of_and_lost(new_ground):
    ground = new_ground(streams=("depth",))
    ground.book = books.make(1)
    levels = np.array([(9_900, 10), (9_800, 10), (10_100, 10), (10_200, 10), (9_950, 5)], np.int64)
    whole = ground.event(DEPTH, START_NS + MS, flags=EV_WHOLE | EV_SYNCED | EV_TOLD | EV_END)
    whole["bids"] = whole["asks"] = 2
    update = ground.event(DEPTH, START_NS + 2 * MS, flags=EV_FRESH | EV_TOLD | EV_END)
    update["first"], update["bids"] = 4, 1
    lost = ground.event(DEPTH, START_NS + 3 * MS, flags=EV_FRESH | EV_LOST | EV_END)
    events = join(whole, update, lost)
    assert ground.t["gate"] == d.GATE_BOOK_GAP
    code = ground.advance(events, levels)
    assert code == books.FULL - 2
    ground.book = books.grown(ground.book, code)
    assert ground.advance(events, levels) == WHY_DRAIN
    assert ground.mem["book"][0, 0, :2, 0].tolist() == [99.0, 98.0]
    assert (int(ground.t["synced"]), int(ground.t["book_shown"])) == (1, 1)
    assert ground.advance(events, levels) == WHY_DRAIN
    assert ground.mem["book"][0, 0, :3, 0].tolist() == [99.5, 99.0, 98.0]
    assert ground.advance(events, levels) == backtest.NEED_EVENTS
    assert (int(ground.t["synced"]), int(ground.t["book_shown"])) == (0, 0)
    assert ground.t["depth_ns"] == START_NS + 3 * MS


def test_a_crossed_book_is_an_error(new_ground):
    ground = new_ground(streams=("depth",))
    whole = ground.event(DEPTH, START_NS + MS, flags=EV_WHOLE | EV_SYNCED | EV_TOLD | EV_END)
    whole["bids"] = whole["asks"] = 1
    levels = np.array([(9_900, 10), (9_900, 10)], np.int64)
    assert ground.advance(whole, levels) == backtest.FAILED
    assert ground.t["error"] == backtest.ERROR_CROSSED


@pytest.mark.parametrize("resets", [0, 1])
def test_a_gap_is_told_before_its_tick_and_once(new_ground, resets):
    ground = new_ground()
    ground.t["resets"], ground.t["warmup_ticks"] = resets, 5
    ground.quote(99.0, 101.0)
    events = ground.event(TRADE, START_NS + MS, 100.0, 1.0, 1.0, flags=EV_GAP | EV_END)
    assert ground.advance(events) == WHY_DRAIN
    assert (int(ground.t["gaps"]), int(ground.t["counted"])) == (1, 2 if resets else 1)
    assert ground.served == [backtest.FORGET] * resets


def test_a_full_ring_is_taken_before_it_is_written_over(new_ground):
    ground = new_ground()
    burst = [ground.event(TRADE, START_NS + MS, 100.0, 1.0, 1.0, flags=0) for _ in range(CAPACITY + 1)]
    assert ground.advance(join(*burst)) == backtest.NEED_EVENTS
    assert (ground.served, int(ground.mem["seen"][0])) == ([backtest.ABSORB], CAPACITY)
    assert ground.rings["overflow"][0] == 0


def test_an_answer_that_breaks_the_contract_ends_it(new_ground):
    ground = new_ground()
    backtest.answer(ground.test, ground.fronts, ground.trips, ground.mem["actions"], -1)
    assert ground.advance(np.zeros(0, EVENT)) == backtest.FAILED


def test_at_the_end_what_is_on_its_way_arrives_and_nothing_new_is_sent(new_ground):
    ground = new_ground()
    assert ground.advance(ground.event(QUOTE, START_NS + MS, 99.0, 1.0, 101.0, 1.0)) == WHY_DRAIN
    ground.open()
    ground.place(d.TARGET, BUY, 101.0, 100)
    nothing = np.zeros(0, EVENT)
    ground.t["at"] = 0
    assert ground.advance(nothing) == backtest.NEED_EVENTS
    backtest.end(ground.test, 1_000 * MS)
    assert ground.advance(nothing) == WHY_FILL
    backtest.answer(ground.test, ground.fronts, ground.trips, ground.mem["actions"], 1)
    assert ground.t["sent"] == 1
    assert ground.advance(nothing) == backtest.NEED_EVENTS
    assert ground.t["now_ns"] == START_NS + 1_001 * MS
