"""The feed and orders through ccxt, told to keep still at one address."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from daemon.clock import VirtualTime
from daemon.feeds.snapshots import SnapshotFetcher
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.seams import Seams
from daemon.venues.ccxt_client import CcxtSettings, make_client
from daemon.venues.ccxt_still import share
from daemon.venues.make import share_limits


@pytest.mark.parametrize(
    "by", [share, lambda venue, fetcher, host: share_limits(venue, fetcher, f"https://{host}/x")]
)
@pytest.mark.parametrize(
    ("exchange", "host", "shared"),
    [
        ("binance", "api.binance.com", True),
        ("binance", "api1.binance.com", True),
        ("okx", "www.okx.com", True),
        ("okx", "api.binance.com", False),
        ("binance", "127.0.0.1", False),
        ("binance", "", False),
    ],
)
def test_who_is_told_to_keep_still_holds_back_the_other_at_the_same_exchange(by, exchange, host, shared):
    time = VirtualTime(1)
    seams = Seams(time, time, NoNet(), MemoryDisk(), InlineWorker(), random.Random(0))
    client = make_client(CcxtSettings(exchange=exchange, name="one", credentials={}), {}, time)
    fetcher = SnapshotFetcher([""], seams)
    by(SimpleNamespace(client=client), fetcher, host)
    fetcher.limited(418, 9)
    assert client.still_s == (9 if shared else 0)
    assert fetcher.limits.waits_ms() == 0
    fetcher.limits.learn({"X-Weight": "1"})
    client.keep_still(12)
    assert (client.still_s, fetcher.held_s) == (12, 12 if shared else 9)
