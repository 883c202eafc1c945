"""A depth update is missing, or crosses the book: it is built anew, and no risk is added meanwhile."""

from __future__ import annotations

from daemon.engine import Engine
from daemon.feeds.bookkeeper import Bookkeeper
from daemon.feeds.sync import APPLY, BookSync
from kernels import book as books
from kernels.dtypes import BUY, GATE_BOOK_GAP, SELL
from tests.failures.stage import ignore, mutation, play

#: as long as no snapshot can be had
WITHOUT_S = 4


def test_12_book_gap():
    play(lambda stage: the_book_breaks(stage, "depth_gap"))
    play(lambda stage: the_book_breaks(stage, "crossed_book"))


async def the_book_breaks(stage, how):
    await stage.until(lambda: same_book(stage), "the book is the exchange's", 2)
    stage.weather.http_share = 1.0
    stage.befall("rest_503", lasts_s=WITHOUT_S)
    stage.go_wrong(how, count=1)
    await stage.rest(0.5)  # the next update is here, and nothing to mend the book with
    broken_s = stage.now_s
    stage.want(stage.hold(0.01))
    await stage.rest(WITHOUT_S - 1)
    assert not stage.after_s(broken_s), "an order left on a broken book"
    await stage.until(lambda: same_book(stage), "the book is the exchange's again", 8)
    await stage.until(lambda: stage.after_s(broken_s), "it trades again", 2)
    await stage.agree()


def same_book(stage):
    """Whether the ten best levels of either side are the exchange's; updates may be on their way."""
    ours, theirs = stage.run.app.feed.lanes[0].book, stage.market.book
    return all(
        [part[-10:].tolist() for part in books.levels(ours, side)]
        == [part[-10:].tolist() for part in books.levels(theirs, side)]
        for side in (BUY, SELL)
    )


_offer = BookSync.offer


def _takes_any(self, depth):
    if not self.synced:
        return _offer(self, depth)
    self._follow(depth.last_id, fresh=False)
    return APPLY


def _ungated(self, instrument, synced, reason):
    self.synced[instrument] = synced
    if synced:
        self.risk.open(instrument, GATE_BOOK_GAP)


#: whoever sees it first: the judge of what leaves, or the scene itself
_SENT = "sent on a gapped book|an order left on a broken book"

MUTATIONS = (
    mutation(
        BookSync,
        "offer",
        "any update is the next one",
        _takes_any,
        _SENT,
    ),
    mutation(Bookkeeper, "_fault", "a crossed book is used", ignore, _SENT),
    mutation(
        Engine,
        "on_book_status",
        "no gate closes",
        _ungated,
        _SENT,
    ),
)
