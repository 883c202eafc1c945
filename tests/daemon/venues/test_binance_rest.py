from __future__ import annotations

import asyncio
import json
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest
from structlog.testing import capture_logs

from daemon.clock import VirtualTime
from daemon.errors import NetError, VenueError
from daemon.events import Balance
from daemon.instruments import make_instrument
from daemon.meetings import BUSY, refuses
from daemon.memory_disk import InlineWorker
from daemon.seams import Response, Seams
from daemon.venues.binance_frames import OrderFrames
from daemon.venues.binance_limits import Budget
from daemon.venues.binance_rest import UNREADABLE, RestReader
from daemon.venues.binance_wire import RateLimit
from daemon.venues.order_names import OrderNames
from daemon.venues.server_clock import ServerClock
from daemon.venues.signing import HmacSigner
from kernels.dtypes import BUY, SELL

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from daemon.instruments import Instrument
    from daemon.seams import Disk


def instrument(index: int, symbol: str = "") -> Instrument:
    return make_instrument(
        index,
        "binance",
        "spot",
        symbol or f"B{index:03d}/USDT",
        tick_size="0.01",
        lot_size="0.00001",
        qty_min="0.00001",
        qty_max="9000",
        notional_min="5",
    )


INSTRUMENT = instrument(0, "BTC/USDT")
Answer = Any  # a Response, or what goes into a 200, or an exception to raise


class FakeNet:
    """Answers requests from a function; remembers them."""

    def __init__(self, answer: Callable[[str, dict[str, str]], Answer]) -> None:
        self._answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[Mapping[str, str]] = []

    async def connect(self, url: str, handler: object) -> Any:
        raise AssertionError("the reader opens no websocket")

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Response:
        assert (method, body) == ("GET", b"")
        assert timeout_s > 0
        parts = urlsplit(url)
        assert parts.netloc == "api.example"
        params = dict(parse_qsl(parts.query))
        if parts.path != "/api/v3/time":
            query, _, signature = parts.query.partition("&signature=")
            assert signature == SIGNER.sign(query.encode()).decode()
            del params["signature"]
        self.headers.append(headers)
        self.asked.append((parts.path.removeprefix("/api/v3/"), params))
        answer = self._answer(*self.asked[-1])
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Response):
            return answer
        return Response(200, {}, json.dumps(answer).encode())

    async def close(self) -> None:
        """Nothing is open."""


SIGNER = HmacSigner("apikeyapikey", "secretsecret")


