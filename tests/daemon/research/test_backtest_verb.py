"""`tickd backtest`: from a folder of ticks to figures."""

from __future__ import annotations

import gzip
import math
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from daemon.config import from_tree
from daemon.errors import ConfigError, FileFormatError, UsageError
from daemon.options import BacktestOptions, ConvertOptions, ReplayOptions
from daemon.research import backtest_verb as verb
from daemon.research.backtest import refuse
from daemon.research.figures import BacktestResult
from daemon.tape import replay as module
from daemon.tape.convert import convert
from daemon.tape.source import open_source
from kernels.dtypes import PLACE
from strategies import ema_cross
from tests.daemon.orders.conftest import btc_usdt

STEP_NS = 3_000_000
START_NS = 1_723_161_254_000_000_000
STAMP_MS = START_NS // 10**6


def line(number: int, kind: str, **fields: object) -> bytes:
    told = ",".join(f'"{key}":{value}' for key, value in fields.items())
    return b'%d {"stream":"btcusdt@%s","data":{%s}}' % (
        START_NS + number * STEP_NS,
        kind.encode(),
        told.encode(),
    )


def swinging(count: int) -> list[bytes]:
    """Return quotes that swing by 20 bps, and a trade at every tenth."""
    rng, lines, trade = np.random.default_rng(7), [], 100
    for number in range(count):
        mid = 6_000_000 + int(6_000 * math.sin(number / 150)) + int(rng.integers(-20, 21))
        if number % 10 == 3:
            trade += 1
            price = f'"{mid / 100:.2f}"'
            fields = {"e": '"trade"', "E": STAMP_MS, "s": '"BTCUSDT"', "t": trade, "p": price}
            lines.append(line(number, "trade", **fields, q='"0.01234"', T=STAMP_MS, m="true"))
        else:
            fields = {"u": number + 1, "s": '"BTCUSDT"', "b": f'"{mid / 100:.2f}"', "B": '"1.00001"'}
            lines.append(line(number, "bookTicker", **fields, a=f'"{(mid + 1) / 100:.2f}"', A='"1.00001"'))
    return lines


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("capture") / "one.gz"
    path.write_bytes(gzip.compress(b"\n".join(swinging(12_000)) + b"\n", 1))
    return path


@pytest.fixture(scope="module")
def ticks(capture, tmp_path_factory):
    out = tmp_path_factory.mktemp("ticks")
    convert(ConvertOptions(files=(capture,), out=out), lambda: 0, lambda *_: None)
    (folder,) = out.glob("*/*")
    return folder


@pytest.fixture(scope="module")
def result(ticks):
    return verb.backtest(BacktestOptions(path=ticks, strategy="ema_cross", point_s=1))


def test_the_figures_are_those_of_the_replay_of_the_same_record(result, capture):
    source = open_source(capture)
    given = module._config(ReplayOptions(files=(capture,), strategy="ema_cross"), source)
    feed = msgspec.structs.replace(given.feed, streams=("trade", "quote"))
    replayed = module.replay(source, msgspec.structs.replace(given, feed=feed))
    assert (result.events, result.decisions) == (12_000, replayed.decisions)
    assert result.decision_digest == replayed.decision_digest
    assert (result.placed, result.fills) == (replayed.orders.placed, replayed.orders.fills)
    assert result.fills > 5
    assert result.net == replayed.pnl["USDT"]
    assert result.position == replayed.positions["BTC/USDT"]


def test_the_figures_hang_together(result):
    assert result.turnover > 0
    closed = [float(one.pnl) for one in result.trips]
    assert len(closed) == result.round_trips > 3
    assert sum(closed) + result.open_pnl == pytest.approx(result.net, rel=1e-9)
    assert result.expectancy == pytest.approx(np.mean(closed))
    assert result.won == sum(one > 0 for one in closed)
    assert 0 < result.exposure < 1
    assert set(result.unsaid) >= {"cagr", "calmar"}
    assert result.fees == pytest.approx(0.001 * result.turnover)
    assert 0 <= result.win_rate <= 1
    assert result.drawdown_max > 0
    assert result.sharpe is not None
    assert result.changes >= 34


