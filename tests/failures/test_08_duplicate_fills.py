"""Fills are told again, by the stream and after restarts: each trade counts once, by its id, durably."""

from __future__ import annotations

from daemon.orders.trades import TradeIds
from tests.failures.stage import mutation, planted, play


def test_08_duplicate_fills():
    play(everything_is_told_twice)


async def everything_is_told_twice(stage):
    stage.go_wrong("duplicate", method="executionReport", lasts_s=200)
    stage.go_wrong("partial_fill", lasts_s=200)
    stage.want(stage.hold(0.02))
    await stage.rest(2)
    await stage.agree()
    for _ in range(2):  # what the first one knew from its journal the second has from a checkpoint
        stage.run.kill()
        await stage.rest(8)
        await stage.agree(10)


MUTATIONS = (
    planted("no dedupe", "daemon.orders.trades.TradeIds.add", "counted twice"),
    mutation(TradeIds, "dump", "known trades do not outlive a run", lambda _: [], "position differs|HALTED"),
)
