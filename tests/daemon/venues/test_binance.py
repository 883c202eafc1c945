from __future__ import annotations

import asyncio
import json
import logging
import random
from typing import TYPE_CHECKING, Any, cast

import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError, NetError
from daemon.instruments import make_instrument
from daemon.memory_disk import InlineWorker
from daemon.orders.order import Order
from daemon.seams import Response, Seams
from daemon.venues.binance import BinanceVenue
from daemon.venues.binance_settings import BinanceSettings
from daemon.venues.signing import Ed25519Signer, HmacSigner, sorted_payload
from kernels.dtypes import BUY, REST, TARGET
from tests.daemon.orders.conftest import SteppedTime

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from daemon.events import ExecutionReport, Funding, VenueStatus
    from daemon.seams import Disk, Handler

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
INSTRUMENT = make_instrument(
    0,
    "binance",
    "spot",
    "BTC/USDT",
    tick_size="0.01",
    lot_size="0.00001",
    qty_min="0.00001",
    qty_max="9000",
    notional_min="5",
)
SECRET = "canarysecret0123456789"
SIGNER = HmacSigner("apikeyapikey", SECRET)
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""
SETTINGS = BinanceSettings(ws_url="wss://ws.example/ws-api/v3", rest_url="https://api.example")


class Line:
    """One connection at the exchange: answers what belongs to its making, keeps the rest for the test."""

    def __init__(self, exchange: MiniExchange, handler: Handler) -> None:
        self._exchange = exchange
        self.handler = handler
        self.open = True
        self.read = True  # else it takes nothing more
        self.requests: list[dict[str, Any]] = []

    def send(self, payload: bytes) -> None:
        if not self.open or not self.read:
            raise NetError("cut" if self.read else "the other side does not read")
        request = json.loads(payload)
        self._exchange.raw.append(payload)
        self._exchange.methods.append(request["method"])
        answer = self._exchange.answer(request)
        if answer is None:
            self.requests.append(request)
        else:
            self.say({"id": request["id"], "status": 200} | answer)
        if request["method"] == self._exchange.cut_after:
            self.cut()

    def say(self, message: dict[str, Any]) -> None:
        self.handler.on_frame(json.dumps(message).encode(), True)

    def close(self) -> None:
        if self.open:
            self.open = False
            asyncio.get_running_loop().call_soon(self.handler.on_close, "closed by us")

    def cut(self) -> None:
        self.open = False
        self.handler.on_close("the connection was lost")


class MiniExchange:
    """As much of the exchange as a connection needs, in memory: a Net."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.lines: list[Line] = []
        self.methods: list[str] = []
        self.raw: list[bytes] = []
        self.ahead_ns = 0
        self.refusals: dict[str, dict[str, Any]] = {}
        self.silent = False
        self.cut_after = ""  # a request after whose answer the line is cut
        self.unreachable = 0  # connections to refuse
        self.declines: list[NetError] = []  # likewise, with these words

    async def connect(self, url: str, handler: Handler) -> Line:
        assert url == "wss://ws.example/ws-api/v3"
        if self.unreachable:
            self.unreachable -= 1
            raise NetError("cannot connect to wss://ws.example/ws-api/v3: refused")
        if self.declines:
            raise self.declines.pop(0)
        self.lines.append(Line(self, handler))
        return self.lines[-1]

    def answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        method = request["method"]
        if method in self.refusals:
            return self.refusals[method]
        if method == "time":
            if self.silent:
                return None
            return {"result": {"serverTime": (self.time.now_ns() + self.ahead_ns) // 1_000_000}}
        if method in {"session.logon", "userDataStream.subscribe.signature"}:
            params = dict(request["params"])
            signature = params.pop("signature").encode()
            assert signature in {signer.sign(sorted_payload(params)) for signer in (SIGNER, ED25519)}
            return {"result": {"subscriptionId": 0}}
        if method == "userDataStream.subscribe":
            return {"result": {"subscriptionId": 0}}
        return None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        return Response(200, {}, b'{"balances":[]}' if "/account" in url else b"[]")

    async def close(self) -> None:
        """Nothing is open."""


#: an order event with every field that is read
EVENT = {
    "e": "executionReport", "s": "BTCUSDT", "c": "demo-7-1", "S": "BUY", "o": "LIMIT", "q": "0.00847",
    "p": "23416.10", "P": "0.0", "C": "", "x": "NEW", "X": "NEW", "r": "NONE", "i": 9, "l": "0.0",
    "z": "0.0", "L": "0.0", "n": "0", "N": None, "T": 1, "t": -1, "m": False,
}  # fmt: skip
ED25519 = Ed25519Signer("apikeyapikey", PEM)


class Heard:
    """The engine's side."""

    def __init__(self) -> None:
        self.reports: list[ExecutionReport] = []
        self.statuses: list[VenueStatus] = []

    def on_report(self, report: ExecutionReport) -> None:
        self.reports.append(report)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        return False

    def on_funding(self, funding: Funding) -> None:
        raise AssertionError("spot has none")

    def on_venue_status(self, status: VenueStatus) -> None:
        self.statuses.append(status)

    @property
    def kinds(self) -> list[str]:
        return [report.kind for report in self.reports]


