"""The book against a dict of levels: the same after every change, sorted, best in O(1), bounded."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import book as bk
from kernels import levels as lv
from kernels.dtypes import BOOK_CAPACITY, BOOK_LEVELS, BUY, SELL

GRID = lv.make_grid(2, 1, 3, 1)
NAN = math.nan


def apply(book: np.ndarray, side: int, levels: list[tuple[int, int]]) -> None:
    """Apply levels in ticks and lots to one side, as a message of the exchange."""
    texts = [(f"{tick / 100:.2f}", f"{lots / 1000:.3f}") for tick, lots in levels]
    buf = message(texts, []) if side == BUY else message([], texts)
    assert bk.update(book, buf, GRID, lv.make_scratch()) in {len(levels), bk.CROSSED}


def rows(book: np.ndarray, side: int) -> list[tuple[int, int]]:
    """Return a side's levels, best first."""
    ticks, lots = bk.levels(book, side)
    return list(zip(ticks[::-1].tolist(), lots[::-1].tolist(), strict=True))


def message(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> np.ndarray:
    sides = (",".join(f'["{price}","{qty}"]' for price, qty in side) for side in (bids, asks))
    return '{{"b":[{}],"a":[{}]}}'.format(*sides).encode()


def small_book() -> np.ndarray:
    book = bk.make()
    apply(book, BUY, [(100, 1), (99, 2), (97, 3)])
    apply(book, SELL, [(101, 4), (103, 5), (104, 6)])
    return book


changes = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]), st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), max_size=12)
    ),
    max_size=20,
)


