import numpy as np
import pytest

from daemon.bench import strategy
from daemon.bench.market import MARKS
from daemon.compile import load_strategy
from kernels import dtypes as dt

# as the daemon loads it: numba's cache knows a function by its module's name
COMPILED = load_strategy(f"{strategy.__file__}:decide")


@pytest.fixture
def decide():
    """One decision: returns what decide wrote as (price, lots), None for no opinion."""
    state = np.zeros(strategy.STATES)

    def ask(mark, prediction, held_lots=0, working=0):
        rows, book = np.zeros((1, 5)), np.full((1, 2, dt.BOOK_LEVELS, 2), np.nan)
        position = np.zeros((1, dt.POSITION_COLUMNS))
        slots = np.zeros((1, dt.WORKING_SLOTS, dt.WORKING_COLUMNS))
        out = np.zeros((dt.OUT_PER_INSTRUMENT, dt.OUT_COLUMNS))
        rows[0, -1] = prediction
        book[0, 0, 0, 1] = float(f"57.{mark:05d}")
        position[0, dt.P_QTY] = held_lots * 1e-5
        slots[0, 0, dt.W_STATE] = working
        account = np.zeros(dt.ACCOUNT_COLUMNS)
        count = COMPILED.decide(0, 0, rows, book, position, slots, account, state, np.zeros(0), out)
        if count == dt.NO_OPINION:
            return None
        assert count == 1
        assert out[0, dt.O_KIND] == dt.TARGET
        return round(out[0, dt.O_PRICE] * 100), round(out[0, dt.O_QTY] * 1e5)

    return ask


def test_every_mark_is_read_and_carried_by_the_price(decide):
    for mark in (1, 2, 42, 9_999, 50_000, MARKS - 1):
        price, _ = decide(mark, 0.5)
        assert price % MARKS == mark


def test_a_mark_is_served_once_and_no_mark_never(decide):
    assert decide(0, 0.5) is None
    assert decide(7, 0.5) is not None
    assert decide(7, 0.9) is None
    assert decide(8, 0.5) is not None


def test_a_mark_waits_for_the_order_that_is_out(decide):
    assert decide(7, 0.5, working=dt.SLOT_WORKING) is None
    assert decide(7, 0.5) is not None


def test_the_target_is_the_prediction_in_the_other_band(decide):
    assert decide(1, 0.25) == (6_200_001, strategy.HIGH_LOTS + 2_499)
    assert decide(2, 0.75, held_lots=strategy.HIGH_LOTS + 2_499) == (5_700_002, strategy.LOW_LOTS + 7_499)
    assert decide(3, 1.0, held_lots=strategy.LOW_LOTS + 7_499) == (6_200_003, strategy.HIGH_LOTS + 9_999)


def test_before_a_quote_there_is_no_opinion(decide):
    book = np.full((1, 2, dt.BOOK_LEVELS, 2), np.nan)
    nothing = np.zeros((1, 1))
    out = np.zeros((dt.OUT_PER_INSTRUMENT, dt.OUT_COLUMNS))
    position, slots = np.zeros((1, dt.POSITION_COLUMNS)), np.zeros((1, dt.WORKING_SLOTS, dt.WORKING_COLUMNS))
    state, account = np.zeros(1), np.zeros(dt.ACCOUNT_COLUMNS)
    asked = COMPILED.decide(0, 0, nothing, book, position, slots, account, state, np.zeros(0), out)
    assert asked == dt.NO_OPINION
