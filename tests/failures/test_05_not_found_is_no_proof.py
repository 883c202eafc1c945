"""Queries lag: -2013 is no proof that an order does not exist, until the absence rule is fulfilled."""

from __future__ import annotations

from daemon.orders.doubts import Doubts
from daemon.orders.lifecycle import Lifecycle
from daemon.orders.order import State
from daemon.orders.state import Event
from tests.failures.stage import mutation, play


def test_05_not_found_is_no_proof():
    play(it_is_there_all_the_same)
    play(it_stood_for_long, venue={"reconcile_s": 5.0})
    play(it_never_arrived)


async def it_is_there_all_the_same(stage):
    stage.befall("mute", lasts_s=3)
    stage.go_wrong("query_lag", lasts_s=34)
    stage.want(stage.bid())
    await stage.until(lambda: stage.theirs, "the order is at the exchange", 2)
    order = next(iter(stage.ours))
    await stage.until(lambda: order.state is not State.PENDING_NEW, "the order is in doubt", 4)
    for _ in range(300):
        await stage.rest(0.1)
        assert order.state is State.UNKNOWN, f"{order.state.name} without evidence"
    assert len(stage.theirs) == 1, "a second order for one wish"
    await stage.agree(20)
    assert order.state is State.WORKING


async def it_stood_for_long(stage):
    stage.want(stage.bid(below=0.02))
    await stage.until(lambda: stage.ours and stage.ours[0].state is State.WORKING, "the order stands", 5)
    order = stage.ours[0]
    await stage.rest(70)
    stage.go_wrong("query_lag", lasts_s=20)
    await stage.until(lambda: order.state is State.UNKNOWN, "no list has the order", 6)
    for _ in range(130):
        await stage.rest(0.1)
        assert order.state is State.UNKNOWN, f"{order.state.name} after it stood for long"
    await stage.agree(10)
    assert order.state is State.WORKING
    assert len(stage.theirs) == 1, "a second order for one wish"


async def it_never_arrived(stage):
    stage.befall("lose_request")
    stage.want(stage.bid())
    await stage.until(lambda: stage.ours, "the order has left", 2)
    order = next(iter(stage.ours))
    left_s = stage.now_s
    while order.state is not State.VOID:
        assert stage.now_s < left_s + 100, "never VOID by the absence rule"
        assert order.state in {State.PENDING_NEW, State.UNKNOWN}, f"{order.state.name} without evidence"
        await stage.rest(0.1)
    assert stage.now_s > left_s + 60, "VOID before the absence rule"
    await stage.agree()


def _since_it_was_sent(doubts, doubt):
    waits_ns = doubts._rules.absence_ns - (doubts._clock.now_ns() - doubt.order.sent_ns)
    doubt.absent_ns = doubts._clock.mono_ns() + waits_ns


MUTATIONS = (
    mutation(
        Doubts,
        "_count_anew",
        "absence counts from the sending",
        _since_it_was_sent,
        "VOID after it stood for long",
    ),
    mutation(Doubts, "not_found", "one not-found is enough", lambda *_: True, "VOID without evidence"),
    mutation(
        Lifecycle,
        "_on_not_found",
        "a not-found is a rejection",
        lambda self, order, report: self.step(order, Event.REJECTED, report.wire_ns),
        "REJECTED without evidence",
    ),
    mutation(
        Doubts, "not_found", "no not-found is ever enough", lambda *_: False, "never VOID by the absence rule"
    ),
)
