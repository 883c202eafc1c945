"""A stream falls silent while its connection goes on: the age of data is watched, not pings."""

from __future__ import annotations

import numpy as np

from daemon.feeds.connection import FeedConnection
from daemon.feeds.silence import Silence
from tests.failures.stage import mutation, play


def test_01_silent_stall():
    play(everything_falls_silent)
    play(depth_falls_silent)


async def everything_falls_silent(stage):
    began_s = stage.now_s
    stage.go_wrong("stall", of="market", lasts_s=60)
    await stage.rest(3)
    stage.want(stage.bid())  # nothing may come of it while the feed is stale
    connections = stage.run.app.connections
    await stage.until(lambda: connections.reconnects == 1, "the silent connection is replaced", 8)
    assert not stage.after_s(began_s + 2.2), "an order left on a stale feed"
    await stage.until(lambda: stage.ours, "it trades again", 5)
    await stage.agree()


async def depth_falls_silent(stage):
    """One stream of three: the others keep the connection looking alive."""
    began_s = stage.now_s
    stage.go_wrong("drop", of="market", method="depth@100ms", lasts_s=60)
    await stage.rest(3)
    stage.want(stage.bid())
    await stage.rest(4)
    assert not stage.after_s(began_s + 2.2), "an order left on a stale feed"


MUTATIONS = (
    mutation(
        FeedConnection,
        "_look",
        "a silent connection is left alone",
        lambda *_: None,
        "the silent connection is replaced",
    ),
    mutation(
        Silence,
        "ages_ns",
        "every stream spoke just now",
        lambda self, _: np.zeros(len(self._newest_ns), np.int64),
        "sent on a stale feed|an order left on a stale feed",
    ),
)
