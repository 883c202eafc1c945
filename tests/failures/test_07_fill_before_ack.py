"""A fill is told before the order's acceptance: reports find their order by its client id, in any order."""

from __future__ import annotations

from unittest.mock import patch

from daemon.orders import state
from daemon.orders.lifecycle import Lifecycle
from daemon.orders.order import State
from daemon.orders.state import Event
from tests.failures.stage import Mutation, mutation, play


def test_07_fill_before_ack():
    told_in_order, told_backwards = [], []
    play(lambda stage: bought(stage, told_in_order, []))
    play(lambda stage: bought(stage, told_backwards, ["reorder", "delay"]))
    assert told_backwards == told_in_order, "another order of reports ends in another state"


async def bought(stage, ended, faults):
    if faults:
        stage.go_wrong("reorder", method="executionReport", count=1)  # the acceptance behind the fill
        stage.go_wrong("delay", of="answers", method="order.place", count=1, delay_s=1)
    stage.want(stage.hold(0.01))
    await stage.rest(3)
    assert stage.state == "READY", f"{stage.state} by a fill that overtook its acceptance"
    await stage.agree()
    life = stage.core.orders.life
    ended += [(order.seq, order.state, order.filled_lots) for order in life.ended.values()]
    ended.append(stage.core.portfolio.holdings[0, 0].qty)
    assert ended[0] == (1, State.FILLED, 1000), "the fill did not find the order it is of"


_find = Lifecycle.find


def _acknowledged(self, client_order_id):
    order = _find(self, client_order_id)
    return order if order is not None and order.state is not State.PENDING_NEW else None


def _without_fills():
    table = [list(row) for row in state._NEXT]
    for event in (Event.PART_FILL, Event.LAST_FILL):
        table[State.PENDING_NEW][event] = None
    return table


MUTATIONS = (
    Mutation(
        "daemon.orders.state.TABLE",
        "what was not accepted cannot be filled",
        lambda: patch.object(state, "_NEXT", _without_fills()),
        "HALTED by a fill that overtook its acceptance",
    ),
    mutation(
        Lifecycle,
        "find",
        "only an accepted order is known",
        _acknowledged,
        "open orders differ",
    ),
)
