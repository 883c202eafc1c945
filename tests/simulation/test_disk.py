"""The faulty disk: what a power cut, a kill and an error leave."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from daemon.clock import VirtualTime
from tests.simulation.disk import FaultyDisk

PATH = Path("/journal/1")


def test_a_power_cut_keeps_what_was_synced_and_some_of_what_was_not():
    lengths, garbled = Counter(), 0
    for seed in range(300):
        disk = FaultyDisk(Random(seed), VirtualTime())
        file = disk.append(PATH)
        file.write(b"durable")
        file.sync()
        file.write(b"and the rest")
        disk.power_cut()
        left = disk.read(PATH)
        assert left.startswith(b"durable")
        tail = left[len(b"durable") :]
        lengths[len(tail)] += 1
        garbled += not b"and the rest".startswith(tail)
    assert set(lengths) == set(range(len(b"and the rest") + 1))
    assert 120 < lengths[0] < 200
    assert 20 < garbled < 80


def test_what_a_power_cut_left_is_there_after_another():
    disk = FaultyDisk(Random(1), VirtualTime())
    disk.append(PATH).write(b"x" * 100)
    disk.power_cut()
    left = disk.read(PATH)
    disk.power_cut()
    assert disk.read(PATH) == left


def test_a_killed_process_loses_its_lock_and_no_byte():
    disk = FaultyDisk(Random(1), VirtualTime())
    disk.append(PATH).write(b"x")
    disk.lock(PATH)
    disk.killed()
    disk.lock(PATH)
    assert disk.read(PATH) == b"x"


@pytest.mark.parametrize(("fault", "error"), [("fails_writes", "Input/output"), ("full", "No space")])
def test_a_failing_disk_takes_nothing(fault, error):
    disk = FaultyDisk(Random(1), VirtualTime())
    file = disk.append(PATH)
    setattr(disk, fault, True)
    with pytest.raises(OSError, match=error):
        file.write(b"x")
    assert disk.read(PATH) == b""
