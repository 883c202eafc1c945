from __future__ import annotations

from decimal import Decimal

import pytest

from tests.daemon.test_config import BASE, read, refusal


def test_the_environment_overrides_the_file():
    config = read(
        BASE,
        TICKD__NAME="123",
        TICKD__FEED__STALE_MS="30",
        TICKD__FEED__SYMBOLS='["ETHUSDT"]',
        TICKD__STRATEGY__0__PARAMS__SPAN="9",
        TICKD__PAPER__BALANCES__USDT="5",
        TICKD__LOG__LEVEL="debug",
        TICKD_KEY="not an override",
    )
    assert config.name == "123"
    assert config.feed.stale_ms == 30
    assert config.feed.symbols == ("ETH/USDT",)
    assert config.strategy[0].params == {"span": 9.0}
    assert config.paper.balances == {"USDT": Decimal(5)}
    assert config.log.level == "debug"


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("TICKD__FED__RING", "1", "TICKD__FED__RING: there is no key fed; did you mean 'feed'?"),
        ("TICKD__FEED__STAL_MS", "1", "there is no key feed.stal_ms; did you mean 'stale_ms'?"),
        ("TICKD__STRATEGY__1__NAME", "a", "there is no strategy[1] to override"),
        ("TICKD__STRATEGY__NAME", "a", "there is no strategy[name] to override"),
        ("TICKD__FEED__RING__X", "1", "there is no key feed.ring.x"),
        ("TICKD__FEED__RING", "many", "TICKD__FEED__RING: feed.ring: expected int, got str"),
        ("TICKD__FEED__SYMBOLS", "[1]", "TICKD__FEED__SYMBOLS: feed.symbols[0]: expected str, got int"),
        ("TICKD__RISK__COLLAR", "inf", "TICKD__RISK__COLLAR: risk.collar: must be a finite number, not inf"),
        ("TICKD__VENUE__KIND", "papr", "TICKD__VENUE__KIND: venue.kind is 'papr', and can be paper"),
        ("TICKD__", "1", "TICKD__: there is no key"),
    ],
)
def test_a_wrong_override_is_named(variable, text, sentence):
    assert sentence in refusal(BASE, **{variable: text})


def test_an_override_below_a_value_is_refused():
    assert "strategy holds a value, not a section" in refusal("strategy = 3", TICKD__STRATEGY__0="x")
