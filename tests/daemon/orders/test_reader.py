from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from daemon.errors import JournalError
from daemon.memory_disk import InlineWorker, MemoryDisk
from daemon.orders.journal import Journal
from daemon.orders.reader import read_all, read_history, scan
from daemon.orders.records import (
    FRAME,
    HEADER,
    Checkpoint,
    Marked,
    Run,
    Voided,
    frame,
    header,
    pack,
    pack_mark,
)
from daemon.orders.valuation import Baseline

FOLDER = Path("/journal")
PATH = FOLDER / "00000001.journal"
RUN = Run(1, "t", 4, "0", [], [], "")
EMPTY = Checkpoint(1, None, [], [], [], {}, {}, [], Baseline(), 0)


def written(records=6, synced_after=3, sync="group"):
    """Return the bytes of a journal: run, checkpoint, records; synced once on the way."""
    disk = MemoryDisk()
    journal = Journal(disk, InlineWorker(), FOLDER, sync=sync)
    journal.begin(RUN, EMPTY)
    for n in range(records):
        journal.append(pack(Voided(n, "order")))
        if n + 1 == synced_after and sync != "os":
            asyncio.run(journal.sync_now())
    return disk.read(PATH)


def stored(data):
    disk = MemoryDisk()
    disk.replace(PATH, data)
    return disk


def test_an_empty_folder_is_an_empty_history():
    history = read_history(MemoryDisk(), FOLDER)
    assert history == ([], 0, [])


def test_a_journal_cut_at_every_byte_of_its_last_record_loses_that_record_alone():
    data = written()
    last = scan(data, PATH).offsets[-1]
    whole = len(read_history(stored(data), FOLDER).records)
    for size in range(last, len(data)):
        disk = stored(data[:size])
        history = read_history(disk, FOLDER)
        assert len(history.records) == whole - 1
        assert disk.read(PATH) == data[:last]
        assert len(history.cut) == (size > last)
        if history.cut:
            lost = len(data[last:size].rstrip(b"\0"))
            assert f"{lost} bytes of no whole record, cut at offset {last}" in history.cut[0]


def test_zeros_behind_the_last_record_are_no_torn_tail():
    data = written()
    disk = stored(data + bytes(1 << 20))
    history = read_history(disk, FOLDER)
    assert repr(history) == repr(read_history(stored(data), FOLDER))  # repr: NaN is no equal of itself
    assert history.cut == []
    assert disk.read(PATH) == data
    torn = read_history(stored(data + b"torn" + bytes(1 << 20)), FOLDER)
    assert f"ended in 4 bytes of no whole record, cut at offset {len(data)}" in torn.cut[0]


def test_damage_before_reserved_space_is_found_all_the_same():
    data = bytearray(written())
    data[60] ^= 1
    with pytest.raises(JournalError, match="is damaged at offset"):
        read_history(stored(bytes(data) + bytes(1 << 20)), FOLDER)


def test_a_journal_cut_anywhere_is_read_up_to_there():
    data = written()
    offsets = scan(data, PATH).offsets
    for size in range(len(data)):
        history = read_history(stored(data[:size]), FOLDER)
        assert len(history.records) == sum(at <= size for at in offsets[1:])


def test_one_flipped_bit_below_the_last_mark_is_refused_with_its_offset():
    data = written()
    segment = scan(data, PATH)
    mark = next(m for _, _, m in read_all(stored(data), FOLDER) if isinstance(m, Marked))
    for at in range(mark.offset):
        for bit in (0, 7):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            with pytest.raises(JournalError) as raised:
                read_history(stored(bytes(damaged)), FOLDER)
            if at >= HEADER.size:
                frame_at = max(offset for offset in segment.offsets if offset <= at)
                assert f"damaged at offset {frame_at} of {len(data)}" in str(raised.value)


