from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.instruments import Instrument, make_instrument
from daemon.orders.order import Order
from daemon.venues.binance_requests import OrderRequests, cancel_id, original_id, request
from daemon.venues.signing import HmacSigner, sorted_payload
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET

SIGNER = HmacSigner("apikeyapikey", "secretsecret")


def instrument(tick: str = "0.01", lot: str = "0.00001") -> Instrument:
    return make_instrument(
        0,
        "binance",
        "spot",
        "BTC/USDT",
        tick_size=tick,
        lot_size=lot,
        qty_min=lot,
        qty_max="9000",
        notional_min="5",
    )


def order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "client_order_id": "demo-7-1",
        "seq": 1,
        "strategy": 0,
        "instrument": 0,
        "slot": 0,
        "row": 0,
        "kind": TARGET,
        "level": 0,
        "side": BUY,
        "price_ticks": 6173763,
        "qty_lots": 1200,
        "reduces": False,
    }
    return Order(**(fields | changes))


def verified(frame: bytes) -> dict[str, Any]:
    """A request's parameters, its signature checked against the plain definition and taken out."""
    params: dict[str, Any] = json.loads(frame)["params"]
    signature = params.pop("signature")
    assert signature == hmac.new(b"secretsecret", sorted_payload(params), hashlib.sha256).hexdigest()
    assert params.pop("apiKey") == "apikeyapikey"
    return params


def test_a_target_is_a_limit_order_that_takes_or_expires() -> None:
    frame = OrderRequests([instrument()], None, 5000).place(7, order(), 1700000000000)
    assert frame == (
        b'{"id":7,"method":"order.place","params":{"newClientOrderId":"demo-7-1","price":"61737.63",'
        b'"quantity":"0.01200","selfTradePreventionMode":"EXPIRE_TAKER","side":"BUY","symbol":"BTCUSDT",'
        b'"timeInForce":"IOC",'
        b'"timestamp":1700000000000,"type":"LIMIT"}}'
    )


def test_a_rest_is_post_only_and_a_stop_has_a_trigger_and_no_price() -> None:
    requests = OrderRequests([instrument()], SIGNER, 5000)
    rest = verified(requests.place(1, order(kind=REST, side=SELL), 5))
    assert rest == {
        "newClientOrderId": "demo-7-1",
        "price": "61737.63",
        "quantity": "0.01200",
        "selfTradePreventionMode": "EXPIRE_TAKER",
        "side": "SELL",
        "symbol": "BTCUSDT",
        "timestamp": 5,
        "type": "LIMIT_MAKER",
    }
    stop = verified(requests.place(2, order(kind=STOP, side=SELL), 5))
    assert stop == {
        "newClientOrderId": "demo-7-1",
        "stopPrice": "61737.63",
        "quantity": "0.01200",
        "selfTradePreventionMode": "EXPIRE_MAKER",  # its end would leave the position unprotected
        "side": "SELL",
        "symbol": "BTCUSDT",
        "timestamp": 5,
        "type": "STOP_LOSS",
    }


def test_a_replacement_names_the_old_order_and_the_new_one() -> None:
    new = order(kind=REST, client_order_id="demo-7-22")
    frame = OrderRequests([instrument()], None, 5000).replace(
        7, new, order(venue_order_id="42"), 1700000000000
    )
    assert frame == (
        b'{"id":7,"method":"order.cancelReplace","params":{"cancelNewClientOrderId":"demo-7-1-c",'
        b'"cancelOrigClientOrderId":"demo-7-1","cancelReplaceMode":"STOP_ON_FAILURE",'
        b'"newClientOrderId":"demo-7-22","price":"61737.63","quantity":"0.01200",'
        b'"selfTradePreventionMode":"EXPIRE_TAKER","side":"BUY","symbol":"BTCUSDT",'
        b'"timestamp":1700000000000,"type":"LIMIT_MAKER"}}'
    )
    signed = verified(OrderRequests([instrument()], SIGNER, 3000).replace(1, new, order(), 9))
    assert (signed["cancelNewClientOrderId"], signed["newClientOrderId"]) == ("demo-7-1-c", "demo-7-22")


