"""A stage for one strategy: the arrays that decide reads and writes, and the live pipeline around it."""

import math

import numpy as np
import pytest

from kernels import features
from kernels.dtypes import (
    ACCOUNT_COLUMNS,
    BOOK_LEVELS,
    O_INSTRUMENT,
    O_KIND,
    O_LEVEL,
    O_PRICE,
    O_QTY,
    O_SIDE,
    OUT_COLUMNS,
    OUT_PER_INSTRUMENT,
    P_QTY,
    POSITION_COLUMNS,
    TARGET,
    WORKING_COLUMNS,
    WORKING_SLOTS,
)
from strategies.base import bind_params, from_module


class Stage:
    """The world of one strategy, to be set by a test and asked."""

    def __init__(self, module, **params):
        self.strategy = from_module(module.__name__, module, "")
        k = self.strategy.instruments
        self.rows = np.full((k, len(features.FEATURES) + 1), math.nan)
        self.book = np.full((k, 2, BOOK_LEVELS, 2), math.nan)
        self.position = np.zeros((k, POSITION_COLUMNS))
        self.working = np.zeros((k, WORKING_SLOTS, WORKING_COLUMNS))
        self.account = np.zeros(ACCOUNT_COLUMNS)
        self.state = np.zeros(max(self.strategy.states, 1))
        self.params = bind_params(self.strategy, params)
        self.out = np.full((k * OUT_PER_INSTRUMENT, OUT_COLUMNS), math.nan)
        self.now_ns = 1_700_000_000_000_000_000

    def market(self, bid, ask, i=0):
        self.book[i, 0, 0] = bid, 1.0
        self.book[i, 1, 0] = ask, 1.0

    def feature(self, name, value, i=0):
        self.rows[i, features.FEATURES.index(name)] = value

    def predict(self, value):
        self.rows[0, -1] = value

    def hold(self, qty, i=0):
        self.position[i, P_QTY] = qty

    def ask(self, seconds=0.0):
        """Decide `seconds` later; return NO_OPINION or the wants.

        A TARGET is (instrument, qty, price), anything else (kind, instrument, level, side, qty, price).
        """
        self.now_ns += round(seconds * 1e9)
        n = self.strategy.decide(
            self.now_ns,
            1,
            self.rows,
            self.book,
            self.position,
            self.working,
            self.account,
            self.state,
            self.params,
            self.out,
        )
        if n < 0:
            return n
        wants = []
        for row in self.out[:n]:
            tail = (float(row[O_QTY]), float(row[O_PRICE]))
            if row[O_KIND] == TARGET:
                wants.append((int(row[O_INSTRUMENT]), *tail))
            else:
                wants.append((*(int(row[c]) for c in (O_KIND, O_INSTRUMENT, O_LEVEL, O_SIDE)), *tail))
        return wants


@pytest.fixture
def stage():
    """Build a Stage of a strategy module."""
    return Stage
