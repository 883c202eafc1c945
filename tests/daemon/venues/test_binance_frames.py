from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import FrameError
from daemon.events import ExecutionReport
from daemon.instruments import make_instrument
from daemon.orders.order import Order
from daemon.venues.binance_frames import OrderFrames
from daemon.venues.binance_wire import ExecutionEvent, Message
from kernels.dtypes import BUY, REST, SELL

if TYPE_CHECKING:
    import msgspec

INSTRUMENT = make_instrument(
    3,
    "binance",
    "spot",
    "BTC/USDT",
    tick_size="0.01000000",
    lot_size="0.00001000",
    qty_min="0.00001",
    qty_max="9000",
    notional_min="5",
)
FRAMES = OrderFrames([INSTRUMENT])
ORDER = Order(
    client_order_id="demo-7-1",
    seq=1,
    strategy=0,
    instrument=3,
    slot=0,
    row=0,
    kind=REST,
    level=0,
    side=BUY,
    price_ticks=2341610,
    qty_lots=847,
    reduces=False,
)

NEW = (
    b'{"subscriptionId":0,"event":{"e":"executionReport","E":1499405658658,"s":"BTCUSDT","c":"demo-7-1",'
    b'"S":"BUY","o":"LIMIT_MAKER","f":"GTC","q":"0.00847000","p":"23416.10000000","P":"0.00000000",'
    b'"F":"0.00000000","g":-1,"C":"","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.00000000",'
    b'"z":"0.00000000","L":"0.00000000","n":"0","N":null,"T":1499405658657,"t":-1,"I":8641984,"w":true,'
    b'"m":false,"M":false,"O":1499405658657,"Z":"0.00000000","Y":"0.00000000","Q":"0.00000000",'
    b'"W":1499405658657,"V":"NONE"}}'
)


def event(**changes: Any) -> bytes:
    message = json.loads(NEW)
    message["event"] |= changes
    return json.dumps(message).encode()


def execution(frame: bytes) -> ExecutionReport:
    parsed = FRAMES.message(frame).event
    assert type(parsed) is ExecutionEvent
    report = FRAMES.execution(parsed, 77)
    assert report is not None
    return report


def result(value: Any) -> msgspec.Raw:
    return FRAMES.message(json.dumps({"id": 1, "status": 200, "result": value}).encode()).result


# --- execution reports -------------------------------------------------------------------------------------
def test_a_new_order_is_told_whole() -> None:
    assert execution(NEW) == ExecutionReport(
        kind="NEW",
        client_order_id="demo-7-1",
        instrument=3,
        wire_ns=77,
        exch_ns=1499405658657000000,
        venue_order_id="4293153",
        side=BUY,
        price_ticks=2341610,
        qty_lots=847,
        status="NEW",
    )


def test_a_trade_brings_its_number_price_quantity_and_fee() -> None:
    frame = event(
        x="TRADE", X="PARTIALLY_FILLED", S="SELL", l="0.00500000", z="0.00600000", L="23416.09000000",
        n="0.00000750", N="BNB", t=1650422481, m=True, T=1499405658657123,
    )  # fmt: skip
    assert execution(frame) == ExecutionReport(
        kind="TRADE",
        client_order_id="demo-7-1",
        instrument=3,
        wire_ns=77,
        exch_ns=1499405658657123000,  # asked for in microseconds
        venue_order_id="4293153",
        side=SELL,
        price_ticks=2341610,
        qty_lots=847,
        cum_lots=600,
        trade_id=1650422481,
        last_ticks=2341609,
        last_lots=500,
        is_maker=True,
        commission=Decimal("0.00000750"),
        commission_asset="BNB",
        status="PARTIALLY_FILLED",
    )


@pytest.mark.parametrize(
    ("changes", "client_order_id"),
    [
        ({"c": "cancel-request", "C": "demo-7-1"}, "demo-7-1"),
        ({"c": "demo-7-1", "C": ""}, "demo-7-1"),  # by the exchange itself
        ({"c": "demo-7-1-c", "C": ""}, "demo-7-1"),
    ],
)
def test_a_cancelled_order_keeps_its_own_id(changes: dict[str, str], client_order_id: str) -> None:
    report = execution(event(x="CANCELED", X="CANCELED", z="0.00100000", **changes))
    assert (report.kind, report.client_order_id, report.cum_lots) == ("CANCELED", client_order_id, 100)


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"x": "REPLACED", "X": "NEW", "q": "0.00500000"}, "REPLACED", ""),
        ({"x": "REJECTED", "X": "REJECTED", "r": "OCO_BAD_PRICES"}, "REJECTED", "OCO_BAD_PRICES"),
        ({"x": "EXPIRED", "X": "EXPIRED", "eR": "OCO_TRIGGER"}, "EXPIRED", "OCO_TRIGGER"),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH"}, "EXPIRED", "TRADE_PREVENTION"),
        ({"x": "TRADE_PREVENTION", "X": "NEW"}, "STATUS", "TRADE_PREVENTION"),
    ],
)  # fmt: skip
def test_every_execution_type_has_its_kind(changes: dict[str, str], kind: str, reason: str) -> None:
    report = execution(event(**changes))
    assert (report.kind, report.reason) == (kind, reason)
    assert report.qty_lots == (500 if kind == "REPLACED" else 847)


