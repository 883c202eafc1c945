"""A 418: one latch for orders, snapshots and books; nothing at all is asked until it ends."""

from __future__ import annotations

from daemon.feeds.snapshots import SnapshotFetcher
from daemon.venues.binance_limits import Budget
from tests.failures.stage import ignore, mutation, play

BAN_S = 40


def test_14_ban_spiral():
    play(lambda stage: banned(stage, ()))
    play(lambda stage: banned(stage, ("cut_orders",)))
    play(lambda stage: banned(stage, ("cut_orders", "cut_market")))


async def banned(stage, then):
    """Everything that could ask is given a reason to; tests/simulation/checks.py judges each request."""
    stage.want(stage.bid())
    await stage.rest(2)
    stage.go_wrong("ban_418", lasts_s=BAN_S)
    stage.go_wrong("depth_gap", lasts_s=BAN_S, share=0.1)
    await stage.until(lambda: stage.run.banned_until_ns, "it is told of the ban", 10)
    asked = stage.checks.requests
    for kind in then:
        stage.befall(kind)
    stage.want(stage.hold(0.01))
    await stage.rest(BAN_S - 12)
    assert stage.checks.requests == asked, "asked while banned"
    await stage.agree(60)
    await stage.until(lambda: stage.position[0] > 0, "it trades again", 5)


MUTATIONS = (
    mutation(Budget, "block", "no latch closes", ignore, "asked while banned"),
    mutation(SnapshotFetcher, "held_s", "the feed connects all the same", 0.0, "asked while banned"),
    mutation(SnapshotFetcher, "hold", "books are fetched all the same", ignore, "asked while banned"),
)
