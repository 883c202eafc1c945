from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from daemon.disk import RealDisk, ThreadWorker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disk() -> Iterator[RealDisk]:
    made = RealDisk()
    yield made
    made.release()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_appending_creates_folders_and_files_only_their_owner_can_read(
    disk: RealDisk, tmp_path: Path
) -> None:
    path = tmp_path / "var" / "demo" / "journal"
    file = disk.append(path)
    file.write(b"one")
    file.write(b"two")
    assert file.size == 6
    file.close()
    assert disk.read(path) == b"onetwo"
    assert _mode(path) == 0o600
    assert _mode(path.parent) == 0o700


def test_an_existing_file_is_continued_and_its_mode_mended(disk: RealDisk, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"old")
    path.chmod(0o644)
    file = disk.append(path)
    assert file.size == 3
    file.write(b"new")
    file.close()
    assert path.read_bytes() == b"oldnew"
    assert _mode(path) == 0o600


def test_a_full_disk_raises_and_leaves_no_half_record(disk: RealDisk, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    file = disk.append(path)
    file.write(b"whole")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, old[1]))  # the kernel then writes 3 bytes, and no more
        with pytest.raises(OSError, match="File too large") as full:
            file.write(b"12345678")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert full.value.errno == errno.EFBIG
    assert path.read_bytes() == b"whole"
    assert file.size == 5
    file.write(b"+")  # and goes on once there is room
    assert path.read_bytes() == b"whole+"
    file.close()


def test_truncate_cuts_a_torn_tail(disk: RealDisk, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"wholetorn")
    disk.truncate(path, 5)
    assert path.read_bytes() == b"whole"


def test_replace_swaps_the_whole_content(disk: RealDisk, tmp_path: Path) -> None:
    path = tmp_path / "new" / "run"
    disk.replace(path, b"1")
    disk.replace(path, b"22")
    assert disk.read(path) == b"22"
    assert _mode(path) == 0o600
    assert disk.list(path.parent) == [path]


def test_a_replace_that_fails_leaves_the_old_content_and_no_litter(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    disk.replace(path, b"old")

    def broken(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="No space"):
        disk.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_list_is_sorted_and_empty_where_there_is_nothing(disk: RealDisk, tmp_path: Path) -> None:
    for name in ("b", "a", ".c.tmp"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert disk.list(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert disk.list(tmp_path / "none") == []


def test_reading_what_is_not_there_raises(disk: RealDisk, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.read(tmp_path / "none")


def test_a_lock_keeps_a_second_process_out_until_the_first_ends(
    disk: RealDisk, tmp_path: Path, root: Path
) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys; from pathlib import Path; from daemon.disk import RealDisk\n"
        "d = RealDisk(); d.lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError):
            disk.lock(path)
        holder.kill()
    disk.lock(path)
    with pytest.raises(BlockingIOError):
        RealDisk().lock(path)


def test_a_file_can_be_removed(disk: RealDisk, tmp_path: Path) -> None:
    disk.replace(tmp_path / "one", b"1")
    disk.remove(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        disk.remove(tmp_path / "one")


def test_a_lock_that_is_given_back_leaves_no_file(disk: RealDisk, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    disk.lock(path)
    disk.release()
    assert list(tmp_path.iterdir()) == []
    disk.lock(path)


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_taken_on_the_one_that_is_there(
    disk: RealDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "lock", RealDisk()
    other.lock(path)
    take = fcntl.flock

    def late(fd: int, how: int) -> None:
        other.release()  # between our opening the file and locking it
        take(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    disk.lock(path)
    monkeypatch.undo()
    with pytest.raises(BlockingIOError):
        other.lock(path)


def test_a_lock_file_that_is_anothers_by_now_is_left_to_it(disk: RealDisk, tmp_path: Path) -> None:
    path, other = tmp_path / "lock", RealDisk()
    disk.lock(path)
    path.unlink()  # by hand
    other.lock(path)
    disk.release()
    with pytest.raises(BlockingIOError):
        disk.lock(path)
    other.release()


def test_the_worker_runs_calls_in_order_off_the_loop_and_hands_errors_back() -> None:
    def fail() -> None:
        raise ValueError("in the thread")

    async def main() -> None:
        worker = ThreadWorker()
        done: list[int] = []
        await asyncio.gather(*(worker.call(done.append, i) for i in range(20)))
        assert done == list(range(20))
        assert await worker.call(threading.get_ident) != threading.get_ident()
        with pytest.raises(ValueError, match="in the thread"):
            await worker.call(fail)
        worker.close()

    asyncio.run(main())


def test_folders_are_those_directly_below(disk: RealDisk, tmp_path: Path) -> None:
    for name in ("tapes/b/1", "tapes/a/deep/2", "tapes/file"):
        disk.replace(tmp_path / name, b"")
    assert disk.folders(tmp_path / "tapes") == [tmp_path / "tapes/a", tmp_path / "tapes/b"]
    assert disk.folders(tmp_path / "none") == []
