"""Hosts that keys may reach through ccxt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError
from daemon.venues.ccxt_client import CcxtSettings, make_client
from daemon.venues.ccxt_exchanges import EXCHANGES

if TYPE_CHECKING:
    from daemon.venues.ccxt_hosts import Reach

KUCOIN = ("api.kucoin.com", "ws-api-spot.kucoin.com")  # of the latter an answer tells


def reach(exchange: str = "kucoin", **changes) -> Reach:
    settings = CcxtSettings(exchange=exchange, name="one", credentials={}, **changes)
    return make_client(settings, EXCHANGES[exchange].options, VirtualTime()).reach


def passes(it: Reach, *hosts: str) -> list[bool]:
    found = []
    for host in hosts:
        try:
            it.check(host)
        except ConfigError:
            found.append(False)
        else:
            found.append(True)
    return found


def test_an_exchange_is_reached_at_its_own_addresses_and_their_domain_alone():
    assert passes(reach(), *KUCOIN, "127.0.0.1") == [True] * 3
    others = ("api.binance.com", "kucoin.com.example", "evilkucoin.com", "com", "")
    assert passes(reach(), *others) == [False] * 5
    with pytest.raises(
        ConfigError, match=r"^ccxt would ask api\.binance\.com for kucoin, .* name it in venue"
    ):
        reach().check("api.binance.com")


def test_a_domain_that_one_address_is_of_is_not_the_exchange_s():
    assert passes(reach("kraken"), "api.kraken.com", "ws.kraken.com", "other.zendesk.com") == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("exchange", sorted(EXCHANGES))
def test_every_exchange_may_be_asked_where_ccxt_asks_it(exchange):
    hosts = {"okx": "www.okx.com", "htx": "api.huobi.pro", "bybit": "stream.bybit.com", "bigone": "big.one"}
    it = reach(exchange)
    assert it.is_own(hosts.get(exchange, next(iter(it._own))))
    assert not any("{" in host for host in it._own)


def test_who_moves_an_exchange_keeps_its_keys_from_where_it_was():
    moved = {"rest_url": "https://gate.example/v1", "ws_url": "wss://stream.example"}
    assert passes(reach(**moved), *KUCOIN, "gate.example", "stream.example") == [False, False, True, True]
    assert passes(reach(hosts=("other.example",), **moved), "other.example", "other.example.com") == [
        True,
        False,
    ]


def test_what_the_file_names_beside_them_is_reached_and_is_not_the_exchange_s_own():
    it = reach(hosts=("gate.example",))
    assert (passes(it, "gate.example"), it.is_own("gate.example"), it.is_own("127.0.0.1")) == (
        [True],
        False,
        False,
    )
