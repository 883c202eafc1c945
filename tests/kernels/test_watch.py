"""What no event announces: a silent feed, losses, quotes that nobody can move, gaps."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import book as books
from kernels import dtypes as d
from kernels import watch
from kernels.backtest_state import (
    K_STATE,
    PENDING_CANCEL,
    SHUT_STALE,
    WHY_HALTED_DAY,
    WHY_HALTED_DRAWDOWN,
    WORKING,
)
from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, B_BID_LOTS, B_BID_TICKS, BUY, REST

SECOND = 1_000_000_000


def look(ground, *, after_ns=0):
    ground.t["now_ns"] += after_ns
    watch.look(ground.t, ground.front, ground.rings, ground.book, ground.shown, ground.trips)


def resting(ground):
    ground.quote(99.0, 101.0)
    look(ground)
    ground.place(REST, BUY, 99.0, 100)
    ground.arrive()
    ground.hear_all()
    assert ground.t["orders"][0, K_STATE] == WORKING
    return ground


def test_a_feed_that_is_silent_shuts_and_its_quotes_are_withdrawn_and_it_opens_again(new_ground):
    ground = resting(new_ground())
    assert ground.t["shut"] == 0
    look(ground, after_ns=6 * SECOND)
    assert (int(ground.t["shut"]), int(ground.t["gate"])) == (SHUT_STALE, d.GATE_STALE_FEED)
    assert ground.t["orders"][0, K_STATE] == PENDING_CANCEL
    ground.quote(99.0, 101.0)
    look(ground)
    assert (int(ground.t["shut"]), int(ground.t["blind"])) == (0, 0)


def test_a_strategy_may_leave_its_quotes(new_ground):
    ground = resting(new_ground())
    ground.t["leaves_quotes"] = 1
    look(ground, after_ns=6 * SECOND)
    assert (int(ground.t["shut"]), int(ground.t["orders"][0, K_STATE])) == (SHUT_STALE, WORKING)


@pytest.mark.parametrize(("streams", "shut"), [
    (("trade",), 0), (("trade", "quote"), SHUT_STALE), (("quote", "depth"), SHUT_STALE), (("depth",), 0),
])  # fmt: skip
def test_each_stream_that_counts_is_looked_at_by_itself(new_ground, streams, shut):
    ground = new_ground(streams=streams)
    ground.t["trade_ns"] = ground.t["depth_ns"] = ground.t["now_ns"]
    look(ground)
    assert ground.t["shut"] & SHUT_STALE == shut


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"daily_loss_max": 4.0, "drawdown_max": 1e9}, WHY_HALTED_DAY),
        ({"daily_loss_max": 1e9, "drawdown_max": 4.0}, WHY_HALTED_DRAWDOWN),
        ({"daily_loss_max": 6.0, "drawdown_max": 6.0}, 0),
    ],
)
def test_a_loss_beyond_its_limit_throws_the_kill_switch(new_ground, limits, why):
    ground = new_ground(balances={"USDT": 1_000, "BTC": 1}, **limits)
    ground.quote(99.0, 101.0)
    look(ground)
    ground.quote(94.0, 96.0)
    look(ground, after_ns=SECOND)
    assert ground.t["halted_why"] == why


def test_the_middle_is_the_books_until_a_quote_came(new_ground):
    ground = new_ground(streams=("depth",))
    middle = lambda: watch.mid(ground.t, ground.rings, ground.book, ground.shown)  # noqa: E731
    assert np.isnan(middle())
    for ticks, lots, price in ((B_BID_TICKS, B_BID_LOTS, 9_950), (B_ASK_TICKS, B_ASK_LOTS, 10_051)):
        ground.book[ticks, :2] = 1, price
        ground.book[lots, 1] = 10
    assert np.isnan(middle())
    ground.t["book_shown"] = ground.t["book_told"] = 1
    assert middle() == 0.5 * (99.5 + 100.51)
    books.clear(ground.book)
    assert np.isnan(middle())
    ground.quote(99.0, 101.0)
    assert middle() == 100.0


def test_a_gap_cools_what_resets_and_is_counted_for_what_does_not(new_ground):
    for resets in (0, 1):
        ground = resting(new_ground())
        ground.t["resets"], ground.t["warmup_ticks"] = resets, 5
        watch.gap(ground.t, ground.front, ground.rings, ground.trips)
        assert (int(ground.t["gaps"]), int(ground.t["counted"])) == (1, int(ground.rings["head"][0]))
        assert ground.t["gate"] == (d.GATE_NOT_READY if resets else 0)
        assert ground.t["orders"][0, K_STATE] == (PENDING_CANCEL if resets else WORKING)


def test_the_curve_has_a_point_a_period(new_ground):
    ground = new_ground()
    ground.t["points"] = 0
    ground.quote(99.0, 101.0)
    for _ in range(25):
        look(ground, after_ns=10 * SECOND)
        ground.quote(99.0, 101.0)
    seconds = ground.points["now_ns"][: ground.t["points"]] // SECOND
    assert len(np.unique(seconds // 60)) == len(seconds) >= 4
    assert ground.points["mid"][1] == 100.0
