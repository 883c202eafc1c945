from __future__ import annotations

import asyncio
import errno
import mmap
from pathlib import Path

import pytest

from daemon.disk import RealDisk, ThreadWorker
from daemon.errors import JournalError
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.orders.journal import Journal
from daemon.orders.reader import read_all, read_history
from daemon.orders.records import Checkpoint, Ended, Marked, Run, Voided, pack
from daemon.orders.valuation import Baseline

FOLDER = Path("/journal")
RUN = Run(1, "t", 1, "0", [], [], "")
EMPTY = Checkpoint(1, None, [], [], [], {}, {}, [], Baseline(), 0)


def begun(disk, **more):
    journal = Journal(disk, InlineWorker(), FOLDER, **more)
    journal.begin(RUN, EMPTY)
    return journal


def voided(disk):
    return [record.now_ns for _, _, record in read_all(disk, FOLDER) if isinstance(record, Voided)]


def test_what_was_appended_is_read_in_order():
    disk = MemoryDisk()
    journal = begun(disk)
    for n in range(100):
        journal.append(pack(Voided(n, "x")))
    assert voided(disk) == list(range(100))


def test_a_killed_process_loses_nothing_and_a_power_cut_what_was_not_synced():
    disk = MemoryDisk()
    journal = begun(disk)
    journal.append(pack(Voided(1, "x")))
    asyncio.run(journal.sync_now())
    journal.append(pack(Voided(2, "x")))
    assert voided(disk) == [1, 2]
    disk.power_cut()
    assert voided(disk) == [1]


def test_intents_are_durable_before_they_leave_under_the_intent_policy(new_world):
    world = new_world(sync="intent")
    order = world.place()
    world.disk.power_cut()
    again = world.restarted()
    assert list(again.orders.life.open) == [order.client_order_id]


def test_a_sync_marks_how_far_and_nothing_new_is_no_reason_to_sync():
    disk = MemoryDisk()
    journal = begun(disk)
    assert journal.unsynced == journal.records > 0
    for _ in range(3):
        asyncio.run(journal.sync_now())
    assert journal.unsynced == 0
    marks = [record for _, _, record in read_all(disk, FOLDER) if isinstance(record, Marked)]
    assert len(marks) == journal.syncs == 1
    assert marks[0].offset == [at for _, at, _ in read_all(disk, FOLDER)][-1]


def test_what_is_appended_while_a_segment_is_left_survives_in_the_state_that_the_next_begins_with():
    class SlowWorker:
        """Does what it is asked, and lets the loop turn before it says so."""

        async def call(self, fn, *args):
            answer = fn(*args)
            for _ in range(3):
                await asyncio.sleep(0)
            return answer

    disk = MemoryDisk()
    journal = Journal(disk, SlowWorker(), FOLDER, segment_bytes_max=1)
    journal.checkpoint = lambda: (RUN, EMPTY)
    journal.begin(RUN, EMPTY)

    async def scene():
        leaving = asyncio.ensure_future(journal._rotate())
        await asyncio.sleep(0)  # the segment is synced
        journal.append(pack(Voided(1, "x")))
        await journal.sync_now()
        await leaving

    asyncio.run(scene())
    disk.power_cut()
    assert len([record for _, _, record in read_all(disk, FOLDER) if isinstance(record, Checkpoint)]) == 2


def test_the_group_loop_syncs_until_it_is_closed():
    disk = MemoryDisk()
    journal = begun(disk, group_ms=1)

    async def scene():
        task = asyncio.create_task(journal.run())
        journal.append(pack(Voided(1, "x")))
        while not journal.syncs:  # noqa: ASYNC110 - nothing tells when it synced
            await asyncio.sleep(0)
        journal.append(pack(Voided(2, "x")))
        await journal.close()
        await task

    asyncio.run(scene())
    disk.power_cut()
    assert voided(disk) == [1, 2]


