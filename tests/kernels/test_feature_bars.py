"""Bars lie on the grid of whole lengths, close once each, and repeat the last close where nobody quoted."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import feature_bars as bars
from kernels import feature_state as st

BAR_NS = 50_000_000


def fresh() -> tuple[np.ndarray, np.ndarray]:
    f, i = np.zeros(st.FEATURE_FLOATS), np.zeros(st.FEATURE_INTS, np.int64)
    st.init(f, i, st.bind_tuning({}))
    return f, i


def opened(now_ns: int, mid: float) -> tuple[np.ndarray, np.ndarray]:
    f, i = fresh()
    f[st.F_MID] = mid
    bars.open_first(f, i, now_ns, mid)
    return f, i


@pytest.mark.parametrize(
    ("now_ns", "end_ns"),
    [(0, BAR_NS), (BAR_NS - 1, BAR_NS), (BAR_NS, 2 * BAR_NS), (-1, 0), (7 * BAR_NS + 5, 8 * BAR_NS)],
)
def test_the_first_bar_ends_on_the_grid(now_ns: int, end_ns: int) -> None:
    _, i = opened(now_ns, 100.0)
    assert i[st.I_BAR_END_NS] == end_ns


def test_without_a_quote_no_bar_ever_closes() -> None:
    f, i = fresh()
    bars.close_until(f, i, 2**62)
    assert i[st.I_BARS] == 0


def test_a_bar_closes_at_its_end_and_not_before() -> None:
    f, i = opened(10, 100.0)
    bars.close_until(f, i, BAR_NS - 1)
    assert i[st.I_BARS] == 0
    bars.close_until(f, i, BAR_NS)
    assert i[st.I_BARS] == 1
    assert i[st.I_BAR_END_NS] == 2 * BAR_NS


def test_silent_bars_repeat_the_close() -> None:
    f, i = opened(10, 100.0)
    f[st.F_HIGH], f[st.F_LOW], f[st.F_MID] = 103.0, 98.0, 101.0
    bars.close_until(f, i, 41 * BAR_NS)
    assert i[st.I_BARS] == 41
    assert f[st.F_HIGH] == f[st.F_LOW] == 101.0
    assert f[st.F_B_SHORT] == f[st.F_B_LONG] == 101.0
    assert f[st.F_B_VARIANCE] == 0.0
    assert f[st.F_B_RSI] == 50.0
    # forty bars back: the one that moved has just left the range
    assert f[st.F_B_HIGH] == f[st.F_B_LOW] == 101.0
    assert f[st.F_B_RATIO] == 1.0
    assert f[st.F_B_TREND] == f[st.F_B_AUTOCORRELATION] == 0.0


def test_closing_one_by_one_is_closing_at_once() -> None:
    one_f, one_i = opened(10, 100.0)
    f, i = opened(10, 100.0)
    for state in (one_f, f):
        state[st.F_HIGH], state[st.F_MID] = 104.0, 102.0
    for k in range(1, 61):
        bars.close_until(one_f, one_i, k * BAR_NS)
    bars.close_until(f, i, 60 * BAR_NS)
    assert (one_f.tobytes(), one_i.tobytes()) == (f.tobytes(), i.tobytes())
