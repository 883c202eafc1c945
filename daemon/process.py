"""The daemon as a process: the real clock, network, disk and chance, and the signals that end it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import uvloop

from daemon.app import App
from daemon.clock import LoopScheduler, SystemClock
from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import EXIT_DONE
from daemon.faces.show import print_status
from daemon.lifetime import catch_signals, watch_parent
from daemon.logs import open_logs
from daemon.net import make_net
from daemon.seams import Seams

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.options import RunOptions


def run(config: Config, options: RunOptions) -> int:
    """Run a daemon until a signal or the time asked for; print its summary. Raises TickdError."""
    app = uvloop.run(_serve(config, options))
    if app.last is not None:
        print_status(app.last, as_json=options.json)
    if app.failure is not None:
        raise app.failure
    return EXIT_DONE


async def _serve(config: Config, options: RunOptions) -> App:
    clock = SystemClock()
    disk = RealDisk()
    worker = ThreadWorker()
    # test keys and loopback addresses stay on loopback, whatever a mistyped URL says
    hosts = ("127.0.0.1", "localhost") if config.mode == "demo" else None
    net, venue_net = make_net(config.feed, hosts), make_net(config.venue, hosts)
    seams = Seams(clock, LoopScheduler(clock), net, disk, worker, random.Random())  # noqa: S311 - jitter
    logs = open_logs(config.log, seams)
    app = App(config, seams, logs, venue_net)
    catch_signals(app.ask_stop)
    if options.hold:
        app.released.clear()
    if options.with_parent:
        await watch_parent(app.ask_stop, app.released.set)
    try:
        await app.live(options.seconds)
    finally:
        await app.abandon()
        await net.close()
        await venue_net.close()
        logs.stop()
        worker.close()
    return app
