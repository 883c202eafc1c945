"""As much of OKX as ccxt needs to trade spot there, on loopback, with its countdown."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MARKET = {
    "instId": "BTC-USDT", "instType": "SPOT", "baseCcy": "BTC", "quoteCcy": "USDT", "state": "live",
    "tickSz": "0.01", "lotSz": "0.00001", "minSz": "0.00001", "lever": "1", "listTime": "1548133413000",
}  # fmt: skip
COUNTDOWN = "/api/v5/trade/cancel-all-after"


class Okx:
    """The exchange: orders rest until they are cancelled, by us or by the countdown. Nothing trades."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []  # method and path, in the order they came
        self.counted: list[int] = []  # seconds, each time the countdown was told
        #: in place of the next answers to that: a status and headers, or the exchange's own code and words
        self.faults: list[tuple[int, dict[str, str]] | tuple[str, str]] = []
        self.dead = False  # the clock's answers are errors
        self.orders: dict[str, dict[str, Any]] = {}
        self.lapsed = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def counting(self) -> bool:
        return self._timer is not None

    @property
    def resting(self) -> list[str]:
        return [number for number, row in self.orders.items() if row["state"] == "live"]

    def rest_another_s(self) -> None:
        """Let an order rest that another program of the account has sent, in another market."""
        self._take({"instId": "ETH-USDT", "clOrdId": "theirs", "side": "buy", "px": "1", "sz": "1"})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        body = await request.json() if request.can_read_body else {}
        if request.path == COUNTDOWN and self.faults:
            what, more = self.faults.pop(0)
            if isinstance(what, int):
                return web.Response(status=what, headers=more)
            return web.json_response({"code": what, "msg": more, "data": []})
        if request.path == "/api/v5/public/time" and self.dead:
            return web.Response(status=503)
        said = self._say(request.path, request.query, body)
        return web.json_response({"code": "0", "msg": "", "data": said})

    def _say(self, path: str, query: Any, body: Any) -> list[dict[str, Any]]:
        match path.removeprefix("/api/v5/"):
            case "public/time":
                return [{"ts": _now_ms()}]
            case "public/instruments":
                return [MARKET] if query["instType"] == "SPOT" else []
            case "account/balance":
                details = [
                    {"ccy": ccy, "eq": "9", "availBal": "9", "frozenBal": "0"} for ccy in ("BTC", "USDT")
                ]
                return [{"details": details, "uTime": _now_ms()}]
            case "trade/batch-orders":
                return [self._take(row) for row in body]
            case "trade/cancel-order":
                self.orders[body["ordId"]]["state"] = "canceled"
                return [{"ordId": body["ordId"], "clOrdId": "", "sCode": "0", "sMsg": ""}]
            case "trade/order":
                return [self.orders[query["ordId"]]]
            case "trade/orders-pending":
                live = [self.orders[number] for number in self.resting]
                return [row for row in live if row["instId"] == query["instId"]]
            case "trade/cancel-all-after":
                return [self._count(int(body["timeOut"]))]
        return []

    def _take(self, row: dict[str, Any]) -> dict[str, Any]:
        number = str(700 + len(self.orders))
        self.orders[number] = {
            "ordId": number, "clOrdId": row["clOrdId"], "instId": row["instId"], "instType": "SPOT",
            "side": row["side"], "px": row["px"], "sz": row["sz"], "accFillSz": "0", "avgPx": "",
            "state": "live", "ordType": "post_only", "tdMode": "cash", "fee": "0", "feeCcy": "BTC",
            "cTime": _now_ms(), "uTime": _now_ms(),
        }  # fmt: skip
        return {"ordId": number, "clOrdId": row["clOrdId"], "sCode": "0", "sMsg": ""}

    def _count(self, seconds: int) -> dict[str, Any]:
        self.counted.append(seconds)
        self.close()
        if not seconds:
            return {"triggerTime": "0", "ts": _now_ms()}
        self._timer = asyncio.get_running_loop().call_later(seconds, self._lapse)
        return {"triggerTime": str(int(_now_ms()) + seconds * 1000), "ts": _now_ms()}

    def _lapse(self) -> None:
        self.lapsed += 1
        self._timer = None
        for number in self.resting:
            self.orders[number]["state"] = "canceled"

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _now_ms() -> str:
    return str(time.time_ns() // 1_000_000)


@asynccontextmanager
async def okx() -> AsyncIterator[tuple[Okx, str]]:
    """The exchange, and its address."""
    there = Okx()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", there._answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield there, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        there.close()
        await runner.cleanup()
