"""Client order ids: `prefix-run-sequence`, unique for ever.

An order whose record a power cut took can be found at the venue by its id. The prefix is the daemon's name,
the run number is durable before the first order leaves, and the sequence counts within the run. A run number
is also never below the seconds since 2020, so that ids stay unique even when somebody deletes the journal.
Sixteen characters of prefix leave room for both in the 36 that exchanges allow.
"""

from __future__ import annotations

import re
from typing import Final

from daemon.errors import ConfigError

_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}")
_EPOCH_NS: Final = 1_577_836_800_000_000_000  # 2020-01-01
_DIGITS: Final = 9  # each of run and sequence: a billion


class Ids:
    """Makes the client order ids of one run."""

    __slots__ = ("_head", "prefix", "run", "seq")

    def __init__(self, prefix: str, run: int) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(
                f"the name {prefix!r} cannot begin a client order id: up to 16 letters, digits, '-' and '_'"
            )
        assert 0 < run < 10**_DIGITS
        self.prefix = prefix
        self.run = run
        self.seq = 0
        self._head = f"{prefix}-{run}-"

    def next(self) -> str:
        """Return the next id; its number is `seq` afterwards."""
        self.seq += 1
        return f"{self._head}{self.seq}"

    def at(self, run: int, seq: int) -> str:
        """Return the id of an order of this daemon, whichever its run."""
        return f"{self.prefix}-{run}-{seq}"

    def parse(self, client_order_id: str) -> tuple[int, int] | None:
        """Return (run, sequence) of an id this daemon made in any run, else None."""
        prefix, _, tail = client_order_id.partition(self.prefix + "-")
        run, _, seq = tail.partition("-")
        if prefix or not _number(run) or not _number(seq):
            return None
        return int(run), int(seq)


def next_run(last_run: int, now_ns: int) -> int:
    """Return the number of a run that starts at `now_ns`, `last_run` being the highest the journal knows."""
    return max(last_run + 1, (now_ns - _EPOCH_NS) // 1_000_000_000, 1)


def _number(text: str) -> bool:
    return 0 < len(text) <= _DIGITS and text.isascii() and text.isdigit() and text[0] != "0"