class Desk:
    def __init__(self, signer: HmacSigner | Ed25519Signer = SIGNER, **settings: Any) -> None:
        self.time = VirtualTime(START)
        self.exchange = MiniExchange(self.time)
        self.sink = Heard()
        seams = Seams(
            self.time, self.time, self.exchange, cast("Disk", None), InlineWorker(), random.Random(1)
        )
        fields = {"ws_url": SETTINGS.ws_url, "rest_url": SETTINGS.rest_url} | settings
        self.venue = BinanceVenue([INSTRUMENT], signer, BinanceSettings(**fields), seams)

    @property
    def line(self) -> Line:
        return self.exchange.lines[-1]

    async def start(self) -> None:
        await asyncio.wait_for(self.venue.start(self.sink), 5)

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    async def pass_s(self, seconds: float) -> None:
        """Let virtual time pass, timer by timer, tasks running in between."""
        end_ns = self.time.now_ns() + int(seconds * SECOND)
        await self.settle()
        while self.time.next_ns is not None and self.time.next_ns <= end_ns:
            self.time.advance(self.time.next_ns)
            await self.settle()
        self.time.advance(end_ns)


def order(number: int = 1, **changes: Any) -> Order:
    fields: dict[str, Any] = {
        "client_order_id": f"demo-7-{number}",
        "seq": number,
        "strategy": 0,
        "instrument": 0,
        "slot": 0,
        "row": 0,
        "kind": TARGET,
        "level": 0,
        "side": BUY,
        "price_ticks": 2341610,
        "qty_lots": 847,
        "reduces": False,
    }
    return Order(**(fields | changes))


def run(scenario: Callable[[Desk], Coroutine[Any, Any, None]], desk: Desk | None = None) -> Desk:
    """Play a scenario, and stop the venue however it ends."""
    one = desk or Desk()

    async def main() -> None:
        try:
            await scenario(one)
        finally:
            await one.venue.stop()
            await one.settle()

    asyncio.run(main())
    return one


def test_start_measures_the_clock_subscribes_and_is_up() -> None:
    async def scenario(desk: Desk) -> None:
        desk.exchange.ahead_ns = 7 * SECOND
        await desk.start()
        assert desk.venue.up
        assert [status.up for status in desk.sink.statuses] == [True]
        assert desk.exchange.methods == ["time"] * 3 + ["userDataStream.subscribe.signature"]
        desk.venue.place(order())
        assert desk.line.requests[0]["params"]["timestamp"] == (START + 7 * SECOND) // 1_000_000

    run(scenario)


def test_an_ed25519_key_logs_on_once_and_orders_go_unsigned() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        assert desk.exchange.methods == ["time"] * 3 + ["session.logon", "userDataStream.subscribe"]
        desk.venue.place(order())
        assert not {"apiKey", "signature"} & desk.line.requests[0]["params"].keys()

    run(scenario, Desk(ED25519))


