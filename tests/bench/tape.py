"""What recording costs: a call, the loop's worst stall beside it, and frames a second that reach the disk."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from daemon.clock import LoopScheduler, SystemClock
from daemon.config import TapeConfig
from daemon.disk import RealDisk, ThreadWorker
from daemon.no_net import NoNet
from daemon.seams import Seams
from daemon.tape.header import TapeHeader
from daemon.tape.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SLICE_NS = 1_000_000


class Cost(NamedTuple):
    """One run at a rate."""

    frames_per_s: float  # on disk while it ran, what still waited at its end left out
    dropped: int
    take_ns: float  # median of a call, over slices
    stall_ms: float  # the longest that the loop was late
    stall_ms_p99: float
    bytes_per_frame: float  # of live segments


async def sustain(
    folder: Path, frames: Sequence[bytes], rate: float, seconds: float, *, record: bool
) -> Cost:
    """Give so many frames a second, in slices of a millisecond, to a recorder or to nobody."""
    clock, worker = SystemClock(), ThreadWorker()
    seams = Seams(clock, LoopScheduler(clock), NoNet(), RealDisk(), worker, Random(1))
    header = TapeHeader(
        name="bench",
        exchange="binance",
        market="spot",
        streams=("trade",),
        instruments=(),
        started_ns=clock.now_ns(),
        version="",
        mode="record",
    )
    recorder = Recorder(seams, folder, header, TapeConfig(segment_mb=16))
    stream, task = recorder.stream("feed/0"), asyncio.create_task(recorder.run())
    take = recorder.take if record else _nothing
    each = int(rate * _SLICE_NS / 1e9)
    lates, costs, at = [], [], 0
    due_ns = begun_ns = time.perf_counter_ns()
    while due_ns < begun_ns + int(seconds * 1e9):
        due_ns += _SLICE_NS
        await asyncio.sleep(max(due_ns - time.perf_counter_ns(), 0) / 1e9)
        late_ns = time.perf_counter_ns() - due_ns
        lates.append(max(late_ns, 0) / 1e6)
        count = each * (1 + max(late_ns, 0) // _SLICE_NS)  # what came meanwhile is readable at once
        due_ns += max(late_ns, 0) // _SLICE_NS * _SLICE_NS
        wire_ns = clock.now_ns()
        before_ns = time.perf_counter_ns()
        for k in range(at, at + count):
            take(stream, wire_ns, True, frames[k % len(frames)])
        costs.append((time.perf_counter_ns() - before_ns) / count)
        at += count
    written, spent_s = recorder.written, (time.perf_counter_ns() - begun_ns) / 1e9
    bytes_written = recorder.bytes_written
    await recorder.close()
    await task
    worker.close()
    lates.sort()
    return Cost(
        written / spent_s,
        recorder.dropped,
        sorted(costs)[len(costs) // 2],
        lates[-1],
        lates[len(lates) * 99 // 100],
        bytes_written / max(written, 1),
    )


def _nothing(stream: int, wire_ns: int, last: bool, payload: bytes) -> None:
    """Take nothing."""


def made_up(count: int) -> list[bytes]:
    """Return frames such as Binance sends, each another."""
    random = Random(1)
    return [
        b'{"stream":"btcusdt@bookTicker","data":{"u":%d,"s":"BTCUSDT","b":"%d.%02d","B":"%d.%05d",'
        b'"a":"%d.%02d","A":"%d.%05d"}}'
        % (
            10**10 + n,
            *(60_000 + random.randrange(90), random.randrange(100)),
            *(random.randrange(9), random.randrange(10**5)),
            *(60_090 + random.randrange(90), random.randrange(100)),
            *(random.randrange(9), random.randrange(10**5)),
        )
        for n in range(count)
    ]


if __name__ == "__main__":
    import sys
    import tempfile
    from pathlib import Path

    import uvloop

    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 120_000.0
    frames = made_up(200_000)
    for record in (False, True, False, True):
        with tempfile.TemporaryDirectory() as folder:
            found = uvloop.run(sustain(Path(folder), frames, rate, 10.0, record=record))
            print("recorded" if record else "nobody  ", found)
