"""Tick to order inside the process, beside nautilus_trader's live node, on one core and one loop, in turns.

    make peers
    .venv-peers/bin/python -m tests.bench.nautilus [--json] [--seed N] [--rounds N] [--seconds S] [--sleep]

Both are fed 1,000 quotes a second, of which each, or one in ten, asks for an order. *Ours*: from a raw frame
handed to the feed to the bytes of the signed order handed to the wire, with 35 features and 100 trees at each
quote, limits and the journal. *Theirs*: from a ready QuoteTick handed to the data client to the order command
at the execution client; no decoding, features, model, journal or encoding. Both learn of the order's fill
before the next quote. The loop spins between quotes, or sleeps with --sleep; the collector rests meanwhile.
Where it spins, ours walks an order's way every 500 us, as configs/lowlatency.toml has it.
"""

from __future__ import annotations

from daemon import kernel_cache

kernel_cache.activate()

# the cache's folder is named before numba is imported
import argparse  # noqa: E402
import asyncio  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from random import Random  # noqa: E402
from typing import TYPE_CHECKING, Final, NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
import uvloop  # noqa: E402

from tests.bench.figures import Report, figure, machine, show  # noqa: E402
from tests.bench.inside import Inside  # noqa: E402
from tests.bench.node import Node  # noqa: E402
from tests.bench.pace import Still, marked, paced  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.bench.figures import Figure

_RATE_HZ: Final = 1_000
#: one quote in so many asks for an order: the rarer, the colder everybody's caches
_EVERY: Final = (1, 10)
_SYMBOLS: Final = 8
_RATIO_MIN: Final = 40.0
_PEER: Final = "nautilus_trader"
#: a round before the first that counts
_WARM_ROUNDS: Final = 1
_SETTLE_S: Final = 0.1


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.nautilus", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each one's segment in a round")
    parser.add_argument("--sleep", action="store_true", help="sleep in the loop between quotes")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    show(uvloop.run(measure(options)), as_json=options.json)


async def measure(options: argparse.Namespace) -> Report:
    """Run the rounds: in each scenario ours, then theirs."""
    count = int(options.seconds * _RATE_HZ)
    taken: dict[int, list[Round]] = {every: [] for every in _EVERY}
    with tempfile.TemporaryDirectory(prefix="tickd-bench-") as folder:
        ours = OursFed(await Inside.build(_SYMBOLS, options.seed, Path(folder)), options.seed)
        theirs = TheirsFed(Node(asyncio.get_running_loop()), options.seed)
        await theirs.node.start()
        for k in range(options.rounds + _WARM_ROUNDS):
            for every, rounds in taken.items():
                mine = await ours.run(count, every, sleep=options.sleep)
                seen, ordered = await theirs.run(count, every, sleep=options.sleep)
                if k >= _WARM_ROUNDS:
                    rounds.append(Round(mine, seen, ordered))
        ours.inside.assert_whole(ours.marked)
        await ours.inside.close()
        await theirs.node.stop()
    late, fed = ours.late + theirs.late, 2 * len(_EVERY) * count * (options.rounds + _WARM_ROUNDS)
    mode = "sleeping" if options.sleep else "spinning"
    said = f"{_RATE_HZ:,} quotes/s, the loop {mode} between them; {late:,} of {fed:,} were late"
    figures = [one for every, rounds in taken.items() for one in _compared(every, rounds)]
    return Report(machine=machine(), seed=options.seed, figures=figures, notes=[said])


class Round(NamedTuple):
    """Microseconds of one round's marked quotes."""

    ours: NDArray[np.float64]
    seen: NDArray[np.float64]  # to nautilus's strategy
    ordered: NDArray[np.float64]


def _compared(every: int, rounds: list[Round]) -> list[Figure]:
    """Return the figures of one scenario."""
    samples = sum(len(one.ours) for one in rounds)
    asks = "each quote asks" if every == 1 else f"one quote in {every} asks"
    found = []
    for name, q, ratio_min in (("p50", 0.5, _RATIO_MIN), ("p99", 0.99, None)):
        ours, ordered = ([float(np.quantile(one[k], q)) for one in rounds] for k in (0, 2))
        what = f"tick to order, {asks}, {name}"
        found.append(figure(what, "us", _PEER, ours, ordered, samples=samples, ratio_min=ratio_min))
    ours, seen = ([float(np.quantile(one[k], 0.5)) for one in rounds] for k in (0, 1))
    found.append(
        figure("the same p50, theirs only to its strategy", "us", _PEER, ours, seen, samples=samples)
    )
    return found


class OursFed:
    """Ours at the end of the schedule."""

    def __init__(self, inside: Inside, seed: int) -> None:
        self.inside = inside
        self.late = 0
        self.marked = 0
        self._random = Random(seed)

    async def run(self, count: int, every: int, *, sleep: bool) -> NDArray[np.float64]:
        """Return the microseconds from frame to order bytes of each marked quote."""
        inside, random = self.inside, self._random
        picked = [random.randrange(_SYMBOLS) for _ in range(count)]
        marks = marked(count, every, random)
        sent_ns: list[int] = []
        first = len(inside.stamped)

        def step(k: int) -> None:
            frame = inside.exchange.quote(picked[k], marked=marks[k])
            start = time.perf_counter_ns()
            inside.feed(frame)
            if marks[k]:
                sent_ns.append(start)
                inside.settle(picked[k])

        with Still():
            self.late += await paced(count, 10**9 // _RATE_HZ, step, sleep=sleep, idle=inside.idle)
        self.marked += len(sent_ns)
        return (np.array(inside.stamped[first:]) - np.array(sent_ns)) * 1e-3


class TheirsFed:
    """Theirs at the end of the schedule."""

    def __init__(self, node: Node, seed: int) -> None:
        self.node = node
        self.late = 0
        self._random = Random(seed)
        self._price = 60_000.0

    async def run(
        self, count: int, every: int, *, sleep: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the microseconds from each marked quote to the strategy, and to the execution client."""
        node, random = self.node, self._random
        marks = marked(count, every, random)
        sent_ns: list[int] = []
        node.strategy_ns.clear()
        node.order_ns.clear()

        def step(k: int) -> None:
            self._price = round(min(max(self._price + random.randint(-3, 3) * 0.01, 59_000.0), 61_000.0), 2)
            sizes = (random.randint(10_000, 99_999) * 1e-4, random.randint(10_000, 99_999) * 1e-4)
            quote = node.quote(
                self._price, self._price + 0.01 * random.randint(1, 4), *sizes, marked=marks[k]
            )
            start = time.perf_counter_ns()
            node.take(quote)
            if marks[k]:
                sent_ns.append(start)

        with Still():
            self.late += await paced(count, 10**9 // _RATE_HZ, step, sleep=sleep)
            await asyncio.sleep(_SETTLE_S)
        assert len(node.order_ns) == len(node.strategy_ns) == len(sent_ns), "an order was lost"
        sent = np.array(sent_ns)
        return (np.array(node.strategy_ns) - sent) * 1e-3, (np.array(node.order_ns) - sent) * 1e-3


if __name__ == "__main__":
    main()
