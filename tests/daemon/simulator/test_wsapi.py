import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from daemon.simulator.auth import Key, sorted_payload
from daemon.simulator.rates import Limits
from tests.daemon.simulator.conftest import Kit

ORDER = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "price": "100.01",
    "quantity": "0.5",
}


def test_an_order_is_answered_first_and_reported_after(kit, ask):
    session, outbox = kit.connect()
    assert ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())["result"] == {
        "subscriptionId": 0
    }
    answer = ask(session, outbox, "order.place", kit.sign(**ORDER, newClientOrderId="t-1-1"))
    assert (answer["status"], answer["result"]["status"]) == (200, "FILLED")
    events = outbox.take()
    assert all(event["subscriptionId"] == 0 for event in events)
    assert [event["event"].get("x", event["event"]["e"]) for event in events] == [
        "NEW",
        "TRADE",
        "outboundAccountPosition",
    ]
    assert events[1]["event"]["c"] == "t-1-1"


def test_what_the_market_does_is_reported_at_once(kit, ask):
    session, outbox = kit.connect()
    ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())
    ask(session, outbox, "order.place", kit.sign(**(ORDER | {"price": "99.00"})))
    outbox.take()
    kit.trade("98.00", "5", buyer_is_maker=True)
    assert [event["event"]["e"] for event in outbox.take()] == ["executionReport", "outboundAccountPosition"]


def test_answers_carry_the_rate_limits_unless_unwanted(kit, ask):
    session, outbox = kit.connect()
    rates = ask(session, outbox, "order.place", kit.sign(**ORDER))["rateLimits"]
    assert [(row["rateLimitType"], row["count"]) for row in rates] == [
        ("ORDERS", 0),
        ("ORDERS", 0),
        ("REQUEST_WEIGHT", 3),
    ]
    assert "rateLimits" not in ask(session, outbox, "ping", {"returnRateLimits": False})
    session, outbox = kit.connect("/ws-api/v3?returnRateLimits=false")
    assert "rateLimits" not in ask(session, outbox, "ping")
    assert "rateLimits" in ask(session, outbox, "ping", {"returnRateLimits": True})


def test_a_methods_name_may_bear_its_version(kit, ask):
    session, outbox = kit.connect()
    assert ask(session, outbox, "v3/time")["result"] == {"serverTime": kit.now_ms}


@pytest.mark.parametrize(
    ("method", "params", "status", "code"),
    [
        ("order.place", {}, 400, -1102),
        ("order.unplace", {}, 400, -1020),
        ("depth", {"symbol": "NOPE"}, 400, -1121),
        ("userDataStream.subscribe", {}, 401, -2015),
        ("userDataStream.unsubscribe", {"subscriptionId": 4}, 400, -2036),
        ("time", {"returnRateLimits": "perhaps"}, 400, -1130),
        ("time", {"symbol": "BTCUSDT"}, 400, -1104),
    ],
)
def test_refusals_come_with_status_and_code(kit, ask, method, params, status, code):
    session, outbox = kit.connect()
    answer = ask(session, outbox, method, params)
    assert (answer["status"], answer["error"]["code"]) == (status, code)


def test_a_wrong_signature_and_an_old_time_are_refused(kit, ask):
    session, outbox = kit.connect()
    forged = kit.sign(**ORDER) | {"quantity": "0.6"}
    assert ask(session, outbox, "order.place", forged)["error"]["code"] == -1022
    old = kit.sign(**ORDER, timestamp=kit.now_ms - 5_001)
    assert ask(session, outbox, "order.place", old)["error"]["code"] == -1021
    assert kit.exchange.registry.orders == {}


def test_json_numbers_are_signed_as_their_text(kit, ask):
    session, outbox = kit.connect()
    params = kit.sign(**(ORDER | {"recvWindow": 5000, "quantity": 0.5}))
    assert ask(session, outbox, "order.place", params)["status"] == 200


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b'{"id":1}', b'{"method":5}', b'{"method":"ping","params":[1]}']
)
def test_what_is_no_request_is_refused(kit, text):
    session, outbox = kit.connect()
    session.receive(text)
    assert outbox.take()[0]["error"]["code"] == -1135


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
methods = st.sampled_from(
    ["order.place", "depth", "order.cancel", "session.logon", "userDataStream.unsubscribe", "klines"]
)
names = st.sampled_from(
    ["symbol", "apiKey", "timestamp", "signature", "limit", "orderId", "recvWindow", "interval"]
)


