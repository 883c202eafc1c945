"""A line to an exchange on which answers to orders get lost: a proxy in a thread, for REST and websockets.

`lose("order.place", "cut")` lets the next such request through and cuts the connection before its answer;
with "mute" it swallows the answer, and every event about that order, and the line stays up. "echo" refuses
the request, and "garble" answers what is no JSON; both quote all of it, key and signature too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

from aiohttp import ClientSession, WSMsgType, web


class Lossy:
    """Use it in a `with`; `urls` are like an exchange's."""

    def __init__(self, exchange):
        self._target = exchange.urls["spot"]
        self._faults = []  # (method, how), in order
        self.lost = []  # the client order ids whose answers were lost
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._ready = threading.Event()

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def lose(self, method, how):
        self._faults.append((method, how))

    def _serve(self):
        asyncio.run(self._run())

    async def _run(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._forward)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.urls = {"spot": f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"}
        async with ClientSession() as self._client:
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _forward(self, request):
        if "Upgrade" in request.headers:
            return await self._relay(request)
        async with self._client.request(
            request.method,
            self._target + request.raw_path,
            headers={"X-MBX-APIKEY": request.headers.get("X-MBX-APIKEY", "")},
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.startswith("X-MBX")}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _relay(self, request):
        ours = web.WebSocketResponse()
        await ours.prepare(request)
        muted = set()
        async with self._client.ws_connect(
            self._target.replace("http", "ws", 1) + request.raw_path
        ) as theirs:

            async def back():
                async for message in theirs:
                    if not self._is_muted(json.loads(message.data), muted):
                        await ours.send_str(message.data)
                await ours.close()

            task = asyncio.ensure_future(back())
            async for message in ours:
                if message.type is not WSMsgType.TEXT:
                    break
                asked = json.loads(message.data)
                how = self._fault(asked)
                if how in {"echo", "garble"}:
                    await ours.send_str(_quoting(message.data, asked["id"], how))
                    continue
                if how == "mute":
                    muted |= {asked["id"], asked["params"]["newClientOrderId"]}
                if how == "cut":
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                await theirs.send_str(message.data)
                if how == "cut":
                    await theirs.receive()  # it was executed
                    request.transport.abort()
                    break
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task
        return ours

    def _fault(self, asked):
        for fault in self._faults:
            if asked.get("method") == fault[0]:
                self._faults.remove(fault)
                self.lost.append(asked["params"].get("newClientOrderId"))
                return fault[1]
        return ""

    @staticmethod
    def _is_muted(message, muted):
        event = message.get("event", {})
        return message.get("id") in muted or bool({event.get("c"), event.get("C")} & muted)


def _quoting(request, number, how):
    if how == "garble":
        return f"<html>cannot read {request}</html>"
    error = {"code": -1100, "msg": f"Illegal characters found in {request}."}
    return json.dumps({"id": number, "status": 400, "error": error})
