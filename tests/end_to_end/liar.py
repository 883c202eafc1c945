"""A small exchange in a thread that sends exactly the frames a test asks for, good and bad.

It knows nothing of the project's simulator: one symbol, REST rules and book, one combined stream. Between
the test's frames it streams a quiet, sound market, so that one can see that trading goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time

from aiohttp import WSMsgType, web

TRADE = "btcusdt@trade"
QUOTE = "btcusdt@bookTicker"
DEPTH = "btcusdt@depth@100ms"
RULES = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "status": "TRADING",
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
                {
                    "filterType": "LOT_SIZE",
                    "stepSize": "0.00001000",
                    "minQty": "0.00001000",
                    "maxQty": "9000.00000000",
                },
                {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
            ],
        }
    ]
}


class Liar:
    """Use it in a `with`; `send` returns once the frames are written."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.sockets = []
        self.connects = 0
        self.snapshots = 0
        self.id = 1000
        self.update = 5000
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # --- frames ---
    @staticmethod
    def frame(stream, **data):
        return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()

    def trade(self, **changes):
        self.id += 1
        now = time.time_ns() // 1_000_000
        data = {
            "e": "trade",
            "E": now,
            "s": "BTCUSDT",
            "t": self.id,
            "p": "60000.00",
            "q": "0.01000",
            "T": now,
        }
        return self.frame(TRADE, **{**data, "m": bool(self.id % 2), "M": True, **changes})

    def quote(self, **changes):
        self.id += 1
        up = 5 if self.id // 40 % 2 else 0  # it goes up and down, so that a trend follower turns
        data = {"u": self.id, "s": "BTCUSDT", "b": f"{60000 + up}.00", "B": "9.0", "a": f"{60001 + up}.00"}
        return self.frame(QUOTE, **{**data, "A": "9.0", **changes})

    def depth(self, **changes):
        first, self.update = self.update + 1, self.update + 3
        data = {
            "e": "depthUpdate",
            "E": time.time_ns() // 1_000_000,
            "s": "BTCUSDT",
            "U": first,
            "u": self.update,
        }
        return self.frame(
            DEPTH, **{**data, "b": [["59990.00", "2.0"]], "a": [["60020.00", "2.0"]], **changes}
        )

    def send(self, *frames):
        asyncio.run_coroutine_threadsafe(self._send(frames), self.loop).result(10)

    def cut(self):
        """Close every stream without a word."""
        asyncio.run_coroutine_threadsafe(self._cut(), self.loop).result(10)

    # --- the server ---
    def _serve(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._run())
        self.loop.close()

    async def _run(self):
        self._stop = asyncio.Event()
        app = web.Application()
        app.router.add_get("/api/v3/exchangeInfo", self._rules)
        app.router.add_get("/api/v3/depth", self._book)
        app.router.add_get("/stream", self._stream)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        market = asyncio.ensure_future(self._market())
        self._ready.set()
        await self._stop.wait()
        market.cancel()
        await self._cut()
        await runner.cleanup()

    async def _rules(self, request):
        return web.json_response(RULES)

    async def _book(self, request):
        self.snapshots += 1
        return web.json_response(
            {
                "lastUpdateId": self.update,
                "bids": [["60000.00", "9.0"], ["59995.00", "3.0"]],
                "asks": [["60006.00", "9.0"], ["60015.00", "3.0"]],
            }
        )

    async def _stream(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connects += 1
        self.sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.ERROR:
                break
        self.sockets.remove(socket)
        return socket

    async def _market(self):
        turn = 0
        while True:
            turn += 1
            await self._send([self.trade() if turn % 3 == 0 else self.quote()])
            if turn % 10 == 0:
                await self._send([self.depth()])
            await asyncio.sleep(0.004)

    async def _send(self, frames):
        for socket in list(self.sockets):
            for frame in frames:
                if not socket.closed:
                    with contextlib.suppress(ConnectionError):  # it is being cut
                        await socket._writer.send_frame(frame, WSMsgType.TEXT)  # as it is, valid UTF-8 or not

    async def _cut(self):
        for socket in list(self.sockets):
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
