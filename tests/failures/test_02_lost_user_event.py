"""A report of the exchange's is lost: orders, trades and balances are compared every so often."""

from __future__ import annotations

import asyncio
from unittest.mock import patch

from daemon.meetings import Meetings
from daemon.orders.meeting import Meeting
from daemon.orders.order import State
from daemon.venues.binance import BinanceVenue
from tests.failures.stage import Mutation, both, ignore, mutation, play


def test_02_lost_user_event():
    play(a_fill_is_not_told)


async def a_fill_is_not_told(stage):
    stage.want(stage.bid())
    await stage.until(lambda: stage.ours and stage.ours[0].state is State.WORKING, "a bid stands", 2)
    stage.go_wrong("drop", method="executionReport", count=1)
    stage.trade_through()
    await stage.rest(1)
    assert stage.position == (0, 0.00999), "the scene is another: the fill was told"
    await stage.rest(stage.config.venue.reconcile_s)
    await stage.agree()


async def _never(self):
    await asyncio.Future()


MUTATIONS = (
    mutation(Meetings, "run", "nobody compares", _never, "open orders differ|position differs"),
    Mutation(
        "daemon.orders.meeting.Meeting._meet_trades",
        "trades are not compared, nor asked for with an order's status",
        lambda: both(
            patch.object(Meeting, "_meet_trades", ignore),
            patch.object(BinanceVenue, "on_trades_missing", ignore),
        ),
        "open orders differ|position differs",
    ),
)
