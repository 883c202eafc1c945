"""A lookahead proof: strategies that look ahead or aside are found, each in its way; ours are not."""

from __future__ import annotations

import asyncio
import sys

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daemon.errors import TickdError, UsageError
from daemon.options import BacktestOptions
from daemon.research import prove as module
from daemon.research.backtest_verb import instrument_of, streams_of
from daemon.research.market import Market
from daemon.research.trial import Bench
from daemon.research.witness import Witness
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import read_header
from kernels.backtest_state import FILL_ROW, SENT_ROW
from tests.daemon.research.conftest import converted
from tests.daemon.research.test_backtest import START_NS, lively

STEP_NS = 3_000_000
#: one file, since what is compiled around a strategy is compiled anew for each text; `how` says what it does
TEXT = """
import os
import random
import sys
import time
from pathlib import Path

import numpy
import pyarrow.parquet

from kernels.dtypes import NO_OPINION, O_INSTRUMENT, O_KIND, O_PRICE, O_QTY, TARGET

PARAMS = {"how": 0.0}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0
SEEN = [0]
FOLDER = os.environ.get("TICKD_TEST_FUTURE")
if FOLDER:
    FUTURE = numpy.load(FOLDER + "/future.npy")
    TABLE = pyarrow.parquet.read_table(FOLDER + "/future.parquet")["up"].to_numpy()


def counted(state):
    SEEN[0] += 1
    return SEEN[0] % 50 < 25


def raised(state):
    SEEN[0] += 1
    return 1 / (SEEN[0] - LIMIT[0]) > 0


def read(state):
    return FUTURE[int(state[0]) + 5] * TABLE[0] * float(Path(FOLDER, "now.txt").read_text()) % 50 < 25


def ahead(state):
    frame = sys._getframe()
    while "events" not in frame.f_locals:
        frame = frame.f_back
    ticks, at = frame.f_locals["events"]["tick"], int(frame.f_locals["test"]["at"][0])
    return ticks["a"][min(at + 2, len(ticks) - 1)] > ticks["a"][at - 1]


KNOWN = {}


def keeps(state):
    frame = sys._getframe()
    while "events" not in frame.f_locals:
        frame = frame.f_back
    ticks, at = frame.f_locals["events"]["tick"], int(frame.f_locals["test"]["at"][0])
    here = int(ticks["wire_ns"][at - 1])
    if at + 2 < len(ticks):
        up = bool(ticks["a"][at + 2] > ticks["a"][at - 1])
        KNOWN.setdefault(here, up)
        return up
    return KNOWN.setdefault(here, False)


LIMIT = [0]
HOW = (
    lambda state: state[0] % 100 < 50,
    counted,
    lambda state: random.random() < 0.5,
    lambda state: time.perf_counter_ns() % 2 == 0,
    lambda state: time.gmtime().tm_yday % 7 < 3,
    lambda state: hash("up") == SAID,
    read,
    ahead,
    lambda state: 1 / (int(state[0]) - 400) > 0,
    raised,
    keeps,
)
SAID = hash("up")
if os.environ.get("PYTHONHASHSEED") in {"1", "2"} and os.environ.get("TICKD_TEST_SAID"):
    SAID = int(os.environ["TICKD_TEST_SAID"])


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    bid, ask = book[0, 0, 0, 0], book[0, 1, 0, 0]
    if not bid < ask:
        return NO_OPINION
    state[0] += 1
    up = HOW[int(params[0])](state)
    out[0, O_KIND], out[0, O_INSTRUMENT] = TARGET, 0
    out[0, O_QTY] = 0.001 if up else 0.0
    out[0, O_PRICE] = ask * 1.01 if up else bid * 0.99
    return 1
"""
PLAIN, COUNTED, DRAWN, CLOCK, DAY, HASHED, READ, AHEAD, RAISES, RAISES_LATER, KEEPS = range(11)
COMPILED = """
import numba
import numpy
from kernels.dtypes import NO_OPINION, O_INSTRUMENT, O_KIND, O_PRICE, O_QTY, TARGET

PARAMS = {}
STATES = 0
INSTRUMENTS = 1
TIMER_S = 0.0


@numba.njit
def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    ask = book[0, 1, 0, 0]
    if not ask > 0:
        return NO_OPINION
    out[0, O_KIND] = TARGET
    out[0, O_INSTRUMENT] = 0
    out[0, O_QTY] = 0.001
    out[0, O_PRICE] = ask * (1.0 + 0.001 * numpy.random.random())
    return 1
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return converted(lively(1_200, seed=21), tmp_path_factory.mktemp("short"))


@pytest.fixture(scope="module")
def planted(short, tmp_path_factory):
    """Return how a backtest is asked for that does one thing or another."""
    path = tmp_path_factory.mktemp("planted") / "planted.py"
    path.write_text(TEXT)
    header = read_header(short)
    given = Given(None, str(path), None)
    config = configure(given, "", header.exchange, [instrument_of(header)], streams_of(short))

    def ask(how):
        (one,) = config.strategy
        one = msgspec.structs.replace(one, params={"how": float(how)})
        return {"config": msgspec.structs.replace(config, strategy=(one,))}

    return ask


def proven(path, strategy=None, **more):
    told = []
    proof = module.prove(BacktestOptions(path=path, strategy=strategy, **{"cuts": 6, **more}), told.append)
    assert told == list(range(1, len(told) + 1))
    return proof


@pytest.fixture
def alone(monkeypatch):
    """Ask no other process."""
    monkeypatch.setattr(module.Prover, "_elsewhere", lambda _: True)


def never(*_):
    raise AssertionError


@pytest.mark.parametrize("how", [COUNTED, DRAWN, CLOCK])
def test_what_a_second_run_decides_otherwise_is_found_in_this_process(short, planted, monkeypatch, how):
    monkeypatch.setattr(module, "_ask", never)
    proof = proven(short, **planted(how))
    assert (proof.proven, proof.failed) == (False, "again")
    assert proof.difference.what == "decision"
    assert proof.difference.number <= 200
    assert {proof.difference.one[:13], proof.difference.other[:13]} == {"target 0.001 ", "target 0.0 at"}
    assert "a global, a random number, the clock" in proof.text
    assert proof.difference.text in proof.text


@pytest.mark.heavy(seconds=15)
def test_so_is_a_random_number_within_compiled_code(short, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ask", never)
    (tmp_path / "drawn.py").write_text(COMPILED)
    proof = proven(short, str(tmp_path / "drawn.py"))
    assert (proof.failed, proof.difference.what) == ("again", "decision")
    assert proof.difference.one != proof.difference.other


@pytest.mark.parametrize("how", [DAY, HASHED])
def test_what_another_process_decides_otherwise_is_found(short, planted, monkeypatch, how):
    monkeypatch.setenv("TICKD_TEST_SAID", str(hash("up")))
    proof = proven(short, **planted(how))
    assert (proof.proven, proof.failed) == (False, "process")
    assert proof.difference.number == 1
    assert proof.difference.one[:12] != proof.difference.other[:12]
    assert "hash seed and clock" in proof.text


def test_what_is_read_beside_the_record_is_found(short, planted, tmp_path, monkeypatch):
    names = ("future.npy", "future.parquet", "now.txt")
    np.save(tmp_path / names[0], np.arange(5_000.0))
    pq.write_table(pa.table({"up": [1.0] * 5_000}), tmp_path / names[1])
    (tmp_path / names[2]).write_text("1")
    monkeypatch.setenv("TICKD_TEST_FUTURE", str(tmp_path))
    loaded = [name for name in sys.modules if name.startswith("tickd_strategy_planted")]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    proof = proven(short, **planted(READ))
    assert (proof.proven, proof.failed) == (False, "reads")
    assert sorted(proof.reads) == [str(tmp_path / name) for name in names]
    assert str(tmp_path / names[0]) in proof.text


def test_a_look_at_events_to_come_is_found_by_a_cut(short, planted, alone):
    proof = proven(short, **planted(AHEAD))
    assert (proof.proven, proof.failed) == (False, "ended")
    assert proof.cut_event == proof.cuts[proof.cut - 1]
    assert f"at cut {proof.cut} of 6, before event {proof.cut_event:,}" in proof.text
    # what shows it is one of the last decisions before the cut
    cut_ns = START_NS + proof.cut_event * STEP_NS
    assert cut_ns - 4 * STEP_NS < proof.difference.time_ns < cut_ns
    assert "wants" in proof.difference.text


def test_an_altered_future_shows_what_an_end_does_not(short, planted, alone):
    """Of one that keeps what it saw of the future, for where there is none."""
    proof = proven(short, **planted(KEEPS))
    assert (proof.proven, proof.failed) == (False, "altered")
    cut_ns = START_NS + proof.cut_event * STEP_NS
    assert cut_ns - 4 * STEP_NS < proof.difference.time_ns < cut_ns


@pytest.mark.parametrize("strategy", [pytest.param("ema_cross", marks=pytest.mark.heavy), "market_maker"])
def test_shipped_strategies_pass_on_a_market_with_a_book(booked, strategy):
    proof = proven(booked, strategy, cuts=10, seed=3)
    assert proof.proven, proof.text
    assert proof.failed == ""
    assert (len(proof.cuts), proof.difference, proof.reads) == (10, None, [])
    assert proof.requests > 5
    assert proof.compared > proof.decisions
    assert "proven" in proof.text
    assert proof == msgspec.json.decode(msgspec.json.encode(proof), type=module.Proof)


def test_a_python_strategy_that_looks_nowhere_passes(short, planted):
    proof = proven(short, **planted(PLAIN))
    assert proof.proven, proof.text
    assert proof.fills > 3


def test_a_feature_that_differs_is_named_with_both_values(short, monkeypatch, alone):
    """As if a row had been made of what comes later."""
    real = module.before

    def leaking(record, cut, instrument):
        found = real(record, cut, instrument)
        if instrument is not None:
            return found
        events = found.last.events.copy()
        events["tick"]["a"][-1] *= 1.0001
        return found._replace(last=found.last._replace(events=events))

    monkeypatch.setattr(module, "before", leaking)
    proof = proven(short, "ema_cross")
    assert (proof.failed, proof.difference.what) == ("ended", "feature")
    assert proof.difference.field in proof.difference.text
    one, other = float(proof.difference.one), float(proof.difference.other)
    assert one != other
    assert proof.difference.time_ns == START_NS + (proof.cut_event - 1) * STEP_NS


def test_ticks_that_are_read_by_what_follows_them_are_found(short, monkeypatch, alone):
    real = Market.take

    def take(self, block):
        found = real(self, block)
        found.events["tick"]["b"][0] += len(found.events)
        return found

    monkeypatch.setattr(Market, "take", take)
    proof = proven(short, "ema_cross")
    assert (proof.proven, proof.failed, proof.cut) == (False, "read", 1)
    assert "read otherwise" in proof.text


def test_a_request_that_only_the_whole_record_has_is_found(short, monkeypatch):
    """As if the order side knew what comes."""
    real = Witness.run

    def less(self):
        found = real(self)
        if self._loop is None:
            return found
        return found._replace(rows=found.rows._replace(sent=found.rows.sent[:-1]))

    monkeypatch.setattr(Witness, "run", less)
    proof = proven(short, "ema_cross")
    assert (proof.failed, proof.difference.what) == ("again", "request")
    assert proof.difference.other == "nothing"
    assert proof.difference.one.startswith("place order")


def test_up_to_a_cut_nothing_may_be_missing_and_nothing_behind_it_need_be_there():
    sent, fills = np.zeros(4, SENT_ROW), np.zeros(3, FILL_ROW)
    sent["now_ns"], fills["told_ns"] = (10, 20, 20, 30), (15, 25, 35)
    whole = module.Rows(sent, fills)

    def counts(requests, filled, since_ns):
        found = module._up_to(whole, module.Rows(sent[:requests], fills[:filled]), since_ns)
        return len(found.sent), len(found.fills)

    assert counts(0, 0, 0) == (0, 0)
    assert counts(0, 0, 20) == (1, 1)  # at that time itself they may come later
    assert counts(0, 0, 21) == (3, 1)
    assert counts(4, 2, 11) == (4, 2)


def test_a_strategy_that_raises_in_the_first_run_ends_it_as_a_backtest(short, planted):
    with pytest.raises(TickdError, match="it raised ZeroDivisionError"):
        proven(short, **planted(RAISES))


def test_one_that_raises_in_the_second_is_a_difference(short, planted, monkeypatch):
    monkeypatch.setattr(module, "_ask", never)
    bench = Bench(short, Given(planted(RAISES_LATER)["config"], None, None), 60)
    values = vars(sys.modules[bench.plan.strategy.decide.__module__])
    values["LIMIT"][0] = values["SEEN"][0] + 1_500
    proof = proven(short, **planted(RAISES_LATER))
    assert (proof.failed, proof.difference.what) == ("again", "error")
    assert "ZeroDivisionError" in proof.text


def test_a_record_that_cannot_be_cut_is_refused(tmp_path):
    path = converted(lively(1, seed=1, depth=False), tmp_path)
    with pytest.raises(UsageError, match="too few ticks to be cut"):
        proven(path, "ema_cross")


def test_the_other_process_says_why_it_cannot(short, monkeypatch):
    async def failing(_):
        return module.Answer(error="no such thing")

    monkeypatch.setattr(module, "_ask", failing)
    with pytest.raises(TickdError, match="another process could not run it: no such thing"):
        proven(short, "ema_cross")


def test_a_process_that_is_killed_is_told(monkeypatch):
    monkeypatch.setattr(module, "_MODULE", "tests.daemon.research.killed")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    ask = module.Ask(path="", strategy=None, model=None, config=b"", digests=b"")
    with pytest.raises(TickdError):
        asyncio.run(module._ask(ask))
