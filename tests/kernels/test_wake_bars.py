"""The bars that wake a strategy: those of a slow twin, whenever they are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import bars
from kernels import dtypes as dt
from kernels.dtypes import QUOTE, TRADE, WHY_BAR, WHY_DRAIN, WHY_TIMER
from kernels.ring import CAPACITY, new_rings, push
from kernels.wake_bars import EMPTY_MAX, WAKE, close, ended, take

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND
STATES = 2
TICK, LOT = 0.5, 0.001


def make_memory(k=1, bar_ns=SECOND):
    memory = np.zeros(1, dt.memory_dtype(k, 1, 1, 1, STATES + k * dt.BAR_COLUMNS, 0, WAKE))
    record = memory[0]
    record["ring"] = range(k)
    record["rules"][:, [dt.R_TICK_SIZE, dt.R_LOT_SIZE]] = TICK, LOT
    record["bars"]["made"] = bars.new_state(bars.TIME, bar_ns)
    return memory


def shown(memory, i=0):
    at = STATES + i * dt.BAR_COLUMNS
    return memory[0]["state"][at : at + dt.BAR_COLUMNS].tolist()


def trade(rings, i, wire_ns, price, qty, side, number=1):
    push(rings, i, TRADE, wire_ns, 7, number, price, qty, side, 0.0)


def test_a_bar_closes_at_its_end_and_wakes_once():
    memory, rings = make_memory(), new_rings(1)
    assert close(memory, rings, WHY_DRAIN | WHY_BAR, START_NS) == WHY_DRAIN  # nothing was ever traded
    trade(rings, 0, START_NS + 5, 100.5, 0.25, 1.0)
    trade(rings, 0, START_NS + 6, 100.0, 0.5, -1.0)
    assert close(memory, rings, WHY_DRAIN, START_NS + SECOND - 1) == WHY_DRAIN
    assert close(memory, rings, WHY_TIMER, START_NS + SECOND) == WHY_TIMER | WHY_BAR
    assert shown(memory) == [1, START_NS / 1e9, 100.5, 100.5, 100.0, 100.0, 0.75, 0.25, 2, 0]
    assert close(memory, rings, WHY_BAR, START_NS + SECOND) == 0
    assert shown(memory)[dt.BAR_CLOSED] == 0
    trade(rings, 0, START_NS + 2 * SECOND, 101.0, 0.001, 1.0)  # at an end: in the next
    assert close(memory, rings, WHY_DRAIN, START_NS + 2 * SECOND) == WHY_DRAIN | WHY_BAR
    assert shown(memory) == [1, START_NS / 1e9 + 1, 100.0, 100.0, 100.0, 100.0, 0, 0, 0, 1]
    assert memory[0]["state"][:STATES].tolist() == [0, 0]


def test_it_has_ended_from_its_end_on_until_it_is_closed():
    memory, rings = make_memory(k=2), new_rings(2)
    assert ended(memory, START_NS + 9 * SECOND) == 0  # none is being made
    trade(rings, 1, START_NS + 5, 100.5, 0.25, 1.0)
    assert ended(memory, START_NS + 9 * SECOND) == 0  # nobody took the trade yet
    take(memory, rings, 1)
    assert ended(memory, START_NS + SECOND - 1) == 0
    assert ended(memory, START_NS + SECOND) == 1
    assert ended(memory, START_NS + 2 * SECOND - 1) == 1
    assert close(memory, rings, 0, START_NS + SECOND) == WHY_BAR
    assert ended(memory, START_NS + 2 * SECOND - 1) == 0


def test_quotes_and_impossible_trades_are_in_none():
    memory, rings = make_memory(), new_rings(1)
    push(rings, 0, QUOTE, START_NS, 0, 1, 100.0, 1.0, 100.5, 1.0)
    trade(rings, 0, START_NS, 100.0, 0.0, 1.0)
    trade(rings, 0, START_NS, 100.0, 1.0, 0.0)
    assert close(memory, rings, WHY_DRAIN, START_NS + 9 * SECOND) == WHY_DRAIN
    assert shown(memory) == [0] * dt.BAR_COLUMNS


def test_a_full_ring_is_taken_in_time():
    memory, rings = make_memory(), new_rings(1)
    for number in range(3 * CAPACITY):
        trade(rings, 0, START_NS + number, 100.0, 0.001, 1.0)
        if number % CAPACITY == CAPACITY - 1:
            take(memory, rings, 0)
    assert close(memory, rings, WHY_DRAIN, START_NS + SECOND) == WHY_DRAIN | WHY_BAR
    assert shown(memory)[dt.BAR_TRADES] == 3 * CAPACITY
    assert rings["overflow"].tolist() == [0]


@pytest.mark.parametrize("by_trade", [False, True])
def test_a_leap_of_years_begins_anew_and_costs_nothing(by_trade):
    memory, rings = make_memory(), new_rings(1)
    trade(rings, 0, START_NS, 100.0, 1.0, 1.0)
    far_ns = START_NS + (EMPTY_MAX + 2) * SECOND
    if by_trade:
        trade(rings, 0, far_ns, 120.0, 2.0, -1.0)
    assert close(memory, rings, WHY_DRAIN, far_ns) == WHY_DRAIN
    assert bool(memory[0]["bars"]["made"]["begun"][0, 0]) == by_trade
    assert (close(memory, rings, 0, far_ns + SECOND) == WHY_BAR) == by_trade
    assert shown(memory)[dt.BAR_CLOSE] == (120.0 if by_trade else 0.0)


class Twin:
    """A bar of a second, in plain numbers."""

    def __init__(self):
        self.begin_ns, self.trades, self.last, self.complete = None, [], 0.0, 0
        self.closed, self.shown = 0, [0.0] * dt.BAR_COLUMNS

    def until(self, now_ns):
        while self.begin_ns is not None and now_ns >= self.begin_ns + SECOND:
            prices = [one[0] for one in self.trades] or [self.last]
            volume = sum(one[1] for one in self.trades)
            bought = sum(one[1] for one in self.trades if one[2] > 0)
            self.closed += 1
            self.shown[1:] = [
                self.begin_ns / 1e9,
                *(price * TICK for price in (prices[0], max(prices), min(prices), prices[-1])),
                volume * LOT,
                bought * LOT,
                len(self.trades),
                self.complete,
            ]
            self.last, self.trades, self.complete = prices[-1], [], 1
            self.begin_ns += SECOND

    def trade(self, wire_ns, price, lots, side):
        self.until(wire_ns)
        if self.begin_ns is None:
            self.begin_ns = wire_ns // SECOND * SECOND
        self.trades.append((price, lots, side))

    def ask(self, now_ns):
        self.until(now_ns)
        self.shown[0], self.closed = self.closed, 0
        return WHY_BAR if self.shown[0] else 0


_STEP = st.tuples(
    st.integers(0, 2_500_000_000),  # ns since the one before
    st.sampled_from(["trade", "trade", "trade", "ask", "take"]),
    st.integers(0, 1),
    st.integers(1, 300),
    st.integers(1, 99),
    st.sampled_from([1.0, -1.0]),
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(_STEP, max_size=40))
def test_they_are_those_of_a_slow_twin_whenever_they_are_looked_at(steps):
    memory, rings, twins = make_memory(2), new_rings(2), [Twin(), Twin()]
    now_ns = START_NS
    for passed_ns, what, i, price, lots, side in [*steps, (SECOND, "ask", 0, 1, 1, 1.0)]:
        now_ns += passed_ns
        if what == "trade":
            trade(rings, i, now_ns, price * TICK, lots * LOT, side)
            twins[i].trade(now_ns, price, lots, side)
        elif what == "take":
            take(memory, rings, i)
        else:
            wanted = WHY_DRAIN | twins[0].ask(now_ns) | twins[1].ask(now_ns)
            assert close(memory, rings, WHY_DRAIN, now_ns) == wanted
            for row, twin in enumerate(twins):
                assert shown(memory, row) == pytest.approx(twin.shown, abs=1e-9)
