"""Clocks are 5 s apart: after the first -1021 the exchange's is measured anew, and nothing is sent again.

Where no measurement holds, so that order after order is refused, the daemon halts and says why.
"""

from __future__ import annotations

from daemon.venues.binance import BinanceVenue
from daemon.venues.server_clock import ServerClock
from tests.failures.stage import ignore, mutation, play

#: answers of -1021 that may come until the clock is measured
REFUSED_MAX = 3


def test_15_clock_drift():
    for delay_s in (6, -6):
        play(lambda stage, delay_s=delay_s: the_exchange_s_clock_steps(stage, delay_s))
    for size in (0, 7_500):
        play(lambda stage, size=size: our_clock_steps(stage, size))
    play(a_clock_that_nobody_can_follow)


async def the_exchange_s_clock_steps(stage, delay_s):
    await trades_on(stage, lambda: stage.go_wrong("clock_step", delay_s=delay_s, lasts_s=100))


async def our_clock_steps(stage, size):
    await trades_on(stage, lambda: stage.befall("clock_step", size=size))


async def a_clock_that_nobody_can_follow(stage):
    stage.want(stage.hold(0.01))
    await stage.until(lambda: stage.position[0] > 0, "it trades", 2)
    stage.want(stage.hold(0.02))
    stage.core.orders.venue.server.measure = ignore  # it judges by another clock than it tells
    stage.go_wrong("clock_step", delay_s=-8, lasts_s=100)
    await stage.until(lambda: stage.state == "HALTED", "HALTED", 20)
    latch = stage.core.orders.risk.latch
    assert "orders in a row rejected" in latch.reason
    assert "recvWindow" in latch.reason or "server's time" in latch.reason
    before = len(stage.sent)
    await stage.rest(3)
    assert len(stage.sent) == before
    assert len({one.name for one in stage.sent}) == len(stage.sent)


async def trades_on(stage, step):
    stage.want(stage.hold(0.01))
    await stage.until(lambda: stage.position[0] > 0, "it trades", 2)
    step()
    await stage.rest(1.2)  # a machine's clock is looked at every second
    stage.want(stage.hold(0.02))
    await stage.until(lambda: stage.position[0] > 0.015, "it trades again", 4)
    assert stage.core.engine.rejections.by_code[-1021] <= REFUSED_MAX, "refused again and again"
    assert len({one.name for one in stage.sent}) == len(stage.sent)
    await stage.agree()


MUTATIONS = (
    mutation(BinanceVenue, "on_clock_refused", "nobody measures", ignore, "it trades again|refused again"),
    mutation(
        ServerClock, "forget", "measurements from before count", ignore, "it trades again|refused again"
    ),
)
