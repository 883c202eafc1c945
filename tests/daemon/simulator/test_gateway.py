import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from daemon.simulator.auth import Key, Keyring, query_payload
from daemon.simulator.gateway import Gateway, time_unit
from daemon.simulator.rates import Limits
from daemon.simulator.streams import MarketSession
from daemon.simulator.wsapi import ApiSession
from tests.daemon.simulator.conftest import Kit


def body(answer):
    return msgspec.json.decode(answer.body)


def test_paths_and_verbs_that_do_not_exist_are_refused(kit):
    gone = kit.rest("GET", "nowhere")
    assert (gone.status, gone.headers["Content-Type"]) == (404, "text/html")
    assert b"404 Not Found" in gone.body
    assert kit.rest("PATCH", "ping").status == 405
    assert kit.gateway.request("GET", "/elsewhere", {}, "", "a").status == 404


@pytest.mark.parametrize("path", ["order/oco", "orderList/oto", "openOrderList", "ticker/tradingDay"])
def test_what_spot_has_and_this_exchange_has_not_is_refused_by_a_code(kit, path):
    answer = kit.rest("GET", path)
    assert (answer.status, body(answer)["code"]) == (400, -1020)


def test_a_parameter_sent_twice_is_refused(kit):
    answer = kit.gateway.request("GET", "/api/v3/depth?symbol=A&symbol=B", {}, "", "a")
    assert body(answer)["code"] == -1101


def test_each_answer_tells_the_weight_used_by_this_address(kit):
    assert kit.rest("GET", "exchangeInfo").headers["X-MBX-USED-WEIGHT-1M"] == "20"
    assert kit.rest("GET", "ping").headers["X-MBX-USED-WEIGHT"] == "21"
    assert kit.rest("GET", "ping", address="b").headers["X-MBX-USED-WEIGHT"] == "1"


def test_no_answer_tells_of_a_weight_without_limit(make_kit):
    headers = make_kit(Limits(weight_1m=0)).rest("GET", "exchangeInfo").headers
    assert "X-MBX-USED-WEIGHT-1M" not in headers
    assert "X-MBX-USED-WEIGHT" not in headers


def test_a_placed_order_tells_the_order_counts(kit):
    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "price": "90",
        "quantity": "1",
    }
    answer = kit.signed("POST", "order", **order)
    assert (answer.headers["X-MBX-ORDER-COUNT-10S"], answer.headers["X-MBX-ORDER-COUNT-1D"]) == ("1", "1")
    assert "X-MBX-ORDER-COUNT-10S" not in kit.signed("GET", "openOrders").headers


def test_over_the_weight_it_is_429_with_retry_after_and_then_a_ban(make_kit):
    kit = make_kit(Limits(weight_1m=20))
    kit.rest("GET", "exchangeInfo")
    answer = kit.rest("GET", "ping")
    assert (answer.status, body(answer)["code"]) == (429, -1003)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    for _ in range(11):
        answer = kit.rest("GET", "ping")
    assert answer.status == 418
    assert int(answer.headers["Retry-After"]) == 120
    assert kit.gateway.connect("/stream?streams=x", None, "a").status == 429
    kit.time.advance(kit.time.now_ns() + 121_000_000_000)
    assert kit.rest("GET", "ping").status == 200


def test_signed_requests_need_key_time_and_signature(kit):
    target = "/api/v3/account"
    assert body(kit.gateway.request("GET", target, {}, "", "a"))["code"] == -2014
    assert body(kit.gateway.request("GET", target, {"x-mbx-apikey": "nobody"}, "", "a"))["code"] == -2015
    key = {"x-mbx-apikey": kit.key.api_key}
    assert body(kit.gateway.request("GET", target, key, "", "a"))["code"] == -1102
    now = f"{target}?timestamp={kit.now_ms}"
    assert body(kit.gateway.request("GET", now, key, "", "a"))["code"] == -1102
    assert body(kit.gateway.request("GET", f"{now}&signature=00", key, "", "a"))["code"] == -1022
    assert body(kit.signed("GET", "account", timestamp=kit.now_ms - 6_000))["code"] == -1021
    assert kit.signed("GET", "account", timestamp=kit.now_ms - 6_000, recvWindow=7_000).status == 200


def test_a_signature_covers_the_percent_encoding_as_sent(kit):
    assert kit.signed("GET", "openOrders", symbol="BTC USDT").status == 400
    assert (
        body(kit.signed("GET", "openOrders", symbol="BTC USDT"))["code"] == -1121
    )  # signed well, not listed


