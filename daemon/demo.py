"""`tickd demo`: a simulated exchange, the daemon trading on it, and this process showing how it goes.

Three processes, as in real life: the exchange speaks Binance on loopback, the daemon is `tickd run`
with a configuration that names the exchange's addresses, and the face reads the daemon's Status over its Unix
socket, as `tickd top` would. Nothing in the daemon knows that this is a demo.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Console

from daemon.clock import SystemClock
from daemon.config import (
    Config,
    FeedConfig,
    HttpConfig,
    JournalConfig,
    LogConfig,
    RiskConfig,
    StrategyConfig,
    VenueConfig,
)
from daemon.config_show import to_toml
from daemon.errors import EXIT_DONE, EXIT_INTERRUPTED, NotRunningError, TickdError
from daemon.faces import terminal
from daemon.faces.client import fetch_status
from daemon.faces.show import print_status
from daemon.status import Status
from daemon.tape.capture import capture_instrument

if TYPE_CHECKING:
    from daemon.instruments import Instrument
    from daemon.options import DemoOptions

FOLDER: Final = Path("var/demo")
MODEL: Final = Path(__file__).resolve().parent.parent / "models" / "demo"
_SHOW_S: Final = 0.25
#: after the last frame of a tape was sent, the daemon has so long to have taken it
_SETTLE_S: Final = 20.0
#: a child that was told to end has so long to do it
_END_S: Final = 15.0
#: the daemon ends by itself this long after the demo should have ended it
_ORPHAN_S: Final = 120.0
_TAPE_S_MAX: Final = 86_400.0


def run(options: DemoOptions) -> int:
    """Run the demo; return 0, also after a first Ctrl-C. Raises TickdError."""
    instrument = capture_instrument(options.tape) if options.tape is not None else None
    status = asyncio.run(_run(options, instrument))
    print_status(status, as_json=options.json)
    if options.svg is not None:
        picture = terminal.picture(terminal.render(status), "tickd demo")
        options.svg.write_text(picture, encoding="utf-8")
    return EXIT_DONE


async def _run(options: DemoOptions, instrument: Instrument | None) -> Status:
    """Start both processes, show the daemon until it is time, end both; return the daemon's last Status."""
    console = Console(stderr=True)
    stopping = asyncio.Event()
    _catch_signals(stopping)
    exchange = _Child("the simulated exchange")
    daemon = _Child("the daemon")
    try:
        console.print("starting the simulated exchange", highlight=False)
        await exchange.start(
            _exchange_command(options, instrument), os.environ, stdin=asyncio.subprocess.PIPE
        )
        ready = await exchange.message("ready")
        config = _config(options, ready, instrument)
        path = FOLDER / "demo.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_toml(config, {}), encoding="utf-8")
        console.print(f"starting the daemon ({path})", highlight=False)
        keys = {"TICKD_KEY": ready["api_key"], "TICKD_SECRET": ready["secret"]}
        await daemon.start(_daemon_command(options, path), {**os.environ, **keys}, stdin=None)
        await _show(options, config, exchange, daemon, stopping)
        daemon.end()
        return msgspec.json.decode(await daemon.output(), type=Status)
    finally:
        daemon.kill()
        exchange.end()
        await exchange.gone()


def _catch_signals(stopping: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def first() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, os._exit, EXIT_INTERRUPTED)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, first)


