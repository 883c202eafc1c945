"""Run seeds of the simulated world, and cut down what fails.

python -m tests.simulation --seeds 1000              as `make simulate SEEDS=1000` does
python -m tests.simulation --level bytes             over the production's own clients; or: both
python -m tests.simulation --planted --seeds 100     how often each planted bug is found
python -m tests.simulation --first 17 --seeds 1 --log
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

from daemon.kernel_cache import activate
from tests.simulation.faults import draw
from tests.simulation.planted import BUGS_OF
from tests.simulation.play import play, play_task
from tests.simulation.shrink import shrink
from tests.simulation.world import END_S

if TYPE_CHECKING:
    from tests.simulation.faults import Level
    from tests.simulation.play import Outcome


def _elsewhere(seed: int, sync: str, level: Level) -> str:
    """Return the digest of a seed in another process with another hash seed."""
    options = ["--digest", "--first", str(seed), "--sync", sync, "--level", level]
    command = [sys.executable, "-m", "tests.simulation", *options]
    environ = os.environ | {"PYTHONHASHSEED": str(seed % 1000 + 1)}
    return subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout.strip()


def _explain(outcome: Outcome, sync: str, level: Level) -> None:
    """Print a failing seed, whether another process agrees, and the fewest faults that do it."""
    print(f"seed {outcome.seed} BROKEN: {outcome.broken}: {outcome.text}")
    same = _elsewhere(outcome.seed, sync, level) == outcome.digest
    print(f"  in another process: {'the same trace' if same else 'ANOTHER TRACE'}")
    drawn = draw(outcome.seed, level=level)
    left, tries = shrink(
        drawn, lambda faults: play(outcome.seed, faults, "", sync, level).broken == outcome.broken
    )
    print(f"  {len(drawn)} faults cut down to {len(left)} in {tries} runs:")
    for fault in left:
        print(f"    {fault}")


def _run_seeds(options: argparse.Namespace, level: Level) -> int:
    counts, broken, done = Counter[str](), 0, 0
    cpu_s, orders, replacements, amends, fills = 0.0, 0, 0, 0, 0
    least = [10**9] * 3
    tasks = [(seed, "", options.sync, level) for seed in range(options.first, options.first + options.seeds)]
    with multiprocessing.get_context("spawn").Pool(options.workers, activate) as pool:
        for outcome in pool.imap(play_task, tasks):
            done += 1
            counts += outcome.counts
            cpu_s, orders, fills = cpu_s + outcome.cpu_s, orders + outcome.orders, fills + outcome.fills
            replacements, amends = replacements + outcome.replacements, amends + outcome.amends
            least = list(map(min, least, (outcome.ticks, outcome.orders, outcome.fills)))
            if outcome.broken:
                broken += 1
                _explain(outcome, options.sync, level)
            if options.log:
                print("\n".join(outcome.log))
            if done % 50 == 0:
                print(f"{done} seeds, {broken} broken", flush=True)
    print("what befell them: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    seeds = f"{level}: {done} seed{'' if done == 1 else 's'}"
    print(
        f"{seeds} of {END_S / 60:g} virtual minutes, {orders} orders, {replacements} of them in the place of "
        f"another, {amends} amends, {fills} fills, {broken} broken; in each at least {least[0]} ticks, "
        f"{least[1]} orders and {least[2]} fills; "
        f"{done * END_S / cpu_s:.0f} times real time on one core"
    )
    return 1 if broken else 0


def _run_planted(options: argparse.Namespace, level: Level) -> int:
    missed = 0
    with multiprocessing.get_context("spawn").Pool(options.workers, activate) as pool:
        for bug in BUGS_OF[level]:
            tasks = [
                (seed, bug, options.sync, level)
                for seed in range(options.first, options.first + options.seeds)
            ]
            kinds = Counter(outcome.broken for outcome in pool.imap(play_task, tasks) if outcome.promised)
            found = kinds.total()
            missed += found < 3
            how = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
            print(f"{level}: {bug}: found by {found} of {options.seeds} seeds ({how})", flush=True)
    return 1 if missed else 0


def main() -> int:
    """Run what is asked for; return 1 when a promise was broken, or a planted bug was found too rarely."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--sync", choices=("group", "intent", "os"), default="group")
    parser.add_argument(
        "--level", choices=("messages", "bytes", "both", "usdm", "usdm-bytes"), default="messages"
    )
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--planted", action="store_true", help="plant known bugs, and count who finds them")
    parser.add_argument("--log", action="store_true", help="print what befell each")
    parser.add_argument("--digest", action="store_true", help="print the first seed's digest alone")
    options = parser.parse_args()
    activate()
    levels: list[Level] = ["messages", "bytes"] if options.level == "both" else [options.level]
    if options.digest:
        print(*(play(options.first, sync=options.sync, level=level).digest for level in levels))
        return 0
    run = _run_planted if options.planted else _run_seeds
    return max(run(options, level) for level in levels)


if __name__ == "__main__":
    raise SystemExit(main())
