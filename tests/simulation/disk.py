"""A disk that fails as disks do: torn and garbled tails, slow syncs, errors, no space; and its worker."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from daemon.memory_disk import MemoryDisk, MemoryFile
from daemon.seams import Boot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from daemon.clock import VirtualTime
    from tests.simulation.run import Run

#: what one call of the worker takes when the disk is well
CALL_NS = 1_000_000


class FaultyDisk(MemoryDisk):
    """The machine's disk: it outlives the processes. Faults set its attributes and take them back."""

    def __init__(self, random: Random, time: VirtualTime) -> None:
        super().__init__()
        self.sync_ns = 0  # what a sync takes beyond CALL_NS
        self.fails_syncs = self.fails_writes = self.full = False
        self._random = random
        self._time = time
        self._cuts = self._cut_ns = 0

    def boot(self) -> Boot:
        """Return the start after the last power cut."""
        return Boot(str(self._cuts), self._time.now_ns() - self._cut_ns)

    def power_cut(self) -> None:
        """Keep nothing or a random part of what was not synced, garbled now and then; lose every lock."""
        self._cuts += 1
        self._cut_ns = self._time.now_ns()
        for content in self._files.values():
            unsynced = len(content.data) - content.durable
            if unsynced:
                keep = self._random.randrange(unsynced + 1) if self._random.random() < 0.5 else 0
                del content.data[content.durable + keep :]
                if keep and self._random.random() < 0.3:
                    at = content.durable + self._random.randrange(keep)
                    content.data[at] ^= 1 << self._random.randrange(8)
        self._locked.clear()
        for content in self._files.values():
            content.durable = len(content.data)  # what is there after the cut is on the disk

    def durable(self, path: Path) -> int:
        """Return how much of a file a power cut leaves for sure; 0 of what is not there."""
        content = self._files.get(path)
        return 0 if content is None else content.durable

    def killed(self) -> None:
        """Lose the locks of a process that is gone; what it wrote stays."""
        self._locked.clear()

    def claim(self, size: int) -> None:
        """Raise OSError for a failing or a full disk."""
        if self.fails_writes:
            raise OSError(errno.EIO, "Input/output error")
        if self.full and size > 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().claim(size)


class RunDisk:
    """The disk as one process has it: at each call the process can die, and a dead one makes none."""

    def __init__(self, disk: FaultyDisk, run: Run) -> None:
        self._disk = disk
        self._run = run

    def append(self, path: Path) -> RunFile:
        self._run.touch("open")
        return RunFile(self._disk.append(path), path, self._disk, self._run)

    journal = append

    def read(self, path: Path) -> bytes:
        self._run.touch("read")
        return self._disk.read(path)

    def mode(self, path: Path) -> int:
        return self._disk.mode(path)

    def truncate(self, path: Path, size: int) -> None:
        self._run.touch("truncate")
        self._disk.truncate(path, size)
        self._run.world.note(b"truncate", path.name.encode(), size)

    def replace(self, path: Path, *parts: bytes) -> None:
        self._run.touch("replace")
        self._disk.replace(path, *parts)
        self._run.world.note(b"replace", path.name.encode(), *parts)

    def list(self, folder: Path) -> list[Path]:
        return self._disk.list(folder)

    def folders(self, folder: Path) -> list[Path]:
        return self._disk.folders(folder)

    def boot(self) -> Boot:
        return self._disk.boot()

    def lock(self, path: Path) -> None:
        self._disk.lock(path)


class RunFile:
    """One open file of one process."""

    def __init__(self, file: MemoryFile, path: Path, disk: FaultyDisk, run: Run) -> None:
        self._file = file
        self._path = path
        self._disk = disk
        self._run = run

    @property
    def size(self) -> int:
        return self._file.size

    def write(self, data: bytes) -> None:
        self._run.touch("write")
        self._file.write(data)
        self._run.written(self._path, data)
        self._run.touch("written")

    def sync(self) -> None:
        """Sync at once, as on the trading stack."""
        self._run.touch("sync")
        self.sync_upto(self._file.size)

    def sync_upto(self, size: int) -> None:
        if self._disk.fails_syncs:
            raise OSError(errno.EIO, "Input/output error")
        content = self._file._content
        content.durable = max(content.durable, min(size, len(content.data)))

    def close(self) -> None:
        self._file.close()


class RunWorker:
    """The worker of one process: one call after another, each of which takes its time."""

    def __init__(self, disk: FaultyDisk, run: Run, time: VirtualTime) -> None:
        self._disk = disk
        self._run = run
        self._time = time
        self._free_ns = 0

    async def call(self, fn: Callable[..., Any], *args: object) -> Any:
        """Return `fn(*args)`; what a sync covers is what had been written when it began."""
        file = getattr(fn, "__self__", None)
        is_sync = isinstance(file, RunFile) and fn.__name__ == "sync"
        begin_ns = max(self._time.now_ns(), self._free_ns)
        self._free_ns = begin_ns + CALL_NS + (self._disk.sync_ns if is_sync else 0)
        await self._run.sleep_until(begin_ns)
        size = file.size if isinstance(file, RunFile) else 0
        await self._run.sleep_until(self._free_ns)
        if is_sync and isinstance(file, RunFile):
            self._run.touch("sync")
            file.sync_upto(size)
            return None
        return fn(*args)
