"""Statistics against slow twins that follow their definitions."""

from __future__ import annotations

import math
import statistics as stdlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.research import statistics as module

STEP_NS = 10
CURVE = st.lists(
    st.tuples(st.integers(0, 400), st.floats(50, 150)), min_size=2, max_size=60, unique_by=lambda one: one[0]
).map(sorted)


def arrays(curve):
    return np.array([at for at, _ in curve], np.int64), np.array([value for _, value in curve])


def walked(curve):
    """Return all changes over the grid, instant by instant."""
    last_ns = curve[-1][0]
    seen = []
    for instant_ns in range(0, last_ns + 1, STEP_NS):
        told = [value for at, value in curve if at <= instant_ns]
        if told:
            seen.append(told[-1])
    return [after / before - 1 for before, after in pairwise(seen)]


@given(CURVE)
def test_the_grid_is_walked_instant_by_instant(curve):
    changes = module.on_grid(*arrays(curve), STEP_NS)
    slow = walked(curve)
    assert changes.total == len(slow)
    assert sorted([*changes.some, *[0.0] * changes.still]) == pytest.approx(sorted(slow), abs=1e-12)


@given(CURVE)
def test_sharpe_and_sortino_are_what_their_definitions_say(curve):
    changes = module.on_grid(*arrays(curve), STEP_NS)
    slow = walked(curve)
    a_year = math.sqrt(365 * 86_400 * 10**9 / STEP_NS)
    sharpe, sortino = module.sharpe(changes, 50.0), module.sortino(changes, 50.0)
    if len(slow) < 30:
        assert sharpe == sortino == f"too few: {len(slow)} changes of equity, and it takes 30"
        return
    if isinstance(sharpe, str):
        assert len({*slow}) == 1
    else:
        assert sharpe == pytest.approx(stdlib.mean(slow) / stdlib.stdev(slow) * a_year, rel=1e-6, abs=1e-3)
    falls = math.sqrt(sum(min(one, 0.0) ** 2 for one in slow) / len(slow))
    if isinstance(sortino, str):
        assert falls == 0
    else:
        assert sortino == pytest.approx(stdlib.mean(slow) / falls * a_year, rel=1e-6, abs=1e-3)


def test_the_error_of_sharpe_is_how_far_apart_many_records_are():
    rng = np.random.default_rng(3)
    changes = [module.Changes(rng.normal(0.6, 1.0, 400), 0, module.YEAR_NS // 400) for _ in range(2_000)]
    found = [module.sharpe(one, 1.0) for one in changes]
    errors = [module.sharpe_error(one, 1.0) for one in changes]
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.05)
    assert module.sharpe_error(changes[0]._replace(some=changes[0].some[:29]), 1.0).startswith("too few")


def test_a_hole_of_years_is_counted_and_not_stored():
    years_ns = 40 * module.YEAR_NS
    times = np.array([0, 60 * 10**9, years_ns, years_ns + 60 * 10**9])
    changes = module.on_grid(times, np.array([100.0, 110.0, 99.0, 99.0]), 60 * 10**9)
    assert changes.some == pytest.approx([0.1, -0.1, 0.0])
    assert changes.total == years_ns // (60 * 10**9) + 1


def test_a_curve_off_the_grid_has_no_changes():
    assert module.on_grid(np.array([1, 2]), np.array([1.0, 2.0]), 10).total == 0
    assert module.on_grid(np.zeros(0, np.int64), np.zeros(0), 10).total == 0


def test_what_does_not_move_and_what_is_not_above_zero_has_no_ratio():
    still = module.Changes(np.zeros(0), 50, 10**9)
    assert module.sharpe(still, 1.0) == "equity did not change"
    assert module.sortino(still, 1.0) == "equity never fell over a step"
    assert module.sharpe(still, 0.0) == module.sortino(still, -1.0) == "equity was not above zero throughout"


def slow_drawdown(curve):
    """Look at each pair of a peak and a later value."""
    worst, at = 0.0, (0, 0)
    for i, (_, top) in enumerate(curve):
        for j in range(i + 1, len(curve)):
            fall = (top - curve[j][1]) / top
            if fall > worst:
                worst, at = fall, (i, j)
    if not worst:
        return 0.0, 0, True
    top = curve[at[0]][1]
    # of several that stand as high, the last before the fall
    begin = max(i for i in range(at[1]) if curve[i][1] == top)
    later = [when for when, value in curve[at[1] :] if value >= top]
    return worst, (later[0] if later else curve[-1][0]) - curve[begin][0], bool(later)


@given(st.sampled_from([0, -1]), CURVE)
def test_the_drawdown_is_that_of_all_pairs(places, curve):
    curve = [(at, float(round(value, places))) for at, value in curve]  # peaks that are reached again
    found = module.drawdown(*arrays(curve))
    assert (found.share, found.length_ns, found.regained) == slow_drawdown(curve)


def test_a_fall_that_is_regained_ends_there():
    times, equity = np.array([0, 10, 20, 30, 40, 50]), np.array([100.0, 120.0, 90.0, 119.0, 120.0, 110.0])
    assert module.drawdown(times, equity) == module.Drawdown(0.25, 30, regained=True)
    assert module.drawdown(times[:4], equity[:4]) == module.Drawdown(0.25, 20, regained=False)
    assert module.drawdown(times, -equity) == "equity was not above zero throughout"
    assert module.drawdown(times[:1], equity[:1]) == "too few: its value was known once at most"


def test_what_is_not_known_is_left_out_and_times_are_put_in_order():
    times, equity = module.known(np.array([30, 10, 20]), np.array([3.0, math.nan, 2.0]))
    assert (times.tolist(), equity.tolist()) == ([20, 30], [2.0, 3.0])


def test_growth_is_told_as_a_year_from_thirty_days_on():
    assert module.growth(np.array([100.0, 121.0])) == pytest.approx(0.21)
    assert module.growth(np.array([100.0])) == "too few: its value was known once at most"
    assert module.growth(np.array([0.0, 1.0])) == "equity was not above zero throughout"
    assert module.cagr(0.21, 2 * module.YEAR_NS) == pytest.approx(0.1)
    assert module.cagr(0.0, 30 * module.DAY_NS) == 0.0
    assert module.cagr(0.21, 29 * module.DAY_NS) == "too few: 29.0 days, and it takes 30"
    assert module.cagr(-1.5, module.YEAR_NS) == "equity was not above zero throughout"
    assert module.cagr("why", module.YEAR_NS) == "why"


def test_calmar_is_a_year_s_growth_over_the_largest_fall():
    fall = module.Drawdown(0.25, 30, regained=True)
    assert module.calmar(0.1, fall) == pytest.approx(0.4)
    assert module.calmar("why", fall) == "why"
    assert module.calmar(0.1, "why") == "why"
    assert module.calmar(0.1, fall._replace(share=0.0)) == "equity never fell"


@given(st.lists(st.integers(-(10**40), 10**40), min_size=1, max_size=30))
def test_round_trips_are_summed_exactly(pnl):
    found = module.of_trips(pnl, 10**20)
    gains, losses = [one for one in pnl if one > 0], [-one for one in pnl if one < 0]
    assert (found.won, found.win_rate) == (len(gains), len(gains) / len(pnl))
    assert found.expectancy == sum(pnl) / (len(pnl) * 10**20)
    assert found.profit_factor == (sum(gains) / sum(losses) if losses else "no round trip lost")


def test_without_a_round_trip_nothing_is_said_of_them():
    none = "too few: there was no round trip"
    assert module.of_trips([], 1) == (0, none, none, none)
