"""One backtest of a sweep: what `tickd backtest` says, to the last figure, whatever runs beside it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from daemon.config import from_tree
from daemon.errors import ConfigError, TickdError, UsageError
from daemon.options import BacktestOptions
from daemon.research import backtest_verb
from daemon.research.ranges import parse_axis
from daemon.research.trial import Bench, Part, StoppedError
from daemon.tape.replay import Given

OF_THE_MACHINE = ("seconds", "events_per_s")
POINTS = [
    {"qty": "0.001", "band_bps": "0.1"},
    {"qty": "0.003", "band_bps": "0.1"},
    {"qty": "0.001", "band_bps": "0.5", "paper.latency_in_us": "0"},
    {"qty": "0.002", "paper.fee_taker": "0.0005", "risk.position_notional_max": "100"},
    {"strategy.0.warmup_ticks": "3000", "paper.balances.USDT": "500"},
]


def tree_of(point):
    """Return the configuration that a person would write for a point."""
    tree = {
        "name": "x",
        "mode": "paper",
        "feed": {"symbols": ["BTC/USDT"]},
        "strategy": [{"name": "ema_cross", "params": {}}],
        "paper": {"balances": {"USDT": 100_000}},
        "risk": {},
    }
    for key, value in point.items():
        if "." not in key:
            tree["strategy"][0]["params"][key] = float(value)
        elif key == "paper.balances.USDT":
            tree["paper"]["balances"]["USDT"] = int(value)
        elif key == "strategy.0.warmup_ticks":
            tree["strategy"][0]["warmup_ticks"] = int(value)
        else:
            section, name = key.split(".")
            tree[section][name] = value if "fee" in name else float(value) if "max" in name else int(value)
    return tree


def figures(result):
    told = msgspec.to_builtins(result)
    return {name: value for name, value in told.items() if name not in OF_THE_MACHINE}


@pytest.fixture(scope="module")
def bench(swung):
    made = Bench(swung, Given(None, "ema_cross", None), 1)
    made.read()
    return made


@pytest.fixture(scope="module")
def alone(swung):
    """What `tickd backtest` says of each point."""
    options = (
        BacktestOptions(path=swung, config=from_tree(tree_of(point), {}, "x.toml"), point_s=1)
        for point in POINTS
    )
    return [figures(backtest_verb.backtest(one)) for one in options]


def test_a_trial_is_the_backtest_with_these_parameters(bench, alone):
    assert len({one["net"] for one in alone}) == len({one["fees"] for one in alone}) == len(POINTS)
    assert alone[0]["fills"] > 5
    for point, expected in zip(POINTS, alone, strict=True):
        assert figures(bench.run(point).result) == expected


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_trials_side_by_side_share_nothing(bench, alone, threads):
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda point: figures(bench.run(point).result), POINTS * 3))
    assert found == alone * 3


def test_a_market_with_a_book_is_the_same_too(booked):
    for strategy in ("ema_cross", "market_maker"):
        bench = Bench(booked, Given(None, strategy, None), 60)
        bench.read()
        expected = backtest_verb.backtest(BacktestOptions(path=booked, strategy=strategy))
        assert figures(bench.run({}).result) == figures(expected)


def test_a_part_begins_with_what_the_account_has_and_ends_in_time(bench):
    begin, end = bench.record.first_ns + 10**10, bench.record.first_ns + 3 * 10**10
    tried = bench.run({}, Part(begin, end))
    assert begin <= tried.result.from_ns
    assert tried.equity[0] == 100_000
    assert tried.result.events < bench.record.events
    with pytest.raises(TickdError, match="holds no ticks"):
        bench.run({}, Part(0, 1))


def test_a_part_with_a_book_quotes_from_its_snapshot(booked):
    bench = Bench(booked, Given(None, "market_maker", None), 60)
    bench.read()
    half_ns = (bench.record.first_ns + bench.record.last_ns) // 2
    assert bench.run({}, Part(half_ns, 2**62)).result.placed > 3


def test_every_value_is_checked_and_the_names(bench):
    def check(text, *, numbers):
        bench.check([parse_axis(text, "--x", numbers=numbers)])

    check("qty=1,2", numbers=True)
    check("paper.queue=risk_adverse,log_prob", numbers=False)
    for text, sentence in (
        ("qtty=1,2", "no such parameter; it has qty, band_bps, slip_bps; did you mean 'qty'"),
    ):
        with pytest.raises(UsageError, match=sentence):
            check(text, numbers=True)
    for text, sentence in (
        ("paper.queue=risk_adverse,log", "--set paper.queue=log: .*can be risk_adverse or log_prob"),
        ("paper.latency=x", 'neither "fixed" nor'),
        ("risk.drawdown=1", "there is no key risk.drawdown; did you mean"),
        ("feed.streams=trade", "nothing that a backtest varies"),
        ("mode.x=live", "nothing that a backtest varies"),
        ("strategy.0.name=x", "nothing that a backtest varies"),
        ("strategy.1.warmup_ticks=1", "nothing that a backtest varies"),
    ):
        with pytest.raises((UsageError, ConfigError), match=sentence):
            check(text, numbers=False)
    with pytest.raises(ConfigError, match="below 250 ms"):
        check("paper.latency_in_us=0,245000", numbers=False)


def test_a_configuration_s_own_parameters_stay(swung):
    tree = tree_of({"qty": "0.004"})
    bench = Bench(swung, Given(from_tree(tree, {}, "x.toml"), None, None), 1)
    config, plan = bench.configured({"band_bps": "0.3", "paper.fee_maker": "0.0002"})
    assert config.strategy[0].params == {"qty": 0.004, "band_bps": 0.3}
    assert config.paper.fee_maker == Decimal("0.0002")
    assert np.array_equal(plan.params, [0.004, 0.3, 5.0])
    assert bench.config.strategy[0].params == {"qty": 0.004}


RAISING = """
PARAMS = {"after": 0.0, "how": 0.0}
STATES = 1
INSTRUMENTS = 1
TIMER_S = 0.0


def decide(now_ns, why, rows, book, position, working, account, state, params, out):
    state[0] += 1
    if params[0] and state[0] > params[0]:
        if params[1] == 0:
            return 1 // 0
        if params[1] == 1:
            return len(None)
        return 10_000 if params[1] == 2 else float("nan")
    return -1
"""


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("0", "it raised ZeroDivisionError: "),
        ("1", "it raised TypeError: "),
        ("2", "broke its contract"),
        ("3", "it raised ValueError: cannot convert"),
    ],
)
def test_a_strategy_that_fails_is_a_sentence(swung, tmp_path, how, sentence):
    path = tmp_path / "raising.py"
    path.write_text(RAISING)
    bench = Bench(swung, Given(None, str(path), None), 1)
    bench.read()
    with pytest.raises(TickdError, match=sentence):
        bench.run({"after": "500", "how": how})
    assert bench.run({"after": "0"}).result.decisions > 500


def test_a_trial_ends_when_it_is_told_to(bench):
    bench.stopped = True
    try:
        with pytest.raises(StoppedError):
            bench.run({})
    finally:
        bench.stopped = False
