"""The journal: everything about orders, appended before a byte leaves and before a report is believed.

`append` is one plain call: frame, one copy to a page of the operating system's (daemon/mapped_file.py), done.
A killed process loses nothing by that. Against a power cut `run` syncs in the worker by groups and appends a
mark of how far, so that a reader can tell damage from a tail that was never promised. `sync` is the policy:
"group" as said (at most `group_ms` are lost, and found again at the venue by their ids), "os" leaves it to
the system, "intent" syncs before each order leaves, on the trading stack (docs/performance.md has the cost).

A segment begins with the run and a checkpoint of the whole state, so that only what follows the last
checkpoint is ever replayed.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, Protocol
from zlib import crc32

from daemon.errors import JournalError
from daemon.orders.records import (
    ADOPT,
    AMEND,
    CANCEL,
    FRAME,
    PLACE,
    REFUSE,
    REPORT,
    VOIDED,
    Ended,
    frame,
    header,
    pack,
    pack_mark,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.orders.records import Checkpoint, Run
    from daemon.seams import Disk, File, Worker

    class AppendFailed(Protocol):
        """Who records a session, and has to know what its journal lacks."""

        def __call__(self, error: OSError, *, written: bool) -> None:
            """Take it."""


Sync = Literal["group", "os", "intent"]

SUFFIX: Final = ".journal"
_SEGMENT_BYTES: Final = 64 << 20
#: what the digest of a replay covers: what was asked, refused and reported, and nothing of this machine
_DIGESTED: Final = frozenset({PLACE, CANCEL, AMEND, REFUSE, REPORT, ADOPT, VOIDED})


class Journal:
    """Appends records. One writer per folder: whoever starts it holds the folder's lock."""

    def __init__(
        self,
        disk: Disk,
        worker: Worker,
        folder: Path,
        *,
        sync: Sync = "group",
        group_ms: int = 100,
        segment_bytes_max: int = _SEGMENT_BYTES,
        digest: bool = False,
    ) -> None:
        self.records = 0
        self.syncs = 0
        self.failures = 0
        self.failure = ""  # the latest, as a sentence
        #: called with a sentence when a sync failed, since no caller of `append` is there to hear of it
        self.on_failure: Callable[[str], None] = _ignore
        #: told of a record that was not appended (or was, and is not durable), before its caller is
        self.on_append_failed: AppendFailed = _unheard
        #: gives the state a new segment begins with
        self.checkpoint: Callable[[], tuple[Run, Checkpoint]] | None = None
        self._disk = disk
        self._worker = worker
        self._folder = folder
        self._sync = sync
        self._group_s = group_ms / 1000
        self._segment_bytes_max = segment_bytes_max
        self._hash = blake2b(digest_size=16) if digest else None
        self._file: File | None = None
        self._path = folder
        self._number = 0
        self._closed_size = 0  # of the segments that are
        self._synced = 0  # records of this run that a sync has made durable
        self._closing = False
        self._turn = asyncio.Lock()  # a segment is not left while it is synced

    # --- segments -----------------------------------------------------------------------------------------
    def begin(self, run: Run, checkpoint: Checkpoint) -> None:
        """Open a segment with the run and its state; raises JournalError. Durable after `sync_now`."""
        try:
            if not self._number:
                names = [path.stem for path in self._disk.list(self._folder) if path.suffix == SUFFIX]
                self._number = max((int(name) for name in names if name.isdigit()), default=0)
            path = self._folder / f"{self._number + 1:08d}{SUFFIX}"
            file = self._disk.journal(path)
            try:
                file.write(header(synced=self._sync != "os"))
            except OSError:
                file.close()  # it is left empty, as it was found: the next try begins it
                raise
        except OSError as error:
            raise self._error(error) from error
        if self._file is not None:
            self._closed_size += self._file.size
            self._file.close()
        self._number += 1
        self._path, self._file = path, file
        self.append(pack(run))
        self.append(pack(checkpoint))

    async def _rotate(self) -> None:
        """Begin the next segment once this one is large; the old one is durable before it is left."""
        async with self._turn:
            file = self._file
            if file is None or file.size < self._segment_bytes_max or self.checkpoint is None:
                return
            await self._worker.call(file.sync)
            self.begin(*self.checkpoint())

    # --- the hot path -------------------------------------------------------------------------------------
    def append(self, body: bytes) -> None:
        """Append one record; raises JournalError, having appended nothing, also when it is not open."""
        file = self._file
        if file is None:
            state = "closed" if self._closing else "not begun"
            raise JournalError(
                f"the journal in {self._folder} is {state}: nothing can be recorded, so nothing that adds "
                "risk may leave"
            )
        size = len(body)
        data = FRAME.pack(size, crc32(body, size)) + body
        try:
            file.write(data)
        except OSError as error:
            self.on_append_failed(error, written=False)
            raise self._error(error) from error
        if self._sync == "intent" and body[0] == PLACE:
            try:
                file.sync()
            except OSError as error:
                self.on_append_failed(error, written=True)
                raise self._error(error) from error
        self.records += 1
        if self._hash is not None and body[0] in _DIGESTED:
            self._hash.update(data)

    # --- durability ---------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Sync by groups, and begin new segments, until `close`."""
        told = ""  # a disk that stays broken is tried again every group, and told once
        while not self._closing:
            await asyncio.sleep(self._group_s)
            failure = ""
            try:
                if self._sync != "os":
                    await self.sync_now()
                await self._rotate()
            except JournalError as error:
                failure = str(error)
            except OSError as error:
                failure = str(self._error(error))
            if failure and failure != told:
                self.on_failure(failure)
            told = failure

    async def sync_now(self) -> None:
        """Make everything appended so far durable, in the worker; raises JournalError."""
        async with self._turn:
            if self._file is not None and self._synced < self.records:
                await self._sync_file(self._file)

    @property
    def unsynced(self) -> int | None:
        """Return how many records no sync has covered yet; None where that is left to the system."""
        return None if self._sync == "os" else self.records - self._synced

    async def _sync_file(self, file: File) -> None:
        """Sync, and mark how far; what a failed sync covered is still to be synced."""
        offset, records = file.size, self.records
        try:
            await self._worker.call(file.sync)
            self._synced = max(self._synced, records)
            self.syncs += 1
            if file is self._file:
                file.write(frame(pack_mark(offset)))
        except OSError as error:
            raise self._error(error) from error

    async def close(self, ended_ns: int | None = None) -> None:
        """End `run`, sync once more whatever was synced before, and close; raises JournalError.

        ended_ns: when the run ended, for the record; without it the journal ends as that of a killed one.
        """
        self._closing = True
        async with self._turn:
            file = self._file
            if file is None:
                return
            try:
                if ended_ns is not None:
                    self._end(file, ended_ns)
                await self._sync_file(file)
            finally:
                self._closed_size += file.size
                self._file = None
                file.close()

    def _end(self, file: File, ended_ns: int) -> None:
        """Record the end. Like a mark it is no part of what the session did, and none of its replay."""
        try:
            file.write(frame(pack(Ended(ended_ns))))
        except OSError as error:
            raise self._error(error) from error

    @property
    def size(self) -> int:
        """Return how many bytes this run appended, in all its segments."""
        return self._closed_size + (self._file.size if self._file is not None else 0)

    def digest(self) -> str:
        """Return the digest of all that was asked, refused and reported, in order."""
        assert self._hash is not None, "made without digest=True"
        return self._hash.hexdigest()

    def _error(self, error: OSError) -> JournalError:
        self.failures += 1
        self.failure = (
            f"the journal {self._path} cannot be written ({error.strerror or error}): nothing that adds risk "
            "leaves until this is mended and trading is resumed"
        )
        return JournalError(self.failure)


def _unheard(error: OSError, *, written: bool) -> None:
    """Record no session."""


def _ignore(_: str) -> None:
    """Nobody listens yet."""
