from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from daemon.clock import VirtualTime
from daemon.errors import FrameError, NetError, VenueError
from daemon.instruments import make_instrument
from daemon.orders.order import Order, State
from daemon.venues.binance_frames import OrderFrames
from daemon.venues.binance_session import AMEND, CANCEL, PLACE, QUERY, TIME, TRADES, Asked, Session
from kernels.dtypes import BUY, REST

if TYPE_CHECKING:
    from daemon.events import ExecutionReport
    from daemon.venues.binance_wire import RateLimit

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


class FakeWire:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.open = True

    def send(self, payload: bytes) -> None:
        if not self.open:
            raise NetError("the wire is cut")
        self.sent.append(payload)

    def close(self) -> None:
        self.open = False


class FakeOwner:
    """Remembers all that a session tells, as one list in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.reports: list[ExecutionReport] = []
        self.known: set[tuple[str, str, int, int]] = set()

    def on_report(self, report: ExecutionReport) -> None:
        self.told.append(report.kind)
        self.reports.append(report)

    def knows(self, kind: str, client_order_id: str, cum_lots: int, trade_id: int) -> bool:
        return (kind, client_order_id, cum_lots, trade_id) in self.known

    def on_time(self, sent_ns: int, server_ns: int, received_ns: int) -> None:
        self.told.append(("time", sent_ns, server_ns, received_ns))

    def on_limits(self, limits: list[RateLimit]) -> None:
        self.told.append(("limits", [limit.count for limit in limits]))

    def on_limited(self, status: int, until_ms: int) -> None:
        self.told.append(("limited", status, until_ms))

    def on_clock_refused(self) -> None:
        self.told.append("clock refused")

    def on_trades_missing(self, session: Session, status: ExecutionReport, order: Order) -> None:
        self.told.append(("trades missing", status.cum_lots, order.client_order_id))

    def on_frame_error(self, error: FrameError) -> None:
        self.told.append(("frame error", error.reason))

    def on_ending(self, session: Session, reason: str) -> None:
        self.told.append(("ending", reason))

    def on_closed(self, session: Session, reason: str) -> None:
        self.told.append(("closed", reason))


class Desk:
    """A session between fakes, on virtual time."""

    def __init__(self) -> None:
        self.time = VirtualTime(5_000)
        self.owner = FakeOwner()
        self.wire = FakeWire()
        self.session = Session(self.owner, OrderFrames([INSTRUMENT]), self.time)
        self.session.begin(self.wire)
        self.order = Order(
            client_order_id="demo-7-1",
            seq=1,
            strategy=0,
            instrument=0,
            slot=0,
            row=0,
            kind=REST,
            level=0,
            side=BUY,
            price_ticks=2341610,
            qty_lots=847,
            reduces=False,
        )

    def ask(self, number: int, verb: int, **more: Any) -> None:
        order = None if verb == TIME else self.order
        self.session.ask(number, Asked(verb, order, self.time.now_ns(), **more), b"request")

    def answer(self, number: int | None, **message: Any) -> list[Any]:
        """Let an answer come in; return what the owner was told by it."""
        self.owner.told.clear()
        self.owner.reports.clear()
        payload = json.dumps({"id": number, "status": 200} | message).encode()
        self.session.on_frame(payload, last=True)
        return self.owner.told

    def event(self, event: dict[str, Any]) -> list[Any]:
        """Let an event come in; return what the owner was told by it."""
        self.owner.told.clear()
        payload = json.dumps({"subscriptionId": 0, "event": event}).encode()
        self.session.on_frame(payload, last=True)
        return self.owner.told

    def refuse(self, number: int | None, code: int, status: int = 400, msg: str = "why") -> list[Any]:
        return self.answer(number, status=status, error={"code": code, "msg": msg})


@pytest.fixture
def desk() -> Desk:
    return Desk()


EVENT = {
    "e": "executionReport", "s": "BTCUSDT", "c": "demo-7-1", "S": "BUY", "o": "LIMIT", "q": "0.00847",
    "p": "23416.10", "P": "0.00", "C": "", "x": "NEW", "X": "NEW", "r": "NONE", "i": 7, "l": "0.00000",
    "z": "0.00000", "L": "0.00", "n": "0", "N": None, "T": 1, "t": -1, "m": False,
}  # fmt: skip
ROW = {
    "symbol": "BTCUSDT",
    "orderId": 12,
    "clientOrderId": "demo-7-1",
    "transactTime": 1,
    "price": "23416.10",
    "origQty": "0.00847",
    "executedQty": "0.00000",
    "status": "NEW",
    "side": "BUY",
    "type": "LIMIT_MAKER",
}


def test_an_answer_finds_its_request_and_is_taken_once(desk: Desk) -> None:
    desk.ask(1, PLACE)
    desk.ask(2, CANCEL)
    assert desk.answer(2, result=ROW | {"status": "CANCELED"}) == ["CANCELED"]
    assert desk.answer(1, result=ROW) == ["NEW"]
    assert desk.answer(1, result=ROW) == []
    assert desk.session.asked == {}
    assert desk.wire.sent == [b"request", b"request"]


def test_the_limits_of_an_answer_are_handed_on(desk: Desk) -> None:
    limit = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 12}
    desk.ask(1, PLACE)
    assert desk.answer(1, result=ROW, rateLimits=[limit]) == [("limits", [12]), "NEW"]


def test_limits_are_read_every_ten_milliseconds_and_with_every_failure(desk: Desk) -> None:
    limit = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50, "count": 12}
    for number in range(1, 5):
        desk.ask(number, PLACE)
    assert desk.answer(1, result=ROW, rateLimits=[limit]) == [("limits", [12]), "NEW"]
    assert desk.answer(2, result=ROW, rateLimits=[limit]) == ["NEW"]
    error = {"code": -1013, "msg": "no"}
    assert desk.answer(3, status=400, error=error, rateLimits=[limit]) == [("limits", [12]), "REJECTED"]
    desk.time.advance(desk.time.now_ns() + 10_000_000)
    assert desk.answer(4, result=ROW, rateLimits=[limit]) == [("limits", [12]), "NEW"]


def test_limits_that_cannot_be_read_are_counted_and_the_answer_is_taken(desk: Desk) -> None:
    desk.ask(1, PLACE)
    assert desk.answer(1, result=ROW, rateLimits=[7]) == [("frame error", "type"), "NEW"]


def test_an_event_that_says_what_is_known_becomes_no_report(desk: Desk) -> None:
    desk.owner.known.add(("TRADE", "demo-7-1", 847, 5))
    event = EVENT | {"x": "TRADE", "c": "demo-7-1", "z": "0.00847", "t": 5}
    assert desk.event(event) == []
    assert desk.event(event | {"t": 6}) == ["TRADE"]


@pytest.mark.parametrize(
    ("verb", "kind"),
    [(PLACE, "REJECTED"), (CANCEL, "CANCEL_REJECTED"), (AMEND, "AMEND_REJECTED"), (QUERY, "TIMEOUT")],
)
def test_a_definite_refusal_is_one(desk: Desk, verb: int, kind: str) -> None:
    desk.ask(1, verb)
    assert desk.refuse(1, -1013, msg="Filter failure: LOT_SIZE") == [kind]
    assert (desk.owner.reports[0].code, desk.owner.reports[0].reason) == (-1013, "Filter failure: LOT_SIZE")


@pytest.mark.parametrize("verb", [PLACE, CANCEL, AMEND, QUERY])
@pytest.mark.parametrize(
    ("code", "status"),
    [(-1007, 400), (-1006, 400), (-1000, 500), (-1001, 503), (-2010, 502), (-9999, 504), (-9999, 408)],
)
def test_an_unknown_outcome_is_never_a_rejection(desk: Desk, verb: int, code: int, status: int) -> None:
    desk.ask(1, verb)
    assert desk.refuse(1, code, status) == ["TIMEOUT"]


def test_an_order_said_to_be_a_duplicate_is_at_the_venue(desk: Desk) -> None:
    desk.ask(1, PLACE)
    assert desk.refuse(1, -2010, msg="Duplicate order sent.") == ["TIMEOUT"]


def test_a_queried_order_that_is_not_known_is_not_found(desk: Desk) -> None:
    desk.ask(1, QUERY)
    assert desk.refuse(1, -2013, msg="Order does not exist.") == ["NOT_FOUND"]


def test_a_refused_time_stamp_asks_for_the_clock(desk: Desk) -> None:
    desk.ask(1, PLACE)
    assert desk.refuse(1, -1021) == ["clock refused", "REJECTED"]


def test_a_rate_limit_says_until_when(desk: Desk) -> None:
    desk.ask(1, PLACE)
    error = {"code": -1003, "msg": "Too many", "data": {"serverTime": 1, "retryAfter": 99}}
    assert desk.answer(1, status=429, error=error) == [("limited", 429, 99), "REJECTED"]
    assert desk.refuse(2, -1003, 418) == [("limited", 418, 0)]


def test_a_query_of_an_order_with_unseen_trades_asks_for_them_first(desk: Desk) -> None:
    desk.ask(1, QUERY)
    row = ROW | {"executedQty": "0.00847", "status": "FILLED"}
    assert desk.answer(1, result=row) == [("trades missing", 847, "demo-7-1")]
    status = OrderFrames([INSTRUMENT]).status(
        OrderFrames([INSTRUMENT]).message(json.dumps({"id": 1, "result": row}).encode()).result, desk.order, 1
    )
    desk.ask(2, TRADES, status=status)
    trade = {
        "symbol": "BTCUSDT", "id": 81, "orderId": 12, "price": "23416.10", "qty": "0.00400",
        "commission": "0", "commissionAsset": "BNB", "time": 1, "isBuyer": True, "isMaker": True,
    }  # fmt: skip
    assert desk.answer(2, result=[trade, trade | {"id": 82, "qty": "0.00447"}]) == [
        "TRADE",
        "TRADE",
        "STATUS",
    ]
    assert [report.cum_lots for report in desk.owner.reports] == [400, 847, 847]


def test_a_query_of_an_order_whose_trades_are_known_is_answered_at_once(desk: Desk) -> None:
    desk.order.filled_lots = 847
    desk.ask(1, QUERY)
    assert desk.answer(1, result=ROW | {"executedQty": "0.00847", "status": "FILLED"}) == ["STATUS"]


def test_an_amend_is_answered_with_the_new_quantity(desk: Desk) -> None:
    desk.ask(1, AMEND)
    amended = {"transactTime": 1, "amendedOrder": {"orderId": 12, "qty": "0.005", "executedQty": "0"}}
    assert desk.answer(1, result=amended) == ["REPLACED"]
    assert desk.owner.reports[0].qty_lots == 500


def test_an_answer_that_cannot_be_read_leaves_the_order_unknown(desk: Desk) -> None:
    desk.ask(1, PLACE)
    assert desk.answer(1, result={"symbol": 5}) == [("frame error", "type"), "TIMEOUT"]
    assert desk.wire.open


def test_an_event_that_cannot_be_read_may_have_been_a_fill_so_the_connection_goes(desk: Desk) -> None:
    desk.owner.told.clear()
    desk.session.on_frame(b'{"event":{"e":"executionReport","s":5}}', last=True)
    assert desk.owner.told == [("frame error", "type")]
    assert not desk.wire.open
    assert "could not be read" in desk.session.closed_reason


def test_an_event_of_a_new_kind_does_no_harm(desk: Desk) -> None:
    desk.session.on_frame(b'{"event":{"e":"brandNew","x":5}}', last=True)
    assert desk.owner.told == [("frame error", "event")]
    assert desk.wire.open


def test_the_server_s_farewell_asks_for_a_successor(desk: Desk) -> None:
    desk.session.on_frame(b'{"event":{"e":"serverShutdown","E":1}}', last=True)
    assert desk.owner.told == [("ending", "the server is about to shut down")]
    assert desk.wire.open


def test_the_end_of_the_user_data_stream_ends_the_connection(desk: Desk) -> None:
    desk.session.on_frame(b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}', last=True)
    assert not desk.wire.open
    assert desk.session.closed_reason == "the user data stream ended"


def test_a_revoked_session_ends_the_connection(desk: Desk) -> None:
    desk.refuse(None, -2015, 401)
    assert not desk.wire.open
    assert desk.session.closed_reason == "the venue ended the session with status 401"


def test_the_exchange_s_clock_is_told_with_its_round_trip(desk: Desk) -> None:
    desk.ask(1, TIME)
    desk.time.advance(9_000)
    assert desk.answer(1, result={"serverTime": 1700000000000}) == [
        ("time", 5_000, 1700000000000000000, 9_000)
    ]


def test_whatever_is_unanswered_when_the_connection_ends_is_unknown(desk: Desk) -> None:
    desk.ask(1, PLACE)
    desk.ask(2, CANCEL)
    desk.ask(3, TIME)
    desk.session.on_close("the connection was lost")
    assert desk.owner.told == [("closed", "the connection was lost"), "TIMEOUT", "TIMEOUT"]
    assert desk.owner.reports[0].reason == "the connection ended: the connection was lost"
    with pytest.raises(NetError, match="the connection was lost"):
        desk.ask(4, PLACE)


def test_an_overdue_answer_is_told_once_and_taken_when_it_comes(desk: Desk) -> None:
    desk.ask(1, PLACE)
    desk.time.advance(10_000)
    desk.ask(2, CANCEL)
    for _ in range(2):
        desk.session.tell_overdue(before_ns=9_000)
    assert desk.owner.told == ["TIMEOUT"]
    assert desk.refuse(1, -2010, msg="Account has insufficient balance") == ["REJECTED"]
    desk.session.on_close("lost")
    assert desk.owner.told == ["REJECTED", ("closed", "lost"), "TIMEOUT"]


def test_what_is_never_answered_is_forgotten_in_the_end(desk: Desk) -> None:
    for number in range(5000):
        desk.ask(number, TIME)
    desk.session.tell_overdue(before_ns=6_000)
    assert len(desk.session.asked) == 4096
    assert min(desk.session.asked) == 904


def test_what_cannot_be_sent_is_not_remembered(desk: Desk) -> None:
    desk.wire.open = False
    with pytest.raises(NetError, match="the wire is cut"):
        desk.ask(1, PLACE)
    assert desk.session.asked == {}


def test_a_call_returns_its_result_or_raises_why_not(desk: Desk) -> None:
    async def main() -> None:
        session = desk.session

        async def call(number: int) -> Any:
            return await session.call(number, "time", {}, None)

        task = asyncio.create_task(call(1))
        await asyncio.sleep(0)
        assert desk.wire.sent == [b'{"id":1,"method":"time","params":{}}']
        desk.answer(1, result={"serverTime": 5})
        assert bytes(await task) == b'{"serverTime": 5}'

        task = asyncio.create_task(call(2))
        await asyncio.sleep(0)
        desk.refuse(2, -2015, 401, "Invalid API-key apiKey=canarycanary")
        with pytest.raises(VenueError, match=r"time was refused: Invalid API-key apiKey=\*\*\*") as refused:
            await task
        assert refused.value.code == -2015

        task = asyncio.create_task(call(3))
        await asyncio.sleep(0)
        task.cancel()  # who waits has a limit
        with pytest.raises(asyncio.CancelledError):
            await task
        assert session.asked == {}

        task = asyncio.create_task(call(4))
        await asyncio.sleep(0)
        session.on_close("cut")
        with pytest.raises(NetError, match="the connection ended: cut"):
            await task

    asyncio.run(main())


def test_an_event_of_a_symbol_that_is_not_traded_here_is_passed_over(desk: Desk) -> None:
    assert desk.event(EVENT | {"s": "ETHUSDT"}) == []
    assert desk.wire.open


def test_an_answer_that_nobody_waits_for_any_more_changes_nothing(desk: Desk) -> None:
    async def main() -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        desk.ask(1, TIME, answer=answer)
        answer.cancel()
        assert desk.answer(1, result={"serverTime": 1}) == []
        assert desk.session.asked == {}

    asyncio.run(main())


def test_a_refusal_that_is_about_no_order_is_told_to_nobody(desk: Desk) -> None:
    desk.ask(1, TIME)
    assert desk.refuse(1, -1021) == ["clock refused"]
    assert desk.owner.reports == []


@pytest.mark.parametrize("step_ns", [-3_600, 3_600])
def test_a_clock_that_is_set_hides_no_request_behind_an_earlier_one(desk: Desk, step_ns: int) -> None:
    desk.time.advance(10_000)
    desk.ask(1, PLACE)
    desk.time.advance(11_000)
    desk.session.clock_stepped(step_ns)
    desk.session.asked[2] = Asked(CANCEL, desk.session.asked[1].order, 11_000 + step_ns)
    assert not desk.session.tell_overdue(10_500 + step_ns)
    assert desk.owner.told == ["TIMEOUT"]
    desk.session.tell_overdue(11_500 + step_ns)
    assert desk.owner.told == ["TIMEOUT", "TIMEOUT"]


def test_an_exchange_that_owes_its_time_is_silent(desk: Desk) -> None:
    desk.ask(1, PLACE)
    desk.time.advance(10_000)
    desk.ask(2, TIME)
    assert not desk.session.tell_overdue(before_ns=10_000)
    assert desk.session.tell_overdue(before_ns=10_001)
    assert desk.session.tell_overdue(before_ns=10_001)  # as long as it owes it


@pytest.mark.parametrize("step_ns", [0, -3_600, 3_600])
def test_what_an_answer_told_before_the_stream_is_owed_from_then_on_whatever_our_clock_does(
    desk: Desk, step_ns: int
) -> None:
    desk.time.advance(10_000)
    desk.ask(1, PLACE)
    desk.answer(1, result=ROW)
    desk.ask(2, PLACE)
    desk.time.advance(11_000)
    desk.answer(2, result=ROW)
    desk.session.clock_stepped(step_ns)
    assert not desk.session.is_mute(10_000 + step_ns)
    assert desk.session.is_mute(10_001 + step_ns)
    desk.event(EVENT)
    assert not desk.session.is_mute(20_000)


@pytest.mark.parametrize(
    ("verb", "state"), [(PLACE, State.WORKING), (PLACE, State.CANCELED), (CANCEL, State.CANCELED)]
)
def test_what_the_stream_told_first_is_not_owed(desk: Desk, verb: int, state: State) -> None:
    desk.ask(1, verb)
    desk.order.state = state
    desk.answer(1, result=ROW)
    assert not desk.session.is_mute(10**9)
