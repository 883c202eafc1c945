"""`tickd`: runs one verb, and turns errors into sentences and exit codes.

Every verb imports what it needs when it runs, so that `tickd --help` answers at once. The functions called
are plain: they take options (daemon/options.py) and return an exit code, or raise a TickdError.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING, Final

from daemon import verbs_data
from daemon.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, TickdError, UsageError
from daemon.grammar import Parser, build, parse
from daemon.verb_parts import check_strategy, check_there, load, use_kernels

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from pathlib import Path

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


# --- the verbs ----------------------------------------------------------------------------------------------
def _demo(args: Namespace) -> int:
    check_there(args.tape, "tape")
    check_strategy(args.strategy)
    if args.speed is not None and args.tape is None:
        raise UsageError("--speed is of a tape; say --tape too")
    use_kernels()
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
    def read() -> Config:
        return load(args.config)

    config = read()
    if config.mode == "live" and not args.live:
        raise UsageError(f'{args.config} says mode = "live"; say --live too, to send real orders')
    if config.mode != "live" and args.live:
        raise UsageError(
            f'--live is given, but {args.config} says mode = "{config.mode}"; both must ask for it'
        )
    return _trade(config, args, read)


def _paper(args: Namespace) -> int:
    def read() -> Config:
        # a live configuration is rehearsed so: the same file, local fills
        return load(args.config, TICKD__MODE="paper", TICKD__VENUE__KIND="paper")

    return _trade(read(), args, read)


def _trade(config: Config, args: Namespace, read: Callable[[], Config]) -> int:
    if args.hold and not args.with_parent:
        raise UsageError("--hold waits for a line of the parent; say --with-parent too")
    use_kernels()
    from daemon.options import RunOptions
    from daemon.process import run

    options = RunOptions(seconds=args.seconds, with_parent=args.with_parent, hold=args.hold, json=args.json)
    return run(config, options, read)


def _simulate(args: Namespace) -> int:
    use_kernels()
    from daemon.simulator.process import add_arguments, run

    parser = Parser(prog="tickd simulate", description="Be the exchange: Binance's protocol on loopback.")
    add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    options = parser.parse_args(args.words)
    check_there(options.tape, "tape")
    check_there(options.faults, "file of faults")
    return run(options)


def _new(args: Namespace) -> int:
    from daemon.new_strategy import run

    return run(args.name, args.folder)


def _bench(args: Namespace) -> int:
    use_kernels()
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
    config = load(args.config)
    use_kernels()
    from rich.console import Console

    from daemon.config_show import to_json, to_toml
    from daemon.disk import RealDisk
    from daemon.faces.compiling import compiling
    from daemon.faces.mqtt_access import tls_of
    from daemon.feeds.exchanges import find_exchange
    from daemon.net import make_net
    from daemon.plans import plan_strategies, strategies_to_load

    # what a start would refuse is refused here
    find_exchange(config.feed.exchange, config.feed.market)
    make_net(config.feed)
    make_net(config.venue)
    tls_of(config.mqtt, RealDisk())
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
    config = load(args.direct)
    use_kernels()
    from daemon.options import DirectOptions
    from daemon.process import flatten_direct

    options = DirectOptions(yes=args.yes, everything=args.everything, reason=args.reason, json=args.json)
    return flatten_direct(config, options)


def _journal(args: Namespace) -> int:
    check_there(args.folder, "journal")
    check_there(args.slippage, "journal")
    if args.order is not None:
        use_kernels()  # it is explained with its features' names
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


def _report(args: Namespace) -> int:
    check_there(args.session, "session")
    check_there(args.journal, "journal")
    from daemon.faces.report_verb import run
    from daemon.options import ReportOptions

    return run(
        ReportOptions(
            session=args.session, journal=args.journal, run=args.run, html=args.html, json=args.json
        )
    )


VERBS: Final[dict[str, Callable[[Namespace], int]]] = {
    "demo": _demo,
    "run": _run,
    "paper": _paper,
    "record": verbs_data.record,
    "replay": verbs_data.replay,
    "fetch": verbs_data.fetch,
    "convert": verbs_data.convert,
    "bars": verbs_data.bars,
    "backtest": verbs_data.backtest,
    "sweep": verbs_data.sweep,
    "train": verbs_data.train,
    "new": _new,
    "simulate": _simulate,
    "bench": _bench,
    "config": _config,
    "state": _state,
    "top": _top,
    "halt": _command,
    "resume": _command,
    "flatten": _flatten,
    "journal": _journal,
    "report": _report,
}


def _socket(args: Namespace) -> Path:
    from daemon.faces.client import find_socket

    given: Path | None = args.socket
    return given if given is not None else find_socket(args.name)


if __name__ == "__main__":
    sys.exit(main())
