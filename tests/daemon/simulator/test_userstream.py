from __future__ import annotations

import itertools

import msgspec
import pytest

from daemon.simulator.errors import ApiError
from daemon.simulator.gateway import Gateway
from daemon.simulator.userstream import KEY_LENGTH, LIFETIME_NS, ListenKeys
from tests.daemon.simulator.conftest import Kit, Outbox
from tests.daemon.simulator.usdm.conftest import FuturesKit

API_KEY = "k" * 64
KEY0 = "key0-key1-key2-"


def keys() -> ListenKeys:
    number = itertools.count()
    return ListenKeys(lambda: f"key{next(number)}-")


@pytest.fixture
def kit() -> FuturesKit:
    return FuturesKit()


def test_a_key_lives_an_hour_from_when_it_was_last_asked_for():
    one = keys()
    assert one.start("main", 0) == one.start("main", LIFETIME_NS - 1) == KEY0
    assert one.owner(KEY0, 2 * LIFETIME_NS - 2) == "main"
    assert one.expire(2 * LIFETIME_NS - 1) == [("main", KEY0)]
    with pytest.raises(ApiError, match="does not exist"):
        one.keep("main", 2 * LIFETIME_NS)
    assert one.start("main", 2 * LIFETIME_NS) == "key3-key4-key5-"


def test_a_stopped_key_leads_nowhere():
    one = keys()
    one.start("main", 0)
    one.stop("main")
    assert one.owner(KEY0, 1) is None


def listen(kit, path="/private/ws/{}"):
    kit.exchange.reporter.emit = kit.gateway._emit
    answer = kit.gateway.request("POST", "/fapi/v1/listenKey", {"x-mbx-apikey": API_KEY}, "", "a")
    key = msgspec.json.decode(answer.body)["listenKey"]
    outbox = Outbox()
    session = kit.gateway.connect(path.format(key), outbox, "a").session
    return session, outbox, key


@pytest.mark.parametrize("path", ["/ws/{}", "/private/ws/{}", "/private/ws?listenKey={}"])
def test_who_has_the_key_hears_of_the_account_from_there_on(kit, path):
    session, outbox, _ = listen(kit, path)
    kit.buy("0.2")
    assert [one["e"] for one in outbox.take()] == [
        "ORDER_TRADE_UPDATE",
        "ACCOUNT_UPDATE",
        "ORDER_TRADE_UPDATE",
    ]
    session.closed()
    kit.buy("0.2")
    assert outbox.take() == []


def test_a_combined_stream_wraps_its_events(kit):
    _, outbox, key = listen(kit, "/private/stream?streams={}")
    kit.buy("0.2")
    assert {one["stream"] for one in outbox.take()} == {key}


def test_a_key_that_nobody_renews_ends_with_an_event_and_is_deaf_from_then_on(kit):
    _, outbox, key = listen(kit)
    kit.time.advance(kit.time.now_ns() + LIFETIME_NS)
    kit.trade("1000", "0.001", buyer_is_maker=True)
    (event,) = outbox.take()
    assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
    kit.buy("0.2")
    assert outbox.take() == []
    assert kit.call("PUT", "listenKey")["code"] == -1125


def test_a_key_may_be_subscribed_to_as_a_stream(kit):
    _, outbox, key = listen(kit, "/private/stream")
    session, _, _ = listen(kit, "/private/stream")
    session.outbox = outbox
    session.receive(msgspec.json.encode({"id": 1, "method": "SUBSCRIBE", "params": [key]}))
    kit.buy("0.2")
    answer, *events = outbox.take()
    assert answer == {"result": None, "id": 1}
    assert [one["stream"] for one in events] == [key] * 3
    assert events[0]["data"]["e"] == "ORDER_TRADE_UPDATE"
    kit.time.advance(kit.time.now_ns() + LIFETIME_NS)
    kit.trade("1000", "0.001", buyer_is_maker=True)
    (ended,) = outbox.take()
    assert ended["data"]["e"] == "listenKeyExpired"
    kit.buy("0.2")
    assert outbox.take() == []


class TestSpot:
    """Spot had listen keys until 2026-02-20."""

    @pytest.fixture
    def kit(self):
        one = Kit()
        one.exchange.listen_keys = ListenKeys(one.exchange.new_id)
        one.gateway = Gateway(one.exchange, "spot", one.keyring, one.limits)
        return one

    def ask(self, kit, verb, query=""):
        path = f"/api/v3/userDataStream{query}"
        return kit.gateway.request(verb, path, {"x-mbx-apikey": API_KEY}, "", "a")

    def test_it_has_none_unless_it_is_told_to(self):
        answer = self.ask(Kit(), "POST")
        assert (answer.status, answer.headers["Content-Type"]) == (410, "text/html")

    def test_a_key_leads_to_the_accounts_events_until_it_is_ended(self, kit):
        key = msgspec.json.decode(self.ask(kit, "POST").body)["listenKey"]
        assert len(key) == KEY_LENGTH
        outbox = Outbox()
        kit.gateway.connect(f"/ws/{key}", outbox, "a")
        kit.order(price="99", quantity="1")
        assert [one["e"] for one in outbox.take()] == ["executionReport", "outboundAccountPosition"]
        assert self.ask(kit, "PUT", f"?listenKey={key}").body == b"{}"
        assert msgspec.json.decode(self.ask(kit, "PUT", "?listenKey=other").body)["code"] == -1125
        assert self.ask(kit, "DELETE", f"?listenKey={key}").body == b"{}"
        assert msgspec.json.decode(self.ask(kit, "PUT", f"?listenKey={key}").body)["code"] == -1125


def test_a_foreign_key_opens_a_market_stream_at_most(kit):
    outbox = Outbox()
    session = kit.gateway.connect("/ws/nobodyskey", outbox, "a").session
    kit.buy("0.2")
    assert outbox.take() == []
    assert type(session).__name__ == "MarketSession"
