"""Features beside wickra (a tick at a time) and TA-Lib with numpy (a million rows), in one process, in turns.

    make peers                                       both scripts, in an environment of their own
    .venv-peers/bin/python -m tests.bench.indicators [--json] [--seed N] [--rounds N] [--rows N]

*One tick*: one call from Python into ring, all features but those of the book, and a histogram, beside ten
wickra indicators updated one by one with a price. Ours twice: laid out in one record, and in the daemon's own
arrays.

*Batch*: kernels.batch, one thread, beside the same features written as
whole columns by somebody who knows TA-Lib and numpy (tests/bench/vectors.py), who is not charged for putting
his columns together. Each column is compared first; what does not agree is named.
"""

from __future__ import annotations

from daemon import kernel_cache

kernel_cache.activate()

# the cache's folder is named before numba is imported
import argparse  # noqa: E402
import gc  # noqa: E402
import time  # noqa: E402
from functools import partial  # noqa: E402
from importlib import import_module  # noqa: E402
from typing import TYPE_CHECKING, Any, Final  # noqa: E402

import numpy as np  # noqa: E402

from kernels import batch  # noqa: E402
from kernels.dtypes import QUOTE  # noqa: E402
from kernels.features import FEATURES, bind_tuning  # noqa: E402
from tests.bench import one_tick, vectors  # noqa: E402
from tests.bench.figures import Report, figure, machine, show  # noqa: E402
from tests.bench.market import make_books, make_ticks  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.bench.figures import Figure

_TICKS: Final = 20_000  # of a round of one tick at a time
#: rows until averages that were seeded otherwise have forgotten it, and the share of a column that may differ
_WARM: Final = 20_000
TOLERANCE: Final = 1e-6


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.indicators", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wickra, talib = import_module("wickra"), import_module("talib")
    figures = _one_tick(wickra, options.seed, options.rounds)
    ticks = make_ticks(options.rows, options.seed)
    more, notes = _batch(talib, ticks, make_books(ticks, options.seed), options.rounds)
    report = Report(machine=machine(), seed=options.seed, figures=figures + more, notes=notes)
    show(report, as_json=options.json)


def timed(run: Callable[[], Any]) -> float:
    """Return how long it takes, in seconds, with no collection in between."""
    gc.collect()
    gc.disable()
    start = time.perf_counter_ns()
    run()
    elapsed = time.perf_counter_ns() - start
    gc.enable()
    return elapsed * 1e-9


def _one_tick(wickra: Any, seed: int, rounds: int) -> list[Figure]:
    """Alternate segments of ticks, each of other ticks than the ones before."""
    ticks = make_ticks(_TICKS * (rounds + 1), seed)
    one, daemons, theirs = one_tick.in_one_record(), one_tick.in_the_daemons_memory(), one_tick.Wickra(wickra)
    spans = []
    for k in range(rounds + 1):
        part = ticks[k * _TICKS : (k + 1) * _TICKS]
        mine = part.tolist()
        prices = np.where(part["kind"] == QUOTE, 0.5 * (part["a"] + part["c"]), part["a"]).tolist()
        runs = [partial(one.run, mine), partial(daemons.run, mine), partial(theirs.run, prices)]
        spans.append([timed(run) / _TICKS * 1e9 for run in runs])
    row = one.arrays[0][0]["row"]
    named = [not name.startswith("near_") for name in FEATURES]  # these come with books alone
    assert np.isfinite(row[named]).all()
    assert (row == daemons.arrays[0][0]["rows"][0, :-1])[named].all()
    first, second, third = zip(*spans[1:], strict=True)
    what = f"one tick: ring, {sum(named)} features, histogram"
    count = _TICKS * rounds
    peer = "10 wickra indicators"
    return [
        figure(f"{what}, in one record", "ns", peer, first, third, samples=count, ratio_min=2.0),
        figure(f"{what}, in the daemon's memory", "ns", peer, second, third, samples=count, ratio_min=2.0),
    ]


def _batch(
    talib: Any, ticks: NDArray[Any], books: NDArray[np.float64], rounds: int
) -> tuple[list[Figure], list[str]]:
    """Alternate whole runs over the same ticks: ours into rows there are and into new ones, and theirs."""
    tuning, at, places = bind_tuning({}), batch.every(ticks), batch.places(FEATURES)
    rows = np.zeros((len(ticks), len(FEATURES)))
    columns = vectors.columns_of(ticks)

    def ours(out: NDArray[np.float64] | None) -> None:
        out = np.empty((len(ticks), len(FEATURES))) if out is None else out
        batch.advance(batch.new_states(1, tuning), 0, ticks, books, at, places, out)

    ours(rows)
    notes = disagreements(rows, vectors.features(columns, books, talib))
    runs: list[Callable[[], Any]] = [
        lambda: ours(rows),
        lambda: ours(None),
        lambda: vectors.features(columns, books, talib),
    ]
    spans = [[timed(run) * 1e3 for run in runs] for _ in range(rounds)]
    given, fresh, theirs = zip(*spans, strict=True)
    what = f"{len(FEATURES)} features over {len(ticks):,} rows, one thread"
    count = len(ticks) * rounds
    peer = "TA-Lib with numpy"
    return [
        figure(f"{what}, into rows there are", "ms", peer, given, theirs, samples=count, ratio_min=2.5),
        figure(f"{what}, into new rows", "ms", peer, fresh, theirs, samples=count),
    ], notes


def disagreements(rows: NDArray[np.float64], columns: dict[str, Any], warm: int = _WARM) -> list[str]:
    """Return a sentence on how many of their columns are ours, and one for each that is not."""
    worst = {name: distance(rows[warm:, k], columns[name][warm:]) for k, name in enumerate(FEATURES)}
    apart = {name: value for name, value in worst.items() if not value <= TOLERANCE}
    agreed = len(FEATURES) - len(apart)
    return [
        f"{agreed} of {len(FEATURES)} columns agree with ours within {TOLERANCE:g} of their spread, warm",
        *(f"  {name} differs by up to {value:.2g} of its spread" for name, value in apart.items()),
    ]


def distance(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Return two columns' largest difference to ours' deviation; NaN where one is no number."""
    scale = max(float(np.std(ours)), float(np.abs(ours).max()) * 1e-6)
    return float(np.abs(ours - theirs).max()) / scale if scale > 0.0 else float(np.abs(theirs).max())


if __name__ == "__main__":
    main()