def test_slippage_and_the_benchmark_are_those_of_the_record_s_quotes(result, capture, ticks, monkeypatch):
    outcomes = []
    real = verb.summarise
    monkeypatch.setattr(verb, "summarise", lambda *given: outcomes.append(given[3]) or real(*given))
    verb.backtest(BacktestOptions(path=ticks, strategy="ema_cross", point_s=1))
    (outcome,) = outcomes
    quotes = []
    for row in gzip.decompress(capture.read_bytes()).splitlines():
        if b"bookTicker" in row:
            data = msgspec.json.decode(row[20:])["data"]
            quotes.append((int(row[:19]), (Decimal(data["b"]) + Decimal(data["a"])) / 2))
    placed = {int(one["key"]): int(one["now_ns"]) for one in outcome.sent if one["verb"] == PLACE}
    cost = value = Decimal(0)
    for fill in outcome.fills:
        decided = [mid for at, mid in quotes if at <= placed[int(fill["key"])]][-1]
        price, quantity = int(fill["ticks"]) * Decimal("0.01"), int(fill["lots"]) * Decimal("0.00001")
        cost += int(fill["side"]) * quantity * (price - decided)
        value += quantity * price
    assert result.slippage == float(cost)
    assert result.slippage > 0  # it takes
    assert result.slippage_bps == pytest.approx(float(cost / value) * 1e4)
    assert result.slippage_fills == result.fills
    assert result.turnover == float(value)
    assert result.benchmark == pytest.approx(float(quotes[-1][1] / quotes[0][1]) - 1, abs=1e-12)


def test_people_and_programs_are_told(ticks, capsys):
    assert verb.run(BacktestOptions(path=ticks, json=True)) == 0
    told = msgspec.json.decode(capsys.readouterr().out, type=BacktestResult)
    assert told.strategy == "ema_cross"
    assert verb.run(BacktestOptions(path=ticks)) == 0
    out = capsys.readouterr().out
    assert "net profit" in out
    assert "Sharpe" in out
    assert f"{told.round_trips:,}, first in, first out" in out


def test_a_plain_python_strategy_gives_the_same(ticks, result, tmp_path):
    text = Path(ema_cross.__file__).read_text(encoding="utf-8").replace("@njit(cache=True)\n", "")
    path = tmp_path / "plain.py"
    path.write_text(text)
    plain = verb.backtest(BacktestOptions(path=ticks, strategy=str(path), point_s=1))
    assert (plain.decision_digest, plain.fills, plain.net) == (
        result.decision_digest,
        result.fills,
        result.net,
    )


def configured(**sections):
    tree = {
        "name": "x",
        "mode": "paper",
        "feed": {"symbols": ["BTC/USDT"]},
        "strategy": [{"name": "ema_cross"}],
    }
    return from_tree({**tree, **sections}, {}, "x.toml")


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"risk": {"windows": ["mon-fri 08:00-16:30"]}}, "no trading windows"),
        ({"risk": {"feed_lag_ms_max": 5}}, "the feed's lag"),
        ({"risk": {"flatten_on_halt": True}}, "does not flatten"),
        ({"risk": {"currency": "BTC"}}, "in USDT alone"),
        ({"paper": {"latency_in_us": 200_000, "latency_out_us": 50_000}}, "below 250 ms"),
        ({"strategy": [{"name": "ema_cross"}, {"name": "market_maker"}]}, "one strategy in one instrument"),
    ],
)
def test_what_is_not_done_is_refused_in_one_sentence(ticks, sections, sentence):
    with pytest.raises(ConfigError, match=sentence):
        verb.backtest(BacktestOptions(path=ticks, config=configured(**sections)))


def test_an_exchange_s_bound_on_what_an_account_may_have_is_refused():
    instrument = msgspec.structs.replace(btc_usdt(), position_max=Decimal(1))
    runtime = SimpleNamespace(strategy=SimpleNamespace(bar_ns=0))
    with pytest.raises(ConfigError, match="MAX_POSITION"):
        refuse(configured(), [instrument], [runtime])


def test_a_folder_without_ticks_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="holds no ticks"):
        verb.backtest(BacktestOptions(path=tmp_path))


def test_a_model_must_be_named(ticks):
    with pytest.raises(UsageError, match="name its bundle"):
        verb.backtest(BacktestOptions(path=ticks, strategy="ml"))
