from __future__ import annotations

from pathlib import Path

import pytest

from daemon import plans
from daemon.config import Config, FeedConfig, StrategyConfig
from daemon.disk import RealDisk
from daemon.errors import ConfigError
from daemon.memory_disk import MemoryDisk
from daemon.plans import compile_plans, plan_strategies
from daemon.research.bundle import read_bundle

DEMO = "models/demo"
CONTRACT = "PARAMS = {'qty': 2.0}\nSTATES = 1\nINSTRUMENTS = 1\nTIMER_S = 0.0\n"
ARGUMENTS = "now_ns, why, rows, book, position, working, account, state, params, out"


def config_of(*strategies, bases=("BTC",), market="spot"):
    """Return a configuration as daemon.config completes it: every strategy names its symbols."""
    suffix = {"spot": "", "usdm": ":USDT"}[market]
    symbols = tuple(f"{base}/USDT{suffix}" for base in bases)
    named = (StrategyConfig(**{"symbols": symbols, **one}) for one in strategies)
    return Config(
        name="test", mode="paper", feed=FeedConfig(symbols=symbols, market=market), strategy=tuple(named)
    )


def planned(*strategies, disk=None, step=lambda _: None, **more):
    return plan_strategies(config_of(*strategies, **more), disk or RealDisk(), step)


def refusal(*strategies, **more):
    with pytest.raises(ConfigError) as caught:
        planned(*strategies, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_strategy_is_told_before_it_is_loaded():
    told = []
    with pytest.raises(ConfigError):
        planned({"name": "ema_cross"}, {"name": "ema_crss"}, step=told.append)
    assert told == ["strategy ema_cross", "strategy ema_crss"]


def test_what_many_share_is_read_once_and_is_in_memory_once():
    disk = RealDisk()
    read = []
    once = disk.read
    disk.read = lambda path: (read.append(Path(path).name), once(path))[1]
    bases = tuple(f"B{number}" for number in range(20))
    found = planned(
        *({"name": "ml", "model": DEMO, "symbols": (f"{b}/USDT",)} for b in bases), bases=bases, disk=disk
    )
    assert sorted(read) == ["manifest.json", "model.txt"]
    assert len({id(nodes) for plan in found for nodes in plan.trees[:1]}) == 1
    assert len({id(plan.strategy.decide) for plan in found}) == 1


@pytest.mark.parametrize("market", ["spot", "usdm"])
def test_a_strategy_trades_the_first_of_the_feeds_symbols_unless_it_names_its_own(market):
    first, both = planned({"name": "ema_cross"}, {"name": "pairs"}, bases=("BTC", "ETH"), market=market)
    assert [one.split("/")[0] for one in first.config.symbols] == ["BTC"]
    assert [one.split("/")[0] for one in both.config.symbols] == ["BTC", "ETH"]


def test_a_model_of_another_tuning_brings_it_along(root, monkeypatch):
    monkeypatch.chdir(root)
    model = read_bundle(RealDisk(), Path(DEMO))
    tuning = {**model.manifest.tuning, "ema_fast": 7.0}
    tuned = model._replace(manifest=model.manifest._replace(tuning=tuning))
    monkeypatch.setattr(plans, "read_bundle", lambda disk, folder: tuned)
    (one,) = planned({"name": "ml", "model": DEMO})
    assert (one.config.tuning, one.trees) == (tuning, tuned.forest)


def test_a_tuning_that_its_model_was_not_trained_with_is_refused(root, monkeypatch):
    monkeypatch.chdir(root)
    assert refusal({"name": "ml", "model": DEMO, "tuning": {"ema_fast": 7.5}}).startswith(
        "strategy ml: tuning ema_fast = 7.5, but model demo was trained with ("
    )


@pytest.mark.parametrize(
    ("strategy", "sentence"),
    [
        ({"name": "ema_crss"}, "strategy 'ema_crss' is unknown"),
        ({"name": "ema_cross", "params": {"qyt": 1.0}}, "ema_cross has no parameter 'qyt'; it has qty"),
        ({"name": "ema_cross", "tuning": {"ema_fats": 1.0}}, "strategy ema_cross: "),
        ({"name": "pairs"}, "trades 2 instrument(s), but its symbols are BTC/USDT"),
        ({"name": "ml"}, "strategy ml trades a model's prediction: name its bundle (model = FOLDER)"),
        (
            {"name": "ml", "model": "models/none"},
            "the model bundle models/none: model.txt does not exist; train one",
        ),
    ],
)
def test_what_cannot_be_traded_is_refused_without_an_exchange(strategy, sentence):
    assert sentence in refusal(strategy, disk=MemoryDisk())


def test_more_symbols_than_a_strategy_trades_are_refused_where_they_were_named():
    text = refusal({"name": "ema_cross", "symbols": ("ETH/USDT", "BTC/USDT")}, bases=("BTC", "ETH", "SOL"))
    assert text == "strategy ema_cross trades 1 instrument(s), but its symbols are ETH/USDT, BTC/USDT"


def test_a_strategy_that_fails_on_an_empty_market_is_refused_without_an_exchange(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        f"from numba import njit\n{CONTRACT}\n@njit\ndef decide({ARGUMENTS}):\n    return rows.x\n"
    )
    config = config_of({"name": str(path)})
    made, told = plan_strategies(config, RealDisk(), lambda _: None), []
    with pytest.raises(ConfigError, match="strategy mine does not compile: Unknown attribute 'x'"):
        compile_plans(config, made, told.append)
    assert told == ["strategy mine, live"]
