"""The world of one seed: the exchange, the machine with its disk, the daemon on it, and what befalls them."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from daemon import app as app_module
from daemon.clock import VirtualTime
from daemon.config import from_tree
from daemon.errors import JournalError, TickdError, UsageError
from daemon.events import Command
from daemon.garbage import Garbage
from daemon.orders.journal import Journal
from daemon.simulator.auth import Key
from daemon.simulator.faults import Faults
from daemon.simulator.settings import SimulatorSettings, build
from kernels.dtypes import REST
from tests.simulation import byte_net
from tests.simulation.checks import Checks, ViolationError
from tests.simulation.disk import FaultyDisk
from tests.simulation.faults import KINDS_OF
from tests.simulation.gate import Gate
from tests.simulation.loop import ByteLoop, VirtualLoop, sleep_until
from tests.simulation.net import RunNet
from tests.simulation.run import KilledError, Run, make_task
from tests.simulation.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.config import Config
    from daemon.orders.manager import Orders
    from tests.simulation.faults import Fault, Level

START_NS = 1_767_225_600_000_000_000  # 2026-01-01
MARKET_STEP_NS = 20_000_000
#: when everything has been well again, when a person resumes and halts, and when the books are compared
WELL_S, READY_S, HALT_S, END_S = 160.0, 235.0, 236.0, 240.0
#: by then it must be READY at the latest: it asks again after 30 s at most, and waits 60 s for an order that
#: never came, or that a power cut may have hidden
LATEST_S = WELL_S + 30.0 + 60.0 + 5.0
RESTART_S = (0.2, 4.0)
LOOK_NS = 1_000_000_000  # how often it is asked whether something is broken
TRIM_S = 1.3  # how often orders that stand are lowered
SEGMENT_BYTES = 300_000  # the journal begins its next one some times in a run
SYMBOLS = ("BTC/USDT", "ETH/USDT")
#: what a day may lose where that is limited: so that it ends the trading once or twice in a seed
LOSS_MAX = 4.0
MINDS_S = 5.0  # how long a person looks at a halt for a loss
ENVIRON = {"TICKD_KEY": "k" * 64, "TICKD_SECRET": "s" * 64}


class _Faceless:
    """Where the daemon would listen on sockets."""

    def __init__(self, *_: object) -> None:
        pass

    async def start(self, *_: object) -> None:
        pass

    async def stop(self) -> None:
        pass


class _Untidy(Garbage):
    """Leaves the interpreter's collector as it is: what it freezes would never be freed."""

    def begin(self) -> None:
        pass


def daemon_config(
    sync: str = "group", transport: str = "picows", *, loses: bool = False, **sections: Any
) -> Config:
    """Return the daemon's configuration, whole sections of it (as in TOML) replaced.

    loses: the day's loss is limited, to what a seed reaches.
    """
    place = f"{byte_net.HOST}:{byte_net.PORT}"
    here = Path(__file__).parent / "quoter.py"
    tree = {
        "name": "sim",
        "mode": "live",
        "feed": {
            "symbols": list(SYMBOLS),
            "stale_ms": 2000,
            "ws_url": f"ws://{place}",
            "rest_url": f"http://{place}",
            "transport": transport,
        },
        "venue": {
            "kind": "binance",
            "ws_url": f"ws://{byte_net.HOST}:{byte_net.ORDERS_PORT}/ws-api/v3",
            "rest_url": f"http://{place}",
            "transport": transport,
            "reconcile_s": 20.0,
        },
        "strategy": [
            {
                "name": f"{here}:decide",
                "symbols": [symbol],
                "params": {"who": float(who), "qty": qty},
                "warmup_ticks": 20,
            }
            for who, (symbol, qty) in enumerate(zip(SYMBOLS, (0.002, 0.045), strict=True))
        ],
        "risk": {
            "order_notional_max": 250.0,
            "position_notional_max": 300.0,
            "orders_per_s_max": 10.0,
            **({"daily_loss_max": LOSS_MAX} if loses else {}),
        },
        "journal": {"path": "/journal", "sync": sync, "checkpoint_s": 10.0},
        "http": {"socket": "/run/none"},
    }
    return from_tree(tree | sections, {}, "the simulation")


def exchange_settings(seed: int, **more: Any) -> SimulatorSettings:
    """Return the exchange's."""
    key = Key(ENVIRON["TICKD_KEY"], "main", secret=ENVIRON["TICKD_SECRET"].encode())
    usual = {"symbols": SYMBOLS, "rate": 40.0, "balances": {"USDT": "100000"}}
    return SimulatorSettings(seed=seed, key=key, **(usual | more))


