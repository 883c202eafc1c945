from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from daemon.memory_disk import InlineWorker, MemoryDisk, NowhereDisk

JOURNAL = Path("var/demo/journal")


def test_it_behaves_as_files_do() -> None:
    disk = MemoryDisk()
    file = disk.append(JOURNAL)
    file.write(b"one")
    file.write(b"two")
    assert file.size == 6
    assert disk.read(JOURNAL) == b"onetwo"
    file.close()
    assert disk.append(JOURNAL).size == 6
    disk.truncate(JOURNAL, 3)
    assert disk.read(JOURNAL) == b"one"
    disk.replace(JOURNAL.with_name("a"), b"x")
    assert disk.list(JOURNAL.parent) == [JOURNAL.with_name("a"), JOURNAL]
    assert disk.list(Path("none")) == []
    with pytest.raises(FileNotFoundError):
        disk.read(Path("none"))


def test_a_journal_that_is_nowhere_counts_its_bytes_and_keeps_none() -> None:
    disk = NowhereDisk()
    file = disk.journal(JOURNAL)
    file.write(b"one")
    file.sync()
    file.write(b"four")
    file.close()
    assert (file.size, disk.list(JOURNAL.parent)) == (7, [])
    disk.append(JOURNAL).write(b"kept")
    assert disk.read(JOURNAL) == b"kept"


def test_a_full_disk_takes_nothing_of_the_record() -> None:
    disk = MemoryDisk(bytes_max=8)
    file = disk.append(JOURNAL)
    file.write(b"whole")
    with pytest.raises(OSError, match="No space left"):
        file.write(b"1234")
    assert disk.read(JOURNAL) == b"whole"
    with pytest.raises(OSError, match="No space left"):
        disk.replace(Path("other"), b"1234")
    disk.replace(JOURNAL, b"12345678")


def test_a_power_cut_takes_what_was_not_synced_and_frees_the_locks() -> None:
    disk = MemoryDisk()
    file = disk.append(JOURNAL)
    file.write(b"synced")
    file.sync()
    file.write(b"not")
    disk.replace(Path("run"), b"7")
    disk.lock(Path("lock"))
    with pytest.raises(BlockingIOError):
        disk.lock(Path("lock"))
    disk.power_cut()
    assert disk.read(JOURNAL) == b"synced"
    assert disk.read(Path("run")) == b"7"
    disk.lock(Path("lock"))


def test_the_inline_worker_runs_at_once() -> None:
    assert asyncio.run(InlineWorker().call(max, 1, 2)) == 2


def test_folders_are_those_directly_below_that_hold_something() -> None:
    disk = MemoryDisk()
    for name in ("tapes/b/1", "tapes/a/deep/2", "tapes/file", "other/c/3"):
        disk.replace(Path(name), b"")
    assert disk.folders(Path("tapes")) == [Path("tapes/a"), Path("tapes/b")]
    assert disk.folders(Path("none")) == []