def test_a_stop_is_told_by_its_trigger() -> None:
    report = execution(event(o="STOP_LOSS", p="0.00000000", P="20000.00000000"))
    assert report.price_ticks == 2_000_000


def test_a_symbol_that_is_not_ours_says_nothing_to_us() -> None:
    parsed = FRAMES.message(event(s="ETHBTC")).event
    assert type(parsed) is ExecutionEvent
    assert FRAMES.execution(parsed, 77) is None


# --- answers -----------------------------------------------------------------------------------------------
def fill(price: str, qty: str, commission: str, trade_id: int) -> dict[str, Any]:
    return {
        "price": price,
        "qty": qty,
        "commission": commission,
        "commissionAsset": "BNB",
        "tradeId": trade_id,
    }


FULL = {
    "symbol": "BTCUSDT",
    "orderId": 12569099453,
    "orderListId": -1,
    "clientOrderId": "demo-7-1",
    "transactTime": 1660801715793,
    "price": "23416.10000000",
    "origQty": "0.00847000",
    "executedQty": "0.00847000",
    "status": "FILLED",
    "side": "BUY",
    "type": "LIMIT",
    "fills": [
        fill("23416.10000000", "0.00635000", "0.1", 81),
        fill("23416.50000000", "0.00212000", "0.2", 82),
    ],
}


def test_an_answer_with_fills_is_its_trades() -> None:
    first, second = FRAMES.placed(result(FULL), ORDER, 77)
    assert (first.venue_order_id, second.venue_order_id) == ("12569099453", "12569099453")
    assert (first.kind, first.trade_id, first.last_ticks, first.last_lots) == ("TRADE", 81, 2341610, 635)
    assert (first.cum_lots, first.status, first.is_maker) == (635, "PARTIALLY_FILLED", False)
    assert (second.cum_lots, second.status, second.last_ticks) == (847, "FILLED", 2341650)
    assert (second.commission, second.commission_asset) == (Decimal("0.2"), "BNB")
    assert second.exch_ns == 1660801715793000000


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["TRADE", "TRADE"]),
        ({"status": "EXPIRED", "executedQty": "0.0", "fills": []}, ["NEW", "EXPIRED"]),
        ({"status": "EXPIRED_IN_MATCH", "executedQty": "0.0", "fills": []}, ["NEW", "EXPIRED"]),
        ({"status": "EXPIRED"}, ["TRADE", "TRADE", "EXPIRED"]),
        ({"status": "REJECTED", "executedQty": "0.0", "fills": []}, ["NEW", "REJECTED"]),
        ({"fills": []}, ["NEW", "STATUS"]),  # traded, and it does not say how
        ({"status": "", "executedQty": "0", "fills": []}, ["NEW"]),
    ],
)
def test_an_answer_says_how_far_the_order_has_come(changes: dict[str, Any], kinds: list[str]) -> None:
    reports = FRAMES.placed(result(FULL | changes), ORDER, 77)
    assert [report.kind for report in reports] == kinds
    assert all(report.client_order_id == "demo-7-1" for report in reports)
    if reports[-1].kind in {"EXPIRED", "STATUS"}:
        assert reports[-1].cum_lots == (0 if changes.get("executedQty") == "0.0" else 847)


def test_the_shortest_answer_is_an_acceptance() -> None:
    ack = result({"symbol": "BTCUSDT", "orderId": 5, "clientOrderId": "demo-7-1", "transactTime": 9})
    (report,) = FRAMES.placed(ack, ORDER, 77)
    assert (report.kind, report.venue_order_id) == ("NEW", "5")