def test_an_id_without_room_for_the_mark_keeps_its_name() -> None:
    long = "d" * 35
    requests = OrderRequests([instrument()], SIGNER, 5000)
    new = order(kind=REST, side=SELL, client_order_id="e" * 36)
    signed = verified(requests.replace(1, new, order(client_order_id=long), 9))
    assert (signed["cancelNewClientOrderId"], signed["cancelOrigClientOrderId"]) == (long, long)
    assert (signed["newClientOrderId"], signed["side"]) == ("e" * 36, "SELL")


def test_cancel_amend_query_and_trades_name_the_order() -> None:
    requests = OrderRequests([instrument()], SIGNER, 3000)
    common = {"symbol": "BTCUSDT", "timestamp": 9, "recvWindow": 3000}
    known = order(venue_order_id="42")
    named = {"newClientOrderId": "demo-7-1-c", "origClientOrderId": "demo-7-1"}
    assert verified(requests.cancel(1, order(), 9)) == common | named
    assert verified(requests.cancel(1, known, 9)) == common | {
        "newClientOrderId": "demo-7-1-c",
        "orderId": 42,
    }
    assert verified(requests.amend(1, known, 700, 9)) == common | {
        "newClientOrderId": "demo-7-1",
        "origClientOrderId": "demo-7-1",
        "newQty": "0.00700",
    }
    assert verified(requests.query(1, order(), 9)) == common | {"origClientOrderId": "demo-7-1"}
    assert verified(requests.query(1, known, 9)) == common | {"orderId": 42}
    assert verified(requests.trades(1, 0, 42, 9)) == common | {"orderId": 42, "limit": 1000}


@pytest.mark.parametrize(
    ("method", "frame"),
    [
        ("order.cancel", OrderRequests([instrument()], None, 5000).cancel(3, order(), 9)),
        ("order.amend.keepPriority", OrderRequests([instrument()], None, 5000).amend(3, order(), 7, 9)),
        ("order.status", OrderRequests([instrument()], None, 5000).query(3, order(), 9)),
        ("myTrades", OrderRequests([instrument()], None, 5000).trades(3, 0, 42, 9)),
    ],
)
def test_after_a_logon_requests_carry_neither_key_nor_signature(method: str, frame: bytes) -> None:
    decoded = json.loads(frame)
    assert decoded["id"] == 3
    assert decoded["method"] == method
    assert not {"apiKey", "signature"} & decoded["params"].keys()


@given(
    st.sampled_from(["0.01", "0.5", "1", "5", "0.00000001", "0.025", "100"]),
    st.sampled_from(["0.00001", "1", "0.1", "0.25"]),
    st.integers(1, 10**12),
    st.integers(1, 10**12),
    st.sampled_from([TARGET, REST, STOP]),
    st.sampled_from([BUY, SELL]),
)
def test_prices_and_quantities_are_exact_on_every_grid(
    tick: str, lot: str, ticks: int, lots: int, kind: int, side: int
) -> None:
    one = order(price_ticks=ticks, qty_lots=lots, kind=kind, side=side)
    params = verified(OrderRequests([instrument(tick, lot)], SIGNER, 5000).place(1, one, 5))
    price = params["stopPrice" if kind == STOP else "price"]
    assert Decimal(price) == Decimal(tick) * ticks
    assert Decimal(params["quantity"]) == Decimal(lot) * lots
    assert "E" not in price + params["quantity"]
    assert params["side"] == ("BUY" if side == BUY else "SELL")


def test_a_cancel_marks_the_id_where_there_is_room() -> None:
    assert cancel_id("demo-7-1") == "demo-7-1-c"
    assert original_id("demo-7-1-c") == "demo-7-1"
    assert original_id("demo-7-1") == "demo-7-1"
    longest = "x" * 35
    assert cancel_id(longest) == longest


def test_any_other_request_is_signed_over_its_sorted_parameters() -> None:
    frame = request(4, "session.logon", {"timestamp": 5, "recvWindow": 5000}, SIGNER)
    assert verified(frame) == {"timestamp": 5, "recvWindow": 5000}
    assert json.loads(request(5, "time", {})) == {"id": 5, "method": "time", "params": {}}
