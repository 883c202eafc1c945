"""Exact money against Python's integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import exact

UNIT = 10**18
#: amounts of up to four billion, small ones and round ones among them
AMOUNTS = st.one_of(
    st.integers(-4 * 10**27, 4 * 10**27),
    st.integers(-(10**12), 10**12),
    st.builds(lambda count, places: count * 10**places, st.integers(-(10**9), 10**9), st.integers(0, 18)),
)
FACTORS = st.integers(1, 2**54 - 1)


def put(*amounts: int) -> np.ndarray:
    """Return rows of amounts, and one of nothing."""
    return np.array([*(divmod(one, exact.BASE) for one in amounts), (0, 0)], np.int64)


def value(money: np.ndarray, row: int) -> int:
    assert 0 <= money[row, 1] < exact.BASE
    return int(money[row, 0]) * exact.BASE + int(money[row, 1])


@given(AMOUNTS, AMOUNTS)
def test_amounts_are_added_and_taken_away(one, other):
    money = put(one, other)
    exact.move(money, 1, 0, 1)
    assert value(money, 0) == one + other
    exact.move(money, 1, 0, -1)
    exact.move(money, 1, 0, -1)
    assert value(money, 0) == one - other
    assert exact.is_nothing(money, 0) == (one == other)
    exact.clear(money, 0)
    assert value(money, 0) == 0


@given(AMOUNTS, st.integers(-(10**15), 10**15), st.integers(0, 10**12))
def test_a_count_of_a_unit_is_added(one, count, unit):
    money = put(one)
    exact.add_product(money, 0, count, *divmod(unit, exact.BASE))
    assert value(money, 0) == one + count * unit


@given(AMOUNTS, FACTORS, FACTORS)
def test_a_part_is_rounded_down_whatever_its_sign(one, factor, divisor):
    if abs(one * factor // divisor) > 4 * 10**27:
        factor, divisor = min(factor, divisor), max(factor, divisor)
    money = put(one)
    exact.scale(money, 0, 1, factor, divisor)
    assert value(money, 1) == one * factor // divisor


@given(AMOUNTS, FACTORS, st.integers(1, 10**15))
def test_a_ratio_is_the_nearest_float(one, first, second):
    assert exact.ratio(*divmod(one, exact.BASE), first, second) == one / (first * second)


@given(AMOUNTS)
def test_an_amount_is_the_nearest_float(one):
    assert exact.to_float(*divmod(one, exact.BASE)) == one / UNIT


@pytest.mark.parametrize("near", [2**53, 2**54, 2**60])
def test_halves_between_two_floats_are_rounded_as_python_does(near):
    for one in range(near - 9, near + 10):
        for scaled in (one, one * 5**12, one * 5**12 + 1, one * 5**12 - 1):
            assert exact.ratio(*divmod(scaled, exact.BASE), 1, 1) == float(scaled)


def test_what_does_not_fit_is_refused():
    money = put(5 * 10**27, 5 * 10**27)
    with pytest.raises(OverflowError):
        exact.move(money, 1, 0, 1)
    money = put(1)
    with pytest.raises(OverflowError):
        exact.add_product(money, 0, 10**12, 10**9, 0)
    with pytest.raises(OverflowError):
        exact.scale(put(5 * 10**27), 0, 1, 2**53, 1)
    with pytest.raises(OverflowError):
        exact.ratio(1, 0, 2**54, 1)
