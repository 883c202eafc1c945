"""The core: events in order, books by the rule, bad frames counted, the errors of the sink not hidden."""

from __future__ import annotations

import pytest

from daemon.feeds.base import Control
from daemon.feeds.core import FRAMES_KEPT, FRAMES_KEPT_MAX
from daemon.feeds.sync import RUN_MIN
from kernels import book as books
from kernels.dtypes import BUY, QUOTE, TRADE
from kernels.levels import LEVELS_MAX

BID, ASK = '["100.00","1"]', '["100.01","1"]'


def synced(bench, frames, last_id=10):
    """Return a bench whose book is in sync."""
    it = bench()
    it.core.process(frames.depth(last_id, last_id), 1, False)
    it.core.process(frames.snapshot(last_id), 2, False)
    assert it.sink.statuses == [(0, True, "snapshot")]
    return it


# --- ticks -------------------------------------------------------------------------------------------------
def test_ticks_reach_the_ring_and_the_sink(bench, frames) -> None:
    it = bench()
    it.core.process(frames.quote(5), 7, False)
    it.core.process(frames.trade(9), 8, False)
    assert [(one.kind, one.wire_ns, one.id) for one in it.sink.ticks] == [(QUOTE, 7, 5), (TRADE, 8, 9)]
    lane = it.core.lanes[0]
    assert list(lane.frames) == [frames.quote(5), frames.trade(9)]
    assert (lane.quote.count, lane.trade.count, it.core.frames) == (1, 1, 2)
    assert lane.newest_ns == 8


def test_repeated_and_older_ticks_are_counted_and_not_told_twice(bench, frames) -> None:
    it = bench()
    for number in (5, 5, 4, 6):
        it.core.process(frames.trade(number), 1, False)
        it.core.process(frames.quote(number), 1, False)
    assert [one.id for one in it.sink.ticks] == [5, 5, 6, 6]
    lane = it.core.lanes[0]
    assert (lane.trade.count, lane.trade_ids.repeated, lane.trade_ids.older) == (4, 1, 1)
    assert (lane.quote.count, lane.quote_ids.repeated, lane.quote_ids.older) == (4, 1, 1)


def test_a_missing_trade_is_a_gap(bench, frames) -> None:
    it = bench()
    for number in (5, 6, 9):
        it.core.process(frames.trade(number), 1, False)
    assert (it.core.lanes[0].trade_ids.gaps, it.core.lanes[0].trade_ids.missed) == (1, 2)
    assert len(it.sink.ticks) == 3
    assert it.sink.gaps == [(0, "trades were missed")]


def test_a_gap_is_told_before_the_tick_that_follows_it(bench, frames) -> None:
    it = bench()
    it.core.process(frames.trade(5), 1, False)
    heard = []
    it.sink.on_gap = lambda *_: heard.append(len(it.sink.ticks))
    it.core.process(frames.trade(9), 1, False)
    assert heard == [1]


def test_a_cut_is_a_gap_where_anything_had_come(bench, frames) -> None:
    it = bench()
    it.core.disconnected([0])
    assert it.sink.gaps == []
    it.core.process(frames.quote(5), 1, False)
    it.core.disconnected([0])
    assert it.sink.gaps == [(0, "the connection was cut")]
    assert it.core.lanes[0].newest_ids == (-1, 5)


def test_one_absurd_id_does_not_silence_a_stream(bench, frames) -> None:
    it = bench()
    for number in (5, 1 << 60, 6, 7):
        it.core.process(frames.trade(number), 1, False)
        it.core.process(frames.quote(number), 1, False)
    assert [one.id for one in it.sink.ticks] == [5, 5, 6, 6, 7, 7]


def test_a_stream_that_starts_over_is_heard_again(bench, frames) -> None:
    it = bench()
    it.core.process(frames.quote(1_000_000), 1, False)
    for number in range(1, RUN_MIN + 3):
        it.core.process(frames.quote(number), 1, False)
    assert [one.id for one in it.sink.ticks] == [1_000_000, RUN_MIN, RUN_MIN + 1, RUN_MIN + 2]


