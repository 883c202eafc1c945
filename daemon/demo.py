"""`tickd demo`: a simulated exchange, the daemon trading on it, and this process showing how it goes.

Three processes, as in real life: the exchange speaks Binance on loopback, the daemon is `tickd run`
with a configuration that names the exchange's addresses, and the face reads the daemon's Status over its Unix
socket, as `tickd top` would. Nothing in the daemon knows that this is a demo.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from contextlib import suppress
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Console

from daemon.child import Child, free_port
from daemon.clock import SystemClock
from daemon.config import (
    Config,
    FeedConfig,
    HttpConfig,
    JournalConfig,
    LogConfig,
    RiskConfig,
    StrategyConfig,
    TapeConfig,
    VenueConfig,
)
from daemon.config_show import to_toml
from daemon.credentials import CREDENTIALS
from daemon.demo_folder import FOLDER, DemoFolder
from daemon.errors import EXIT_DONE, NotRunningError, TickdError, UsageError
from daemon.faces import terminal
from daemon.faces.client import fetch_status
from daemon.faces.show import print_status
from daemon.kernel_cache import daemon_kind, exchange_kind, is_warm
from daemon.lifetime import catch_signals
from daemon.simulator import KEY_ENV, PUBLIC_KEY_ENV, SECRET_ENV
from daemon.status import Status
from daemon.tape.capture import capture_instrument, capture_price

if TYPE_CHECKING:
    from daemon.instruments import Instrument, Market
    from daemon.options import DemoOptions

MODEL: Final = Path(__file__).resolve().parent.parent / "models" / "demo"
#: how long it trades on the synthetic market, which has no end
SECONDS: Final = 60.0
#: an order's size in quote currency: above what any exchange wants at least, below the default limits
NOTIONAL: Final = Decimal(300)
#: how far ahead MODEL foresees
HORIZON_S: Final = 5.0
#: what begins the names of variables that tell of keys of other exchanges: neither process is to go by them
_KEPT_OUT: Final = (CREDENTIALS, PUBLIC_KEY_ENV, "TICKD__VENUE__")
#: what its configuration begins with
_HEAD: Final = """\
# Written by tickd demo, anew by each. With mode = "demo" nothing but this machine is reached:
# venue.environment, which says whose hosts alone a live daemon's keys may reach, means nothing here.
"""
#: where the synthetic market of BTC/USDT starts
_PRICE: Final = 60_000.0
#: how often the daemon is asked, and how often a line tells of it where there is no terminal
_LOOK_S: Final = 0.25
_LINES_S: Final = 2.0
#: a daemon that stops answering may be gone this much later
_DYING_S: Final = 3.0
#: a tape that was sent has arrived once no frame came for so long
_SETTLE_NS: Final = 2_000_000_000


def run(options: DemoOptions) -> int:
    """Run the demo; return 0, also after a first Ctrl-C. Raises TickdError."""
    if options.svg is not None and not options.svg.absolute().parent.is_dir():
        raise UsageError(f"the picture {options.svg} cannot be written: there is no such folder")
    market = _Market(options)
    status, failure = asyncio.run(_run(options, market))
    if status is not None:
        print_status(status, as_json=options.json)
        _say_verifiable()
    elif failure is None:
        print("interrupted before it traded; nothing is left running", file=sys.stderr)
    if failure is not None:
        raise failure
    return EXIT_DONE


def _say_verifiable() -> None:
    """Tell how the session that was recorded is proved; only one is there."""
    for session in sorted((FOLDER / "tape").glob("demo-*")):
        print(f"replay it and prove that it is the same: tickd replay --verify {session}", file=sys.stderr)


def _draw(status: Status, path: Path) -> None:
    picture = terminal.picture(terminal.render(status), "tickd demo")
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise TickdError(f"the picture {path} cannot be written ({error.strerror})") from None


async def _run(options: DemoOptions, market: _Market) -> tuple[Status | None, TickdError | None]:
    """Start both processes, show the daemon until it is time, end both.

    Returns the daemon's last Status, None when it was stopped before it had one, and how it failed to end.
    """
    console = Console(stderr=True)
    stopping = asyncio.Event()
    catch_signals(lambda _: stopping.set())
    exchange = Child("the simulated exchange")
    daemon = Child("the daemon")
    released = False
    config = market.config()
    folder = DemoFolder(Path(config.journal.path), Path(config.tape.path))
    folder.prepare(_HEAD + to_toml(config, {}))
    try:
        console.print("starting the simulated exchange", highlight=False)
        key, secret = market.keys
        given = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_OUT)}
        await exchange.start(market.exchange_command(), {**given, KEY_ENV: key, SECRET_ENV: secret})
        ready = asyncio.ensure_future(exchange.message("ready"))
        console.print(f"starting the daemon ({folder.config})", highlight=False)
        _say_compiling(console, market, config)
        command = [
            sys.executable,
            "-m",
            "daemon.cli",
            "run",
            str(folder.config),
            "--json",
            "--with-parent",
            "--hold",
        ]
        keys = {config.venue.key_env: key, config.venue.secret_env: secret}
        await daemon.start(command, {**given, **keys})
        if await _unless(stopping, _first(ready, daemon)) is None:
            return None, None
        daemon.release()
        released = True
        status = await _first_status(Path(config.http.socket), daemon, stopping)
        if status is None:
            return None, None
        folder.begin()
        await _show(options, config, exchange, daemon, stopping, status)
        daemon.end()
        printed = await daemon.output()
        status = msgspec.json.decode(printed, type=Status) if printed else None
        return status, daemon.failure() if daemon.exit_code else None
    finally:
        if not released:
            daemon.kill()
            exchange.kill()
        # the daemon first, while it can still cancel its orders
        await daemon.gone()
        await exchange.gone()
        folder.release()


def _say_compiling(console: Console, market: _Market, config: Config) -> None:
    """Say who will compile for minutes; each then tells of its steps itself."""
    cold = [
        who
        for who, kind in (("the exchange", market.exchange_kind), ("the daemon", daemon_kind(config)))
        if not is_warm(kind)
    ]
    if cold:
        who = "both compile their" if len(cold) == 2 else f"{cold[0]} compiles its"
        console.print(f"{who} kernels, this once: one to three minutes", highlight=False)


async def _first(ready: asyncio.Future[Any], daemon: Child) -> Any:
    """Return the exchange's message once it is ready; raises TickdError where either ends before."""
    ended = asyncio.ensure_future(daemon.ended())
    try:
        await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise daemon.failure()
        return ready.result()
    finally:
        await _cancelled(ended)
        await _cancelled(ready)


