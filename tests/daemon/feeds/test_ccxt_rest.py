"""What ccxt is asked for, and what the markets it tells become."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from daemon.errors import ConfigError, NetError
from daemon.feeds.ccxt import CcxtDecoder
from daemon.feeds.ccxt_rest import CcxtExchange, Rules
from daemon.feeds.exchanges import find_exchange
from daemon.instruments import NOT_LISTED

KRAKEN = CcxtExchange("ccxt:kraken")
BTC = Rules("BTC/USDT", "0.1", "1E-8", "0.0001", "10000", "0.5")
SWAP = Rules("BTC/USDT:USDT", "0.1", "0.1", "0.1", "", "", "0.01")
INVERSE = Rules("BTC/USD:BTC", "0.5", "1", "", "", "", "100")


def info(*rules: Rules) -> bytes:
    return msgspec.json.encode(rules)


def test_it_is_found_by_its_prefix_and_may_have_every_market() -> None:
    for market in ("spot", "usdm", "coinm"):
        exchange = find_exchange("ccxt:kraken", market)
        assert (exchange.name, exchange.markets) == ("ccxt:kraken", ("spot", "usdm", "coinm"))
    with pytest.raises(ConfigError, match=r"'mtgox' is not supported; there is binance, .*, and ccxt:NAME"):
        find_exchange("mtgox", "spot")


def test_rules_come_in_the_order_asked_for() -> None:
    eth = Rules("ETH/USDT", "0.01", "0.001", active=False)
    found = KRAKEN.instruments("spot", ["eth-usdt", "BTCUSDT"], info(BTC, eth))
    assert [(one.index, one.symbol, one.status) for one in found] == [
        (0, "ETH/USDT", "inactive"),
        (1, "BTC/USDT", "TRADING"),
    ]
    one = found[1]
    assert (one.exchange, one.exchange_symbol) == ("ccxt:kraken", "BTC/USDT")
    assert (one.tick_size, one.lot_size) == (Decimal("0.1"), Decimal("0.00000001"))
    assert (one.qty_min, one.qty_max, one.notional_min) == (Decimal("0.0001"), 10_000, Decimal("0.5"))
    assert (found[0].qty_min, found[0].qty_max, found[0].notional_min) == (Decimal("0.001"), 10**14, 0)
    assert isinstance(KRAKEN.decoder(found), CcxtDecoder)


def test_linear_contracts_are_counted_in_the_base_and_inverse_ones_as_they_are() -> None:
    [one] = KRAKEN.instruments("usdm", ["BTC/USDT"], info(SWAP))
    assert (one.lot_size, one.qty_min, one.contract_size) == (Decimal("0.001"),) * 2 + (Decimal("0.01"),)
    assert one.told_qty.step == Decimal("0.1")
    [one] = KRAKEN.instruments("coinm", ["BTC/USD"], info(INVERSE))
    assert (one.symbol, one.lot_size, one.contract_size, one.told_size) == ("BTC/USD:BTC", 1, 100, 1)


@pytest.mark.parametrize(
    ("payload", "error", "said"),
    [
        (b"<html>", NetError, "ccxt:kraken spot told its rules as something else"),
        (info(Rules("BTC/USDT", "x", "1")), NetError, "tells rules of BTC/USDT that are no numbers"),
        (info(), ConfigError, "ccxt:kraken spot lists no BTC/USDT"),
        (info(Rules("BTC/USDC", "1", "1")), ConfigError, r"did you mean BTC/USDC\?"),
        (
            info(Rules("BTC/USDT", "", "")),
            ConfigError,
            "has no fixed steps of price and quantity for BTC/USDT",
        ),
    ],
)
def test_what_is_no_rule_is_one_sentence(payload: bytes, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        KRAKEN.instruments("spot", ["BTC/USDT"], payload)


def test_what_is_listed_no_more_is_as_it_is_remembered() -> None:
    [btc] = KRAKEN.instruments("spot", ["BTC/USDT"], info(BTC))
    gone = msgspec.structs.replace(btc, symbol="XRP/USDT", status=NOT_LISTED)
    found = KRAKEN.instruments("spot", ["XRP/USDT", "BTC/USDT"], info(BTC), {"XRP/USDT": gone})
    assert [(one.index, one.listed) for one in found] == [(0, False), (1, True)]


def test_one_connection_is_asked_for_each_stream_of_each_symbol() -> None:
    two = KRAKEN.instruments("spot", ["BTC/USDT", "ETH/USDT"], info(BTC, Rules("ETH/USDT", "1", "1")))
    [one] = KRAKEN.subscriptions("spot", two, ["trade", "depth"])
    assert (one.url, one.instruments, one.overlaps) == ("ccxt:kraken/spot", (0, 1), True)
    assert one.requests == tuple(
        b'{"verb":"watch","stream":"%s","symbol":"%s"}' % pair
        for pair in (
            (b"trade", b"BTC/USDT"),
            (b"depth", b"BTC/USDT"),
            (b"trade", b"ETH/USDT"),
            (b"depth", b"ETH/USDT"),
        )
    )
    assert one.anew[1] == (b'{"verb":"anew","stream":"depth","symbol":"ETH/USDT"}',)
    assert one.hush == (b'{"verb":"hush","stream":"","symbol":""}',)
    [one] = KRAKEN.subscriptions("spot", two, ["trade"])
    assert (one.anew, one.hush) == ({}, ())
    assert KRAKEN.subscriptions("spot", [], ["trade"]) == []
    assert KRAKEN.instruments_url("usdm", ["BTC/USDT"]) == "ccxt:kraken/usdm"
    assert KRAKEN.snapshot_url(two[0]) == ""
