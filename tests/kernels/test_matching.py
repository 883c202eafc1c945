"""The inner steps of matching, each against the plain way to say it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import matching
from kernels.book import make as make_book
from kernels.dtypes import B_ASK_LOTS, B_ASK_TICKS, BUY, SELL
from kernels.matcher import (
    EVENTS_MAX,
    GTC,
    NO_ASK,
    NO_BID,
    Q_ARMED,
    Q_KEY,
    Q_LEAVES,
    TAKEN_MAX,
    TAKES_MAX,
    UNKNOWN,
    new_matcher,
)


@given(levels=st.dictionaries(st.integers(1, 40), st.integers(1, 99), max_size=20), ticks=st.integers(0, 41))
def test_the_quantity_at_a_price_is_found_on_both_sides(levels, ticks):
    for sign, ordered in ((1, sorted(levels)), (-1, sorted(levels, reverse=True))):
        prices = np.zeros(32, np.int64)
        lots = np.zeros(32, np.int64)
        prices[: len(ordered)] = ordered
        lots[: len(ordered)] = [levels[price] for price in ordered]
        beyond = not levels or (ticks < min(levels) if sign == 1 else ticks > max(levels))
        expected = UNKNOWN if beyond else levels.get(ticks, 0)
        assert matching.lots_at(prices, lots, len(levels), ticks, sign) == expected


def test_a_full_table_of_taken_levels_forgets_the_furthest():
    for ladder, furthest in ((matching.ASKS, 1000 + TAKEN_MAX - 1), (matching.BIDS, 1000)):
        matcher = new_matcher(1.0, 1.0)
        record = matcher[0]
        for ticks in range(1000, 1000 + TAKEN_MAX):
            matching.remember_taken(record, ladder, ticks, 1)
        matching.remember_taken(record, ladder, 500, 2)
        assert record["n_taken"][ladder] == TAKEN_MAX
        assert matching.find_taken(record, ladder, furthest) == -1
        assert record["taken_lots"][ladder, matching.find_taken(record, ladder, 500)] == 2


def test_what_is_dropped_leaves_the_others_in_their_order():
    matcher = new_matcher(1.0, 1.0)
    record = matcher[0]
    for key, side in enumerate((BUY, SELL, BUY, SELL, SELL)):
        row = matching.append(record, key, side, GTC, 100 + key, 5)
        record["front"][row] = key
    record["orders"][1, Q_LEAVES] = 0
    record["orders"][2, Q_LEAVES] = 0
    record["orders"][4, Q_ARMED] = 1
    matching.compact(record)
    assert record["orders"][: record["n_orders"], Q_KEY].tolist() == [0, 3, 4]
    assert record["front"][:3].tolist() == [0.0, 3.0, 4.0]
    assert (record["own_bid"], record["own_ask"], record["n_armed"]) == (100, 103, 1)


def test_our_prices_are_walked_from_best_to_worst():
    matcher = new_matcher(1.0, 1.0)
    record = matcher[0]
    for key, (side, ticks) in enumerate([(BUY, 5), (BUY, 7), (BUY, 7), (SELL, 9), (SELL, 8)]):
        matching.append(record, key, side, GTC, ticks, 1)
    bids, asks = [NO_ASK], [NO_BID]
    while bids[-1] != NO_BID:
        bids.append(matching.own_best(record, BUY, bids[-1]))
    while asks[-1] != NO_ASK:
        asks.append(matching.own_best(record, SELL, asks[-1]))
    assert (bids, asks) == ([NO_ASK, 7, 5, NO_BID], [NO_BID, 8, 9, NO_ASK])


def test_one_order_takes_no_more_levels_than_events_have_room_for():
    matcher = new_matcher(1.0, 1.0)
    record = matcher[0]
    book = make_book()
    levels = 3 * TAKES_MAX
    book[B_ASK_TICKS, 0] = levels
    book[B_ASK_TICKS, 1 : levels + 1] = np.arange(levels, 0, -1) + 100
    book[B_ASK_LOTS, 1 : levels + 1] = 1
    matching.set_touch(record, 100, 1, 101, 1)
    got = matching.take(record, book, 1, BUY, NO_ASK, 10**9, matching.TAKE)
    assert got == record["n_events"] == TAKES_MAX < EVENTS_MAX
