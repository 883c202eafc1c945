"""The near levels' features against their formulas in plain Python, over made-up and recorded books."""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kernels import feature_depth, feature_state, features
from kernels.dtypes import BOOK_LEVELS, DEPTH, QUOTE
from kernels.features import FEATURE_FLOATS, FEATURE_INTS, FEATURES, bind_tuning

if TYPE_CHECKING:
    from pathlib import Path

NAN = math.nan
START = 1_723_161_253_937_085_768
NAMES = tuple(name for name in FEATURES if name.startswith("near_"))

Side = list[tuple[float, float]]


def fresh(**tuning: float) -> tuple[np.ndarray, np.ndarray]:
    f, i = np.zeros(FEATURE_FLOATS), np.zeros(FEATURE_INTS, np.int64)
    features.init(f, i, bind_tuning(tuning))
    return f, i


def book(bids: Side, asks: Side) -> np.ndarray:
    """Levels as `decide` sees them: NaN and 0 where there is none."""
    levels = np.zeros((2, BOOK_LEVELS, 2))
    levels[:, :, 0] = NAN
    for rows, side in zip(levels, (bids, asks), strict=True):
        rows[: len(side)] = np.array(side[:BOOK_LEVELS]).reshape(-1, 2)
    return levels


def near(f: np.ndarray, i: np.ndarray) -> dict[str, float]:
    row = np.full(len(FEATURES), 42.0)
    features.row(f, i, int(i[feature_state.I_LAST_NS]), row)
    return {name: float(row[FEATURES.index(name)]) for name in NAMES}


def side_of(side: Side, mid: float, n: int) -> tuple[float, float, float]:
    """The quantity S, the distance D and the slope B of a side, as the module's text has them."""
    p, q = [price for price, _ in side[:n]], [qty for _, qty in side[:n]]
    d = [abs(price - mid) / mid * 1e4 for price in p]
    reached = [sum(q[: k + 1]) for k in range(len(q))]
    total = reached[-1]
    distance = sum(x * y for x, y in zip(d, q, strict=True)) / total if total else d[0]
    squares = sum(x * x for x in d)
    return total, distance, sum(x * y for x, y in zip(d, reached, strict=True)) / squares if squares else NAN


def twin(books: list[tuple[Side, Side]], n: int, smooth: int) -> dict[str, float]:
    """Every feature after the last of `books`, from all of them."""
    slopes = []
    row = dict.fromkeys(NAMES, NAN)
    for bids, asks in books:
        mid = (bids[0][0] + asks[0][0]) / 2
        (s_bid, d_bid, b_bid), (s_ask, d_ask, b_ask) = (side_of(side, mid, n) for side in (bids, asks))
        both = s_bid + s_ask
        row["near_imbalance"] = (s_bid - s_ask) / both if both else 0.0
        row["near_microprice_bps"] = (d_ask * s_bid - d_bid * s_ask) / both if both else 0.0
        if not math.isnan(b_bid + b_ask):
            slopes.append(b_bid + b_ask)
            row["near_slope"] = slopes[-1] / both if both else 0.0
            row["near_slope_imbalance"] = (b_bid - b_ask) / slopes[-1] if slopes[-1] else 0.0
    if len(slopes) >= smooth:
        average = slopes[0]
        for slope in slopes[1:]:
            average += 2 / (smooth + 1) * (slope - average)
        row["near_slope_ratio"] = slopes[-1] / average if average else 1.0
    return row


def assert_same(got: dict[str, float], want: dict[str, float]) -> None:
    np.testing.assert_allclose(
        [got[name] for name in NAMES],
        [want[name] for name in NAMES],
        rtol=1e-9,
        atol=1e-9,
        err_msg=str(NAMES),
    )


STEPS = some.lists(some.integers(1, 300), min_size=1, max_size=BOOK_LEVELS)
LOTS = some.lists(some.integers(0, 5_000), min_size=BOOK_LEVELS, max_size=BOOK_LEVELS)
BOOKS = some.lists(
    some.tuples(some.integers(100_000, 100_300), STEPS, STEPS, LOTS, LOTS), min_size=1, max_size=12
)


@settings(max_examples=120)
@given(BOOKS, some.integers(1, BOOK_LEVELS), some.integers(1, 6))
def test_every_near_feature_equals_its_formula(drawn: list, n: int, smooth: int) -> None:
    f, i = fresh(near_levels=n, smooth=smooth)
    books: list[tuple[Side, Side]] = []
    for number, (at, down, up, bid_lots, ask_lots) in enumerate(drawn):
        bids = [
            ((at - x) * 0.01, lots * 0.001)
            for x, lots in zip(np.cumsum(down).tolist(), bid_lots, strict=False)
        ]
        asks = [
            ((at + x) * 0.01, lots * 0.001) for x, lots in zip(np.cumsum(up).tolist(), ask_lots, strict=False)
        ]
        books.append((bids, asks))
        features.step_book(f, i, START + number, book(bids, asks))
        assert_same(near(f, i), twin(books, n, smooth))


def test_one_level_is_the_quote() -> None:
    f, i = fresh(near_levels=1, smooth=1)
    features.step(f, i, QUOTE, START, 99.0, 3.0, 101.0, 1.0)
    features.step_book(f, i, START, book([(99.0, 3.0), (98.0, 9.0)], [(101.0, 1.0), (102.0, 9.0)]))
    row = np.empty(len(FEATURES))
    features.row(f, i, START, row)
    of = dict(zip(FEATURES, row.tolist(), strict=True))
    assert of["near_imbalance"] == of["top_imbalance"] == 0.5
    assert of["near_microprice_bps"] == pytest.approx(of["microprice_bps"]) == 50.0
    assert of["near_slope"] == pytest.approx(0.01)  # all of it stands 100 bps away
    assert of["near_slope_imbalance"] == pytest.approx(0.5)
    assert of["near_slope_ratio"] == 1.0


