"""The recorder: what it takes is on disk soon, in order, and a disk that fails costs the tape alone."""

from __future__ import annotations

import asyncio
import errno
import gzip
import re
from hashlib import sha256

import pytest

from daemon.memory_disk import MemoryDisk
from daemon.status import TapeStatus
from daemon.tape.manifest import decode
from daemon.tape.reader import Entry, read_tape


def run(work):
    return asyncio.run(work)


def test_what_was_taken_is_read_back_in_order(session, tmp_path):
    one = session()

    async def live():
        task = asyncio.create_task(one.recorder.run())
        one.take("feed/0", b"a")
        one.take("feed/1", b"b", last=False)
        await one.passes(1)
        one.take("snapshot/BTC/USDT", b"")
        one.take("cut/0", b"", last=False)
        await one.recorder.close()
        await one.passes(1)
        await task

    run(live())
    tape = read_tape(tmp_path / "tape")
    assert list(tape) == [Entry(*entry) for entry in one.recorded]
    assert (tape.closed, tape.lost_from, tape.cuts) == (True, -1, [])
    assert (one.recorder.taken, one.recorder.written, one.recorder.dropped) == (4, 4, 0)
    assert one.recorder.lag_ns == 0


def lived(one, work):
    """Run `work()` beside the recorder's own task; then close it."""

    async def live():
        task = asyncio.create_task(one.recorder.run())
        await work()
        await one.recorder.close()
        await one.passes(1)
        await task

    run(live())


def test_it_is_on_disk_within_a_quarter_of_a_second_and_a_killed_session_is_read(session, tmp_path):
    one = session()

    async def live():
        task = asyncio.create_task(one.recorder.run())
        await one.passes(0.1)
        one.take("feed/0", b"a")
        await one.passes(0.3)
        assert one.recorder.lag_ns == 0
        one.take("feed/0", b"never written")
        one.time.advance(one.time.now_ns() + 50_000_000)
        assert one.recorder.lag_ns == 50_000_000
        task.cancel()

    run(live())
    tape = read_tape(tmp_path / "tape")
    assert [entry.payload for entry in tape] == [b"a"]
    assert (tape.closed, tape.cuts) == (False, [])


def test_segments_are_left_by_size_and_by_age_and_listed(session, tmp_path):
    one = session(segment_mb=1, segment_s=10)

    async def work():
        for _ in range(9):
            one.take("feed/0", bytes(300_000))
            await one.passes(0.25)
        await one.passes(1)
        assert len(decode((tmp_path / "tape" / "manifest.json").read_bytes()).segments) == 2
        await one.passes(20)
        one.take("feed/1", b"late")

    lived(one, work)
    manifest = decode((tmp_path / "tape" / "manifest.json").read_bytes())
    assert [(s.first_seq, s.last_seq, s.entries) for s in manifest.segments] == [
        (0, 3, 4),
        (4, 7, 4),
        (8, 8, 1),
        (9, 9, 1),
    ]
    assert manifest.segments[3].streams == {"feed/1": 1}
    assert manifest.segments[0].first_ns == one.recorded[0][1]
    assert manifest.segments[0].last_ns == one.recorded[3][1]
    for listed in manifest.segments:
        data = (tmp_path / "tape" / listed.file).read_bytes()
        assert (len(data), sha256(data).hexdigest()) == (listed.bytes, listed.sha256)
    assert list(read_tape(tmp_path / "tape")) == [Entry(*entry) for entry in one.recorded]


def test_a_full_disk_costs_nothing_while_the_buffer_holds(session, tmp_path):
    disk = MemoryDisk()
    one = session(disk, buffer_mb=1)

    async def work():
        one.take("feed/0", b"a")
        await one.passes(1)
        disk.bytes_max = 0
        for _ in range(8):
            one.take("feed/0", bytes(1000))
            await one.passes(0.5)
        assert len(one.alarms) == 1
        assert "No space left on device" in one.alarms[0]
        assert one.recorder.failure == one.alarms[0]
        assert one.recorder.lag_ns > 3_000_000_000
        disk.bytes_max = None
        await one.passes(1)
        assert (one.recorder.failure, one.recorder.lag_ns) == ("", 0)

    lived(one, work)
    assert (one.recorder.written, one.recorder.dropped, one.recorder.lost_from) == (9, 0, -1)
    assert copied(disk, tmp_path) == [Entry(*entry) for entry in one.recorded]


def test_what_the_buffer_cannot_hold_is_dropped_counted_told_once_and_in_the_manifest(session, tmp_path):
    disk = MemoryDisk()
    one = session(disk, buffer_mb=1)

    async def work():
        one.take("feed/0", b"a")
        await one.passes(1)
        disk.bytes_max = 0
        for _ in range(10):
            one.take("feed/0", bytes(200_000))
            await one.passes(0.25)
        assert (one.recorder.lost_from, one.recorder.dropped) == (6, 5)
        disk.bytes_max = None
        await one.passes(1)
        one.take("feed/0", b"z")
        await one.passes(1)
        disk.bytes_max = 0
        for _ in range(6):
            one.take("feed/0", bytes(200_000))
        assert one.recorder.dropped == 6
        disk.bytes_max = None

    lived(one, work)
    full = [text for text in one.alarms if "tape's buffer" in text]
    assert [re.search(r"from (\d+) on", text)[1] for text in full] == ["6", "17"]
    assert [entry.seq for entry in copied(disk, tmp_path)] == [0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 16]
    tape = read_tape(tmp_path / "copy")
    assert (tape.lost_from, tape.manifest.dropped, tape.closed) == (6, 6, True)


