"""A bench for each test, and one exchange for all of them.

What a child wrote to standard error is part of every failing test's report. At the end of a test no child may
have shown a traceback, and no key may stand in any file, log or output.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from tests.end_to_end.harness import CROSS, MAKER, MODEL, Bench, checked_bench


@pytest.fixture
def bench(tmp_path):
    with checked_bench(tmp_path) as one:
        yield one


@pytest.fixture(scope="package")
def exchange(tmp_path_factory):
    """One synthetic spot exchange for all tests of a worker, which run one after the other."""
    one = Bench(tmp_path_factory.mktemp("exchange"))
    yield one.exchange("--symbol", "BTC/USDT")
    one.close()


@pytest.fixture(scope="package", autouse=True)
def kernels(exchange, tmp_path_factory):
    """Compile everything once for these sources, by one worker while the others wait.

    Each test's deadlines then measure what it is about.
    """
    cache = Path(os.environ["NUMBA_CACHE_DIR"])
    done = cache / "end_to_end"
    with (cache / "end_to_end.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return
        one = Bench(tmp_path_factory.mktemp("kernels"))
        config = one.config(exchange.urls, CROSS, MAKER, MODEL)
        for verb in ("run --live", "paper"):
            one.run(
                verb.split()[0], config, *verb.split()[1:], "--seconds", "0.1", env=exchange.keys, seconds=900
            )
        done.touch()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    bench = item.funcargs.get("bench") if hasattr(item, "funcargs") else None
    if report.failed and bench is not None:
        for child in bench.children:
            report.sections.append(
                (f"{child.name}: exit code {child.popen.poll()}, standard error", child.err)
            )
        for log in sorted(bench.folder.glob("*.log")):
            report.sections.append((log.name, log.read_text(errors="replace")[-4000:]))
