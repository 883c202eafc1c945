"""How long a start takes whose journal holds many orders: from the process to READY, by hand.

    .venv/bin/python -m tests.bench.recovery [--orders 10000] [--starts 3]

A daemon trades at the simulated exchange for a moment and ends; orders that were placed, confirmed and
cancelled are appended to its journal; then it is started on copies of that. Its strategy goes on from the
checkpoint, so that it is READY once it has recovered.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from daemon.disk import RealDisk
from daemon.events import ExecutionReport
from daemon.orders import records
from daemon.orders.journal import SUFFIX
from daemon.orders.reader import read_all
from kernels import dtypes as d
from kernels.features import FEATURES
from tests.end_to_end.harness import CROSS, Bench

_FIRST_SEQ = 1_000_000
_PATIENT = "[journal]\ncheckpoint_age_s_max = 3600.0\n"


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


def main() -> None:
    """Measure, and print a line for each start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--starts", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            exchange = bench.exchange("--symbol", "BTC/USDT")
            first = bench.live(exchange, CROSS, more=_PATIENT)
            first.ready()
            first.child.end(signal.SIGTERM)
            fill(first.journal, given.orders)
            aside = shutil.copytree(first.journal, Path(folder) / "aside")
            for _ in range(given.starts):
                shutil.rmtree(first.journal)  # a start begins a segment, which the next would read from
                shutil.copytree(aside, first.journal)
                began = time.monotonic()
                one = bench.live(exchange, CROSS, more=_PATIENT)
                state = one.ready()
                whole_s = time.monotonic() - began
                sys.stdout.write(
                    f"{given.orders:,} orders, strategy {state['strategies'][0]['began']}: "
                    f"READY after {whole_s:.2f} s, of which {state['uptime_s']:.2f} s since recovery began\n"
                )
                one.child.kill()
        finally:
            bench.close()


if __name__ == "__main__":
    main()
