"""An order is filled while the connection is cut: its trades are fetched before anything else leaves."""

from __future__ import annotations

from unittest.mock import patch

from daemon.orders.manager import Orders
from daemon.orders.meeting import Meeting
from daemon.orders.order import State
from daemon.venues.binance import BinanceVenue
from kernels.dtypes import GATE_VENUE_DOWN
from tests.failures.stage import Mutation, both, ignore, mutation, play


def test_11_gap_while_disconnected():
    play(filled_during_the_cut)


async def filled_during_the_cut(stage):
    bid = stage.bid()
    stage.want(bid)
    await stage.until(lambda: stage.ours and stage.ours[0].state is State.WORKING, "a bid stands", 2)
    stage.befall("cut_orders")
    stage.befall("refuse_orders", lasts_s=5)
    await stage.rest(1)
    cut_s = stage.now_s
    stage.trade_through()
    stage.want(bid, stage.hold(0.03))
    stage.befall("lag", lasts_s=12, size=200_000_000)  # so that the snapshot takes seconds
    await stage.until(lambda: stage.after_s(cut_s), "it trades again", 25)
    ours, theirs = stage.after_s(cut_s)[0].held
    assert ours == theirs, "an order left before the trades of the cut were known"
    stage.want(stage.hold(0.03))
    await stage.rest(12)
    await stage.agree()
    assert len({fill.trade_id for fill in stage.exchange.registry.fills}) == len(
        stage.exchange.registry.fills
    )


_status = Orders.venue_status


def _at_once(self, status):
    _status(self, status)
    if status.up:
        self.risk.open_all(GATE_VENUE_DOWN)


MUTATIONS = (
    mutation(
        Orders,
        "venue_status",
        "a connection is enough to trade on",
        _at_once,
        "an order left before the trades of the cut were known",
    ),
    Mutation(
        "daemon.orders.meeting.Meeting._meet_trades",
        "trades of the cut are not fetched",
        lambda: both(
            patch.object(Meeting, "_meet_trades", ignore),
            patch.object(BinanceVenue, "on_trades_missing", ignore),
        ),
        "an order left before the trades|it trades again|differ",
    ),
)
