"""No answer comes to an order that the exchange has: it is UNKNOWN, reserved and asked about."""

from __future__ import annotations

from daemon.orders.doubts import Doubts
from daemon.orders.lifecycle import Lifecycle
from daemon.orders.order import State
from tests.failures.stage import ignore, mutation, planted, play

WISH = 0.01


def test_03_timeout_is_no_failure():
    play(the_reply_is_lost)


async def the_reply_is_lost(stage):
    stage.befall("mute", lasts_s=6)  # of the next order nothing is heard: no answer, no event, no status
    stage.want(stage.hold(WISH))
    await stage.until(lambda: stage.theirs, "the order is at the exchange", 2)
    order = next(iter(stage.ours))
    await stage.until(lambda: order.state is State.UNKNOWN, "the order is in doubt", 4)
    assert order.reserved > 0, "its worst case is not reserved"
    while stage.position[0] == 0 and stage.now_s < 15:
        await stage.rest(0.1)
        assert len(stage.theirs) == 1, "a second order for one wish"
    assert stage.position[0] > 0, "the order was never found"
    await stage.rest(5)
    await stage.agree()
    assert len(stage.theirs) == 1, "a second order for one wish"


MUTATIONS = (
    mutation(Lifecycle, "_on_doubt", "silence is passed over", ignore, "the order is in doubt"),
    mutation(Doubts, "add", "nobody asks", ignore, "the order was never found|open orders differ"),
    planted(
        "terminal on timeout",
        "daemon.orders.lifecycle.Lifecycle._on_doubt",
        "the order is in doubt|a second order for one wish",
    ),
    planted(
        "no reserve for UNKNOWN", "daemon.orders.lifecycle.Lifecycle._doubt", "its worst case is not reserved"
    ),
)