def test_one_flipped_bit_above_the_last_mark_is_a_torn_tail():
    data = written()
    segment = scan(data, PATH)
    mark = next(m for _, _, m in read_all(stored(data), FOLDER) if isinstance(m, Marked))
    for at in range(mark.offset, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1
        history = read_history(stored(bytes(damaged)), FOLDER)
        assert len(history.records) == sum(offset <= at for offset in segment.offsets) - 1
        assert len(history.cut) == 1


def test_a_journal_that_is_never_synced_refuses_damage_before_its_last_record():
    data = written(sync="os")
    offsets = scan(data, PATH).offsets
    for at in range(HEADER.size, offsets[-1]):
        damaged = bytearray(data)
        damaged[at] ^= 1
        with pytest.raises(JournalError, match="damaged at offset"):
            read_history(stored(bytes(damaged)), FOLDER)


def test_a_foreign_file_and_a_newer_format_are_refused():
    with pytest.raises(JournalError, match="damaged at offset 0, or no journal"):
        read_history(stored(b"PK\x03\x04" * 10), FOLDER)
    from zlib import crc32

    head = HEADER.pack(b"tickdjnl", 2, 1, 0)[:-4]
    newer = head + crc32(head).to_bytes(4, "little") + written()[HEADER.size :]
    with pytest.raises(JournalError, match="has format 2; this version reads up to 1"):
        read_history(stored(newer), FOLDER)


def test_a_sound_frame_that_holds_no_record_is_refused():
    data = written() + frame(b"\xee nothing known")
    with pytest.raises(JournalError, match=r"holds at offset \d+ what cannot be read"):
        read_history(stored(data), FOLDER)


def test_what_a_start_needs_begins_at_the_last_whole_checkpoint():
    disk = stored(written())
    second = Path("/journal/00000002.journal")
    disk.replace(
        second, header(synced=True) + frame(pack(RUN)) + frame(pack(EMPTY)) + frame(pack(Voided(9, "y")))
    )
    assert [type(record) for record in read_history(disk, FOLDER).records] == [Run, Checkpoint, Voided]
    newborn = header(synced=True) + frame(pack(RUN)) + frame(pack(EMPTY))[:-1]
    for size in range(len(newborn)):
        for reserved in (b"", bytes(1 << 16)):
            disk.replace(second, newborn[:size] + reserved)
            history = read_history(disk, FOLDER)
            assert len([record for record in history.records if isinstance(record, Voided)]) == 6
            assert history.run_last == 4


def test_a_segment_whose_first_page_a_power_cut_took_is_newborn_until_a_mark_promised_it():
    whole = header(synced=True) + frame(pack(RUN)) + frame(pack(EMPTY)) + frame(pack(Voided(9, "y")))
    headless = bytes(HEADER.size) + whole[HEADER.size :]
    disk = stored(written())
    disk.replace(Path("/journal/00000002.journal"), headless)
    assert "cut at offset 0" in read_history(disk, FOLDER).cut[0]
    with pytest.raises(JournalError, match="damaged at offset 0"):
        read_history(stored(headless + frame(pack_mark(len(whole)))), FOLDER)


@pytest.mark.parametrize("bit", range(8 * HEADER.size))
def test_a_segment_whose_header_a_power_cut_garbled_is_newborn_until_a_mark_promised_it(bit):
    whole = bytearray(
        header(synced=True) + frame(pack(RUN)) + frame(pack(EMPTY)) + frame(pack(Voided(9, "y")))
    )
    sound = len(whole)
    whole[bit // 8] ^= 1 << bit % 8
    for data in (whole, whole[: HEADER.size + 9]):
        disk = stored(written())
        disk.replace(Path("/journal/00000002.journal"), bytes(data))
        history = read_history(disk, FOLDER)
        assert "cut at offset 0" in history.cut[0]
        assert history.run_last == 4
    with pytest.raises(JournalError, match="damaged at offset 0"):
        read_history(stored(bytes(whole) + frame(pack_mark(sound))), FOLDER)


def test_a_garbled_header_of_a_journal_that_is_never_synced_is_refused():
    run = msgspec.structs.replace(RUN, config='[journal]\nsync = "os"')
    data = bytearray(header(synced=False) + frame(pack(run)) + frame(pack(EMPTY)))
    data[0] ^= 1
    with pytest.raises(JournalError, match="damaged at offset 0"):
        read_history(stored(bytes(data)), FOLDER)


def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is():
    disk = stored(b"once upon a time there was a text " * 9)
    with pytest.raises(JournalError, match="or no journal"):
        read_history(disk, FOLDER)
    assert disk.read(PATH).startswith(b"once upon")


def test_a_torn_tail_is_told_and_left_as_it_is():
    data = written()
    disk = stored(data + b"torn")
    told = []
    assert len(list(read_all(disk, FOLDER, told.append))) == 9
    (sentence,) = told
    assert sentence.endswith(
        f"ends in 4 bytes of no whole record, from offset {len(data)} on: they are left out"
    )
    assert disk.read(PATH) == data + b"torn"
    list(read_all(stored(data), FOLDER, told.append))
    assert len(told) == 1


def test_a_damaged_file_is_refused_before_any_of_its_records_is_told():
    data = bytearray(written())
    data[60] ^= 1
    with pytest.raises(JournalError, match=r"00000001.journal is damaged at offset \d+ of"):
        next(read_all(stored(bytes(data)), FOLDER))


@pytest.mark.parametrize("read", [read_history, lambda disk, folder: list(read_all(disk, folder))])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(monkeypatch, read):
    disk = stored(written())

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(disk, "read", refused)
    with pytest.raises(JournalError, match=r"00000001.journal cannot be read \(Permission denied\)"):
        read(disk, FOLDER)


def test_other_files_in_the_folder_are_left_alone():
    disk = stored(written())
    disk.replace(FOLDER / "lock", b"")
    assert len(list(read_all(disk, FOLDER))) == 9


def test_a_length_is_never_believed_past_the_file():
    data = written() + FRAME.pack(1 << 30, 0) + b"x"
    assert "9 bytes" in read_history(stored(data), FOLDER).cut[0]
