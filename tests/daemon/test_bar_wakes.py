"""A strategy with bars is woken when one closes: by the clock or by what comes first, live as in a replay."""

from __future__ import annotations

import pytest

from daemon.compile import load_strategy
from daemon.config import StrategyConfig
from daemon.errors import ConfigError
from daemon.options import ReplayOptions
from daemon.tape import replay as replays
from daemon.tape.source import open_source
from kernels import dtypes as d
from tests.daemon.tape.conftest import made_up, write
from tests.daemon.tape.test_replay import lasting

SECOND = 1_000_000_000
FILE = """
PARAMS = {{}}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0
BAR_S = {bar_s}
ON_GAP = "{on_gap}"
CALLS = []


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    CALLS.append((now_ns, why, state.copy()))
    return -1
"""
#: trades each bar's direction: compiled, or plain where it has no decorator
TRADER = """
from numba import njit

from kernels.dtypes import BAR_CLOSE, BAR_CLOSED, BAR_OPEN, NO_OPINION, TARGET, WHY_BAR

PARAMS = {{}}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0
BAR_S = 0.25


{decorator}
def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    if not why & WHY_BAR:
        return NO_OPINION
    bar = state[1:]
    state[0] += bar[BAR_CLOSED]
    rose = bar[BAR_CLOSE] > bar[BAR_OPEN]
    out[0, 0] = TARGET
    out[0, 1] = 0
    out[0, 4] = book[0, 1, 0, 0] * 1.001 if rose else book[0, 0, 0, 0] * 0.999
    out[0, 5] = 0.001 if rose else 0.0
    return 1
"""


@pytest.fixture
def floor_of(new_floor, tmp_path):
    """Return the builder of a floor whose one strategy has bars, and the list of what it was asked."""

    def make(on_gap="mark"):
        file = tmp_path / "barred.py"
        file.write_text(FILE.format(bar_s=1.0, on_gap=on_gap))
        floor = new_floor(StrategyConfig(name=str(file), symbols=("BTC/USDT",), warmup_ticks=0))
        calls = floor.core.runtimes[0].strategy.decide.__globals__["CALLS"]
        calls.clear()
        return floor, calls

    return make


def bar(call):
    return call[2][1:]


def test_it_is_woken_at_the_end_of_a_bar_though_nothing_comes(floor_of):
    floor, calls = floor_of()
    begin_ns = floor.time.now_ns()
    floor.later(2.5)
    assert calls == []  # nothing was traded yet
    floor.trade(100.0, 0.5)
    floor.trade(100.02, 0.25, sold=True)
    floor.later(2.0)
    assert [(at - begin_ns, why) for at, why, _ in calls] == [
        (2_501_000_000, d.WHY_DRAIN),
        (2_502_000_000, d.WHY_DRAIN),
        (3 * SECOND, d.WHY_BAR),
        (4 * SECOND, d.WHY_BAR),
    ]
    got = bar(calls[2])
    assert got[[d.BAR_OPEN, d.BAR_CLOSE, d.BAR_VOLUME, d.BAR_BOUGHT]].tolist() == pytest.approx(
        [100.0, 100.02, 0.75, 0.5]
    )
    assert got[[d.BAR_CLOSED, d.BAR_TRADES, d.BAR_COMPLETE]].tolist() == [1, 2, 0]
    empty = bar(calls[3])
    assert empty[[d.BAR_CLOSED, d.BAR_TRADES, d.BAR_COMPLETE]].tolist() == [1, 0, 1]
    assert empty[d.BAR_OPEN] == pytest.approx(100.02)


def test_a_tick_behind_the_end_wakes_it_once(floor_of):
    floor, calls = floor_of()
    floor.trade(100.0, 0.5)
    floor.time._now_ns += SECOND  # the loop was late: the timer comes behind the quote
    quote = (
        b'{"stream":"btcusdt@bookTicker","data":{"s":"BTCUSDT","u":9,"b":"100","B":"1","a":"101","A":"1"}}'
    )
    floor.feed.on_frame(quote, True)
    floor.later(0.2)
    assert [why for _, why, _ in calls] == [d.WHY_DRAIN, d.WHY_DRAIN | d.WHY_BAR]


@pytest.mark.parametrize("on_gap", ["mark", "reset"])
def test_a_gap_leaves_the_bar_incomplete_or_begins_it_anew(floor_of, on_gap):
    floor, calls = floor_of(on_gap)
    floor.trade(100.0, 0.5)
    floor.later(1.2)
    floor.trade(100.0, 0.5)
    floor.engine.on_gap(0, "a test")
    floor.trade(100.0, 0.25)
    floor.later(1.0)
    last = bar(calls[-1])
    assert last[d.BAR_COMPLETE] == 0
    assert last[d.BAR_TRADES] == (2 if on_gap == "mark" else 1)


@pytest.mark.parametrize("bar_s", ["0.05", "86401.0", "0.1005", "-1.0", "float('nan')"])
def test_a_length_that_is_none_is_refused(tmp_path, bar_s):
    file = tmp_path / "barred.py"
    file.write_text(FILE.format(bar_s=bar_s, on_gap="mark"))
    with pytest.raises(ConfigError, match=r"BAR_S is of whole milliseconds|does not follow strategies/base"):
        load_strategy(str(file))


def test_a_replay_trades_by_bars_and_compiled_it_does_the_same(tmp_path):
    lines = made_up(2_000)
    path = write(tmp_path / "capture.gz", lines)
    results = []
    for decorator in ("", "@njit(cache=True)"):
        file = tmp_path / f"trader{len(results)}.py"
        file.write_text(TRADER.format(decorator=decorator))
        source = open_source(path)
        config = replays._config(ReplayOptions(files=(path,), strategy=str(file)), source)
        results.append(lasting(replays.replay(source, config)))
        results[-1]["strategies"] = []
    assert results[0] == results[1]
    assert results[0]["orders"]["fills"] > 3
