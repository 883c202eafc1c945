"""The venue of a compiled backtest: when things arrive, and what comes of them."""

from __future__ import annotations

import pytest

from daemon.venues.paper_latency import drawn
from kernels import paper
from kernels.backtest_state import (
    ASK_QUERY,
    K_HELD,
    K_VENUE_LOTS,
    REQUESTS_MAX,
    SAY_AMEND_REJECTED,
    SAY_CANCELED,
    SAY_EXPIRED,
    SAY_NEW,
    SAY_NOTHING,
    SAY_REJECTED,
    SAY_REPLACED,
    SAY_STATUS,
    SAY_TRADE,
    W_BACK_NS,
    W_KEY,
    W_WHEN_NS,
)
from kernels.dtypes import AMEND, BUY, CANCEL, REST, SELL, TARGET

MS = 1_000_000


def test_an_order_that_takes_is_filled_when_it_arrives_and_told_when_the_answer_does(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0, qty=0.5)
    ground.place(TARGET, BUY, 101.0, 700)
    sent_ns = int(ground.t["now_ns"])
    assert ground.said == []
    ground.arrive()
    assert ground.t["now_ns"] == sent_ns + MS
    assert ground.said == [SAY_NEW, SAY_TRADE, SAY_EXPIRED]
    assert ground.t["open"] == 0
    ground.hear_all()
    assert ground.t["now_ns"] == sent_ns + 2 * MS
    assert ground.filled[["exch_ns", "told_ns", "lots"]][0].tolist() == (sent_ns + MS, sent_ns + 2 * MS, 500)


def test_a_quote_that_would_take_is_refused_and_one_that_rests_is_filled_by_the_market(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 101.0, 100)
    ground.arrive()
    assert ground.said == [SAY_REJECTED]
    ground.hear_all()
    ground.place(REST, BUY, 100.0, 100)
    ground.arrive()
    assert (ground.said, int(ground.t["open"])) == ([SAY_NEW], 1)
    ground.trade(99.5, 0.06, SELL)
    levels = ground.book, ground.shown
    paper.absorb(ground.t, ground.matcher, ground.rings, *levels, ground.trips)
    assert (ground.said, int(ground.t["open"])) == ([SAY_NEW, SAY_TRADE], 1)


def test_cancels_amends_and_questions_are_answered(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 99.0, 300)
    ground.arrive()
    ground.hear_all()
    ground.change(AMEND, 0, 200)
    ground.arrive()
    assert ground.said == [SAY_REPLACED]
    assert (ground.t["orders"][0, K_VENUE_LOTS], ground.t["orders"][0, K_HELD]) == (200, 200)
    ground.hear_all()
    paper.send(ground.t, ground.trips, ASK_QUERY, 1, 0)
    ground.arrive()
    assert ground.said == [SAY_STATUS]
    ground.hear_all()
    ground.change(CANCEL, 0)
    ground.arrive()
    assert ground.said == [SAY_CANCELED]
    ground.hear_all()
    paper.send(ground.t, ground.trips, ASK_QUERY, 1, 0)
    ground.arrive()
    assert ground.said == [SAY_NOTHING]


def test_an_amend_that_comes_behind_the_fills_is_refused(new_ground):
    ground = new_ground()
    ground.quote(99.0, 101.0)
    ground.place(REST, BUY, 100.0, 300)
    ground.arrive()
    ground.hear_all()
    ground.change(AMEND, 0, 100)
    ground.trade(99.5, 0.15, SELL)
    ground.arrive()
    assert ground.said == [SAY_TRADE, SAY_AMEND_REJECTED]


@pytest.mark.parametrize(("side", "lots", "balances"), [
    (BUY, 100, {"USDT": 9, "BTC": 0}),
    (SELL, 100, {"USDT": 10_000, "BTC": 0}),
    (BUY, 1, {"USDT": 10_000, "BTC": 0}),
])  # fmt: skip
def test_what_the_balance_or_a_filter_does_not_allow_is_refused(new_ground, side, lots, balances):
    ground = new_ground(balances=balances)
    ground.quote(99.0, 101.0)
    ground.place(TARGET, side, 100.0, lots)
    ground.arrive()
    assert ground.said == [SAY_REJECTED]


def test_delays_are_drawn_as_the_daemon_draws_them(new_ground):
    trips = (3_000_000, 5_000_001, 9_000_000, 40_000_000)
    ground, draw = new_ground(trips=trips), drawn(trips)
    arrives = 0
    for number in range(50):
        paper.send(ground.t, ground.trips, ASK_QUERY, 99, 0)
        there_ns, back_ns = draw()
        arrives = max(arrives, int(ground.t["now_ns"]) + there_ns)
        request = ground.t["requests"][number]
        assert (request[W_WHEN_NS], request[W_BACK_NS], request[W_KEY]) == (arrives, back_ns, 99)


def test_more_requests_than_there_is_room_for_are_an_error(new_ground):
    ground = new_ground()
    for _ in range(REQUESTS_MAX):
        paper.send(ground.t, ground.trips, ASK_QUERY, 1, 0)
    assert ground.t["error"] == 0
    paper.send(ground.t, ground.trips, ASK_QUERY, 1, 0)
    assert ground.t["error"] == paper.ERROR_QUEUE
