"""Every socket is cut, again and again: connections and request weight stay within the exchange's limits."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

from daemon.pause import Backoff
from daemon.simulator.rates import Limits
from daemon.venues.binance_limits import Budget
from tests.failures.stage import Mutation, both, mutation, play
from tests.simulation.weather import ADDRESS

#: a tenth of the weight there is, so that a storm of a minute is near it
LIMITS = Limits(weight_1m=600, connections_5m=100)


def test_13_reconnect_storm():
    play(everything_is_cut_for_a_minute, exchange={"limits": LIMITS})
    play(snapshots_are_wanted_without_end, exchange={"limits": LIMITS})
    delays = [Backoff(0.5, 30.0, Random(daemon)).next_s() for daemon in range(20)]
    assert max(delays) - min(delays) > 0.2, "all daemons come back at once"


async def everything_is_cut_for_a_minute(stage):
    stage.want(stage.bid())
    used = stage.gateway.address(ADDRESS)
    for _ in range(240):
        for line in list(stage.lines):
            line.cut("the connection was lost", 0)
        await stage.rest(0.25)
        assert used.used(stage.time.now_ns()) <= LIMITS.weight_1m, "beyond the limit on request weight"
        assert used._connections.count <= LIMITS.connections_5m, "beyond the limit on connections"
    await stage.agree(90)
    assert used._strikes == 0, "beyond the limit on request weight"


async def snapshots_are_wanted_without_end(stage):
    """As after each reconnect, and while trades are missing."""
    used = stage.gateway.address(ADDRESS)
    for _ in range(240):
        stage.core.orders.doubts.ask_snapshot()
        await stage.rest(0.25)
        assert used.used(stage.time.now_ns()) <= LIMITS.weight_1m, "beyond the limit on request weight"
    await stage.agree(60)
    assert used._strikes == 0, "beyond the limit on request weight"


MUTATIONS = (
    mutation(
        Backoff,
        "next_s",
        "a lost connection is made again at once",
        lambda _: 0.0,
        "beyond the limit on",
    ),
    Mutation(
        "daemon.venues.binance_limits.Budget.take",
        "nothing is counted, and snapshots do not wait",
        lambda: both(
            patch.object(Budget, "take", lambda *_, **__: ""),
            patch.object(Budget, "reading_waits_ms", lambda *_: 0),
        ),
        "beyond the limit on",
    ),
    mutation(
        Backoff,
        "next_s",
        "all wait equally long",
        lambda self: self._first_s,
        "all daemons come back at once|beyond the limit",
    ),
)
