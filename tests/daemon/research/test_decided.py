"""Mids at decisions against a twin that looks through all quotes for each order."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daemon.instruments import Scale
from daemon.research.decided import Decided, Slippage
from kernels.backtest_state import EVENT, FILL_ROW, NOTHING, SENT_ROW
from kernels.dtypes import BUY, CANCEL, PLACE, QUOTE, SELL, TRADE

TICK = Scale(Decimal("0.05"))
#: kind, time, bid, ask
MARKET = st.lists(
    st.tuples(
        st.sampled_from([QUOTE, QUOTE, TRADE, NOTHING]),
        st.integers(0, 30),
        st.integers(1, 9_000_000),
        st.integers(1, 50),
    ),
    max_size=30,
)


def events_of(market):
    events = np.zeros(len(market), EVENT)
    for row, (kind, at, bid, spread) in zip(events["tick"], market, strict=True):
        row["kind"], row["wire_ns"] = kind, at
        row["a"], row["c"] = bid * 5 / 100, (bid + spread) * 5 / 100
    return events


def sent_of(orders):
    """Return rows of (time, verb), with keys from 1 on."""
    sent = np.zeros(len(orders), SENT_ROW)
    sent["now_ns"], sent["verb"], sent["key"] = [*zip(*orders, strict=True), range(1, len(orders) + 1)]
    return sent


def fills_of(rows):
    fills = np.zeros(len(rows), FILL_ROW)
    fills["key"], fills["side"], fills["ticks"], fills["lots"] = zip(*rows, strict=True)
    return fills


def twin(market, now_ns):
    """Return the newest quote's bid and ask together, in ticks; 0: there was none."""
    quotes = [2 * bid + spread for kind, at, bid, spread in market if kind == QUOTE and at <= now_ns]
    return quotes[-1] if quotes else 0


@given(MARKET, st.lists(st.integers(0, 40), min_size=1, max_size=10), st.integers(1, 10))
def test_the_mid_is_that_of_the_newest_quote_however_the_record_is_cut(market, times, size):
    market, times = sorted(market, key=lambda one: one[1]), sorted(times)
    sent = sent_of([(ns, PLACE) for ns in times])
    decided, events = Decided(TICK), events_of(market)
    for at in range(0, max(len(market), 1), size):
        # an order leaves with the block that holds the last event up to its time
        since_ns = market[at][1] if at else -1
        until_ns = market[at + size][1] if at + size < len(market) else 2**62
        left = sent[(sent["now_ns"] >= since_ns) & (sent["now_ns"] < until_ns)]
        decided.take(events[at : at + size], left)
    for key, now_ns in enumerate(times, 1):
        half = twin(market, now_ns)
        bought = decided.slippage(fills_of([(key, BUY, 7, 3)]))
        assert bought == (Slippage(1, 3 * (14 - half), 42) if half else Slippage(0, 0, 0))
        sold = decided.slippage(fills_of([(key, SELL, 7, 3)]))
        assert sold.cost == -bought.cost
    quotes = [2 * bid + spread for kind, _, bid, spread in market if kind == QUOTE]
    assert (decided.first, decided.last) == ((quotes[0], quotes[-1]) if quotes else (0, 0))


def test_fills_are_summed_exactly_and_a_cancel_decides_nothing():
    decided = Decided(TICK)
    market = [(QUOTE, 5, 100, 2), (QUOTE, 15, 200, 1)]
    sent = sent_of([(1, PLACE), (5, PLACE), (9, CANCEL), (10, CANCEL), (20, PLACE)])
    sent["key"] = [1, 2, 1, 1, 3]
    decided.take(events_of(market), sent)
    lots = 10**15
    fills = fills_of([(1, BUY, 900, 1), (2, BUY, 102, lots), (2, BUY, 101, 1), (3, SELL, 200, 2)])
    # of the first there was no mid; the second cost a tick a lot, the last half a tick
    value = 2 * (102 * lots + 101 + 400)
    assert decided.slippage(fills) == Slippage(3, 2 * lots + 0 + 2, value)
    assert decided.slippage(fills).bps == (2 * lots + 2) / value * 1e4


def test_a_quote_with_an_older_stamp_was_read_behind_the_newer_one():
    decided = Decided(TICK)
    decided.take(events_of([(QUOTE, 10, 100, 2), (QUOTE, 4, 300, 2)]), sent_of([(6, PLACE), (12, PLACE)]))
    assert decided.slippage(fills_of([(1, BUY, 1, 1)])).fills == 0
    assert decided.slippage(fills_of([(2, BUY, 302, 1)])).cost == 2


def test_where_nothing_was_taken_nothing_is_measured():
    assert Decided(TICK).slippage(np.zeros(0, FILL_ROW)) == Slippage(0, 0, 0)
    assert Slippage(0, 0, 0).bps is None
