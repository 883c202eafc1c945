"""Fuzz every door by atheris: coverage of daemon/ tells which inputs to go on from.

python -m tests.fuzz --minutes 10            as `make fuzz MINUTES=10` does: all targets share the time
python -m tests.fuzz --only journal --minutes 1
python -m tests.fuzz --replay journal FILE   one input again, to see where it raises

What it grows from is kept under var/fuzz/NAME, the inputs that raised beside it as NAME-crash-HASH.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path("var/fuzz")
_DONE: Final = re.compile(r"Done (\d+) runs in (\d+) second")
_COVERED: Final = re.compile(r"cov: (\d+) ft: (\d+)")


def _names() -> list[str]:
    from tests.fuzz.targets import TARGETS

    return list(TARGETS)


def _open(name: str) -> tuple[Any, list[bytes]]:
    """Import and open a target, its code instrumented where atheris is at work."""
    from daemon.kernel_cache import activate

    activate()
    logging.disable()  # what a decoder or server says of a bad input is not looked at here
    from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    return target.open(), target.seeds()


# --- one target, in a process of its own --------------------------------------------------------------------
def fuzz_one(name: str, seconds: int, seed: int) -> None:
    """Fuzz one target, and end the process."""
    import atheris

    # numba reads the byte code of kernels, and would find the instruments in it
    with atheris.instrument_imports(include=["daemon"], exclude=["daemon.bench"]):
        run, seeds = _open(name)
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for one in seeds:
        (corpus / hashlib.sha1(one, usedforsecurity=False).hexdigest()).write_bytes(one)
    size = max(4096, 2 * max(map(len, seeds)))
    words = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={size}",
        f"-artifact_prefix={FOLDER / name}-",
        "-timeout=20",
        "-rss_limit_mb=4096",
        str(corpus),
    ]
    atheris.Setup(words, run)
    atheris.Fuzz()


# --- all of them --------------------------------------------------------------------------------------------
def _measure(name: str, seconds: int, seed: int) -> tuple[str, bool]:
    """Fuzz a target in another process; return a line about it, and whether nothing raised."""
    command = [sys.executable, "-m", "tests.fuzz", "--one", name, str(seconds), "--seed", str(seed)]
    environ = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    runs, covered = _DONE.findall(said), _COVERED.findall(said)
    if done.returncode == 0 and runs:
        branches = covered[-1][0] if covered else "?"
        return f"{name}: {int(runs[-1][0]):,} inputs, {branches} branches, nothing raised", True
    return f"{name}: RAISED (exit code {done.returncode})\n{said[-4000:]}", False


def run_all(names: list[str], minutes: float, seed: int, workers: int) -> int:
    """Fuzz targets for so long all together; return 1 when one raised."""
    seconds = max(1, round(minutes * 60 * workers / len(names)))
    clean = True
    with ThreadPoolExecutor(workers) as pool:
        for text, fine in pool.map(lambda name: _measure(name, seconds, seed), names):
            print(text, flush=True)
            clean &= fine
    return 0 if clean else 1


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--one", nargs=2, metavar=("NAME", "SECONDS"), help=argparse.SUPPRESS)
    parser.add_argument("--replay", nargs=2, metavar=("NAME", "FILE"))
    options = parser.parse_args()
    if options.one:
        fuzz_one(options.one[0], int(options.one[1]), options.seed)
        return 0
    if options.replay:
        run, _ = _open(options.replay[0])
        run(Path(options.replay[1]).read_bytes())
        return 0
    return run_all(options.only or _names(), options.minutes, options.seed, options.workers)


if __name__ == "__main__":
    raise SystemExit(main())