def test_every_verb_is_sent_at_once_and_answered_by_reports() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        one = order(kind=REST)
        desk.venue.place(one)
        desk.venue.cancel(one)
        desk.venue.amend(one, 500)
        desk.venue.query(one)
        methods = [request["method"] for request in desk.line.requests]
        assert methods == ["order.place", "order.cancel", "order.amend.keepPriority", "order.status"]
        number = desk.line.requests[0]["id"]
        ack = {"symbol": "BTCUSDT", "orderId": 9, "clientOrderId": "demo-7-1", "transactTime": 1}
        desk.line.say({"id": number, "status": 200, "result": ack})
        assert desk.sink.kinds == ["NEW"]

    run(scenario)


def test_what_certainly_did_not_leave_is_refused_on_the_next_turn() -> None:
    async def scenario(desk: Desk) -> None:
        one = order()
        desk.venue.place(one)
        desk.venue.cancel(one)
        desk.venue.amend(one, 5)
        desk.venue.query(one)
        desk.venue._sink = desk.sink
        assert desk.sink.kinds == []  # who asked is not done with it yet
        await desk.pass_s(0)
        assert desk.sink.kinds == ["REJECTED", "CANCEL_REJECTED", "AMEND_REJECTED", "TIMEOUT"]
        assert {report.reason for report in desk.sink.reports} == {"not sent: the venue is down"}
        await desk.start()
        desk.line.open = False
        desk.venue.place(one)
        await desk.pass_s(0)
        assert desk.sink.reports[-1].kind == "REJECTED"
        assert desk.sink.reports[-1].reason == "not sent: cut"
        assert desk.venue.unsent == 5

    run(scenario)


def test_a_lost_connection_makes_orders_unknown_and_is_made_again_without_repeating_them() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.place(order())
        desk.line.cut()
        assert not desk.venue.up
        assert desk.sink.kinds == ["TIMEOUT"]
        assert [status.up for status in desk.sink.statuses] == [True, False]
        await desk.pass_s(1)
        assert desk.venue.up
        assert [status.up for status in desk.sink.statuses] == [True, False, True]
        assert len(desk.exchange.lines) == 2
        assert desk.exchange.methods.count("order.place") == 1
        assert desk.venue.losses == 1

    run(scenario)


def test_reconnecting_waits_longer_and_longer_and_never_ends() -> None:
    async def scenario(desk: Desk) -> None:
        desk.exchange.unreachable = 12
        started = asyncio.create_task(desk.venue.start(desk.sink))
        await desk.pass_s(0.1)
        assert desk.exchange.unreachable == 11
        await desk.pass_s(20)
        assert 4 <= desk.exchange.unreachable <= 6
        assert not started.done()
        await desk.pass_s(300)
        await started
        assert desk.venue.up
        downs = [status.reason for status in desk.sink.statuses if not status.up]
        assert len(downs) == 12
        assert downs[0].startswith("cannot connect to wss://ws.example")

    run(scenario)


def test_a_connection_lost_again_and_again_is_not_made_again_and_again() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        for _ in range(200):
            if desk.line.open:
                desk.line.cut()
            await desk.pass_s(0.25)
        assert len(desk.exchange.lines) < 12

    run(scenario)


@pytest.mark.parametrize("code", [-1022, -2014, -2015])
def test_a_refused_key_is_an_error_at_start(code: int) -> None:
    async def scenario(desk: Desk) -> None:
        method = "userDataStream.subscribe.signature"
        desk.exchange.refusals[method] = {"status": 401, "error": {"code": code, "msg": "Invalid API-key."}}
        with pytest.raises(ConfigError, match=rf"^binance refuses the key: .*Invalid API-key.*{code}"):
            await desk.start()
        assert not desk.venue.up

    run(scenario)


def test_a_server_that_does_not_tell_the_time_is_left() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.place(order())
        desk.exchange.silent = True
        await desk.pass_s(4.9)
        assert desk.venue.up
        await desk.pass_s(6)
        assert desk.sink.kinds == ["TIMEOUT"]
        assert not desk.venue.up
        assert not desk.exchange.lines[0].open
        assert desk.sink.statuses[-1].reason == "the exchange does not answer"

    run(scenario)


