from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any, cast

import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError, NetError
from daemon.memory_disk import InlineWorker
from daemon.seams import Response, Seams
from daemon.venues.binance_settings import UsdmSettings
from daemon.venues.binance_usdm import KEEP_NS, UsdmVenue
from kernels.dtypes import STOP
from tests.daemon.venues import test_binance as spot
from tests.daemon.venues.test_binance_usdm_frames import ALGO, FUNDING, INSTRUMENT, TRADE
from tests.daemon.venues.test_binance_usdm_rest import ALGO as ALGO_ROW
from tests.daemon.venues.test_binance_usdm_rest import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from daemon.events import Funding
    from daemon.seams import Handler

SECOND = spot.SECOND
order = spot.order


class Exchange(spot.MiniExchange):
    """As much of USD-M as a connection needs: a WebSocket API, user data streams and REST, in memory."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(time)
        self.streams: list[spot.Line] = []
        self.account = Account()
        self.answers: dict[str, Any] = {}
        self.rested: list[str] = []

    async def connect(self, url: str, handler: Handler) -> spot.Line:
        line = spot.Line(self, handler)
        if url == "wss://stream.example/private/ws/thekey":
            self.streams.append(line)
        else:
            assert url == "wss://ws.example/ws-fapi/v1"
            if self.unreachable:
                self.unreachable -= 1
                raise NetError("refused")
            self.lines.append(line)
        return line

    def answer(self, request: dict[str, Any]) -> dict[str, Any] | None:
        method = request["method"]
        if method in self.refusals:
            return self.refusals[method]
        if method == "session.status":
            if self.silent:
                return None
            return {"result": {"serverTime": (self.time.now_ns() + self.ahead_ns) // 1_000_000}}
        if method.startswith("userDataStream."):
            assert request["params"] == {"apiKey": "apikeyapikey"}
            return {"result": {"listenKey": "thekey"}}
        return super().answer(request) if method == "session.logon" else None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        parts = url.removeprefix("https://api.example/fapi/").partition("?")[0]
        self.rested.append(f"{method} {parts}")
        if parts == "v1/time":
            answer: Any = {"serverTime": self.time.now_ns() // 1_000_000}
        elif parts in self.answers:
            answer = self.answers[parts]
        else:
            answer = self.account(method, parts, {"leverage": "3", "marginType": "CROSSED"})
        if isinstance(answer, BaseException):
            raise answer
        return answer if isinstance(answer, Response) else Response(200, {}, json.dumps(answer).encode())


class Heard(spot.Heard):
    def __init__(self) -> None:
        super().__init__()
        self.funded: list[Funding] = []
        self.alarms: list[tuple[str, str]] = []

    def on_funding(self, funding: Funding) -> None:
        self.funded.append(funding)

    def on_alarm(self, kind: str, text: str, wire_ns: int) -> None:
        self.alarms.append((kind, text))


class Desk(spot.Desk):
    exchange: Exchange
    sink: Heard

    def __init__(self, signer: Any = spot.SIGNER, **settings: Any) -> None:
        self.time = VirtualTime(spot.START)
        self.exchange = Exchange(self.time)
        self.sink = Heard()
        net: Any = self.exchange
        seams = Seams(self.time, self.time, net, cast("Any", None), InlineWorker(), random.Random(1))
        fields = {
            "ws_url": "wss://ws.example/ws-fapi/v1",
            "rest_url": "https://api.example",
            "stream_url": "wss://stream.example/private/",
            "leverage": 3,
        }
        self.venue = UsdmVenue([INSTRUMENT], signer, UsdmSettings(**(fields | settings)), seams)

    @property
    def stream(self) -> spot.Line:
        return self.exchange.streams[-1]

    def hear(self, payload: bytes) -> None:
        self.stream.handler.on_frame(payload, True)


def run(scenario: Callable[[Any], Coroutine[Any, Any, None]], desk: Desk | None = None) -> None:
    spot.run(scenario, desk or Desk())


def test_start_sets_the_account_up_measures_the_clock_and_opens_both_connections() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        assert desk.venue.up
        assert desk.exchange.account.state["leverage"] == 3
        assert desk.exchange.methods == ["session.status"] * 3 + ["userDataStream.start"]
        assert (len(desk.exchange.lines), len(desk.exchange.streams)) == (1, 1)

    run(scenario)


def test_an_ed25519_key_logs_on_once_and_orders_go_unsigned() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        assert desk.exchange.methods[-2:] == ["session.logon", "userDataStream.start"]
        desk.venue.place(order())
        assert not {"apiKey", "signature"} & desk.line.requests[0]["params"].keys()

    run(scenario, Desk(spot.ED25519))


def test_an_account_that_cannot_be_set_up_ends_the_start() -> None:
    async def scenario(desk: Desk) -> None:
        desk.exchange.account.dual = True
        with pytest.raises(ConfigError, match="hedge mode"):
            await desk.start()

    run(scenario)


def test_what_orders_come_to_is_told_by_the_stream() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.place(order())
        desk.line.say({"id": desk.line.requests[0]["id"], "status": 200, "result": {"orderId": 8886774,
            "symbol": "BTCUSDT", "clientOrderId": "demo-7-1", "status": "NEW", "updateTime": 1}})  # fmt: skip
        desk.hear(TRADE)
        desk.hear(ALGO % (b"CANCELED", b""))
        desk.hear(FUNDING % b"FUNDING_FEE")
        assert desk.sink.kinds == ["NEW", "TRADE", "CANCELED"]
        assert [str(one.amount) for one in desk.sink.funded] == ["-0.02000000"]

    run(scenario)


@pytest.mark.parametrize("which", ["line", "stream"])
def test_the_end_of_either_connection_is_a_loss_and_both_are_made_anew(which: str) -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.place(order())
        getattr(desk, which).cut()
        await desk.settle()
        assert desk.sink.kinds == ["TIMEOUT"]
        assert not desk.venue.up
        await desk.pass_s(5)
        assert [status.up for status in desk.sink.statuses] == [True, False, True]
        assert (len(desk.exchange.lines), len(desk.exchange.streams)) == (2, 2)
        assert not desk.exchange.lines[0].open
        assert not desk.exchange.streams[0].open
        assert desk.exchange.rested.count("GET v1/symbolConfig") == 2, "it is set up once"

    run(scenario)


def test_a_connection_of_a_day_is_replaced_with_its_stream_before_it_goes() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        await desk.pass_s(25)
        assert (len(desk.exchange.lines), len(desk.exchange.streams)) == (2, 2)
        assert [line.open for line in desk.exchange.streams] == [False, True]
        assert [status.up for status in desk.sink.statuses] == [True], "it was never down"

    run(scenario, Desk(lifetime_ns=10 * SECOND))


def test_the_listen_key_is_kept_alive_and_its_end_makes_a_new_connection() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        await desk.pass_s(KEEP_NS / SECOND + 20)
        assert desk.exchange.methods.count("userDataStream.ping") == 1
        gone = {"status": 400, "error": {"code": -1125, "msg": "This listenKey does not exist."}}
        desk.exchange.refusals["userDataStream.ping"] = gone
        await desk.pass_s(KEEP_NS / SECOND + 20)
        assert [status.up for status in desk.sink.statuses] == [True, False, True]
        assert len(desk.exchange.streams) == 2

    run(scenario)


def accepted(desk: Desk, *frames: bytes) -> None:
    """Let an order be accepted, after the stream has told so much."""
    desk.venue.place(order())
    row = {"orderId": 8886774, "symbol": "BTCUSDT", "clientOrderId": "demo-7-1", "status": "NEW"}
    desk.line.say({"id": desk.line.requests[-1]["id"], "status": 200, "result": row})
    for frame in frames:
        desk.hear(frame)


def test_a_stream_that_is_silent_on_an_order_that_was_accepted_is_given_up() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        accepted(desk)
        await desk.pass_s(20)
        assert [status.up for status in desk.sink.statuses] == [True, False, True]
        assert "does not tell" in desk.sink.statuses[1].reason

    run(scenario)


def test_a_stream_that_told_is_not() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        accepted(desk, TRADE)
        await desk.pass_s(20)
        assert len(desk.exchange.streams) == 1

    run(scenario)


def test_a_stop_is_asked_about_over_http() -> None:
    async def scenario(desk: Desk) -> None:
        desk.exchange.answers["v1/algoOrder"] = ALGO_ROW | {"algoStatus": "CANCELED"}
        await desk.start()
        desk.venue.query(order(kind=STOP))
        await desk.settle()
        assert [(report.kind, report.status) for report in desk.sink.reports] == [("STATUS", "CANCELED")]

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Response(400, {}, b'{"code":-2013,"msg":"Order does not exist."}'), "NOT_FOUND", -2013),
        (Response(400, {}, b'{"code":-1102,"msg":"no"}'), "TIMEOUT", -1102),
    ],
)
def test_a_stop_that_cannot_be_told_of_is_not_found_or_unknown(
    answer: Response, kind: str, code: int
) -> None:
    async def scenario(desk: Desk) -> None:
        desk.exchange.answers["v1/algoOrder"] = answer
        await desk.start()
        desk.venue.query(order(kind=STOP))
        await desk.settle()
        assert [(report.kind, report.code) for report in desk.sink.reports] == [(kind, code)]

    run(scenario)


def test_trades_that_a_query_counts_and_we_never_saw_are_told_before_it() -> None:
    async def scenario(desk: Desk) -> None:
        trade = {"id": 7, "orderId": 9, "price": "60000.1", "qty": "0.005", "commission": "0.1",
            "commissionAsset": "USDT", "time": 1, "buyer": True, "maker": False}  # fmt: skip
        desk.exchange.answers["v1/userTrades"] = [trade, trade | {"id": 8}]
        await desk.start()
        desk.venue.query(order())
        row = {"orderId": 9, "side": "BUY", "symbol": "BTCUSDT", "clientOrderId": "demo-7-1", "price": "6",
            "status": "FILLED", "origQty": "0.010", "executedQty": "0.010", "updateTime": 1}  # fmt: skip
        desk.line.say({"id": desk.line.requests[0]["id"], "status": 200, "result": row})
        await desk.settle()
        assert [(r.kind, r.cum_lots) for r in desk.sink.reports] == [
            ("TRADE", 5),
            ("TRADE", 10),
            ("STATUS", 10),
        ]

    run(scenario)


def test_a_countdown_is_renewed_whatever_becomes_of_one_and_not_any_more_after_the_end() -> None:
    def told(desk: Desk) -> int:
        return desk.exchange.rested.count("POST v1/countdownCancelAll")

    async def scenario(desk: Desk) -> None:
        desk.exchange.answers["v1/countdownCancelAll"] = NetError("cut")
        await desk.start()
        await desk.pass_s(10)
        assert 10 <= told(desk) <= 12
        ((kind, text),) = desk.sink.alarms
        assert (kind, "told that this daemon is alive (cut), and cancels" in text) == ("dead_man", True)
        await desk.venue.stop()
        before = told(desk)
        await desk.pass_s(10)
        assert told(desk) == before

    run(scenario, Desk(countdown_ms=3000))


def test_a_countdown_runs_out_while_nothing_could_be_cancelled_from_here() -> None:
    async def scenario(desk: Desk) -> None:
        desk.exchange.answers["v1/countdownCancelAll"] = {}
        await desk.start()
        await desk.pass_s(5)
        desk.exchange.unreachable = 10**6
        desk.line.close()
        await desk.settle()
        before = len(desk.exchange.rested)
        await desk.pass_s(20)
        assert not desk.venue.up
        assert "POST v1/countdownCancelAll" not in desk.exchange.rested[before:]
        desk.exchange.unreachable = 0
        before = len(desk.exchange.rested)
        await desk.pass_s(60)
        assert desk.venue.up
        assert "POST v1/countdownCancelAll" in desk.exchange.rested[before:]

    run(scenario, Desk(countdown_ms=3000))


def test_without_one_nothing_counts_down() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        await desk.pass_s(10)
        assert not [path for path in desk.exchange.rested if "countdown" in path]

    run(scenario)


def test_an_order_whose_name_is_taken_is_asked_about() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        desk.venue.place(order())
        desk.line.say({"id": desk.line.requests[0]["id"], "status": 400,
            "error": {"code": -4116, "msg": "ClientOrderId is duplicated."}})  # fmt: skip
        assert desk.sink.kinds == ["TIMEOUT"]

    run(scenario)


def test_a_stream_in_the_clear_is_refused() -> None:
    with pytest.raises(ConfigError, match="not encrypted"):
        Desk(stream_url="ws://stream.example/private")


def test_stopping_ends_both_connections() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        await desk.venue.stop()
        await asyncio.sleep(0)
        assert not desk.line.open
        assert not desk.stream.open

    run(scenario)


def test_after_stop_neither_funding_nor_a_call_for_margin_is_told() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.start()
        call = b'{"e":"MARGIN_CALL","E":1,"cw":"3","p":[{"s":"BTCUSDT","ps":"BOTH","pa":"1","mt":"CROSSED",'
        call += b'"iw":"0","mp":"187","up":"-1","mm":"1.6"}]}'
        desk.hear(FUNDING % b"FUNDING_FEE")
        desk.hear(call)
        assert (len(desk.sink.funded), len(desk.sink.alarms)) == (1, 1)
        stream = desk.stream
        await desk.venue.stop()
        stream.handler.on_frame(FUNDING % b"FUNDING_FEE", True)
        stream.handler.on_frame(call, True)
        assert (len(desk.sink.funded), len(desk.sink.alarms)) == (1, 1)

    run(scenario)
