from __future__ import annotations

import pytest

from daemon.orders.order import Order, State


@pytest.mark.parametrize("state", State)
def test_only_what_the_venue_ended_is_over(state):
    over = {State.FILLED, State.CANCELED, State.REJECTED, State.EXPIRED, State.VOID}
    assert state.terminal == (state in over)


def test_what_is_left_is_the_quantity_less_what_was_filled():
    order = Order(
        client_order_id="t-1-1",
        seq=1,
        strategy=0,
        instrument=0,
        slot=0,
        row=0,
        kind=1,
        level=0,
        side=1,
        price_ticks=100,
        qty_lots=7,
        reduces=False,
    )
    assert (order.state, order.leaves_lots) == (State.PENDING_NEW, 7)
    order.filled_lots = 5
    assert order.leaves_lots == 2
