"""Which of the listed instruments are the configured ones."""

from __future__ import annotations

from decimal import Decimal

import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.picking import pick_instruments
from daemon.instruments import NOT_LISTED, make_instrument, unify


def make(index: int, rules: tuple[str, str], status: str = "TRADING"):
    symbol, tick = rules
    return make_instrument(
        index, "x", "spot", symbol, tick_size=tick, lot_size="1", qty_min="1", qty_max="9", notional_min="0",
        status=status,
    )  # fmt: skip


LISTED = {"ETH/USDT": ("ETH/USDT", "0.1"), "BTC/USDT": ("BTC/USDT", "0.01"), "BAD/USDT": ("BAD/USDT", "")}


def pick(*symbols: str, remembered=None):
    return pick_instruments("x", "spot", symbols, LISTED, unify, make, remembered or {})


def test_they_come_in_the_order_asked_for_however_they_are_written() -> None:
    found = pick("btc-usdt", "ETHUSDT")
    assert [(one.index, one.symbol, one.tick_size) for one in found] == [
        (0, "BTC/USDT", Decimal("0.01")),
        (1, "ETH/USDT", Decimal("0.1")),
    ]


def test_what_is_not_listed_is_refused_with_the_nearest_that_is() -> None:
    with pytest.raises(ConfigError, match=r"x spot lists no BTC/USDC; did you mean BTC/USDT\?"):
        pick("BTC/USDC")
    with pytest.raises(ConfigError, match=r"x spot lists no DOGE/EUR$"):
        pick("DOGE/EUR")


def test_what_is_listed_no_more_is_as_it_is_remembered() -> None:
    gone = make(7, ("XRP/USDT", "0.5"), NOT_LISTED)
    found = pick("BTC/USDT", "XRP/USDT", remembered={"XRP/USDT": gone})
    assert [(one.index, one.symbol, one.listed) for one in found] == [
        (0, "BTC/USDT", True),
        (1, "XRP/USDT", False),
    ]
    assert found[1].tick_size == Decimal("0.5")


def test_rules_that_are_no_numbers_are_no_rules() -> None:
    with pytest.raises(NetError, match=r"x spot tells rules of BAD/USDT that are no numbers"):
        pick("BAD/USDT")
