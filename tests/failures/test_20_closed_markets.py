"""A symbol stops trading, the exchange closes, a replacement ends half done: no loop, and a known state."""

from __future__ import annotations

from daemon.orders.lifecycle import Lifecycle
from daemon.orders.order import State
from daemon.pause import Backoff
from daemon.symbol_watch import SymbolWatch
from daemon.venues.binance_session import CANCEL, PLACE, Session
from tests.failures.stage import ignore, mutation, play

CLOSED_S = 60.0


def test_20_closed_markets():
    play(the_symbol_breaks)
    play(the_exchange_closes)
    play(half_a_replacement)
    play(half_of_two_requests, venue={"replace": False})


async def the_symbol_breaks(stage):
    stage.want(stage.hold(0.01))
    await stage.until(lambda: stage.position[0] > 0, "it holds", 2)
    for wish in (stage.hold(0.02), stage.hold(0)):  # what adds risk, and what reduces it
        stage.go_wrong("break", symbol="BTCUSDT", lasts_s=CLOSED_S)
        sent = len(stage.sent)
        stage.want(wish)
        await stage.rest(CLOSED_S)
        assert 0 < len(stage.sent) - sent <= 12, "orders are sent to a closed market again and again"
        assert stage.state == "READY", "one closed market halts everything"
        before = stage.position[1]
        await stage.until(lambda before=before: stage.position[1] != before, "it trades again", 62)
        await stage.agree()


async def the_exchange_closes(stage):
    stage.want(stage.bid())
    await stage.until(lambda: stage.ours and stage.ours[0].state is State.WORKING, "a bid stands", 2)
    asked = stage.checks.requests
    stage.go_wrong("maintenance", lasts_s=CLOSED_S)
    await stage.rest(CLOSED_S)
    assert stage.checks.requests - asked < 4 * CLOSED_S, "a closed exchange is asked again and again"
    assert stage.ours, "an order was given up since the exchange was closed"
    await stage.agree(60)


async def half_a_replacement(stage):
    """409, -2021: the old order is cancelled, the new one refused."""
    await stand(stage)
    for number in range(3):
        (old,) = stage.ours
        stage.go_wrong("cancel_replace_half", count=1)
        tried, placed = stage.checks.replacements, len(stage.theirs)
        stage.want(stage.bid(0.01, 0.003 + 0.001 * number))
        await stage.until(lambda old=old: old.state is State.CANCELED, "the old bid is gone", 2)
        await stage.until(
            lambda old=old: stage.ours and stage.ours[0] is not old and standing(stage),
            "after half a replacement a bid stands again",
            1,
        )
        assert stage.checks.replacements - tried == 1, "a replacement is tried again and again"
        assert len(stage.theirs) - placed == 1, "a replacement is tried again and again"
    assert stage.core.engine.rejections.by_code[-2010] == 3, "why half a replacement was refused is lost"
    await stage.agree()


async def half_of_two_requests(stage):
    """The old order is cancelled and the new one lost: either is a request with its own answer."""
    await stand(stage)
    (old,) = stage.ours
    stage.go_wrong("http_5xx", method="order.place", executed=False, count=1)
    stage.want(stage.bid(0.01, 0.003))
    await stage.rest(2)
    assert old.state is State.CANCELED
    assert [order.state for order in stage.ours] == [State.UNKNOWN], "half a replacement is taken for a whole"
    await stage.agree(100)  # once the absence rule has ended it, it is placed anew
    await stage.until(lambda: standing(stage), "a bid stands", 5)


def standing(stage):
    return [order.state for order in stage.ours] == [State.WORKING]


async def stand(stage):
    stage.want(stage.bid(0.01))
    await stage.until(lambda: standing(stage), "a bid stands", 2)


def as_a_whole(session, asked, status, error, wire_ns):
    """Take an error for one of both halves, whatever its data say."""
    session._on_refusal(CANCEL, asked.old, status, error, wire_ns)
    session._on_refusal(PLACE, asked.order, status, error, wire_ns)


MUTATIONS = (
    mutation(
        SymbolWatch,
        "on_rejected",
        "a closed market's refusal is like any other",
        ignore,
        "orders are sent to a closed market again and again",
    ),
    mutation(Backoff, "next_s", "a closed exchange is tried at once", lambda _: 0.0, "asked again and again"),
    mutation(
        Session,
        "_on_failed_replace",
        "half a replacement is no answer",
        ignore,
        "not within 1 s: after half a replacement a bid stands again",
    ),
    mutation(
        Session, "_on_failed_replace", "its halves are not told apart", as_a_whole, "was refused is lost"
    ),
    mutation(
        Lifecycle, "_on_doubt", "an error of the server is no order", ignore, "half a replacement is taken"
    ),
)
