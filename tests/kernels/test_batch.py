"""Rows over arrays: equal to the live ones bit for bit, whichever are asked for and however they are cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kernels import batch, features
from kernels.dtypes import BOOK_LEVELS, DEPTH, QUOTE, TICK, TRADE
from kernels.features import FEATURE_FLOATS, FEATURE_INTS, FEATURES, bind_tuning

START = 1_723_161_253_937_085_768
#: warm within a hundred ticks, over after five silent seconds
TUNING = bind_tuning(
    {"ema_fast": 3, "ema_slow": 9, "mean_quotes": 5, "smooth": 4, "flow_half_life_s": 0.002, "bar_ms": 20}
    | {"slow_half_life_s": 0.05, "silence_s": 5, "rsi_bars": 3, "macd_fast": 2, "macd_slow": 5}
    | {"macd_signal": 2, "atr_bars": 2, "bollinger_bars": 3, "volatility_bars": 2, "range_bars": 3}
    | {"return_short": 1, "return_medium": 2, "return_long": 7}
)
ALL = batch.places(FEATURES)


def made(n: int, seed: int) -> np.ndarray:
    """Bursts of one stamp, silences that start all again, steps back, ticks that cannot be, no quantities."""
    rng = np.random.default_rng(seed)
    ticks = np.zeros(n, TICK)
    kind = ticks["kind"] = rng.choice([QUOTE, TRADE, DEPTH, 0, 9], n, p=[0.5, 0.35, 0.13, 0.01, 0.01])
    gaps = rng.choice([0, 1_000, 2_000_000, 30_000_000, 4_900_000_000], n, p=[0.3, 0.2, 0.3, 0.19, 0.01])
    gaps[rng.random(n) < 0.01] = 6_000_000_000
    gaps[rng.random(n) < 0.02] = -900_000
    ticks["wire_ns"] = START + np.cumsum(gaps)
    bid = 600.0 + np.cumsum(rng.choice([-0.02, -0.01, 0.0, 0.01, 0.02], n))
    ticks["a"] = bid
    ticks["b"], ticks["d"] = rng.integers(0, 3, (2, n)) * 0.5
    ticks["c"] = np.where(kind == TRADE, rng.choice([-1.0, 1.0], n), bid + rng.choice([0.01, 0.03], n))
    ticks["a"][rng.random(n) < 0.01] = np.nan
    return ticks


def books_of(ticks: np.ndarray, seed: int = 1) -> np.ndarray:
    """A book for each DEPTH tick: thin sides, empty ones, crossed ones, levels of nothing."""
    rng = np.random.default_rng(seed)
    m = int(np.sum(ticks["kind"] == DEPTH))
    away = np.cumsum(rng.integers(1, 4, (m, 2, BOOK_LEVELS)) * 0.01, axis=2) * [[-1.0], [1.0]]
    books = np.stack((600.0 + away, rng.integers(0, 4, away.shape) * 0.5), axis=3)
    absent = np.arange(BOOK_LEVELS) >= rng.integers(0, BOOK_LEVELS * 3, (m, 2, 1))
    books[absent] = np.nan, 0.0
    books[rng.random(m) < 0.02, 1, 0, 0] = 599.0
    return books


def live(ticks: np.ndarray, tuning: np.ndarray = TUNING, books: np.ndarray | None = None) -> np.ndarray:
    """Step and ask for a row after each tick, as the daemon does."""
    waiting = iter(() if books is None else books)
    f, i = np.zeros(FEATURE_FLOATS), np.zeros(FEATURE_INTS, np.int64)
    features.init(f, i, tuning)
    rows = np.empty((len(ticks), len(FEATURES)))
    for tick, row in zip(ticks, rows, strict=True):
        kind, wire_ns, _, _, *numbers = tick.tolist()
        if kind == DEPTH and books is not None:
            features.step_book(f, i, wire_ns, next(waiting))
        else:
            features.step(f, i, kind, wire_ns, *numbers)
        features.row(f, i, wire_ns, row)
    return rows


def rows_of(
    ticks: np.ndarray,
    at: np.ndarray | None = None,
    columns: np.ndarray = ALL,
    states: np.ndarray | None = None,
    dtype: type = np.float64,
    books: np.ndarray = batch.NO_BOOKS,
) -> np.ndarray:
    at = batch.every(ticks) if at is None else at
    out = np.full((len(at), len(columns)), 42.0, dtype)
    states = batch.new_states(1, TUNING) if states is None else states
    batch.advance(states, 0, ticks, books, at, columns, out)
    return out


@given(some.integers(0, 2**32), some.integers(1, 400))
def test_rows_are_the_live_ones_to_the_last_bit(seed: int, n: int) -> None:
    ticks = made(n, seed)
    assert rows_of(ticks).tobytes() == live(ticks).tobytes()


@settings(max_examples=60)
@given(some.integers(0, 2**32), some.integers(1, 400))
def test_rows_with_books_are_the_live_ones_to_the_last_bit(seed: int, n: int) -> None:
    ticks = made(n, seed)
    books = books_of(ticks, seed)
    want = live(ticks, books=books) if len(books) else live(ticks)
    assert rows_of(ticks, books=books).tobytes() == want.tobytes()


def test_books_may_be_cut_with_their_ticks_and_columns_be_asked_for_later() -> None:
    ticks, states = made(600, 8), batch.new_states(1, TUNING)
    books, columns = books_of(ticks), batch.places(["near_slope_ratio", "depth_imbalance_ema", "near_slope"])
    want = live(ticks, books=books)
    assert np.isfinite(want[:, -5:]).any(axis=0).all()
    here = int(np.sum(ticks["kind"][:250] == DEPTH))
    rows_of(ticks[:250], columns=batch.places(["rsi"]), states=states, books=books[:here])
    got = rows_of(ticks[250:], columns=columns, states=states, books=books[here:])
    assert got.tobytes() == np.ascontiguousarray(want[250:][:, columns]).tobytes()


def test_books_that_are_not_one_for_each_depth_tick_are_refused() -> None:
    ticks = made(300, 4)
    books = books_of(ticks)
    for wrong, says in ((books[:-1], "fewer books"), (np.concatenate((books, books[:1])), "more books")):
        with pytest.raises(ValueError, match=says):
            rows_of(ticks, books=wrong)


@given(some.integers(0, 2**32), some.data())
def test_whichever_ticks_and_columns_are_asked_for(seed: int, data: some.DataObject) -> None:
    ticks = made(300, seed)
    names = data.draw(some.lists(some.sampled_from(FEATURES), min_size=1, max_size=6))
    at = np.array(sorted(data.draw(some.sets(some.integers(0, 299)))), np.int64)
    columns = batch.places(names)
    want = np.ascontiguousarray(live(ticks)[at][:, columns])
    assert rows_of(ticks, at, columns).tobytes() == want.tobytes()


@given(some.integers(0, 2**32), some.lists(some.integers(0, 300), max_size=4))
def test_however_the_run_is_cut_into_pieces(seed: int, cuts: list[int]) -> None:
    ticks, states = made(300, seed), batch.new_states(1, TUNING)
    bounds = [0, *sorted(cuts), 300]
    columns = [ALL, batch.places(["rsi", "vwap_bps"])]
    want = live(ticks)
    for number, (first, last) in enumerate(pairwise(bounds)):
        asked = columns[number % 2]  # what one piece did not ask for is not worked out, and stays to be
        got = rows_of(ticks[first:last], columns=asked, states=states)
        assert got.tobytes() == np.ascontiguousarray(want[first:last][:, asked]).tobytes()


def test_the_default_tuning_agrees_too() -> None:
    ticks, tuning = made(3_000, 1), bind_tuning({})
    got = rows_of(ticks, states=batch.new_states(1, tuning))
    assert got.tobytes() == live(ticks, tuning).tobytes()


def test_float32_rows_are_the_float64_ones_rounded() -> None:
    ticks = made(500, 2)
    got = rows_of(ticks, dtype=np.float32)
    assert got.tobytes() == live(ticks).astype(np.float32).tobytes()


def test_ticks_and_rows_may_be_mapped(tmp_path) -> None:
    ticks = made(500, 3)
    np.save(tmp_path / "ticks.npy", ticks)
    mapped = np.load(tmp_path / "ticks.npy", mmap_mode="c")
    out = np.lib.format.open_memmap(tmp_path / "rows.npy", "w+", shape=(500, len(FEATURES)))
    before = len(batch.advance.signatures)
    batch.advance(batch.new_states(1, TUNING), 0, mapped, batch.NO_BOOKS, batch.every(mapped), ALL, out)
    assert len(batch.advance.signatures) == max(before, 1)
    out.flush()
    assert np.load(tmp_path / "rows.npy").tobytes() == live(ticks).tobytes()


def test_symbols_share_nothing_and_threads_may_run_them_side_by_side() -> None:
    runs = [made(2_000, seed) for seed in range(4)]
    states, outs = batch.new_states(4, TUNING), [np.empty((2_000, len(FEATURES))) for _ in runs]
    with ThreadPoolExecutor(2) as pool:
        tasks = [
            pool.submit(batch.advance, states, s, ticks, batch.NO_BOOKS, batch.every(ticks), ALL, out)
            for s, (ticks, out) in enumerate(zip(runs, outs, strict=True))
        ]
    for task, ticks, out in zip(tasks, runs, outs, strict=True):
        task.result()
        assert out.tobytes() == live(ticks).tobytes()


def test_a_feature_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        batch.places(["moon_phase"])


def test_every_column_belongs_to_the_part_that_writes_it() -> None:
    ticks = made(400, 5)
    f, i = np.zeros(FEATURE_FLOATS), np.zeros(FEATURE_INTS, np.int64)
    features.init(f, i, TUNING)
    for tick in ticks:
        kind, wire_ns, _, _, *numbers = tick.tolist()
        features.step(f, i, kind, wire_ns, *numbers)
    now_ns = int(ticks["wire_ns"][-1])
    for part, write in {
        1: lambda out: features.row_rates(f, i, now_ns, out),
        2: lambda out: features.row_quotes(f, i, out),
        4: lambda out: features.row_bars(f, i, out),
        8: lambda out: features.row_trades(f, i, out),
        16: lambda out: features.row_depth(f, i, out),
    }.items():
        row = np.full(len(FEATURES), -12345.0)
        write(row)
        assert ((row != -12345.0) == (part == batch._PARTS)).all(), part