@given(methods | st.text(max_size=12), st.dictionaries(names | st.text(max_size=8), json_values, max_size=6))
def test_any_json_at_all_is_answered_and_never_raises(method, params):
    kit = Kit()
    session, outbox = kit.connect()
    session.receive(msgspec.json.encode({"id": "x", "method": method, "params": params}))
    (answer,) = outbox.take()
    assert answer["id"] == "x"
    assert ("result" in answer) != ("error" in answer)


def test_a_banned_address_is_told_so_and_disconnected(make_kit, ask):
    kit = make_kit(Limits(weight_1m=2))
    session, outbox = kit.connect()
    for _ in range(10):
        answer = ask(session, outbox, "ping")
        assert answer["status"] == 429
        assert answer["error"]["data"]["retryAfter"] > kit.now_ms
    answer = ask(session, outbox, "ping")
    assert (answer["status"], answer["error"]["code"]) == (418, -1003)
    assert outbox.ended is not None


# --- subscriptions and sessions ---
def test_an_account_is_subscribed_once_and_the_end_is_told(kit, ask):
    session, outbox = kit.connect()
    ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())
    assert ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())["error"]["code"] == -2035
    assert ask(session, outbox, "session.subscriptions")["result"] == [{"subscriptionId": 0}]
    assert ask(session, outbox, "userDataStream.unsubscribe")["result"] == {}
    assert outbox.take() == [{"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": kit.now_ms}}]
    assert ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())["result"] == {
        "subscriptionId": 1
    }


def test_a_closed_connection_hears_nothing_more(kit, ask):
    session, outbox = kit.connect()
    ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())
    session.closed()
    kit.order(price="90", quantity="1")
    assert outbox.take() == []


@pytest.fixture
def ed25519(kit):
    private = Ed25519PrivateKey.from_private_bytes(b"\3" * 32)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kit.keyring._keys["ed"] = Key("ed", "main", public_key=public)

    def sign(**params):
        full = {"apiKey": "ed", "timestamp": kit.now_ms} | params
        payload = sorted_payload({name: str(value) for name, value in full.items()})
        return full | {"signature": base64.b64encode(private.sign(payload)).decode()}

    return sign


def test_after_a_logon_requests_need_a_time_but_no_signature(kit, ask, ed25519):
    session, outbox = kit.connect()
    status = ask(session, outbox, "session.logon", ed25519())["result"]
    assert (status["apiKey"], status["authorizedSince"]) == ("ed", kit.now_ms)
    assert ask(session, outbox, "order.place", ORDER)["error"]["code"] == -1102  # no timestamp
    assert ask(session, outbox, "order.place", ORDER | {"timestamp": kit.now_ms})["status"] == 200
    assert ask(session, outbox, "userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    assert ask(session, outbox, "session.status")["result"]["userDataStream"] is True
    assert ask(session, outbox, "session.logout")["result"]["apiKey"] is None
    assert outbox.take()[0]["event"]["e"] == "eventStreamTerminated"
    assert ask(session, outbox, "order.place", ORDER | {"timestamp": kit.now_ms})["error"]["code"] == -1102


def test_a_logout_keeps_subscriptions_made_by_signature(kit, ask, ed25519):
    session, outbox = kit.connect()
    ask(session, outbox, "session.logon", ed25519())
    ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())
    ask(session, outbox, "session.logout")
    assert ask(session, outbox, "session.subscriptions")["result"] == [{"subscriptionId": 0}]


def test_an_hmac_key_cannot_log_on(kit, ask):
    session, outbox = kit.connect()
    assert ask(session, outbox, "session.logon", kit.sign())["error"]["code"] == -4056


def test_a_revoked_key_ends_the_sessions_rights(kit, ask, ed25519):
    session, outbox = kit.connect()
    ask(session, outbox, "session.logon", ed25519())
    kit.keyring.revoke("ed")
    answer = ask(session, outbox, "order.place", ORDER | {"timestamp": kit.now_ms})
    assert (answer["status"], answer["error"]["code"]) == (401, -2015)


def test_times_come_in_microseconds_where_the_connection_asked_for_them(kit, ask):
    session, outbox = kit.connect("/ws-api/v3?timeUnit=MICROSECOND")
    ask(session, outbox, "userDataStream.subscribe.signature", kit.sign())
    placed = ask(session, outbox, "order.place", kit.sign(**ORDER))
    assert placed["result"]["transactTime"] == kit.now_ms * 1_000
    assert {event["event"]["E"] for event in outbox.take()} == {kit.now_ms * 1_000}
