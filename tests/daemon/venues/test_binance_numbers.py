from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import FrameError
from daemon.instruments import Scale
from daemon.venues.binance_numbers import Steps, amount_of, to_ns


@given(
    st.sampled_from(["0.01", "0.5", "1", "5", "0.00000001", "0.025", "100"]),
    st.integers(0, 10**15),
    st.integers(0, 10),
)
def test_text_is_counted_exactly_whatever_its_decimals(step: str, count: int, zeros: int) -> None:
    scale = Scale(Decimal(step))
    text = scale.text(count)
    text += "0" * zeros if "." in text else ""
    steps = Steps(scale)
    assert steps(text) == count
    assert steps(text) == count  # from memory


@given(st.sampled_from(["0.01", "0.5", "5", "0.025"]), st.decimals(0, 10**9, places=6))
def test_a_count_agrees_with_decimal_arithmetic(step: str, value: Decimal) -> None:
    try:
        counted: int | None = Steps(Scale(Decimal(step)))(f"{value:f}")
    except FrameError:
        counted = None
    expected = value / Decimal(step)
    assert counted == (int(expected) if expected == expected.to_integral_value() else None)


def test_the_memory_of_texts_is_bounded() -> None:
    steps = Steps(Scale(Decimal("0.01")))
    for count in range(3000):
        assert steps(f"{count // 100}.{count % 100:02d}") == count
    assert len(steps._known) <= 1024


def test_times_come_in_either_unit() -> None:
    assert to_ns(1700000000123) == to_ns(1700000000123000) == 1700000000123000000


@pytest.mark.parametrize("text", ["9" * 20, "46116860184273879.04"])
def test_a_count_that_no_journal_holds_is_refused(text: str) -> None:
    with pytest.raises(FrameError, match="more than an exchange trades"):
        Steps(Scale(Decimal("0.01")))(text)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999999", "9" * 21, "x"])
def test_what_is_no_amount_of_money_is_refused(text: str) -> None:
    with pytest.raises(FrameError, match="is no amount"):
        amount_of(text)


def test_amounts_may_be_rebates_and_nothing() -> None:
    assert (amount_of("-0.5"), amount_of(None), amount_of("")) == (Decimal("-0.5"), 0, 0)
