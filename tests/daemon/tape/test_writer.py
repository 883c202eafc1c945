"""The worker's half: what it does on a disk, call by call."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from daemon.config import TapeConfig
from daemon.memory_disk import MemoryDisk
from daemon.tape.manifest import NAME, decode
from daemon.tape.segment import END, Rows
from daemon.tape.writer import Writer

FOLDER = Path("tapes/one")
HOUR_NS = 3_600_000_000_000


class Flaky(MemoryDisk):
    """A disk whose next write fails when told so."""

    fails = 0

    def claim(self, size):
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EIO, "Input/output error")
        super().claim(size)


@pytest.fixture
def disk():
    return Flaky()


@pytest.fixture
def writer(disk, header):
    return Writer(disk, FOLDER, header(), ["feed/0"], TapeConfig(retention_days=1))


def rows(first_seq, count):
    return Rows(first_seq, [0] * count, [first_seq + 1] * count, [True] * count, [b"x"] * count)


def test_nothing_is_on_disk_before_something_was_taken_but_the_manifest(writer, disk):
    writer.begin_round(5, -1, 0)
    assert disk.list(FOLDER) == [FOLDER / NAME]
    manifest = decode(disk.read(FOLDER / NAME))
    assert (manifest.segments, manifest.closed, manifest.lost_from) == ((), False, -1)


def test_a_write_that_failed_goes_on_where_it_stopped(writer, disk):
    many = rows(0, 10_000)  # three writes
    writes = 0
    while True:
        disk.fails = 1 if writes % 2 == 0 else 0
        try:
            assert writer.write(many) > 10_000
            break
        except OSError:
            writes += 1
            assert not disk.fails
    writer.end_segment()
    while writer.pack():
        pass
    (listed,) = decode(disk.read(FOLDER / NAME)).segments
    assert (listed.entries, listed.first_seq, listed.last_seq) == (10_000, 0, 9_999)


def test_a_segment_that_could_not_be_begun_is_not_there(writer, disk):
    writer.begin_round(5, -1, 0)
    disk.fails = 1
    with pytest.raises(OSError, match="Input/output"):
        writer.write(rows(0, 1))
    assert disk.list(FOLDER) == [FOLDER / NAME]
    assert writer.number == 0


def test_losses_reach_the_manifest_at_once(writer, disk):
    writer.begin_round(5, 17, 2)
    manifest = decode(disk.read(FOLDER / NAME))
    assert (manifest.lost_from, manifest.dropped) == (17, 2)


def test_a_packed_segment_that_finds_no_room_is_kept_for_later(writer, disk):
    writer.write(rows(0, 5))
    writer.end_segment()
    assert writer.pack()
    disk.fails = 1
    with pytest.raises(OSError, match="Input/output"):
        writer.pack()
    assert not writer.pack()  # until the next segment is closed
    assert disk.read(FOLDER / "00000001.arrows").endswith(END)
    writer.write(rows(5, 1))
    writer.end_segment()
    while writer.pack():
        pass
    assert [one.entries for one in decode(disk.read(FOLDER / NAME)).segments] == [5, 1]


def test_own_segments_that_are_too_old_go_an_hour_after_the_last_look(writer, disk):
    day_ns = 24 * HOUR_NS
    writer.begin_round(day_ns, -1, 0)
    writer.write(rows(0, 1))
    writer.end_segment()
    while writer.pack():
        pass
    writer.begin_round(2 * day_ns, -1, 0)
    assert [path.name for path in disk.list(FOLDER)] == [NAME]
    assert decode(disk.read(FOLDER / NAME)).segments[0].expired
    assert writer.bytes_kept == 0


def test_a_closed_manifest_lists_what_could_not_be_packed(writer, disk):
    writer.write(rows(0, 5))
    writer.end_segment()
    writer.close()
    manifest = decode(disk.read(FOLDER / NAME))
    assert manifest.closed
    assert manifest.segments[0].bytes == len(disk.read(FOLDER / "00000001.arrows")) == writer.bytes_kept
