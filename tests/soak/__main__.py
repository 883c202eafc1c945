"""python -m tests.soak --minutes 30: as `make soak MINUTES=30` does; exit code 1 where something grows.

Likewise where a long one saw too few connections made anew to tell.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.end_to_end.harness import checked_bench
from tests.soak.run import soak


def main() -> int:
    """Soak, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tickd-soak-") as folder, checked_bench(Path(folder)) as bench:
        outcome = soak(bench, options.minutes, options.seed)
    print("\n".join(outcome.lines()))
    return 1 if outcome.leaks() or outcome.easy else 0


if __name__ == "__main__":
    raise SystemExit(main())
