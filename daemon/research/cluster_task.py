"""What a Dask worker runs: one trial, over a record that the worker reads once.

A worker may be a process on another machine. It needs this package, and the same ticks at the same path.
A task's arguments are unpacked behind its function, so the kernels' cache is chosen where this is imported.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from daemon import kernel_cache

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.research.ranges import Point
    from daemon.research.sweep_log import TrialLine
    from daemon.research.trial import Bench, Part
    from daemon.tape.replay import Given

if "numba" not in sys.modules:  # a worker, and nobody chose before it
    kernel_cache.activate()


class Spec(NamedTuple):
    """What a worker makes its bench of."""

    path: Path  # as the workers see it
    given: Given
    point_s: int
    digest: str  # of the record's events
    strategy: str  # of its source, and of its model, which a worker reads too
    model: str


def try_there(spec: Spec, point: Point, window: int, number: int, part: Part | None) -> TrialLine:
    """Return one trial; raises TickdError where the worker has not the same record."""
    from daemon.research.sweep import try_one  # noqa: PLC0415 - behind the choice above

    return try_one(_bench(spec.path, spec.point_s, spec), point, window, number, part)


@cache
def _kept(_path: Path, _point_s: int, _digest: str) -> list[Bench]:
    return []


def _bench(path: Path, point_s: int, spec: Spec) -> Bench:
    from daemon.errors import TickdError  # noqa: PLC0415 - likewise
    from daemon.research.trial import Bench  # noqa: PLC0415 - likewise

    kept = _kept(path, point_s, repr(spec))
    if not kept:
        bench = Bench(path, spec.given, point_s)
        bench.read()
        if bench.record.digest != spec.digest:
            raise TickdError(f"a Dask worker reads other ticks at {path} than this process: copy them there")
        if bench.digests() != (spec.strategy, spec.model):
            raise TickdError("a Dask worker has another strategy or model than this process: copy it there")
        kept.append(bench)
    return kept[0]
