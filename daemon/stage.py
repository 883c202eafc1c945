"""A stage for one strategy: what `decide` is given, set by a test, and what it wants, read back.

    stage = Stage("reversal.py", qty=0.5)
    stage.market(99.0, 101.0)
    stage.feature("zscore", -2.5)
    assert stage.ask()[0].qty == 0.5

The strategy is loaded and checked as a start loads it, and is asked by the one signature that trades, so that
it is compiled as there, or runs as plain Python.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from daemon import kernel_cache
from daemon.compile import load_strategy
from daemon.errors import UsageError
from kernels.dtypes import (
    ACCOUNT_COLUMNS,
    BOOK_LEVELS,
    NO_OPINION,
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
    WHY_DRAIN,
    WORKING_COLUMNS,
    WORKING_SLOTS,
)
from kernels.features import FEATURES
from strategies.base import StrategyError, bind_params

if TYPE_CHECKING:
    from pathlib import Path


class Want(NamedTuple):
    """One row of what a strategy wants to have standing; a target has no side and no level."""

    kind: int  # kernels.dtypes: TARGET, REST, STOP
    instrument: int
    level: int
    side: int
    qty: float
    price: float


class Stage:
    """The world of one strategy. Arrays are as strategies/base.py has them; NaN is what nobody has set."""

    def __init__(self, strategy: str | Path, **params: float) -> None:
        """Load a shipped strategy by name, or a file; `params` override its defaults.

        Raises ConfigError for a strategy that does not follow the contract, UsageError for a parameter that
        it does not have.
        """
        kernel_cache.activate()
        self.strategy = load_strategy(str(strategy))
        k = self.strategy.instruments
        self.rows = np.full((k, len(FEATURES) + 1), math.nan)
        self.book = np.full((k, 2, BOOK_LEVELS, 2), math.nan)
        self.position = np.zeros((k, POSITION_COLUMNS))
        self.working = np.zeros((k, WORKING_SLOTS, WORKING_COLUMNS))
        self.account = np.zeros(ACCOUNT_COLUMNS)
        self.state = np.zeros(max(self.strategy.states, 1))
        self.out = np.full((k * OUT_PER_INSTRUMENT, OUT_COLUMNS), math.nan)
        self.now_ns = 1_700_000_000_000_000_000
        try:
            self.params = bind_params(self.strategy, params)
        except StrategyError as error:
            raise UsageError(str(error)) from None

    def market(self, bid: float, ask: float, i: int = 0) -> None:
        """Set the best prices of instrument `i`, with one of base currency at each."""
        self.book[i, 0, 0] = bid, 1.0
        self.book[i, 1, 0] = ask, 1.0

    def feature(self, name: str, value: float, i: int = 0) -> None:
        """Set a feature of instrument `i` (docs/features.md); raises ValueError for an unknown one."""
        self.rows[i, FEATURES.index(name)] = value

    def predict(self, value: float) -> None:
        """Set what the model says of the first instrument."""
        self.rows[0, -1] = value

    def hold(self, qty: float, i: int = 0) -> None:
        """Set what the strategy holds of instrument `i`, in base currency."""
        self.position[i, P_QTY] = qty

    def ask(self, seconds: float = 0.0) -> list[Want] | None:
        """Decide `seconds` later; return what is wanted, None for no opinion."""
        self.now_ns += round(seconds * 1e9)
        count = self.strategy.decide(
            self.now_ns,
            WHY_DRAIN,
            self.rows,
            self.book,
            self.position,
            self.working,
            self.account,
            self.state,
            self.params,
            self.out,
        )
        return None if count == NO_OPINION else [_want(row.tolist()) for row in self.out[:count]]


def _want(row: list[float]) -> Want:
    kind = int(row[O_KIND])
    level, side = (0, 0) if kind == TARGET else (int(row[O_LEVEL]), int(row[O_SIDE]))
    return Want(kind, int(row[O_INSTRUMENT]), level, side, row[O_QTY], row[O_PRICE])