def test_a_server_that_reads_nothing_any_more_is_left() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.exchange.lines[0].read = False  # before it was asked anything that it could leave unanswered
        await desk.pass_s(11)
        assert not desk.exchange.lines[0].open
        assert [status.reason for status in desk.sink.statuses][1] == "the exchange does not answer"
        assert desk.venue.up  # by another connection

    run(scenario)


def test_the_clock_follows_the_exchange_s() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.exchange.ahead_ns = 3 * SECOND
        desk.venue.place(order())
        number = desk.line.requests[-1]["id"]
        error = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
        desk.line.say({"id": number, "status": 400, "error": error})
        assert desk.sink.kinds == ["REJECTED"]
        desk.venue.place(order(2))
        asked = desk.line.requests[-1]["params"]["timestamp"]
        assert asked == (desk.time.now_ns() + 3 * SECOND) // 1_000_000
        assert desk.exchange.methods.count("order.place") == 2

    run(scenario)


def _replaced(desk: Desk) -> None:
    """The new connection is up, the old one still open, and nobody was told of an interruption."""
    assert len(desk.exchange.lines) == 2
    assert [line.open for line in desk.exchange.lines] == [True, True]
    assert [status.up for status in desk.sink.statuses] == [True]


def test_a_server_about_to_go_is_replaced_before_it_goes() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        await desk.pass_s(61)
        desk.venue.place(order())
        desk.line.say({"event": {"e": "serverShutdown", "E": 1}})
        await desk.settle()
        _replaced(desk)
        old, new = desk.exchange.lines
        desk.venue.cancel(order())
        assert [request["method"] for request in new.requests] == ["order.cancel"]
        ack = {"symbol": "BTCUSDT", "orderId": 9, "clientOrderId": "demo-7-1", "transactTime": 1}
        old.say({"id": old.requests[0]["id"], "status": 200, "result": ack})
        assert desk.sink.kinds == ["NEW"]
        await desk.pass_s(3)
        assert [line.open for line in desk.exchange.lines] == [False, True]
        assert desk.venue.up
        assert desk.venue.losses == 0

    run(scenario)


def test_a_connection_is_replaced_before_its_day_is_over() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        await desk.pass_s(100)
        assert len(desk.exchange.lines) == 1
        for _ in range(5):
            await desk.pass_s(1)
            if len(desk.exchange.lines) == 2:
                break
        _replaced(desk)

    run(scenario, Desk(lifetime_ns=100 * SECOND, heartbeat_ms=1000))


def test_after_a_rate_limit_nothing_is_sent_until_its_end() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.place(order())
        until_ms = START // 1_000_000 + 30_000
        error = {"code": -1003, "msg": "Too many requests", "data": {"serverTime": 1, "retryAfter": until_ms}}
        desk.line.say({"id": desk.line.requests[0]["id"], "status": 429, "error": error})
        sent = len(desk.exchange.methods)
        desk.venue.cancel(order())
        desk.venue.place(order(2))
        await desk.pass_s(29)
        assert len(desk.exchange.methods) == sent
        assert desk.sink.kinds == ["REJECTED", "CANCEL_REJECTED", "REJECTED"]
        assert desk.sink.reports[1].reason == "not sent: rate limited for 30.5 s more"
        await desk.pass_s(2)
        desk.venue.place(order(3))
        assert desk.exchange.methods[-1] == "order.place"

    run(scenario)