async def _unless(stopping: asyncio.Event, work: Any) -> Any:
    """Return what `work` returns, or None when asked to stop before."""
    task = asyncio.ensure_future(work)
    asked = asyncio.ensure_future(stopping.wait())
    await asyncio.wait((task, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if task.done():
        return task.result()
    await _cancelled(task)
    return None


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel a task, and wait until it has let go of what it read."""
    task.cancel()
    await asyncio.wait((task,))


async def _show(
    options: DemoOptions,
    config: Config,
    exchange: Child,
    daemon: Child,
    stopping: asyncio.Event,
    status: Status,
) -> None:
    """Show the daemon, from its first Status on, until its time or the tape is over, or somebody says stop.

    Raises TickdError when a process fails.
    """
    socket = Path(config.http.socket)
    view = terminal.open_view(Console(stderr=True) if options.json else Console())
    interval_ns = int((0 if isinstance(view, terminal.LiveView) else _LINES_S) * 1e9)
    clock = SystemClock()
    endless = SECONDS if options.tape is None else float("inf")
    seconds = endless if options.seconds is None else options.seconds
    began_ns = shown_ns = moved_ns = clock.now_ns()
    view.show(status)
    asked = asyncio.ensure_future(stopping.wait())
    sent = asyncio.ensure_future(exchange.message("tape_ended"))  # also fails if the exchange ends
    try:
        while not stopping.is_set():
            waiting = [one for one in (asked, sent) if not one.done()]
            await asyncio.wait(waiting, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            frames = sent.result()["frames"] if sent.done() else None
            before, status = status, await _status(socket, daemon)
            now_ns = clock.now_ns()
            if now_ns - shown_ns >= interval_ns:
                view.show(status)
                shown_ns = now_ns
            if now_ns - began_ns >= seconds * 1e9:
                break
            if frames is None or status.feed_frames > before.feed_frames:
                moved_ns = now_ns
            elif status.feed_frames >= frames or now_ns - moved_ns > _SETTLE_NS:
                break
    finally:
        view.close()
        for task in (asked, sent):
            await _cancelled(task)
    if options.svg is not None:
        _draw(status, options.svg)


async def _first_status(socket: Path, daemon: Child, stopping: asyncio.Event) -> Status | None:
    """Wait until the daemon answers; None when asked to stop before. Raises TickdError if it ends."""
    while not stopping.is_set():
        try:
            return fetch_status(socket)
        except NotRunningError:
            if not daemon.running:
                raise daemon.failure() from None
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await stopping.wait()
    return None


async def _status(socket: Path, daemon: Child) -> Status:
    """Ask the daemon; raises TickdError, that of its end where one that does not answer has ended."""
    try:
        return fetch_status(socket)
    except TickdError:
        if await daemon.ended(_DYING_S):
            raise daemon.failure() from None
        raise


class _Market:
    """What the exchange is to play, and how the daemon is to trade on it."""

    def __init__(self, options: DemoOptions) -> None:
        """Look at the tape, where there is one; raises FileFormatError."""
        self._options = options
        self._port = free_port()  # the configuration names it before the exchange listens
        #: API key and secret, made for this start: whatever the environment holds is of another exchange
        self.keys = secrets.token_hex(32), secrets.token_hex(32)
        self._instrument: Instrument | None = None
        self._price = _PRICE
        if options.tape is not None:
            self._instrument = capture_instrument(options.tape)
            self._price = capture_price(options.tape)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Unified symbols."""
        if self._instrument is not None:
            return (self._instrument.symbol,)
        return ("BTC/USDT", "ETH/USDT") if self._options.strategy == "pairs" else ("BTC/USDT",)

    def exchange_command(self) -> list[str]:
        """Return the command that is the exchange."""
        options = self._options
        port = "--port" if self._market == "spot" else "--futures-port"
        command = [sys.executable, "-m", "daemon.simulator", "--with-parent", "--no-limits"]
        command += [port, str(self._port)]
        if options.tape is None:
            listed = [word for symbol in self.symbols for word in ("--symbol", symbol)]
            return [*command, "--seed", str(options.seed), *listed]
        speed = "max" if options.speed == float("inf") else f"{options.speed:g}"
        return [*command, "--tape", str(options.tape), "--speed", speed]

    @property
    def exchange_kind(self) -> str:
        """Return what it has to compile, by name."""
        return exchange_kind(synthetic=self._options.tape is None)

    @property
    def _market(self) -> Market:
        return self._instrument.market if self._instrument is not None else "spot"

    def config(self) -> Config:
        """Return the daemon's configuration: like one for the real exchange, but for the addresses."""
        rest_url, ws_url = (f"{scheme}://127.0.0.1:{self._port}" for scheme in ("http", "ws"))
        feed = FeedConfig(
            symbols=self.symbols,
            market=self._market,
            rest_url=rest_url,
            ws_url=ws_url,
            rules_ttl_h=0,  # its exchange ends with it, and the next has another port
        )
        venue = VenueConfig()  # derivatives are filled on paper: their orders are not spoken yet
        if self._market == "spot":
            venue = VenueConfig(kind="binance", ws_url=f"{ws_url}/ws-api/v3", rest_url=rest_url)
        name = self._options.strategy
        strategy = StrategyConfig(
            name=name,
            symbols=self.symbols,
            params=self._params(name),
            model=str(MODEL) if name == "ml" else "",
        )
        return Config(
            name="demo",
            mode="demo",
            feed=feed,
            venue=venue,
            strategy=(strategy,),
            risk=RiskConfig(orders_per_s_max=50.0),
            journal=JournalConfig(path=str(FOLDER / "journal")),
            tape=TapeConfig(record=True, path=str(FOLDER / "tape")),
            http=HttpConfig(socket=str(FOLDER / "tickd.sock"), port=self._options.port),
            log=LogConfig(file=str(FOLDER / "demo.log")),
        )

    def _params(self, strategy: str) -> dict[str, float]:
        """Return what a shipped strategy needs here; one's own has its defaults."""
        qty = self._qty()
        if strategy == "ml":
            return {"qty": qty, "horizon_s": HORIZON_S}
        if strategy == "market_maker":
            # near enough to be met within a minute
            return {"qty": qty, "inventory_max": 10 * qty, "half_spread_bps": 0.02, "volatility_weight": 0.0}
        if strategy == "pairs":
            return {"notional": float(NOTIONAL), "warm_s": 8.0, "half_life_s": 20.0, "enter": 1.0}
        return {"qty": qty} if strategy == "ema_cross" else {}

    def _qty(self) -> float:
        """Return the quantity worth NOTIONAL, in whole lots."""
        lot = self._instrument.lot_size if self._instrument is not None else Decimal("0.001")
        lots = (NOTIONAL / Decimal(self._price) / lot).to_integral_value(ROUND_UP)
        return float(lots * lot)
