"""The process dies with an order in flight: first the journal, then the exchange's word, then trading."""

from __future__ import annotations

from daemon.orders.portfolio import Portfolio
from daemon.orders.recovery import Recovery
from tests.failures.stage import mutation, play


def test_10_mismatch_after_restart():
    play(killed_with_an_order_in_flight)
    play(coins_are_gone_after_the_restart)


async def killed_with_an_order_in_flight(stage):
    stage.want(stage.hold(0.01))
    await stage.until(lambda: stage.position[0] > 0, "it holds", 2)
    stage.befall("mute", lasts_s=4)
    stage.want(stage.hold(0.02))
    await stage.until(lambda: len(stage.theirs) == 2, "the order is at the exchange", 2)
    stage.run.kill()
    killed_s = stage.now_s
    stage.want(stage.hold(0.03))
    await stage.rest(6)
    await stage.agree(10)
    wrong = [one for one in stage.after_s(killed_s) if one.held[0] != one.held[1]]
    assert not wrong, "an order left before the books agreed"
    assert stage.position[0] > 0.029


async def coins_are_gone_after_the_restart(stage):
    """What cannot be made to agree halts: it is somebody's to look at."""
    stage.want(stage.hold(0.02))
    await stage.until(lambda: stage.position[0] > 0, "it holds", 2)
    stage.run.kill()
    stage.account.deposit("BTC", -1_000_000)  # somebody took half of it
    stage.want(stage.hold(0.05))
    await stage.rest(30)
    assert stage.state == "HALTED", "it trades on a position that is not there"
    assert len(stage.sent) == 1, "it trades on a position that is not there"


def _starts_anew(self, history):
    self._meeting.first = True


MUTATIONS = (
    mutation(
        Recovery, "restore", "the journal is not read", _starts_anew, "position differs|open orders differ"
    ),
    mutation(
        Portfolio,
        "short_of",
        "nobody compares positions with balances",
        lambda _: [],
        "it trades on a position that is not there",
    ),
)
