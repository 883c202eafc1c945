"""How much of the order side and of the venues their own tests walk: branches, not lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

#: of all ways that code can go on, the share that must be walked
_LEAST = 0.95


@pytest.mark.heavy(seconds=200)
@pytest.mark.parametrize("package", ["orders", "venues"])
def test_branches_are_walked_by_the_package_s_own_tests(root, tmp_path, record_property, package):
    tests = root / "tests" / "daemon" / package
    environ = {**os.environ, "COVERAGE_FILE": str(tmp_path / "data"), "PYTHONPATH": str(root)}
    coverage = [sys.executable, "-m", "coverage"]
    report = tmp_path / "report.json"
    walk = [
        "run",
        "--branch",
        f"--source={root / 'daemon' / package}",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:xdist",
    ]
    for words in ([*walk, "-m", "not heavy", str(tests)], ["json", "-q", "-o", str(report)]):
        done = subprocess.run(
            [*coverage, *words], cwd=root, env=environ, capture_output=True, text=True, check=False
        )
        # under the tracer, and beside it, a wait may be too short: whether a test holds is told where it runs
        # without; here it only must have run
        assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
        for line in done.stdout.splitlines():
            if line.startswith(("FAILED ", "ERROR ")):
                record_property("figure", f"daemon/{package}, while traced: {line}")
    files = {name: one["summary"] for name, one in json.loads(report.read_text())["files"].items()}
    walked = sum(one["covered_branches"] for one in files.values())
    ways = sum(one["num_branches"] for one in files.values())
    record_property("figure", f"daemon/{package}: {walked} of {ways} branches walked ({walked / ways:.1%})")
    worst = sorted(files, key=lambda name: files[name]["missing_branches"])[-5:]
    missing = ", ".join(f"{name} lacks {files[name]['missing_branches']}" for name in reversed(worst))
    assert walked >= _LEAST * ways, missing
