"""`tickd`: runs one verb, and turns errors into sentences and exit codes.

Every verb imports what it needs when it runs, so that `tickd --help` answers at once. The functions called
are plain: they take options (daemon/options.py) and return an exit code, or raise a TickdError.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, TickdError, UsageError
from daemon.grammar import Parser, build, parse

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from daemon.config import Config


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. The console script enters here."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        args = parse(words)
        if args.verb is None:
            build()[0].print_help()
            return EXIT_DONE
        return VERBS[args.verb](args)
    except BrokenPipeError:  # `tickd state | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except (Exception, KeyboardInterrupt) as error:
        from daemon.redact import redact

        if debug:
            print(redact("".join(traceback.format_exception(error))), end="", file=sys.stderr)
        sentence, code = _explain(error)
        if sentence:  # else it was said already
            print(f"tickd: {redact(sentence)}", file=sys.stderr)
        return code


def _explain(error: BaseException) -> tuple[str, int]:
    if isinstance(error, TickdError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", EXIT_INTERRUPTED
    if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
        return "what was to be printed could not be written (No space left on device)", EXIT_FAILED
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"this is a bug, please report it: {what} (--debug shows where)", EXIT_FAILED


def _check_there(path: Path | None, what: str) -> None:
    """Raise UsageError for something named on the command line that is not there."""
    if path is None:
        return
    try:
        path.stat()
    except FileNotFoundError:
        raise UsageError(f"the {what} {path} does not exist; check the name") from None
    except OSError as error:
        raise UsageError(f"the {what} {path} cannot be read ({error.strerror})") from None


def _check_strategy(reference: str | None) -> None:
    """Raise UsageError for a strategy's file, given as FILE.py or FILE.py:decide, that is not there."""
    file = (reference or "").partition(":")[0]
    if file.endswith(".py"):
        _check_there(Path(file), "strategy file")


# --- the verbs ----------------------------------------------------------------------------------------------
def _demo(args: Namespace) -> int:
    _check_there(args.tape, "tape")
    _check_strategy(args.strategy)
    if args.speed is not None and args.tape is None:
        raise UsageError("--speed is of a tape; say --tape too")
    _use_kernels()
    from daemon.demo import run
    from daemon.options import DemoOptions

    return run(
        DemoOptions(
            seconds=args.seconds,
            tape=args.tape,
            speed=1.0 if args.speed is None else args.speed,
            seed=args.seed,
            strategy=args.strategy,
            port=args.port,
            json=args.json,
            svg=args.svg,
        )
    )


def _run(args: Namespace) -> int:
    config = _load(args.config)
    if config.mode == "live" and not args.live:
        raise UsageError(f'{args.config} says mode = "live"; say --live too, to send real orders')
    if config.mode != "live" and args.live:
        raise UsageError(
            f'--live is given, but {args.config} says mode = "{config.mode}"; both must ask for it'
        )
    return _trade(config, args)


def _paper(args: Namespace) -> int:
    # a live configuration is rehearsed so: the same file, local fills
    return _trade(_load(args.config, TICKD__MODE="paper", TICKD__VENUE__KIND="paper"), args)


def _trade(config: Config, args: Namespace) -> int:
    if args.hold and not args.with_parent:
        raise UsageError("--hold waits for a line of the parent; say --with-parent too")
    _use_kernels()
    from daemon.options import RunOptions
    from daemon.process import run

    options = RunOptions(seconds=args.seconds, with_parent=args.with_parent, hold=args.hold, json=args.json)
    return run(config, options)


def _replay(args: Namespace) -> int:
    _check_there(args.file, "session" if args.verify else "tape or capture")
    if args.journal is not None and not args.verify:
        raise UsageError("--journal is of a session; say --verify too")
    _check_there(args.model, "model bundle")
    _check_strategy(args.strategy)
    _use_kernels()
    if args.verify:
        return _verify(args)
    from daemon.options import ReplayOptions
    from daemon.tape.player import WHOLE
    from daemon.tape.replay import run

    return run(
        ReplayOptions(
            file=args.file,
            config=None if args.config is None else _load(args.config),
            strategy=args.strategy,
            model=args.model,
            repeat=args.repeat,
            span=WHOLE._replace(from_ns=args.since, until_ns=args.until or WHOLE.until_ns, speed=args.speed),
            json=args.json,
        )
    )


def _convert(args: Namespace) -> int:
    for path in args.files:
        _check_there(path, "file")
    _use_kernels()
    from daemon.options import ConvertOptions
    from daemon.tape.convert import run

    return run(
        ConvertOptions(
            files=tuple(args.files),
            out=args.out,
            form=args.form,
            exchange=args.exchange,
            market=args.market,
            symbol=args.symbol,
            columns=args.columns,
            unit=args.unit,
            strict=args.strict,
            json=args.json,
        )
    )


def _bars(args: Namespace) -> int:
    _check_there(args.file, "capture")
    _use_kernels()
    from daemon.options import BarsOptions
    from daemon.tape.bars import run

    return run(
        BarsOptions(
            file=args.file,
            every_ns=args.every,
            ticks=args.ticks,
            volume=args.volume,
            notional=args.notional,
            clock=args.clock,
            last=args.last,
            csv=args.csv,
            parquet=args.parquet,
            json=args.json,
        )
    )


def _record(args: Namespace) -> int:
    _use_kernels()
    from daemon.options import RecordOptions
    from daemon.tape.record import choose, run

    config = choose(
        None if args.config is None else _load(args.config),
        exchange=args.exchange,
        market=args.market,
        symbols=args.symbol,
        streams=args.stream,
        out=args.out,
        environ=os.environ,
    )
    return run(RecordOptions(config=config, seconds=args.seconds, json=args.json))


