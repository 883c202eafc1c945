"""The first row of two runs that is not the same: which one, in which column, and in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from daemon.research.difference import Rows, differing, first_difference, value, words
from kernels.backtest_state import FILL_ROW, SENT_ROW
from kernels.dtypes import AMEND, BUY, CANCEL, PLACE, REST, SELL, TARGET
from tests.daemon.orders.conftest import btc_usdt

AT_NS = 1_723_161_254_000_000_001
WHOSE = "one", "the other"


def sent(*rows):
    return np.array([(AT_NS + 10 * k, *row) for k, row in enumerate(rows)], SENT_ROW)


def filled(*rows):
    return np.array(list(rows), FILL_ROW)


FIRST = PLACE, 1, TARGET, 0, BUY, 6_000_001, 100
SECOND = CANCEL, 1, TARGET, 0, BUY, 6_000_001, 0
FILL = AT_NS + 5, AT_NS + 15, 1, TARGET, BUY, 6_000_001, 50, 0, 0.0005, 0.0, 0.03, math.nan


def found(one, other):
    return first_difference(one, other, WHOSE, btc_usdt())


def test_the_same_is_the_same_whatever_a_nan_is_written_as():
    one, other = filled(FILL), filled(FILL)
    other["equity"] = -other["equity"]
    assert one.tobytes() != other.tobytes()
    assert differing(one, other) is None
    assert found(Rows(sent(FIRST), one), Rows(sent(FIRST), other)) is None
    assert found(Rows(sent(), filled()), Rows(sent(), filled())) is None


@pytest.mark.parametrize("name", SENT_ROW.names)
def test_each_column_counts_to_the_last_bit(name):
    one, other = sent(FIRST, SECOND), sent(FIRST, SECOND)
    other[name][1] += 1
    assert differing(one, other) == (1, name)


@pytest.mark.parametrize("name", ["position", "realised", "fees", "equity"])
def test_so_does_each_amount(name):
    one, other = filled(FILL), filled(FILL)
    one["equity"] = other["equity"] = 7.0
    other[name] = np.nextafter(other[name], 9)
    assert differing(one, other) == (0, name)


def test_the_first_row_is_found_and_of_it_the_first_column():
    one = sent(FIRST, SECOND, FIRST)
    other = one.copy()
    other["lots"][2] += 1
    other["side"][1] = SELL
    other["ticks"][1] += 1
    assert differing(one, other) == (1, "side")
    assert differing(one, other[:1]) == (1, "")
    assert differing(one[:0], other) == (0, "")


def test_it_is_told_with_both_values():
    other = sent((PLACE, 1, TARGET, 0, BUY, 6_000_002, 100))
    one = found(Rows(sent(FIRST), filled()), Rows(other, filled()))
    assert (one.what, one.number, one.order, one.time_ns, one.field) == ("request", 1, 1, AT_NS, "ticks")
    assert (one.one, one.other) == ("60000.01", "60000.02")
    stamp = "2024-08-08T23:54:14.000000001Z"
    assert one.time == stamp
    assert one.text == (
        f"request 1, at {stamp}: one has place order 1 target buy 0.00100 at 60000.01 on {stamp}, and the "
        f"other place order 1 target buy 0.00100 at 60000.02 on {stamp}; first, its price is 60000.01 in one "
        "and 60000.02 in the other"
    )


def test_what_one_lacks_is_told_as_nothing():
    one = found(Rows(sent(FIRST), filled(FILL)), Rows(sent(FIRST), filled()))
    assert (one.what, one.number, one.order, one.field) == ("fill", 1, 1, "")
    assert one.one.startswith("a fill of order 1 target buy 0.00050 at 60000.01")
    assert one.other == "nothing"


def test_of_a_request_and_a_fill_the_earlier_is_told():
    early = [AT_NS - 9, AT_NS - 8, *FILL[2:]]
    plain, other = sent(FIRST), sent((*FIRST[:-1], 7))
    assert found(Rows(plain, filled(FILL)), Rows(other, filled())).what == "request"
    assert found(Rows(plain, filled(tuple(early))), Rows(other, filled())).what == "fill"


def test_values_are_people_s():
    row = sent((AMEND, 3, REST, 1, SELL, 6_000_001, 100))[0]
    said = [value(row, name, btc_usdt()) for name in ("verb", "kind", "side", "level", "lots")]
    assert said == ["amend", "rest", "sell", "1", "0.00100"]
    fill = filled(FILL)[0]
    assert value(fill, "maker", btc_usdt()) == "taking"
    assert value(fill, "position", btc_usdt()) == "0.0005"
    assert words(row, btc_usdt()).startswith("amend order 3 rest sell 0.00100 at 60000.01")