def test_parameters_may_be_sent_in_the_body(kit):
    import hashlib
    import hmac
    from urllib.parse import urlencode

    form = urlencode(
        {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5", "timestamp": kit.now_ms}
    )
    signature = hmac.new(kit.key.secret, query_payload("", form), hashlib.sha256).hexdigest()
    headers = {"x-mbx-apikey": kit.key.api_key}
    answer = kit.gateway.request("POST", "/api/v3/order", headers, f"{form}&signature={signature}", "a")
    assert body(answer)["status"] == "FILLED"


def test_an_ed25519_key_signs_rest_requests(kit):
    private = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    gateway = Gateway(kit.exchange, "spot", Keyring([Key("ed", "main", public_key=public)]), Limits())
    query = f"timestamp={kit.now_ms}"
    signature = (
        base64.b64encode(private.sign(query.encode())).decode().replace("+", "%2B").replace("/", "%2F")
    )
    target = f"/api/v3/account?{query}&signature={signature.replace('=', '%3D')}"
    assert gateway.request("GET", target, {"x-mbx-apikey": "ed"}, "", "a").status == 200


def test_an_unknown_time_unit_is_refused(kit):
    assert body(kit.rest("GET", "time", timeUnit="FORTNIGHT"))["code"] == -1194
    assert time_unit("microsecond") == 1_000
    answer = kit.gateway.request("GET", "/api/v3/time", {"x-mbx-time-unit": "MICROSECOND"}, "", "a")
    assert body(answer)["serverTime"] == kit.now_ms * 1_000


def test_websocket_paths_lead_to_their_sessions(kit, make_outbox):
    def opened(path):
        return kit.gateway.connect(path, make_outbox(), "a")

    assert isinstance(opened("/ws-api/v3").session, ApiSession)
    combined = opened("/stream?streams=btcusdt@trade/btcusdt@bookTicker").session
    assert isinstance(combined, MarketSession)
    assert combined.combined
    raw = opened("/ws/btcusdt@trade").session
    assert isinstance(raw, MarketSession)
    assert not raw.combined
    assert opened("/elsewhere").status == 404
    assert kit.gateway.hub.streams() == ["btcusdt@trade", "btcusdt@bookTicker"]


def test_connections_and_streams_are_limited(make_kit, make_outbox):
    kit = make_kit(Limits(connections_5m=2, streams=2))
    assert kit.gateway.connect("/stream?streams=a@trade/b@trade/c@trade", make_outbox(), "a").status == 400
    assert kit.gateway.connect("/stream?streams=a@trade", make_outbox(), "a").session is not None
    assert kit.gateway.connect("/stream?streams=a@trade", make_outbox(), "a").status == 429


def test_connecting_to_the_websocket_api_costs_weight(make_kit, make_outbox):
    kit = make_kit(Limits(weight_1m=3))
    assert kit.gateway.connect("/ws-api/v3", make_outbox(), "a").session is not None
    assert kit.gateway.connect("/ws-api/v3", make_outbox(), "a").status == 429


def test_a_shutdown_is_announced_in_each_connections_form(kit, make_outbox):
    boxes = {}
    for path in ("/stream?streams=btcusdt@trade", "/ws/btcusdt@trade", "/ws-api/v3"):
        boxes[path] = make_outbox()
        kit.gateway.connect(path, boxes[path], "a")
    kit.gateway.shutdown()
    event = {"e": "serverShutdown", "E": kit.now_ms}
    assert [box.take() for box in boxes.values()] == [
        [{"stream": "!serverShutdown", "data": event}],
        [event],
        [{"event": event}],
    ]


def test_a_stream_may_be_asked_for_in_microseconds(kit, make_outbox):
    assert kit.gateway.connect("/ws/btcusdt@trade?timeUnit=microsecond", make_outbox(), "a").session.micro
    assert not kit.gateway.connect("/ws/btcusdt@trade", make_outbox(), "a").session.micro
    assert kit.gateway.connect("/ws/btcusdt@trade?timeUnit=hour", make_outbox(), "a").status == 400


paths = st.sampled_from(
    ["depth", "klines", "order", "order/test", "allOrders", "ticker/24hr", "exchangeInfo"]
)
verbs = st.sampled_from(["GET", "POST", "PUT", "DELETE"])
fields = st.sampled_from(
    ["symbol", "symbols", "limit", "interval", "side", "type", "price", "quantity", "orderId"]
)
values = st.text(max_size=12) | st.sampled_from(["BTCUSDT", "BUY", "LIMIT", "1", "1m", '["BTCUSDT"]'])


@given(verbs, paths, st.dictionaries(fields, values, max_size=6), st.booleans())
def test_any_request_at_all_is_answered_and_never_raises(verb, path, params, sign):
    kit = Kit()
    answer = (kit.signed if sign else kit.rest)(verb, path, **params)
    assert answer.status in (200, 400, 401, 405)
    assert answer.status == 405 or body(answer) is not None


@pytest.mark.parametrize(("market", "path"), [("usdm", "/fapi/v1/depth"), ("coinm", "/dapi/v1/depth")])
def test_a_futures_front_answers_under_its_own_prefix(kit, make_symbol, market, path):
    from random import Random

    from daemon.simulator.exchange import Exchange

    symbol = make_symbol("BTC/USDT" if market == "usdm" else "BTC/USD", market)
    exchange = Exchange([symbol], [], kit.time, Random(1))
    gateway = Gateway(exchange, market, kit.keyring, Limits())
    exchange.market(symbol.name).snapshot(9, b'{"bids":[["100.10","1"]],"asks":[]}')
    book = body(gateway.request("GET", f"{path}?symbol={symbol.name}", {}, "", "a"))
    assert (book["lastUpdateId"], book["E"]) == (9, kit.now_ms)
    assert gateway.request("GET", path.replace("depth", "account"), {}, "", "a").status == 404
    assert gateway.connect("/ws-api/v3", None, "a").status == 404
    info = body(gateway.request("GET", path.replace("depth", "exchangeInfo"), {}, "", "a"))
    assert info["symbols"][0]["contractType"] == "PERPETUAL"