def _verify(args: Namespace) -> int:
    if args.repeat != 1 or args.since or args.until is not None:
        raise UsageError("a session is verified whole, and once: leave --repeat, --from and --until out")
    from daemon.options import VerifyOptions
    from daemon.session.verify import run

    return run(
        VerifyOptions(
            session=args.file,
            journal=args.journal,
            config=None if args.config is None else _load(args.config),
            strategy=args.strategy,
            model=args.model,
            json=args.json,
        )
    )


def _train(args: Namespace) -> int:
    _use_kernels()
    from daemon.faces.show import train

    train(args.out, seed=args.seed, minutes=args.minutes, horizon_ms=args.horizon_ms, as_json=args.json)
    return EXIT_DONE


def _simulate(args: Namespace) -> int:
    _use_kernels()
    from daemon.simulator.process import add_arguments, run

    parser = Parser(prog="tickd simulate", description="Be the exchange: Binance's protocol on loopback.")
    add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return run(parser.parse_args(args.words))


def _bench(args: Namespace) -> int:
    _use_kernels()
    from daemon.bench.latency import run
    from daemon.options import LatencyOptions

    return run(
        LatencyOptions(
            seconds=args.seconds,
            rate=args.rate,
            symbols=args.symbols,
            trees=args.trees,
            mode=args.mode,
            many=args.many,
            exchange=args.exchange,
            cores=args.cores,
            seed=args.seed,
            check=args.check,
            record=args.record,
            json=args.json,
        )
    )


def _config(args: Namespace) -> int:
    config = _load(args.config)
    _use_kernels()
    from rich.console import Console

    from daemon.config_show import to_json, to_toml
    from daemon.disk import RealDisk
    from daemon.faces.compiling import compiling
    from daemon.feeds.exchanges import find_exchange
    from daemon.net import make_net
    from daemon.plans import plan_strategies, strategies_to_load
    from daemon.proxy import parse_proxy

    # what a start would refuse is refused here
    find_exchange(config.feed.exchange, config.feed.market)
    make_net(config.feed)
    if config.venue.proxy:
        parse_proxy(config.venue.proxy)
    with compiling(Console(stderr=True), strategies_to_load(config)) as step:
        plan_strategies(config, RealDisk(), step)
    print((to_json if args.json else to_toml)(config, os.environ), end="")
    return EXIT_DONE


def _state(args: Namespace) -> int:
    from daemon.faces.client import fetch_status
    from daemon.faces.show import print_status

    print_status(fetch_status(_socket(args)), as_json=args.json)
    return EXIT_DONE


def _top(args: Namespace) -> int:
    from daemon.faces.show import watch_socket

    watch_socket(_socket(args), args.interval)
    return EXIT_DONE


def _command(args: Namespace) -> int:
    from daemon.faces.client import command

    state = command(_socket(args), args.verb, args.reason, rebase=getattr(args, "rebase", False))
    print(f"{args.verb} accepted; the daemon is {state}")
    return EXIT_DONE


def _flatten(args: Namespace) -> int:
    if args.direct is None:
        for option in ("yes", "everything", "json"):
            if getattr(args, option):
                raise UsageError(f"--{option} goes with --direct CONFIG")
        accepted = _command(args)
        if not args.wait:
            return accepted
        from daemon.faces.show import follow_flatten

        return follow_flatten(_socket(args), args.wait)
    if args.socket is not None or args.name is not None:
        raise UsageError("--direct takes its names from the configuration; leave --name and --socket out")
    config = _load(args.direct)
    _use_kernels()
    from daemon.options import DirectOptions
    from daemon.process import flatten_direct

    options = DirectOptions(yes=args.yes, everything=args.everything, reason=args.reason, json=args.json)
    return flatten_direct(config, options)


def _journal(args: Namespace) -> int:
    if args.order is not None:
        _use_kernels()  # it is explained with its features' names
    from daemon.faces.journal import run
    from daemon.options import JournalOptions

    return run(
        JournalOptions(
            folder=args.folder,
            show=args.show or "",
            summary=args.summary,
            waterfall=args.waterfall,
            slippage=args.slippage,
            symbol=args.symbol,
            strategy=args.strategy,
            order=args.order,
            kind=args.kind,
            since_ns=args.since,
            until_ns=args.until,
            last=args.last,
            csv=args.csv,
            parquet=args.parquet,
            json=args.json,
        )
    )


VERBS: Final[dict[str, Callable[[Namespace], int]]] = {
    "demo": _demo,
    "run": _run,
    "paper": _paper,
    "record": _record,
    "replay": _replay,
    "convert": _convert,
    "bars": _bars,
    "train": _train,
    "simulate": _simulate,
    "bench": _bench,
    "config": _config,
    "state": _state,
    "top": _top,
    "halt": _command,
    "resume": _command,
    "flatten": _flatten,
    "journal": _journal,
}


def _use_kernels() -> None:
    """Choose the kernel cache; from here on numba may be imported."""
    from daemon import kernel_cache

    kernel_cache.activate()


def _load(path: Path, **overrides: str) -> Config:
    from daemon.config import load

    return load(path, {**os.environ, **overrides})


def _socket(args: Namespace) -> Path:
    from daemon.faces.client import find_socket

    given: Path | None = args.socket
    return given if given is not None else find_socket(args.name)


if __name__ == "__main__":
    sys.exit(main())