class Desk:
    def __init__(
        self,
        answer: Callable[[str, dict[str, str]], Answer],
        instruments: Sequence[Instrument] = (INSTRUMENT,),
    ) -> None:
        self.time = VirtualTime(1_700_000_000_000_000_000)
        self.net = FakeNet(answer)
        self.budget = Budget()
        self.server = ServerClock()
        seams = Seams(self.time, self.time, self.net, cast("Disk", None), InlineWorker(), random.Random(1))
        frames = OrderFrames(instruments)
        self.frame_errors: list[str] = []
        self.rest = RestReader(
            "https://api.example/",
            SIGNER,
            5000,
            seams,
            frames,
            self.budget,
            self.server,
            lambda error: self.frame_errors.append(error.reason),
        )

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end, moving virtual time along whenever nothing else can happen."""

        async def moved() -> Any:
            task = asyncio.ensure_future(main)
            while not task.done():
                for _ in range(5):
                    await asyncio.sleep(0)
                if self.time.next_ns is not None and not task.done():
                    self.time.advance(self.time.next_ns)
            return task.result()

        return asyncio.run(moved())


def row(number: int, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "orderId": number,
        "clientOrderId": f"demo-7-{number}",
        "price": "100.50",
        "origQty": "0.01",
        "executedQty": "0.004",
        "status": "PARTIALLY_FILLED",
        "side": "BUY",
        "type": "LIMIT_MAKER",
        "stopPrice": "0.0",
    }
    return fields | changes


def trade(number: int, order: int) -> dict[str, Any]:
    return {
        "id": number,
        "orderId": order,
        "price": "100.50",
        "qty": "0.001",
        "commission": "0.0001",
        "commissionAsset": "BNB",
        "time": 1_699_999_999_000,
        "isBuyer": False,
        "isMaker": True,
    }


def known(called: Mapping[tuple[int, str], str]) -> OrderNames:
    """Return what is known of orders."""
    names = OrderNames()
    for (index, number), name in called.items():
        names.remember(index, number, name)
    return names


def test_a_snapshot_is_balances_open_orders_and_named_trades() -> None:
    orders = {"3": row(3, clientOrderId="demo-7-3-c"), "4": row(4, clientOrderId="web_1")}

    def answer(path: str, params: dict[str, str]) -> Answer:
        if path == "order":
            return orders[params["orderId"]]
        return {
            "account": {"balances": [{"asset": "BTC", "free": "1.5", "locked": "0.01"}]},
            "openOrders": [row(5), row(6, type="STOP_LOSS", stopPrice="90.00", price="0.0", side="SELL")],
            "myTrades": [trade(81, 5), trade(82, 3), trade(83, 4)],
        }[path]

    desk = Desk(answer)
    snapshot = desk.run(
        desk.rest.snapshot([INSTRUMENT], 1_600_000_000_123_456_789, known({(0, "5"): "known-5"}))
    )
    assert snapshot.balances == {"BTC": Balance(Decimal("1.5"), Decimal("0.01"))}
    assert snapshot.wire_ns == 1_700_000_000_000_000_000
    first, stop = snapshot.open_orders
    assert (first.client_order_id, first.venue_order_id, first.side) == ("demo-7-5", "5", BUY)
    assert (first.price_ticks, first.qty_lots, first.cum_lots) == (10050, 1000, 400)
    assert (stop.side, stop.price_ticks) == (SELL, 9000)
    assert [(t.trade_id, t.client_order_id, t.venue_order_id) for t in snapshot.trades] == [
        (81, "known-5", "5"),
        (82, "demo-7-3", "3"),  # cancelled since, under the id that its cancel gave it
        (83, "web_1", "4"),
    ]
    assert [path for path, _ in desk.net.asked] == ["myTrades", "order", "order", "openOrders", "account"]
    _, params = desk.net.asked[0]
    assert params == {
        "symbol": "BTCUSDT",
        "limit": "1000",
        "startTime": "1600000000123",
        "recvWindow": "5000",
        "timestamp": "1700000000000",
    }
    assert desk.net.asked[1][1]["orderId"] == "3"
    assert desk.net.headers[0] == {"X-MBX-APIKEY": "apikeyapikey"}


def unlisted(told: Sequence[Answer]) -> Desk:
    """Return a desk whose account has a trade of order 4, which is not among all orders yet."""
    later = iter(told)

    def answer(path: str, params: dict[str, str]) -> Answer:
        if path == "order":
            assert params["orderId"] == "4"
            return next(later)
        listed = {"myTrades": [trade(81, 4)], "allOrders": [row(9)], "openOrders": []}
        return listed.get(path, {"balances": []})

    return Desk(answer)


def test_a_trade_whose_order_is_not_listed_yet_is_named_by_asking_for_it() -> None:
    missing = Response(400, {}, b'{"code":-2013,"msg":"Order does not exist."}')
    desk = unlisted([missing, missing, row(4, clientOrderId="demo-7-4-c")])
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], 5_000_000, OrderNames()))
    assert [report.client_order_id for report in snapshot.trades] == ["demo-7-4"]


def test_a_trade_that_stays_unnamed_spoils_the_snapshot_and_is_nobody_s() -> None:
    desk = unlisted([Response(400, {}, b'{"code":-2013,"msg":"Order does not exist."}')] * 5)
    with pytest.raises(VenueError) as caught:
        desk.run(desk.rest.snapshot([INSTRUMENT], 5_000_000, OrderNames()))
    assert caught.value.code == -2013


def trades_of(orders: Sequence[int]) -> Desk:
    """Return a desk whose account has a trade of each order."""

    def answer(path: str, params: dict[str, str]) -> Answer:
        if path == "order":
            return row(int(params["orderId"]))
        first = int(params.get("orderId", 0))
        listed = {
            "myTrades": [trade(80 + number, number) for number in orders],
            "allOrders": [row(number) for number in range(first, first + 1000)],
            "openOrders": [],
        }
        return listed.get(path, {"balances": []})

    return Desk(answer)


def test_a_few_orders_are_asked_for_by_themselves_however_many_lie_between_them() -> None:
    desk = trades_of([3, 9_000_000])
    desk.run(desk.rest.snapshot([INSTRUMENT], 1, OrderNames()))
    asked = [(path, params["orderId"]) for path, params in desk.net.asked if "orderId" in params]
    assert asked == [("order", "3"), ("order", "9000000")]


def test_many_orders_are_looked_up_in_their_list() -> None:
    desk = trades_of(range(3, 9))
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], 1, OrderNames()))
    assert [one.client_order_id for one in snapshot.trades] == [f"demo-7-{number}" for number in range(3, 9)]
    asked = [(path, params["orderId"]) for path, params in desk.net.asked if "orderId" in params]
    assert asked == [("allOrders", "3")]


def test_whose_an_order_is_is_asked_once() -> None:
    desk, names = trades_of([3]), OrderNames()
    for _ in range(2):
        snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], 1, names))
        assert [one.client_order_id for one in snapshot.trades] == ["demo-7-3"]
    assert sum(path == "order" for path, _ in desk.net.asked) == 1


def test_orders_of_two_symbols_with_one_number_are_told_apart() -> None:
    pair = [INSTRUMENT, instrument(1, "ETH/USDT")]
    of = {"BTCUSDT": "demo-7-1", "ETHUSDT": "demo-7-2"}

    def answer(path: str, params: dict[str, str]) -> Answer:
        if path == "order":
            return row(7, clientOrderId=of[params["symbol"]])
        return {"myTrades": [trade(81, 7)], "openOrders": []}.get(path, {"balances": []})

    for names in (OrderNames(), known({(0, "7"): "demo-7-1"}), known({(1, "7"): "demo-7-2"})):
        desk = Desk(answer, pair)
        trades = desk.run(desk.rest.snapshot(pair, 1, names)).trades
        assert [(one.instrument, one.client_order_id) for one in trades] == [(0, "demo-7-1"), (1, "demo-7-2")]


def test_long_lists_are_read_page_by_page() -> None:
    def answer(path: str, params: dict[str, str]) -> Answer:
        if path == "account":
            return {"balances": []}
        if path == "openOrders":
            return []
        if path == "myTrades":
            first = int(params.get("fromId", 1))
            return [trade(number, number) for number in range(first, min(first + 1000, 2502))]
        first = int(params["orderId"])
        return [row(number) for number in range(first, min(first + 1000, 9999))]

    desk = Desk(answer)
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], 5_000_000, OrderNames()))
    assert [report.trade_id for report in snapshot.trades] == list(range(1, 2502))
    assert all(report.client_order_id == f"demo-7-{report.trade_id}" for report in snapshot.trades)
    trades = [params for path, params in desk.net.asked if path == "myTrades"]
    assert [params.get("fromId") for params in trades] == [None, "1001", "2001"]
    assert "startTime" not in trades[1]
    orders = [params["orderId"] for path, params in desk.net.asked if path == "allOrders"]
    assert orders == ["1", "1001", "2001"]


@pytest.mark.parametrize(("ahead_s", "start_ms"), [(300, 1_699_999_600_000), (-300, 1_699_999_900_000)])
def test_trades_are_asked_for_from_no_later_than_meant_by_the_exchange_s_clock(
    ahead_s: int, start_ms: int
) -> None:
    desk = Desk(lambda path, _: {"balances": []} if path == "account" else [])
    now_ns = desk.time.now_ns()
    desk.server.measure(now_ns, now_ns - ahead_s * 10**9, now_ns)
    desk.run(desk.rest.snapshot([INSTRUMENT], now_ns - 100 * 10**9, OrderNames()))
    (asked,) = [params for path, params in desk.net.asked if path == "myTrades"]
    assert asked["startTime"] == str(start_ms)


def test_reading_is_tried_again_after_failures_that_pass() -> None:
    failures: list[Answer] = [
        NetError("cut"),
        Response(503, {}, b"<html>"),
        Response(500, {}, b'{"code":-1000,"msg":"hm"}'),
    ]

    def answer(path: str, params: dict[str, str]) -> Answer:
        return failures.pop(0) if failures else {"balances": []}

    desk = Desk(answer)
    assert desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes)) == b'{"balances": []}'
    assert len(desk.net.asked) == 4
    assert desk.time.now_ns() > 1_700_000_000_000_000_000 + 800_000_000  # with growing pauses


@pytest.mark.parametrize(
    "answer",
    [
        Response(408, {}, b'{"code":-1007,"msg":"Timeout waiting for response from backend server."}'),
        Response(408, {}, b"<html>"),
        Response(400, {}, b'{"code":-1006,"msg":"An unexpected response was received."}'),
        Response(400, {}, b'{"code":-1001,"msg":"Internal error; unable to process your request."}'),
    ],
)
def test_what_failed_within_the_exchange_is_asked_for_again_and_is_no_refusal(answer: Response) -> None:
    desk = Desk(lambda path, params: answer)
    with pytest.raises(VenueError) as lasting:
        desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))
    assert len(desk.net.asked) == 5
    assert not refuses(lasting.value)


def test_what_does_not_pass_is_raised_as_it_is() -> None:
    desk = Desk(lambda path, params: NetError("cut"))
    with pytest.raises(NetError, match="cut"):
        desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))
    assert len(desk.net.asked) == 5

    desk = Desk(lambda path, params: Response(502, {}, b""))
    with pytest.raises(VenueError, match="GET /api/v3/account was answered with HTTP status 502"):
        desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))


def test_a_refusal_is_not_repeated_and_shows_no_signature() -> None:
    desk = Desk(lambda path, params: Response(401, {}, b'{"code":-2015,"msg":"Invalid API-key."}'))
    with pytest.raises(VenueError) as refused:
        desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))
    assert str(refused.value) == "GET /api/v3/account was refused: Invalid API-key. (code -2015)"
    assert refused.value.code == -2015
    assert len(desk.net.asked) == 1
    desk = Desk(lambda path, params: Response(400, {}, b'{"code":-1,"msg":"no apiKey apikeyapikey"}'))
    with pytest.raises(VenueError) as refused:
        desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))
    assert "apikeyapikey" not in str(refused.value)


@pytest.mark.parametrize("body", [b'{"code":-1000,"msg":"Not Found"}', b"<html>", b'{"code":0,"msg":""}'])
def test_what_is_not_there_is_told_by_its_status_and_not_asked_for_again(body: bytes) -> None:
    desk = Desk(lambda path, params: Response(404, {}, body))
    with pytest.raises(VenueError) as missing:
        desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))
    assert (missing.value.status, len(desk.net.asked)) == (404, 1)


def test_a_wrong_clock_is_measured_and_the_request_made_again() -> None:
    def answer(path: str, params: dict[str, str]) -> Answer:
        if path == "time":
            return {"serverTime": 1_700_000_007_000}
        if int(params["timestamp"]) < 1_700_000_006_000:
            return Response(400, {}, b'{"code":-1021,"msg":"Timestamp"}')
        return {"balances": []}

    desk = Desk(answer)
    desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))
    assert [path for path, _ in desk.net.asked] == ["account", "time", "account"]
    assert desk.server.offset_ns == 7_000_000_000


BAN = Response(418, {"Retry-After": "60", "X-MBX-USED-WEIGHT-1M": "6100"}, b'{"code":-1003,"msg":"ban"}')


def test_a_ban_latches_and_nothing_more_is_asked() -> None:
    desk = Desk(lambda path, params: BAN)
    for _ in range(2):
        with pytest.raises(VenueError, match=r"ban|not sent: rate limited for 60\.5 s more") as refused:
            desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))
        assert refused.value.code == -1003
    assert len(desk.net.asked) == 1
    assert desk.budget.used(1_700_000_000_000)["request_weight_60s"] == (6100, 0)


def test_a_snapshot_that_is_limited_goes_on_where_it_was_once_it_may() -> None:
    limited = Response(429, {"Retry-After": "7"}, b'{"code":-1003,"msg":"too much"}')
    asked_ns: list[int] = []

    def answer(path: str, params: dict[str, str]) -> Answer:
        asked_ns.append(desk.time.now_ns())
        return limited if len(asked_ns) == 2 else ANSWERS[path]

    desk = Desk(answer)
    desk.run(desk.rest.snapshot([INSTRUMENT], 1, OrderNames()))
    assert [path for path, _ in desk.net.asked] == ["myTrades", "openOrders", "openOrders", "account"]
    assert asked_ns[2] - asked_ns[1] >= 7_000_000_000


def test_a_request_that_waited_is_signed_when_it_leaves() -> None:
    desk = Desk(lambda path, params: ANSWERS[path])
    desk.budget.learn([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 6000, 5390)], 1_700_000_000_000)
    with capture_logs() as said:
        desk.run(desk.rest.snapshot([INSTRUMENT], 1, OrderNames()))
    assert [int(params["timestamp"]) for _, params in desk.net.asked] == [1_700_000_040_000] * 3
    waits = {"component": "venue", "event": "limit_waits", "of": "/api/v3/myTrades", "seconds": 40.0}
    assert said == [{**waits, "log_level": "info"}]


def test_the_clock_is_measured_without_a_wait() -> None:
    desk = Desk(lambda path, params: {"serverTime": 1_700_000_000_000})
    desk.budget.learn([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 6000, 5000)], 1_700_000_000_000)
    desk.run(desk.rest.ask_time())
    assert (desk.server.offset_ns, desk.server.round_trip_ns) == (0, 0)


def test_answers_that_are_no_json_are_refused_in_a_sentence() -> None:
    desk = Desk(lambda path, params: Response(400, {}, b"<html>"))
    with pytest.raises(VenueError, match="HTTP status 400"):
        desk.run(desk.rest.get("/api/v3/account", {}, 20, bytes))


ANSWERS: dict[str, Answer] = {"account": {"balances": []}, "openOrders": [], "myTrades": []}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("account", b"<html>maintenance</html>"),
        ("account", b"[" * 200_000),
        ("openOrders", b'{"code":0}'),
        ("myTrades", json.dumps([trade(81, 5) | {"price": "100.501"}]).encode()),
    ],
)
def test_an_answer_that_cannot_be_read_is_the_venue_s_failure_and_counted(path: str, body: bytes) -> None:
    desk = Desk(lambda asked, params: Response(200, {}, body) if asked == path else ANSWERS[asked])
    with pytest.raises(VenueError, match=rf"the answer to GET /api/v3/{path} could not be read: .") as failed:
        desk.run(desk.rest.snapshot([INSTRUMENT], 1, known({(0, "5"): "known"})))
    assert failed.value.code == UNREADABLE
    assert UNREADABLE not in BUSY  # one that stays so halts
    assert desk.frame_errors


def test_an_answer_that_could_not_be_read_once_is_asked_for_again() -> None:
    answers = [Response(200, {}, b"<html>"), {"balances": []}]
    desk = Desk(lambda path, params: answers.pop(0) if path == "account" else ANSWERS[path])
    assert desk.run(desk.rest.snapshot([INSTRUMENT], 1, OrderNames())).balances == {}
    assert desk.frame_errors == ["json"]


def test_a_time_that_cannot_be_read_is_the_venue_s_failure() -> None:
    desk = Desk(lambda path, params: {"serverTime": "soon"})
    with pytest.raises(VenueError, match="GET /api/v3/time could not be read"):
        desk.run(desk.rest.ask_time())
    assert desk.frame_errors == ["type"]


def test_an_open_order_off_the_grid_is_noted_and_left_out() -> None:
    orders = [row(5), row(6, clientOrderId="web_1", price="100.501"), row(7)]
    desk = Desk(lambda path, params: {**ANSWERS, "openOrders": orders}[path])
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], 1, OrderNames()))
    assert [listed.venue_order_id for listed in snapshot.open_orders] == ["5", "7"]
    (note,) = snapshot.notes
    assert "order web_1 in BTCUSDT, which cannot be read (100.501 is no multiple of 0.01)" in note
    assert desk.frame_errors == ["grid"]


@pytest.mark.parametrize(
    ("kind", "working", "price", "stop"),
    [
        ("LIMIT_MAKER", True, "100.50", False),
        ("STOP_LOSS", False, "0.00", True),
        ("TAKE_PROFIT", False, "0.00", True),
        ("STOP_LOSS_LIMIT", False, "100.50", True),
        ("TAKE_PROFIT_LIMIT", False, "100.50", True),
        ("STOP_LOSS_LIMIT", True, "100.50", False),  # its trigger came: the rest of it is in the book
        ("TAKE_PROFIT_LIMIT", True, "100.50", False),
    ],
)
def test_what_waits_for_its_trigger_is_told_from_what_rests(kind, working, price, stop) -> None:
    listed = row(5, type=kind, isWorking=working, price=price, stopPrice="90.00", executedQty="0.0")
    desk = Desk(lambda path, params: {**ANSWERS, "openOrders": [listed]}[path])
    (one,) = desk.run(desk.rest.snapshot([INSTRUMENT], 1, OrderNames())).open_orders
    assert (one.price_ticks, one.stop) == (10050 if price == "100.50" else 9000, stop)


def test_the_open_orders_of_many_symbols_are_one_request() -> None:
    many = [instrument(index) for index in range(14)]
    orders = [row(5, symbol="B013USDT"), row(6, symbol="ELSEUSDT"), row(7, symbol="B000USDT")]
    desk = Desk(lambda path, params: {**ANSWERS, "openOrders": orders}[path], many)
    snapshot = desk.run(desk.rest.snapshot(many, 1, OrderNames()))
    assert [params.get("symbol") for path, params in desk.net.asked if path == "openOrders"] == [None]
    assert [(listed.venue_order_id, listed.instrument) for listed in snapshot.open_orders] == [
        ("5", 13),
        ("7", 0),
    ]
    assert snapshot.notes == []
    few = Desk(lambda path, params: ANSWERS[path])
    few.run(few.rest.snapshot(many[:13], 1, OrderNames()))
    asked = [params.get("symbol") for path, params in few.net.asked if path == "openOrders"]
    assert asked == [one.exchange_symbol for one in many[:13]]


def test_a_snapshot_of_hundreds_of_symbols_waits_for_its_part_of_the_weight() -> None:
    """20 for each symbol's trades: 400 symbols want more than a minute has, and orders keep their part."""
    most: list[int] = []

    def answer(path: str, params: dict[str, str]) -> Answer:
        most.append(desk.budget.used(desk.time.now_ns() // 1_000_000)["request_weight_60s"][0])
        return ANSWERS[path]

    desk = Desk(answer)
    desk.budget.learn([RateLimit("REQUEST_WEIGHT", "MINUTE", 1, 6000, 0)], 1_700_000_000_000)
    desk.run(desk.rest.snapshot([instrument(index) for index in range(400)], 1, OrderNames()))
    assert len(desk.net.asked) == 402
    assert 2980 < max(most) <= 3000
    assert desk.time.now_ns() == 1_700_000_100_000_000_000  # 20 s into a minute, then two minutes more began


def test_an_open_order_of_a_symbol_that_is_not_traded_here_is_left_alone() -> None:
    rows = [row(5, symbol="ETHUSDT"), row(6)]
    desk = Desk(lambda path, params: rows if path == "openOrders" else ANSWERS[path])
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], 1, known({(0, "5"): "known"})))
    assert [one.venue_order_id for one in snapshot.open_orders] == ["6"]
    assert snapshot.notes == []
