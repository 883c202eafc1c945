"""Clocks are 5 s apart: after the first -1021 the exchange's is measured anew, and nothing is sent again."""

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


async def the_exchange_s_clock_steps(stage, delay_s):
    await trades_on(stage, lambda: stage.go_wrong("clock_step", delay_s=delay_s, lasts_s=100))


async def our_clock_steps(stage, size):
    await trades_on(stage, lambda: stage.befall("clock_step", size=size))


async def trades_on(stage, step):
    stage.want(stage.hold(0.01))
    await stage.until(lambda: stage.position[0] > 0, "it trades", 2)
    step()
    await stage.rest(1.2)  # a machine's clock is looked at every second
    stage.want(stage.hold(0.02))
    await stage.until(lambda: stage.position[0] > 0.015, "it trades again", 4)
    assert stage.core.engine.rejections[-1021] <= REFUSED_MAX, "refused again and again"
    assert len({one.name for one in stage.sent}) == len(stage.sent)
    await stage.agree()


MUTATIONS = (
    mutation(BinanceVenue, "on_clock_refused", "nobody measures", ignore, "it trades again|refused again"),
    mutation(
        ServerClock, "forget", "measurements from before count", ignore, "it trades again|refused again"
    ),
)
