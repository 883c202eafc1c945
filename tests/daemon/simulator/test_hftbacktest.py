"""Matching, judged by hftbacktest: the same events and the same orders through it and through the exchange.

Of its models the nearest to ours: `partial_fill_exchange` with the risk-adverse queue, no latency. Every fill
must be the same: of which order, when, how much, to what price. Four rules of ours are stricter, on purpose:
they keep a fill from being larger than what the market proves. The seeded market keeps clear of them; a test
shows each on the smallest example:

- what an order took stays taken until the exchange shows less or the level goes; there the next order takes
  the same lots again;
- what a crossing limit order does not find rests at its price; there it is filled at that price at once;
- a resting order that is traded through gets the trade's quantity at most; there it is filled whole;
- a book that crosses a resting order fills it by what it shows there; there it is filled whole.

The queues that paper trading offers are compared by themselves, each with its namesake. There what is ahead
of an order can be less than nothing by the model's estimate, and the next trade then fills more than was
traded; ours fills no more than that.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from daemon.clock import VirtualTime
from daemon.simulator.account import Account
from daemon.simulator.exchange import Exchange
from daemon.simulator.newrequest import NewOrder
from daemon.simulator.rates import Limits
from daemon.simulator.symbols import UNIT
from daemon.venues.make import QUEUES
from kernels import fills
from kernels.matcher import EMPTY_BOOK, FILL, POST_ONLY, new_matcher
from tests.daemon.simulator.conftest import START_NS

#: it compiles anew in each process, and reads what numba calls deprecated
pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings("ignore")]
TICK, LOT = UNIT // 100, UNIT // 1_000
MS = 1_000_000
#: what hftbacktest says to passing time
DATA_ENDS, FILLED_ALREADY = 1, 14
BUY, SELL = 1, -1
#: type and time in force of each kind of order: ours, and hftbacktest's numbers for both
KINDS = {
    "market": ("MARKET", "GTC", 1, 0),
    "limit": ("LIMIT", "GTC", 0, 0),
    "maker": ("LIMIT_MAKER", "GTC", 0, 1),
    "fok": ("LIMIT", "FOK", 0, 2),
    "ioc": ("LIMIT", "IOC", 0, 3),
}


#: hftbacktest's queue models by our names, and what each is told
MODELS = {
    "risk_adverse": ("risk_adverse_queue_model",),
    "log_prob": ("log_prob_queue_model",),
    "log_prob_2": ("log_prob_queue_model2",),
    "power_prob": ("power_prob_queue_model", 3.0),
    "power_prob_2": ("power_prob_queue_model2", 2.0),
    "power_prob_3": ("power_prob_queue_model3", 1.5),
}


class Event(NamedTuple):
    """A trade (side: the taker's), a level of the book, an order's placing or its cancel; ticks and lots."""

    at_ns: int
    kind: str
    side: int
    ticks: int
    lots: int
    key: int = 0


class Fill(NamedTuple):
    """What an order got by one event, and the last price of it, in ticks."""

    at_ns: int
    key: int
    lots: int
    ticks: int


# --- the two ------------------------------------------------------------------------------------------------
class Ours:
    """The simulated exchange, its market told by hand."""

    def __init__(self, make_symbol: Any) -> None:
        self.time = VirtualTime(START_NS)
        limits = Limits(orders_10s=0, orders_1d=0)
        self.account = Account("main", {"USDT": 10**9 * UNIT, "BTC": 10**5 * UNIT}, 0, 0, limits)
        symbol = make_symbol()
        symbol.tick, symbol.lot, symbol.notional_min, symbol.orders_max = TICK, LOT, 0, 200
        self.exchange = Exchange([symbol], [self.account], self.time, Random(1))
        self.market = self.exchange.markets["BTCUSDT"]
        self.market.snapshot(1, b'{"bids":[],"asks":[]}')
        self.orders: dict[int, Any] = {}
        self.number = 1

    def step(self, event: Event) -> None:
        self.time.advance(START_NS + event.at_ns)
        self.number += 1
        price, qty = event.ticks * TICK, event.lots * LOT
        if event.kind == "trade":
            self.market.trade(self.number, price, qty, event.side == SELL, event.at_ns // MS)
        elif event.kind == "depth":
            side = "b" if event.side == BUY else "a"
            level = [f"{event.ticks / 100:.2f}", f"{event.lots / 1_000:.3f}"]
            self.market.depth(self.number, msgspec.json.encode({"b": [], "a": []} | {side: [level]}))
        elif event.kind == "cancel":
            order = self.orders[event.key]
            if order.open:
                self.exchange.cancel(order, "c")
        else:
            kind, tif, _, _ = KINDS[event.kind]
            price = 0 if kind == "MARKET" else price
            new = NewOrder(
                side=event.side, type=kind, tif=tif, price=price, qty=qty, quote_qty=0, stop_price=0,
                client_id="", response="ACK", stp="NONE",
            )  # fmt: skip
            self.orders[event.key], _ = self.exchange.place(self.account, self.market, new)

    def fills(self) -> list[Fill]:
        """Return what orders got, what came by one event together."""
        keys = {id(order): key for key, order in self.orders.items()}
        found: dict[tuple[int, int], list[int]] = {}
        for fill in self.exchange.registry.fills:
            both = found.setdefault((fill.now_ns - START_NS, keys[id(fill.order)]), [0, 0])
            both[0] += fill.qty // LOT
            both[1] = fill.price // TICK
        return [Fill(*at, *both) for at, both in found.items()]


def run_ours(make_symbol: Any, events: list[Event]) -> list[Fill]:
    one = Ours(make_symbol)
    for event in events:
        one.step(event)
    return one.fills()


def run_theirs(events: list[Event], model: str = "risk_adverse") -> tuple[list[Fill], int]:
    """Return what hftbacktest fills, looked at after each event, and until when it can be asked.

    `model` is its queue, by our name in `paper.queue`.

    Its exchange leaves an order in its book that a trade at the order's own price has filled; where that
    price is traded again it fails, and so ends there.
    """
    import hftbacktest as h

    market = [event for event in events if event.kind in ("trade", "depth")]
    rows = np.zeros(len(market), h.types.event_dtype)
    kinds = {"trade": h.types.TRADE_EVENT, "depth": h.types.DEPTH_EVENT}
    for row, event in zip(rows, market, strict=True):
        side = h.types.BUY_EVENT if event.side == BUY else h.types.SELL_EVENT
        row["ev"] = h.types.EXCH_EVENT | h.types.LOCAL_EVENT | kinds[event.kind] | side
        row["exch_ts"] = row["local_ts"] = event.at_ns
        row["px"], row["qty"] = event.ticks, event.lots
    asset = (
        h.BacktestAsset()
        .data(rows)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(1.0)  # in ticks and lots: its floats are exact then
        .lot_size(1.0)
    )
    name, *power = MODELS[model]
    getattr(asset, name)(*power)
    bench = h.HashMapMarketDepthBacktest([asset])

    def pass_time(until_ns: int) -> bool:
        """Return whether it still goes on."""
        said = bench.elapse(until_ns - bench.current_timestamp)
        assert said in (0, DATA_ENDS, FILLED_ALREADY)
        return bool(said != FILLED_ALREADY)

    submit = {BUY: bench.submit_buy_order, SELL: bench.submit_sell_order}
    leaves: dict[int, int] = {}
    found = []
    for event in events:
        if event.kind in KINDS:
            _, _, kind, tif = KINDS[event.kind]
            assert pass_time(event.at_ns)
            submit[event.side](0, event.key, float(event.ticks), float(event.lots), tif, kind, False)
            leaves[event.key] = event.lots
        elif event.kind == "cancel":
            assert pass_time(event.at_ns)
            order = bench.orders(0).get(event.key)
            if order is not None and order.cancellable:
                bench.cancel(0, event.key, False)
        if not pass_time(event.at_ns + MS // 2):
            break
        for key, left in leaves.items():
            order = bench.orders(0).get(key)
            now = int(order.leaves_qty)
            if now != left:
                leaves[key] = now
                found.append(Fill(event.at_ns, key, left - now, order.exec_price_tick))
    bench.close()
    return found, event.at_ns


# --- a market -----------------------------------------------------------------------------------------------
class Market:
    """A seeded market of ten levels a side, as the changes that both are told; it never crosses."""

    LEVELS = 10

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.events: list[Event] = []
        self.now_ns = MS
        self.sides: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}
        for side in (BUY, SELL):
            for depth in range(self.LEVELS):
                self.level(side, 10_000 - depth if side == BUY else 10_001 + depth, self.lots())

    def lots(self) -> int:
        return self.random.randint(20, 60)

    def best(self, side: int) -> int:
        return max(self.sides[side]) if side == BUY else min(self.sides[side])

    def add(self, kind: str, side: int, ticks: int, lots: int, key: int = 0) -> None:
        self.events.append(Event(self.now_ns, kind, side, ticks, lots, key))
        self.now_ns += MS

    def level(self, side: int, ticks: int, lots: int) -> None:
        levels = self.sides[side]
        levels[ticks] = lots
        if not lots:
            del levels[ticks]
        self.add("depth", side, ticks, lots)

    def move(self, side: int) -> None:
        """Let a trade sweep the best level of a side, and the market move a tick."""
        gone = self.best(side)
        self.add("trade", -side, gone - side, self.random.randint(10, 25))
        self.level(side, gone, 0)
        self.level(side, gone - side * self.LEVELS, self.lots())
        self.level(-side, gone, self.lots())
        far = min(self.sides[BUY]) if side == SELL else max(self.sides[SELL])
        self.level(-side, far, 0)

    def refresh(self, side: int) -> None:
        """Let every level of a side go and come back, so that nothing of it is taken any more."""
        for ticks, lots in list(self.sides[side].items()):
            self.level(side, ticks, 0)
            self.level(side, ticks, lots)

    def tick(self) -> None:
        """Do one of what markets do."""
        side, kind = self.random.choice((BUY, SELL)), self.random.random()
        best = self.best(side)
        if kind < 0.5:  # somebody takes of the best level, which then shows less, or goes
            shown = self.sides[side][best]
            lots = self.random.randint(10, 25)
            self.add("trade", -side, best, lots)
            if lots < shown:
                self.level(side, best, shown - lots)
            else:
                self.move(side)
        elif kind < 0.9:
            self.level(side, self.random.choice(list(self.sides[side])), self.lots())
        else:
            self.move(side)


def session(seed: int, steps: int) -> list[Event]:
    """Return a market with orders of every kind in it; of those that rest one a side, of ten lots at most."""
    market = Market(seed)
    random = market.random
    key = 0
    resting: dict[int, tuple[int, int]] = {}  # side -> key, and the step of its cancel
    for step in range(steps):
        market.tick()
        for side, (name, until) in list(resting.items()):
            if step >= until:
                market.add("cancel", side, 0, 0, name)
                del resting[side]
        if step % 5:
            continue
        key += 1
        side = random.choice((BUY, SELL))
        touch = market.best(-side)
        kind = random.choice(["market", "ioc", "fok", "limit", "maker", "maker"])
        if kind == "maker":
            if side not in resting:
                market.add(
                    kind, side, market.best(side) - side * random.randint(0, 2), random.randint(1, 10), key
                )
                resting[side] = key, step + random.randint(10, 60)
        elif kind == "limit":  # it crosses, and finds all it wants
            limit = touch + side * 5
            there = sum(lots for ticks, lots in market.sides[-side].items() if (limit - ticks) * side >= 0)
            market.add(kind, side, limit, random.randint(1, min(100, there)), key)
            market.refresh(-side)
        else:
            market.add(kind, side, touch + side * random.randint(-1, 2), random.randint(1, 150), key)
            market.refresh(-side)
    return market.events


# --- the tests ----------------------------------------------------------------------------------------------
def test_every_fill_is_hftbacktests_own(make_symbol, record_property):
    counts = dict.fromkeys(KINDS, 0)
    for seed in range(60):
        events = session(seed, 1_000)
        theirs, until_ns = run_theirs(events)
        ours = [fill for fill in run_ours(make_symbol, events) if fill.at_ns < until_ns]
        assert ours == theirs, f"seed {seed}"
        kinds = {event.key: event.kind for event in events if event.kind in KINDS}
        for fill in ours:
            counts[kinds[fill.key]] += 1
    assert min(counts.values()) > 100, counts
    record_property("figure", f"fills equal to hftbacktest's: {sum(counts.values()):,} {counts}")


def told(*changes):
    """Return a market of two levels a side, each of 20 lots, and then the changes, a millisecond apart."""
    book = [("depth", BUY, 10_000, 20), ("depth", BUY, 9_999, 20), ("depth", SELL, 10_001, 20)]
    book.append(("depth", SELL, 10_002, 20))
    return [Event(MS * (1 + i), *change) for i, change in enumerate((*book, *changes))]


TAKE = ("market", BUY, 0, 15, 1)
RESTING = ("maker", BUY, 10_000, 10, 1)
GONE = ("depth", BUY, 10_000, 0)


@pytest.mark.parametrize(
    ("changes", "ours", "theirs"),
    [
        # the second order finds what the first one left; there, all 20 lots again
        ([TAKE, ("market", BUY, 0, 15, 2)], [(15, 10_001), (15, 10_002)], [(15, 10_001)] * 2),
        # 20 of 30 lots are offered up to the limit
        ([("limit", BUY, 10_001, 30, 1)], [(20, 10_001)], [(30, 10_001)]),
        # a trade of 4 lots below a resting order of 10
        ([RESTING, ("trade", SELL, 9_999, 4)], [(4, 10_000)], [(10, 10_000)]),
        # 4 lots are offered at the resting order's price
        ([RESTING, GONE, ("depth", SELL, 10_000, 4)], [(4, 10_000)], [(10, 10_000)]),
    ],
)  # fmt: skip
def test_where_the_market_proves_less_ours_fill_less(make_symbol, changes, ours, theirs):
    events = told(*changes)
    assert [fill[2:] for fill in run_ours(make_symbol, events)] == ours
    assert [fill[2:] for fill in run_theirs(events)[0]] == theirs


@pytest.mark.parametrize(
    ("changes", "fills"),
    [
        # where the level goes and comes back between the two
        (
            [
                TAKE,
                ("depth", SELL, 10_001, 0),
                ("depth", SELL, 10_001, 20),
                ("market", BUY, 0, 15, 2),
            ],
            [(15, 10_001)] * 2,
        ),
        ([RESTING, ("trade", SELL, 9_999, 10)], [(10, 10_000)]),
        ([RESTING, GONE, ("depth", SELL, 10_000, 10)], [(10, 10_000)]),
        # the queue: 20 lots are ahead, of which 12 are traded and the rest goes without a trade
        ([RESTING, ("trade", SELL, 10_000, 12), ("trade", SELL, 10_000, 8)], []),
        ([RESTING, ("trade", SELL, 10_000, 12), ("trade", SELL, 10_000, 11)], [(3, 10_000)]),
        ([RESTING, ("depth", BUY, 10_000, 5), ("trade", SELL, 10_000, 9)], [(4, 10_000)]),
        ([RESTING, ("depth", BUY, 10_000, 90), ("trade", SELL, 10_000, 21)], [(1, 10_000)]),
        ([RESTING, ("cancel", BUY, 0, 0, 1), ("trade", SELL, 9_999, 50)], []),
    ],
)
def test_where_it_proves_enough_both_fill_the_same(make_symbol, changes, fills):
    events = told(*changes)
    found = run_ours(make_symbol, events)
    assert [fill[2:] for fill in found] == fills
    assert found == run_theirs(events)[0]


# --- the queues ---------------------------------------------------------------------------------------------
def queued(seed: int) -> list[Event]:
    """Return a bid of ours at a level where others come, leave and are served, never all of them."""
    random = Random(seed)
    shown = random.randint(20, 200)
    book = [("depth", BUY, 10_000, shown), ("depth", BUY, 9_999, 20), ("depth", SELL, 10_001, 20)]
    changes: list[tuple[Any, ...]] = [*book, ("maker", BUY, 10_000, random.randint(1, 20), 1)]
    for _ in range(random.randint(10, 120)):
        if random.random() < 0.6:
            shown = max(1, shown + random.randint(-12, 10))
        else:
            lots = random.randint(1, 6)
            changes.append(("trade", SELL, 10_000, lots))
            shown = max(1, shown - lots)
        changes.append(("depth", BUY, 10_000, shown))
    return [Event(MS * (1 + i), *change) for i, change in enumerate(changes)]


def run_matcher(events: list[Event], model: str) -> tuple[list[Fill], int]:
    """Return what the matcher of paper trading fills, told the best bid and ask, and until when it compares.

    That is when a cancel takes more than is ahead by the model's estimate: from then on theirs may fill more
    than is traded.
    """
    matcher = new_matcher(1.0, 1.0, QUEUES[model], *MODELS[model][1:])
    found = []
    for event in events:
        if event.kind == "trade":
            n = fills.on_trade(matcher, EMPTY_BOOK, event.ticks, event.lots, event.side)
        elif event.kind == "maker":
            n = fills.place(matcher, EMPTY_BOOK, event.key, event.side, POST_ONLY, event.ticks, event.lots)
        elif (event.side, event.ticks) == (BUY, 10_000):
            n = fills.on_quote(matcher, EMPTY_BOOK, event.ticks, event.lots, 10_001, 20)
            if matcher["front"][0, 0] < 0:
                return found, event.at_ns
        else:
            continue
        for kind, key, _, ticks, lots, *_ in matcher["events"][0, :n].tolist():
            if kind == FILL:
                found.append(Fill(event.at_ns, key, lots, ticks))
    return found, event.at_ns


@pytest.mark.parametrize("model", MODELS)
def test_an_order_comes_forward_in_its_queue_as_in_hftbacktest_s(record_property, model):
    n = 0
    for seed in range(400):
        events = queued(seed)
        theirs, theirs_ns = run_theirs(events, model)
        ours, ours_ns = run_matcher(events, model)
        until_ns = min(theirs_ns, ours_ns)
        both = [[fill for fill in one if fill.at_ns < until_ns] for one in (ours, theirs)]
        assert both[0] == both[1], f"seed {seed}"
        n += len(both[0])
    assert n > 100
    record_property("figure", f"queue {model}: {n:,} fills equal to hftbacktest's")
