"""Walk-forward: cuts, and what the parts out of sample come to."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from daemon.errors import UsageError
from daemon.research import statistics
from daemon.research.trial import Tried
from daemon.research.walk import cut, stitch
from kernels.backtest_state import POINT_ROW

SUMS = {"fees": 1.0, "turnover": 10.0, "fills": 2, "round_trips": 1, "won": 1, "placed": 3, "cancelled": 0}


def record(first_ns, last_ns):
    return SimpleNamespace(first_ns=first_ns, last_ns=last_ns)


@pytest.mark.parametrize("windows", [1, 2, 7])
def test_parts_are_equal_and_leave_nothing_out(windows):
    parts = cut(record(1_000, 8_999), windows)
    assert len(parts) == windows + 1
    assert all(one.until_ns == two.from_ns for one, two in pairwise(parts))
    assert parts[0].from_ns < 1_000
    assert parts[-1].until_ns == 9_000
    edges = [1_000, *(one.until_ns for one in parts)]
    assert max(np.diff(edges)) - min(np.diff(edges)) <= 1


def test_a_record_of_an_instant_is_not_cut():
    with pytest.raises(UsageError, match="finer than the record's time"):
        cut(record(5, 6), 3)


def tried(begin_s, equity):
    times = (np.arange(len(equity)) + begin_s) * 10**9
    equity = np.array(equity, float)
    changes = statistics.on_grid(times, equity, 10**9)
    result = SimpleNamespace(net=equity[-1] - equity[0], **SUMS)
    return Tried(result, times, equity, changes, np.zeros(0, POINT_ROW))


def test_parts_put_together_are_one_account_that_went_through_them():
    rng = np.random.default_rng(2)
    parts = [tried(100 * k, 1_000 * np.cumprod(1 + rng.normal(0, 0.01, 40))) for k in range(3)]
    found = stitch(parts, 1)
    growth, changes, worth, peak, fall = 1.0, [], 1.0, 1.0, 0.0
    for one in parts:
        curve = [value / one.equity[0] * worth for value in one.equity]
        for value in curve:
            peak = max(peak, value)
            fall = max(fall, 1 - value / peak)
        worth = curve[-1]
        growth *= one.equity[-1] / one.equity[0]
        changes += [after / before - 1 for before, after in pairwise(one.equity)]
    assert found.growth == pytest.approx(growth - 1)
    assert found.drawdown_share == pytest.approx(fall)
    assert found.changes == len(changes) == 117
    mean = sum(changes) / 117
    deviation = (sum((one - mean) ** 2 for one in changes) / 116) ** 0.5
    assert found.sharpe == pytest.approx(mean / deviation * (365 * 86_400) ** 0.5)
    assert found.sums["net"] == pytest.approx(sum(one.equity[-1] - one.equity[0] for one in parts))
    assert (found.parts, found.sums["fills"], found.unsaid) == (3, 6, {})


def test_too_little_is_a_sentence():
    found = stitch([tried(0, [1.0, 2.0])], 1)
    assert (found.growth, found.sharpe) == (1.0, None)
    assert found.unsaid["sharpe"].startswith("too few: 1 changes")
    found = stitch([], 60)
    assert (found.parts, found.growth, found.sums["net"]) == (0, None, 0)
    found = stitch([tried(0, [1.0, -2.0])], 1)
    assert found.growth is None
