"""Clients that are not ours, at `tickd simulate` as a person starts it: real processes over loopback sockets.

Each client is made by its snippet in docs/simulator.md, so that what the page says is what runs. An exchange
serves all tests of a worker, in any order: orders may be left there, but no position. It ends with them:
idle, it takes a twentieth of a core.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.end_to_end.harness import ROOT, Bench, Exchange, fetch, until

PAGE = (ROOT / "docs" / "simulator.md").read_text()
#: client -> its snippet
SNIPPETS = dict(re.findall(r"^### (\S+)$.*?^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))


def run(work):
    """Run what a client does, for a minute at most."""
    asyncio.run(asyncio.wait_for(work, 60))


@asynccontextmanager
async def connected(place, name):
    """Give the client of a snippet, and close it."""
    one = place.client(name)["client"]
    try:
        yield one
    finally:
        await one.close()


class Place:
    """One front of a simulated exchange, with its key."""

    def __init__(self, exchange: Exchange, market: str) -> None:
        self.market = market
        self.exchange = exchange
        self.rest = exchange.urls[market]
        self.key, self.secret = exchange.key, exchange.secret

    @property
    def ws(self) -> str:
        return self.rest.replace("http", "ws", 1)

    def names(self) -> dict[str, Any]:
        """Return what the page's snippets read."""
        futures = self.exchange.urls.get("usdm", "http://127.0.0.1:1")
        return {"REST": self.rest, "WS": self.ws, "KEY": self.key, "SECRET": self.secret, "FUTURES": futures}

    def client(self, name: str) -> dict[str, Any]:
        """Run the page's snippet for a client; return the names it makes."""
        names = self.names()
        exec(compile(SNIPPETS[name], f"docs/simulator.md, {name}", "exec"), names)
        return names

    def faults(self, *faults: dict[str, Any]) -> None:
        """Let these faults begin now, in place of all others."""
        for method, body in (("DELETE", b""), ("POST", json.dumps(faults).encode())):
            urlopen(Request(f"{self.rest}/_simulator/faults", body, method=method)).close()


@pytest.fixture(scope="package")
def start(tmp_path_factory):
    """Start exchanges, each by its arguments and environment; none may show a traceback in the end."""
    bench = Bench(tmp_path_factory.mktemp("clients"))

    def start(market, *words, env=None):
        words = ("simulate", "--with-parent", "--symbol", "BTC/USDT", "--market", market, *words)
        place = Place(Exchange(bench.tickd(*words, env=env, stdin=subprocess.PIPE)), market)
        port = int(place.rest.rpartition(":")[2])
        path = {"spot": "/api/v3", "usdm": "/fapi/v1"}[market]
        until(
            lambda: json.loads(fetch(port, f"{path}/trades?symbol=BTCUSDT&limit=5")[1]),
            "the market has begun",
        )
        return place

    yield start
    bench.close()
    for child in bench.children:
        assert "Traceback" not in child.err, child.err


@pytest.fixture(scope="package")
def spot(start):
    return start("spot")


@pytest.fixture(scope="package")
def usdm(start):
    return start("usdm", "--funding-s", "2")


def full_minute_soon(least_s):
    """Wait for the next minute unless this one lasts so long: limits are counted by the clock's minutes."""
    left_s = 60 - time.time() % 60
    if left_s < least_s:
        time.sleep(left_s)
