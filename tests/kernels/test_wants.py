"""What a row of `out` means in ticks and lots."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import wants
from kernels.dtypes import (
    APPROVED,
    BUY,
    OUT_COLUMNS,
    P_FREE_BASE,
    P_QTY,
    POSITION_COLUMNS,
    R_LOT_SIZE,
    R_NOTIONAL_MIN,
    R_QTY_MAX_LOTS,
    R_QTY_MIN_LOTS,
    R_QTY_TOLERANCE_LOTS,
    R_SPOT,
    R_TICK_SIZE,
    REFUSED_QTY,
    REST,
    RULES_COLUMNS,
    SELL,
    STOP,
    TARGET,
)

BAD = [math.nan, math.inf, -math.inf, 1e308, -1e308]


def row(kind: float, instrument: float, level: float, side: float, price: float, qty: float) -> np.ndarray:
    return np.array([kind, instrument, level, side, price, qty], np.float64)


def make_rules(*, spot: bool = False, lot: float = 0.001) -> np.ndarray:
    rules = np.zeros(RULES_COLUMNS)
    rules[R_TICK_SIZE] = 0.01
    rules[R_LOT_SIZE] = lot
    rules[R_QTY_MIN_LOTS] = 1
    rules[R_QTY_MAX_LOTS] = 5000
    rules[R_NOTIONAL_MIN] = 5
    rules[R_SPOT] = spot
    return rules


def make_position(qty: float, free: float = 0.0) -> np.ndarray:
    position = np.zeros(POSITION_COLUMNS)
    position[P_QTY] = qty
    position[P_FREE_BASE] = free
    return position


def test_a_row_has_six_columns():
    assert row(REST, 0, 0, BUY, 1, 1).size == OUT_COLUMNS


@pytest.mark.parametrize(
    ("bad", "column"),
    [(value, column) for value in [*BAD, 0.5, -1.0, 7.0] for column in (0, 1, 3)]
    + [(value, 2) for value in [*BAD, 0.5, 2.0**31]],
)
def test_a_row_that_names_nothing_is_found(bad, column):
    good = row(REST, 1, 3, BUY, math.nan, math.nan)
    assert wants.names_something(good, 2)
    good[column] = bad
    assert wants.names_something(good, 2) is (column == 3 and bad == -1.0)


def test_a_target_needs_no_level_and_no_side():
    assert wants.names_something(row(TARGET, 0, math.nan, math.nan, 1, 1), 1)


def test_one_level_is_spoken_for_once_and_an_instrument_has_one_target():
    out = np.array([row(*r) for r in [(REST, 0, 1, 1, 1, 1), (STOP, 0, 1, 1, 1, 1), (REST, 1, 1, 1, 1, 1)]])
    assert [wants.said_before(out, r) for r in range(3)] == [False] * 3
    out[1, 0] = REST
    assert wants.said_before(out, 1)
    out[0, 0] = out[1, 0] = TARGET
    out[1, 2] = 9
    assert wants.said_before(out, 1)


@given(ticks=st.integers(1, 10**12), tick=st.sampled_from([0.01, 0.1, 0.5, 1e-8, 0.00001, 2.5]))
def test_a_price_on_the_grid_is_its_tick(ticks, tick):
    price = float(Fraction(ticks) * Fraction(str(tick)))
    if ticks < 10**9:  # beyond that, float prices of such a grid are not a tick apart
        for side in (BUY, SELL):
            assert wants.to_ticks(price, tick, side, REST) == ticks


@given(price=st.floats(0.02, 1e6), kind=st.sampled_from([REST, TARGET]))
def test_a_price_between_ticks_moves_away_from_the_market(price, kind):
    low = wants.to_ticks(price, 0.01, BUY, kind)
    high = wants.to_ticks(price, 0.01, SELL, kind)
    assert low <= high <= low + 1
    assert low * 0.01 <= price + 1e-7
    assert high * 0.01 >= price - 1e-7
    assert wants.to_ticks(price, 0.01, BUY, STOP) in (low, high)


@pytest.mark.parametrize("price", [*BAD, 0.0, -1.0])
def test_no_sane_price_has_no_ticks(price):
    assert wants.to_ticks(price, 0.01, BUY, REST) == 0


@pytest.mark.parametrize("qty", [*BAD, -1.0])
def test_no_sane_quantity_is_refused(qty):
    rules = make_rules()
    assert wants.rest_lots(row(REST, 0, 0, BUY, 1, qty), rules) == (0, REFUSED_QTY)
    if qty != -1.0:
        assert wants.missing(row(TARGET, 0, 0, 0, 1, qty), make_position(0), rules, 0)[1:] == (0, REFUSED_QTY)


def test_a_quantity_is_rounded_down_and_a_sliver_refused():
    rules = make_rules()
    cases = {0.0: (0, APPROVED), 0.0005: (0, REFUSED_QTY), 0.0019: (1, APPROVED), 0.003: (3, APPROVED)}
    for qty, expected in cases.items():
        assert wants.rest_lots(row(REST, 0, 0, BUY, 1, qty), rules) == expected


@pytest.mark.parametrize(
    ("target", "held", "free", "spot", "expected"),
    [
        (0.010, 0.0, 0.0, False, (BUY, 10)),
        (-0.010, 0.004, 0.0, False, (SELL, 14)),
        (-0.010, 0.006, 0.006, True, (SELL, 6)),  # a short is clamped to flat
        (0.0, 0.010, 0.00999, True, (SELL, 9)),  # commission left less to sell
        (0.0, 0.010, 0.0009, True, (SELL, 0)),  # less than a lot to sell
        (0.0, 0.004995, 1.0, True, (SELL, 0)),  # 4 lots are its own and dust, the fifth is the account's
        (0.0, 0.005995, 1.0, True, (SELL, 5)),  # five lots are its own, whatever the account has
        (0.002, 0.008995, 1.0, True, (SELL, 7)),  # which leaves the nearest to its target there is
        (0.005, 0.004995, 1.0, True, (BUY, 0)),  # what a commission took is not bought again
        (0.0, -0.000005, 1.0, True, (BUY, 0)),
        (0.010, 0.0102, 0.0, False, (BUY, 0)),  # within a lot
        (9.0, 0.0, 0.0, False, (BUY, 5000)),  # no more than one order may hold
        (0.0, 0.004, 1.0, True, (SELL, 0)),  # 4 lots are below the smallest notional: dust
        (0.0, 0.004, 0.0, False, (SELL, 4)),  # which a derivative is closed by all the same
        (0.0, -0.004, 0.0, False, (BUY, 4)),
        (0.008, 0.004, 0.0, False, (BUY, 0)),  # and not added to
        (-0.002, 0.002, 0.0, False, (SELL, 0)),  # nor turned round
        (0.004, 0.0, 0.0, False, (BUY, 4)),  # the limits say so when one wants nothing but dust
    ],
)
def test_what_is_missing_to_a_target(target, held, free, spot, expected):
    rules = make_rules(spot=spot)
    position = make_position(held, free)
    spare = wants.sellable_lots(position, rules)
    assert wants.missing(row(TARGET, 0, 0, 0, 1000.0, target), position, rules, spare) == (
        *expected,
        APPROVED,
    )


@given(
    units=st.integers(-(10**5), 10**7),
    lot=st.sampled_from([1, 10, 1000]),
    wanted=st.integers(-5, 2000),
    qty_min=st.integers(0, 3),
)
def test_on_spot_no_target_sells_beyond_the_position(units, lot, wanted, qty_min):
    rules = make_rules(spot=True, lot=lot / 10**6)
    rules[R_QTY_MIN_LOTS] = qty_min
    position = make_position(units / 10**6, free=1e6)
    row_ = row(TARGET, 0, 0, 0, 1e5, wanted * lot / 10**6)
    side, lots, _ = wants.missing(row_, position, rules, wants.sellable_lots(position, rules))
    assert side == BUY or lots == 0 or qty_min <= lots <= units // lot


def test_the_tolerance_leaves_small_differences():
    rules = make_rules()
    rules[R_QTY_TOLERANCE_LOTS] = 5
    assert wants.missing(row(TARGET, 0, 0, 0, 1e5, 0.005), make_position(0), rules, 0)[1] == 0
    assert wants.missing(row(TARGET, 0, 0, 0, 1e5, 0.006), make_position(0), rules, 0)[1] == 6


def test_an_order_opposes_the_position_or_nothing():
    rules = make_rules()
    assert wants.opposing_lots(make_position(0.004), rules, SELL) == 4
    assert wants.opposing_lots(make_position(0.004), rules, BUY) == 0
    assert wants.opposing_lots(make_position(-0.004), rules, BUY) == 4
    assert wants.opposing_lots(make_position(0.003995), rules, SELL) == 3


def test_a_price_reaches_the_touch_of_the_other_side():
    book = np.full((2, 10, 2), math.nan)
    rules = make_rules()
    assert not wants.reaches(book, rules, BUY, 10**9)
    book[0, 0, 0], book[1, 0, 0] = 100.00, 100.01
    assert wants.reaches(book, rules, BUY, 10001)
    assert not wants.reaches(book, rules, BUY, 10000)
    assert wants.reaches(book, rules, SELL, 10000)
    assert not wants.reaches(book, rules, SELL, 10001)
