"""Replacing an order on Spot: one request, and each answer that the exchange documents, as it writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from daemon.events import NOT_SENT
from daemon.venues.binance_replacing import ReplacingBinanceVenue
from daemon.venues.binance_wire import RateLimit
from kernels.dtypes import REST
from tests.daemon.venues import test_binance as kit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

CANCELED = (
    b'{"symbol":"BTCUSDT","origClientOrderId":"demo-7-1","orderId":12,"orderListId":-1,'
    b'"clientOrderId":"demo-7-1-c","transactTime":1684804350068,"price":"23416.10000000",'
    b'"origQty":"0.00847000","executedQty":"0.00100000","cummulativeQuoteQty":"23.41610000",'
    b'"status":"CANCELED","timeInForce":"GTC","type":"LIMIT_MAKER","side":"BUY",'
    b'"selfTradePreventionMode":"EXPIRE_TAKER"}'
)
PLACED = (
    b'{"symbol":"BTCUSDT","orderId":13,"orderListId":-1,"clientOrderId":"demo-7-2",'
    b'"transactTime":1684804350068}'
)
#: what the cancel's answer says, without its time: so the exchange documents it where the other half failed
TIMELESS = CANCELED.replace(b'"transactTime":1684804350068,', b"")
UNKNOWN_ORDER = b'{"code":-2011,"msg":"Unknown order sent."}'
WOULD_TAKE = b'{"code":-2010,"msg":"Order would immediately match and take."}'


def halves(cancel: bytes, old: bytes, new: bytes, placed: bytes) -> bytes:
    return (
        b'{"cancelResult":"%b","newOrderResult":"%b","cancelResponse":%b,"newOrderResponse":%b}'
        % (cancel, new, old, placed)
    )  # fmt: skip


def done(data: bytes) -> bytes:
    return b'{"id":%%d,"status":200,"result":%b,"rateLimits":[]}' % data


def failed(status: int, code: int, data: bytes) -> bytes:
    text = b"Order cancel-replace partially failed." if code == -2021 else b"Order cancel-replace failed."
    error = b'{"code":%d,"msg":"%b","data":%b}' % (code, text, data)
    return b'{"id":%%d,"status":%d,"error":%b,"rateLimits":[]}' % (status, error)


def refused(status: int, code: int, text: bytes = b"why") -> bytes:
    return b'{"id":%%d,"status":%d,"error":{"code":%d,"msg":"%b"}}' % (status, code, text)


class Desk(kit.Desk):
    """A venue that replaces, and what it has heard: (kind, number of the order, code) of each report."""

    def __init__(self) -> None:
        super().__init__()
        old = self.venue
        self.venue = ReplacingBinanceVenue([kit.INSTRUMENT], kit.SIGNER, old._settings, old._seams)
        self.old, self.new = kit.order(1, kind=REST), kit.order(2, kind=REST, price_ticks=2341500)

    def replace(self) -> int:
        """Ask for it; return the request's number."""
        self.venue.replace(self.old, self.new)
        return int(self.line.requests[-1]["id"])

    @property
    def told(self) -> list[tuple[str, int, int]]:
        return [(one.kind, int(one.client_order_id[-1]), one.code) for one in self.sink.reports]


