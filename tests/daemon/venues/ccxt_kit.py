"""A ccxt venue, the real order side above it, and below it the simulated exchange behind a bad line."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from ccxt.base.errors import RateLimitExceeded

from daemon.clock import LoopScheduler, SystemClock
from daemon.disk import RealDisk
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.no_net import NoNet
from daemon.orders.doubts import OrderRules
from daemon.orders.venue_alarm import take_alarm
from daemon.seams import Seams
from daemon.simulator.auth import Key
from daemon.simulator.server import running
from daemon.simulator.settings import SimulatorSettings
from daemon.venues.ccxt_client import CcxtSettings
from daemon.venues.ccxt_venue import CcxtVenue
from kernels.dtypes import GATE_NOT_READY
from tests.daemon.orders.conftest import BOOT, World, btc_usdt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from daemon.events import ExecutionReport, VenueStatus

KEY = Key("k" * 64, "main", secret=b"s" * 64)
ORDER = "/api/v3/order"
SECOND = 1_000_000_000
#: everything a venue waits for, scaled down
RULES = OrderRules(answer_ns=SECOND, query_ns_first=SECOND // 10, absence_ns=60 * SECOND)


class RealTime(SystemClock):
    """Clock and scheduler in one, as the order side's test world wants them."""

    later_ns = 0  # the monotonic clock is moved on by so much

    def mono_ns(self) -> int:
        return super().mono_ns() + self.later_ns

    def __init__(self) -> None:
        super().__init__()
        self.call_at = LoopScheduler(self).call_at


class Front:
    """Passes HTTP on, and does to requests about orders what `fault` says.

    lose: do it, and cut the line; drop: cut it, and do nothing; late: answer after `late_s`;
    a number: do it, and answer with that status; text: do it, and answer so.
    """

    def __init__(self) -> None:
        self.url = ""  # of the exchange
        self.fault: Any = None
        self.faults: dict[str, Any] = {}  # by method, once each
        self.late_s = 1.0
        self.asked: list[tuple[str, str]] = []  # method and path
        self.placed: list[str] = []  # the client order ids that came, each as often as it did
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Front:
        self._session = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.method, request.path))
        fault = None
        if request.path == ORDER:
            fault = self.faults.pop(request.method, None)
            if request.method == "POST":
                text = body.decode() or request.query_string
                self.placed.append(text.partition("newClientOrderId=")[2].partition("&")[0])
        if fault == "drop":
            request.transport.close()
            return web.Response()
        if isinstance(fault, tuple):  # instead of the exchange
            return web.Response(status=fault[0], text=fault[1], headers=dict(fault[2:]))
        async with self._session.request(
            request.method, self.url + request.path_qs, data=body or None, headers=_plain(request.headers)
        ) as answer:
            content, status = await answer.read(), answer.status
        if fault == "lose":
            request.transport.close()
        elif fault == "late":
            await asyncio.sleep(self.late_s)
        elif isinstance(fault, int):
            status = fault
        elif isinstance(fault, str):
            content = fault.encode()
        return web.Response(status=status, body=content, content_type="application/json")


def _plain(headers: Any) -> dict[str, str]:
    kept = ("X-MBX-APIKEY", "Content-Type")
    return {name: headers[name] for name in kept if name in headers}


