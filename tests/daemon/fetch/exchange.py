"""An exchange that tells of the past, by formulas: klines, trades and aggregates of any day, and an archive.

It runs in a thread of its own, since the command under test brings a loop with it. What it is to do wrong is
put into `wrong`: the next requests take theirs from there, one each.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import zipfile
from collections import Counter, deque
from contextlib import contextmanager

from aiohttp import web

DAY_MS = 86_400_000
#: a trade each so many ms since 1970, and two of them make an aggregate
STEP_MS = 40_000


def kline(symbol, opened, length):
    """One row of klines; a price is a number of the minute that it opens in."""
    n = opened // 60_000 % 1000 + len(symbol)
    return [
        opened, f"{n}.10000000", f"{n + 2}.50000000", f"{n - 1}.05000000", f"{n + 1}.00000000", "12.50000000",
        opened + length - 1, "1250.12500000", 7, "5.25000000", "525.00000000", "0",
    ]  # fmt: skip


def trade(number):
    return {
        "id": number, "price": f"{100 + number % 50}.2500", "qty": f"0.{number % 9 + 1}00", "quoteQty": "1",
        "time": number * STEP_MS, "isBuyerMaker": number % 2 == 0, "isBestMatch": True,
    }  # fmt: skip


def aggregate(number):
    first = trade(2 * number)
    return {
        "a": number, "p": first["price"], "q": first["qty"], "f": 2 * number, "l": 2 * number + 1,
        "T": first["time"], "m": first["isBuyerMaker"], "M": True,
    }  # fmt: skip


SYMBOL = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "baseAssetPrecision": 8, "quotePrecision": 8, "isSpotTradingAllowed": True, "permissions": ["SPOT"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
    ],
}  # fmt: skip
LENGTHS = {"1m": 60_000, "1h": 3_600_000, "1d": DAY_MS}


class Exchange:
    """What is asked, and what is answered."""

    def __init__(self):
        self.asked = []  # paths with their queries
        self.wrong = deque()  # answers in place of right ones: web.Response, an exception, None: a right one
        self.latest_ms = None  # no trade is later
        self.at_once = self.most_at_once = 0
        self.delay_s = 0.0
        self.headers = {}
        self.zips = {}
        self.statuses = Counter()

    async def answer(self, request):
        self.asked.append(request.path_qs)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay_s)
            if self.wrong and (wrong := self.wrong.popleft()) is not None:
                if callable(wrong):
                    return await wrong(request)
                return wrong
            return self.right(request)
        finally:
            self.at_once -= 1

    def right(self, request):
        if request.path.startswith("/data/"):
            body = self.zips.get(request.path)
            return web.Response(status=404) if body is None else web.Response(body=body)
        if request.path.endswith("/exchangeInfo"):  # of which ccxt knows the symbols
            return web.json_response({"symbols": [SYMBOL]})
        query = dict(request.query)
        if query["symbol"] == "NONEUSDT":
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        what = request.path.rpartition("/")[2]
        return web.json_response(getattr(self, what)(**query), headers=self.headers)

    def klines(self, symbol, interval, startTime, limit, endTime=10**14):  # noqa: N803
        length = LENGTHS[interval]
        first = -(-int(startTime) // length) * length
        opens = range(first, int(endTime) + 1, length)[: int(limit)]
        return [kline(symbol, one, length) for one in opens]

    def historicalTrades(self, symbol, limit, fromId):  # noqa: N802, N803
        numbers = range(int(fromId), int(fromId) + int(limit))
        return [trade(one) for one in numbers if trade(one)["time"] <= (self.latest_ms or 1e18)]

    def aggTrades(self, symbol, limit, startTime=None, endTime=None, fromId=None):  # noqa: N802, N803
        latest = self.latest_ms // STEP_MS // 2 if self.latest_ms else 10**9
        if startTime is not None:
            first = -(-int(startTime) // (2 * STEP_MS))
            end = min(int(endTime) // (2 * STEP_MS), latest) + 1
            return [aggregate(one) for one in range(first, end)[: int(limit)]]
        if fromId is None:
            return [aggregate(one) for one in range(latest + 1 - int(limit), latest + 1)]
        return [aggregate(one) for one in range(int(fromId), min(int(fromId) + int(limit), latest + 1))]

    def archive(self, path, rows, checksum=None):
        """Have a zip of one CSV, and its checksum."""
        name = path.rpartition("/")[2]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(
                name.replace(".zip", ".csv"), "".join(",".join(map(str, row)) + "\n" for row in rows)
            )
        self.zips[path] = buffer.getvalue()
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        self.zips[f"{path}.CHECKSUM"] = f"{checksum or digest}  {name}\n".encode()


@contextmanager
def running(exchange):
    """Serve it on loopback; gives its URL."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    where = []

    async def serve():
        app = web.Application()
        app.router.add_get("/{tail:.*}", exchange.answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        where.append(runner)
        where.append(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}")
        ready.set()

    def work():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(where[0].cleanup())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(10)
    try:
        yield where[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
