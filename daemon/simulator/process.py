"""The process `tickd simulate` and `python -m daemon.simulator`: arguments, key, ready line, end.

It speaks in JSON lines on stdout: {"event": "ready", "spot": URL, ...} first, then tape_started, tape_ended
(or tape_failed) and stopped; on a terminal, in words.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from daemon.clock import SystemClock
from daemon.errors import EXIT_DONE, ConfigError, TickdError, UsageError, unread
from daemon.faces.compiling import compiling, told_to
from daemon.grammar_values import port
from daemon.kernel_cache import exchange_kind
from daemon.lifetime import catch_signals, nothing_to_lose, watch_parent
from daemon.simulator import KEY_ENV, PUBLIC_KEY_ENV, SECRET_ENV
from daemon.simulator.auth import Key
from daemon.simulator.fault import Fault, parse
from daemon.simulator.rates import Limits
from daemon.simulator.server import running
from daemon.simulator.settings import ACCOUNT, SimulatorSettings
from daemon.simulator.tape import scan
from daemon.simulator.warm import STEPS, warm_up

if TYPE_CHECKING:
    from collections.abc import Sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options, for `tickd simulate` too."""
    parser.add_argument("--tape", type=Path, help="a capture to stream; without one the market is synthetic")
    parser.add_argument("--speed", default="1", help="of the tape: a factor, or max (1)")
    parser.add_argument(
        "--expect", default="", help="streams that start the tape, comma-separated (the tape's own)"
    )
    parser.add_argument(
        "--market", choices=("spot", "usdm", "coinm"), default="spot", help="of the synthetic market (spot)"
    )
    parser.add_argument(
        "--symbol", action="append", dest="symbols", help="to list; repeatable (BTC/USDT, ETH/USDT)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic market (1)")
    parser.add_argument(
        "--rate", type=float, default=200.0, help="events a second and symbol of the synthetic market (200)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="to listen on (127.0.0.1)")
    parser.add_argument("--port", type=port, default=0, help="of the spot server (0: a free one)")
    parser.add_argument(
        "--futures-port",
        type=port,
        default=0,
        help="of the futures server, where there is one (0: a free one)",
    )
    parser.add_argument(
        "--funding-s", type=float, default=28_800.0, help="between two fundings of USD-M positions (28800)"
    )
    parser.add_argument("--no-limits", action="store_true", help="no rate limits (soak tests)")
    parser.add_argument("--withdrawals", action="store_true", help="let the key say that it may withdraw")
    parser.add_argument(
        "--listen-keys", action="store_true", help="of spot too, for bots from before it dropped them"
    )
    parser.add_argument("--faults", type=Path, help="what goes wrong when: TOML, or JSON a line")
    parser.add_argument(
        "--state", type=Path, help="keep accounts, orders and trades here, for the next start"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when stdin closes")


def settings_of(options: argparse.Namespace) -> SimulatorSettings:
    """Return the settings that the options and the environment's key ask for; raises TickdError."""
    if options.speed == "max":
        speed = 0.0
    else:
        try:
            speed = float(options.speed)
        except ValueError:
            speed = -1.0
        if not 0 < speed < 1e9:
            raise UsageError(f"--speed {options.speed!r} is no speed; give a factor such as 20, or max")
    nothing = Limits(weight_1m=0, orders_10s=0, orders_1d=0, connections_5m=0, messages_1s=0, streams=0)
    return SimulatorSettings(
        market=options.market,
        symbols=tuple(options.symbols or ("BTC/USDT", "ETH/USDT")),
        tape=options.tape,
        speed=speed,
        expect=tuple(name for name in options.expect.split(",") if name),
        seed=options.seed,
        rate=options.rate,
        host=options.host,
        port=options.port,
        futures_port=options.futures_port,
        funding_s=options.funding_s,
        key=msgspec.structs.replace(read_key(), can_withdraw=options.withdrawals),
        limits=nothing if options.no_limits else Limits(),
        faults=read_faults(options.faults),
        listen_keys=options.listen_keys,
        state=options.state,
    )


def read_faults(path: Path | None) -> tuple[Fault, ...]:
    """Return the faults of a file; raises UsageError with a sentence that names the entry."""
    if path is None:
        return ()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the faults {path} {unread(error)}") from None
    except UnicodeDecodeError:
        raise UsageError(f"the faults {path} are no text") from None
    return tuple(parse(text, str(path)))


def read_key() -> Key:
    """Return the key from the environment, or one made for this start."""
    api_key = os.environ.get(KEY_ENV) or secrets.token_hex(32)
    public = os.environ.get(PUBLIC_KEY_ENV)
    if public:
        try:
            loaded = load_pem_public_key(public.encode())
            raw = loaded.public_bytes(Encoding.Raw, PublicFormat.Raw)
        except ValueError as error:
            raise ConfigError(f"{PUBLIC_KEY_ENV} is no Ed25519 public key in PEM form ({error})") from None
        return Key(api_key, ACCOUNT, public_key=raw)
    secret = os.environ.get(SECRET_ENV) or secrets.token_hex(32)
    return Key(api_key, ACCOUNT, secret=secret.encode())


def say_to_programs(message: dict[str, Any]) -> None:
    """Write a message as one line of JSON; a reader that has ended misses it, and the exchange goes on."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
        sys.stdout.flush()


def say_to_people(message: dict[str, Any]) -> None:
    """Write a message as a person reads it."""
    event = message["event"]
    if event == "ready":
        lines = [
            f"{name:8}{message[name]}" for name in ("spot", "usdm", "coinm") if message.get(name) is not None
        ]
        keys = f"export TICKD_KEY={message['api_key']}"
        if message["secret"]:
            keys += f" TICKD_SECRET={message['secret']}"
        text = "\n".join(["the simulated exchange is ready; Ctrl-C ends it", *lines, keys])
    elif event == "tape_started":
        text = f"the tape plays: {', '.join(message['streams'])}"
    elif event == "tape_ended":
        text = f"the tape has ended: {message['frames']:,} frames in {message['seconds']:.1f} s"
    elif event == "tape_failed":
        text = f"the tape broke off after {message['frames']:,} frames: {message['error']}"
    elif event == "failed":
        text = f"the market stands still: {message['error']}"
    else:
        text = "stopped"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def serve(settings: SimulatorSettings, *, with_parent: bool) -> None:
    """Run until SIGINT, SIGTERM or, with a parent, the end of stdin."""
    stop = asyncio.Event()
    catch_signals(lambda _: stop.set())
    if with_parent:
        await watch_parent(lambda _: stop.set())
    if settings.tape is not None:
        scan(settings.tape)  # a broken one is refused before anybody waits for a compiler
    synthetic = settings.tape is None
    console, kind = told_to(beside_others=with_parent), exchange_kind(synthetic=synthetic)
    with nothing_to_lose(EXIT_DONE), compiling(console, STEPS, kind=kind) as step:
        warm_up(synthetic=synthetic, step=step)
    source = random.Random(settings.seed)  # noqa: S311 - makes order ids, the same for the same seed
    say = say_to_people if sys.stdout.isatty() else say_to_programs
    async with running(settings, SystemClock(), source, say) as urls:
        say(
            {"event": "ready"}
            | urls
            | {"api_key": settings.key.api_key, "secret": settings.key.secret.decode(), "pid": os.getpid()}
        )
        await stop.wait()
    say({"event": "stopped"})


def run(options: argparse.Namespace) -> int:
    """Run the process for parsed options; what `tickd simulate` calls. Raises TickdError."""
    import uvloop  # noqa: PLC0415 - only a process of its own picks the loop

    settings = settings_of(options)
    try:
        uvloop.run(serve(settings, with_parent=options.with_parent))
    except ConfigError as error:  # all that the settings are is on the command line
        raise UsageError(str(error)) from None
    return EXIT_DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and say a refusal in one sentence."""
    parser = argparse.ArgumentParser(prog="python -m daemon.simulator", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except TickdError as error:
        sys.stderr.write(f"tickd: {error}\n")
        return error.exit_code
