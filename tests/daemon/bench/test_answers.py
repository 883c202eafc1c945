import numpy as np

from daemon.bench import frames
from daemon.bench.answers import answers
from daemon.orders.order import Order
from daemon.venues.binance_frames import OrderFrames
from kernels.dtypes import BUY, TARGET

REQUEST = (
    b'{"id":31,"method":"order.place","params":{"newClientOrderId":"bench-9-7","price":"62000.42",'
    b'"quantity":"0.20013","side":"BUY","symbol":"B003USDT"}}'
)


def filled(text):
    request = np.frombuffer(REQUEST, np.uint8).copy()
    fields = np.zeros((frames.REQUEST_FIELDS, 2), np.int64)
    frames.read_request(request, 0, request.size, fields)
    numbers = np.array([7, 8, 9, 1_700_000_000_123, 6_000_001], np.int64)
    out = np.zeros(4096, np.uint8)
    return out[: frames.fill(text, out, 0, request, fields, numbers)].tobytes()


def an_order():
    return Order(
        client_order_id="bench-9-7",
        seq=7,
        strategy=3,
        instrument=3,
        slot=0,
        row=0,
        kind=TARGET,
        level=0,
        side=BUY,
        price_ticks=6_200_042,
        qty_lots=20_013,
        reduces=False,
    )


def test_the_answer_to_an_order_is_read_as_filled(instruments):
    decoder = OrderFrames(instruments)
    message = decoder.message(filled(answers().answer))
    assert (message.id, message.status, len(decoder.limits(message.rateLimits))) == (31, 200, 3)
    (trade,) = decoder.placed(message.result, an_order(), 5)
    assert (trade.kind, trade.status) == ("TRADE", "FILLED")
    assert (trade.last_lots, trade.last_ticks, trade.trade_id) == (20_013, 6_000_001, 8)


def test_the_reports_are_read_as_accepted_and_filled(instruments):
    decoder = OrderFrames(instruments)
    new = decoder.execution(decoder.message(filled(answers().new)).event, 5)
    trade = decoder.execution(decoder.message(filled(answers().trade)).event, 5)
    assert (new.kind, new.status, new.cum_lots) == ("NEW", "NEW", 0)
    assert (trade.kind, trade.status, trade.cum_lots, trade.last_lots) == ("TRADE", "FILLED", 20_013, 20_013)
    for report in (new, trade):
        assert (report.client_order_id, report.instrument, report.venue_order_id) == ("bench-9-7", 3, "7")
        assert (report.price_ticks, report.qty_lots, report.side) == (6_200_042, 20_013, BUY)


def test_the_time_is_told_in_milliseconds(instruments):
    decoder = OrderFrames(instruments)
    message = decoder.message(filled(answers().time))
    assert decoder.server_time(message.result) == 1_700_000_000_123_000_000


def test_http_tells_the_same_result(instruments):
    decoder = OrderFrames(instruments)
    reports = decoder.placed(filled(answers().result), an_order(), 5)
    assert [one.kind for one in reports] == ["TRADE"]