class _Child:
    """A child process in a session of its own: Ctrl-C is this process's to handle, in order."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, command: list[str], environ: Any, stdin: int | None) -> None:
        """Start it; its errors go where ours go."""
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=environ,
            stdin=stdin if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=1 << 22,
        )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.returncode is None

    async def message(self, event: str) -> dict[str, Any]:
        """Return its next JSON line of this event; raises TickdError when it ends without one."""
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message: dict[str, Any] = msgspec.json.decode(line)
            if message["event"] == event:
                return message
            if message["event"] == "tape_failed":
                raise TickdError(str(message["error"]))
        raise TickdError(f"{self._what} ended; what it printed above says why")

    async def output(self) -> bytes:
        """Wait for its end and return what it printed; raises TickdError when it failed."""
        assert self._process is not None
        async with asyncio.timeout(_END_S):
            printed, _ = await self._process.communicate()
        if self._process.returncode != EXIT_DONE:
            raise TickdError(f"{self._what} ended; what it printed above says why")
        return printed

    def end(self) -> None:
        """Ask it to end."""
        if self.running:
            assert self._process is not None
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self.running:
            assert self._process is not None
            self._process.kill()

    async def gone(self) -> None:
        """Wait for its end."""
        if self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_S):
                    await self._process.wait()


async def _show(
    options: DemoOptions, config: Config, exchange: _Child, daemon: _Child, stopping: asyncio.Event
) -> None:
    """Show the daemon until its time is over, the tape has ended, or somebody asks to stop."""
    socket = Path(config.http.socket)
    status = await _first_status(socket, daemon, stopping)
    if status is None:
        return
    view = terminal.open_view(Console(stderr=True) if options.json else Console())
    console_interval_s = _SHOW_S if isinstance(view, terminal.LiveView) else 2.0
    clock = SystemClock()
    until_ns = clock.now_ns() + int(options.seconds * 1e9) if options.tape is None else None
    tape = asyncio.create_task(exchange.message("tape_ended")) if options.tape is not None else None
    sent = None
    try:
        while not stopping.is_set() and daemon.running:
            view.show(status)
            with suppress(TimeoutError):
                async with asyncio.timeout(console_interval_s):
                    await stopping.wait()
            status = fetch_status(socket)
            if tape is not None and sent is None and tape.done():
                sent = int(tape.result()["frames"])
                until_ns = clock.now_ns() + int(_SETTLE_S * 1e9)
            if sent is not None and status.events >= sent:
                break
            if until_ns is not None and clock.now_ns() >= until_ns:
                break
    finally:
        view.close()
        if tape is not None:
            tape.cancel()


async def _first_status(socket: Path, daemon: _Child, stopping: asyncio.Event) -> Status | None:
    """Wait until the daemon answers; None when it is asked to stop before. Raises TickdError if it ends."""
    while not stopping.is_set():
        try:
            return fetch_status(socket)
        except NotRunningError:
            if not daemon.running:
                await daemon.output()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await stopping.wait()
    return None


def _exchange_command(options: DemoOptions, instrument: Instrument | None) -> list[str]:
    command = [sys.executable, "-m", "daemon.simulator", "--with-parent", "--no-limits"]
    if options.tape is None or instrument is None:
        return [*command, "--seed", str(options.seed), "--symbol", "BTC/USDT"]
    speed = "max" if options.speed == float("inf") else f"{options.speed:g}"
    return [*command, "--tape", str(options.tape), "--speed", speed]


def _daemon_command(options: DemoOptions, path: Path) -> list[str]:
    seconds = (options.seconds if options.tape is None else _TAPE_S_MAX) + _ORPHAN_S
    return [sys.executable, "-m", "daemon.cli", "run", str(path), "--json", "--seconds", f"{seconds:g}"]


def _config(options: DemoOptions, ready: dict[str, Any], instrument: Instrument | None) -> Config:
    """Return the daemon's configuration: like one for the real exchange, but for the addresses."""
    market = instrument.market if instrument is not None else "spot"
    symbol = instrument.symbol if instrument is not None else "BTC/USDT"
    rest_url = ready[market]
    feed = FeedConfig(
        symbols=(symbol,), market=market, rest_url=rest_url, ws_url=rest_url.replace("http", "ws", 1)
    )
    venue = VenueConfig()  # derivatives are filled on paper: their orders are not spoken yet
    if market == "spot":
        ws_url = ready["spot"].replace("http", "ws", 1) + "/ws-api/v3"
        venue = VenueConfig(kind="binance", ws_url=ws_url, rest_url=ready["spot"])
    strategy = StrategyConfig(
        name=options.strategy, symbols=(symbol,), model=str(MODEL) if options.strategy == "ml" else ""
    )
    journal = FOLDER / f"journal-{SystemClock().now_ns() // 1_000_000_000}"
    return Config(
        name="demo",
        mode="demo",
        feed=feed,
        venue=venue,
        strategy=(strategy,),
        risk=RiskConfig(orders_per_s_max=50.0),
        journal=JournalConfig(path=str(journal)),
        http=HttpConfig(socket=str(FOLDER / "tickd.sock"), port=options.port),
        log=LogConfig(file=str(FOLDER / "demo.log")),
    )
