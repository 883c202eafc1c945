from pathlib import Path

import numpy as np

from daemon.bench.exchange import Segment
from daemon.bench.proof import prove
from daemon.events import ExecutionReport
from daemon.latency import stage_latency
from daemon.memory_disk import MemoryDisk
from daemon.orders import records
from daemon.spans import STAGES, Spans
from daemon.status import InstrumentStatus, OrderCounts, Status
from kernels import dtypes as dt

JOURNAL = Path("journal")


def segment(**more):
    same = dict.fromkeys(("late", "held_back", "strange"), 0)
    return Segment(
        **({"sent": 5, "marked": 2, "orders": 2, "elapsed_ns": 1, "latency_ns": [1, 2], **same} | more)
    )


def status(**more):
    spans = Spans()
    for _ in range(2):
        spans.sent(0, 1, 2, 3, 4)
    told = {
        "name": "bench",
        "mode": "live",
        "version": "0",
        "state": "STOPPED",
        "now_ns": 1,
        "uptime_s": 1.0,
        "instruments": [InstrumentStatus(symbol="B000/USDT", trades=1, quotes=4)],
        "orders": OrderCounts(by_state={"FILLED": 2}, placed=2),
        "latency": [stage_latency(stage, row) for stage, row in zip(STAGES, spans.histograms, strict=True)],
    }
    return Status(**(told | more))


def journal():
    """Two orders, and each one's trade twice, as the exchange tells it."""
    disk = MemoryDisk()
    file = disk.append(JOURNAL / "00000001.journal")
    file.write(records.header(synced=False))
    for number, side in ((1, dt.BUY), (2, dt.SELL)):
        action = [dt.PLACE, 0, 0, dt.TARGET, 0, side, 6_200_001, 10, 0, 0]
        head = records.pack_action(records.PLACE, 5, number, 0, 0, *action)
        file.write(records.frame(head + np.array([1.0, number / 10]).tobytes()))
        for kind in ("NEW", "TRADE", "NEW", "TRADE"):
            report = ExecutionReport(
                kind=kind, client_order_id=f"bench-1-{number}", instrument=0, wire_ns=6, trade_id=number
            )
            file.write(records.frame(records.pack(report)))
    return disk


def test_everything_is_counted_where_it_happened():
    proof = prove(status(), [segment(), segment(sent=0, marked=0, orders=0)], journal(), JOURNAL)
    counts = (proof.marked, proof.approvals, proof.journal_places, proof.orders, proof.journal_reports)
    assert counts == (2, 2, 2, 2, 2)
    assert (proof.filled, proof.ticks_sent, proof.ticks_taken) == (2, 5, 5)
    assert (proof.predictions, proof.buys) == (2, 1)
    assert proof.breaches() == []


def test_what_must_not_happen_is_a_fault():
    bad = status(
        orders=OrderCounts(by_state={"FILLED": 2}, refusals={"collar": 1}, rejected={"-2010": 1}),
        feed_errors={"json": 1},
        strategy_faults={"strategy": "raised"},
        venue_reconnects=1,
    )
    faults = prove(bad, [segment(fault="a connection was closed", strange=1)], journal(), JOURNAL).faults
    assert len(faults) == 7
