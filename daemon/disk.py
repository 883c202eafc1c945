"""Real files and the worker thread: the only module that writes what must survive.

The journal is a mapped file (daemon/mapped_file.py); a log is appended to with one system call a line. When
the disk is full either ends where it ended before, so that a reader never takes half a record for a whole
one. Everything is created with mode 0600 in folders of mode 0700. fdatasync of an append costs 0.2 to 4.5 ms
and belongs in the worker.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from daemon.mapped_file import MappedFile
from daemon.seams import Boot

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_TEMPORARY: Final = ".tmp"


class AppendFile:
    """One append-only file, for what a power cut may take: a log."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
        os.fchmod(self._fd, _FILE_MODE)
        self.size = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        """Append all of `data`, or nothing: on a full disk the file is cut back, and OSError raised."""
        fd = self._fd
        view: bytes | memoryview = data
        try:
            written = os.write(fd, view)
            while written < len(view):  # a short write comes just before the error that explains it
                view = memoryview(view)[written:]
                written = os.write(fd, view)
        except OSError:
            os.ftruncate(fd, self.size)
            raise
        self.size += len(data)

    def close(self) -> None:
        """Close; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RealDisk:
    """The files the daemon writes."""

    def __init__(self) -> None:
        self._locks: list[tuple[int, Path]] = []

    def append(self, path: Path) -> AppendFile:
        """Open for appending, creating it and its folders."""
        _make_folder(path.parent)
        return AppendFile(path)

    def journal(self, path: Path) -> MappedFile:
        """Likewise, for what must survive."""
        _make_folder(path.parent)
        created = not path.exists()
        file = MappedFile(path, _FILE_MODE)
        if created:
            _sync_folder(path.parent)  # else the name itself could be gone after a power cut
        return file

    def read(self, path: Path) -> bytes:
        """Return the whole file; raises FileNotFoundError."""
        return path.read_bytes()

    def mode(self, path: Path) -> int:
        """Return the file's permission bits; raises FileNotFoundError."""
        return path.stat().st_mode & 0o777

    def truncate(self, path: Path, size: int) -> None:
        """Cut the file to `size` bytes, durably."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, size)
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        """Delete the file, durably."""
        path.unlink()
        _sync_folder(path.parent)

    def replace(self, path: Path, *parts: bytes) -> None:
        """Write a whole file: after a crash there is the old content or the new, never a mixture."""
        _make_folder(path.parent)
        temporary = path.with_name(f".{path.name}{_TEMPORARY}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
        try:
            try:
                os.fchmod(fd, _FILE_MODE)
                for part in parts:
                    view = memoryview(part)
                    while view:
                        view = view[os.write(fd, view) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync_folder(path.parent)

    def folders(self, folder: Path) -> list[Path]:
        """Return the folders in a folder, sorted by name."""
        return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def list(self, folder: Path) -> list[Path]:
        """Return the folder's files, sorted by name, without what a crash left half replaced."""
        if not folder.is_dir():
            return []
        return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.endswith(_TEMPORARY))

    def boot(self) -> Boot:
        """Return when the machine started; nothing is known of it where the kernel does not tell."""
        try:
            name = self.read(Path("/proc/sys/kernel/random/boot_id")).decode().strip()
            age_s = float(self.read(Path("/proc/uptime")).split()[0])
        except (OSError, ValueError, IndexError):
            return Boot("", 0)
        return Boot(name, int(age_s * 1e9))

    def lock(self, path: Path) -> None:
        """Take the exclusive lock on `path` until this process ends; raises BlockingIOError if held."""
        _make_folder(path.parent)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                raise
            if _is_at(fd, path):
                break
            os.close(fd)  # who held it gave it back meanwhile: this is no file any more
        self._locks.append((fd, path))  # open as long as this object, which lives as long as the process

    def release(self) -> None:
        """Give every lock back, and remove its file; a process that is killed leaves the file, unlocked."""
        while self._locks:
            fd, path = self._locks.pop()
            if _is_at(fd, path):
                with suppress(OSError):  # a folder that cannot be written any more
                    path.unlink()
            os.close(fd)


class ThreadWorker:
    """One thread for what blocks: calls run in the order of asking."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tickd-worker")

    async def call(self, fn: Callable[..., T], *args: object) -> T:
        """Return `fn(*args)`, run in the thread; its exception is raised here."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, fn, *args)

    def close(self) -> None:
        """Let what was asked for finish, then end the thread."""
        self._executor.shutdown(wait=True)


def _is_at(fd: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def _make_folder(folder: Path) -> None:
    """Create `folder` and its parents with mode 0700, each entry durable."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for part in reversed(missing):
        part.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _sync_folder(part.parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
