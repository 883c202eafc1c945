from __future__ import annotations

import math

import pytest

from daemon.instruments import make_instrument
from daemon.touch import Touch
from kernels.book import make as make_book
from kernels.dtypes import B_ASK_TICKS, B_BID_TICKS, QUOTE, TRADE
from kernels.ring import new_rings, push


@pytest.fixture
def rings():
    return new_rings(2)


@pytest.fixture
def touch(rings):
    rules = {"tick_size": "0.01", "lot_size": "0.1", "qty_min": "0.1", "qty_max": "9", "notional_min": "5"}
    symbols = ("BTC/USDT", "ETH/USDT")
    return Touch(
        [make_instrument(k, "binance", "spot", one, **rules) for k, one in enumerate(symbols)], rings
    )


def book(bids=(), asks=()):
    levels = make_book(8)
    levels[B_BID_TICKS, : len(bids) + 1] = [len(bids), *bids]
    levels[B_ASK_TICKS, : len(asks) + 1] = [len(asks), *asks]
    return levels


def test_before_anything_was_shown_nothing_is_known(touch, rings):
    push(rings, 0, TRADE, 1, 0, 1, 100.0, 1.0, 1.0, 0.0)
    assert all(math.isnan(price) for price in touch(0))


def test_the_newest_quote_of_each_instrument_is_the_touch(touch, rings):
    for bid in (100.0, 100.5):
        push(rings, 1, QUOTE, 1, 0, 1, bid, 1.0, bid + 1, 1.0)
    assert touch(1) == (100.5, 101.5)
    assert math.isnan(touch(0)[0])


def test_where_no_quotes_are_streamed_the_book_is_met_as_it_is_then(touch):
    levels = book([9999, 10000], [10002])
    touch.on_book(0, levels)
    assert touch(0) == (100.0, 100.02)
    levels[B_BID_TICKS, 2] = 10001
    assert touch(0) == (100.01, 100.02)


def test_a_side_of_the_book_may_be_empty(touch, rings):
    touch.on_book(0, book([10000]))
    assert touch(0)[0] == 100.0
    assert math.isnan(touch(0)[1])
    push(rings, 0, QUOTE, 1, 0, 1, 99.0, 1.0, 99.5, 1.0)  # fresher than any depth
    assert touch(0) == (99.0, 99.5)


def test_a_book_that_was_given_up_prices_nothing(touch):
    touch.on_book(0, book([15000], [10002]))
    touch.forget_book(0)
    assert all(math.isnan(price) for price in touch(0))
