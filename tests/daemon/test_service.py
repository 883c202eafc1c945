from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from daemon.notices import VARIABLE
from daemon.service import attended, state_of, watchdog_ns


@pytest.mark.parametrize(
    ("environ", "ns"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "5000000"}, 5_000_000_000),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}, 5_000_000_000),
        ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_the_watchdog_is_that_of_this_process(environ, ns):
    assert watchdog_ns(environ) == ns


def test_a_daemon_without_a_core_is_starting():
    app = SimpleNamespace()
    assert state_of(app) == "STARTING"
    app.core = SimpleNamespace(engine=SimpleNamespace(state="READY"))
    assert state_of(app) == "READY"


def test_whom_no_manager_started_is_left_alone(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with attended(None, None):
        pass


def test_a_process_that_the_watchdog_ends_says_where_it_was_stuck():
    text = """
import os, signal, time, asyncio
from types import SimpleNamespace
from daemon.clock import LoopScheduler, SystemClock
from daemon.config import from_tree
from daemon.logs import Logs
from daemon.service import attended
def stuck_here():
    os.kill(os.getpid(), signal.SIGABRT)
    time.sleep(60)
async def main():
    clock = SystemClock()
    logs = Logs(clock, print)
    tree = {"name": "a", "mode": "paper", "feed": {"symbols": ["BTC/USDT"]}}
    config = from_tree({**tree, "strategy": [{"name": "ema_cross"}]}, {}, "t")
    seams = SimpleNamespace(clock=clock, scheduler=LoopScheduler(clock))
    app = SimpleNamespace(config=config, seams=seams, logs=logs, log=logs.get("t"), status=None)
    with attended(app, None):
        stuck_here()
asyncio.run(main())
"""
    environ = {**os.environ, VARIABLE: "@nobody-listens-here"}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -6
    assert "in stuck_here" in done.stderr
