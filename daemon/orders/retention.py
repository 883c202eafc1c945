"""Old segments of the journal: deleted where a person says after how long, and never what a start reads.

A segment begins with the whole state, so what lies before one that is whole is only history. It goes, oldest
first, once the segment behind it began longer ago than the journal is to reach back.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import JournalError
from daemon.orders.reader import began_ns, segments
from daemon.pause import pause

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.seams import Disk, Seams

DAY_NS: Final = 86_400_000_000_000
_EVERY_S: Final = 3600.0


def expire(disk: Disk, folder: Path, before_ns: int, begins: dict[Path, int]) -> list[Path]:
    """Delete each segment of which nothing is newer than `before_ns`; return them. Raises JournalError.

    What is damaged stays, and all behind it. begins: when segments began, so that each is read once.
    """
    gone: list[Path] = []
    for path, following in pairwise(segments(disk, folder)):
        began = begins[following] = begins.get(following) or began_ns(disk, following)
        if not 0 < began < before_ns:
            break
        try:
            disk.remove(path)
        except OSError as error:
            raise JournalError(f"the journal {path} cannot be deleted ({error.strerror})") from None
        gone.append(path)
    return gone


async def run(folder: Path, days: int, seams: Seams, log: Any) -> None:
    """Delete what is older than so many days, now and every hour, in the worker."""
    begins: dict[Path, int] = {}
    while True:
        try:
            before_ns = seams.clock.now_ns() - days * DAY_NS
            for path in await seams.worker.call(expire, seams.disk, folder, before_ns, begins):
                log.info("journal_expired", path=str(path))
        except JournalError as error:
            log.warning("journal_kept", reason=str(error))
        await pause(seams, _EVERY_S)
