"""Connections are lost by the thousand: nothing is kept of them."""

from __future__ import annotations

import gc
from unittest.mock import patch

import pytest

from daemon.feeds.connection import FeedConnection
from daemon.pause import Backoff
from daemon.simulator.rates import Limits
from daemon.venues.binance import BinanceVenue
from tests.failures.stage import mutation, play

#: objects that a lost connection may leave behind: what is kept once, shared out
LEFT_MAX = 0.5
NO_LIMITS = Limits(0, 0, 0, 0, 0, 0)


def test_19_leaks():
    lose_connections(400)


@pytest.mark.heavy
def test_ten_thousand_reconnects_leave_nothing(record_property):
    record_property("figure", f"leaks: of 10,000 reconnects each left {lose_connections(10_000):.3f} objects")


def lose_connections(number):
    """Return how many objects each left; only patience would make it slow, so there is none."""
    left = []

    async def storm(stage):
        counts = []
        for times in (20, number // 2):  # the feed's and the orders'
            await cut(stage, times)
            counts.append(objects())
        connections, venue = stage.run.app.connections, stage.core.orders.venue
        assert connections.reconnects + venue.losses > 0.9 * number, "the scene is another"
        left.append((counts[1] - counts[0]) / number)
        assert left[0] < LEFT_MAX, f"each reconnect leaves {left[0]:.2f} objects behind"
        await stage.agree()

    with patch.object(Backoff, "next_s", lambda _: 0.05):
        play(storm, exchange={"limits": NO_LIMITS, "rate": 4.0})
    return left[0]


async def cut(stage, times):
    for _ in range(times):
        for line in list(stage.lines):
            line.cut("the connection was lost", 0)
        await stage.rest(0.3)
    await stage.rest(12)  # whoever waits for an answer has given it up


def objects():
    """Return how many there are, without the exchange's history."""
    gc.collect()
    return sum("daemon.simulator" not in str(type(one).__module__) for one in gc.get_objects())


_arm = BinanceVenue._arm


def _arm_anew(self):
    self._beat = None
    _arm(self)


def _watch_for_ever(self, link):
    def look():
        self._seams.scheduler.call_at(self._seams.clock.now_ns() + self._stale_ns // 2, look)

    look()


MUTATIONS = (
    mutation(BinanceVenue, "_arm", "each connection has a heartbeat of its own", _arm_anew, "objects behind"),
    mutation(
        FeedConnection, "_watch", "a lost connection is still watched", _watch_for_ever, "objects behind"
    ),
)