def test_a_disk_that_stays_full_ends_with_what_is_there_and_says_what_is_lost(session, tmp_path):
    disk = MemoryDisk()
    one = session(disk)

    async def work():
        one.take("feed/0", b"a")
        await one.passes(1)
        disk.bytes_max = 0
        one.take("feed/0", b"b")
        one.take("feed/0", b"c")

    lived(one, work)
    assert (one.recorder.lost_from, one.recorder.dropped, one.recorder.written) == (1, 2, 1)
    assert "No space left" in one.recorder.failure
    disk.bytes_max = None
    assert [entry.payload for entry in copied(disk, tmp_path)] == [b"a"]


def test_a_disk_with_no_room_for_packing_keeps_segments_as_they_grew(session, tmp_path):
    disk = Unpacked()
    one = session(disk)

    async def work():
        for _ in range(3):
            one.take("feed/0", b"a")
            await one.passes(0.5)

    lived(one, work)
    assert [entry.payload for entry in copied(disk, tmp_path)] == [b"a"] * 3
    assert read_tape(tmp_path / "copy").closed
    assert len(one.alarms) == 1


def test_a_slow_worker_delays_and_loses_nothing(session, tmp_path):
    one = session()
    calls = one.worker.call
    slow = asyncio.Event()

    async def call(fn, *args):
        if not slow.is_set() and fn.__name__ == "write":
            await slow.wait()
        return await calls(fn, *args)

    one.worker.call = call

    async def work():
        for number in range(5):
            one.take("feed/0", b"%d" % number)
            await one.passes(1)
        assert one.recorder.written == 0
        slow.set()
        await one.passes(1)
        assert one.recorder.written == 5

    lived(one, work)
    assert list(read_tape(tmp_path / "tape")) == [Entry(*entry) for entry in one.recorded]


def test_a_task_that_is_cancelled_in_the_middle_of_a_write_writes_nothing_twice(session, tmp_path):
    one = session()
    calls = one.worker.call

    async def call(fn, *args):
        found = await calls(fn, *args)
        await asyncio.sleep(0)  # the worker has done it, and nobody knows yet
        return found

    one.worker.call = call

    async def live():
        for turns in range(1, 12):
            one.take("feed/0", b"%d" % turns)
            task = asyncio.create_task(one.recorder.run())
            await asyncio.sleep(0)
            one.time.advance(one.time.now_ns() + 250_000_000)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await one.recorder.close()

    run(live())
    assert list(read_tape(tmp_path / "tape")) == [Entry(*entry) for entry in one.recorded]


def test_its_status_is_what_faces_show(session):
    one = session()
    one.take("feed/0", b"a")
    one.time.advance(one.time.now_ns() + 1_500_000_000)
    assert one.recorder.status() == TapeStatus(entries=0, bytes=0, dropped=0, lost_from=-1, lag_s=1.5)


class Unpacked(MemoryDisk):
    """A disk that has no room for a segment beside itself."""

    def replace(self, path, *parts):
        if path.suffix == ".arrows":
            raise OSError(errno.ENOSPC, "No space left on device")
        super().replace(path, *parts)


def copied(disk, tmp_path):
    """Read a tape of a disk in memory."""
    folder = tmp_path / "copy"
    folder.mkdir(exist_ok=True)
    for path in disk.list(tmp_path / "tape"):
        (folder / path.name).write_bytes(disk.read(path))
    return list(read_tape(folder))


CAPTURES = [
    "binance-spot-btcusdt-20240808.gz",
    pytest.param("binance-usdm-btcusdt-20240808.gz", marks=pytest.mark.heavy),
    pytest.param("binance-coinm-btcusd_perp-20240808.gz", marks=pytest.mark.heavy),
    pytest.param("binance-coinm-btcusd_perp-20240809.gz", marks=pytest.mark.heavy),
]


@pytest.mark.parametrize("name", CAPTURES)
def test_closed_segments_of_a_real_session_are_no_larger_than_its_gzip(
    captures, tape_of, name, record_property
):
    path = captures / name
    lines = gzip.decompress(path.read_bytes()).splitlines()
    folder = tape_of(lines, segment_s=60)
    ratio = sum(one.stat().st_size for one in folder.iterdir()) / path.stat().st_size
    record_property("figure", f"tape of {name}: {ratio:.3f} of the gzip")
    assert ratio < 1.2
    tape = read_tape(folder)
    assert [b"%d %s" % (entry.wire_ns, entry.payload) for entry in tape] == lines
    assert len(tape.segments) > 4


def test_the_end_packs_for_some_seconds_and_lists_the_rest_as_it_grew(session, tmp_path):
    one = session(segment_s=1)
    calls = one.worker.call

    async def call(fn, *args):
        if fn.__name__ == "pack":
            one.time.advance(one.time.now_ns() + 3_000_000_000)
        return await calls(fn, *args)

    async def live():
        for _ in range(6):
            one.take("feed/0", b"a")
            await one.recorder._write()
            one.time.advance(one.time.now_ns() + 500_000_000)
        one.worker.call = call
        await one.recorder.close()

    run(live())
    tape = read_tape(tmp_path / "tape")
    assert [entry.payload for entry in tape] == [b"a"] * 6
    assert (tape.closed, len(tape.segments)) == (True, 3)
    assert len({listed.bytes for _, listed in tape.segments}) == 2
