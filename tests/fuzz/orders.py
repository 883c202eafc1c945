"""What venues say of orders: refused in a sentence, or sound. Nothing they say may end the daemon."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from daemon.clock import VirtualTime
from daemon.errors import FrameError
from daemon.events import ExecutionReport
from daemon.venues.binance_frames import OrderFrames
from daemon.venues.binance_session import AMEND, CANCEL, PLACE, QUERY, TIME, TRADES
from daemon.venues.binance_usdm_stream import UsdmSession, UserStream
from tests.daemon.venues import test_binance_frames as spot_frames
from tests.daemon.venues import test_binance_usdm_frames as usdm_frames
from tests.daemon.venues.test_binance_session import Desk, FakeOwner, FakeWire

if TYPE_CHECKING:
    from collections.abc import Callable

_STATUS = ExecutionReport(kind="STATUS", client_order_id="demo-7-1", instrument=0, wire_ns=1)


def _check(report: ExecutionReport) -> None:
    """A report may say anything, but nothing that cannot be counted with."""
    assert report.last_lots >= 0
    assert report.cum_lots >= 0
    assert report.price_ticks >= 0
    assert report.commission.is_finite()
    assert report.side in (-1, 0, 1)
    msgspec.msgpack.encode(report)  # it goes into the journal


class _Owner(FakeOwner):
    def on_report(self, report: ExecutionReport) -> None:
        _check(report)

    def on_funding(self, funding: Any) -> None:
        assert funding.amount.is_finite()

    def on_margin_call(self, text: str, wire_ns: int) -> None:
        """Nothing is made of it."""


# --- Binance Spot -------------------------------------------------------------------------------------------
def session() -> Callable[[bytes], object]:
    """Open a WebSocket API connection; an input is messages, a line each."""

    def run(data: bytes) -> None:
        desk = Desk()
        desk.session._owner = _Owner()
        for number, verb in enumerate((PLACE, CANCEL, AMEND, QUERY, TIME), start=1):
            desk.ask(number, verb)
        desk.ask(6, TRADES, status=_STATUS)
        for payload in data.split(b"\n"):
            desk.session.on_frame(payload, True)
        desk.session.tell_overdue(1 << 62)
        desk.session.on_close("over")

    return run


def session_seeds() -> list[bytes]:
    """Return messages of the exchange: events, and answers to each request."""
    order = {
        "symbol": "BTCUSDT", "orderId": 12, "clientOrderId": "demo-7-1", "transactTime": 1660801715639,
        "price": "23416.10000000", "origQty": "0.00847000", "executedQty": "0.00000000", "status": "NEW",
        "type": "LIMIT", "side": "BUY", "stopPrice": "0.0", "updateTime": 1660801715639, "fills": [],
    }  # fmt: skip
    amended = {
        "transactTime": 1660801715639,
        "amendedOrder": {"orderId": 12, "qty": "0.005", "executedQty": "0"},
    }
    trade = {
        "symbol": "BTCUSDT", "id": 7, "orderId": 12, "price": "23416.10", "qty": "0.005", "commission": "0.1",
        "commissionAsset": "BNB", "time": 1660801715639, "isBuyer": True, "isMaker": False,
    }  # fmt: skip
    results = [order, order | {"status": "CANCELED"}, amended, order, {"serverTime": 1660801715639}, [trade]]
    limits = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 2}
    ]
    found = [
        json.dumps({"id": number, "status": 200, "result": result, "rateLimits": limits}).encode()
        for number, result in enumerate(results, start=1)
    ]
    fill = {
        "price": "23416.10",
        "qty": "0.00847",
        "commission": "0.1",
        "commissionAsset": "BNB",
        "tradeId": 7,
    }
    filled = order | {"fills": [fill], "status": "FILLED", "executedQty": "0.00847"}
    found.append(json.dumps({"id": 1, "status": 200, "result": filled}).encode())
    for code, status in ((-2010, 400), (-1003, 429), (-1021, 400), (-2013, 400), (-1007, 504), (-1003, 418)):
        error = {"code": code, "msg": "Duplicate order sent.", "data": {"serverTime": 1, "retryAfter": 2}}
        found.append(json.dumps({"id": 1, "status": status, "error": error}).encode())
    found += [spot_frames.event(), spot_frames.event(x="TRADE", t=7, L="23416.10", l="0.005", z="0.005")]
    return [*found, b"\n".join(found)]


def spot_rest() -> Callable[[bytes], object]:
    """Open the readers of answers to REST requests."""
    frames = OrderFrames([spot_frames.INSTRUMENT])
    index = spot_frames.INSTRUMENT.index

    def run(data: bytes) -> None:
        with suppress(FrameError):
            frames.account(data)
        with suppress(FrameError):
            frames.server_time(data)
        with suppress(FrameError):
            for row in frames.orders(data):
                with suppress(FrameError):
                    frames.order_counts(row, index)
        with suppress(FrameError):
            for trade in frames.trades(data):
                with suppress(FrameError):
                    _check(frames.trade(trade, index, "demo-7-1", 1))

    return run


def spot_rest_seeds() -> list[bytes]:
    """Return an account, orders, trades and a time."""
    account = {"balances": [{"asset": "BTC", "free": "1.5", "locked": "0.5"}]}
    results = [json.loads(one).get("result") for one in session_seeds()[:6]]
    values = [account, *results, [results[0]], results[5]]
    return [json.dumps(value).encode() for value in values]


# --- Binance USD-M ------------------------------------------------------------------------------------------
def stream() -> Callable[[bytes], object]:
    """Open a user data stream; an input is events, a line each."""
    clock = VirtualTime(5_000)

    def run(data: bytes) -> None:
        owner = _Owner()
        beside = UsdmSession(owner, usdm_frames.FRAMES, clock)
        beside.begin(FakeWire())
        opened = UserStream(beside, owner, usdm_frames.FRAMES, clock)
        opened.begin(FakeWire())
        for payload in data.split(b"\n"):
            opened.on_frame(payload, True)
        opened.on_close("over")

    return run


def stream_seeds() -> list[bytes]:
    """Return events of orders, conditional orders, liquidations and funding."""
    found = [
        usdm_frames.TRADE,
        usdm_frames.ALGO % (b"NEW", b""),
        usdm_frames.ALGO % (b"TRIGGERED", b""),
        usdm_frames.FUNDING % b"FUNDING_FEE",
        usdm_frames.CLOSED % (b"autoclose-17", b"LIQUIDATION", b"TRADE", b"FILLED", b"0.02", b"0.02", b"9"),
        b'{"e":"listenKeyExpired","E":1700000000002,"listenKey":"abc"}',
    ]
    return [*found, b"\n".join(found)]


def usdm_rest() -> Callable[[bytes], object]:
    """Open the readers of answers to REST requests."""
    frames = usdm_frames.FRAMES
    readers: list[Callable[[bytes], object]] = [
        frames.algo, frames.algos, frames.order_row, frames.orders, frames.usdm_account, frames.setups,
        frames.hedges, frames.pools, lambda data: frames.margin_terms(data, 0.01),
        lambda data: frames.fundings(data, 1), lambda data: frames.maintenance_rate(data, 1e6),
        lambda data: [frames.position(row) for row in frames.usdm_account(data).positions],
        lambda data: [_check(frames.trade(row, 0, "demo-7-1", 5)) for row in frames.trades(data)],
    ]  # fmt: skip

    def run(data: bytes) -> None:
        for read in readers:
            with suppress(FrameError):
                read(data)

    return run


def usdm_rest_seeds() -> list[bytes]:
    """Return one answer to each."""
    return [
        usdm_frames.ROW % b"NEW",
        b"[" + usdm_frames.ROW % b"FILLED" + b"]",
        b'{"clientAlgoId":"x","algoStatus":"NEW","quantity":"0.010","triggerPrice":"61000.0","side":"BUY"}',
        (
            b'{"assets":[{"asset":"USDT","walletBalance":"12.5"}],'
            b'"positions":[{"symbol":"BTCUSDT","positionAmt":"-0.015"}]}'
        ),
        (
            b'[{"symbol":"BTCUSDT","id":7,"orderId":9,"side":"SELL","price":"60000.1","qty":"0.005","time":1,'
            b'"commission":"0.15","commissionAsset":"USDT","positionSide":"BOTH","buyer":false,"maker":true}]'
        ),
        b'{"dualSidePosition":true}',
        b'{"multiAssetsMargin":false}',
        b'[{"symbol":"BTCUSDT","marginType":"CROSSED","leverage":7}]',
        b'[{"symbol":"BTCUSDT","positionAmt":"0.01","entryPrice":"60000.0","liquidationPrice":"50000.1"}]',
        b'[{"symbol":"BTCUSDT","incomeType":"FUNDING_FEE","income":"-0.2","asset":"USDT","time":1,"tranId":9}]',
        b'[{"symbol":"BTCUSDT","brackets":[{"notionalFloor":0,"maintMarginRatio":0.004}]}]',
    ]
