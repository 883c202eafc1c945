"""The verbs that read and write market data, and what is learnt from it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemon.errors import EXIT_DONE, UsageError
from daemon.verb_parts import check_strategy, check_there, load, use_kernels

if TYPE_CHECKING:
    from argparse import Namespace


def record(args: Namespace) -> int:
    """Write down a feed; return the exit code."""
    use_kernels()
    from daemon.options import RecordOptions
    from daemon.tape.record import choose, run

    config = choose(
        None if args.config is None else load(args.config),
        exchange=args.exchange,
        market=args.market,
        symbols=args.symbol,
        streams=args.stream,
        out=args.out,
        environ=os.environ,
    )
    return run(RecordOptions(config=config, seconds=args.seconds, json=args.json))


def replay(args: Namespace) -> int:
    """Replay a tape, a capture or a session; return the exit code."""
    for path in args.files:
        check_there(path, "session" if args.verify else "tape or capture")
    if args.journal is not None and not args.verify:
        raise UsageError("--journal is of a session; say --verify too")
    check_there(args.journal, "journal")
    check_there(args.model, "model bundle")
    check_strategy(args.strategy)
    use_kernels()
    if args.verify:
        return _verify(args)
    from daemon.options import ReplayOptions
    from daemon.tape.player import WHOLE
    from daemon.tape.replay import run

    return run(
        ReplayOptions(
            files=tuple(args.files),
            config=None if args.config is None else load(args.config),
            strategy=args.strategy,
            model=args.model,
            repeat=args.repeat,
            span=WHOLE._replace(from_ns=args.since, until_ns=args.until or WHOLE.until_ns, speed=args.speed),
            port=args.port,
            json=args.json,
        )
    )


def _verify(args: Namespace) -> int:
    if args.repeat != 1 or args.since or args.until is not None or args.port:
        raise UsageError("a session is verified whole, and once: leave --repeat, --from, --until, --port out")
    if len(args.files) > 1:
        raise UsageError("a session is verified by itself, against its own journal: name one folder")
    from daemon.options import VerifyOptions
    from daemon.session.verify import run

    return run(
        VerifyOptions(
            session=args.files[0],
            journal=args.journal,
            config=None if args.config is None else load(args.config),
            strategy=args.strategy,
            model=args.model,
            json=args.json,
        )
    )


def backtest(args: Namespace) -> int:
    """Run a strategy over ticks, or check it there; return the exit code."""
    check_there(args.path, "folder of ticks")
    check_there(args.model, "model bundle")
    check_strategy(args.strategy)
    checks = args.parity or args.prove
    if checks and (args.html is not None or args.no_reruns or args.in_training):
        wrong = "--html, --no-reruns and --in-training"
        raise UsageError(f"--parity and --prove come to no figures: leave {wrong} out")
    if not args.prove and (args.cuts is not None or args.seed is not None):
        raise UsageError("--cuts and --seed are of a proof; say --prove too")
    use_kernels()
    from daemon.options import BacktestOptions

    options = BacktestOptions(
        path=args.path,
        config=None if args.config is None else load(args.config),
        strategy=args.strategy,
        model=args.model,
        point_s=args.point,
        html=args.html,
        reruns=not args.no_reruns,
        in_training=args.in_training,
        check="parity" if args.parity else "prove" if args.prove else "",
        cuts=args.cuts or 20,
        seed=1 if args.seed is None else args.seed,
        json=args.json,
    )
    if checks:
        from daemon.research.check_verb import run as check

        return check(options)
    from daemon.research.backtest_verb import run

    return run(options)


def sweep(args: Namespace) -> int:
    """Run many backtests of a strategy over ticks; return the exit code."""
    check_there(args.path, "folder of ticks")
    check_there(args.model, "model bundle")
    check_strategy(args.strategy)
    use_kernels()
    from daemon.options import SweepOptions
    from daemon.research.sweep_verb import run

    return run(
        SweepOptions(
            path=args.path,
            config=None if args.config is None else load(args.config),
            strategy=args.strategy,
            model=args.model,
            point_s=args.point,
            in_training=args.in_training,
            params=tuple(args.param),
            sets=tuple(args.set),
            search=args.search,
            trials=args.trials,
            seed=args.seed,
            threads=args.threads,
            dask=args.dask,
            cluster=args.cluster,
            by=args.by,
            best=args.best,
            heat=args.heat,
            walk_forward=args.walk_forward,
            out=args.out,
            json=args.json,
        )
    )


def convert(args: Namespace) -> int:
    """Turn market data into ticks; return the exit code."""
    for path in args.files:
        check_there(path, "file")
    use_kernels()
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


def fetch(args: Namespace) -> int:
    """Bring the past of instruments from an exchange to Parquet; return the exit code."""
    if args.interval is not None and args.what != "klines":
        raise UsageError(f"--interval is of klines; leave it out for {args.what}")
    if args.until is not None and args.until <= args.since:
        raise UsageError("--until is not after --from: no day is between them")
    use_kernels()
    from daemon.fetch.verb import run
    from daemon.options import FetchOptions

    return run(
        FetchOptions(
            symbols=tuple(args.symbols),
            out=args.out,
            first=args.since,
            end=args.until,
            exchange=args.exchange,
            market=args.market,
            what=args.what,
            interval=args.interval or "1m",
            source=args.source,
            url=args.url,
            at_once=args.at_once,
            weight=args.weight,
            ttl_s=args.ttl,
            json=args.json,
        )
    )


def bars(args: Namespace) -> int:
    """Make bars of trades; return the exit code."""
    check_there(args.file, "file")
    use_kernels()
    from daemon.options import BarsOptions
    from daemon.tape.bars import run

    return run(
        BarsOptions(
            file=args.file,
            symbol=args.symbol,
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


def train(args: Namespace) -> int:
    """Train a model; return the exit code."""
    if args.synthetic == (args.path is not None):
        raise UsageError("say what to learn from: a folder of ticks, or --synthetic")
    of_ticks = {name: getattr(args, name) for name in ("every", "trees", "folds")}
    if args.synthetic and any(value is not None for value in of_ticks.values()):
        raise UsageError("--every, --trees and --folds are of ticks; leave them out with --synthetic")
    if args.minutes is not None and not args.synthetic:
        raise UsageError("--minutes is of the synthetic market; ticks are learned from whole")
    use_kernels()
    from daemon.faces.show import train
    from daemon.options import TrainOptions

    given = {
        name: value for name, value in {**of_ticks, "minutes": args.minutes}.items() if value is not None
    }
    options = TrainOptions(
        path=args.path, out=args.out, seed=args.seed, horizon_ms=args.horizon_ms, json=args.json, **given
    )
    train(options)
    return EXIT_DONE