class World:
    """One seed, from its first tick to the comparison of the books.

    Its network carries whole messages; or bytes, between the production's clients (aiohttp and picows, or for
    one seed in four websockets) and the exchange's server.
    """

    def __init__(
        self,
        seed: int,
        faults: Sequence[Fault],
        config: Config,
        settings: SimulatorSettings,
        *,
        level: Level = "messages",
    ) -> None:
        self.seed = seed
        self.drawn = faults
        self.time = VirtualTime(START_NS)
        self.random = Random(f"world {seed}")
        self.level = level
        self.config = config
        self.loses = config.risk.daily_loss_max <= LOSS_MAX
        self.disk = FaultyDisk(Random(f"disk {seed}"), self.time)
        self.weather = Weather(self)
        self.network = byte_net.make_network(self)
        self.checks = Checks(self)
        self.lines: list[Any] = [] if level == "messages" else self.network.links
        self.clock_off_ns = 0
        self.digest = blake2b(digest_size=16)
        self.counts: Counter[str] = Counter()
        self.starts = 0
        self.log: list[str] = []
        self._settings = settings
        self._built = built = build(settings, self.time, Random(f"exchange {seed}"))
        self.gateway = built.gateways[settings.market]
        self.gate = Gate(self)
        self.exchange = self.gateway.exchange
        self.account = self.exchange.accounts["main"]
        self.faults = Faults(built.gateways, self.time, self.time, seed, lambda: None)
        self._drivers = built.drivers
        self._broken: BaseException | None = None  # the first promise that was, or what ended the daemon
        self._keeper: asyncio.Task[None]
        self.run: Run
        self._front: Any = None

    # --- what happens ---------------------------------------------------------------------------------------
    @property
    def now_s(self) -> float:
        """Virtual seconds since the start."""
        return (self.time.now_ns() - START_NS) / 1e9

    def after(self, seconds: float, fn: Callable[[], None]) -> None:
        """Do something later."""
        self.time.call_at(self.time.now_ns() + int(seconds * 1e9), fn)

    def note(self, what: bytes, *parts: object) -> None:
        """Take something into the trace's digest."""
        self.digest.update(b"%d %b" % (self.time.now_ns(), what))
        for part in parts:
            self.digest.update(part if isinstance(part, bytes) else str(part).encode())

    def struck(self, what: str) -> None:
        """Count what befell them."""
        self.counts[what] += 1
        self.log.append(f"{self.now_s:9.3f} {what}")

    def command(self, verb: Any, *, rebase: bool = False) -> None:
        """Let a person say something, if anybody listens."""
        if self._trades:
            self.log.append(f"{self.now_s:9.3f} person: {verb}")
            self.run.do(self._tell, self.run, verb, rebase)

    @property
    def _trades(self) -> bool:
        run = self.run
        return run.alive and hasattr(run.app, "core") and run.app.core.engine.phase == "READY"

    def _trim(self) -> None:
        """Have what stands lowered, as by who wants less at the same price: our strategies move theirs.

        A person sees after a while that a loss has halted it.
        """
        if hasattr(self, "run") and self._trades:
            self.run.do(self._lower, self.run.app.core.orders)
            latch = self.run.app.core.orders.risk.latch
            lost = latch is not None and latch.source == "risk"
            if lost and self.run.clock.now_ns() - latch.now_ns > MINDS_S * 1e9:
                self.checks.halted_by_loss()
                self.command("resume")
        self.after(TRIM_S, self._trim)

    def _lower(self, orders: Orders) -> None:
        for order in list(orders.life.open.values()):
            if order.kind == REST and order.leaves_lots > 1:
                orders.amend(order, order.leaves_lots // 2, orders.clock.now_ns())

    def _tell(self, run: Run, verb: Any, rebase: bool) -> None:
        try:
            run.app.core.doors.command(Command(verb=verb, source="person", rebase=rebase))
        except UsageError:  # the loss would halt it again at once, and the sentence says what helps
            self.checks.halted_by_loss()
            self._tell(run, verb, rebase=True)
        except JournalError as error:
            self.log.append(f"{self.now_s:9.3f} {error}")
        except KilledError:
            if rebase:
                self.checks.forget_begin()
            raise
        else:
            if rebase:
                self.checks.rebase(run)

    def cut_power(self) -> None:
        """Let the machine go dark: the process dies, and the disk forgets what it may."""
        self.run.kill(silently=True)
        self.checks.power_cut()
        self.disk.power_cut()

    def on_broken(self, error: BaseException) -> None:
        """Learn what ends the play: soon, unless whoever is told raises it at once."""
        self._broken = self._broken or error

    def make_nets(self, run: Run) -> Any:
        """Return the networks by which a process reaches feed and venue."""
        if self.level == "bytes":
            return byte_net.make_nets(run)
        net = RunNet(run)
        return net, net

    def on_loop_exception(self, _: object, context: dict[str, Any]) -> None:
        """Ignore what the dead leave behind."""
        error = context.get("exception")
        if isinstance(error, ViolationError):
            raise error

    # --- the run --------------------------------------------------------------------------------------------
    def play(self) -> None:
        """Run the whole seed; raises ViolationError."""
        os.environ.update(ENVIRON)
        loop = VirtualLoop(self.time) if self.level == "messages" else ByteLoop(self.time, self.network)
        loop.set_task_factory(make_task)
        asyncio.set_event_loop(loop)
        with (
            patch.multiple(app_module, HttpFace=_Faceless, Garbage=_Untidy),
            patch.dict(Journal.__init__.__kwdefaults__, segment_bytes_max=SEGMENT_BYTES),
            byte_net.on_virtual_time(self),
            self.checks.approvals.watch(),
            self.checks.watch(),
        ):
            try:
                loop.run_until_complete(self._main())
            finally:
                loop.run_until_complete(self._bury())
                asyncio.set_event_loop(None)
                loop.close()

    async def _main(self) -> None:
        if self.level == "bytes":
            self._front = await byte_net.open_front(self, self._built, self._settings)
        self._begin()
        self._trim()
        for fault in self.drawn:
            self.after(fault.at_s, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        await self._until(WELL_S)
        self._mend()
        await self._until(READY_S)
        await self._leave("STARTING", "RECOVERING")
        if self.loses:  # it may be near its limit
            self.command("resume", rebase=True)
        else:
            self.command("resume")
        await self._leave("WARMING")
        if self._state != "READY":
            raise ViolationError("not ready", f"{self._state} {self.now_s - WELL_S:g} s after the last fault")
        await self._until(max(HALT_S, self.now_s))
        while self.checks.doubts(self.run) and self.now_s < LATEST_S:
            await self._until(self.now_s + 1.0)
        self.checks.open_again(self.run)
        self.command("halt")
        end_s = self.now_s + END_S - HALT_S
        await self._until(end_s)
        while self.checks.on_the_way(self.run) and self.now_s < end_s + 5:  # what reduces is still quoted
            await self._until(self.now_s + 0.005)
        self.checks.settled(self.run)
        self.checks.halted()
        self.checks.money_differs(self.run)
        await self._end()

    async def _leave(self, *states: str) -> None:
        """Wait until the daemon is in none of these states any more, or no longer may be."""
        while self._state in states and self.now_s < LATEST_S:
            await self._until(self.now_s + 1.0)

    @property
    def _state(self) -> str:
        return self.run.app.core.engine.state if hasattr(self.run.app, "core") else "STARTING"

    def _begin(self) -> None:
        """Let the market move, and the daemon run whenever it can."""
        self._step()
        self._keeper = asyncio.get_running_loop().create_task(self._keep_running())

    async def _end(self) -> None:
        """End the daemon as a person does."""
        self._keeper.cancel()
        self.run.app.ask_stop("the end")
        await self.run.ended.wait()
        if self.run.failure is not None:
            raise ViolationError("failed", repr(self.run.failure))

    async def _bury(self) -> None:
        """End whatever still runs."""
        self.run.kill()
        await self.run.bury()
        if self._front is not None:
            await self._front.stop()
        me = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not me]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _until(self, at_s: float) -> None:
        """Wait until then, or until something is broken."""
        at_ns = START_NS + round(at_s * 1e9)
        while self.time.now_ns() < at_ns and self._broken is None:
            await sleep_until(self.time, min(at_ns, self.time.now_ns() + LOOK_NS))
        if self._broken is not None:
            raise self._broken

    async def _keep_running(self) -> None:
        """Start the daemon whenever it is not there, as a service manager does."""
        while True:
            self.starts += 1
            self.run = run = Run(self, self.starts)
            run.begin()
            await run.ended.wait()
            await run.bury()
            failure = run.failure
            if run.alive:
                self.log.append(f"{self.now_s:9.3f} ended: {failure!r}")
                run.alive = False
                if failure is not None and not isinstance(failure, TickdError):
                    self.on_broken(failure)
                    return
            self.disk.killed()
            await asyncio.sleep(self.random.uniform(*RESTART_S))

    def _strike(self, fault: Fault) -> None:
        self.struck(fault.kind)
        KINDS_OF["bytes"][fault.kind].strike(self, fault)

    def _mend(self) -> None:
        """End every fault that still lasts."""
        weather, disk = self.weather, self.disk
        weather.next.clear()
        weather.muted.clear()
        weather.lag_ns, weather.http_fate = 0, ""
        weather.refusing_orders = weather.refusing_market = False
        weather.unresolved = weather.shredding = False
        disk.sync_ns, disk.fails_syncs, disk.fails_writes, disk.full = 0, False, False, False
        self.run.crash_in = -1
        self.faults.clear()
        self.command("resume")

    def _step(self) -> None:
        """Let the market go on."""
        now_ns = self.time.now_ns()
        for driver in self._drivers:
            driver.advance(now_ns)
        self.checks.exposed()
        self.time.call_at(now_ns + MARKET_STEP_NS, self._step)