@given(changes)
def test_the_book_is_the_dict_of_its_levels(batches: list[tuple[int, list[tuple[int, int]]]]) -> None:
    book = bk.make()
    twin: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
    for side, levels in batches:
        apply(book, side, levels)
        for tick, lots in levels:  # the last word on a price counts
            if lots:
                twin[side][tick] = lots
            else:
                twin[side].pop(tick, None)
        assert rows(book, BUY) == sorted(twin[BUY].items(), reverse=True)
        assert rows(book, SELL) == sorted(twin[SELL].items())
        assert bk.best_bid(book) == max(twin[BUY], default=0)
        assert bk.best_ask(book) == min(twin[SELL], default=0)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_full_side_drops_its_worst_level_and_never_its_best(side: int) -> None:
    book = bk.make()
    span = range(1_000_000, 1_000_000 + BOOK_CAPACITY)
    apply(book, side, [(tick, 1) for tick in span])
    best, worst = (span[-1], span[0]) if side == BUY else (span[0], span[-1])
    better = best + side
    apply(book, side, [(better, 7)])
    assert len(rows(book, side)) == BOOK_CAPACITY
    assert rows(book, side)[0] == (better, 7)
    assert rows(book, side)[-1] == (worst + side, 1)
    apply(book, side, [(worst - side, 7)])  # worse than all: no room for it
    assert rows(book, side)[-1] == (worst + side, 1)
    middle = rows(book, side)[BOOK_CAPACITY // 2][0]
    apply(book, side, [(middle, 9)])
    assert (middle, 9) in rows(book, side)
    apply(book, side, [(middle, 0)])
    assert len(rows(book, side)) == BOOK_CAPACITY - 1
    ticks = [tick for tick, _ in rows(book, side)]
    assert ticks == sorted(ticks, reverse=side == BUY)


def test_a_small_book_says_what_it_lacks_and_takes_it_once_it_has_grown() -> None:
    book, scratch = bk.make(0), lv.make_scratch()
    bids = [("1.00", "0.001"), ("0.99", "0.002")]
    buf = message(bids, [("1.01", "0.004"), ("1.03", "0.005"), ("1.04", "1")])
    for kernel in (bk.update, bk.replace):
        code = kernel(book, buf, GRID, scratch)
        assert code == bk.FULL - 3
        assert not book.any()
    book = bk.grown(book, code)
    assert book.shape[1] >= 4
    assert bk.replace(book, buf, GRID, scratch) == 5
    assert rows(book, BUY) == [(100, 1), (99, 2)]
    assert rows(book, SELL) == [(101, 4), (103, 5), (104, 1000)]


@given(changes)
def test_a_book_that_grows_is_like_a_large_one(
    batches: list[tuple[int, list[tuple[int, int]]]],
) -> None:
    large, book, scratch = bk.make(), bk.make(0), lv.make_scratch()
    for side, levels in batches:
        texts = [(f"{tick / 100:.2f}", f"{lots / 1000:.3f}") for tick, lots in levels]
        buf = message(texts, []) if side == BUY else message([], texts)
        code = bk.update(book, buf, GRID, scratch)
        if code <= bk.FULL:
            book = bk.grown(book, code)
            code = bk.update(book, buf, GRID, scratch)
        assert code == bk.update(large, buf, GRID, scratch)
        assert [rows(book, one) for one in (BUY, SELL)] == [rows(large, one) for one in (BUY, SELL)]


def test_a_book_grows_to_its_capacity_and_no_further() -> None:
    book = bk.grown(bk.make(BOOK_CAPACITY - 1), bk.FULL - BOOK_CAPACITY)
    assert book.shape[1] == BOOK_CAPACITY + 1
    assert bk.room(book, 3 * BOOK_CAPACITY, 0) == 0


def snapshot_of_objects(levels: int, *, best_first: bool) -> bytes:
    """Return a book of so many levels a side as Coinbase writes it."""
    sides = (("bid", range(levels, 0, -1)), ("offer", range(levels + 1, 2 * levels + 1)))
    texts = [
        f'{{"side":"{side}","event_time":"1970-01-01T00:00:00Z","price_level":"{tick / 100:.2f}",'
        f'"new_quantity":"0.{tick % 999 + 1:03d}"}}'
        for side, ticks in sides
        for tick in (ticks if best_first else reversed(ticks))
    ]
    return f'{{"updates":[{",".join(texts)}]}}'.encode()


def test_a_snapshot_may_be_as_large_as_a_book_and_is_the_same_in_either_order() -> None:
    scratch, took, found = lv.make_scratch(), {}, []
    for best_first in (True, False):
        buf = snapshot_of_objects(lv.LEVELS_MAX, best_first=best_first)
        book = bk.grown(bk.make(0), bk.replace(bk.make(0), buf, GRID, scratch))
        begin = time.perf_counter()
        assert bk.replace(book, buf, GRID, scratch) == 2 * lv.LEVELS_MAX
        took[best_first] = time.perf_counter() - begin
        found.append(book)
    assert len(rows(book, BUY)) == len(rows(book, SELL)) == BOOK_CAPACITY
    assert (bk.best_bid(book), bk.best_ask(book)) == (lv.LEVELS_MAX, lv.LEVELS_MAX + 1)
    assert np.array_equal(*found)
    assert took[False] < 5 * took[True]  # each level moved all others once, and it took 17 times as long


def test_a_snapshot_larger_than_any_is_refused_and_leaves_the_book() -> None:
    book = small_book()
    before = book.copy()
    buf = snapshot_of_objects(lv.LEVELS_MAX + 1, best_first=True)
    assert bk.replace(book, buf, GRID, lv.make_scratch()) == lv.TOO_MANY
    assert np.array_equal(book, before)


def test_a_message_changes_both_sides() -> None:
    book, scratch = small_book(), lv.make_scratch()
    assert (
        bk.update(book, message([("1.00", "0"), ("0.98", "0.005")], [("1.01", "0.009")]), GRID, scratch) == 3
    )
    assert rows(book, BUY) == [(99, 2), (98, 5), (97, 3)]
    assert rows(book, SELL) == [(101, 9), (103, 5), (104, 6)]


def test_a_refused_message_leaves_the_book_as_it_was() -> None:
    book, scratch = small_book(), lv.make_scratch()
    before = book.tobytes()
    assert bk.update(book, message([("1.00", "0")], [("1.015", "1")]), GRID, scratch) == lv.OFF_GRID
    assert bk.replace(book, message([("1.00", "0")], [("-1", "1")]), GRID, scratch) == lv.NOT_POSITIVE
    assert book.tobytes() == before


def test_a_snapshot_replaces_everything() -> None:
    book, scratch = small_book(), lv.make_scratch()
    assert bk.replace(book, message([("0.50", "1")], [("0.60", "2")]), GRID, scratch) == 2
    assert rows(book, BUY) == [(50, 1000)]
    assert rows(book, SELL) == [(60, 2000)]


def test_a_crossed_book_is_said_to_be_crossed() -> None:
    book, scratch = small_book(), lv.make_scratch()
    assert bk.update(book, message([("1.01", "1")], []), GRID, scratch) == bk.CROSSED
    assert bk.replace(book, message([("1.02", "1")], [("1.01", "1")]), GRID, scratch) == bk.CROSSED


def test_an_empty_side_is_not_crossed() -> None:
    book, scratch = bk.make(), lv.make_scratch()
    assert bk.update(book, message([("1.01", "1")], []), GRID, scratch) == 1
    assert bk.best_ask(book) == 0
    bk.clear(book)
    assert bk.best_bid(book) == 0


def top(book: np.ndarray, *quote: float, tick_size: float = 0.01, lot_size: float = 0.001) -> np.ndarray:
    out = np.full((2, BOOK_LEVELS, 2), -1.0)
    bk.top(book, *quote, tick_size, lot_size, out)
    return out


def test_without_a_quote_the_top_is_the_book() -> None:
    out = top(small_book(), NAN, NAN, NAN, NAN)
    assert out[0, :3].tolist() == [[1.0, 0.001], [0.99, 0.002], [0.97, 0.003]]
    assert out[1, :3].tolist() == [[1.01, 0.004], [1.03, 0.005], [1.04, 0.006]]
    assert np.isnan(out[:, 3:, 0]).all()
    assert (out[:, 3:, 1] == 0).all()


def test_the_quote_is_level_zero_and_only_levels_behind_it_follow() -> None:
    # the bid fell through two levels, the ask improved into the spread
    out = top(small_book(), 0.98, 0.5, 1.005, 0.7)
    assert out[0, :2].tolist() == [[0.98, 0.5], [0.97, 0.003]]
    assert out[1, :2].tolist() == [[1.005, 0.7], [1.01, 0.004]]
    # a quote at a book's price takes that level's place
    out = top(small_book(), 1.00, 9.0, 1.03, 8.0)
    assert out[0, :2].tolist() == [[1.0, 9.0], [0.99, 0.002]]
    assert out[1, :2].tolist() == [[1.03, 8.0], [1.04, 0.006]]


def test_a_deep_book_fills_every_level() -> None:
    book = bk.make()
    apply(book, BUY, [(tick, tick) for tick in range(1, 500)])
    out = top(book, NAN, NAN, NAN, NAN)
    assert out[0, :, 0].tolist() == [(499 - i) / 100 for i in range(BOOK_LEVELS)]
    assert np.isnan(out[1, :, 0]).all()


@pytest.mark.parametrize(
    ("step", "num", "base"),
    [
        (0.1, 1, 10),
        (0.01, 1, 100),
        (0.5, 5, 10),
        (0.025, 25, 1000),
        (1e-8, 1, 10**8),
        (5.0, 5, 1),
        (100.0, 100, 1),
    ],
)
def test_prices_are_the_floats_that_the_text_would_give(step: float, num: int, base: int) -> None:
    book = bk.make()
    for tick in (1, 3, 618001, 12345678):
        bk.clear(book)
        apply(book, BUY, [(tick, 7)])
        out = top(book, NAN, NAN, NAN, NAN, tick_size=step, lot_size=step)
        assert out[0, 0].tolist() == [tick * num / base, 7 * num / base]


def test_each_kernel_has_one_signature() -> None:
    book = small_book()
    bk.update(book, message([], []), GRID, lv.make_scratch())
    top(book, NAN, NAN, NAN, NAN)
    kernels = [kernel for kernel in vars(bk).values() if hasattr(kernel, "signatures")]
    assert len(kernels) > 10
    assert {kernel.__name__: len(kernel.signatures) for kernel in kernels if len(kernel.signatures) > 1} == {}


def test_a_trimmed_book_keeps_its_best_levels() -> None:
    book = small_book()
    bk.trim(book, 2)
    assert (rows(book, BUY), rows(book, SELL)) == ([(100, 1), (99, 2)], [(101, 4), (103, 5)])
    bk.trim(book, 2)
    assert (rows(book, BUY), rows(book, SELL)) == ([(100, 1), (99, 2)], [(101, 4), (103, 5)])
    apply(book, BUY, [(98, 7)])
    assert rows(book, BUY) == [(100, 1), (99, 2), (98, 7)]
