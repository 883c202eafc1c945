"""How long a start takes whose journal holds many orders, beside one that holds none: from process to READY.

    .venv/bin/python -m tests.bench.recovery [--orders 10000] [--starts 3]

A daemon trades at the simulated exchange for a moment and ends; orders that were placed, confirmed and
cancelled are appended to a copy of its journal; then it is started on copies of both, in turns. Its strategy
goes on from the checkpoint, so that it is READY once it has recovered.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from daemon.disk import RealDisk
from daemon.events import ExecutionReport
from daemon.orders import records
from daemon.orders.journal import SUFFIX
from daemon.orders.reader import read_all
from kernels import dtypes as d
from kernels.features import FEATURES
from tests.end_to_end.harness import CROSS, Bench, Exchange

_FIRST_SEQ: Final = 1_000_000
_PATIENT: Final = "[journal]\ncheckpoint_age_s_max = 3600.0\n"


class Start(msgspec.Struct, frozen=True):
    """One start on a journal to which so many orders were added."""

    orders: int
    began: str  # what its strategy went on from
    whole_s: float  # from the process to READY
    recovery_s: float  # of it since recovery began
    cpu_s: float  # of the process until then, whoever else uses the cores


def fill(journal: Path, count: int) -> None:
    """Append `count` orders to a journal that was closed."""
    path = max(journal.glob(f"*{SUFFIX}"))
    runs = [record for _, _, record in read_all(RealDisk(), journal) if isinstance(record, records.Run)]
    run, row = runs[-1], bytes(8 * (len(FEATURES) + 1))
    now_ns = time.time_ns()
    with path.open("ab") as file:
        for seq in range(_FIRST_SEQ, _FIRST_SEQ + count):
            # verb, row, slot, kind, level, side, price, quantity, reduces, refusal
            action = (d.PLACE, 0, seq % 8, d.REST, seq % 8, d.BUY, 5_000_000, 100, 0, 0)
            file.write(records.frame(records.pack_action(records.PLACE, now_ns, seq, 0, 0, *action) + row))
            for kind in ("NEW", "CANCELED"):
                report = ExecutionReport(
                    kind=kind,
                    client_order_id=f"{run.prefix}-{run.run}-{seq}",
                    instrument=0,
                    wire_ns=now_ns,
                    venue_order_id=str(seq),
                    side=d.BUY,
                    price_ticks=5_000_000,
                    qty_lots=100,
                )
                file.write(records.frame(records.pack(report)))


def measure(folder: Path, counts: tuple[int, ...], starts: int) -> list[Start]:
    """Return so many starts with each count of orders, taken in turns."""
    bench = Bench(folder)
    try:
        exchange = bench.exchange("--symbol", "BTC/USDT")
        first = bench.live(exchange, CROSS, more=_PATIENT)
        first.ready()
        first.child.end(signal.SIGTERM)
        journals = {}
        for count in counts:
            journals[count] = shutil.copytree(first.journal, aside(folder, count))
            fill(journals[count], count)
        return [_start(bench, exchange, *one) for _ in range(starts) for one in journals.items()]
    finally:
        bench.close()


def aside(folder: Path, orders: int) -> Path:
    """Return where the journal lies of which copies are started on."""
    return folder / f"aside-{orders}"


def _start(bench: Bench, exchange: Exchange, orders: int, journal: Path) -> Start:
    target = bench.folder / "var" / "one" / "journal-live"
    shutil.rmtree(target)  # a start begins a segment, which the next would read from
    shutil.copytree(journal, target)
    began = time.monotonic()
    one = bench.live(exchange, CROSS, more=_PATIENT)
    state = one.ready()
    whole_s = time.monotonic() - began
    cpu_s = _cpu_s(one.child.popen.pid)
    one.child.kill()
    return Start(orders, state["strategies"][0]["began"], whole_s, state["uptime_s"], cpu_s)


def _cpu_s(pid: int) -> float:
    """Return what a process has used of the cores so far: its own time and the kernel's for it."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, after_name[11:13])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print a line for each start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--starts", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for one in measure(Path(folder), (0, given.orders), given.starts):
            sys.stdout.write(
                f"{one.orders:,} orders, strategy {one.began}: "
                f"READY after {one.whole_s:.2f} s, of which {one.recovery_s:.2f} s since recovery began, "
                f"{one.cpu_s:.2f} s of a core\n"
            )


if __name__ == "__main__":
    main()
