from __future__ import annotations

import pytest

from daemon.events import ExecutionReport
from daemon.orders.order import State
from daemon.spans import STAGES, Spans
from daemon.venues.paper import PaperVenue
from kernels import dtypes as d
from kernels import stats


@pytest.fixture
def script(new_script):
    return new_script()


@pytest.fixture
def spans():
    return Spans()


def acks(spans):
    row = spans.histograms[STAGES.index("ack")]
    return int(row[stats.HIST_COUNT]), int(row[stats.HIST_SUM])


def test_what_leaves_is_counted_by_verb(new_floor, script, spans):
    floor = new_floor(script, spans=spans)
    floor.open_market()
    script.rest((d.BUY, 99.9, 2.0), (d.BUY, 99.8, 1.0))
    floor.quote()
    floor.later(0.2)
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    floor.later(0.2)
    tally = floor.core.tally
    assert tally.sent == {d.PLACE: 2, d.AMEND: 1, d.CANCEL: 1}
    assert tally.ended == {State.CANCELED: 1}
    assert acks(spans) == (2, 4_000_000)  # the venue's first word on each, 2 ms after it left


def test_fills_and_ends_are_counted_apart(new_floor, script):
    floor = new_floor(script)
    floor.open_market()
    script.target(2.0, 100.02)
    floor.quote(qty=0.5)  # so much is offered; the rest of the order expires
    script.wants = None
    floor.later(0.01)
    tally = floor.core.tally
    assert (tally.fills, tally.ended) == (1, {State.EXPIRED: 1})
    script.target(0.0, 99.9)
    floor.quote()
    floor.later(0.01)
    assert (tally.fills, tally.ended) == (2, {State.EXPIRED: 1, State.FILLED: 1})


def test_an_order_without_an_answer_is_not_acknowledged(new_floor, script, spans):
    floor = new_floor(script, spans=spans, latency_ms=9000)
    floor.open_market()
    script.rest((d.BUY, 99.9, 1.0))
    floor.quote()
    floor.later(3.0)
    assert floor.sent()[0].state is State.UNKNOWN
    assert acks(spans) == (0, 0)


def test_alarms_are_counted_by_kind_and_the_last_is_kept(new_floor, script, spans):
    floor = new_floor(script, spans=spans)
    trade = ExecutionReport(
        kind="TRADE",
        client_order_id="somebody-else",
        instrument=0,
        wire_ns=floor.time.now_ns(),
        trade_id=1,
        side=d.BUY,
        last_ticks=10_000,
        last_lots=5,
    )
    floor.engine.on_report(trade)
    tally = floor.core.tally
    assert tally.alarms == {"foreign_trade": 1}
    assert "somebody-else" in tally.last_alarm


class ForgetfulVenue(PaperVenue):
    """Never hears of a new order."""

    def place(self, order):
        pass


def test_an_order_that_turns_up_after_it_was_given_up_counts_as_ended_once(new_floor, script):
    floor = new_floor(script, venue_type=ForgetfulVenue)
    floor.open_market()
    script.target(1.0, 100.02)
    floor.quote()
    script.wants = None
    (order,) = floor.sent()
    floor.later(120)
    assert order.state is State.VOID
    tally = floor.core.tally
    assert tally.ended == {State.VOID: 1}
    floor.engine.on_report(
        ExecutionReport(
            kind="TRADE",
            client_order_id=order.client_order_id,
            instrument=0,
            wire_ns=floor.time.now_ns(),
            trade_id=9,
            side=d.BUY,
            last_ticks=10_002,
            last_lots=100_000,
            cum_lots=100_000,
        )
    )
    assert order.state is State.FILLED
    assert {state: count for state, count in tally.ended.items() if count} == {State.FILLED: 1}
    assert tally.alarms["void"] == 2  # given up, and back