# --- bad frames --------------------------------------------------------------------------------------------
def test_a_bad_frame_is_counted_by_its_reason_and_forgotten(bench, frames) -> None:
    it = bench()
    for payload in (b"{", frames.trade(price="NaN"), frames.trade(price="-1"), frames.trade(name="dogeusdt")):
        it.core.process(payload, 1, False)
    it.core.process(frames.trade(), 1, False)
    assert it.core.errors == {"json": 1, "price": 2, "symbol": 1}
    assert "dogeusdt" in it.core.last_error
    assert it.core.frames == 5
    assert len(it.sink.ticks) == 1


def test_what_the_sink_raises_is_not_taken_for_a_bad_frame(bench, frames) -> None:
    it = bench()

    def fail(tick: object) -> None:
        raise ValueError("a strategy's own")

    it.core._on_tick = fail
    with pytest.raises(ValueError, match="own"):
        it.core.process(frames.trade(), 1, False)
    assert it.core.errors == {}


def test_replies_and_announcements_are_handed_on(bench) -> None:
    it = bench()
    it.core.process(b'{"result":null,"id":1}', 1, False)  # nobody listens
    heard: list[Control] = []
    it.core.on_control = heard.append
    it.core.process(b'{"e":"serverShutdown","E":1}', 1, False)
    assert heard == [Control("shutdown")]
    assert it.core.controls == {"reply": 1, "shutdown": 1}


# --- drains ------------------------------------------------------------------------------------------------
def test_a_live_frame_is_stamped_once_and_the_last_one_drains(bench, frames) -> None:
    it = bench()
    it.core.on_frame(frames.quote(1), False)
    it.time.advance(2_000)
    it.core.on_frame(b"{", True)
    assert it.sink.ticks[0].wire_ns == 1_000
    assert it.sink.drains == [2_000]


# --- books -------------------------------------------------------------------------------------------------
def test_the_first_depth_update_asks_for_a_snapshot_once(bench, frames) -> None:
    it = bench()
    for number in range(10, 15):
        it.core.process(frames.depth(number, number), 1, False)
    assert it.requests == [0]
    assert it.sink.books == []


def test_the_snapshot_and_the_held_updates_make_the_book(bench, frames) -> None:
    it = bench()
    it.core.process(frames.depth(9, 10, bids='["99.00","1"]'), 1, False)
    it.core.process(frames.depth(11, 12, bids='["100.00","0"],["99.99","2"]'), 2, False)
    it.core.process_snapshot(0, frames.snapshot(10), 3)
    # the update up to 10 is in the snapshot already; 99.00 must not have come back
    assert it.sink.statuses == [(0, True, "snapshot")]
    assert it.sink.books == [(0, 3, 9999, 10001)]
    assert books.levels(it.core.lanes[0].book, BUY)[0].size == 1
    assert it.core.lanes[0].resyncs == 1


def test_each_following_update_tells_the_book(bench, frames) -> None:
    it = synced(bench, frames)
    it.core.process(frames.depth(11, 11, asks='["100.01","0"],["100.03","5"]'), 3, False)
    it.core.process(frames.depth(11, 11, asks='["100.02","5"]'), 4, False)  # a repetition
    it.core.process(frames.depth(12, 12, asks='["100.02","5"]'), 5, False)
    assert it.sink.books[1:] == [(0, 3, 10000, 10003), (0, 5, 10000, 10002)]
    assert it.core.lanes[0].depth.count == 4


