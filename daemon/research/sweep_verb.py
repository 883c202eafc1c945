"""`tickd sweep`: many backtests of one strategy over the same ticks, ranked."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Console

from daemon.clock import SystemClock
from daemon.disk import RealDisk
from daemon.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, TickdError, UsageError
from daemon.faces.heat_map import Heat
from daemon.faces.sweep_table import SweepResult, show
from daemon.faces.terminal import counting
from daemon.lifetime import Interrupts, interrupted_by_any
from daemon.research.cluster import Cluster
from daemon.research.cluster_task import Spec, try_there
from daemon.research.ranges import check_names, parse_axis
from daemon.research.search import make_search
from daemon.research.sweep import Deflation, Judge, Sweep, deflate, line_of
from daemon.research.sweep_log import Head, SweepLog
from daemon.research.training_window import refuse
from daemon.research.trial import Bench
from daemon.research.walk import WalkWindow, cut, stitch
from daemon.tape.replay import Given

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.options import SweepOptions
    from daemon.research.ranges import Axis
    from daemon.research.sweep import Elsewhere
    from daemon.research.sweep_log import TrialLine
    from daemon.research.trial import Part, Tried

#: of the configuration: what a trial's figures may depend on
_BASE: Final = ("paper", "risk", "reconcile", "strategy")


def run(options: SweepOptions) -> int:
    """Run it, and print what came of it; raises TickdError.

    Returns EXIT_FAILED where a trial failed, and EXIT_INTERRUPTED where it was ended before its end: what
    there is by then is printed either way.
    """
    with interrupted_by_any():
        result = sweep(options)
    show(result, best=options.best, as_json=options.json)
    if result.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if result.failed else EXIT_DONE


def sweep(options: SweepOptions) -> SweepResult:
    """Run all trials; raises UsageError, ConfigError, FileFormatError before the first."""
    axes = [parse_axis(one, "--param", numbers=True) for one in options.params]
    axes += [parse_axis(one, "--set", numbers=False) for one in options.sets]
    check_names(axes)
    judge = Judge(options.by)
    _check(options, axes)
    disk = RealDisk()
    given = Given(options.config, options.strategy, options.model)
    bench = Bench(options.path, given, options.point_s, disk)
    refuse(bench.marked, allowed=options.in_training)
    bench.check(axes)
    trials = make_search(options.search, axes, options.trials, options.seed).trials
    bench.read()
    if not (options.dask or options.cluster):
        return _swept(options, axes, judge, bench, trials, options.threads or os.cpu_count() or 1, None)
    with Cluster(options.dask, options.cluster) as cluster:
        spec = Spec(options.path.absolute(), given, options.point_s, bench.record.digest, *bench.digests())
        threads = options.threads or cluster.threads
        elsewhere = partial(try_there, spec), cluster.crew
        return _swept(options, axes, judge, bench, trials, threads, elsewhere)


def _swept(
    options: SweepOptions,
    axes: Sequence[Axis],
    judge: Judge,
    bench: Bench,
    trials: int,
    threads: int,
    elsewhere: Elsewhere | None,
) -> SweepResult:
    """Run the trials by threads, or elsewhere; return what came of them."""
    clock = SystemClock()
    log = SweepLog(RealDisk(), options.out, _head(options, axes, bench, threads))
    with closing(log), Interrupts() as interrupts:
        begun_ns = clock.mono_ns()
        trying = Sweep(options, axes, bench, judge, log, threads, elsewhere, interrupts.waiting)
        windows: list[WalkWindow] = []
        outside: list[Tried] = []
        parts = cut(bench.record, options.walk_forward) if options.walk_forward else []
        interrupted = False
        try:
            with counting(Console(stderr=True), "trials", trials * max(options.walk_forward, 1)) as tell:
                if parts:
                    _walk(trying, bench, judge, parts, windows, outside, tell)
                else:
                    trying.window(0, None, tell)
        except KeyboardInterrupt:
            interrupted = True
        seconds = (clock.mono_ns() - begun_ns) / 1e9
    lines = [one for _, one in sorted(trying.lines.items())]
    ranked = [] if parts else judge.ranked(lines)
    result = SweepResult(
        file=str(options.path),
        symbol=bench.instrument.symbol,
        strategy=bench.plan.strategy.name,
        in_training=bench.marked,
        events=bench.record.events,
        bytes_per_event=bench.record.nbytes / bench.record.events,
        search=options.search,
        by=judge.by,
        trials=trials * max(options.walk_forward, 1),
        done=len(lines),
        resumed=len(lines) - trying.fresh,
        failed=sum(bool(one.error) for one in lines),
        unranked=sum(not one.error and judge.figure(one) is None for one in lines),
        errors=_errors(lines),
        interrupted=interrupted,
        best=ranked,
        deflation=Deflation() if parts else deflate(lines, ranked[0] if ranked else None, options.point_s),
        heat=None if options.heat is None else Heat.of(ranked, axes, options.heat, judge.figure),
        windows=windows,
        stitched=stitch(outside, options.point_s) if parts else None,
        threads=threads,
        seconds=seconds,
        trials_per_s=trying.fresh / seconds if seconds else 0.0,
    )
    return _unranked_told(result, lines, judge)


def _walk(
    trying: Sweep,
    bench: Bench,
    judge: Judge,
    parts: Sequence[Part],
    windows: list[WalkWindow],
    outside: list[Tried],
    tell: Callable[[int], object],
) -> None:
    for number, (inside, after) in enumerate(pairwise(parts)):
        ranked = judge.ranked(trying.window(number, inside, tell))
        begin_ns = inside.from_ns if number else bench.record.first_ns
        one = WalkWindow(from_ns=begin_ns, split_ns=after.from_ns, until_ns=after.until_ns)
        windows.append(one)
        if not ranked:
            one.error = f"no trial in sample has a {judge.by}"
            continue
        one.values, one.in_sample = ranked[0].values, judge.figure(ranked[0])
        try:
            with trying.waiting():
                tried = bench.run(one.values, after)
        except TickdError as error:
            one.error = str(error)
            continue
        outside.append(tried)
        line = line_of(tried, one.values, number, 0)
        one.figures, one.unsaid, one.out_of_sample = line.figures, line.unsaid, judge.figure(line)


def _check(options: SweepOptions, axes: Sequence[Axis]) -> None:
    names = [one.name for one in axes]
    if options.heat is None:
        return
    if options.walk_forward:
        raise UsageError("--heat is a map of the whole record; leave --walk-forward out")
    if options.heat[0] == options.heat[1]:
        raise UsageError("--heat takes two names; a map of one is the table")
    for name in options.heat:
        if name not in names:
            raise UsageError(f"--heat {name} is not varied; there are {', '.join(names)}")


def _head(options: SweepOptions, axes: Sequence[Axis], bench: Bench, threads: int) -> Head:
    config = bench.config
    base: dict[str, Any] = {name: msgspec.to_builtins(getattr(config, name)) for name in _BASE}
    base["venue"] = {"leverage": config.venue.leverage, "margin": config.venue.margin}
    base["feed"] = {"streams": list(config.feed.streams), "stale_ms": config.feed.stale_ms}
    search: dict[str, Any] = {"kind": options.search}
    if options.search != "grid":
        search |= {"trials": options.trials, "seed": options.seed}
    if options.search == "tpe":  # its path depends on them too
        search |= {"by": options.by, "threads": threads}
    strategy, model = bench.digests()
    head = Head(
        data=bench.record.digest,
        strategy=strategy,
        model=model,
        base=base,
        ranges={one.name: list(one.values) for one in axes},
        search=search,
        point_s=options.point_s,
        walk_forward=options.walk_forward,
    )
    # as it is read again, so that one compares with the other
    return msgspec.json.decode(msgspec.json.encode(head), type=Head)


def _errors(lines: Sequence[TrialLine]) -> dict[str, int]:
    """Return why trials failed, and how many did of each."""
    found: dict[str, int] = {}
    for one in lines:
        if one.error:
            found[one.error] = found.get(one.error, 0) + 1
    return found


def _unranked_told(result: SweepResult, lines: Sequence[TrialLine], judge: Judge) -> SweepResult:
    reasons = {one.unsaid[judge.by]: None for one in lines if judge.by in one.unsaid}
    result.unranked_because = list(reasons)[:3]
    return result
