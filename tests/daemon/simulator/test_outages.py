"""Faults of connections, clocks and symbols, on virtual time."""

import msgspec
import pytest

from daemon.simulator.fault import Fault
from daemon.simulator.gateway import Session

RESTING = {"price": "99.00", "quantity": "0.5"}


def body(answer):
    return msgspec.json.decode(answer.body)


class Lines:
    """One market stream and one WebSocket API connection that hears of the account."""

    def __init__(self, kit, ask, make_outbox):
        self.kit, self.ask = kit, ask
        self.market = make_outbox()
        self.streams = kit.gateway.connect("/stream?streams=btcusdt@trade", self.market, "a").session
        self.session, self.api = kit.connect()
        ask(self.session, self.api, "userDataStream.subscribe.signature", kit.sign())

    def speak(self):
        """Let everybody have something to say; return who said it."""
        self.kit.gateway.hub.publish("btcusdt@trade", b"{}")
        self.session.receive(b'{"id":7,"method":"time"}')
        self.kit.exchange.deposit(self.kit.account, "USDT", 1)
        said = {"market"} if self.market.take() else set()
        return said | {"answer" if "id" in one else "event" for one in self.api.take()}

    @property
    def ended(self):
        return self.market.ended, self.api.ended


@pytest.fixture
def lines(kit, ask, make_outbox):
    return Lines(kit, ask, make_outbox)


ALL = {"market", "answer", "event"}


def test_stalled_connections_say_nothing_while_rest_and_new_ones_do(kit, lines, ask):
    faults = kit.faults({"kind": "stall", "lasts_s": 40})
    assert lines.speak() == set()
    assert lines.ended == (None, None)
    assert kit.rest("GET", "ping").status == 200
    session, outbox = kit.connect()
    assert ask(session, outbox, "ping")["status"] == 200
    assert faults.report()["struck"] == {"stall": 2}
    kit.wait(40)
    assert lines.speak() == ALL


@pytest.mark.parametrize(("of", "said"), [("market", {"answer", "event"}), ("api", {"market"})])
def test_a_stall_may_be_of_one_kind_of_connection(kit, lines, of, said):
    kit.faults({"kind": "stall", "lasts_s": 40, "of": of})
    assert lines.speak() == said


def test_stalls_that_overlap_end_with_the_last(kit, lines):
    kit.faults({"kind": "stall", "lasts_s": 10}, {"kind": "stall", "lasts_s": 20, "at_s": 5})
    kit.wait(12)
    assert lines.speak() == set()
    kit.wait(14)
    assert lines.speak() == ALL


def test_a_stalled_connection_can_still_be_closed(kit, lines):
    kit.faults({"kind": "stall", "lasts_s": 40}, {"kind": "disconnect", "code": 1001})
    assert lines.ended == ((1001, ""), (1001, ""))


def test_disconnected_means_cut_without_a_word_unless_a_code_is_given(kit, lines):
    faults = kit.faults({"kind": "disconnect", "of": "api"})
    assert lines.ended == (None, (1006, ""))
    faults.add([Fault(kind="disconnect", code=1008, of="market")])
    assert lines.ended == ((1008, ""), (1006, ""))
    assert faults.report()["struck"] == {"disconnect": 2}


def test_a_share_of_the_connections_is_cut_the_same_for_the_same_seed(make_kit, make_outbox):
    def cut(seed):
        kit = make_kit()
        outboxes = [make_outbox() for _ in range(20)]
        for outbox in outboxes:
            kit.gateway.connect("/ws/btcusdt@trade", outbox, "a")
        kit.faults({"kind": "disconnect", "share": 0.5}, seed=seed)
        return [outbox.ended is not None for outbox in outboxes]

    assert cut(1) == cut(1) != cut(2)
    assert 0 < sum(cut(1)) < 20


def test_a_storm_cuts_again_and_again_and_who_comes_meanwhile(kit, make_outbox):
    kit.faults({"kind": "storm", "delay_s": 2, "lasts_s": 5, "at_s": 1})
    cuts = []
    for _ in range(9):
        outbox = make_outbox()
        session = kit.gateway.connect("/ws/btcusdt@trade", outbox, "a").session
        kit.wait(1)
        cuts.append(outbox.ended is not None)
        session.closed()
    assert cuts == [True, False, True, False, True, False, False, False, False]


@pytest.mark.parametrize(("code", "status"), [(0, 0), (503, 503)])
def test_connections_are_refused_with_a_status_or_without_a_word(kit, make_outbox, code, status):
    faults = kit.faults(
        {"kind": "refuse_connect", "count": 1, "of": "market"} | ({"code": code} if code else {})
    )
    kit.connect()
    assert kit.gateway.connect("/ws/btcusdt@trade", make_outbox(), "a") == Session(None, status)
    assert kit.gateway.connect("/ws/btcusdt@trade", make_outbox(), "a").session is not None
    assert faults.report()["struck"] == {"refuse_connect": 1}


