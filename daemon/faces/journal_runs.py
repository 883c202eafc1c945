"""Which runs a journal holds, and which of them have no end on record: nobody is there to record a kill.

A run that is still going on looks like one that was killed: a journal alone cannot tell them apart. And of a
run of a version that recorded no ends nothing is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.orders.records import Ended, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.orders.records import Record


class Runs:
    """The runs of a journal, record by record."""

    def __init__(self) -> None:
        #: by number, the newest last: whether an end should come, and has not
        self._open: dict[int, bool] = {}
        self._number = 0

    def take(self, record: Record) -> None:
        """Take one record; a run's own stands at the beginning of each of its files."""
        if isinstance(record, Run):
            self._number = record.run
            self._open.setdefault(record.run, record.tells_end)
        elif isinstance(record, Ended):
            self._open[self._number] = False

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self._open)

    @property
    def cut(self) -> int:
        """Return how many of those before the last have no end on record."""
        return sum(list(self._open.values())[:-1])

    @property
    def last_open(self) -> bool:
        """Whether the last has none yet: it goes on, or was killed."""
        return self._open.get(self._number, False)


def ends(cut: int, *, last_open: bool) -> Iterator[str]:
    """Yield what is to be said of them, in sentences."""
    if cut:
        runs = "1 run before the last has" if cut == 1 else f"{cut:,} runs before the last have"
        yield f"{runs} no end on record: killed, or the power was cut, or the disk took no more"
    if last_open:
        yield "the last run has no end on record yet: it runs, or was killed"
