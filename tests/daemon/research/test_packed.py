"""A record's events in memory: narrower, and the same to the last bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from daemon.errors import FileFormatError
from daemon.research import packed
from daemon.research.backtest_verb import instrument_of
from daemon.research.market import Events, Market
from daemon.tape.ticks import read_header, read_ticks
from kernels.backtest_state import EV_LOST, EV_SYNCED, EV_WHOLE, EVENT
from kernels.dtypes import BUY, DEPTH, SELL

INT64 = st.integers(-(2**63), 2**63 - 1)


def read(path):
    header = read_header(path)
    return packed.read_record(path, instrument_of(header), header)


def decoded(path):
    header = read_header(path)
    market = Market(instrument_of(header), header)
    return [market.take(block) for block in read_ticks(path)]


@given(arrays.arrays(np.int64, st.integers(1, 40), elements=INT64))
def test_whole_numbers_come_back_whatever_they_are(values):
    assert packed._narrow(values).unpack().tolist() == values.tolist()


@given(
    arrays.arrays(
        np.float64,
        st.integers(1, 30),
        elements=st.floats(width=64) | st.integers(0, 10**9).map(lambda n: n / 100),
    )
)
def test_floats_come_back_bit_for_bit(values):
    counted = packed._counted(values, (100.0, 1e5))
    assert counted.unpack().view(np.int64).tolist() == values.view(np.int64).tolist()


@pytest.mark.parametrize(
    ("values", "bytes_each"),
    [([5] * 100, 0), (range(1_000, 1_100), 0.99 * 1), (range(0, 10**8, 10**6), 1), ([0, 2**62] * 50, 1)],
)
def test_what_says_little_takes_little(values, bytes_each):
    column = packed._narrow(np.array(values, np.int64))
    assert column.data.nbytes <= bytes_each * 100 + 1


@pytest.mark.parametrize("name", ["swung", "booked"])
def test_a_record_comes_back_as_it_was_decoded(name, request):
    path = request.getfixturevalue(name)
    record, plain = read(path), decoded(path)
    for ours, theirs in zip(record.whole(), plain, strict=True):
        assert ours.events.tobytes() == theirs.events.tobytes()
        assert ours.levels.tobytes() == theirs.levels.tobytes()
    assert record.events == sum(len(one.events) for one in plain)
    assert record.nbytes < 24 * record.events  # of 96, and 16 a level


def test_one_other_event_is_another_record(swung):
    record, plain = read(swung), decoded(swung)
    again = packed.Record(record.instrument, record.header)
    for one in plain:
        again.take(one)
    assert again.digest == record.digest
    other = packed.Record(record.instrument, record.header)
    plain[0].events["tick"]["a"][7] += 0.01
    other.take(plain[0])
    assert other.digest != record.digest


def test_parts_are_all_of_it_and_hold_what_is_theirs(swung):
    record = read(swung)
    edges = [-(2**63), record.first_ns + 10**10, record.first_ns + 2 * 10**10, record.last_ns + 1]
    found = []
    for begin, end in pairwise(edges):
        part = np.concatenate([one.events for one in record.part(begin, end)])
        times = part["tick"]["wire_ns"]
        assert begin <= times.min()
        assert times.max() < end
        found.append(part)
    whole = np.concatenate([one.events for one in record.whole()])
    assert np.concatenate(found).tobytes() == whole.tobytes()
    assert list(record.part(record.last_ns + 1, 2**62)) == []


def kept(markets):
    """Return the book as a dict of each side keeps it, slowly."""
    book = {BUY: {}, SELL: {}}
    for events, levels in markets:
        for event in events[events["tick"]["kind"] == DEPTH]:
            if event["flags"] & EV_WHOLE:
                book = {BUY: {}, SELL: {}}
            first, bids, asks = (int(event[name]) for name in ("first", "bids", "asks"))
            for number, (ticks, lots) in enumerate(levels[first : first + bids + asks].tolist()):
                side = book[BUY if number < bids else SELL]
                side.pop(ticks, None)
                if lots:
                    side[ticks] = lots
    return book


def test_a_part_begins_with_the_book_as_it_stands_then(booked):
    record = read(booked)
    whole = list(record.whole())
    half_ns = (record.first_ns + record.last_ns) // 2
    before = [Events(one.events[one.events["tick"]["wire_ns"] < half_ns], one.levels) for one in whole]
    shown, *rest = record.part(half_ns, 2**62)
    assert len(shown.events) == 1
    assert shown.events["tick"]["wire_ns"][0] >= half_ns
    bids = int(shown.events["bids"][0])
    expected = kept(before)
    assert len(expected[BUY]) > 50
    assert shown.levels[:bids].tolist() == [list(one) for one in sorted(expected[BUY].items(), reverse=True)]
    assert shown.levels[bids:].tolist() == [list(one) for one in sorted(expected[SELL].items())]
    assert sum(len(one.events) for one in rest) + sum(len(one.events) for one in before) == record.events


def test_a_book_that_was_lost_is_not_shown():
    market = np.zeros(2, EVENT)
    market["tick"]["kind"] = DEPTH
    market["flags"] = [EV_WHOLE | EV_SYNCED, EV_LOST]
    market["bids"][0] = 1
    levels = np.array([[5, 7]], np.int64)
    assert len(packed._followed(packed._NO_BOOK, Events(market[:1], levels)).snapshot(3).events) == 1
    assert len(packed._followed(packed._NO_BOOK, Events(market, levels)).snapshot(3).events) == 0


def test_a_whole_book_takes_the_place_of_what_was_told_before_it():
    market = np.zeros(3, EVENT)
    market["tick"]["kind"] = DEPTH
    market["flags"] = [EV_WHOLE | EV_SYNCED, EV_WHOLE | EV_SYNCED, 0]
    market["bids"], market["asks"], market["first"] = [2, 1, 1], [0, 1, 0], [0, 2, 4]
    levels = np.array([[5, 7], [4, 7], [3, 9], [8, 2], [2, 6]], np.int64)
    book = packed._followed(packed._NO_BOOK, Events(market, levels))
    assert book.snapshot(1).levels.tolist() == [[3, 9], [2, 6], [8, 2]]
    # the same in three blocks
    book = packed._NO_BOOK
    for number in range(3):
        book = packed._followed(book, Events(market[number : number + 1], levels))
    assert book.snapshot(1).levels.tolist() == [[3, 9], [2, 6], [8, 2]]


def test_a_record_of_nothing_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="holds no ticks"):
        read(tmp_path)
