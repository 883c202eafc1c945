"""Where a record is cut, what comes before a cut, and what is altered behind it."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.research.backtest_verb import instrument_of
from daemon.research.market import Events, Market
from daemon.research.packed import Record
from daemon.research.peeking import SEEN, alter, before, choose_cuts, read_ahead
from daemon.tape.ticks import Block, read_header, read_ticks
from kernels.backtest_state import EVENT, L_LOTS, L_TICKS
from kernels.dtypes import DEPTH, QUOTE, TRADE


@pytest.fixture(scope="module")
def record(booked):
    """The record of a book in blocks of 1,000 events."""
    header = read_header(booked)
    instrument = instrument_of(header)
    market, found = Market(instrument, header), Record(instrument, header)
    ticks, depth = zip(*read_ticks(booked), strict=True)
    events, levels = market.take(Block(np.concatenate(ticks, axis=1), np.concatenate(depth, axis=1)))
    for begin in range(0, len(events), 1_000):
        found.take(Events(events[begin : begin + 1_000], levels))
    return found


def events_of(parts):
    return np.concatenate([np.zeros(0, EVENT), *(one.events for one in parts)])


def times_of(record):
    return events_of(record.whole())["tick"]["wire_ns"]


@pytest.mark.parametrize("count", [1, 2, 20, 101])
def test_cuts_are_as_many_as_asked_for_different_in_order_and_drawn_by_the_seed(record, count):
    sent_ns = times_of(record)[[700, 1_500, 2_900]]
    cuts = choose_cuts(record, sent_ns, count, 5)
    places = [cut.event for cut in cuts]
    assert places == sorted(set(places))
    assert len(places) == count
    assert [cut.number for cut in cuts] == list(range(1, count + 1))
    assert choose_cuts(record, sent_ns, count, 5) == cuts
    assert count == 1 or choose_cuts(record, sent_ns, count, 6) != cuts
    for cut in cuts:
        assert cut.event == 1_000 * cut.block + cut.at
        assert cut.at >= 1
        assert cut.wire_ns == times_of(record)[cut.event]


def test_cuts_lie_all_over_the_record_and_right_at_decisions(record):
    sent_ns = times_of(record)[[700, 1_500, 2_900]]
    near = {700, 701, 1_500, 1_501, 2_900, 2_901}
    places = [cut.event for cut in choose_cuts(record, sent_ns, 40, 1)]
    assert 2 <= len(near & set(places)) <= 3
    spread = np.histogram(places, bins=8, range=(0, 4_000))[0]
    assert spread.min() >= 2
    assert len({place % 100 for place in places}) > 20


def test_a_record_has_no_more_cuts_than_places(record):
    small = Record(record.instrument, record.header)
    (first, *_) = record.whole()
    small.take(Events(first.events[:4], first.levels))
    assert [cut.event for cut in choose_cuts(small, np.zeros(0, np.int64), 20, 1)] == [1, 2, 3]
    single = Record(record.instrument, record.header)
    single.take(Events(first.events[:1], first.levels))
    assert choose_cuts(single, np.zeros(0, np.int64), 20, 1) == []


@pytest.mark.parametrize("place", [1, 300, 999, 1_001, 1_900, 3_999])
def test_before_a_cut_is_all_that_was_there(record, place):
    (cut,) = [one for one in choose_cuts(record, np.zeros(0, np.int64), 3_996, 1) if one.event == place]
    whole = events_of(record.whole())
    ended = before(record, cut, None)
    assert events_of([*ended.first(), ended.last]).tobytes() == whole[:place].tobytes()
    altered = before(record, cut, record.instrument)
    assert events_of(altered.first()).tobytes() == events_of(ended.first()).tobytes()
    kept = len(ended.last.events)
    assert kept == min(place % 1_000, SEEN)
    assert altered.last.events[:kept].tobytes() == ended.last.events.tobytes()
    assert len(altered.last.events) == kept + 1_000 - cut.at


@pytest.mark.parametrize("factor", [1.03, 0.97])
def test_what_follows_says_something_else_in_the_same_form(record, factor):
    (market, *_) = record.whole()
    found = alter(market, 400, record.instrument, factor)
    assert found.events[:400].tobytes() == market.events[:400].tobytes()
    mine, theirs = found.events["tick"][400:], market.events["tick"][400:]
    for name in ("kind", "wire_ns", "exch_ns", "id"):
        assert mine[name].tolist() == theirs[name].tolist()
    for name in ("flags", "first", "bids", "asks"):
        assert found.events[name].tolist() == market.events[name].tolist()
    quotes, trades = theirs["kind"] == QUOTE, theirs["kind"] == TRADE
    for name in ("a", "c"):
        assert mine[name][quotes] == pytest.approx(theirs[name][quotes] * factor, abs=0.006)
        assert np.all(mine[name][quotes] != theirs[name][quotes])
    assert np.all(mine["a"][quotes] < mine["c"][quotes] + 0.005)
    assert mine["c"][trades].tolist() == (-theirs["c"][trades]).tolist()
    assert np.all(mine["b"][quotes | trades] > theirs["b"][quotes | trades])
    begin = int(market.events["first"][400:][theirs["kind"] == DEPTH][0])
    assert found.levels[:begin].tolist() == market.levels[:begin].tolist()
    assert np.all(found.levels[begin:, L_TICKS] != market.levels[begin:, L_TICKS])
    assert found.levels[begin:, L_LOTS].tolist() == (2 * market.levels[begin:, L_LOTS]).tolist()


def test_a_reading_that_looks_ahead_is_found_at_its_cut(booked, monkeypatch):
    header = read_header(booked)
    instrument = instrument_of(header)
    real, found = Market.take, Record(instrument, header)
    market = Market(instrument, header)
    for block in read_ticks(booked):
        found.take(market.take(block))
    sizes = [one.events for one in found.blocks]
    assert sizes[0] > 3_900
    cuts = choose_cuts(found, np.zeros(0, np.int64), 8, 2)
    given = booked, instrument, header, cuts, sizes
    assert read_ahead(*given) is None

    def peeking(self, block):
        market = real(self, block)
        if 1 < len(market.events) < 1_500:  # an id that would be there, had it been read on
            market.events["tick"]["id"][-1] = 0
        return market

    monkeypatch.setattr(Market, "take", peeking)
    first = next(cut for cut in cuts if cut.event > 1)
    assert first.event < 1_400
    assert read_ahead(*given) == first
    later = [cut for cut in cuts if cut.event > 1_700]
    assert read_ahead(booked, instrument, header, later, sizes) is None
