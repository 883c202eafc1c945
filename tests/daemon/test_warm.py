from __future__ import annotations

import json
import subprocess
import sys

import pytest

# a process of its own: in this one other tests have called the kernels already
CHILD = """
import asyncio, importlib, json, pkgutil, sys
from decimal import Decimal
from numba.core.dispatcher import Dispatcher
import kernels
from daemon.clock import VirtualTime
from daemon.feeds.binance import BinanceDecoder
from daemon.feeds.core import FeedCore
from daemon.instruments import make_instrument
from daemon.latency import stage_latency
from daemon.orders.order import Order
from daemon.spans import Spans
from daemon.venues.paper import PaperVenue
from daemon.venues.paper_latency import fixed
from daemon.warm import warm_up
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET
from kernels.ring import new_rings

modules = [importlib.import_module(f"kernels.{one.name}") for one in pkgutil.iter_modules(kernels.__path__)]

def compiled():
    return {f"{one.__name__}.{name}": len(value.signatures)
            for one in modules for name, value in vars(one).items()
            if isinstance(value, Dispatcher) and value.__module__ == one.__name__ and value.signatures}

class Deaf:
    def __getattr__(self, name):
        return lambda *arguments: None

paper = sys.argv[1] == "paper"
if sys.argv[2] == "warm":
    asyncio.run(warm_up(paper=paper))
before = compiled()

eth = make_instrument(0, "binance", "usdm", "ETH/USDT", tick_size="0.5", lot_size="0.1", qty_min="0.1",
                      qty_max="99", notional_min="5")
time = VirtualTime(10**9)
sink, rings = Deaf(), new_rings(1)
sink.turns = [None]
if paper:
    venue = PaperVenue([eth], rings, time, time, balances={"USDT": Decimal(10**6)}, fee_maker=Decimal(0),
                       fee_taker=Decimal(0), delays=fixed(0, 0))
    asyncio.run(venue.start(sink))
    sink.on_tick, sink.on_book, sink.on_book_status = venue.absorb, venue.on_book, venue.on_book_status
feed = FeedCore([eth], rings, sink, BinanceDecoder([eth]), lambda index: None, time)

def take(stream, **data):
    feed.process(json.dumps({"stream": f"ethusdt@{stream}", "data": {"s": "ETHUSDT", **data}},
                            separators=(",", ":")).encode(), time.now_ns(), False)

def market(number):
    take("bookTicker", u=number, b="2000.0", B="3", a="2000.5", A="3")
    take("trade", t=number, p="2000.0", q="1", T=1, m=True)
    take("depth", U=number, u=number, pu=number - 1, E=1, b=[["1999.5", "2"]], a=[["2001.0", "2"]])

take("depth", U=1, u=1, pu=0, E=1, b=[["1999.5", "2"]], a=[["2001.0", "2"]])
feed.process_snapshot(0, b'{"lastUpdateId":1,"bids":[["2000.0","3"]],"asks":[["2000.5","3"]]}', time.now_ns())
for number in (2, 3, 4):
    market(number)
if paper:
    orders = [Order(client_order_id=f"t-1-{n}", seq=n, strategy=0, instrument=0, slot=n, row=0, kind=kind,
                    level=0, side=side, price_ticks=ticks, qty_lots=lots, reduces=False)
              for n, (kind, side, ticks, lots) in enumerate(
                  [(REST, BUY, 3990, 20), (TARGET, BUY, 4001, 10), (STOP, SELL, 3900, 10),
                   (REST, BUY, 4000, 5)])]
    for order in orders:
        venue.place(order)
        time.advance(time.now_ns() + 5)
        market(5 + order.seq)
    venue.amend(orders[0], 10)
    for order in orders:
        venue.query(order)
        venue.cancel(order)
    time.advance(time.now_ns() + 5)
    market(20)
spans = Spans()
spans.decided(1, 2, 3)
spans.sent(1, 2, 3, 4, 5)
spans.acknowledged(5)
stage_latency("x", spans.histograms[0])
print(json.dumps({"before": before, "after": compiled(), "resyncs": feed.lanes[0].resyncs,
                  "errors": dict(feed.errors)}))
"""


@pytest.fixture(scope="module", autouse=True)
def cached(root):
    """Fill the cache: a process that compiles also lists what kernels specialise of each other."""
    session(root, "paper", "warm")


def session(root, venue, how):
    child = subprocess.run(
        [sys.executable, "-c", CHILD, venue, how], cwd=root, capture_output=True, text=True, check=True
    )
    return json.loads(child.stdout)


@pytest.mark.parametrize("venue", ["paper", "live"])
def test_after_the_warm_up_a_session_compiles_nothing(root, venue):
    found = session(root, venue, "warm")
    assert (found["errors"], found["resyncs"]) == ({}, 1)
    assert found["after"] == found["before"]
    assert {"kernels.shapes.read", "kernels.shapes.read_depth", "kernels.stats.observe"} <= found[
        "before"
    ].keys()
    assert ("kernels.fills.on_ticks" in found["before"]) == (venue == "paper")
    assert set(found["before"].values()) == {1}


def test_without_it_the_same_session_compiles(root):
    found = session(root, "paper", "cold")
    assert {"kernels.shapes.read_depth", "kernels.fills.place"} <= found["after"].keys() - found[
        "before"
    ].keys()
