"""What every test stands on: the kernel cache of these sources, reproducible property tests, shared data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from daemon import kernel_cache

ROOT = Path(__file__).resolve().parent.parent

# before any test module imports numba; xdist's workers and child processes inherit it
kernel_cache.activate()

# all heavy proofs together are about a quarter of an hour of one core's time;
# derandomized, so that a failure is the same on every machine; timings are no business of a property
_COMMON = {"deadline": None, "derandomize": True, "database": None, "print_blob": True}
settings.register_profile("quick", max_examples=60, suppress_health_check=[HealthCheck.too_slow], **_COMMON)
settings.register_profile(
    "heavy", max_examples=10_000, suppress_health_check=[HealthCheck.too_slow], **_COMMON
)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def captures() -> Path:
    """Real captures, beside the repository; where there are none, tests that need them are skipped.

    With CI in the environment they fail instead: there a skipped proof would be taken for one that held.
    """
    folder = ROOT.parent / "shared" / "data" / "capture"
    if not folder.is_dir():
        missing = "no captures beside this checkout (../shared/data/capture)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return folder
