"""What each sync policy of the journal costs an order, beside a bare fdatasync of as many bytes, in turns.

    python -m tests.bench.syncs [--rounds N] [--folder FOLDER] [--json]

A round appends one order's record under each policy and syncs a bare file once, in an order of its own and
with a pause of a millisecond before each, so that all are equally cold. The worker of "group" syncs every
100 ms meanwhile, as it does in the daemon.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from daemon.disk import RealDisk, ThreadWorker
from daemon.orders.journal import Journal, Sync
from daemon.orders.records import PLACE, Checkpoint, Run, frame
from daemon.orders.valuation import Baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

POLICIES: Final[tuple[Sync, ...]] = ("os", "group", "intent")
BARE: Final = "bare fdatasync"
#: of an order's record with its feature row
_BODY_BYTES: Final = 340
_SEED: Final = 1
_PAUSE_S: Final = 0.001


class Cost(msgspec.Struct, frozen=True):
    """What one record took, in us."""

    what: str
    count: int
    p50_us: float
    p99_us: float
    to_bare: float  # its p50 to the bare fdatasync's


async def measure(rounds: int, folder: Path) -> list[Cost]:
    """Return the bare file's cost and each policy's, all taken in turns."""
    disk, worker = RealDisk(), ThreadWorker()
    journals = {}
    for policy in POLICIES:
        journals[policy] = journal = Journal(disk, worker, folder / policy, sync=policy)
        journal.begin(_run(), _nothing())
        await journal.sync_now()
    bare = _Bare(folder / "bare")
    appends: dict[str, Callable[[bytes], None]] = {BARE: bare.append}
    appends |= {policy: journal.append for policy, journal in journals.items()}
    spans: dict[str, list[int]] = {name: [] for name in appends}
    grouped = asyncio.create_task(journals["group"].run())
    draws = random.Random(_SEED)
    for _ in range(rounds):
        body = bytes([PLACE]) + draws.randbytes(_BODY_BYTES - 1)
        for name in draws.sample(list(appends), len(appends)):
            await asyncio.sleep(_PAUSE_S)
            begun_ns = time.perf_counter_ns()
            appends[name](body)
            spans[name].append(time.perf_counter_ns() - begun_ns)
    for journal in journals.values():
        await journal.close()
    await grouped
    bare.close()
    worker.close()
    return costs(spans)


def costs(spans: dict[str, list[int]]) -> list[Cost]:
    """Return the costs of what took these ns; those of the bare file come first."""
    bare_us = float(np.median(spans[BARE])) / 1e3
    return [
        Cost(
            name,
            len(taken),
            float(np.median(taken)) / 1e3,
            float(np.percentile(taken, 99)) / 1e3,
            float(np.median(taken)) / 1e3 / bare_us,
        )
        for name, taken in spans.items()
    ]


class _Bare:
    """A file with room ahead, written and synced by two plain calls."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._fd, 0, 64 << 20)
        self._at = 0

    def append(self, body: bytes) -> None:
        """Write as many bytes as a journal would, and sync."""
        self._at += os.pwrite(self._fd, frame(body), self._at)
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def _run() -> Run:
    return Run(now_ns=0, prefix="bench", run=1, program="", strategies=[], instruments=[], config="")


def _nothing() -> Checkpoint:
    return Checkpoint(
        now_ns=0,
        latch=None,
        orders=[],
        owed=[],
        holdings=[],
        total={},
        fees={},
        trades=[],
        baseline=Baseline(),
        last_trade_ns=0,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what each sync policy costs an order.")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured (here)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=options.folder or Path.cwd()) as folder:
        found = asyncio.run(measure(options.rounds, Path(folder)))
    if options.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    for one in found:
        sys.stdout.write(
            f"{one.what:15} p50 {one.p50_us:9.2f} us  p99 {one.p99_us:9.2f} us  {one.to_bare:6.3f} of bare\n"
        )


if __name__ == "__main__":
    main()
