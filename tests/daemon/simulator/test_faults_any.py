"""Any faults, in any order, at any time: the exchange stays whole, says the same again, and comes to rest."""

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.simulator.fault import read_one
from daemon.simulator.gateway import LOST
from daemon.simulator.outages import Silent
from daemon.simulator.state import header, read, restore, save
from daemon.simulator.symbols import UNIT
from daemon.simulator.wsapi import ApiSession
from tests.daemon.simulator.conftest import START_NS, Kit, Outbox

_WHEN = {"at_s": st.integers(0, 6), "lasts_s": st.integers(1, 10)}
_SOME = _WHEN | {"count": st.integers(0, 4), "skip": st.integers(0, 2), "share": st.sampled_from((0.3, 1.0))}
_DELAY = {"delay_s": st.sampled_from((0.5, 3.0))}


def fault(kind, of=("",), **keys):
    return st.fixed_dictionaries({"kind": st.just(kind), "of": st.sampled_from(of), **keys})


MESSAGES, REQUESTS, LINES = ("events", "market", "answers"), ("", "rest", "api"), ("", "market", "api")
ANY = (
    *(fault(kind, MESSAGES, **_SOME) for kind in ("drop", "duplicate", "reorder")),
    fault("delay", MESSAGES, **_SOME, **_DELAY),
    *(fault(kind, REQUESTS, **_SOME) for kind in ("lose_answer", "lose_request", "rate_429")),
    *(fault(kind, REQUESTS, **_SOME, executed=st.booleans()) for kind in ("http_5xx", "-1006", "-1007")),
    *(fault(kind, **_SOME) for kind in ("depth_gap", "crossed_book", "partial_fill", "cancel_replace_half")),
    *(fault(kind, **_WHEN) for kind in ("ban_418", "maintenance", "break")),
    fault("stall", LINES, **_WHEN, share=st.sampled_from((0.5, 1.0))),
    fault("storm", LINES, **_WHEN, **_DELAY),
    fault("disconnect", LINES, at_s=_WHEN["at_s"]),
    fault("refuse_connect", LINES, **_SOME),
    fault("server_shutdown", LINES, at_s=_WHEN["at_s"], **_DELAY),
    fault("query_lag", **_WHEN, **_DELAY),
    fault("clock_step", **_WHEN, delay_s=st.sampled_from((-4.0, 7.0))),
)
STEPS = st.lists(
    st.sampled_from(("place", "take", "cancel", "replace", "query", "trade", "depth", "wait")),
    min_size=6,
    max_size=30,
)


class Client:
    """One that trades whatever happens, and connects again when it is cut; `heard` is all that came to it."""

    def __init__(self, seed):
        self.kit = Kit()
        self.heard = []
        self.seed = seed
        self.lines = {}
        self.number = 0

    def connect(self):
        for path in ("/ws-api/v3", "/stream?streams=btcusdt@depth@100ms"):
            session, outbox = self.lines.get(path, (None, None))
            if outbox is not None and outbox.ended is None:
                continue
            if session is not None:
                session.closed()
            outbox = Outbox()
            opened = self.kit.gateway.connect(path, outbox, "a")
            self.heard.append((path, opened.status))
            self.lines.pop(path, None)
            if opened.session is not None:
                self.lines[path] = opened.session, outbox
                if isinstance(opened.session, ApiSession):
                    self.ask("userDataStream.subscribe.signature", self.kit.sign())

    def ask(self, method, params):
        self.number += 1
        session, _ = self.lines.get("/ws-api/v3", (None, None))
        if session is not None:
            session.receive(msgspec.json.encode({"id": self.number, "method": method, "params": params}))

    def step(self, what):
        kit = self.kit
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
        latest = {"symbol": "BTCUSDT", "orderId": kit.exchange.registry.last_ids["BTCUSDT"]}
        if what == "place":
            self.ask("order.place", kit.sign(**order, price="99.50"))
        elif what == "take":
            self.heard.append(kit.signed("POST", "order", **order, price="100.02"))
        elif what == "cancel":
            self.ask("order.cancel", kit.sign(**latest))
        elif what == "replace":
            half = {"cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": latest["orderId"]}
            self.heard.append(kit.signed("POST", "order/cancelReplace", **order, price="99.40", **half))
        elif what == "query":
            self.heard += [kit.signed("GET", path, **latest) for path in ("order", "allOrders", "myTrades")]
        elif what == "trade":
            kit.trade("99.45", "0.05", buyer_is_maker=True)
        elif what == "depth":
            frame = b'{"e":"depthUpdate","s":"BTCUSDT","b":[["99.00","%d"]],"a":[]}' % (self.number + 1)
            kit.gateway.hub.publish("btcusdt@depth@100ms", frame)
        kit.wait(0.7)
        for path, (_, outbox) in sorted(self.lines.items()):
            self.heard.append((path, tuple(outbox.sent), outbox.ended))
            outbox.sent.clear()
        self.connect()

    def run(self, faults, steps):
        schedule = self.kit.faults(*faults, seed=self.seed)
        self.connect()
        for step in steps:
            self.step(step)
        return schedule


def check_whole(kit):
    """What is locked is of open orders, and what there is is what was there and traded."""
    locked, there = {"USDT": 0, "BTC": 0}, {"USDT": 100_000 * UNIT, "BTC": 10 * UNIT}
    for order in kit.exchange.registry.open_orders(kit.account):
        locked[order.spends] += order.locked
    for fill in kit.exchange.registry.fills:
        there["BTC"] += fill.order.side * fill.qty
        there["USDT"] -= fill.order.side * (fill.price * fill.qty // UNIT)
        there[fill.order.receives] -= fill.commission
    balances = {asset: kit.account.balance(asset) for asset in there}
    assert {asset: one.locked for asset, one in balances.items()} == locked
    assert {asset: one.free + one.locked for asset, one in balances.items()} == there


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    faults=st.lists(st.sampled_from(ANY).flatmap(lambda one: one), min_size=4, max_size=8),
    steps=STEPS,
    seed=st.integers(0, 9),
)
def test_it_stays_whole_says_the_same_again_and_comes_to_rest(faults, steps, seed):
    faults = [msgspec.to_builtins(read_one(one, "here")) for one in faults]
    client, twin = Client(seed), Client(seed)
    schedule = client.run(faults, steps)
    twin.run(faults, steps)
    assert client.heard == twin.heard
    kit = client.kit
    check_whole(kit)

    schedule.clear()
    kit.wait(10)  # what is still on its way arrives
    for _ in range(2):
        client.step("wait")
    assert not any(isinstance(session.outbox, Silent) for session, _ in client.lines.values())
    assert len(client.lines) == 2
    assert all(market.symbol.status == "TRADING" for market in kit.exchange.markets.values())
    answer = kit.signed("GET", "account")
    assert answer is not LOST
    assert (answer.status, answer.delay_s) == (200, 0.0)
    assert kit.time.next_ns is None

    again = Kit()
    restore({"spot": again.exchange}, read(header(START_NS) + b"".join(save({"spot": kit.exchange})), "here"))
    check_whole(again)
