"""Counting what a daemon did in the bench: by its own word, by its journal, and by the exchange's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daemon.bench.results import Proof
from daemon.events import ExecutionReport
from daemon.orders.reader import read_all
from daemon.orders.records import Placed
from kernels.dtypes import BUY, X_SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.bench.exchange import Segment
    from daemon.seams import Disk
    from daemon.status import Status


def prove(status: Status, segments: Sequence[Segment], disk: Disk, journal: Path) -> Proof:
    """Return all counts; `status` is the daemon's last word, `segments` are all that it was in."""
    places, buys = 0, 0
    trades: set[tuple[int, int]] = set()
    predictions: set[float] = set()
    for _, _, record in read_all(disk, journal):
        if isinstance(record, Placed):
            places += 1
            buys += record.action[X_SIDE] == BUY
            predictions.add(float(np.frombuffer(record.row)[-1]))
        elif isinstance(record, ExecutionReport) and record.kind == "TRADE":
            trades.add((record.instrument, record.trade_id))
    by_stage = {one.stage: one.count for one in status.latency}
    return Proof(
        marked=sum(one.marked for one in segments),
        approvals=by_stage["risk"],
        journal_places=places,
        orders=sum(one.orders for one in segments),
        journal_reports=len(trades),
        filled=status.orders.by_state.get("FILLED", 0),
        ticks_sent=sum(one.sent for one in segments),
        ticks_taken=status.events,
        predictions=len(predictions),
        buys=buys,
        faults=tuple(_faults(status, segments)),
    )


def _faults(status: Status, segments: Sequence[Segment]) -> list[str]:
    """Return what must not have happened."""
    found = [one.fault for one in segments if one.fault]
    strange = sum(one.strange for one in segments)
    if strange:
        found.append(f"{strange} requests were no order of a marked tick")
    counted = {
        "refusals": status.orders.refusals,
        "rejections": status.orders.rejected,
        "frames refused": status.feed_errors,
        "strategy faults": status.strategy_faults,
    }
    found += [f"{name}: {what}" for name, what in counted.items() if what]
    if status.venue_reconnects or status.feed_reconnects:
        found.append("the daemon had to connect again")
    return found
