import msgspec
import pytest

from daemon.simulator.marketdata import MarketData, Snapshot
from daemon.simulator.symbols import UNIT


@pytest.fixture
def market(make_symbol):
    return MarketData(make_symbol())


def depth(bids=(), asks=()) -> bytes:
    return msgspec.json.encode({"b": [list(row) for row in bids], "a": [list(row) for row in asks]})


def test_the_book_follows_snapshot_and_updates(market):
    market.snapshot(10, b'{"bids":[["100.00","1"],["99.00","2"]],"asks":[["101.00","1"]]}')
    market.depth(11, depth(bids=[("100.00", "0"), ("98.00", "3")], asks=[("100.50", "4")]))
    assert market.levels(5) == (
        [["99.00000000", "2.00000000"], ["98.00000000", "3.00000000"]],
        [["100.50000000", "4.00000000"], ["101.00000000", "1.00000000"]],
    )
    assert market.levels(1)[0] == [["99.00000000", "2.00000000"]]
    assert market.update_id == 11


def test_what_a_snapshot_already_holds_is_not_applied_again(market):
    market.snapshot(10, b'{"bids":[["100.00","1"]],"asks":[]}')
    market.depth(10, depth(bids=[("100.00", "9")]))
    market.snapshot(9, b'{"bids":[],"asks":[]}')
    assert market.levels(1)[0] == [["100.00000000", "1.00000000"]]


def test_updates_that_came_before_their_snapshot_are_applied_after_it(market):
    market.depth(9, depth(bids=[("99.00", "1")]))
    market.depth(12, depth(bids=[("98.00", "0"), ("97.00", "5")]))
    market.snapshot(10, b'{"bids":[["100.00","1"],["98.00","1"]],"asks":[]}')
    assert market.levels(5)[0] == [["100.00000000", "1.00000000"], ["97.00000000", "5.00000000"]]
    assert market.update_id == 12


def test_until_the_book_is_whole_the_snapshot_to_come_is_served(market):
    market.prior = Snapshot(50, [["1", "1"], ["0.5", "1"]], [["2", "1"]])
    market.depth(49, depth(bids=[("7.00", "1")]))
    assert market.served(1) == Snapshot(50, [["1", "1"]], [["2", "1"]])
    market.snapshot(50, b'{"bids":[["1.00","1"]],"asks":[]}')
    assert market.served(5).bids == [["1.00000000", "1.00000000"]]


def test_levels_that_cannot_be_read_are_refused_and_a_crossed_book_is_not(market):
    with pytest.raises(ValueError, match="BTCUSDT"):
        market.depth(1, b'{"b":[["x","1"]],"a":[]}')
    market.depth(2, depth(bids=[("101.00", "1")], asks=[("100.00", "1")]))
    assert market.update_id == 2


def test_the_touch_is_the_quotes_once_there_is_one(market):
    assert market.touch() == (0, 0, 0, 0)
    market.snapshot(1, b'{"bids":[["100.00","1"]],"asks":[["101.00","2"]]}')
    assert market.touch() == (100 * UNIT, UNIT, 101 * UNIT, 2 * UNIT)
    market.quote(99 * UNIT, UNIT, 100 * UNIT, UNIT)
    assert market.touch() == (99 * UNIT, UNIT, 100 * UNIT, UNIT)
    assert market.quote_view()["bidPrice"] == "99.00000000"


def test_a_quote_that_nobody_needs_is_read_when_it_is_asked_for(market):
    read = []

    def reader(frame):
        read.append(frame)
        return 5 * UNIT, UNIT, 6 * UNIT, UNIT

    market.quote_later(b"1", reader)
    market.quote_later(b"2", reader)
    assert read == []
    assert market.touch()[0] == 5 * UNIT
    assert read == [b"2"]
    market.quote_later(b"3", reader)
    market.quote(7 * UNIT, UNIT, 8 * UNIT, UNIT)  # newer than what was not read
    assert market.touch()[0] == 7 * UNIT


def test_the_average_price_is_weighted_by_volume_over_five_minutes(market):
    assert market.average_price() == 0
    market.quote(99 * UNIT, UNIT, 101 * UNIT, UNIT)
    assert market.average_price() == 100 * UNIT
    market.trade(1, 500 * UNIT, UNIT, False, 0)
    market.trade(2, 100 * UNIT, 3 * UNIT, False, 400_000)
    market.trade(3, 200 * UNIT, UNIT, False, 400_000)
    assert market.average_price() == 125 * UNIT


def test_the_day_is_the_sum_of_its_minutes(market):
    assert market.day().count == 0
    market.trade(1, 10 * UNIT, UNIT, False, 0)
    market.trade(2, 30 * UNIT, UNIT, True, 61_000)
    market.trade(3, 20 * UNIT, UNIT, True, 125_000)
    day = market.day()
    assert (day.open, day.high, day.low, day.close, day.count) == (
        10 * UNIT,
        30 * UNIT,
        10 * UNIT,
        20 * UNIT,
        3,
    )
