"""Typed ticks to events: what is news, what is missing, and what a book follows."""

from __future__ import annotations

import pytest

from daemon.errors import ConfigError, FileFormatError
from daemon.instruments import make_instrument
from daemon.research.market import Market
from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.ticks import Block, Header
from kernels import columns as c
from kernels.backtest_state import EV_END, EV_FRESH, EV_GAP, EV_LOST, EV_SYNCED, EV_TOLD, EV_WHOLE, NOTHING
from kernels.dtypes import DEPTH, QUOTE, TRADE


def header(tick="0.01", lot="0.001"):
    return Header(
        exchange="binance", market="spot", symbol="BTC/USDT", exchange_symbol="BTCUSDT", tick=tick, lot=lot
    )


def instrument(exchange="binance", tick="0.01", lot="0.001"):
    return make_instrument(
        0,
        exchange,
        "spot",
        "BTC/USDT",
        tick_size=tick,
        lot_size=lot,
        qty_min=lot,
        qty_max="9000",
        notional_min="5",
    )


def ticks(*rows):
    """Return trades and quotes: (seq, kind, id, end, a, b, c, d), a trade's c its side."""
    t = no_ticks(len(rows))
    for place, (seq, kind, number, end, *values) in enumerate(rows):
        t[c.T_SEQ, place], t[c.T_KIND, place], t[c.T_ID, place], t[c.T_END, place] = seq, kind, number, end
        t[c.T_WIRE_NS, place] = seq
        t[c.T_A, place], t[c.T_B, place] = values[:2]
        if kind == TRADE:
            t[c.T_SIDE, place] = values[2]
        else:
            t[c.T_C, place], t[c.T_D, place] = values[2:]
    return t


def depth(*rows):
    """Return levels: (seq, snapshot, first, last, side, price, size)."""
    d = no_depth(len(rows))
    for place, (seq, snapshot, first, last, side, price, size) in enumerate(rows):
        d[c.D_SEQ, place], d[c.D_WIRE_NS, place], d[c.D_END, place] = seq, seq, 1
        d[c.D_SNAPSHOT, place], d[c.D_FIRST, place], d[c.D_LAST, place] = snapshot, first, last
        d[c.D_PREV, place], d[c.D_SIDE, place] = -1, side
        d[c.D_PRICE, place], d[c.D_SIZE, place] = price, size
    return d


def take(market, t=None, d=None):
    return market.take(Block(no_ticks() if t is None else t, no_depth() if d is None else d))


def test_numbers_are_the_floats_nearest_to_the_files_decimals():
    made = take(
        Market(instrument(), header()),
        ticks((1, TRADE, 7, 1, 6_180_001, 29, -1), (2, QUOTE, 9, 1, 6_180_000, 3, 6_180_010, 70)),
    )
    trade, quote = made.events["tick"]
    assert [float(trade[name]) for name in "abcd"] == [61800.01, 0.029, -1.0, 0.0]
    assert [float(quote[name]) for name in "abcd"] == [61800.0, 0.003, 61800.1, 0.07]
    assert made.events["flags"].tolist() == [EV_END, EV_END]


def test_repetitions_are_nothing_and_missing_ids_are_a_gap_across_blocks_too():
    market = Market(instrument(), header())
    take(market, ticks((1, TRADE, 7, 1, 1, 1, 1), (2, QUOTE, 50, 1, 1, 1, 2, 1)))
    made = take(
        market, ticks((3, TRADE, 7, 1, 1, 1, 1), (4, TRADE, 10, 1, 1, 1, 1), (5, QUOTE, 60, 1, 1, 1, 2, 1))
    )
    assert made.events["tick"]["kind"].tolist() == [NOTHING, TRADE, QUOTE]
    assert made.events["flags"].tolist() == [EV_END, EV_END | EV_GAP, EV_END]
    made = take(market, ticks((6, TRADE, 11, 1, 1, 1, 1), (7, QUOTE, 61, 1, 1, 1, 2, 1)))
    assert made.events["flags"].tolist() == [EV_END, EV_END]