def test_a_shutdown_is_announced_and_those_who_heard_of_it_are_closed(kit, lines, make_outbox):
    kit.faults({"kind": "server_shutdown", "delay_s": 10, "at_s": 1})
    kit.wait(1)
    event = {"e": "serverShutdown", "E": kit.now_ms}
    assert lines.market.take() == [{"stream": "!serverShutdown", "data": event}]
    assert lines.api.take() == [{"event": event}]
    later = make_outbox()
    kit.gateway.connect("/ws/btcusdt@trade", later, "a")
    kit.wait(9.9)
    assert lines.ended == (None, None)
    kit.wait(0.1)
    assert lines.ended == ((1001, ""), (1001, ""))
    assert later.ended is None


def test_maintenance_closes_everything_and_keeps_the_orders(kit, lines, make_outbox):
    order = kit.order(**RESTING)
    faults = kit.faults({"kind": "maintenance", "lasts_s": 60})
    assert lines.ended == ((1001, ""), (1001, ""))
    assert kit.gateway.connect("/ws-api/v3", make_outbox(), "a") == Session(None, 503)
    assert kit.signed("DELETE", "order", symbol="BTCUSDT", orderId=order["orderId"]).status == 503
    kit.trade("98.00", "5", buyer_is_maker=True)
    assert faults.report()["struck"] == {"maintenance": 4}
    kit.wait(60)
    (open_,) = body(kit.signed("GET", "openOrders"))
    assert (open_["orderId"], open_["status"], open_["executedQty"]) == (
        order["orderId"],
        "NEW",
        "0.00000000",
    )
    kit.trade("98.00", "5", buyer_is_maker=True)
    assert body(kit.signed("GET", "openOrders")) == []


def test_a_break_stops_one_symbols_trading_and_fills_until_it_ends(kit):
    order = kit.order(**RESTING)
    kit.faults({"kind": "break", "symbol": "BTCUSDT", "lasts_s": 30})
    listed = body(kit.rest("GET", "exchangeInfo"))["symbols"]
    assert [(row["symbol"], row["status"]) for row in listed] == [("BTCUSDT", "BREAK"), ("ETHBTC", "TRADING")]
    assert kit.order(**RESTING) == {"code": -1013, "msg": "Market is closed."}
    kit.trade("98.00", "5", buyer_is_maker=True)
    kit.market.quote(*(98_00000000, 1, 98_01000000, 1))
    kit.market.depth(2, b'{"b":[],"a":[["98.50","9"]]}')
    assert kit.exchange.registry.orders["BTCUSDT", order["orderId"]].executed == 0
    kit.wait(30)
    assert kit.order(**RESTING)["status"] in ("NEW", "FILLED")


def test_breaks_that_overlap_end_with_the_last(kit):
    kit.faults({"kind": "break", "lasts_s": 10}, {"kind": "break", "symbol": "BTCUSDT", "lasts_s": 20})
    kit.wait(15)
    assert kit.order(**RESTING)["code"] == -1013
    kit.wait(6)
    assert "orderId" in kit.order(**RESTING)


@pytest.mark.parametrize("step", [5, -8])
def test_a_clock_that_steps_refuses_what_was_stamped_by_another(kit, step):
    right = kit.now_ms
    kit.faults({"kind": "clock_step", "delay_s": step, "lasts_s": 30, "at_s": 1})
    kit.wait(1)
    assert body(kit.rest("GET", "time"))["serverTime"] == right + 1000 + step * 1000
    late = kit.signed("GET", "account", timestamp=kit.now_ms, recvWindow=4_000)
    assert body(late)["code"] == -1021
    stamped = right + 1000 + step * 1000
    assert kit.signed("GET", "account", timestamp=stamped, recvWindow=4_000).status == 200
    kit.wait(30)
    assert body(kit.rest("GET", "time"))["serverTime"] == kit.now_ms


def test_clearing_lets_everybody_speak_and_trade_again(kit, lines):
    faults = kit.faults(
        {"kind": "stall", "lasts_s": 60},
        {"kind": "break", "lasts_s": 60},
        {"kind": "clock_step", "delay_s": 5, "lasts_s": 60},
        {"kind": "storm", "lasts_s": 60, "of": "user"},
    )
    faults.clear()
    assert lines.speak() == ALL
    assert "orderId" in kit.order(**RESTING)
    assert body(kit.rest("GET", "time"))["serverTime"] == kit.now_ms
    assert kit.time.next_ns is None