def test_a_cancel_an_amend_and_a_query_are_answered() -> None:
    row = FULL | {"clientOrderId": "demo-7-1-c", "origClientOrderId": "demo-7-1", "origQty": "0.00800000"}
    canceled = FRAMES.canceled(result(row | {"status": "CANCELED", "executedQty": "0.001"}), ORDER, 77)
    assert (canceled.kind, canceled.client_order_id) == ("CANCELED", "demo-7-1")
    assert (canceled.cum_lots, canceled.qty_lots) == (100, 800)
    amended = {
        "transactTime": 9,
        "executionId": 1,
        "amendedOrder": {"orderId": 5, "qty": "0.005", "executedQty": "0"},
    }
    replaced = FRAMES.amended(result(amended), ORDER, 77)
    assert (replaced.kind, replaced.qty_lots, replaced.venue_order_id) == ("REPLACED", 500, "5")
    status = FRAMES.status(result(row | {"updateTime": 8, "status": "CANCELED"}), ORDER, 77)
    assert (status.kind, status.status, status.cum_lots) == ("STATUS", "CANCELED", 847)
    assert (status.client_order_id, status.price_ticks, status.exch_ns) == ("demo-7-1", 2341610, 8_000_000)


def test_listed_trades_become_reports() -> None:
    row = {
        "symbol": "BTCUSDT", "id": 28457, "orderId": 100234, "price": "4.01", "qty": "12.00000000",
        "commission": "10.10000000", "commissionAsset": "BNB", "time": 1499865549590, "isBuyer": False,
        "isMaker": True,
    }  # fmt: skip
    (trade,) = FRAMES.trades(json.dumps([row]).encode())
    report = FRAMES.trade(trade, 3, "demo-7-1", 77, cum_lots=1_200_000)
    assert report == ExecutionReport(
        kind="TRADE",
        client_order_id="demo-7-1",
        instrument=3,
        wire_ns=77,
        exch_ns=1499865549590000000,
        venue_order_id="100234",
        side=SELL,
        cum_lots=1_200_000,
        trade_id=28457,
        last_ticks=401,
        last_lots=1_200_000,
        is_maker=True,
        commission=Decimal("10.1"),
        commission_asset="BNB",
    )


def test_an_error_carries_its_code_and_when_to_come_back() -> None:
    message = FRAMES.message(
        b'{"id":9,"status":418,"error":{"code":-1003,"msg":"Too much",'
        b'"data":{"serverTime":1,"retryAfter":5}}}'
    )
    assert message.error is not None
    assert (message.id, message.status, message.error.code) == (9, 418, -1003)
    assert message.error.data is not None
    assert message.error.data.retryAfter == 5


# --- bad input ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "json"),
        (b'{"id":7,"stat', "json"),
        (b"\xff\xfe", "json"),
        (b"[]", "type"),
        (b'{"id":[1]}', "type"),
        (b'{"id":7,"status":"ok"}', "type"),
        (event(q=5), "type"),
        (event(t="x"), "type"),
        (event(e="somethingNew"), "event"),
        (b'{"event":{"E":5}}', "type"),
    ],
)
def test_a_malformed_frame_is_refused_with_its_reason(frame: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as refused:
        FRAMES.message(frame)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"q": "0.000001"}, "grid"),
        ({"q": "NaN"}, "number"),
        ({"q": "-1"}, "number"),
        ({"q": "1e5"}, "number"),
        ({"q": "1_0"}, "number"),
        ({"q": ""}, "number"),
        ({"q": "1" * 5000}, "number"),
        ({"p": "23416.105"}, "grid"),
        ({"S": "BOTH"}, "type"),
        ({"x": "TRADE", "n": "NaN"}, "number"),
        ({"x": "TRADE", "n": "much"}, "number"),
        ({"x": "TRADE", "l": "0.000005"}, "grid"),
    ],
)
def test_an_event_whose_numbers_are_none_is_refused(changes: dict[str, str], reason: str) -> None:
    with pytest.raises(FrameError) as refused:
        execution(event(**changes))
    assert refused.value.reason == reason


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_frame_error(payload: bytes) -> None:
    with suppress(FrameError):
        FRAMES.message(payload)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(st.sampled_from(sorted(json.loads(NEW)["event"])), VALUES, max_size=4))
def test_no_event_raises_anything_but_a_frame_error(changes: dict[str, Any]) -> None:
    with suppress(FrameError):
        parsed = FRAMES.message(event(**changes)).event
        if type(parsed) is ExecutionEvent:
            FRAMES.execution(parsed, 1)


@given(st.dictionaries(st.sampled_from(sorted(FULL)), VALUES, max_size=3))
def test_no_answer_raises_anything_but_a_frame_error(changes: dict[str, Any]) -> None:
    for read in (FRAMES.placed, FRAMES.canceled, FRAMES.amended, FRAMES.status):
        with suppress(FrameError):  # of the envelope too: infinity, say, is no JSON
            read(result(FULL | changes), ORDER, 1)


def test_an_empty_message_is_nobody_s_answer() -> None:
    assert FRAMES.message(b"{}") == Message()