def run(scenario: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    kit.run(scenario, Desk())


def test_one_request_names_both_orders_and_counts_as_one() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        used, now_ms = desk.venue.budget.used, desk.time.now_ns() // 1_000_000
        desk.venue.on_limits([RateLimit("ORDERS", "DAY", 1, 100, 1)])
        before = used(now_ms)
        desk.replace()
        (request,) = desk.line.requests
        params = request["params"]
        assert request["method"] == "order.cancelReplace"
        signed = {name: params.pop(name) for name in ("apiKey", "signature", "timestamp")}
        assert params == {
            "cancelNewClientOrderId": "demo-7-1-c",
            "cancelOrigClientOrderId": "demo-7-1",
            "cancelReplaceMode": "STOP_ON_FAILURE",
            "newClientOrderId": "demo-7-2",
            "price": "23415.00",
            "quantity": "0.00847",
            "selfTradePreventionMode": "EXPIRE_TAKER",
            "side": "BUY",
            "symbol": "BTCUSDT",
            "type": "LIMIT_MAKER",
        }
        del signed["signature"]
        payload = "&".join(f"{name}={value}" for name, value in sorted((params | signed).items()))
        assert (
            json.loads(desk.exchange.raw[-1])["params"]["signature"]
            == kit.SIGNER.sign(payload.encode()).decode()
        )
        counted = {name: count - before[name][0] for name, (count, _) in used(now_ms).items()}
        assert counted == {"request_weight_60s": 1, "orders_86400s": 1}

    run(scenario)


IN_PART = halves(b"SUCCESS", TIMELESS, b"FAILURE", WOULD_TAKE)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (done(halves(b"SUCCESS", CANCELED, b"SUCCESS", PLACED)), [("CANCELED", 1, 0), ("NEW", 2, 0)]),
        (
            failed(400, -2022, halves(b"FAILURE", UNKNOWN_ORDER, b"NOT_ATTEMPTED", b"null")),
            [("CANCEL_REJECTED", 1, -2011), ("REJECTED", 2, -2022)],
        ),
        (failed(409, -2021, IN_PART), [("CANCELED", 1, 0), ("REJECTED", 2, -2010)]),
        (
            failed(409, -2021, IN_PART.replace(b"-2010", b"-1015")),
            [("CANCELED", 1, 0), ("REJECTED", 2, -1015)],
        ),
        (  # nobody knows what became of the new one
            failed(409, -2021, IN_PART.replace(b"-2010", b"-1007")),
            [("CANCELED", 1, 0), ("TIMEOUT", 2, -1007)],
        ),
        (  # it is there: ids are never used twice
            failed(
                409,
                -2021,
                halves(b"SUCCESS", CANCELED, b"FAILURE", b'{"code":-2010,"msg":"Duplicate order sent."}'),
            ),
            [("CANCELED", 1, 0), ("TIMEOUT", 2, -2010)],
        ),
        (  # of the mode that we never ask for
            failed(409, -2021, halves(b"FAILURE", UNKNOWN_ORDER, b"SUCCESS", PLACED)),
            [("CANCEL_REJECTED", 1, -2011), ("NEW", 2, 0)],
        ),
        (
            failed(400, -2022, halves(b"FAILURE", UNKNOWN_ORDER, b"FAILURE", WOULD_TAKE)),
            [("CANCEL_REJECTED", 1, -2011), ("REJECTED", 2, -2010)],
        ),
        # refused before either half was tried
        (refused(400, -1013), [("CANCEL_REJECTED", 1, -1013), ("REJECTED", 2, -1013)]),
        (refused(429, -1015), [("CANCEL_REJECTED", 1, -1015), ("REJECTED", 2, -1015)]),
        (refused(400, -1021), [("CANCEL_REJECTED", 1, -1021), ("REJECTED", 2, -1021)]),
        # nobody knows
        (refused(400, -1006), [("TIMEOUT", 1, -1006), ("TIMEOUT", 2, -1006)]),
        (refused(400, -1007), [("TIMEOUT", 1, -1007), ("TIMEOUT", 2, -1007)]),
        (refused(503, -1000), [("TIMEOUT", 1, -1000), ("TIMEOUT", 2, -1000)]),
        # an answer that does not tell, or cannot be read, in whole or in part
        (refused(409, -2021), [("TIMEOUT", 1, 0), ("TIMEOUT", 2, 0)]),
        (refused(400, -2022), [("TIMEOUT", 1, 0), ("TIMEOUT", 2, 0)]),
        (done(b"{}"), [("TIMEOUT", 1, 0), ("TIMEOUT", 2, 0)]),
        (done(b"7"), [("TIMEOUT", 1, 0), ("TIMEOUT", 2, 0)]),
        (done(halves(b"SUCCESS", b"{}", b"SUCCESS", PLACED)), [("TIMEOUT", 1, 0), ("NEW", 2, 0)]),
        (done(halves(b"SUCCESS", CANCELED, b"MAYBE", PLACED)), [("CANCELED", 1, 0), ("TIMEOUT", 2, 0)]),
    ],
)
def test_an_answer_tells_of_each_order_what_became_of_it(
    answer: bytes, told: list[tuple[str, int, int]]
) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        number = desk.replace()
        desk.line.handler.on_frame(answer.replace(b"%d", b"%d" % number, 1), True)
        assert desk.told == told
        desk.line.handler.on_frame(answer.replace(b"%d", b"%d" % number, 1), True)
        assert desk.told == told  # it is answered once

    run(scenario)


def test_the_cancelled_order_s_fills_are_counted() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        number = desk.replace()
        answer = done(halves(b"SUCCESS", CANCELED, b"SUCCESS", PLACED))
        desk.line.handler.on_frame(answer.replace(b"%d", b"%d" % number, 1), True)
        canceled, new = desk.sink.reports
        assert (canceled.cum_lots, canceled.qty_lots, canceled.venue_order_id) == (100, 847, "12")
        assert (new.venue_order_id, new.cum_lots) == ("13", 0)

    run(scenario)


def test_what_was_not_attempted_says_nothing_against_the_orders() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        number = desk.replace()
        answer = failed(400, -2022, halves(b"FAILURE", UNKNOWN_ORDER, b"NOT_ATTEMPTED", b"null"))
        desk.line.handler.on_frame(answer.replace(b"%d", b"%d" % number, 1), True)
        assert desk.sink.reports[1].reason.startswith(NOT_SENT)

    run(scenario)


def test_a_refused_clock_is_asked_once() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        number, asked = desk.replace(), desk.exchange.methods.count("time")
        desk.line.handler.on_frame(refused(400, -1021).replace(b"%d", b"%d" % number, 1), True)
        assert desk.exchange.methods.count("time") == asked + 1

    run(scenario)


def test_without_an_answer_both_are_unknown() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.replace()
        desk.line.cut()
        assert desk.told == [("TIMEOUT", 1, 0), ("TIMEOUT", 2, 0)]
        await desk.pass_s(1)
        desk.replace()
        await desk.pass_s(8)
        assert desk.told[2:] == [("TIMEOUT", 1, 0), ("TIMEOUT", 2, 0)]
        assert desk.exchange.methods.count("order.cancelReplace") == 2  # as often as it was asked for

    run(scenario)


def test_what_certainly_did_not_leave_is_refused_on_the_next_turn() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.line.open = False
        desk.venue.replace(desk.old, desk.new)
        assert desk.told == []  # who asked is not done with it yet
        await desk.pass_s(0)
        assert desk.told == [("REJECTED", 2, 0), ("CANCEL_REJECTED", 1, 0)]
        assert all(report.reason.startswith(NOT_SENT) for report in desk.sink.reports)

    run(scenario)


def test_where_the_limits_have_no_room_for_an_order_the_old_one_is_cancelled_alone() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.on_limits([RateLimit("ORDERS", "DAY", 1, 1, 1)])
        desk.venue.replace(desk.old, desk.new)
        await desk.pass_s(0)
        assert desk.told == [("REJECTED", 2, 0)]
        assert [request["method"] for request in desk.line.requests] == ["order.cancel"]

    run(scenario)
