"""An order is filled while its cancel flies: -2011 says nothing, the query does, and FILLED wins."""

from __future__ import annotations

from daemon.orders.doubts import Doubts
from daemon.orders.lifecycle import Lifecycle
from daemon.orders.order import State
from daemon.orders.state import Event
from tests.failures.stage import ignore, mutation, play


def test_09_cancel_races_fill():
    play(the_fill_wins)


async def the_fill_wins(stage):
    stage.want(stage.bid())
    await stage.until(lambda: stage.ours and stage.ours[0].state is State.WORKING, "a bid stands", 2)
    (order,) = stage.ours
    stage.befall("stall_orders", lasts_s=1)
    stage.want()
    await stage.until(lambda: order.state is State.PENDING_CANCEL, "the cancel flies", 1)
    stage.go_wrong("drop", method="executionReport", count=1)  # so that only a query can tell
    stage.trade_through()
    await stage.rest(3)
    assert (order.state, order.filled_lots) == (State.FILLED, 1000), "the fill was lost to the cancel"
    await stage.agree()


_on_doubt = Lifecycle._on_doubt


def _gone(self, order, report):
    if report.kind == "CANCEL_REJECTED":
        self.step(order, Event.CANCELED, report.wire_ns)
    else:
        _on_doubt(self, order, report)


MUTATIONS = (
    mutation(
        Lifecycle, "_on_doubt", "a refused cancel is a cancel", _gone, "the fill was lost to the cancel"
    ),
    mutation(Doubts, "add", "nobody asks", ignore, "the fill was lost to the cancel"),
)
