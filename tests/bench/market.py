"""Ticks for the benches, from a seed: quotes, trades and depth of one instrument, none like another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kernels.dtypes import BOOK_LEVELS, DEPTH, QUOTE, TICK, TRADE

if TYPE_CHECKING:
    from numpy.typing import NDArray

START_NS: Final = 1_704_067_200_000_000_000
#: as the synthetic market of `tickd train` has it: 200 ticks a second, two thirds of them quotes
RATE_HZ: Final = 200.0
_SHARES: Final = {QUOTE: 0.68, TRADE: 0.27, DEPTH: 0.05}
_TICK: Final = 0.01
_PRICE: Final = 6_000_000  # ticks


def make_ticks(count: int, seed: int, rate_hz: float = RATE_HZ) -> NDArray[Any]:
    """Return `count` TICK rows, the first of them a quote; their times never step back and may repeat."""
    rng = np.random.default_rng(seed)
    ticks = np.zeros(count, TICK)
    kind = rng.choice(np.array(list(_SHARES)), count, p=list(_SHARES.values()))
    kind[0] = QUOTE
    gaps = rng.exponential(1e9 / rate_hz, count)
    gaps[rng.random(count) < 0.1] = 0.0  # a trade and the quote that it changes share a stamp
    bid = _PRICE + np.cumsum(rng.choice([-2, -1, 0, 0, 0, 1, 2], count))
    bid_price, ask_price = bid * _TICK, (bid + rng.choice([1, 1, 2, 3], count)) * _TICK
    side = rng.choice([-1.0, 1.0], count)
    small, other = rng.integers(1, 300_000, (2, count)) * 1e-5
    trade, depth = kind == TRADE, kind == DEPTH
    ticks["kind"] = kind
    ticks["wire_ns"] = START_NS + np.cumsum(gaps.astype(np.int64))
    ticks["exch_ns"] = ticks["wire_ns"] - 2_000_000
    ticks["id"] = np.arange(count)
    ticks["a"] = np.where(trade, np.where(side > 0, ask_price, bid_price), bid_price)
    ticks["b"] = np.where(depth, small * 10.0, small)
    ticks["c"] = np.where(trade, side, ask_price)
    ticks["d"] = np.where(trade, 0.0, np.where(depth, other * 10.0, other))
    return ticks


def make_books(ticks: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Return for each DEPTH tick what `decide` sees of the book, float64[m, 2, BOOK_LEVELS, 2]."""
    rng = np.random.default_rng(seed)
    depths = ticks[ticks["kind"] == DEPTH]
    books = np.empty((len(depths), 2, BOOK_LEVELS, 2))
    gaps = rng.integers(1, 5, books.shape[:3]) * _TICK
    gaps[:, :, 0] = 0.0
    away = np.cumsum(gaps, axis=2)
    books[:, 0, :, 0] = depths["a"][:, None] - away[:, 0]
    books[:, 1, :, 0] = depths["c"][:, None] + away[:, 1]
    books[..., 1] = rng.integers(1, 300_000, books.shape[:3]) * 1e-5
    return books
