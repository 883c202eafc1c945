"""Turns: the same decisions and orders as by drains, taken when nobody else has to see the tick."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from daemon.config import StrategyConfig
from daemon.orders.audit import Filled
from daemon.spans import STAGES, Spans
from kernels.ring import CAPACITY
from kernels.stats import HIST_COUNT

CROSS = StrategyConfig(
    name="ema_cross", params={"qty": 1.0, "band_bps": 0.05}, tuning={"ema_slow": 20.0}, warmup_ticks=0
)
_HEAD = """
from numba import njit
from strategies.base import DECIDE_SIGNATURE
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0
"""
FAILING = f"""{_HEAD}
PARAMS = {{"at": 0.0, "answer": 0.0}}


@njit(DECIDE_SIGNATURE)
def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    state[0] += 1
    if state[0] >= params[0]:
        return 1 // int(params[1]) if params[1] == 0 else int(params[1])
    return -1
"""
RESTING = f"""{_HEAD}
PARAMS = {{}}


@njit(DECIDE_SIGNATURE)
def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    out[0, 0], out[0, 3], out[0, 4], out[0, 5] = 2.0, 1.0, 99.9, 1.0
    return 1
"""


def taken(floor, index: int = 0) -> int:
    return int(floor.rings["turns"][index])


def wander(floor, count: int = 400, seed: int = 3, instruments: int = 1, alone: float = 1.0) -> None:
    """Let quotes and trades come whose prices go up and down; so many are all there was to read."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        bid = round(100.0 + math.sin(number / 40) + 0.01 * int(rng.integers(-3, 4)), 2)
        last = bool(rng.random() < alone) or number == count - 1
        index = int(rng.integers(instruments))
        if rng.random() < 0.3:
            floor.trade(bid, sold=bool(rng.random() < 0.5), index=index, last=last)
        else:
            floor.quote(bid, round(bid + 0.02, 2), index=index, last=last)


def story(floor) -> tuple[str, str, list[tuple[int, int, int]], int]:
    """Return what a session came to."""
    orders = [(order.side, order.price_ticks, order.qty_lots) for order in floor.sent()]
    digest = f"{int(floor.core.runtimes[0].memory[0]['digest']):016x}"
    return digest, floor.core.journal.digest(), orders, floor.engine.drains


def test_turns_and_drains_decide_order_and_count_alike(new_floor):
    floors = []
    for turning in (True, False):
        floor = new_floor(CROSS, market="usdm", balances={"USDT": "100000"})
        if not turning:
            floor.core.runtimes[0].turn = None
            floor.engine._turns.settle()
        floor.open_market()
        wander(floor)
        floors.append(floor)
    turned, drained = floors
    assert taken(turned) > 300
    assert taken(drained) == 0
    assert story(turned) == story(drained)
    assert len(turned.sent()) > 3


@pytest.mark.parametrize("alone", [0.9, 0.5, 0.2])
def test_bursts_that_end_with_a_turn_decide_and_order_as_by_drains(new_floor, alone):
    stories = []
    for turning in (True, False):
        crosses = [msgspec.structs.replace(CROSS, symbols=(f"{base}/USDT:USDT",)) for base in ("BTC", "ETH")]
        floor = new_floor(*crosses, bases=("BTC", "ETH"), market="usdm", balances={"USDT": "100000"})
        if not turning:
            for runtime in floor.core.runtimes:
                runtime.turn = None
            floor.engine._turns.settle()
        floor.open_market()
        wander(floor, 800, instruments=2, alone=alone)
        assert (taken(floor) > 0) is turning
        digests = [int(one.memory[0]["digest"]) for one in floor.core.runtimes]
        stories.append((story(floor), digests))
        assert not floor.engine._fresh
    assert stories[0] == stories[1]
    assert len(stories[0][0][2]) > 3


