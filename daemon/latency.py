"""From a histogram kernel's array to what people and Prometheus read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from daemon.status import StageLatency
from kernels import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _edge_near(ns: float) -> int:
    """Return the histogram bucket whose lower bound is nearest to `ns`."""
    index: int = stats.bucket(int(ns))
    low, high = stats.bucket_bounds(index)
    return index if ns - low <= high - ns else index + 1


#: sqrt(2) steps from 1 us to 11.9 s: a quantile is within 8 % of its value (powers of two: 33 %).
#: Each is the edge of a bucket, so that the counts are exact and only the edge is rounded (by under 0.8 %).
_EDGES: Final = [_edge_near(1_000 * 2 ** (step / 2)) for step in range(48)]
BOUNDS_S: Final = [float(stats.bucket_bounds(edge)[0]) / 1e9 for edge in _EDGES]
_LAST_BELOW: Final = np.array(_EDGES) - 1


def stage_latency(stage: str, h: NDArray[np.int64]) -> StageLatency:
    """Summarise a histogram (kernels.stats, nanoseconds) as a stage of a Status."""
    count = int(h[stats.HIST_COUNT])
    below = np.cumsum(h[stats.HIST_HEAD :])[_LAST_BELOW]
    return StageLatency(
        stage=stage,
        count=count,
        sum_s=int(h[stats.HIST_SUM]) / 1e9,
        p50_s=_seconds(stats.quantile(h, 0.5)),
        p99_s=_seconds(stats.quantile(h, 0.99)),
        p999_s=_seconds(stats.quantile(h, 0.999)),
        max_s=int(h[stats.HIST_MAX]) / 1e9 if count else None,
        buckets=below.tolist(),
    )


def _seconds(ns: float) -> float | None:
    return None if math.isnan(ns) else ns / 1e9
