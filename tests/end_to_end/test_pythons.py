"""The digests of a replay under another Python, in an environment of its own made from the same lock file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from daemon.tape.replay import ReplayResult
from tests.end_to_end.harness import ROOT

CAPTURE = "binance-spot-btcusdt-20240808.gz"


def others() -> list[str]:
    """Return Pythons newer than this one that start here: on the path, or kept by pyenv."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = []
    for minor in range(sys.version_info.minor + 1, 14):
        named = [shutil.which(f"python3.{minor}"), *sorted(kept.glob(f"3.{minor}.*/bin/python"))]
        found += [str(one) for one in named if one and _starts(one)][-1:]
    return found


def _starts(python: str | Path) -> bool:
    return subprocess.run([python, "-c", ""], check=False).returncode == 0


def replayed(python: str, path: Path, **environ: str) -> ReplayResult:
    done = subprocess.run(
        [python, "-m", "daemon.cli", "replay", path, "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=ReplayResult)


@pytest.mark.heavy(seconds=220)
def test_a_newer_python_replays_to_the_same_digests(tmp_path: Path, captures: Path) -> None:
    newer = others()
    if not newer:
        pytest.skip(f"no Python newer than {sys.version_info.major}.{sys.version_info.minor} is here")
    venv = tmp_path / "venv"
    subprocess.run([newer[-1], "-m", "venv", venv], check=True)
    python = str(venv / "bin" / "python")
    lock = ROOT / "requirements" / "base.txt"
    install = ["install", "-qq", "--require-hashes", "--only-binary", ":all:", "--requirement", lock]
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", *install], check=True)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NUMBA_CACHE_DIR": ""}
    theirs = replayed(python, captures / CAPTURE, **cache)
    ours = replayed(sys.executable, captures / CAPTURE)
    assert ours.decisions > 40_000
    assert (theirs.decision_digest, theirs.order_digest) == (ours.decision_digest, ours.order_digest)
    assert theirs.orders == ours.orders
