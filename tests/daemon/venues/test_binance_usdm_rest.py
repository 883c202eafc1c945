from __future__ import annotations

import asyncio
import json
import random
from typing import Any, cast

import msgspec
import pytest

from daemon.clock import VirtualTime
from daemon.errors import ConfigError, NetError, VenueError
from daemon.events import Funding, MarginTerms
from daemon.memory_disk import InlineWorker
from daemon.seams import Response, Seams
from daemon.venues.binance_limits import Budget
from daemon.venues.binance_settings import UsdmSettings
from daemon.venues.binance_usdm_frames import UsdmFrames
from daemon.venues.binance_usdm_rest import UsdmRest
from daemon.venues.order_names import OrderNames
from daemon.venues.server_clock import ServerClock
from kernels.dtypes import SELL, STOP
from tests.daemon.venues import test_binance_rest as spot
from tests.daemon.venues.test_binance_requests import order
from tests.daemon.venues.test_binance_usdm_frames import INSTRUMENT

DAY_MS = 86_400_000


class Net:
    """Answers signed requests from a function; remembers them."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def connect(self, url: str, handler: object) -> Any:
        raise AssertionError("the reader opens no websocket")

    async def request(self, method: str, url: str, headers: Any, body: bytes, timeout_s: float) -> Response:
        parts = spot.urlsplit(url)
        params = dict(spot.parse_qsl(parts.query))
        if not parts.path.endswith("/time"):
            query, _, signature = parts.query.partition("&signature=")
            assert signature == spot.SIGNER.sign(query.encode()).decode()
            for name in ("signature", "timestamp", "recvWindow"):
                del params[name]
        path = parts.path.removeprefix("/fapi/")
        self.asked.append((method, path, params))
        answer = (
            {"serverTime": 1_700_000_000_000} if path == "v1/time" else self._answer(method, path, params)
        )
        if isinstance(answer, Response):
            return answer
        return Response(200, {}, json.dumps(answer).encode())

    async def close(self) -> None:
        """Nothing is open."""


class Desk(spot.Desk):
    def __init__(self, answer: Any) -> None:
        self.time = VirtualTime(1_700_000_000_000_000_000)
        self.usdm = Net(answer)
        seams = Seams(self.time, self.time, self.usdm, cast("Any", None), InlineWorker(), random.Random(1))
        self.frame_errors: list[str] = []
        self.rest = UsdmRest(
            "https://api.example/",
            spot.SIGNER,
            5000,
            seams,
            UsdmFrames([INSTRUMENT]),
            Budget(),
            ServerClock(),
            lambda error: self.frame_errors.append(error.reason),
        )
        self.rest.symbols = ["BTCUSDT"]


def refused(code: int, text: str) -> Response:
    return Response(400, {}, json.dumps({"code": code, "msg": text}).encode())


# --- how the account is set up ------------------------------------------------------------------------------
class Account:
    """An account whose set-up can be changed, but for what is refused."""

    def __init__(self, leverage: int = 20, margin: str = "CROSSED", **more: Any) -> None:
        self.state = {"leverage": leverage, "marginType": margin}
        self.dual = self.pool = False
        self.refusal: Response | None = None
        self.deaf = False
        self.__dict__.update(more)

    def __call__(self, method: str, path: str, params: dict[str, str]) -> Any:
        name = path.removeprefix("v1/")
        if name == "positionSide/dual":
            return {"dualSidePosition": self.dual}
        if name == "multiAssetsMargin":
            return {"multiAssetsMargin": self.pool}
        if method == "POST":
            if self.refusal is not None:
                return self.refusal
            if not self.deaf:
                self.state[name] = int(params[name]) if name == "leverage" else params[name]
            return {}
        return [{"symbol": "BTCUSDT", **self.state}]


def set_up(account: Account, **settings: Any) -> list[tuple[str, str]]:
    """Set up; return what was changed."""
    desk = Desk(account)
    desk.run(desk.rest.set_up([INSTRUMENT], UsdmSettings(**settings)))
    return [(path, *params) for method, path, params in desk.usdm.asked if method == "POST"]


def test_what_is_as_configured_is_left_alone() -> None:
    assert set_up(Account(), leverage=20) == []


def test_what_is_otherwise_is_set_and_looked_at_again() -> None:
    account = Account()
    assert set_up(account, leverage=3, margin="isolated") == [
        ("v1/marginType", "symbol", "marginType"),
        ("v1/leverage", "symbol", "leverage"),
    ]
    assert account.state == {"leverage": 3, "marginType": "ISOLATED"}


@pytest.mark.parametrize(
    ("account", "sentence"),
    [
        (Account(dual=True), "hedge mode"),
        (Account(pool=True), "multi-assets mode"),
        (Account(refusal=refused(-4048, "Margin type cannot be changed")), "leverage 3 cannot be had"),
        (Account(deaf=True), "is at CROSSED margin and leverage 20 after CROSSED and 3 were asked for"),
    ],
)
def test_what_cannot_be_had_is_said(account: Account, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        set_up(account, leverage=3)


@pytest.mark.parametrize(
    "answer",
    [
        Response(503, {}, b"Service Unavailable."),
        Response(408, {}, b'{"code":-1007,"msg":"Timeout waiting for response from backend server."}'),
        Response(429, {}, b'{"code":-1003,"msg":"Too many requests."}'),
        refused(-1021, "Timestamp for this request is outside of the recvWindow."),
    ],
)
def test_an_exchange_that_fails_or_limits_us_is_no_fault_of_the_configuration(answer: Response) -> None:
    with pytest.raises(VenueError):
        set_up(Account(refusal=answer), leverage=3)


def test_an_account_in_which_positions_are_only_closed_is_left_as_it_is() -> None:
    assert set_up(Account(pool=True, deaf=True), leverage=3, margin="isolated", as_it_is=True) == []
    with pytest.raises(ConfigError, match="hedge mode"):
        set_up(Account(dual=True), as_it_is=True)


def test_a_symbol_nobody_tells_of_is_named() -> None:
    desk = Desk(
        lambda method, path, params: [] if path == "v1/symbolConfig" else Account()(method, path, params)
    )
    with pytest.raises(ConfigError, match="BTC/USDT:USDT"):
        desk.run(desk.rest.set_up([INSTRUMENT], UsdmSettings()))


def test_a_symbol_whose_countdown_is_refused_keeps_no_other_from_being_told_of() -> None:
    closed = refused(-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading.")
    names = ("BTCUSDT", "OLDUSDT", "ETHUSDT")
    desk = Desk(lambda method, path, params: closed if params["symbol"] == "OLDUSDT" else {})
    listed = [msgspec.structs.replace(INSTRUMENT, exchange_symbol=name) for name in names]
    with pytest.raises(VenueError, match="of OLDUSDT was refused: Symbol is on delivering"):
        desk.run(desk.rest.count_down(listed, 3000))
    assert [params["symbol"] for _, _, params in desk.usdm.asked] == list(names)


def test_a_symbol_whose_countdown_is_lost_or_late_keeps_no_other_from_being_told_of() -> None:
    names = ("LOSTUSDT", "BTCUSDT", "LATEUSDT", "ETHUSDT")

    def answer(method: str, path: str, params: dict[str, str]) -> Any:
        if params["symbol"] == "LOSTUSDT":
            raise NetError("cut")
        return {}

    async def work() -> None:
        late, request = asyncio.Event(), desk.usdm.request

        async def held(method: str, url: str, *words: Any) -> Response:
            response = await request(method, url, *words)
            if "LATEUSDT" in url:
                await late.wait()
            return response

        desk.usdm.request = held  # type: ignore[method-assign]
        telling = asyncio.ensure_future(desk.rest.count_down(listed, 3000))
        for _ in range(30):
            await asyncio.sleep(0)
        assert sorted(params["symbol"] for _, _, params in desk.usdm.asked) == sorted(names)
        late.set()
        with pytest.raises(NetError, match="cut"):
            await telling

    desk = Desk(answer)
    listed = [msgspec.structs.replace(INSTRUMENT, exchange_symbol=name) for name in names]
    asyncio.run(work())


def test_a_countdown_is_asked_for_once() -> None:
    desk = Desk(lambda *_: refused(-1000, "no"))
    with pytest.raises(VenueError):
        desk.run(desk.rest.count_down([INSTRUMENT], 3000))
    assert desk.usdm.asked == [
        ("POST", "v1/countdownCancelAll", {"symbol": "BTCUSDT", "countdownTime": "3000"})
    ]


# --- the snapshot -------------------------------------------------------------------------------------------
ORDER = {
    "orderId": 9, "symbol": "BTCUSDT", "status": "NEW", "clientOrderId": "demo-7-1", "price": "60000.0",
    "origQty": "0.015", "executedQty": "0.005", "type": "LIMIT", "side": "SELL", "updateTime": 1,
}  # fmt: skip
ALGO = {
    "algoId": 3, "clientAlgoId": "demo-7-2", "side": "SELL", "quantity": "0.010", "triggerPrice": "59000.0",
    "algoStatus": "NEW", "actualOrderId": "", "updateTime": 1, "symbol": "BTCUSDT",
}  # fmt: skip
TRADE = {
    "id": 7, "orderId": 9, "price": "60000.1", "qty": "0.005", "commission": "0.15",
    "commissionAsset": "USDT", "time": 1, "buyer": False, "maker": True,
}  # fmt: skip
ACCOUNT = {
    "assets": [{"asset": "USDT", "walletBalance": "99.5"}, {"asset": "BNB", "walletBalance": "0"}],
    "positions": [{"symbol": "BTCUSDT", "positionAmt": "-0.005"}, {"symbol": "ETHUSDT", "positionAmt": "1"}],
}
ANSWERS: dict[str, Any] = {
    "v1/openOrders": [ORDER],
    "v1/openAlgoOrders": [ALGO],
    "v1/userTrades": [TRADE],
    "v1/order": ORDER,
    "v3/account": ACCOUNT,
    "v1/income": [
        {"symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-0.37500000", "asset": "USDT",
         "info": "FUNDING_FEE", "time": 1570608000000, "tranId": "9689322392", "tradeId": ""},
    ],
    "v1/leverageBracket": [
        {"symbol": "BTCUSDT", "brackets": [
            {"bracket": 1, "initialLeverage": 125, "notionalCap": 50000, "notionalFloor": 0,
             "maintMarginRatio": 0.004, "cum": 0.0},
            {"bracket": 2, "initialLeverage": 100, "notionalCap": 250000, "notionalFloor": 50000,
             "maintMarginRatio": 0.005, "cum": 50.0},
        ]},
        {"symbol": "ETHUSDT", "brackets": [{"notionalFloor": 0, "maintMarginRatio": 0.5}]},
    ],
    "v3/positionRisk": [
        {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "-0.005", "entryPrice": "60000.0",
         "liquidationPrice": "71000.5", "markPrice": "60001.1"},
        {"symbol": "ETHUSDT", "positionAmt": "1", "entryPrice": "1", "liquidationPrice": "1000"},
    ],
}  # fmt: skip


def test_a_snapshot_tells_wallets_positions_orders_stops_and_trades() -> None:
    desk = Desk(lambda method, path, params: ANSWERS[path])
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], desk.time.now_ns(), OrderNames()))
    assert (snapshot.balances["USDT"].free, snapshot.positions) == (spot.Decimal("99.5"), {0: -5})
    resting, stop = snapshot.open_orders
    assert (resting.client_order_id, resting.cum_lots, resting.stop) == ("demo-7-1", 5, False)
    assert (stop.client_order_id, stop.price_ticks, stop.stop) == ("demo-7-2", 590000, True)
    (trade,) = snapshot.trades
    assert (trade.client_order_id, trade.side, trade.last_lots) == ("demo-7-1", SELL, 5)
    assert [path for _, path, _ in desk.usdm.asked][-1] == "v3/account", "it is the newest of all"


def test_what_is_open_in_other_symbols_is_passed_over() -> None:
    others = {
        "v1/openOrders": [ORDER | {"symbol": "ETHUSDT"}],
        "v1/openAlgoOrders": [ALGO | {"symbol": "ETHUSDT"}],
    }
    desk = Desk(lambda method, path, params: (ANSWERS | others)[path])
    assert (
        desk.run(
            desk.rest.snapshot([INSTRUMENT], desk.time.now_ns(), spot.known({(0, "9"): "demo-7-1"}))
        ).open_orders
        == []
    )


def test_what_stands_off_the_grid_is_noted_and_left_out() -> None:
    odd = ANSWERS | {"v1/openAlgoOrders": [ALGO | {"quantity": "0.0105"}]}
    desk = Desk(lambda method, path, params: odd[path])
    snapshot = desk.run(
        desk.rest.snapshot([INSTRUMENT], desk.time.now_ns(), spot.known({(0, "9"): "demo-7-1"}))
    )
    assert [one.client_order_id for one in snapshot.open_orders] == ["demo-7-1"]
    assert "demo-7-2" in snapshot.notes[0]
    assert desk.frame_errors == ["grid"]


def test_trades_of_weeks_are_asked_for_week_by_week_and_a_full_week_by_number() -> None:
    full = [TRADE | {"id": number} for number in range(1000)]

    def answer(method: str, path: str, params: dict[str, str]) -> Any:
        if path != "v1/userTrades":
            return ANSWERS[path]
        if "fromId" in params:
            return [TRADE | {"id": 1000}] if params["fromId"] == "1000" else []
        return full if int(params["startTime"]) > 1_700_000_000_000 - 10 * DAY_MS else []

    desk = Desk(answer)
    since_ns = desk.time.now_ns() - 20 * DAY_MS * 1_000_000
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], since_ns, spot.known({(0, "9"): "demo-7-1"})))
    assert len(snapshot.trades) == 1001
    asked = [params for _, path, params in desk.usdm.asked if path == "v1/userTrades"]
    assert [sorted(params.keys() - {"symbol", "limit"}) for params in asked] == [
        ["endTime", "startTime"],
        ["endTime", "startTime"],
        ["endTime", "startTime"],
        ["fromId"],
    ]
    assert all(
        int(params["endTime"]) - int(params["startTime"]) == 7 * DAY_MS
        for params in asked
        if "endTime" in params
    )


def test_it_tells_what_secures_a_position_of_our_size_and_where_the_exchange_liquidates_it() -> None:
    for largest, rate in ((50_000.0, 0.004), (50_001.0, 0.005)):
        desk = Desk(lambda method, path, params: ANSWERS[path])
        desk.rest.position_notional_max = largest
        snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], desk.time.now_ns(), OrderNames()))
        assert snapshot.margin == MarginTerms(rate, {0: (71000.5, -5)}, {0: spot.Decimal("60000.0")})
        desk.run(desk.rest.snapshot([INSTRUMENT], desk.time.now_ns(), OrderNames()))
        assert [path for _, path, _ in desk.usdm.asked].count("v1/leverageBracket") == 1, "once an hour"


def test_a_maintenance_margin_that_nobody_tells_spoils_the_snapshot() -> None:
    desk = Desk(lambda method, path, params: (ANSWERS | {"v1/leverageBracket": []})[path])
    with pytest.raises(VenueError, match="no maintenance margin of our symbols"):
        desk.run(desk.rest.snapshot([INSTRUMENT], desk.time.now_ns(), OrderNames()))


def test_it_lists_what_positions_cost_by_themselves_from_when_that_was_last_heard_of() -> None:
    desk = Desk(lambda method, path, params: ANSWERS[path])
    now_ns = desk.time.now_ns()
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], now_ns - DAY_MS * 1_000_000, OrderNames()))
    funding = Funding(now_ns, "USDT", spot.Decimal("-0.375"), 1570608000000 * 1_000_000, 9689322392, 0)
    assert snapshot.funding == [funding] * 2  # our answers know no kinds
    desk.run(desk.rest.snapshot([INSTRUMENT], now_ns, OrderNames()))
    asked = [params for _, path, params in desk.usdm.asked if path == "v1/income"]
    hour_ms = 3_600_000
    assert [(params["incomeType"], now_ns // 1_000_000 - int(params["startTime"])) for params in asked] == [
        (kind, ago_ms) for ago_ms in (DAY_MS, hour_ms) for kind in ("FUNDING_FEE", "INSURANCE_CLEAR")
    ]


def test_many_fundings_are_listed_page_by_page_and_each_once() -> None:
    (row,) = ANSWERS["v1/income"]
    rows = [row | {"tranId": number, "time": number // 3} for number in range(2500)]

    def answer(method: str, path: str, params: dict[str, str]) -> Any:
        if path != "v1/income":
            return ANSWERS[path]
        if params["incomeType"] != "FUNDING_FEE":
            return []
        start = int(params["startTime"]) - first_ms
        return [one | {"time": one["time"] + first_ms} for one in rows if one["time"] >= start][:1000]

    desk = Desk(answer)
    first_ms = desk.time.now_ns() // 1_000_000 - DAY_MS
    snapshot = desk.run(desk.rest.snapshot([INSTRUMENT], first_ms * 1_000_000, OrderNames()))
    assert sorted(one.id for one in snapshot.funding) == list(range(2500))


# --- one order ----------------------------------------------------------------------------------------------
def stop_status(algo: dict[str, Any], **changes: Any) -> list[tuple[str, str, int]]:
    answers = ANSWERS | {"v1/algoOrder": ALGO | algo, "v1/order": ORDER | {"status": "FILLED"} | changes}
    desk = Desk(lambda method, path, params: answers[path])
    reports = desk.run(desk.rest.stop_status(order(client_order_id="demo-7-2", kind=STOP)))
    assert {report.client_order_id for report in reports} == {"demo-7-2"}
    return [(report.kind, report.status, report.cum_lots) for report in reports]


def test_a_stop_that_waits_or_was_cancelled_says_so() -> None:
    assert stop_status({}) == [("STATUS", "NEW", 0)]
    assert stop_status({"algoStatus": "CANCELED"}) == [("STATUS", "CANCELED", 0)]


def test_of_a_stop_that_was_set_off_its_order_is_asked_with_its_trades() -> None:
    assert stop_status({"algoStatus": "FINISHED", "actualOrderId": "9"}) == [
        ("TRADE", "", 5),
        ("STATUS", "FILLED", 5),
    ]
    never = {"executedQty": "0.000", "status": "EXPIRED"}
    assert stop_status({"algoStatus": "FINISHED", "actualOrderId": "9"}, **never) == [
        ("STATUS", "EXPIRED", 0)
    ]