def test_levels_behind_those_asked_for_change_nothing() -> None:
    bids, asks = [(100.0 - k, 1.0 + k) for k in range(10)], [(101.0 + k, 2.0) for k in range(10)]
    rows = []
    for far in (4.0, 400.0):
        f, i = fresh(near_levels=3, smooth=1)
        features.step_book(f, i, START, book([*bids[:3], *((p, far) for p, _ in bids[3:])], asks))
        rows.append(near(f, i))
    assert rows[0] == rows[1]


def test_without_a_book_they_are_no_numbers() -> None:
    f, i = fresh()
    for k in range(100):
        features.step(f, i, QUOTE, START + k, 99.0, 3.0, 101.0, 1.0)
        features.step(f, i, DEPTH, START + k, 99.0, 30.0, 101.0, 10.0)
    assert all(math.isnan(value) for value in near(f, i).values())


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([], [(101.0, 1.0)]),
        ([(99.0, 1.0)], []),
        ([(102.0, 1.0)], [(101.0, 1.0)]),
        ([(99.0, NAN)], [(101.0, 1.0)]),
    ],
)
def test_a_book_that_cannot_be_changes_nothing_and_is_counted(bids: Side, asks: Side) -> None:
    f, i = fresh(smooth=1)
    features.step_book(f, i, START, book([(99.0, 1.0)], [(101.0, 1.0)]))
    before = f.tobytes()
    features.step_book(f, i, START + 1, book(bids, asks))
    assert f.tobytes() == before
    assert i[feature_state.I_IGNORED] == 1


def test_a_locked_book_has_no_slope_of_its_own() -> None:
    f, i = fresh(near_levels=1, smooth=1)
    features.step_book(f, i, START, book([(99.0, 1.0)], [(101.0, 3.0)]))
    slope = near(f, i)["near_slope"]
    features.step_book(f, i, START + 1, book([(100.0, 5.0)], [(100.0, 3.0)]))
    assert near(f, i)["near_slope"] == slope
    assert near(f, i)["near_imbalance"] == 0.25


def test_a_silence_forgets_the_book() -> None:
    f, i = fresh(smooth=1)
    features.step_book(f, i, START, book([(99.0, 1.0)], [(101.0, 1.0)]))
    features.step(f, i, QUOTE, START + 61_000_000_000, 99.0, 3.0, 101.0, 1.0)
    assert all(math.isnan(value) for value in near(f, i).values())


def test_they_do_not_depend_on_the_units_of_price_and_quantity() -> None:
    rows = []
    for price, qty in ((1.0, 1.0), (4.0, 0.125)):
        f, i = fresh(smooth=1)
        bids, asks = (
            [(p * price, q * qty) for p, q in side] for side in ([(99.5, 1), (99, 2)], [(101, 3), (103, 4)])
        )
        features.step_book(f, i, START, book(bids, asks))
        rows.append(near(f, i))
    assert rows[0] == rows[1]  # powers of two do not round


def test_a_mirrored_book_has_the_opposite_sides() -> None:
    bids, asks = [(99.0, 3.0), (97.0, 1.0), (96.0, 5.0)], [(101.0, 2.0), (102.0, 2.0), (105.0, 1.0)]
    f, i = fresh(smooth=1)
    features.step_book(f, i, START, book(bids, asks))
    here = near(f, i)
    f, i = fresh(smooth=1)
    flipped = [[(200.0 - price, qty) for price, qty in side] for side in (asks, bids)]
    features.step_book(f, i, START, book(*flipped))
    there = near(f, i)
    for name in ("near_imbalance", "near_microprice_bps", "near_slope_imbalance"):
        assert here[name] == pytest.approx(-there[name]) != 0.0
    for name in ("near_slope", "near_slope_ratio"):
        assert here[name] == pytest.approx(there[name])


def test_the_quantity_of_a_side_is_that_of_all_levels() -> None:
    assert feature_depth.total(book([(100.0 - k, 0.5) for k in range(10)], [])[0]) == 5.0
    assert feature_depth.total(book([(100.0, 0.5)], [])[0]) == 0.5


def test_recorded_books_give_the_formulas_values(captures: Path) -> None:
    f, i = fresh()
    sides: list[dict[float, float]] = [{}, {}]
    books: list[tuple[Side, Side]] = []
    last_id = -1
    with gzip.open(captures / "binance-spot-btcusdt-20240808.gz") as lines:
        for line in lines:
            message = json.loads(line.partition(b" ")[2])
            data = message.get("data", message)
            if "lastUpdateId" in data:
                last_id = data["lastUpdateId"]
            elif last_id < 0 or data.get("e") != "depthUpdate" or data["u"] <= last_id:
                continue
            for side, levels in zip(
                sides, (data.get("bids", data.get("b")), data.get("asks", data.get("a"))), strict=True
            ):
                for price, qty in levels:
                    side[float(price)] = float(qty)
                    if float(qty) == 0.0:
                        del side[float(price)]
            bids = sorted(sides[0].items(), reverse=True)[:BOOK_LEVELS]
            books.append((bids, sorted(sides[1].items())[:BOOK_LEVELS]))
            features.step_book(f, i, START + len(books), book(*books[-1]))
            if len(books) % 40 == 0:
                assert_same(near(f, i), twin(books, 5, 32))
            if len(books) == 400:
                break
    assert len(books) == 400
    assert i[feature_state.I_IGNORED] == 0
