"""The daemon as a process: the real clock, network, disk and chance, and the signals that end it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, cast

import uvloop
from rich.console import Console

from daemon.app import App
from daemon.clock import LoopScheduler, SystemClock
from daemon.config import LogConfig
from daemon.direct import Direct
from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import EXIT_DONE, EXIT_FAILED, NotRunningError, TickdError, UsageError
from daemon.faces.client import fetch_status
from daemon.faces.compiling import compiling, told_to
from daemon.faces.direct_report import ask_direct, print_direct, tell_person
from daemon.faces.show import print_status
from daemon.journal_lock import lock_journal
from daemon.lifetime import catch_signals, nothing_to_lose, watch_parent
from daemon.listing import find_instruments
from daemon.logs import open_logs
from daemon.net import make_net
from daemon.rules_cache import RulesCache
from daemon.seams import Seams
from daemon.service import attended
from daemon.venues.hosts import LOOPBACK, venue_hosts
from daemon.venues.make import check_keys, make_live
from daemon.warm import warm_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.config import Config
    from daemon.direct import Report
    from daemon.options import DirectOptions, RunOptions
    from daemon.seams import Net
    from daemon.venues.ccxt_venue import CcxtVenue


def run(config: Config, options: RunOptions, load: Callable[[], Config]) -> int:
    """Run a daemon until a signal or the time asked for; print its summary. Raises TickdError.

    load: reads the configuration anew.
    """
    app = uvloop.run(_serve(config, options, load))
    if app.last is not None:
        print_status(app.last, as_json=options.json)
    if app.failure is not None:
        raise app.failure
    return EXIT_DONE


def flatten_direct(config: Config, options: DirectOptions) -> int:
    """Cancel and close with the keys alone; print what was done and what is left. Raises TickdError.

    Refused while a daemon runs, which does it better.
    """
    if config.venue.kind == "paper":
        raise UsageError("nothing stands at a venue here: local fills end with their daemon")
    _refuse_beside_another(Path(config.http.socket))
    disk = RealDisk()
    unlocked = lock_journal(config, disk)
    try:
        if not options.yes:
            ask_direct(config, everything=options.everything)
        report = uvloop.run(_flatten_direct(config, options, disk))
    finally:
        disk.release()
    if unlocked:
        report.notes.append(unlocked)
    print_direct(report, as_json=options.json)
    return EXIT_FAILED if report.left else EXIT_DONE


def _refuse_beside_another(socket: Path) -> None:
    """Raise UsageError where a daemon is there, even one that has no sensible answer."""
    try:
        fetch_status(socket)
    except NotRunningError:
        return
    except TickdError as error:
        raise UsageError(f"{error}; if it is stuck, end its process first, and do this again") from None
    raise UsageError(f"a daemon answers on {socket}; use tickd flatten --socket {socket}")


async def _flatten_direct(config: Config, options: DirectOptions, disk: RealDisk) -> Report:
    with nothing_to_lose(EXIT_FAILED), compiling(Console(stderr=True), 1) as step:
        check_keys(config, disk, os.environ)
        step("venue")
        await warm_up(paper=False)
    seams, worker, nets = _make_seams(config, disk)
    # somebody looks on: what the daemon logs is said here, and in no file of the daemon's
    logs = open_logs(LogConfig(level=config.log.level), seams)
    direct = None
    try:
        instruments = await find_instruments(config, seams, RulesCache(config, seams, tell_person))
        line = seams._replace(net=nets[1])
        venue = make_live(config, instruments, line, os.environ, as_it_is=True)
        direct = Direct(
            config,
            instruments,
            venue,
            venue.touches,
            seams,
            markets=cast("CcxtVenue", venue).markets if config.venue.kind == "ccxt" else None,
            everything=options.everything,
            reason=options.reason,
            say=tell_person,
        )
        catch_signals(lambda _: direct.stop())
        return await direct.run()
    finally:
        if direct is not None:
            await direct.close()
        for net in nets:
            await net.close()
        logs.stop()
        worker.close()


def _make_seams(config: Config, disk: RealDisk) -> tuple[Seams, ThreadWorker, tuple[Net, Net]]:
    """Return a process's seams, its worker, and its networks: the seams' own and the venue's."""
    clock, worker = SystemClock(), ThreadWorker()
    # a demo stays on loopback, and keys at their environment's hosts, whatever a mistyped URL says
    nets = (
        make_net(config.feed, LOOPBACK if config.mode == "demo" else None),
        make_net(config.venue, venue_hosts(config)),
    )
    chance = random.Random()  # noqa: S311 - jitter
    return Seams(clock, LoopScheduler(clock), nets[0], disk, worker, chance), worker, nets


async def _serve(config: Config, options: RunOptions, load: Callable[[], Config]) -> App:
    disk = RealDisk()
    seams, worker, nets = _make_seams(config, disk)
    logs = open_logs(config.log, seams)
    venue_net = nets[1]
    if crash_at := os.environ.get("TICKD_CRASH_AT"):
        from daemon.crash_points import arm  # noqa: PLC0415 - who trades has no such hook

        seams, venue_net = arm(crash_at, seams, venue_net)
    tape_worker = ThreadWorker()  # a slow disk for the tape must not keep the journal from its own
    app = App(config, seams, logs, venue_net, tape_worker)
    catch_signals(app.ask_stop)
    if options.hold:
        app.released.clear()
    if options.with_parent:
        app.console, app.whose = told_to(beside_others=True), "the daemon's "
        await watch_parent(app.ask_stop, app.released.set)
    try:
        with attended(app, load):
            await app.live(options.seconds)
    finally:
        await app.abandon()
        for net in nets:
            await net.close()
        logs.stop()
        worker.close()
        disk.release()
        tape_worker.close()
    return app
