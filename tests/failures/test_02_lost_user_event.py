"""A report of the exchange's is lost: orders, trades and balances are compared every so often.

A stream that tells nothing of what an answer told is given up at once, and that comparison comes with its
successor.
"""

from __future__ import annotations

import asyncio
from unittest.mock import patch

from daemon.meetings import Meetings
from daemon.orders.meeting import Meeting
from daemon.orders.order import State
from daemon.venues.binance import BinanceVenue
from daemon.venues.binance_session import Session
from tests.failures.stage import Mutation, both, ignore, mutation, play


def test_02_lost_user_event():
    play(a_fill_is_not_told)
    play(nothing_is_told)


async def a_fill_is_not_told(stage):
    stage.want(stage.bid())
    await stage.until(lambda: stage.ours and stage.ours[0].state is State.WORKING, "a bid stands", 2)
    stage.go_wrong("drop", method="executionReport", count=1)
    stage.trade_through()
    await stage.rest(1)
    assert stage.position == (0, 0.00999), "the scene is another: the fill was told"
    await stage.rest(stage.config.venue.reconcile_s)
    await stage.agree()


async def nothing_is_told(stage):
    venue = stage.core.orders.venue
    stage.go_wrong("drop", method="executionReport", lasts_s=3)
    stage.want(stage.bid())
    await stage.until(lambda: stage.ours and stage.ours[0].state is State.WORKING, "a bid stands", 2)
    stage.trade_through()
    await stage.until(lambda: venue.losses == 1, "the mute stream is given up", 8)
    await stage.agree()
    await stage.rest(stage.config.venue.reconcile_s)
    assert venue.losses == 1, "one that speaks is given up"


async def _never(self):
    await asyncio.Future()


MUTATIONS = (
    mutation(Meetings, "run", "nobody compares", _never, "open orders differ|position differs"),
    mutation(
        Session,
        "is_mute",
        "nobody minds a mute stream",
        lambda *_: False,
        "the mute stream is given up",
    ),
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
