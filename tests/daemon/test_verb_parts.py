from __future__ import annotations

import pytest

from daemon.errors import UsageError
from daemon.verb_parts import check_strategy, check_there, load

CONFIG = """
name = "x"
mode = "paper"
[feed]
symbols = ["BTC/USDT"]
[[strategy]]
name = "ema_cross"
"""


def test_what_is_there_or_not_asked_for_passes(tmp_path):
    check_there(None, "tape")
    check_there(tmp_path, "tape")
    check_strategy(None)
    check_strategy("ema_cross")


def test_what_is_not_there_is_named(tmp_path):
    path = tmp_path / "no"
    with pytest.raises(UsageError, match=f"the tape {path} does not exist; check the name"):
        check_there(path, "tape")
    with pytest.raises(UsageError, match="cannot be read"):
        check_there(tmp_path / ("x" * 300), "tape")
    with pytest.raises(UsageError, match=f"the strategy file {path}.py does not exist"):
        check_strategy(f"{path}.py:decide")
    with pytest.raises(
        UsageError, match=r"^strategy 'ema_crss' is unknown; use one of ema_cross, market_maker"
    ):
        check_strategy("ema_crss")
    with pytest.raises(UsageError, match=f"the configuration {path} does not exist; check the name"):
        load(path)


def test_the_environment_and_the_verb_override_the_file(tmp_path, monkeypatch):
    path = tmp_path / "x.toml"
    path.write_text(CONFIG)
    monkeypatch.setenv("TICKD__FEED__STALE_MS", "1234")
    config = load(path, TICKD__NAME="y")
    assert (config.name, config.feed.stale_ms) == ("y", 1234)
