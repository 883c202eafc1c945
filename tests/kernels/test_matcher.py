"""The matcher's record."""

import numpy as np

from kernels.matcher import (
    EVENTS_MAX,
    MATCHER,
    NO_ASK,
    NO_BID,
    ORDERS_MAX,
    POWER_PROB,
    TAKES_MAX,
    new_matcher,
)


def test_a_new_matcher_knows_its_instrument_and_no_market():
    matcher = new_matcher(0.01, 1e-5, POWER_PROB, 2.0)
    assert matcher.dtype == MATCHER
    assert matcher.shape == (1,)
    record = matcher[0]
    assert (record["tick_size"], record["lot_size"], record["queue_power"]) == (0.01, 1e-5, 2.0)
    assert (
        (record["bid_ticks"], record["ask_ticks"])
        == (record["own_bid"], record["own_ask"])
        == (NO_BID, NO_ASK)
    )
    assert not record["orders"].any()


def test_events_have_room_for_every_take_and_what_each_order_can_say():
    assert EVENTS_MAX >= TAKES_MAX + 3 * ORDERS_MAX


def test_no_price_is_as_far_as_no_bid_and_no_ask():
    assert np.int64(NO_BID) - np.int64(10**15) < np.int64(NO_BID) + np.int64(10**15) < 0 < NO_ASK
    assert NO_ASK - NO_BID <= 2**63
