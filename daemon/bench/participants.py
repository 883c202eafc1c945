"""Who is measured, and how each is started: the daemon itself as `tickd run --live`, the others as peers."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.bench import strategy
from daemon.bench.market import base_asset
from daemon.config import (
    Config,
    FeedConfig,
    HttpConfig,
    JournalConfig,
    LogConfig,
    LoopConfig,
    RiskConfig,
    StrategyConfig,
    TapeConfig,
    VenueConfig,
)
from daemon.config_show import to_toml
from daemon.errors import TickdError

if TYPE_CHECKING:
    from daemon.options import LatencyOptions

FOLDER: Final = Path("var/bench")
OURS: Final = "ours"
OURS_FLOODED: Final = "ours_flooded"  # another run of it, so that each keeps its own counts
FLOOR_SPIN: Final = "floor_spin"
FLOOR_SLEEP: Final = "floor_sleep"
ECHO: Final = "echo"
NAIVE: Final = "naive"
#: keys are checked by their form alone: the exchange reads no signature, the daemon makes each
KEYS: Final = {"TICKD_KEY": "benchkey" * 8, "TICKD_SECRET": "benchsecret" * 6}
#: no limit is to be met: what is measured is each check, passed
_UNLIMITED: Final = 1e12
_WARMUP_TICKS: Final = 200


def exchange_command(options: LatencyOptions) -> list[str]:
    """Return the command that starts the exchange process."""
    words = ["exchange", "--symbols", str(options.symbols), "--seed", str(options.seed)]
    return [sys.executable, "-m", "daemon.bench", *words]


def peer_command(name: str, url: str, options: LatencyOptions, model: Path) -> list[str]:
    """Return the command that starts one of the others."""
    kind = "floor" if name in {FLOOR_SPIN, FLOOR_SLEEP} else name
    command = [sys.executable, "-m", "daemon.bench", "peer", kind, f"{url}/{name}"]
    if name == FLOOR_SPIN or (name == ECHO and options.mode == "spin"):
        command.append("--spin")
    if name == NAIVE:
        command += ["--model", str(model / "model.txt")]
    return command


def daemon_command(path: Path) -> list[str]:
    """Return the command that starts ours, the one a person would type."""
    return [sys.executable, "-m", "daemon.cli", "run", str(path), "--live", "--json", "--with-parent"]


def config(
    name: str,
    url: str,
    options: LatencyOptions,
    model: Path,
    *,
    folder: Path = FOLDER,
    warmup_ticks: int = _WARMUP_TICKS,
) -> Config:
    """Return the daemon's configuration, its files in `folder`: a strategy a symbol, each with the model."""
    rest_url = f"{url}/{name}"
    ws_url = rest_url.replace("http", "ws", 1)
    symbols = tuple(f"{base_asset(number)}/USDT" for number in range(options.symbols))
    return Config(
        name="bench",
        mode="live",
        loop=LoopConfig(spin=options.mode == "spin"),
        # a participant that is not its turn stands still, and its feed with it
        feed=FeedConfig(
            symbols=symbols, streams=("trade", "quote"), rest_url=rest_url, ws_url=ws_url, stale_ms=600_000
        ),
        venue=VenueConfig(kind="binance", ws_url=f"{ws_url}/ws-api/v3", rest_url=rest_url),
        strategy=tuple(
            StrategyConfig(
                name=f"{strategy.__file__}:decide",
                symbols=(symbol,),
                model=str(model),
                warmup_ticks=warmup_ticks,
            )
            for symbol in symbols
        ),
        risk=RiskConfig(
            order_notional_max=_UNLIMITED,
            position_notional_max=_UNLIMITED,
            daily_loss_max=_UNLIMITED,
            drawdown_max=_UNLIMITED,
            collar=0.1,
            orders_per_s_max=100_000.0,
        ),
        journal=JournalConfig(path=str(folder / "journal")),
        tape=TapeConfig(record=options.record, path=str(folder / "tape")),
        http=HttpConfig(socket=str(folder / "tickd.sock")),
        log=LogConfig(file=str(folder / "bench.log")),
    )


def prepare(one: Config) -> Path:
    """Clear the journal of an earlier run, and write the configuration; return its path."""
    folder = Path(one.http.socket).parent
    path = folder / "bench.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for files in (one.journal.path, one.tape.path):
            shutil.rmtree(files, ignore_errors=True)
        path.write_text(to_toml(one, {}), encoding="utf-8")
    except OSError as error:
        raise TickdError(
            f"{folder} cannot be written ({error.strerror}); start the bench in a folder of yours"
        ) from None
    return path
