from __future__ import annotations

import asyncio

import pytest

from daemon.errors import NetError
from daemon.no_net import NoNet


def test_nothing_can_be_reached():
    net = NoNet()
    with pytest.raises(NetError, match=r"wss://x cannot be reached: there is no network here"):
        asyncio.run(net.connect("wss://x", None))
    with pytest.raises(NetError, match=r"GET https://x cannot be made: there is no network here"):
        asyncio.run(net.request("GET", "https://x", {}, b"", 1.0))
    asyncio.run(net.close())