def test_a_gap_closes_the_book_and_asks_for_another_snapshot(bench, frames) -> None:
    it = synced(bench, frames)
    it.core.process(frames.depth(13, 13, bids='["100.00","0"],["99.98","1"]'), 3, False)
    assert it.sink.statuses[-1] == (0, False, "gap")
    assert it.requests == [0, 0]
    assert it.core.lanes[0].gaps == {"gap": 1}
    it.core.process(frames.depth(14, 14), 4, False)
    it.core.process_snapshot(0, frames.snapshot(12), 5)
    assert it.sink.statuses[-1] == (0, True, "snapshot")
    assert it.sink.books[-1] == (0, 5, 9998, 10001)


def test_a_snapshot_that_is_too_old_is_asked_for_again(bench, frames) -> None:
    it = bench()
    it.core.process(frames.depth(10, 10), 1, False)
    it.core.process_snapshot(0, frames.snapshot(5), 2)
    assert it.requests == [0, 0]
    assert it.sink.statuses == []
    it.core.process_snapshot(0, frames.snapshot(9), 3)
    assert it.sink.statuses == [(0, True, "snapshot")]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"code":-1003}', b'{"lastUpdateId":20,"bids":[["x","1"]],"asks":[]}']
)
def test_a_snapshot_that_is_none_is_counted_and_asked_for_again(bench, frames, body: bytes) -> None:
    it = bench()
    it.core.process(frames.depth(20, 20), 1, False)
    it.core.process_snapshot(0, body, 2)
    assert it.core.errors.total() == 1
    assert it.requests == [0, 0]
    assert not it.core.lanes[0].sync.synced


def test_a_snapshot_nobody_needs_changes_nothing(bench, frames) -> None:
    it = synced(bench, frames)
    it.core.process(frames.depth(11, 15, bids='["100.00","9"]'), 3, False)
    it.core.process_snapshot(0, frames.snapshot(12), 4)
    it.core.process(frames.depth(16, 16), 5, False)
    assert it.core.lanes[0].sync.last_id == 16
    assert len(it.sink.statuses) == 1


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ('["100.001","1"]', "grid"),
        ('["x","1"]', "levels"),
        ('["-1","1"]', "not_positive"),
        ('["1e308","1"]', "levels"),
        (",".join(['["1.00","1"]'] * (LEVELS_MAX + 1)), "levels_max"),
        ('["99999999999999999999","1"]', "overflow"),
    ],
)
def test_levels_that_are_none_are_counted_and_the_book_is_built_anew(
    bench, frames, levels: str, reason: str
) -> None:
    it = synced(bench, frames)
    it.core.process(frames.depth(11, 11, bids=levels), 3, False)
    assert it.core.errors == {reason: 1}
    assert it.sink.statuses[-1] == (0, False, "levels")
    assert it.requests == [0, 0]
    it.core.process(frames.depth(12, 12), 4, False)
    it.core.process_snapshot(0, frames.snapshot(11), 5)
    assert it.sink.statuses[-1] == (0, True, "snapshot")


def test_depth_without_both_sides_is_refused(bench, frames) -> None:
    it = synced(bench, frames)
    it.core.process(frames.depth(11, 11).replace(b',"a":[]', b""), 3, False)
    assert it.core.errors == {"side_missing": 1}


def test_a_crossed_book_is_built_anew(bench, frames) -> None:
    it = synced(bench, frames)
    it.core.process(frames.depth(11, 11, bids='["100.01","1"]'), 3, False)
    assert it.sink.statuses[-1] == (0, False, "crossed")
    assert it.core.lanes[0].gaps == {"crossed": 1}
    assert it.requests == [0, 0]


def test_futures_books_follow_pu(bench, frames, instrument) -> None:
    it = bench(instrument("usdm"))
    it.core.process(frames.depth(100, 110, 95), 1, False)
    it.core.process(frames.snapshot(105, '["100.0","1"]', '["100.1","1"]'), 2, False)
    it.core.process(frames.depth(130, 140, 110), 3, False)
    assert it.sink.statuses == [(0, True, "snapshot")]
    it.core.process(frames.depth(150, 160, 145), 4, False)
    assert it.sink.statuses[-1] == (0, False, "gap")