def test_the_system_policy_never_syncs():
    disk = MemoryDisk()
    journal = begun(disk, sync="os", group_ms=1)

    async def scene():
        task = asyncio.create_task(journal.run())
        journal.append(pack(Voided(1, "x")))
        for _ in range(50):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    assert journal.syncs == 0
    assert journal.unsynced is None


def test_a_full_disk_is_one_sentence_and_leaves_a_sound_journal():
    disk = MemoryDisk()
    journal = begun(disk)
    disk.bytes_max = 0
    with pytest.raises(JournalError, match=r"/journal/00000001.journal cannot be written \(No space left"):
        journal.append(pack(Voided(1, "x")))
    disk.bytes_max = None
    journal.append(pack(Voided(2, "x")))
    assert voided(disk) == [2]


class FailingWorker(InlineWorker):
    """Fails as many calls as it is told to."""

    def __init__(self, failures):
        self.failures = failures

    async def call(self, fn, *args):
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        return await super().call(fn, *args)


def test_what_a_failed_sync_did_not_make_durable_the_next_one_does():
    disk = MemoryDisk()
    journal = Journal(disk, FailingWorker(1), FOLDER)
    journal.begin(RUN, EMPTY)
    journal.append(pack(Voided(1, "x")))
    with pytest.raises(JournalError, match="Input/output error"):
        asyncio.run(journal.sync_now())
    assert journal.unsynced == journal.records > 0
    asyncio.run(journal.sync_now())
    assert journal.unsynced == 0
    disk.power_cut()
    assert voided(disk) == [1]


def test_a_disk_that_stays_broken_is_tried_again_and_told_once():
    disk = MemoryDisk()
    worker = FailingWorker(3)
    journal = Journal(disk, worker, FOLDER, group_ms=1)
    journal.begin(RUN, EMPTY)
    heard = []
    journal.on_failure = heard.append

    async def scene():
        task = asyncio.create_task(journal.run())
        while not journal.syncs:  # noqa: ASYNC110 - nothing tells when it synced
            await asyncio.sleep(0)
        worker.failures = 1
        journal.append(pack(Voided(1, "x")))
        while len(heard) < 2:  # noqa: ASYNC110 - the listener is a plain function
            await asyncio.sleep(0)
        await journal.close()
        await task

    asyncio.run(scene())
    assert len(heard) == 2  # once for each time it broke
    assert journal.failures == 4


def test_closing_syncs_once_more_whatever_was_synced_before():
    disk = MemoryDisk()
    journal = begun(disk)
    asyncio.run(journal.sync_now())
    asyncio.run(journal.close())
    disk.power_cut()
    (mark,) = [record for _, _, record in read_all(disk, FOLDER) if isinstance(record, Marked)]
    assert mark.offset > 0  # of the first sync, which only another one makes durable


def test_an_end_is_the_last_record_durable_and_no_part_of_what_is_digested_or_counted():
    disk = MemoryDisk()
    journal = begun(disk, digest=True)
    before = journal.records, journal.digest()
    asyncio.run(journal.close(7))
    assert (journal.records, journal.digest()) == before
    disk.power_cut()
    assert [record for _, _, record in read_all(disk, FOLDER)][-1] == Ended(7)
    killed = MemoryDisk()
    asyncio.run(begun(killed).close())
    assert not any(isinstance(record, Ended) for _, _, record in read_all(killed, FOLDER))


def test_an_end_that_cannot_be_recorded_is_an_error_and_the_file_is_closed_all_the_same(monkeypatch):
    disk = MemoryDisk()
    journal = begun(disk)
    file, closed = journal._file, []

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file, "write", full)
    monkeypatch.setattr(file, "close", lambda: closed.append(file))
    with pytest.raises(JournalError, match="No space left on device"):
        asyncio.run(journal.close(7))
    assert closed == [file]


