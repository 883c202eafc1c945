"""A book's checksum against zlib's, over the text that the exchange describes."""

from __future__ import annotations

import zlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import book as bk
from kernels import levels as lv
from kernels.checksum import crc32_of_top
from kernels.dtypes import BUY, SELL

side = st.dictionaries(st.integers(1, 10**9), st.integers(1, 10**15), max_size=14)


def text_of(ticks: int, lots: int) -> str:
    """Return a level as the exchange's page says: fixed decimals, no point, no leading zeros."""
    price, qty = f"{ticks // 10}.{ticks % 10}", f"{lots // 10**8}.{lots % 10**8:08d}"
    return "".join(one.replace(".", "").lstrip("0") for one in (price, qty))


@given(side, side)
def test_it_is_the_crc32_of_the_ten_best_of_each_side(bids: dict[int, int], asks: dict[int, int]) -> None:
    book = bk.make(32)
    for rows, levels in ((0, sorted(bids.items())), (2, sorted(asks.items(), reverse=True))):
        book[rows, 0] = len(levels)
        for n, (ticks, lots) in enumerate(levels, 1):
            book[rows, n], book[rows + 1, n] = ticks, lots
    best = [*sorted(asks.items())[:10], *sorted(bids.items(), reverse=True)[:10]]
    text = "".join(text_of(*level) for level in best)
    assert crc32_of_top(book, np.array([1, 1])) == zlib.crc32(text.encode())
    assert len(bk.levels(book, BUY)[0]) + len(bk.levels(book, SELL)[0]) == len(bids) + len(asks)


def test_a_step_may_be_more_than_one_of_the_last_decimal() -> None:
    book = bk.make(8)
    message = b'{"bids":[{"price":10.5,"qty":0.2}],"asks":[{"price":11.0,"qty":3}]}'
    grid = lv.make_grid(1, 5, 1, 1)  # 0.5 and 0.1; the exchange writes 2 and 4 decimals
    assert bk.replace(book, message, grid, lv.make_scratch()) == 2
    assert crc32_of_top(book, np.array([50, 1000])) == zlib.crc32(b"11003000010502000")


def test_it_has_one_signature() -> None:
    crc32_of_top(bk.make(8), np.array([1, 1]))
    assert len(crc32_of_top.signatures) == 1
