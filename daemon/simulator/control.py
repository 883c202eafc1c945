"""The control port of a running exchange, for who tortures or watches it: paths under /_simulator.

GET    /state     what plays, and who listens to what
POST   /start     play the tape now
GET    /faults    what struck, and the schedule
POST   /faults    put one fault on it, or a list (JSON, JSON a line, or TOML as in a file)
DELETE /faults    take all off

What changes something is taken from this machine alone, and from no web page.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from aiohttp import web

from daemon.errors import UsageError
from daemon.simulator.fault import parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.simulator.drive import TapeRun
    from daemon.simulator.faults import Faults
    from daemon.simulator.settings import World


class Control:
    """Answers for one exchange, on each of its ports."""

    def __init__(self, world: World, run: TapeRun | None, faults: Faults) -> None:
        self._world = world
        self._run = run
        self._faults = faults

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(middlewares=[_from_here])
        app.router.add_get("/state", self._state)
        app.router.add_post("/start", self._start)
        app.router.add_get("/faults", self._report)
        app.router.add_post("/faults", self._add)
        app.router.add_delete("/faults", self._clear)
        return app

    async def _state(self, _request: web.Request) -> web.Response:
        gateways, player = self._world.gateways, self._world.player
        return web.json_response(
            {
                "tape": self._run.state if self._run else None,
                "frames": player.frames if player else None,
                "listeners": {name: len(gateway.hub.sessions) for name, gateway in gateways.items()},
                "streams": {name: sorted(gateway.hub.streams()) for name, gateway in gateways.items()},
                "api_sessions": sum(len(gateway.api_sessions) for gateway in gateways.values()),
            }
        )

    async def _start(self, _request: web.Request) -> web.Response:
        if self._run is None:
            return _refused(409, "there is no tape to start")
        self._run.start()
        return web.json_response({"tape": self._run.state})

    async def _report(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults.report())

    async def _add(self, request: web.Request) -> web.Response:
        try:
            self._faults.add(parse(await request.text(), "the request"))
        except (UsageError, UnicodeDecodeError) as error:
            return _refused(400, str(error))
        return web.json_response(self._faults.report())

    async def _clear(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response(self._faults.report())


def _refused(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


@web.middleware
async def _from_here(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> Any:
    """Refuse what would change something unless it comes from this machine, and from no web page."""
    if request.method != "GET":
        if not ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104 - nobody
            return _refused(403, "this is for the exchange's own machine alone")
        if "Origin" in request.headers:
            return _refused(403, "this is not for web pages")
    return await handler(request)