def test_a_failed_sync_is_told_to_who_listens():
    class BadFile:
        size = 0

        def write(self, data):
            self.size += len(data)

        def sync(self):
            raise OSError(errno.EIO, "Input/output error")

        def close(self):
            pass

    class BadDisk(MemoryDisk):
        def journal(self, path):
            return BadFile()

    journal = begun(BadDisk(), group_ms=1)
    heard = []
    journal.on_failure = heard.append

    async def scene():
        task = asyncio.create_task(journal.run())
        while not heard:  # noqa: ASYNC110 - the listener is a plain function
            await asyncio.sleep(0)
        journal.append(pack(Voided(2, "x")))
        with pytest.raises(JournalError):
            await journal.close()
        await task

    asyncio.run(scene())
    assert "Input/output error" in heard[0]


def test_a_large_segment_is_followed_by_one_that_needs_nothing_before_it():
    disk = MemoryDisk()
    journal = begun(disk, segment_bytes_max=2000, group_ms=1)
    journal.checkpoint = lambda: (RUN, EMPTY)

    async def scene():
        task = asyncio.create_task(journal.run())
        for n in range(300):
            journal.append(pack(Voided(n, "x" * 30)))
            if n % 10 == 0:
                await asyncio.sleep(0.002)
        await journal.close()
        await task

    asyncio.run(scene())
    assert len(disk.list(FOLDER)) > 2
    assert voided(disk) == list(range(300))
    assert journal.size == sum(len(disk.read(path)) for path in disk.list(FOLDER))
    history = read_history(disk, FOLDER)
    assert isinstance(history.records[1], Checkpoint)
    assert len(history.records) < 200


def test_a_new_run_never_writes_into_an_old_segment():
    disk = MemoryDisk()
    begun(disk)
    second = begun(disk)
    assert second.size == len(disk.read(FOLDER / "00000002.journal"))  # of this run alone
    assert [path.name for path in disk.list(FOLDER)] == ["00000001.journal", "00000002.journal"]


def test_the_digest_covers_orders_and_nothing_of_the_machine(new_world):
    world, other = new_world(), new_world()
    for one in (world, other):
        one.place()
    other.orders.save_baseline(5)
    other.journal.append(pack(RUN))
    assert world.journal.digest() == other.journal.digest()
    world.place(level=1)
    assert world.journal.digest() != other.journal.digest()


def test_real_files_and_a_real_thread(tmp_path):
    worker = ThreadWorker()
    journal = Journal(RealDisk(), worker, tmp_path / "journal", group_ms=1)
    journal.begin(RUN, EMPTY)

    async def scene():
        task = asyncio.create_task(journal.run())
        for n in range(50):
            journal.append(pack(Voided(n, "x")))
            await asyncio.sleep(0)
        await journal.close()
        await task

    asyncio.run(scene())
    worker.close()
    history = read_history(RealDisk(), tmp_path / "journal")
    assert [record.now_ns for record in history.records if isinstance(record, Voided)] == list(range(50))
    assert (tmp_path / "journal" / "00000001.journal").stat().st_mode & 0o777 == 0o600


def test_a_journal_that_is_not_open_says_so():
    disk = MemoryDisk()
    with pytest.raises(JournalError, match="is not begun: nothing can be recorded"):
        Journal(disk, InlineWorker(), FOLDER).append(pack(Voided(1, "x")))
    journal = begun(disk)
    asyncio.run(journal.close())
    with pytest.raises(JournalError, match="is closed: nothing can be recorded"):
        journal.append(pack(Voided(1, "x")))


def test_a_segment_that_could_not_be_begun_is_begun_by_the_next_try(tmp_path, monkeypatch):
    folder = tmp_path / "journal"
    journal = Journal(RealDisk(), InlineWorker(), folder)
    journal.begin(RUN, EMPTY)

    def broken(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(mmap, "mmap", broken)
        for _ in range(3):
            with pytest.raises(JournalError, match="Cannot allocate memory"):
                journal.begin(RUN, EMPTY)
            assert (folder / "00000002.journal").stat().st_size == 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    journal.append(pack(Voided(1, "x")))  # the segment before goes on meanwhile
    journal.begin(RUN, EMPTY)
    journal.append(pack(Voided(2, "y")))
    asyncio.run(journal.close())
    records = read_history(RealDisk(), folder).records
    assert [record.now_ns for record in records if isinstance(record, Voided)] == [2]
