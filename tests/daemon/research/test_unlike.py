"""A decision that two runs do not make alike, in words."""

from __future__ import annotations

import math

import numpy as np

from daemon.research.unlike import decision_found, words
from daemon.research.witness import Decision
from kernels.dtypes import BUY, OUT_COLUMNS, REST, SELL, TARGET
from kernels.features import FEATURES

AT_NS = 1_723_161_254_000_000_001
ROW = (*(float(one) for one in range(len(FEATURES))), math.nan)
WHOSE = "the first run", "the second"


def wanted(*rows):
    table = np.zeros((len(rows), OUT_COLUMNS))
    for row, given in zip(table, rows, strict=True):
        row[: len(given)] = given
    return table.tobytes()


TARGETED = wanted((TARGET, 0, 0, 0, 60_000.5, 0.001))


def found(one, other):
    return decision_found(1_234, one, other, WHOSE)


def test_a_feature_comes_before_what_is_wanted():
    other = (*ROW[:2], math.nextafter(ROW[2], 9), *ROW[3:])
    one = found(Decision(AT_NS, ROW, TARGETED), Decision(AT_NS, other, b"-"))
    assert (one.what, one.field, one.number) == ("feature", FEATURES[2], 1_234)
    assert (float(one.one), float(one.other)) == (ROW[2], other[2])
    assert one.text.startswith("decision 1,234, at 2024-08-08T23:54:14.000000001Z: feature")


def test_the_prediction_is_named_and_nan_is_itself():
    one = found(Decision(AT_NS, ROW, b"-"), Decision(AT_NS, (*ROW[:-1], 0.5), b"-"))
    assert (one.field, one.one, one.other) == ("prediction", "nan", "0.5")
    negative = (*ROW[:-1], -math.nan)
    assert found(Decision(AT_NS, ROW, b"-"), Decision(AT_NS, negative, TARGETED)).field == "wanted"


def test_what_is_wanted_is_told():
    one = found(Decision(AT_NS, ROW, TARGETED), Decision(AT_NS, ROW, b""))
    assert (one.one, one.other) == ("target 0.001 at 60000.5", "nothing standing")
    both = wanted((REST, 0, 0, BUY, 59_999.0, 0.5), (REST, 0, 1, SELL, 60_001.0, 0.25))
    assert words(both) == "rest buy 0.5 at 59999.0, level 0; rest sell 0.25 at 60001.0, level 1"
    assert words(wanted((math.nan, 0, 0, 0.5, 1.0, 2.0))) == "kind nan side 0.5 2.0 at 1.0, level 0"
    assert words(b"-") == "no opinion"


def test_other_differences_have_words_too():
    one = Decision(AT_NS, ROW, TARGETED)
    assert found(one, Decision(AT_NS + 1, ROW, TARGETED)).field == "time"
    missing = found(one, None)
    assert (missing.what, missing.other) == ("decision", "no such decision")
    assert "differs again each time it is made" in found(one, one).text
    unknown = found(Decision(AT_NS, (), None), Decision(AT_NS, ROW, TARGETED))
    assert unknown.one == "something that is not known any more"
