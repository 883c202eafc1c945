"""A disk in memory, with a real one's failures: for replays, and for tests of what survives.

Written bytes outlive a killed process and synced ones a power cut, as on a real disk; `power_cut` takes away
what was not synced, and `bytes_max` makes the disk full.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeVar

from daemon.seams import Boot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


class _Content:
    """One file's bytes, and how many of them a power cut leaves."""

    __slots__ = ("data", "durable")

    def __init__(self, data: bytes = b"", durable: int = 0) -> None:
        self.data = bytearray(data)
        self.durable = durable


class MemoryFile:
    """One append-only file in memory."""

    def __init__(self, disk: MemoryDisk, content: _Content) -> None:
        self._disk = disk
        self._content = content
        self._open = True
        self.size = len(content.data)

    def write(self, data: bytes) -> None:
        """Append all of `data`; raises OSError on a full disk, having appended nothing."""
        assert self._open, "write after close"
        self._disk.claim(len(data))
        self._content.data += data
        self.size = len(self._content.data)

    def sync(self) -> None:
        """Let what was written survive a power cut."""
        self._content.durable = len(self._content.data)

    def close(self) -> None:
        """Close without syncing."""
        self._open = False


class MemoryDisk:
    """Files in memory; `bytes_max` bounds their sum."""

    def __init__(self, bytes_max: int | None = None) -> None:
        self.bytes_max = bytes_max
        self._files: dict[Path, _Content] = {}
        self._locked: set[Path] = set()

    def append(self, path: Path) -> MemoryFile:
        """Open for appending, creating it."""
        return MemoryFile(self, self._files.setdefault(path, _Content()))

    journal = append

    def read(self, path: Path) -> bytes:
        """Return the whole file; raises FileNotFoundError."""
        return bytes(self._get(path).data)

    def mode(self, path: Path) -> int:
        """Return the file's permission bits: the owner's alone."""
        self._get(path)
        return 0o600

    def truncate(self, path: Path, size: int) -> None:
        """Cut the file to `size` bytes, durably."""
        content = self._get(path)
        del content.data[size:]
        content.durable = len(content.data)

    def remove(self, path: Path) -> None:
        """Delete the file, durably."""
        self._get(path)
        del self._files[path]

    def replace(self, path: Path, *parts: bytes) -> None:
        """Write a whole file, durably and atomically."""
        data = b"".join(parts)
        old = self._files.get(path)
        self.claim(len(data) - (len(old.data) if old else 0))
        self._files[path] = _Content(data, len(data))

    def folders(self, folder: Path) -> list[Path]:
        """Return the folders in a folder, sorted by name: those that hold something."""
        return sorted(
            {one for path in self._files for one in path.parents if one.parent == folder and one != folder}
        )

    def list(self, folder: Path) -> list[Path]:
        """Return the folder's files, sorted by name."""
        return sorted(path for path in self._files if path.parent == folder)

    def boot(self) -> Boot:
        """Return the one start there is."""
        return Boot("memory", 0)

    def lock(self, path: Path) -> None:
        """Take the exclusive lock on `path`; raises BlockingIOError if held."""
        if path in self._locked:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked by another process", str(path))
        self._locked.add(path)

    def power_cut(self) -> None:
        """Lose what was not synced, and every lock; files open before it are gone with their process."""
        for content in self._files.values():
            del content.data[content.durable :]
        self._locked.clear()

    def claim(self, size: int) -> None:
        """Raise OSError (no space left) unless `size` more bytes fit."""
        if self.bytes_max is not None:
            used = sum(len(content.data) for content in self._files.values())
            if used + size > self.bytes_max:
                raise OSError(errno.ENOSPC, "No space left on device")

    def _get(self, path: Path) -> _Content:
        try:
            return self._files[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, "No such file", str(path)) from None


class Nowhere:
    """A file that takes everything and keeps nothing."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        """Count it."""
        self.size += len(data)

    def sync(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class NowhereDisk(MemoryDisk):
    """A disk whose journals are nowhere: for who never reads them, however long they get."""

    def journal(self, path: Path) -> Nowhere:  # type: ignore[override] # noqa: ARG002
        """Return one."""
        return Nowhere()


class InlineWorker:
    """Runs what would block at once: on virtual time nothing blocks."""

    async def call(self, fn: Callable[..., T], *args: object) -> T:
        """Return `fn(*args)`."""
        return fn(*args)
