from __future__ import annotations

import pytest

from daemon.config import from_tree
from daemon.config_checks import check_currency, check_market
from daemon.errors import ConfigError


def live(market, **sections):
    tree = {
        "name": "x",
        "mode": "paper",
        "feed": {"symbols": ["BTC/USDT"], "market": market},
        "strategy": [{"name": "ema_cross"}],
        **sections,
    }
    return from_tree(tree, {}, "f.toml")


def test_losses_are_counted_in_what_the_symbols_price_or_by_default():
    for currency in ("", "BTC", "USDT", "ETH"):
        check_currency(currency, ["BTC/USDT", "ETH/USDT:USDT"])
    with pytest.raises(
        ConfigError, match=r"risk.currency is 'EUR', which no symbol prices; it can be BTC, USDT"
    ):
        check_currency("EUR", ["BTC/USDT"])


def test_each_market_takes_what_is_its_own():
    spot, usdm = live("spot"), live("usdm", venue={"leverage": 3})
    check_market(spot, spot.strategy, "f.toml")
    check_market(usdm, usdm.strategy, "f.toml")
    odd = live("spot", venue={"leverage": 3})
    with pytest.raises(ConfigError, match=r"are of feed.market"):
        check_market(odd, odd.strategy, "f.toml")
    with pytest.raises(ConfigError, match="two strategies cannot share BTC/USDT:USDT"):
        check_market(usdm, usdm.strategy * 2, "f.toml")
