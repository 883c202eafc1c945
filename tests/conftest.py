"""What every test stands on: the kernel cache of these sources, reproducible property tests, shared data."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from daemon import kernel_cache
from tests.dealing import deal

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent

# a shell lets what it runs in the background ignore the one, nohup the other, and processes that tests start
# would inherit that
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

# before any test module imports numba; xdist's workers and child processes inherit it
kernel_cache.activate()


if "PYTEST_XDIST_WORKER" in os.environ:  # without a cache all would begin with the same minutes of compiling
    from daemon import compile_once

    compile_once.install()

# derandomized, so that a failure is the same on every machine; timings are no business of a property
_COMMON = {"deadline": None, "derandomize": True, "database": None, "print_blob": True}
settings.register_profile("quick", max_examples=60, suppress_health_check=[HealthCheck.too_slow], **_COMMON)
settings.register_profile(
    "heavy", max_examples=1_000, suppress_health_check=[HealthCheck.too_slow], **_COMMON
)
settings.load_profile("quick")


@pytest.hookimpl(trylast=True)  # behind what deselects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest begin first, on each of xdist's workers."""

    def seconds(item: pytest.Item) -> float:
        return max((mark.kwargs.get("seconds", 0) for mark in item.iter_markers("heavy")), default=0)

    items[:] = deal(items, seconds, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Find a folder of the real data beside the repository; where there is none, what needs it is skipped.

    With CI in the environment it fails instead: there a skipped proof would be taken for one that held.
    """

    def find(name: str) -> Path:
        folder = ROOT.parent / "shared" / "data" / name
        if not folder.is_dir():
            missing = f"no real data beside this checkout (../shared/data/{name})"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        return folder

    return find


@pytest.fixture(scope="session")
def captures(real_data: Callable[[str], Path]) -> Path:
    """Real captures, as they came."""
    return real_data("capture")


@pytest.fixture(scope="session")
def samples(real_data: Callable[[str], Path]) -> Path:
    """Messages that other clients' tests hold, by exchange."""
    return real_data("fixtures")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what proofs have measured: `record_property("figure", text)`."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    figures = [text for report in reports for name, text in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures")
        for text in sorted(figures):
            terminalreporter.write_line(text)
