import numpy as np
import pytest

from daemon.bench import frames
from daemon.bench.frames import CLIENT_ID, FILL_TICKS, ID, METHOD, ORDER_ID, PRICE, QTY, SIDE, SYMBOL

REQUEST = (
    b'{"id":31,"method":"order.place","params":{"apiKey":"k","newClientOrderId":"bench-9-7",'
    b'"price":"62000.42","quantity":"0.20013","selfTradePreventionMode":"EXPIRE_TAKER","side":"BUY",'
    b'"symbol":"B003USDT","timeInForce":"IOC","timestamp":1700000000000,"type":"LIMIT","signature":"ab"}}'
)
FIELDS = {
    ID: b"31",
    METHOD: b"order.place",
    CLIENT_ID: b"bench-9-7",
    SYMBOL: b"B003USDT",
    SIDE: b"BUY",
    PRICE: b"62000.42",
    QTY: b"0.20013",
}


def found(read, data):
    buffer, fields = np.frombuffer(data, np.uint8).copy(), np.zeros((frames.REQUEST_FIELDS, 2), np.int64)
    read(buffer, 0, len(data), fields)
    return {place: data[start:end] for place, (start, end) in enumerate(fields.tolist()) if end}


@pytest.mark.parametrize("payload", [b"", b"hi", b"x" * 125, b"y" * 126, b"z" * 300])
def test_a_masked_frame_is_found_and_read(payload, masked, array):
    data = b"before" + masked(payload) + b"after"
    buffer, where = array(data), np.zeros(3, np.int64)
    assert frames.frame_at(buffer, 6, len(data), where) == frames.TEXT
    start, end, following = where.tolist()
    assert buffer[start:end].tobytes() == payload
    assert data[following:] == b"after"


def test_an_unmasked_frame_and_a_close_are_read_too(array):
    where = np.zeros(3, np.int64)
    assert frames.frame_at(array(b"\x81\x02ok"), 0, 4, where) == frames.TEXT
    assert where.tolist() == [2, 4, 4]
    assert frames.frame_at(array(b"\x88\x00"), 0, 2, where) == frames.CLOSE


def test_a_frame_that_is_not_whole_is_left_as_it_is(masked, array):
    data = masked(b"y" * 200)
    for size in range(len(data)):
        buffer = array(data)
        assert frames.frame_at(buffer, 0, size, np.zeros(3, np.int64)) == frames.PARTIAL
        assert buffer.tobytes() == data


def test_the_fields_of_an_order_are_found():
    assert found(frames.read_request, REQUEST) == FIELDS


def test_a_request_without_an_order_has_no_fields_of_one():
    data = b'{"id":7,"method":"time","params":{}}'
    assert found(frames.read_request, data) == {ID: b"7", METHOD: b"time"}


def test_a_request_cut_anywhere_is_read_without_harm():
    for size in range(len(REQUEST)):
        found(frames.read_request, REQUEST[:size])


def test_the_fields_of_an_http_order_are_found():
    data = (
        b"POST /naive/api/v3/order?symbol=B003USDT&side=SELL&type=LIMIT&quantity=0.3&price=62000.07"
        b"&newClientOrderId=naive-1&signature=ab HTTP/1.1\r\nHost: 127.0.0.1?price=1"
    )
    assert found(frames.read_query, data) == {
        SYMBOL: b"B003USDT",
        SIDE: b"SELL",
        QTY: b"0.3",
        PRICE: b"62000.07",
        CLIENT_ID: b"naive-1",
    }


def test_the_digits_of_a_price_are_its_ticks(array):
    assert frames.digits(array(b"62000.42"), 0, 8) == 6_200_042


def test_a_template_is_filled_with_fields_numbers_and_prices(array):
    text = frames.template(
        b"{" + frames.field(SIDE) + b"," + frames.number(ORDER_ID) + b"," + frames.number(FILL_TICKS) + b"}"
    )
    request, fields = array(REQUEST), np.zeros((frames.REQUEST_FIELDS, 2), np.int64)
    frames.read_request(request, 0, request.size, fields)
    numbers = np.zeros(frames.NUMBERS, np.int64)
    for order_id, ticks, told in ((0, 6_000_007, b"{BUY,0,60000.07}"), (1234, 5, b"{BUY,1234,00000.05}")):
        numbers[ORDER_ID], numbers[FILL_TICKS] = order_id, ticks
        out = np.zeros(64, np.uint8)
        end = frames.fill(text, out, 2, request, fields, numbers)
        assert out[2:end].tobytes() == told


def test_a_header_makes_a_text_of_many_bytes_a_frame():
    out = np.zeros(304, np.uint8)
    out[4:] = ord("x")
    frames.write_header(out, 4, 300)
    where = np.zeros(3, np.int64)
    assert out[:4].tobytes() == b"\x81\x7e\x01\x2c"
    assert frames.frame_at(out, 0, 304, where) == frames.TEXT
    assert where.tolist() == [4, 304, 304]
