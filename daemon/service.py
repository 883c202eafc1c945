"""The daemon under systemd: what that is told, and a reload; started by anybody else it has none of this."""

from __future__ import annotations

import faulthandler
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from daemon.faces.systemd import Served, SystemdFace
from daemon.lifetime import catch_hangup
from daemon.notices import open_notices
from daemon.reload import Reload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from daemon.app import App
    from daemon.config import Config
    from daemon.status import DaemonState

#: of a service with WatchdogSec=: after how many microseconds without a sign of life it is ended, and which
#: process is to give it
WATCHDOG: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"
#: beyond the longest wait that there is a reason for, a feed that nobody has looked after has nobody who does
_IDLE_NS: Final = 60_000_000_000
_STDERR: Final = 2


@contextmanager
def attended(app: App, load: Callable[[], Config]) -> Iterator[None]:
    """Tell systemd how a daemon is, as long as this lasts; raises ConfigError for an address that is none.

    load: reads the configuration anew, at each SIGHUP.
    """
    notices = open_notices(os.environ)
    if notices is None:
        yield
        return
    # the watchdog ends a stuck process by SIGABRT: where it was stuck is then the last that it says
    faulthandler.enable(_STDERR)
    config, seams = app.config, app.seams
    face = SystemdFace(
        Served(
            lambda: state_of(app),
            app.status,
            lambda: app.connections.acted_ns,
            Reload(config, load, {"log.level": app.logs.set_level}),
        ),
        notices,
        seams.clock,
        seams.scheduler,
        app.log,
        watchdog_ns=watchdog_ns(os.environ),
        idle_ns_max=_IDLE_NS + int(config.feed.backoff_s_max * 1e9) + config.feed.stale_ms * 1_000_000,
    )
    catch_hangup(face.reload)
    face.start()
    try:
        yield
    finally:
        face.stop()
        notices.close()


def state_of(app: App) -> DaemonState:
    """Return a daemon's state, before it has a core too."""
    return app.core.engine.state if hasattr(app, "core") else "STARTING"


def watchdog_ns(environ: Mapping[str, str]) -> int:
    """Return after how long without a sign of life this process is ended; 0: never."""
    text, pid = environ.get(WATCHDOG, ""), environ.get(WATCHDOG_PID, "")
    if not text.isdecimal() or pid not in ("", str(os.getpid())):
        return 0
    return int(text) * 1000