def test_each_instrument_has_its_own_book_and_ids(bench, frames, instrument) -> None:
    it = bench(instrument(), instrument(symbol="ETH/USDT", index=1))
    for index, name in enumerate(("btcusdt", "ethusdt")):
        it.core.process(frames.depth(10 * index, 10 * index, name=name), 1, False)
        it.core.process(frames.trade(7, name=name), 1, False)
    assert it.requests == [0, 1]
    it.core.process_snapshot(1, frames.snapshot(10), 2)
    assert it.sink.statuses == [(1, True, "snapshot")]
    assert [one.instrument for one in it.sink.ticks] == [0, 1]


# --- cuts and silence --------------------------------------------------------------------------------------
def test_a_cut_loses_the_book_at_once_and_lets_ids_jump(bench, frames) -> None:
    it = synced(bench, frames)
    it.core.process(frames.trade(5), 3, False)
    it.core.disconnected([0])
    assert it.sink.statuses[-1] == (0, False, "disconnected")
    it.core.process(frames.trade(5 + 20_000_000), 4, False)
    it.core.process(frames.depth(90, 90), 5, False)
    assert len(it.sink.ticks) == 2
    assert it.requests == [0, 0]
    it.core.disconnected([0])  # a second cut before the book came back is no second loss
    assert it.core.lanes[0].gaps == {"disconnected": 1}


def test_a_snapshot_that_comes_after_the_cut_makes_no_book(bench, frames) -> None:
    it = bench()
    it.core.process(frames.depth(10, 10), 1, False)
    it.core.disconnected([0])
    it.core.process_snapshot(0, frames.snapshot(10), 2)
    assert it.sink.statuses == []
    assert not it.core.lanes[0].sync.synced


def test_a_snapshot_may_stand_before_the_first_update_of_a_capture(bench, frames) -> None:
    it = bench()
    it.core.process(frames.snapshot(10), 1, False)
    it.core.process(frames.depth(11, 11), 2, False)
    assert it.sink.statuses == [(0, True, "snapshot")]
    assert len(it.sink.books) == 2
    assert it.requests == []


def test_the_age_is_that_of_the_most_silent_stream(bench, frames) -> None:
    it = bench()
    assert it.core.ages_ns(100)[0] > 1 << 60
    it.core.process(frames.quote(1), 100, False)
    it.core.process(frames.trade(1), 100, False)
    assert it.core.ages_ns(100)[0] > 1 << 60  # depth has not spoken yet
    it.core.process(frames.depth(1, 1), 120, False)
    it.core.process(frames.trade(2), 900, False)
    assert it.core.ages_ns(1_000)[0] == 900
    it.core.process(frames.quote(2), 950, False)
    assert it.core.ages_ns(1_000)[0] == 880
    assert it.core.lanes[0].newest_ns == 950


def test_only_streams_that_were_asked_for_can_be_silent(bench, frames) -> None:
    it = bench(streams=("trade", "quote"))
    it.core.process(frames.quote(1), 100, False)
    assert it.core.ages_ns(1_000)[0] == 900
    it = bench(streams=("trade",))
    it.core.process(frames.trade(1), 400, False)
    assert it.core.ages_ns(1_000)[0] == 600


def test_a_stream_that_repeats_old_ids_goes_silent(bench, frames) -> None:
    it = bench(streams=("trade", "quote"))
    it.core.process(frames.quote(7), 100, False)
    it.core.process(frames.trade(7), 100, False)
    for number in (7, 6, 5):
        it.core.process(frames.quote(number), 900, False)
        it.core.process(frames.trade(number), 900, False)
    assert it.core.ages_ns(1_000)[0] == 900
    assert it.core.lanes[0].newest_ns == 100


