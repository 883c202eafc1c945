from __future__ import annotations

import itertools

import msgspec
import pytest

from daemon.simulator.errors import ApiError
from daemon.simulator.usdm.userstream import LIFETIME_NS, ListenKeys
from tests.daemon.simulator.conftest import Outbox

API_KEY = "k" * 64


def keys() -> ListenKeys:
    number = itertools.count()
    return ListenKeys(lambda: f"key{next(number)}")


def test_a_key_lives_an_hour_from_when_it_was_last_asked_for():
    one = keys()
    assert one.start("main", 0) == one.start("main", LIFETIME_NS - 1) == "key0"
    assert one.owner("key0", 2 * LIFETIME_NS - 2) == "main"
    assert one.expire(2 * LIFETIME_NS - 1) == [("main", "key0")]
    with pytest.raises(ApiError, match="does not exist"):
        one.keep("main", 2 * LIFETIME_NS)
    assert one.start("main", 2 * LIFETIME_NS) == "key1"


def test_a_stopped_key_leads_nowhere():
    one = keys()
    one.start("main", 0)
    one.stop("main")
    assert one.owner("key0", 1) is None


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


def test_a_foreign_key_opens_a_market_stream_at_most(kit):
    outbox = Outbox()
    session = kit.gateway.connect("/ws/nobodyskey", outbox, "a").session
    kit.buy("0.2")
    assert outbox.take() == []
    assert type(session).__name__ == "MarketSession"
