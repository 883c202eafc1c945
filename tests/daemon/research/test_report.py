from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.research.report import DELAYS_MS, FEES, make_report, monthly, thin
from daemon.research.trial import Bench
from daemon.tape.replay import Given


def at(*when):
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9


def test_months_are_from_end_to_end_and_those_in_part_say_so():
    curve = [
        (at(2024, 11, 30, 12), 100.0),
        (at(2024, 11, 30, 23), 110.0),
        (at(2024, 12, 1), 99.0),
        (at(2024, 12, 31, 23), 121.0),
        (at(2025, 2, 10), 60.5),
    ]
    times, equity = (np.array(column) for column in zip(*curve, strict=True))
    found = monthly(times, equity)
    assert [(one.year, one.month, one.whole) for one in found] == [
        (2024, 11, False),
        (2024, 12, True),
        (2025, 2, False),
    ]
    assert [one.growth for one in found] == pytest.approx([0.1, 0.1, -0.5])
    assert np.prod([1 + one.growth for one in found]) == pytest.approx(60.5 / 100)


@pytest.mark.parametrize("equity", [[], [5.0], [0.0, 1.0]])
def test_what_is_not_known_often_enough_has_no_months(equity):
    assert monthly(np.arange(len(equity)), np.array(equity)) == []


@given(st.lists(st.floats(-1e6, 1e6), max_size=12_000), st.integers(0, 5))
def test_a_thinned_line_keeps_its_ends_its_order_and_its_extremes(values, repeated):
    values = np.array(values * (repeated + 1))
    times = np.arange(len(values)) * 7
    few, kept = thin(times, values)
    assert len(few) <= 3_002
    assert np.all(np.diff(few) > 0)
    assert np.array_equal(values[few // 7], kept)
    if len(values):
        assert (few[0], few[-1]) == (0, times[-1])
        assert (kept.min(), kept.max()) == (values.min(), values.max())


def test_it_reruns_the_record_later_and_dearer(swung):
    bench = Bench(swung, Given(None, "ema_cross", None), 1)
    bench.read()
    tried, said = bench.run({}), []
    report = make_report(bench, tried, said.append, reruns=True)
    assert len(said) == len(DELAYS_MS) + len(FEES)
    assert report.delays.at == list(map(float, DELAYS_MS))
    assert report.delays.net[0] == tried.result.net
    assert len(set(report.delays.net)) > 3
    assert report.fees.at == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert report.fees.net == sorted(report.fees.net, reverse=True)
    assert report.fees.net[2] == tried.result.net
    assert len(report.prices[0]) == np.isfinite(tried.points["mid"]).sum() > 30
    assert report.params["qty"] == 0.001
    without = make_report(bench, tried, said.append, reruns=False)
    assert without.delays.at == without.fees.at == []
    assert "left out" in without.delays.unsaid
    assert len(said) == len(DELAYS_MS) + len(FEES)