def test_a_book_that_is_told_old_updates_goes_silent(bench, frames) -> None:
    it = bench(streams=("depth",))
    it.core.process(frames.depth(11, 11), 100, False)
    it.core.process(frames.snapshot(10), 100, False)
    it.core.process(frames.depth(12, 12), 200, False)
    it.core.process(frames.depth(12, 12), 900, False)
    assert it.core.ages_ns(1_000)[0] == 800


def test_a_clock_that_was_set_back_hides_no_silence(bench, frames) -> None:
    it = bench()
    it.core.process(frames.quote(1), 50_000, False)
    it.core.process(frames.depth(1, 1), 50_000, False)
    assert it.core.ages_ns(50_000)[0] == 0
    assert it.core.ages_ns(1_000)[0] == 0
    assert it.core.ages_ns(1_400)[0] == 400
    it.core.process(frames.depth(2, 2), 1_500, False)
    assert it.core.ages_ns(1_600)[0] == 600


def test_a_stream_whose_frames_no_kernel_reads_is_taught_ever_more_rarely(bench, frames, monkeypatch) -> None:
    from daemon.feeds import core

    lessons = []
    monkeypatch.setattr(core, "learn", lambda *_: bool(lessons.append(it.core.lanes[0].trade.count)))
    it = bench()
    for number in range(100):
        it.core.process(frames.trade(number), 1, False)
    assert lessons == [0, 2, 6, 14, 30, 62]
    assert len(it.sink.ticks) == 100


def test_a_shape_that_has_changed_is_learnt_after_two_frames(bench, frames) -> None:
    it = bench()
    lane = it.core.lanes[0]
    changed = [frames.trade(number).replace(b'"M":true', b'"M":false') for number in range(10)]
    for number in range(4):
        it.core.process(frames.trade(number), 1, False)
    shape = lane.trade.record.tobytes()
    it.core.process(changed[4], 1, False)  # one alone may be a whim
    assert lane.trade.record["text"].tobytes() in shape
    it.core.process(changed[5], 1, False)
    assert lane.trade.record["text"].tobytes() not in shape
    assert [one.id for one in it.sink.ticks] == list(range(6))


def test_the_newest_frames_are_there_for_who_asks(bench, frames) -> None:
    it = bench(frames_kept=2)
    for number in range(3):
        it.core.process(frames.quote(number), 1, False)
    it.core.process(b"{", 1, False)
    assert it.core.recent() == [frames.quote(1), frames.quote(2)]


def test_many_instruments_share_the_room_for_frames(bench, instrument) -> None:
    some, many = (bench(*(instrument(index=k, symbol=f"B{k}/USDT") for k in range(n))) for n in (2, 500))
    assert some.core.lanes[0].frames.maxlen == FRAMES_KEPT
    assert sum(lane.frames.maxlen for lane in many.core.lanes) <= FRAMES_KEPT_MAX + 500


def test_many_decimals_of_nothing_keep_no_frame_from_the_kernel(bench, frames) -> None:
    it = bench()
    for number in range(4):
        it.core.process(frames.trade(number, "0.00001234", "523456789.00000000"), 1, False)
    assert it.core.lanes[0].trade.shaped
    assert [(one.a, one.b) for one in it.sink.ticks] == [(0.00001234, 523456789.0)] * 4


def test_another_sink_takes_over_and_the_first_hears_no_more(bench, frames) -> None:
    one = bench()
    other = type(one.sink)(one.rings)
    one.core.process(frames.depth(1, 2), 1, True)
    one.core.process_snapshot(0, frames.snapshot(2), 1)
    heard = (len(one.sink.books), len(one.sink.drains))
    one.core.listen(other)
    one.core.process(frames.trade(), 2, True)
    one.core.process(frames.depth(3, 4, bids='["99.00","1"]'), 3, True)
    assert (len(one.sink.books), len(one.sink.drains)) == heard
    assert (len(other.ticks), len(other.books), other.drains) == (1, 1, [2, 3])
