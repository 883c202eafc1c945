"""The fee is taken from the coin that was bought: never is more sold than is free, and dust is left alone."""

from __future__ import annotations

from daemon.events import Command
from daemon.flatten import Flatten
from daemon.orders.portfolio import Portfolio
from tests.failures.stage import mutation, play


def test_17_fees_and_dust():
    play(bought_and_sold_again)


async def bought_and_sold_again(stage):
    for qty in (0.01, 0.00777, 0.0042):
        stage.want(stage.hold(qty))
        await stage.until(lambda: stage.position[1] > 0.001, "it is bought", 3)
        await stage.rest(1)
        stage.want(stage.hold(0))
        await stage.rest(1)
        sold = [one for one in stage.sent if one.side == "SELL"]
        assert all(one.qty <= one.free for one in sold), "more is sold than is free"
        assert not stage.core.engine.rejections.by_code, "more is sold than is free"
        await stage.until(lambda: stage.position[1] < 0.0001, "all but dust is sold", 2)
    assert stage.position[1] > 0, "the scene is another: there is no dust"
    await stage.agree()
    sent = len(stage.sent)
    stage.run.do(stage.core.engine.on_command, Command(verb="flatten", source="person"))
    await stage.rest(5)
    assert not stage.core.engine.flatten.under_way, "dust is closed for ever"
    assert len(stage.sent) == sent, "dust is closed for ever"
    stage.run.do(stage.core.engine.on_command, Command(verb="resume", source="person"))
    await stage.agree()


MUTATIONS = (
    mutation(
        Portfolio,
        "_charge",
        "fees are not taken from what was bought",
        lambda *_: True,
        "more is sold than is free|balance differs|HALTED",
    ),
    mutation(Flatten, "_is_dust", "nothing is dust", lambda *_: False, "dust is closed for ever"),
)
