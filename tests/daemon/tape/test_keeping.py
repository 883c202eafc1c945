"""What of old tapes goes: by age, by quota, and what may not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from daemon.config import TapeConfig
from daemon.memory_disk import MemoryDisk
from daemon.tape.keeping import DAY_NS, Limits, expire, without
from daemon.tape.manifest import NAME, Manifest, Segment, decode, encode, segment_name

TAPES = Path("tapes")
NOW_NS = 1000 * DAY_NS


def session(disk, name, *ages_days, closed=True, size=100):
    """Put a session with a segment of each age on a disk; return its manifest."""
    folder = TAPES / name
    segments = []
    for number, age in enumerate(ages_days, 1):
        last_ns = NOW_NS - int(age * DAY_NS)
        segments.append(
            Segment(
                file=segment_name(number),
                sha256="",
                bytes=size,
                entries=1,
                first_seq=number,
                last_seq=number,
                first_ns=last_ns - 1,
                last_ns=last_ns,
                streams={},
            )
        )
        disk.replace(folder / segment_name(number), bytes(size))
    manifest = Manifest(name=name, started_ns=segments[0].first_ns, closed=closed, segments=tuple(segments))
    disk.replace(folder / NAME, encode(manifest))
    return manifest


def left(disk, name):
    return [path.name for path in disk.list(TAPES / name) if path.name != NAME]


@pytest.fixture
def disk():
    return MemoryDisk()


def limits(days=0, total=0):
    return Limits(TapeConfig(retention_days=days, quota_gb=total / 1e9))


def test_what_is_too_old_goes_and_its_manifest_says_so(disk):
    session(disk, "a", 9, 5, 3)
    own = session(disk, "own", 1)
    assert expire(disk, TAPES / "own", own, NOW_NS, limits(days=4)) == set()
    assert left(disk, "a") == [segment_name(3)]
    assert [one.expired for one in decode(disk.read(TAPES / "a" / NAME)).segments] == [True, True, False]
    assert left(disk, "own") == [segment_name(1)]


def test_nothing_goes_where_nothing_is_asked_for(disk):
    session(disk, "a", 900)
    own = session(disk, "own", 1)
    assert expire(disk, TAPES / "own", own, NOW_NS, limits()) == set()
    assert left(disk, "a") == [segment_name(1)]


def test_beyond_the_quota_the_oldest_of_other_sessions_go_first_and_own_ones_last(disk):
    session(disk, "b", 4, 2)
    session(disk, "a", 5, 3)
    own = session(disk, "own", 9, 0, closed=False)
    assert expire(disk, TAPES / "own", own, NOW_NS, limits(total=450)) == set()
    assert (left(disk, "a"), left(disk, "b")) == ([segment_name(2)], [segment_name(2)])
    assert expire(disk, TAPES / "own", own, NOW_NS, limits(total=150)) == {segment_name(1)}
    assert (left(disk, "a"), left(disk, "b")) == ([], [])
    assert left(disk, "own") == [segment_name(1), segment_name(2)]  # its recorder deletes them itself
    assert [one.expired for one in without(own, {segment_name(1)}).segments] == [True, False]


def test_another_session_that_may_still_run_is_left_alone(disk):
    session(disk, "running", 9, 1, closed=False)
    session(disk, "killed", 9, 3, closed=False)
    own = session(disk, "own", 0)
    assert expire(disk, TAPES / "own", own, NOW_NS, limits(days=2)) == set()
    assert left(disk, "running") == [segment_name(1), segment_name(2)]
    assert left(disk, "killed") == []


def test_what_a_killed_session_left_unlisted_goes_with_it(disk):
    session(disk, "killed", 9, closed=False)
    disk.replace(TAPES / "killed" / segment_name(2), b"tail")
    own = session(disk, "own", 0)
    expire(disk, TAPES / "own", own, NOW_NS, limits(days=8))
    assert left(disk, "killed") == [segment_name(2)]  # it may be a day younger
    expire(disk, TAPES / "own", own, NOW_NS, limits(days=7))
    assert left(disk, "killed") == []


def test_what_is_no_session_of_ours_is_left_alone(disk):
    disk.replace(TAPES / "x" / NAME, b"{}")
    disk.replace(TAPES / "x" / segment_name(1), b"1")
    disk.replace(TAPES / "y" / segment_name(1), b"1")
    own = session(disk, "own", 0)
    expire(disk, TAPES / "own", own, NOW_NS, limits(days=1, total=1))
    assert left(disk, "x") == left(disk, "y") == [segment_name(1)]


def test_who_was_killed_between_the_manifest_and_the_file_is_made_up_for(disk):
    manifest = session(disk, "a", 9, 5)
    disk.replace(TAPES / "a" / NAME, encode(without(manifest, {segment_name(1)})))
    own = session(disk, "own", 0)
    expire(disk, TAPES / "own", own, NOW_NS, limits(days=4))
    assert left(disk, "a") == []
    (last,) = decode(disk.read(TAPES / "a" / NAME)).segments
    assert (last.file, last.expired) == (segment_name(2), True)


def test_a_segment_that_is_gone_already_is_not_asked_for_again(disk):
    manifest = session(disk, "a", 9, 5)
    gone = msgspec.structs.replace(manifest.segments[0], expired=True)
    disk.replace(
        TAPES / "a" / NAME, encode(msgspec.structs.replace(manifest, segments=(gone, manifest.segments[1])))
    )
    disk.remove(TAPES / "a" / segment_name(1))
    own = session(disk, "own", 0)
    expire(disk, TAPES / "own", own, NOW_NS, limits(days=1))
    assert left(disk, "a") == []
