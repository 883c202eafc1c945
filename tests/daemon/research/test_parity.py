"""Backtest and replay of the same ticks, for any strategy: the same, or the first difference by its name."""

from __future__ import annotations

import sys
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from daemon.errors import ConfigError, FileFormatError, TickdError
from daemon.options import BacktestOptions, ConvertOptions
from daemon.research import parity, replayed
from daemon.research.backtest_verb import instrument_of, streams_of
from daemon.tape.convert import convert
from daemon.tape.replay import Given, configure
from daemon.tape.ticks import read_header
from kernels.backtest_state import FILL_ROW, SENT_ROW
from kernels.dtypes import GATE_NOT_READY
from tests.daemon.orders.conftest import btc_usdt
from tests.daemon.research.conftest import converted
from tests.daemon.research.test_backtest import lively


def compared(path, strategy, **more):
    return parity.compare(BacktestOptions(path=path, strategy=strategy, **more))


@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker"])
def test_shipped_strategies_do_the_same_both_ways(booked, strategy):
    found = compared(booked, strategy)
    assert found.same, found.text
    assert found.difference is None
    assert found.requests > 5
    assert found.fills > 5
    assert found.events == 4_000
    assert "the same to the last bit" in found.text
    assert msgspec.json.decode(msgspec.json.encode(found), type=parity.Parity) == found


def test_so_does_one_with_a_model(booked, root):
    found = compared(booked, None, model=root / "models" / "demo")
    assert (found.strategy, found.same) == ("ml", True), found.text
    assert found.decisions > 3_000


@pytest.mark.parametrize("name", ["spot-btcusdt", pytest.param("usdm-btcusdt", marks=pytest.mark.heavy)])
@pytest.mark.parametrize("strategy", ["ema_cross", "market_maker"])
def test_so_they_do_on_real_captures(captures, tmp_path, strategy, name):
    files = (captures / f"binance-{name}-20240808.gz",)
    convert(ConvertOptions(files=files, out=tmp_path), lambda: 0, lambda *_: None)
    (path,) = tmp_path.glob("*/*")
    found = compared(path, strategy)
    assert found.same, found.text
    assert found.requests > 5
    assert found.events > 40_000


PYTHON = """
from kernels.dtypes import NO_OPINION, O_INSTRUMENT, O_KIND, O_PRICE, O_QTY, TARGET
PARAMS = {}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.05
CALLS = [0]


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    ask, bid = book[0, 1, 0, 0], book[0, 0, 0, 0]
    if not bid < ask:
        return NO_OPINION
    CALLS[0] += 1 // (1 - RAISES[0])
    state[0] += 1
    up = (CALLS[0] if COUNTS[0] else state[0]) % 200 < 100
    out[0, O_KIND], out[0, O_INSTRUMENT] = TARGET, 0
    out[0, O_QTY], out[0, O_PRICE] = 0.001 if up else 0.0, ask * 1.01 if up else bid * 0.99
    return 1


COUNTS, RAISES = [0], [0]
"""


def test_so_does_a_strategy_in_python_unless_it_hides_something(booked, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PYTHON)
    found = compared(booked, str(path))
    assert found.same, found.text
    assert found.fills > 5
    mine = [one for name, one in sys.modules.items() if name.startswith("tickd_strategy_mine_")]
    (module,) = [one for one in mine if hasattr(one, "COUNTS")]
    module.COUNTS[0] = 1  # a global, which goes on
    found = compared(booked, str(path))
    assert not found.same
    assert found.difference.what == "request"
    module.RAISES[0] = 1
    with pytest.raises(TickdError, match="it raised ZeroDivisionError"):
        compared(booked, str(path))


def test_without_depth_and_with_gaps_it_is_the_same(tmp_path):
    lines = lively(3_000, seed=12, depth=False)
    found = compared(converted([*lines[:1_000], *lines[1_800:]], tmp_path), "ema_cross")
    assert found.same, found.text
    assert found.requests > 3


def fees(config):
    paper = msgspec.structs.replace(config.paper, fee_taker=Decimal("0.0011"))
    return msgspec.structs.replace(config, paper=paper)


def latency(config):
    there = config.paper.latency_in_us + 1
    return msgspec.structs.replace(config, paper=msgspec.structs.replace(config.paper, latency_in_us=there))


def limit(config):
    risk = msgspec.structs.replace(config.risk, order_notional_max=20.0)
    return msgspec.structs.replace(config, risk=risk)


@pytest.mark.parametrize(
    ("change", "what", "field"),
    [(fees, "fill", "position"), (latency, "fill", "exch_ns"), (limit, "request", "")],
)
def test_another_setting_of_one_of_them_is_found_and_named(booked, monkeypatch, change, what, field):
    real = parity.replay_ticks
    monkeypatch.setattr(parity, "replay_ticks", lambda path, config, *more: real(path, change(config), *more))
    found = compared(booked, "ema_cross")
    assert not found.same
    one = found.difference
    assert (one.what, one.number, one.order, one.field) == (what, 1, 1, field)
    assert one.one != one.other
    assert f"{what} 1, at {one.time}: the backtest has" in one.text
    assert one.one in one.text
    assert one.other in one.text
    assert one.text in found.text


def test_what_only_the_end_shows_is_found(booked, monkeypatch):
    real = parity.replay_ticks

    def spoilt(part, spoil):
        def replay(*given):
            found = real(*given)
            return spoil(found) if part == "whole" else found._replace(**{part: spoil(getattr(found, part))})

        monkeypatch.setattr(parity, "replay_ticks", replay)
        found = compared(booked, "ema_cross").difference
        assert found.one != found.other
        return found.what, found.field

    def touched(memory):
        memory["state"][0, 0] += 1
        return memory

    assert spoilt("refusals", lambda told: {**told, GATE_NOT_READY: 7}) == ("refusals", "not_ready")
    assert spoilt("halted", lambda _: True) == ("state", "halted")
    assert spoilt("memory", touched) == ("memory", "state")
    assert spoilt("account", lambda told: told + 1) == ("account", "account")


def test_what_a_backtest_refuses_this_refuses(tmp_path, booked):
    header = read_header(booked)
    given = Given(None, "ema_cross", None)
    config = configure(given, "", header.exchange, [instrument_of(header)], streams_of(booked))
    slow = msgspec.structs.replace(config, paper=msgspec.structs.replace(config.paper, latency_in_us=300_000))
    with pytest.raises(ConfigError, match="takes round trips below 250 ms"):
        compared(booked, None, config=slow)
    with pytest.raises(FileFormatError):
        compared(tmp_path, "ema_cross")


def test_the_tables_of_who_did_nothing_are_empty():
    assert replayed._Listener().rows()[0].dtype == SENT_ROW
    ended = replayed.Ended(
        np.zeros(0, SENT_ROW),
        np.zeros(0, FILL_ROW),
        np.zeros(1, [("state", "f8", (1,))]),
        np.zeros(3),
        {},
        halted=False,
        events=0,
    )
    assert parity.difference_of(ended, ended, btc_usdt()) is None
