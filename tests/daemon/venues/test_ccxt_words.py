"""What the ccxt venue makes of words that the simulated exchange does not say, on virtual time."""

from __future__ import annotations

import pytest

from daemon.orders.order import State
from tests.daemon.venues.ccxt_scripted import play


@pytest.mark.parametrize(
    ("status", "filled", "end"),
    [
        ("canceled", "0.0004", State.CANCELED),
        ("closed", "0.0004", State.EXPIRED),
        ("closed", "0.001", State.FILLED),
        ("canceled", "0", State.CANCELED),
    ],
)
@pytest.mark.parametrize("hears", ["event", "query"])
def test_an_end_without_a_count_is_believed_once_its_trades_are_known(hears, status, filled, end):
    async def work(kit):
        there = kit.there
        there.placed = {"id": "7"}
        order = kit.place()
        await kit.settle()
        assert (order.state, order.venue_order_id) == (State.WORKING, "7")
        if filled != "0":
            there.trade("t1", "7", filled)
        row = there.order("7", order.client_order_id, status, filled=None)
        if hears == "event":
            kit.venue.on_order_event(row)
        else:
            kit.venue.query(order)
        await kit.settle(1.0)
        assert (order.state, order.filled_lots) == (end, round(float(filled) * 100_000))
        assert kit.world.alarms() == []

    play(work)
