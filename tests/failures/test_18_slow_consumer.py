"""A flood, read late: quotes become one decision, while no tick and no private event is lost."""

from __future__ import annotations

from daemon.engine import Engine
from daemon.feeds.core import FeedCore
from daemon.venues.binance_session import Session
from tests.failures.stage import FEED, ignore, mutation, play

#: for so long nothing is read, at ten times the usual rate
HELD_S = 6.0
BIDS = 5


def test_18_slow_consumer():
    for streams in (["trade", "quote", "depth"], ["trade", "quote"]):
        play(a_flood, exchange={"rate": 400.0}, feed=FEED | {"streams": streams})


async def a_flood(stage):
    stage.want(*(stage.bid(0.002, 0.002 + 0.001 * level, level) for level in range(BIDS)))
    await stage.rest(1)
    assert len(stage.ours) == BIDS, "the scene is another: not all bids stand"
    feed, engine = stage.run.app.feed, stage.core.engine
    for kind in ("stall_market", "stall_orders"):
        stage.befall(kind, lasts_s=HELD_S)
    stage.go_wrong("partial_fill", lasts_s=HELD_S)
    await stage.rest(HELD_S / 2)
    stage.trade_through()
    stage.want()
    before = feed.frames, engine.drains, len(stage.core.orders.life.ended)
    await stage.rest(HELD_S / 2 + 0.01)
    came, decided = feed.frames - before[0], engine.drains - before[1]
    assert came > 1000, "the scene is another: there was no flood"
    assert stage.position[0] == stage.position[1], "a private event was lost in the flood"
    assert len(stage.core.orders.life.ended) == before[2] + BIDS, "a private event was lost in the flood"
    assert decided < came / 10, "each quote of the flood was decided on"
    assert engine.rings["overflow"].sum() == 0, "ticks were overwritten"
    await stage.agree()


_on_frame, _process = Session.on_frame, FeedCore.process


def _only_the_newest(self, payload, last):
    if last or b'"executionReport"' not in payload:
        _on_frame(self, payload, last)


MUTATIONS = (
    mutation(
        Session,
        "on_frame",
        "of what is read at once the newest counts, of orders too",
        _only_the_newest,
        "a private event was lost in the flood",
    ),
    mutation(
        FeedCore,
        "process",
        "every frame is the last",
        lambda self, payload, wire_ns, last: _process(self, payload, wire_ns, last=True),
        "each quote of the flood was decided on",
    ),
    mutation(Engine, "absorb", "a full ring is written over", ignore, "ticks were overwritten"),
)