def test_while_it_is_banned_no_connection_is_made_and_one_as_soon_as_that_ends() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.on_limited(418, START // 1_000_000 + 90_000)
        desk.line.cut()
        await desk.pass_s(88)
        assert len(desk.exchange.lines) == 1
        await desk.pass_s(3)
        assert (len(desk.exchange.lines), desk.venue.up) == (2, True)

    run(scenario)


def test_no_connection_is_made_during_a_ban_that_lasts_longer_by_the_clock_as_it_is_known_meanwhile() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.on_limited(418, START // 1_000_000 + 90_000)
        desk.line.cut()
        await desk.pass_s(60)
        sent_ns = desk.time.now_ns()
        desk.venue.server.forget()
        desk.venue.on_time(sent_ns, sent_ns - 20_000_000_000, sent_ns)  # an answer that was on its way
        await desk.pass_s(48)
        assert len(desk.exchange.lines) == 1
        await desk.pass_s(3)
        assert (len(desk.exchange.lines), desk.venue.up) == (2, True)

    run(scenario)


def test_a_handshake_that_is_told_to_wait_holds_back_everything_and_is_made_again_after_that() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        held: list[int] = []
        desk.venue.budget.on_block = held.append
        desk.exchange.declines = [NetError("cannot connect: HTTP 429", 429, 40)]
        desk.line.cut()
        await desk.pass_s(39)
        assert (len(desk.exchange.lines), desk.exchange.declines, held) == (1, [], [40_500])
        desk.venue.place(order(2))
        await desk.pass_s(0)
        assert desk.sink.reports[-1].reason == "not sent: the venue is down"
        await desk.pass_s(4)
        assert (len(desk.exchange.lines), desk.venue.up) == (2, True)

    run(scenario)


def test_a_query_of_unseen_trades_fetches_them() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.query(order())
        row = {
            "symbol": "BTCUSDT", "orderId": 9, "clientOrderId": "demo-7-1", "price": "23416.10",
            "origQty": "0.00847", "executedQty": "0.00847", "status": "FILLED", "side": "BUY",
        }  # fmt: skip
        desk.line.say({"id": desk.line.requests[-1]["id"], "status": 200, "result": row})
        asked = desk.line.requests[-1]
        assert (asked["method"], asked["params"]["orderId"]) == ("myTrades", 9)
        trade = {
            "id": 81, "orderId": 9, "price": "23416.10", "qty": "0.00847", "commission": "0",
            "commissionAsset": "BNB", "time": 1, "isBuyer": True, "isMaker": True,
        }  # fmt: skip
        desk.line.say({"id": asked["id"], "status": 200, "result": [trade]})
        assert desk.sink.kinds == ["TRADE", "STATUS"]

    run(scenario)


def test_a_snapshot_is_read_over_http() -> None:
    async def scenario(desk: Desk) -> None:
        snapshot = await desk.venue.snapshot(START)
        assert (snapshot.balances, snapshot.open_orders, snapshot.trades) == ({}, [], [])

    run(scenario)


def test_frames_that_cannot_be_read_are_counted_and_the_connection_renewed() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.line.handler.on_frame(b'{"event":{"e":"executionReport","s":7}}', True)
        desk.line.handler.on_frame(b"nonsense", True)
        desk.line.say({"event": EVENT | {"q": "0.000001"}})
        await desk.pass_s(1)
        assert desk.venue.frame_errors == {"type": 1, "json": 1, "grid": 1}
        assert len(desk.exchange.lines) == 2
        assert desk.venue.up

    run(scenario)


def test_a_failing_supervisor_is_reported_not_silent() -> None:
    async def scenario(desk: Desk) -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        await desk.start()

        async def broken(url: str, handler: object) -> Line:
            raise ZeroDivisionError

        desk.exchange.connect = broken  # type: ignore[method-assign, assignment]
        desk.line.cut()
        await desk.pass_s(1)
        assert [context["message"] for context in reported] == ["the venue's supervisor failed"]
        assert desk.sink.statuses[-1].reason == "the venue's supervisor failed"

    run(scenario)


def test_a_call_without_an_answer_is_given_up_on_the_injected_time() -> None:
    desk = Desk()
    desk.exchange.silent = True

    async def scenario(desk: Desk) -> None:
        starting = asyncio.create_task(desk.venue.start(desk.sink))
        await desk.pass_s(1.999)
        assert desk.sink.statuses == []
        await desk.pass_s(0.001)
        await desk.settle()
        assert desk.sink.statuses[-1].reason == "time was not answered within 2 s"
        desk.exchange.silent = False
        await desk.pass_s(60)
        await asyncio.wait_for(starting, 5)
        assert desk.venue.up

    run(scenario, desk)


def test_a_time_that_cannot_be_read_is_asked_for_on_another_connection() -> None:
    desk = Desk()
    desk.exchange.refusals["time"] = {"result": {"serverTime": "soon"}}

    async def scenario(desk: Desk) -> None:
        starting = asyncio.create_task(desk.venue.start(desk.sink))
        await desk.pass_s(1)
        assert not starting.done()
        assert "clock could not be read" in desk.sink.statuses[-1].reason
        del desk.exchange.refusals["time"]
        await desk.pass_s(60)
        await asyncio.wait_for(starting, 5)

    run(scenario, desk)
    assert desk.venue.frame_errors["type"] >= 1
    assert not desk.exchange.lines[0].open


def test_after_stop_nobody_is_told_anything() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.place(order())
        line = desk.line
        await desk.venue.stop()
        await desk.settle()
        assert not line.open
        assert not desk.venue.up
        assert desk.sink.kinds == []
        assert desk.time.next_ns is None

    run(scenario)


@pytest.mark.parametrize(
    ("field", "url"), [("ws_url", "ws://api.binance.com/ws-api/v3"), ("rest_url", "http://10.0.0.7")]
)
def test_a_key_is_never_sent_in_the_clear_to_another_machine(field: str, url: str) -> None:
    with pytest.raises(ConfigError, match="is not encrypted; use wss:// and https://"):
        Desk(**{field: url})


def test_the_secret_appears_in_no_repr_log_error_or_frame(caplog: pytest.LogCaptureFixture) -> None:
    shown: list[str] = []

    async def scenario(desk: Desk) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: shown.append(repr(context)))
        desk.exchange.unreachable = 1
        started = asyncio.create_task(desk.venue.start(desk.sink))
        await desk.pass_s(1)
        await started
        desk.venue.place(order())
        # a venue that tells us our own secrets back
        error = {"code": -1102, "msg": f"bad request signature=abc apiKey=apikeyapikey {SECRET}"}
        desk.line.say({"id": desk.line.requests[0]["id"], "status": 400, "error": error})
        desk.line.say({"event": {"e": "executionReport", "s": SECRET}})
        desk.line.say({"event": EVENT | {"q": SECRET}})
        desk.line.say({"id": SECRET})
        desk.line.say({"id": None, "status": 401, "error": error})
        await desk.pass_s(5)
        logging.getLogger("test").info("%r %r", desk.venue, desk.sink.statuses)
        venue = desk.venue
        parts = (venue, vars(venue), vars(venue.rest), venue._requests, venue._session, SIGNER)
        shown.extend(repr(part) for part in parts)

    with caplog.at_level(logging.DEBUG):
        desk = run(scenario)
    shown += [repr(desk.sink.reports), repr(desk.sink.statuses), caplog.text]
    assert len(desk.sink.reports) == 1
    for text in shown:
        assert SECRET not in text
        assert "apikeyapikey" not in text
    assert not any(SECRET.encode() in frame for frame in desk.exchange.raw)


@pytest.mark.parametrize("step_ns", [-3600 * SECOND, 3600 * SECOND])
def test_a_step_of_our_clock_changes_neither_the_time_that_requests_carry_nor_what_is_overdue(
    step_ns: int,
) -> None:
    async def scenario(desk: Desk) -> None:
        time = cast("SteppedTime", desk.time)
        await desk.start()
        desk.venue.place(order(1))
        await desk.pass_s(2)
        time.step_ns += step_ns
        desk.exchange.ahead_ns -= step_ns
        desk.venue.clock_stepped(step_ns)
        desk.venue.place(order(2))
        told_ms = [one["params"]["timestamp"] for one in desk.line.requests if one["method"] == "order.place"]
        assert told_ms == [START // 1_000_000, START // 1_000_000 + 2_000]
        await desk.pass_s(60)
        assert [report.client_order_id for report in desk.sink.reports] == ["demo-7-1", "demo-7-2"]
        assert len(desk.exchange.lines) == 1  # nor was it silent, nor a day old

    desk = Desk()
    desk.time = desk.exchange.time = SteppedTime(START)
    seams = Seams(desk.time, desk.time, desk.exchange, cast("Disk", None), InlineWorker(), random.Random(1))
    desk.venue = BinanceVenue([INSTRUMENT], SIGNER, SETTINGS, seams)
    run(scenario, desk)
