"""Runs of a capture's ticks: what comes of a replay is the same to the last bit, with them and without."""

from __future__ import annotations

import msgspec
import pytest

from daemon.options import ReplayOptions
from daemon.tape import replay as replays
from daemon.tape import runs
from daemon.tape.merge import open_sources
from daemon.tape.player import WHOLE, Span
from tests.daemon.tape.test_replay import BAD, lasting
from tests.daemon.test_turns import FAILING

TIMED = """
from numba import njit
from strategies.base import DECIDE_SIGNATURE
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.007
PARAMS = {}


@njit(DECIDE_SIGNATURE)
def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    state[0] += why
    if state[0] % 97 != 0 or not book[0, 1, 0, 0] > 0:
        return -1
    out[0, 0], out[0, 3], out[0, 4], out[0, 5] = 2.0, 1.0, book[0, 0, 0, 0] - 1.0, 0.001
    return 1
"""


class Both:
    """Replays a capture with runs and without; `taken`: how many frames came in runs."""

    def __init__(self, monkeypatch):
        self._patch = monkeypatch
        self.taken = 0
        real = runs.Runs.take

        def take(it, lines, at, before_ns):
            after = real(it, lines, at, before_ns)
            self.taken += after - at
            return after

        monkeypatch.setattr(runs.Runs, "take", take)

    def replay(self, path, bytes_min, span, **strategy):
        self._patch.setattr(runs, "_CAPTURE_BYTES_MIN", bytes_min)
        source = open_sources([path])
        config = replays._config(ReplayOptions(files=(path,)), source)
        one = msgspec.structs.replace(config.strategy[0], **strategy)
        return lasting(replays.replay(source, msgspec.structs.replace(config, strategy=(one,)), span))

    def check(self, path, span=WHOLE, **strategy):
        """Return what came of it both ways."""
        alone = self.replay(path, 2**40, span, **strategy)
        assert self.taken == 0
        together = self.replay(path, 0, span, **strategy)
        assert together == alone
        return together


@pytest.fixture
def both(monkeypatch):
    return Both(monkeypatch)


@pytest.fixture
def strategy_of(tmp_path):
    def write(text):
        path = tmp_path / "own.py"
        path.write_text(text)
        return str(path)

    return write


def test_orders_and_fills_are_the_same_and_most_frames_come_in_runs(both, lines_of, capture_of):
    result = both.check(capture_of(lines_of(3_000)))
    assert result["orders"]["fills"] > 5
    assert both.taken > 1_000


@pytest.mark.heavy
def test_orders_that_rest_keep_out_of_runs_while_they_do(both, lines_of, capture_of):
    result = both.check(capture_of(lines_of(3_000)), name="market_maker")
    assert result["orders"]["placed"] > 50
    assert 0 < both.taken < 1_000


@pytest.mark.heavy
def test_a_timer_comes_between_two_ticks(both, lines_of, capture_of, strategy_of):
    result = both.check(capture_of(lines_of(2_000)), name=strategy_of(TIMED))
    assert result["decisions"] > 2_500
    assert result["orders"]["placed"] > 5
    assert both.taken > 100


@pytest.mark.heavy
@pytest.mark.parametrize("answer", [0.0, -7.0, 99.0])
def test_a_strategy_that_fails_halts_at_the_same_tick(both, lines_of, capture_of, strategy_of, answer):
    params = {"at": 701.0, "answer": answer}
    result = both.check(capture_of(lines_of(1_500)), name=strategy_of(FAILING), params=params)
    assert result["failed"]
    assert result["halted"]
    assert result["decisions"] - (answer != 0) == 700
    assert both.taken > 100


def test_what_is_no_plain_tick_is_taken_as_ever(both, lines_of, capture_of):
    lines = lines_of(2_000)
    (gap,) = [number for number, line in enumerate(lines) if b"@trade" in line][100:101]
    odd = [*lines[:gap], *lines[gap + 1 : 900], *lines[905:900:-1], *lines[906:]]
    for at, frame in enumerate(BAD.values()):
        odd.insert(300 + 200 * at, odd[300 + 200 * at][:19] + b" " + frame)
    result = both.check(capture_of(odd))
    assert (len(result["errors"]), result["backwards"]) == (len(BAD), 4)
    assert result["trades_missed"] == 1
    assert both.taken > 500


def test_a_part_of_it_begins_and_ends_where_it_is_said(both, lines_of, capture_of):
    lines = lines_of(2_000)
    span = Span(from_ns=int(lines[501][:19]), until_ns=int(lines[1_502][:19]))
    result = both.check(capture_of(lines), span)
    assert result["decisions"] - result["orders"]["fills"] == 1_502 - 501
    assert both.taken > 300


@pytest.mark.heavy
def test_a_python_decide_takes_none(both, lines_of, capture_of, strategy_of):
    plain = TIMED.replace("@njit(DECIDE_SIGNATURE)\n", "")
    both.check(capture_of(lines_of(600)), name=strategy_of(plain))
    assert both.taken == 0


@pytest.mark.parametrize("name", ["binance-spot-btcusdt-20240808.gz", "binance-usdm-btcusdt-20240808.gz"])
def test_of_real_captures_too(both, captures, name):
    assert both.check(captures / name)["orders"]["placed"] > 20
    assert both.taken > 20_000
