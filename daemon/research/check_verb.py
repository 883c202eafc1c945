"""`tickd backtest --parity` and `--prove`: what came of the check, and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from daemon.errors import EXIT_DONE, CheckFailedError
from daemon.faces.check_table import show
from daemon.faces.terminal import counting
from daemon.lifetime import interrupted_by_any
from daemon.research import parity, prove

if TYPE_CHECKING:
    from daemon.options import BacktestOptions


def run(options: BacktestOptions) -> int:
    """Check it, and print what came of it; raises CheckFailedError, and TickdError where it cannot be run."""
    with interrupted_by_any():
        if options.check == "parity":
            compared = parity.compare(options)
            holds, text = compared.same, compared.text
            show(compared, as_json=options.json)
        else:
            # a run, a second one, another process, and two at each cut
            with counting(Console(stderr=True), "proving", 3 + 2 * options.cuts) as tell:
                proof = prove.prove(options, tell)
            holds, text = proof.proven, proof.text
            show(proof, as_json=options.json)
    if not holds:
        raise CheckFailedError(text)
    return EXIT_DONE
