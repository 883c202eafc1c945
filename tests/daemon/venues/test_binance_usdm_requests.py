from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_usdm_requests import UsdmRequests
from kernels.dtypes import BUY, REST, SELL, STOP, TARGET
from tests.daemon.venues.test_binance_requests import SIGNER, instrument, order, verified

FUTURE = instrument("0.1", "0.001")


def test_a_target_is_a_limit_order_that_takes_or_expires() -> None:
    one = order(price_ticks=617376, qty_lots=12)
    frame = UsdmRequests([FUTURE], None, 5000).place(7, one, 1700000000000)
    assert frame == (
        b'{"id":7,"method":"order.place","params":{"newClientOrderId":"demo-7-1","price":"61737.6",'
        b'"quantity":"0.012","selfTradePreventionMode":"EXPIRE_TAKER","side":"BUY","symbol":"BTCUSDT",'
        b'"timeInForce":"IOC","timestamp":1700000000000,"type":"LIMIT"}}'
    )


def test_a_rest_is_post_only_and_says_that_it_reduces_where_it_does() -> None:
    one = order(kind=REST, side=SELL, price_ticks=617376, qty_lots=12, reduces=True)
    assert UsdmRequests([FUTURE], None, 5000).place(1, one, 5) == (
        b'{"id":1,"method":"order.place","params":{"newClientOrderId":"demo-7-1","price":"61737.6",'
        b'"quantity":"0.012","reduceOnly":"true","side":"SELL","symbol":"BTCUSDT","timeInForce":"GTX",'
        b'"timestamp":5,"type":"LIMIT"}}'
    )


def test_a_stop_waits_in_the_algo_service_and_always_reduces() -> None:
    one = order(kind=STOP, side=SELL, price_ticks=617376, qty_lots=12)
    assert UsdmRequests([FUTURE], None, 5000).place(1, one, 5) == (
        b'{"id":1,"method":"algoOrder.place","params":{"algoType":"CONDITIONAL","clientAlgoId":"demo-7-1",'
        b'"quantity":"0.012","reduceOnly":"true","side":"SELL","symbol":"BTCUSDT","timestamp":5,'
        b'"triggerPrice":"61737.6","type":"STOP_MARKET"}}'
    )


def test_cancels_amends_and_queries_name_the_order() -> None:
    requests = UsdmRequests([FUTURE], None, 5000)
    one = order(kind=REST, price_ticks=617376, qty_lots=12)
    assert requests.cancel(1, one, 5) == (
        b'{"id":1,"method":"order.cancel","params":{"origClientOrderId":"demo-7-1","symbol":"BTCUSDT",'
        b'"timestamp":5}}'
    )
    assert requests.amend(2, one, 7, 5) == (
        b'{"id":2,"method":"order.modify","params":{"origClientOrderId":"demo-7-1","price":"61737.6",'
        b'"quantity":"0.007","side":"BUY","symbol":"BTCUSDT","timestamp":5}}'
    )
    one.venue_order_id = "81"
    assert requests.cancel(3, one, 5) == (
        b'{"id":3,"method":"order.cancel","params":{"orderId":81,"symbol":"BTCUSDT","timestamp":5}}'
    )
    assert requests.query(4, one, 5) == (
        b'{"id":4,"method":"order.status","params":{"orderId":81,"symbol":"BTCUSDT","timestamp":5}}'
    )


def test_a_stop_is_cancelled_by_its_name_whatever_number_its_order_had() -> None:
    one = order(kind=STOP, venue_order_id="81")
    assert UsdmRequests([FUTURE], None, 5000).cancel(1, one, 5) == (
        b'{"id":1,"method":"algoOrder.cancel","params":{"clientAlgoId":"demo-7-1","symbol":"BTCUSDT",'
        b'"timestamp":5}}'
    )


@given(
    st.sampled_from(["0.1", "0.01", "1", "0.0001"]),
    st.sampled_from(["0.001", "1", "0.1"]),
    st.integers(1, 10**12),
    st.integers(1, 10**12),
    st.sampled_from([TARGET, REST, STOP]),
    st.sampled_from([BUY, SELL]),
    st.booleans(),
)
def test_every_order_is_signed_and_exact_on_every_grid(
    tick: str, lot: str, ticks: int, lots: int, kind: int, side: int, reduces: bool
) -> None:
    one = order(price_ticks=ticks, qty_lots=lots, kind=kind, side=side, reduces=reduces)
    params = verified(UsdmRequests([instrument(tick, lot)], SIGNER, 5000).place(1, one, 5))
    assert Decimal(params["triggerPrice" if kind == STOP else "price"]) == Decimal(tick) * ticks
    assert Decimal(params["quantity"]) == Decimal(lot) * lots
    assert params["side"] == ("BUY" if side == BUY else "SELL")
    assert ("reduceOnly" in params) is (reduces or kind == STOP)


@pytest.mark.parametrize("kind", [TARGET, REST, STOP])
def test_every_other_request_is_signed_too(kind: int) -> None:
    requests, one = UsdmRequests([FUTURE], SIGNER, 5000), order(kind=kind)
    for frame in (requests.cancel(1, one, 5), requests.amend(2, one, 7, 5), requests.query(3, one, 5)):
        assert verified(frame)["symbol"] == "BTCUSDT"
