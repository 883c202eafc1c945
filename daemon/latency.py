"""From a histogram kernel's array to what people and Prometheus read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.status import SlowTick, StageLatency
from kernels import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: sqrt(2) steps from 1 us to 10 s and beyond: they bring a quantile within 8 % of its value, powers of two
#: within 33 %. Each is the edge of a histogram's bucket, so that the counts are exact.
BOUNDS_S: Final = [bound / 1e9 for bound in stats.BOUNDS_NS]


def stage_latency(stage: str, h: NDArray[np.int64], slowest: SlowTick | None = None) -> StageLatency:
    """Summarise a histogram (kernels.stats, nanoseconds) as a stage of a Status."""
    count = int(h[stats.HIST_COUNT])
    buckets = np.zeros(len(BOUNDS_S), dtype=np.int64)
    stats.cumulative(h, buckets)
    return StageLatency(
        stage=stage,
        count=count,
        sum_s=int(h[stats.HIST_SUM]) / 1e9,
        p50_s=_seconds(stats.quantile(h, 0.5)),
        p99_s=_seconds(stats.quantile(h, 0.99)),
        p999_s=_seconds(stats.quantile(h, 0.999)),
        max_s=int(h[stats.HIST_MAX]) / 1e9 if count else None,
        buckets=buckets.tolist(),
        slowest=slowest,
    )


def _seconds(ns: float) -> float | None:
    return None if math.isnan(ns) else ns / 1e9
