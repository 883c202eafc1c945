"""What got no answer, or an error that proves nothing, is never sent again."""

from __future__ import annotations

from tests.failures.stage import planted, play

#: each is executed, and not said to be
UNCERTAIN = ("lose_answer", "http_5xx", "-1006", "-1007")


def test_04_retry_duplicates():
    play(every_uncertain_answer)


async def every_uncertain_answer(stage):
    for count, kind in enumerate(UNCERTAIN, 1):
        stage.go_wrong(kind, method="order.place", count=1)
        stage.go_wrong("drop", method="executionReport", count=2)  # nor does an event tell
        stage.want(stage.hold(0.01 * count))
        await stage.until(lambda count=count: stage.theirs[count - 1 :], f"the order behind {kind}", 3)
        await stage.rest(8)
        assert len(stage.theirs) == count, "a second order for one wish"
        await stage.agree(25)
    assert len({order.client_id for order in stage.theirs}) == len(stage.sent) == len(UNCERTAIN)


MUTATIONS = (
    planted("re-send on timeout", "daemon.orders.lifecycle.Lifecycle._on_doubt", "sent twice"),
    planted(
        "no reserve for UNKNOWN", "daemon.orders.lifecycle.Lifecycle._doubt", "a second order for one wish"
    ),
)