def test_a_frame_of_several_events_ends_its_drain_behind_the_last():
    made = take(Market(instrument(), header()), ticks((1, TRADE, 7, 1, 1, 1, 1), (1, TRADE, 8, 1, 1, 1, 1)))
    assert made.events["flags"].tolist() == [0, EV_END]


def test_a_book_waits_for_its_snapshot_follows_it_and_is_lost_at_a_gap():
    market = Market(instrument(), header())
    made = take(market, None, depth((1, 0, 8, 10, 1, 100, 5), (2, 0, 11, 12, -1, 110, 6)))
    assert made.events["flags"].tolist() == [EV_FRESH | EV_END] * 2
    assert made.levels.shape == (0, 2)
    snapshot = depth((3, 1, 9, 9, 1, 90, 1), (3, 1, 9, 9, 1, 95, 2), (3, 1, 9, 9, -1, 120, 1))
    made = take(market, None, snapshot)
    assert made.events["tick"]["kind"].tolist() == [DEPTH] * 3
    assert made.events["flags"].tolist() == [EV_WHOLE, 0, EV_SYNCED | EV_TOLD | EV_END]
    assert made.levels[:3].tolist() == [[95, 2], [90, 1], [120, 1]]  # best first
    assert made.levels[3:].tolist() == [[100, 5], [110, 6]]
    made = take(
        market, None, depth((4, 0, 13, 14, 1, 101, 5), (5, 0, 13, 14, 1, 101, 5), (6, 0, 99, 99, 1, 9, 9))
    )
    flags = [EV_FRESH | EV_TOLD | EV_END, EV_END, EV_FRESH | EV_LOST | EV_END]
    assert made.events["flags"].tolist() == flags


def test_ticks_and_depth_stand_in_the_order_of_the_record():
    made = take(
        Market(instrument(), header()),
        ticks((2, TRADE, 7, 1, 1, 1, 1), (4, TRADE, 8, 1, 1, 1, 1)),
        depth((1, 0, 1, 1, 1, 100, 5), (3, 0, 2, 2, 1, 100, 5)),
    )
    assert made.events["tick"]["kind"].tolist() == [DEPTH, TRADE, DEPTH, TRADE]


def test_sides_may_come_mixed_and_an_update_may_have_no_level():
    market = Market(instrument(tick="0.05", lot="0.01"), header())
    take(market, None, depth((1, 1, 9, 9, 1, 9_990, 100), (1, 1, 9, 9, -1, 10_010, 100)))
    mixed = (
        (2, 0, 10, 10, -1, 10_020, 1_000),
        (2, 0, 10, 10, 1, 9_980, 200),
        (2, 0, 10, 10, -1, 10_015, 300),
    )
    made = take(market, None, depth(*mixed, (3, 0, 11, 11, 0, 1, 1), (4, 0, 12, 12, 1, 9_975, 400)))
    assert made.events[["first", "bids", "asks"]].tolist() == [(0, 1, 2), (3, 0, 0), (3, 1, 0)]
    assert made.levels[:, 0].tolist() == [1_996, 2_004, 2_003, 1_995]


def test_levels_are_counted_by_the_instruments_grid():
    market = Market(instrument(tick="0.05", lot="0.01"), header())
    made = take(market, None, depth((1, 1, 9, 9, 1, 9_995, 25), (1, 1, 9, 9, -1, 10_005, 14)))
    assert made.levels.tolist() == [[1_999, 3], [2_001, 1]]
    with pytest.raises(FileFormatError, match="no multiple of its tick size"):
        take(market, None, depth((2, 0, 10, 10, 1, 9_994, 1)))


def test_books_that_are_cut_by_their_feed_are_refused():
    market = Market(instrument("okx"), header())
    assert len(take(market, ticks((1, TRADE, -1, 1, 1, 1, 1))).events) == 1
    with pytest.raises(ConfigError, match="books of okx"):
        take(market, None, depth((2, 0, 10, 10, 1, 9_994, 1)))


def test_an_empty_block_is_no_event():
    assert len(take(Market(instrument(), header())).events) == 0
