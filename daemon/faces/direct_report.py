"""What `tickd flatten --direct` asks a person, and tells."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from daemon.errors import UsageError
from daemon.faces.show import print_json
from daemon.redact import bare_url, redact

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.direct import Report

_YES = "yes"


def ask_direct(config: Config, *, everything: bool) -> None:
    """Say what is about to be done and go on only after a "yes"; raises UsageError for anything else."""
    if not sys.stdin.isatty():
        raise UsageError("--direct asks before it does anything, and nobody can answer here; say --yes too")
    spot = config.feed.market == "spot"
    all_of_it = "all that the account holds of their coins" if spot else "every position in them"
    what = all_of_it if everything else f"what {config.name} holds of them"
    venue = config.venue
    where = venue.exchange if venue.kind == "ccxt" else f"Binance's {venue.environment}"
    if venue.rest_url:
        where = bare_url(venue.rest_url)
    sys.stderr.write(
        f"This cancels every open order in {', '.join(config.feed.symbols)} at {where}\n"
        f"and closes {what}, at up to {config.risk.collar:.2%} from the market.\n"
        f"Type {_YES} to go on: "
    )
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != _YES:
        raise UsageError("nothing was done")


def tell_person(text: str) -> None:
    """Say at once what a person should hear."""
    sys.stderr.write(f"{redact(text)}\n")


def print_direct(report: Report, *, as_json: bool) -> None:
    """Print what was done and what is left."""
    if as_json:
        print_json(report)
        return
    count = len(report.canceled)
    lines = [f"canceled  {count:,} order{'' if count == 1 else 's'}"]
    lines += [f"closed    {text}" for text in report.closed]
    lines += [f"dust      {text}, too little to be traded" for text in report.dust]
    lines += [f"LEFT      {text}" for text in report.left]
    lines += ["nothing is left" if not report.left else "something is left: look at the venue, or try again"]
    lines += ["the kill switch is thrown: the next daemon starts HALTED, until tickd resume"]
    sys.stdout.write("\n".join(lines) + "\n")