class Kit:
    """The venue under the real order side."""

    def __init__(self, world: World, venue: CcxtVenue, front: Front) -> None:
        self.world, self.venue, self.front = world, venue, front
        self.reports: list[ExecutionReport] = []
        self.statuses: list[VenueStatus] = []
        self.meetings: set[asyncio.Task[None]] = set()
        world.orders.doubts.ask_snapshot = self.ask_meeting

    # --- the sink -------------------------------------------------------------------------------------------
    def on_report(self, report: ExecutionReport) -> None:
        self.reports.append(report)
        self.world.orders.apply(report)

    def knows(self, *words: Any) -> bool:
        return self.world.orders.knows(*words)

    def on_alarm(self, kind: str, text: str, now_ns: int) -> None:
        take_alarm(self.world.orders, kind, text, now_ns)

    def on_venue_status(self, status: VenueStatus) -> None:
        self.statuses.append(status)
        self.world.orders.venue_status(status)

    # --- doing ----------------------------------------------------------------------------------------------
    def ask_meeting(self) -> None:
        task = asyncio.ensure_future(self.meet())
        self.meetings.add(task)
        task.add_done_callback(self.meetings.discard)

    async def meet(self) -> Any:
        asked_ns = self.world.time.now_ns()
        snapshot = await self.venue.snapshot(self.world.recovery.since_ns)
        return self.world.recovery.meet(snapshot, asked_ns)

    async def touch(self) -> tuple[int, int]:
        quote = await self._patiently(self.venue.client.fetch_ticker)
        parse = self.world.instruments[0].price.parse
        return parse(quote["bid"]), parse(quote["ask"])

    async def until(self, holds: Callable[[], Any], seconds: float = 10.0) -> Any:
        async with asyncio.timeout(seconds):
            while not (found := holds()):  # noqa: ASYNC110 - looks at what nobody tells of
                await asyncio.sleep(0.01)
            return found

    def said(self, kind: str) -> list[ExecutionReport]:
        return [report for report in self.reports if report.kind == kind]

    async def truth(self) -> dict[str, Any]:
        """What the exchange itself says: its orders by our ids."""
        rows = await self._patiently(self.venue.client.fetch_orders)
        return {row["clientOrderId"].removesuffix("-c"): row for row in rows}

    async def _patiently(self, ask: Callable[[str], Awaitable[Any]]) -> Any:
        """Ask, and again while an answer that came late wants us to keep still."""
        while True:
            with suppress(RateLimitExceeded):
                return await ask("BTC/USDT")
            await asyncio.sleep(0.1)


async def new_world(
    venue: Any, disk: MemoryDisk | None = None, rules: OrderRules = RULES, config: str = ""
) -> World:
    """Return an order side that has recovered what is on a disk, and has yet to meet its exchange."""
    world = World([btc_usdt()], venue=venue, time=venue._clock, disk=disk, rules=rules, begin=False)
    world.recovery.begin("0", config, BOOT)
    await world.journal.sync_now()
    world.risk.open_all(GATE_NOT_READY)
    return world


def new_venue(time: RealTime, **changes: Any) -> CcxtVenue:
    seams = Seams(time, time, NoNet(), RealDisk(), InlineWorker(), random.Random(1))
    settings = {
        "exchange": "binance",
        "name": "test",
        "credentials": {"apiKey": KEY.api_key, "secret": KEY.secret.decode()},
        "timeout_ms": 500,
        **changes,
    }
    return CcxtVenue([btc_usdt()], CcxtSettings(**settings), seams)


@asynccontextmanager
async def exchange() -> AsyncIterator[Front]:
    """The simulated exchange; REST goes by the front."""
    settings = SimulatorSettings(key=KEY, symbols=("BTC/USDT",))
    async with running(settings, SystemClock(), Random(1), lambda message: None) as urls, Front() as front:
        front.url = urls["spot"]
        yield front


@asynccontextmanager
async def connected(front: Front, world: World, venue: CcxtVenue) -> AsyncIterator[Kit]:
    kit = Kit(world, venue, front)
    try:
        await venue.start(kit)
        await kit.meet()
        yield kit
    finally:
        await venue.stop()


def trade(work: Any, rules: OrderRules = RULES, **changes: Any) -> None:
    """Run `work(kit)` against a fresh exchange."""

    async def main() -> None:
        async with exchange() as front:
            urls = {"rest_url": front.address, "ws_url": front.url.replace("http", "ws")}
            venue = new_venue(RealTime(), **{**urls, **changes})
            async with connected(front, await new_world(venue, rules=rules), venue) as kit:
                await asyncio.wait_for(work(kit), 120)

    asyncio.run(main())
