"""What the command line takes of a sweep."""

from __future__ import annotations

import pytest

from daemon.errors import UsageError
from daemon.grammar import parse


def test_options_that_may_be_repeated_are():
    args = parse(
        ["sweep", "ticks", "--param", "a=1", "--param", "b=2", "--set", "paper.queue=x", "--heat", "a, b"]
    )
    assert (args.param, args.set, args.heat) == (["a=1", "b=2"], ["paper.queue=x"], ("a", "b"))
    assert (args.search, args.by, args.walk_forward, args.point) == ("grid", "sharpe", 0, 60)


@pytest.mark.parametrize(
    "words", [["--heat", "a"], ["--heat", "a,b,c"], ["--threads", "0"], ["--search", "x"]]
)
def test_what_it_cannot_be_is_refused(words):
    with pytest.raises(UsageError):
        parse(["sweep", "ticks", *words])


def test_a_fetch_takes_many_symbols_and_has_defaults():
    args = parse(["fetch", "BTC/USDT", "ETH/USDT", "--from", "2024-08-08", "--out", "data"])
    assert args.symbols == ["BTC/USDT", "ETH/USDT"]
    assert (args.what, args.interval, args.market, args.source) == ("klines", None, "spot", "rest")
    assert (args.until, args.url, args.at_once, args.weight, args.ttl) == (None, "", 10, None, 60.0)
