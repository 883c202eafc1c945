from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from daemon.drift import PREDICTION, ROWS_MAX, SAMPLES_MIN, WINDOW_NS, Drift, Spread, refer
from kernels.features import FEATURES

NAMES = (FEATURES[3], FEATURES[0], PREDICTION)
PLACES = (3, 0, len(FEATURES))


def rows_of(columns):
    """Return whole rows, NaN but for the columns in the places of NAMES."""
    rows = np.full((len(columns), len(FEATURES) + 1), np.nan)
    rows[:, PLACES] = columns
    return rows


def twin(reference, columns):
    """Return the indices by the letter of their definition."""
    found = {}
    for name, column in zip(NAMES, columns.T, strict=True):
        edges, shares = reference[name]["edges"], reference[name]["shares"]
        counts = [0] * 11
        for value in column.tolist():
            counts[10 if math.isnan(value) else sum(value >= edge for edge in edges)] += 1
        now = [max(count / len(column), 1e-4) for count in counts]
        then = [max(share, 1e-4) for share in shares]
        found[name] = sum((a - b) * math.log(a / b) for a, b in zip(now, then, strict=True))
    return found


def drawn(seed, count, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    columns = rng.normal(shift, scale, (count, 3))
    columns[:, 1] = np.round(columns[:, 1])  # many alike
    columns[rng.random(count) < 0.05, 0] = np.nan
    return columns


def counted(reference, columns, now_ns=1):
    spread = Spread(reference)
    for row in rows_of(columns):
        spread.take(row, now_ns)
    return spread


def test_a_reference_is_the_deciles_and_the_shares_between_them():
    column = np.append(np.arange(90.0), np.full(10, np.nan))
    one = refer(["a"], column[:, None])["a"]
    assert one["edges"] == pytest.approx([8.9, 17.8, 26.7, 35.6, 44.5, 53.4, 62.3, 71.2, 80.1])
    assert one["shares"] == [0.09] * 10 + [0.1]


def test_deciles_of_nearly_one_value_are_one_part():
    """Mostly one tick of a price that moves by a percent, and sometimes two."""
    rng = np.random.default_rng(5)
    prices = 100 + np.sort(rng.random(4_000))
    column = np.where(rng.random(4_000) < 0.85, 1.0, 2.0) / prices * 100
    one = refer(["a"], column[:, None])["a"]
    assert [share for share in one["shares"] if share] == pytest.approx([0.85, 0.15], abs=0.02)
    whole, early = refer(NAMES, np.column_stack([column] * 3)), np.column_stack([column[:2_000]] * 3)
    assert max(counted(whole, early).index().values()) < 0.01


def test_edges_ascend_whatever_their_sign():
    for values in ([-2.0, -2.0, -1.99, 0.0, 0.0, 0.0, 5.0, 5.02, 9.0], [-1.0] * 9, list(range(-4, 5))):
        column = np.repeat(np.array(values, dtype=float), 10)
        one = refer(["a"], column[:, None])["a"]
        assert len(one["edges"]) == 9
        assert one["edges"] == sorted(one["edges"])
        assert sum(one["shares"]) == pytest.approx(1.0, abs=1e-5)


def test_a_column_without_a_number_has_its_share_of_nan():
    assert refer(["a"], np.full((4, 1), np.nan))["a"] == {"edges": [0.0] * 9, "shares": [0.0] * 10 + [1.0]}


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.7, 1.0), (0.0, 3.0)])
def test_the_index_is_that_of_its_definition(shift, scale):
    reference = refer(NAMES, drawn(1, 5_000))
    columns = drawn(2, SAMPLES_MIN, shift, scale)
    spread = counted(reference, columns)
    assert spread.samples == SAMPLES_MIN
    found = spread.index()
    assert found == pytest.approx(twin(reference, columns), abs=1e-6)
    if (shift, scale) == (0.0, 1.0):
        assert max(found.values()) < 0.05
    else:
        assert min(found.values()) > 0.25


def test_too_few_rows_tell_nothing():
    reference = refer(NAMES, drawn(1, 500))
    spread = counted(reference, drawn(2, SAMPLES_MIN - 1))
    assert spread.index() == {}


def test_rows_are_forgotten_after_one_to_two_windows():
    reference = refer(NAMES, drawn(1, 500))
    spread = counted(reference, drawn(2, 7), now_ns=WINDOW_NS + 1)
    row = rows_of(drawn(3, 1))[0]
    spread.take(row, 2 * WINDOW_NS + 1)
    assert spread.samples == 8
    spread.take(row, 2 * WINDOW_NS + 2)
    assert spread.samples == 9
    spread.take(row, 3 * WINDOW_NS + 3)
    assert spread.samples == 2


class Runtime:
    """A strategy with rows of its own."""

    def __init__(self, name, instruments=1):
        self.name, self.warm = name, True
        self.memory = np.zeros(1, [("rows", "f8", (instruments, len(FEATURES) + 1)), ("decisions", "i8")])


def plan(reference):
    return SimpleNamespace(reference=reference)


def test_a_row_is_counted_once_however_often_it_is_looked_at():
    runtime = Runtime("ml")
    drift = Drift([plan(refer(NAMES, drawn(1, 500)))], [runtime])
    drift.second(1)
    drift.second(2)
    assert [one.samples for one in drift.status()] == [1]
    runtime.memory["decisions"] = 5
    drift.second(3)
    assert [(one.strategy, one.samples, one.index) for one in drift.status()] == [("ml", 2, {})]
    runtime.memory["decisions"] = 6
    runtime.warm = False
    drift.second(4)
    assert [one.samples for one in drift.status()] == [2]


def test_who_has_no_model_or_one_that_says_nothing_is_left_out():
    drift = Drift([plan({}), plan({})], [Runtime("ema_cross"), Runtime("ml")])
    drift.second(1)
    assert drift.status() == []


def test_strategies_of_one_model_are_counted_together_and_of_many_some_each_second():
    reference = refer(NAMES, drawn(1, 500))
    runtimes = [Runtime("ml", 2) for _ in range(ROWS_MAX)]
    drift = Drift([plan(reference)] * ROWS_MAX, runtimes)
    seen = []
    for second in range(1, 4):
        for runtime in runtimes:
            runtime.memory["decisions"] += 1
        drift.second(second)
        seen += [one.samples for one in drift.status()]
    assert seen == [ROWS_MAX, 2 * ROWS_MAX, 3 * ROWS_MAX]
