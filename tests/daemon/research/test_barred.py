"""A strategy that bars wake: its backtest is its replay, it can be proven, and swept."""

from __future__ import annotations

import pytest

from daemon.options import BacktestOptions
from daemon.research import backtest_verb, parity
from daemon.research.prove import Prover, prove
from daemon.research.trial import Bench
from daemon.tape.replay import Given
from tests.daemon.research.conftest import converted
from tests.daemon.research.test_backtest import lively

#: trades each bar's direction, and keeps counts of bars, trades, complete ones, and those closed by the clock
BARRED = """
{head}
from kernels.dtypes import (
    BAR_CLOSE, BAR_CLOSED, BAR_COMPLETE, BAR_OPEN, BAR_TRADES, NO_OPINION, TARGET, WHY_BAR, WHY_DRAIN
)

PARAMS = {{"size": 0.001}}
STATES = 4
INSTRUMENTS = 1
TIMER_S = {timer_s}
BAR_S = {bar_s}
ON_GAP = "{on_gap}"


{decorator}
def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    if not why & WHY_BAR:
        return NO_OPINION
    bar = state[4:]
    state[0] += bar[BAR_CLOSED]
    state[1] += bar[BAR_TRADES]
    state[2] += bar[BAR_COMPLETE]
    state[3] += 0 if why & WHY_DRAIN else 1  # by the clock
    up = (bar[BAR_CLOSE] > bar[BAR_OPEN]) == (bar[BAR_COMPLETE] > 0)
    out[0, 0] = TARGET
    out[0, 1] = 0
    out[0, 4] = book[0, 1, 0, 0] * 1.001 if up else book[0, 0, 0, 0] * 0.999
    out[0, 5] = params[0] if up else 0.0
    return 1
"""


def written(folder, *, compiled=True, bar_s=0.1, timer_s=0.0, on_gap="mark"):
    path = folder / "barred.py"
    head, decorator = ("from numba import njit", "@njit") if compiled else ("", "")
    path.write_text(
        BARRED.format(head=head, decorator=decorator, bar_s=bar_s, timer_s=timer_s, on_gap=on_gap)
    )
    return str(path)


def compared(path, strategy, monkeypatch):
    """Return what parity says, and what the backtest's strategy remembers at the end."""
    ended = []
    real = parity.difference_of
    monkeypatch.setattr(parity, "difference_of", lambda *given: ended.append(given[0]) or real(*given))
    found = parity.compare(BacktestOptions(path=path, strategy=strategy))
    return found, ended[0].memory[0]["state"][:4].tolist()


@pytest.mark.parametrize(
    ("compiled", "timer_s", "on_gap"), [(True, 0.0, "mark"), (False, 0.07, "reset"), (False, 0.0, "mark")]
)
def test_its_backtest_is_its_replay_through_gaps_too(tmp_path, monkeypatch, compiled, timer_s, on_gap):
    lines = lively(3_000, seed=12, depth=False)
    quiet = [line for line in lines[:300] if b"@trade" not in line]  # bars end that nobody began
    path = converted([*quiet, *lines[300:1_000], *lines[1_800:]], tmp_path)
    strategy = written(tmp_path, compiled=compiled, timer_s=timer_s, on_gap=on_gap)
    found, (closed, trades, complete, by_clock) = compared(path, strategy, monkeypatch)
    assert found.same, found.text
    assert found.fills > 1
    # the first of a beginning and the one that the gap is in are not complete
    assert complete == closed - (1 if on_gap == "reset" else 2)
    assert trades > 400
    assert by_clock > 30


def test_with_a_book_and_the_clock_it_is_the_same(booked, tmp_path, monkeypatch):
    found, (closed, trades, complete, by_clock) = compared(booked, written(tmp_path), monkeypatch)
    assert found.same, found.text
    assert found.fills > 3
    assert (closed, complete) == (119, 118)
    assert trades > 1_000
    assert by_clock > 100


def test_it_is_proven(tmp_path, monkeypatch):
    monkeypatch.setattr(Prover, "_elsewhere", lambda _: True)  # another process takes seconds to start
    path = converted(lively(1_200, seed=21), tmp_path)
    proof = prove(BacktestOptions(path=path, strategy=written(tmp_path), cuts=6), lambda _: None)
    assert proof.proven, proof.text
    assert proof.compared > 100


def test_a_sweep_s_trial_is_its_backtest(booked, tmp_path):
    strategy = written(tmp_path)
    bench = Bench(booked, Given(None, strategy, None), 1)
    bench.read()
    trial = bench.run({"size": "0.001"}).result
    alone = backtest_verb.backtest(BacktestOptions(path=booked, strategy=strategy, point_s=1))
    assert trial.fills == alone.fills > 3
    assert (trial.net, trial.fees, trial.decisions) == (alone.net, alone.fees, alone.decisions)
    assert bench.run({"size": "0.003"}).result.fees > 2 * trial.fees
