"""The journal of a session, as the disk of its replay: what is appended is held to what was recorded."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from daemon.errors import JournalError
from daemon.memory_checkpoint import NAME as MEMORIES
from daemon.memory_disk import MemoryDisk
from daemon.orders.reader import bodies, segments
from daemon.orders.records import CHECKPOINT, DIGEST, ENDED, FRAME, MARK, RUN, Run, unpack
from daemon.seams import Boot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.seams import Disk
    from daemon.session.entries import Begin


#: records that tell of the file, and that no event brings about
_OF_THE_FILE: Final = frozenset({MARK, ENDED})


class Journalled(NamedTuple):
    """A run's records, and what its start had read of the journal before."""

    earlier: list[Path]  # files
    bodies: list[bytes]  # without sync marks and the run's end, which are the file's own
    open_end: bool  # nothing follows: it may go on, or its end may be lost


def find_run(disk: Disk, folder: Path, run: int) -> Journalled:
    """Return a run's part of the journal; raises JournalError where it has none."""
    earlier: list[Path] = []
    found: list[bytes] = []
    inside = over = False
    for path in segments(disk, folder):
        mine = False
        for body in bodies(disk, path):
            if body[0] == RUN:
                began = unpack(body)
                assert isinstance(began, Run)
                over, inside = over or (inside and began.run != run), began.run == run
            if inside and body[0] not in _OF_THE_FILE:
                found.append(body)
            mine = mine or inside
        if not found and not mine:
            earlier.append(path)
    if not found:
        raise JournalError(
            f"the journal {folder} has no run {run}: name the journal that the session wrote (--journal)"
        )
    return Journalled(earlier, found, not over)


class Mismatch(NamedTuple):
    """A record that is not the session's. Either is None where there is none."""

    place: int  # among the records of the run
    session: bytes | None
    replay: bytes | None


class Checker:
    """Holds the records of a replay to those of its session, one after the other."""

    def __init__(self, journalled: Journalled) -> None:
        self.bodies = journalled.bodies
        self.place = 0  # records that were compared
        self.allowed = len(self.bodies)  # records that the session had by the end of this event
        self.mismatch: Mismatch | None = None
        self.lost = False  # the replay went on beyond the journal's end
        self.digests = 0  # among these
        self._failures: deque[tuple[int, int, str, bool]] = deque()

    def expect_failures(self, failures: Sequence[tuple[int, int, str, bool]]) -> None:
        """Let appends fail as they did: behind so many records, by errno and text, written or not."""
        self._failures.extend(failures)

    def write(self, body: bytes) -> None:
        """Take a record of the replay; raises OSError where the session's could not be written."""
        self._fail(self.place, written=False)
        self._compare(body)

    def sync(self) -> None:
        """Make a record durable; raises OSError where the session could not."""
        self._fail(self.place - 1, written=True)

    def _fail(self, place: int, *, written: bool) -> None:
        if self._failures and self._failures[0][0] == place and self._failures[0][3] is written:
            _, number, text, _ = self._failures.popleft()
            raise OSError(number, text)

    def _compare(self, body: bytes) -> None:
        place, self.place = self.place, self.place + 1
        if self.mismatch is not None or self.lost:
            return
        if place >= self.allowed:  # the tape counts what the session had, be it lost from the journal or not
            self.mismatch = Mismatch(place, None, body)
        elif place >= len(self.bodies):
            self.lost = True
        elif not same(self.bodies[place], body):
            self.mismatch = Mismatch(place, self.bodies[place], body)
        elif body[0] == DIGEST:
            self.digests += 1

    @property
    def whole(self) -> bool:
        """Whether every record of the journal was compared."""
        return self.place == len(self.bodies) and not self.lost

    @property
    def begins_next(self) -> bool:
        """Whether the session's next record begins a segment."""
        return self.place < len(self.bodies) and self.bodies[self.place][0] == RUN

    def end_event(self) -> None:
        """Find what the session recorded at an event, and the replay did not."""
        if self.mismatch is None and not self.lost and self.place < min(self.allowed, len(self.bodies)):
            self.mismatch = Mismatch(self.place, self.bodies[self.place], None)


def same(session: bytes, replay: bytes) -> bool:
    """Whether two records are the same; a run's version, what that records, and configuration may differ.

    So may a checkpoint by what its version did not write of an order, which is then as an order begins.
    """
    if session == replay:
        return True
    if session[0] != replay[0] or session[0] not in {RUN, CHECKPOINT}:
        return False
    one, other = unpack(session), unpack(replay)
    if isinstance(one, Run) and isinstance(other, Run):
        return _plain(one) == _plain(other)
    return one == other


def _plain(run: Run) -> Run:
    return msgspec.structs.replace(run, program="", config="", tells_end=False)


class CheckedFile:
    """A segment that the replay appends to."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self.size = 0

    def write(self, data: bytes) -> None:
        """Take a header or a record; raises OSError where the session's record could not be written."""
        if self.size:
            self._checker.write(data[FRAME.size :])
        self.size += len(data)

    def sync(self) -> None:
        """Do nothing, or fail as the session did."""
        self._checker.sync()

    def close(self) -> None:
        """Do nothing."""


class ReplayDisk(MemoryDisk):
    """What the session's start found on its disk; what is appended to the journal is checked."""

    def __init__(
        self,
        disk: Disk,
        folder: Path,
        journalled: Journalled,
        checker: Checker,
        begin: Begin,
    ) -> None:
        """Let `folder`, as the configuration calls it, hold the journal before the session.

        Raises JournalError where that is not what the session's start had read.
        """
        super().__init__()
        self._real = disk
        self._folder = folder
        self._earlier = {folder / path.name: path for path in journalled.earlier}
        self._checker = checker
        self._boot = Boot(*begin.boot)
        if begin.memories is not None:
            self.replace(folder / MEMORIES, begin.memories)
        for name, size in begin.journals.items():
            self._check(folder / name, size)

    def _check(self, path: Path, size: int) -> None:
        real = self._earlier.get(path)
        there = 0 if real is None else len(self._real.read(real))
        if there != size:
            raise JournalError(
                f"the session's start had read {size} bytes of the journal {real or path}, which has {there} "
                "now: deleted since, or taken by a power cut; nothing can be verified without them"
            )

    def list(self, folder: Path) -> list[Path]:
        """Return the folder's files, sorted by name."""
        return sorted([*super().list(folder), *(self._earlier if folder == self._folder else ())])

    def read(self, path: Path) -> bytes:
        """Return the whole file; raises FileNotFoundError."""
        real = self._earlier.get(path)
        return super().read(path) if real is None else self._real.read(real)

    def truncate(self, path: Path, size: int) -> None:
        """Cut nothing: an earlier run's end is as the session's start had cut it."""

    def boot(self) -> Boot:
        """Return when the session's machine started."""
        return self._boot

    def journal(self, path: Path) -> CheckedFile:  # type: ignore[override]
        """Open a segment."""
        del path
        return CheckedFile(self._checker)