def test_a_turn_takes_what_waits_of_its_own_instrument_and_of_no_other(new_floor):
    crosses = [msgspec.structs.replace(CROSS, symbols=(f"{base}/USDT",)) for base in ("BTC", "ETH")]
    floor = new_floor(*crosses, bases=("BTC", "ETH"))
    floor.open_market()
    floor.quote()
    before = taken(floor)
    floor.quote(last=False)
    floor.trade(last=False)
    floor.quote()
    assert taken(floor) == before + 1
    floor.quote(index=1, last=False)
    floor.quote()  # the other's quote waits for a decision
    floor.quote(index=1, last=False)
    floor.quote(last=False)
    floor.quote()
    assert taken(floor) == before + 1
    floor.quote()
    assert taken(floor) == before + 2
    decisions = [int(one.memory[0]["decisions"]) for one in floor.core.runtimes]
    drains = floor.engine.drains
    floor.quote(index=1)
    assert floor.engine.drains == drains + 1
    assert [int(one.memory[0]["decisions"]) for one in floor.core.runtimes] == [
        decisions[0],
        decisions[1] + 1,
    ]


def test_a_cold_strategy_counts_its_ticks_at_drains(new_floor):
    floor = new_floor(msgspec.structs.replace(CROSS, warmup_ticks=5))
    for _ in range(5):
        floor.quote()
    assert (taken(floor), floor.engine.state) == (0, "READY")
    floor.quote()
    assert taken(floor) == 1


@pytest.mark.parametrize(
    ("strategies", "bases"),
    [
        ([CROSS, CROSS], ("BTC",)),  # two on one instrument
        (
            [StrategyConfig(name="pairs", symbols=("BTC/USDT", "ETH/USDT"), warmup_ticks=0)],
            ("BTC", "ETH"),
        ),  # one on two
    ],
)
def test_who_is_not_alone_with_one_instrument_decides_at_drains(new_floor, strategies, bases):
    floor = new_floor(*strategies, bases=bases)
    floor.open_market()
    for _ in range(3):
        floor.quote()
    assert taken(floor) == 0
    assert floor.core.runtimes[0].memory[0]["decisions"] > 0


def test_while_an_order_is_open_on_paper_each_tick_is_seen_by_the_venue_first(new_floor, tmp_path):
    (tmp_path / "resting.py").write_text(RESTING)
    floor = new_floor(StrategyConfig(name=str(tmp_path / "resting.py"), warmup_ticks=0), market="usdm")
    floor.open_market()
    floor.quote()
    floor.later(0.01)
    assert floor.venue.watching == {0}
    before = taken(floor)
    floor.quote(99.0, 99.02)  # through the resting bid
    floor.later(0.01)
    assert taken(floor) == before
    assert any(isinstance(audit, Filled) for audit in floor.audits)


def test_a_full_ring_is_taken_by_whoever_only_looks_now_and_then(new_floor):
    floor = new_floor(CROSS, latency_ms=0)
    floor.open_market()
    for number in range(CAPACITY + 50):
        bid = 100.0 + 0.01 * (number % 5)
        floor.quote(bid, round(bid + 0.02, 2))
    assert taken(floor) > CAPACITY
    assert floor.venue._markets[0].matcher["seen"][0] >= CAPACITY
    assert floor.rings["overflow"][0] == 0


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [(0.0, "raised ZeroDivisionError: "), (99.0, "broke its contract: it returned fewer")],
)
def test_a_strategy_that_fails_in_its_turn_halts_trading_and_is_not_asked_again(
    new_floor, tmp_path, answer, sentence
):
    (tmp_path / "failing.py").write_text(FAILING)
    failing = StrategyConfig(
        name=str(tmp_path / "failing.py"), params={"at": 4.0, "answer": answer}, warmup_ticks=0
    )
    floor = new_floor(failing)
    for _ in range(6):
        floor.quote()
    assert floor.engine.state == "HALTED"
    assert sentence in floor.core.runtimes[0].fault_text
    assert floor.core.runtimes[0].memory[0]["state"][0] == 4
    assert taken(floor) == 3  # the first frame taught its shape
    assert len(floor.feed.lanes[0].frames) == 6


def test_a_turn_is_measured_from_the_wire(new_floor):
    spans = Spans()
    floor = new_floor(CROSS, spans=spans)
    floor.open_market()
    before = int(spans.histograms[STAGES.index("turn")][HIST_COUNT])
    floor.quote()
    assert spans.histograms[STAGES.index("turn")][HIST_COUNT] == before + 1
    assert taken(floor) > 0
