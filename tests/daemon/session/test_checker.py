from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from daemon.errors import JournalError
from daemon.memory_disk import MemoryDisk
from daemon.orders.journal import SUFFIX
from daemon.orders.order import Order
from daemon.orders.records import Checkpoint, Ended, Run, Voided, frame, header, pack, pack_mark
from daemon.orders.valuation import Baseline
from daemon.session.checker import Checker, Journalled, ReplayDisk, find_run, same
from daemon.session.entries import Begin

FOLDER = Path("journal")


def run(number, **more):
    return pack(Run(1, "s", number, "0.1", [], [], "", **more))


def voided(number):
    return pack(Voided(number, f"s-1-{number}"))


def write(disk, number, *bodies):
    file = disk.append(FOLDER / f"{number:08d}{SUFFIX}")
    file.write(header(synced=True))
    for body in bodies:
        file.write(frame(body))
    return FOLDER / f"{number:08d}{SUFFIX}"


def test_a_run_is_found_between_others_without_marks_and_its_end_and_with_its_rotations():
    disk = MemoryDisk()
    first = write(disk, 1, run(1), voided(1))
    write(disk, 2, run(2), voided(2), pack_mark(16))
    write(disk, 3, run(2), voided(3), pack(Ended(9)), pack_mark(16))
    write(disk, 4, run(3), voided(4))
    found = find_run(disk, FOLDER, 2)
    assert found == Journalled([first], [run(2), voided(2), run(2), voided(3)], False)
    assert find_run(disk, FOLDER, 3).open_end
    with pytest.raises(JournalError, match="has no run 9"):
        find_run(disk, FOLDER, 9)


def checker(*bodies):
    return Checker(Journalled([], list(bodies), True))


def test_records_are_compared_in_order_and_the_first_that_differs_stays():
    one = checker(voided(1), voided(2), voided(3))
    one.write(voided(1))
    one.write(voided(9))
    one.write(voided(8))
    assert one.mismatch == (1, voided(2), voided(9))


def test_a_record_too_early_and_one_that_is_missing_are_found_at_their_event():
    early = checker(voided(1), voided(2))
    early.allowed = 1
    early.write(voided(1))
    early.write(voided(2))  # the same, but the session had it at a later event
    assert early.mismatch == (1, None, voided(2))
    missing = checker(voided(1), voided(2))
    missing.write(voided(1))
    missing.end_event()
    assert missing.mismatch == (1, voided(2), None)


def test_beyond_the_journals_end_nothing_is_known():
    one = checker(voided(1))
    one.write(voided(1))
    assert one.whole
    one.allowed = 2  # the session had recorded more, as its tape says
    one.write(voided(2))
    assert one.lost
    assert one.mismatch is None
    assert not one.whole


def test_a_record_too_much_at_the_very_end_is_a_difference_and_no_lost_tail():
    one = checker(voided(1))
    one.write(voided(1))
    one.write(voided(2))
    assert one.mismatch == (1, None, voided(2))
    assert not one.lost


def test_appends_fail_as_they_did():
    one = checker(voided(1), voided(2))
    one.expect_failures([(1, 28, "full", False), (1, 5, "broken", True)])
    one.write(voided(1))
    with pytest.raises(OSError, match="full"):
        one.write(voided(2))
    one.write(voided(2))
    with pytest.raises(OSError, match="broken"):
        one.sync()
    one.sync()
    assert one.mismatch is None


def test_a_run_may_be_of_another_version_and_configuration_alone():
    assert same(run(1), pack(Run(1, "s", 1, "0.2", [], [], "other")))
    assert same(run(1), run(1, tells_end=True))  # an older one recorded no end
    assert not same(run(1), run(1, boot="x"))
    assert not same(voided(1), voided(2))


def saved(**more):
    given = {"seq": 1, "strategy": 0, "instrument": 0, "slot": 0, "row": 0, "kind": 2, "level": 1, "side": 1}
    given |= {"client_order_id": "s-1-1", "price_ticks": 5, "qty_lots": 7, "reduces": False}
    return pack(Checkpoint(1, None, [Order(**given | more)], [], [], {}, {}, [], Baseline(0, 1.0, 1.0), 0))


def test_a_checkpoint_may_lack_what_its_version_did_not_write_of_an_order():
    parts = msgspec.msgpack.decode(saved()[1:])
    del parts[2][0]["amends"]
    older = saved()[:1] + msgspec.msgpack.encode(parts)
    assert older != saved()
    assert same(older, saved())
    assert not same(older, saved(amends=1))
    assert not same(older, saved(filled_lots=1))


def begin(**more):
    usual = {"run": 2, "paper": True, "venue": "paper", "can_amend": True, "can_replace": False}
    usual |= {"memories": b"m", "journals": {}, "boot": ("b", 3), "hashes": {}}
    return Begin(**(usual | more))


def test_its_disk_is_what_the_sessions_start_had_found():
    real = MemoryDisk()
    earlier = write(real, 1, run(1))
    found = Journalled([earlier], [run(2), voided(1)], True)
    check = Checker(found)
    size = len(real.read(earlier))
    disk = ReplayDisk(real, Path("var/j"), found, check, begin(journals={earlier.name: size}))
    path = Path("var/j") / earlier.name
    assert path in disk.list(Path("var/j"))
    assert disk.read(path) == real.read(earlier)
    disk.truncate(path, 1)
    assert disk.read(path) == real.read(earlier)
    assert disk.read(Path("var/j/memories.checkpoint")) == b"m"
    assert disk.boot() == ("b", 3)
    file = disk.journal(Path("var/j/00000002.journal"))
    file.write(header(synced=True))
    file.write(frame(run(2)))
    file.sync()
    file.write(frame(voided(1)))
    file.close()
    assert check.whole
    with pytest.raises(JournalError, match=f"which has {size} now"):
        ReplayDisk(real, Path("var/j"), found, check, begin(journals={earlier.name: size + 8}))
