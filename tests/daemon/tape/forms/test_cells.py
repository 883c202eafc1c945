"""Cells of text to exact integers; what is none is located."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from daemon.tape.forms import cells

NS = 1_723_161_253_937_085_768


def texts(*values):
    return pa.array(values, pa.string())


def test_whole_numbers_and_what_is_none():
    values, missing = cells.whole(texts("12", "-3", "x", "", "1.5", "9999999999999999999"))
    assert values.tolist() == [12, -3, 0, 0, 0, 0]
    assert missing.tolist() == [False, False, True, True, True, True]


@settings(max_examples=100)
@given(some.lists(some.decimals(min_value=-(10**9), max_value=10**9, places=8), min_size=1))
def test_decimals_are_counted_exactly(numbers):
    counts, missing, needed = cells.counts(texts(*map(str, numbers)), 8)
    assert (needed, missing.any()) == (8, False)
    assert counts.tolist() == [int(one.scaleb(8)) for one in numbers]


def test_more_decimals_than_the_grid_has_are_said():
    assert cells.counts(texts("1.5", "1.25"), 0)[2] == 2
    assert cells.counts(texts("1.500"), 1)[::2][0].tolist() == [15]
    assert cells.counts(texts("1e-05", "2.5E+3"), 5)[0].tolist() == [1, 250_000_000]


def test_what_is_no_number_or_too_large_for_one_is_located():
    counts, missing, needed = cells.counts(texts("1", "nan", "inf", "", "1" * 30, "999999999999999999"), 3)
    assert needed == 3
    assert missing.tolist() == [False, True, True, True, True, True]
    assert counts.tolist() == [1000, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("1723161253", "", (NS // 10**9 * 10**9, "s")),
        ("1723161253937", "", (NS // 10**6 * 10**6, "ms")),
        ("1723161253937085", "", (NS // 10**3 * 10**3, "us")),
        ("1723161253937085768", "", (NS, "ns")),
        ("1723161253.937085768", "", (NS, "s")),
        ("1723161253937.085768", "", (NS, "ms")),
        ("1723161253937085.768", "", (NS, "us")),
        ("1723161253", "ms", (1_723_161_253_000_000, "ms")),
        ("2024-08-08T23:54:13.937085768Z", "", (NS, "ns")),
        ("2024-08-08 23:54:13.937085768", "", (NS, "ns")),
        ("2024-08-09T01:54:13.937085768+02:00", "", (NS, "ns")),
    ],
)
def test_a_time_is_read_in_its_own_unit(text, unit, expected):
    stamps, missing, units = cells.times(texts(text), unit)
    assert not missing.any()
    assert (int(stamps[0]), cells.UNITS[int(units[0])]) == expected


def test_units_are_told_apart_row_by_row():
    _, missing, units = cells.times(texts("1723161253937", "1723161253937085", "x"))
    assert [cells.UNITS[one] for one in units[:2]] == ["ms", "us"]
    assert missing.tolist() == [False, False, True]


def test_sides_and_truths_in_the_words_of_many_exchanges():
    assert cells.sides(texts("buy", "SELL", "b", "s", "bid", "ask", "unknown", "")).tolist() == [
        1, -1, 1, -1, 1, -1, 0, 0
    ]  # fmt: skip
    yes, wrong = cells.truths(texts("true", "False", "1", "0", "2"))
    assert yes.tolist() == [True, False, True, False, False]
    assert wrong.tolist() == [False, False, False, False, True]
    assert cells.are(texts("NA", "MARKET"), ("NA",)).tolist() == [True, False]


def test_decimal_is_the_twin():
    assert int(Decimal("0.23089").scaleb(5)) == cells.counts(texts("0.23089"), 5)[0][0]


def _both(column, places):
    """Return what the fast way and the other one make of texts."""
    fast = cells._aligned(column, places)
    slow = cells.counts(pa.concat_arrays([column, texts("1e0")]), places)  # which no fast way reads
    return fast, (slow[0][:-1].tolist(), slow[1][:-1].tolist(), slow[2])


@settings(max_examples=200)
@given(
    some.integers(1, 10).flatmap(
        lambda places: some.lists(
            some.decimals(min_value=-(10**7), max_value=10**7, places=places), min_size=1
        )
    ),
    some.integers(0, 12),
)
def test_texts_of_as_many_decimals_are_read_the_fast_way_alike(numbers, places):
    column = texts(*(f"{one:f}" for one in numbers))
    fast, slow = _both(column, places)
    assert fast is not None
    assert (fast[0].tolist(), fast[1].tolist(), fast[2]) == slow


@pytest.mark.parametrize(
    "row",
    ["1", "1.5", ".50", "1.5x", "1-.50", " 1.50", "+1.50", "1e.50", "1..50", "", "x", None, "1.50\u0665"],
)
def test_what_is_written_otherwise_is_left_to_the_other_way(row):
    assert cells._aligned(texts("2.50", row), 2) is None
    counts, missing, needed = cells.counts(texts("2.50", row), 2)
    good = {"1": 100, "1.5": 150, ".50": 50, "+1.50": 150}
    assert counts.tolist() == [250, good.get(row, 0)]
    assert missing.tolist() == [False, row not in good]
    assert needed == 2


def test_what_is_too_large_for_its_zeros_is_left_to_the_other_way():
    assert cells._aligned(texts("12345678901.000000000"), 0) is None
    assert cells.counts(texts("12345678901.000000000"), 0)[0].tolist() == [12_345_678_901]
    assert cells._aligned(texts("9000000000000.0"), 7) is None
    assert cells.counts(texts("900000000000.0"), 7)[0].tolist() == [9 * 10**18]
