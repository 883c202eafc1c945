from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.mapped_file import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096


def test_what_is_appended_is_in_the_file_at_once_and_zeros_follow_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    file = MappedFile(path, 0o600)
    file.write(b"one")
    file.write(b"two")
    assert file.size == 6
    data = path.read_bytes()
    assert data.rstrip(b"\0") == b"onetwo"
    assert len(data) > 6
    file.sync()
    file.close()
    assert path.read_bytes() == b"onetwo"
    file.close()


@given(sizes=st.lists(st.integers(1, 3 * PAGE), min_size=1, max_size=30))
def test_records_of_any_size_cross_from_window_to_window(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("mapped") / "journal"
    file = MappedFile(path, 0o600, window_bytes=2 * PAGE)
    expected = b""
    for number, size in enumerate(sizes):
        record = bytes([number + 1]) * size
        file.write(record)
        expected += record
        if number % 3 == 0:
            file.sync()  # it reserves ahead
    assert path.read_bytes().rstrip(b"\0") == expected
    file.close()
    assert path.read_bytes() == expected


def test_an_existing_file_is_continued_and_its_mode_mended(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"o" * 5000)
    path.chmod(0o644)
    file = MappedFile(path, 0o600)
    file.write(b"new")
    file.close()
    assert path.read_bytes() == b"o" * 5000 + b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_killed_process_loses_nothing_and_leaves_zeros_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    code = (
        "import os, pathlib, signal, sys; from daemon.mapped_file import MappedFile; "
        "file = MappedFile(pathlib.Path(sys.argv[1]), 0o600); file.write(b'kept' * 3000); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes().rstrip(b"\0") == b"kept" * 3000


def test_a_full_disk_raises_and_appends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    file = MappedFile(path, 0o600, window_bytes=PAGE)
    file.write(b"whole")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, old[1]))
        file.write(b"fits")
        with pytest.raises(OSError, match="File too large") as full:
            file.write(b"x" * PAGE)
        file.sync()  # what is there can be kept all the same
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert full.value.errno == errno.EFBIG
    assert file.size == 9
    file.write(b"+" * PAGE)  # and goes on once there is room
    file.close()
    assert path.read_bytes() == b"wholefits" + b"+" * PAGE


def test_after_a_failed_sync_nothing_is_accepted_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = MappedFile(tmp_path / "journal", 0o600)
    file.write(b"a")

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(OSError, match="Input/output error"):
            file.sync()
    with pytest.raises(OSError, match="earlier sync failed"):
        file.sync()
    with pytest.raises(OSError, match="earlier sync failed"):
        file.write(b"b")
    file.close()


def test_closing_waits_for_the_sync_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = MappedFile(tmp_path / "journal", 0o600)
    order: list[str] = []
    begun, go = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        begun.set()
        go.wait(10)
        order.append("synced")

    monkeypatch.setattr(os, "fdatasync", slow)
    thread = threading.Thread(target=file.sync)
    thread.start()
    assert begun.wait(10)
    closer = threading.Thread(target=lambda: (file.close(), order.append("closed")))
    closer.start()
    assert closer.is_alive()
    go.set()
    thread.join()
    closer.join()
    assert order == ["synced", "closed"]
    file.sync()  # after closing: nothing to do, and no foreign descriptor touched
    file.close()
    assert order == ["synced", "closed"]


def test_on_a_disk_that_is_nearly_full_the_last_pages_are_used_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    whole = 5 * PAGE // 400
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5 * PAGE, old[1]))
        file = MappedFile(path, 0o600)  # its window is larger than what is left
        for _ in range(whole):
            file.write(b"r" * 400)
            file.sync()
        with pytest.raises(OSError, match="File too large"):
            file.write(b"r" * 400)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, old_handler)
    file.close()
    assert path.read_bytes() == b"r" * 400 * whole


def test_a_sync_makes_the_pages_ahead_writable(tmp_path: Path) -> None:
    """So many as were filled since the last: else each page's first write is a fault of its own."""
    file = MappedFile(tmp_path / "file", 0o600)
    page = bytes(range(256)) * (PAGE // 256)
    for _ in range(64):
        file.write(page)
    file.sync()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(48):
        file.write(page)
    faults = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    file.close()
    assert (tmp_path / "file").read_bytes() == page * 112
    major, minor = os.uname().release.split(".")[:2]
    if (int(major), int(minor)) >= (5, 14):
        assert faults < 24
