from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.clock import VirtualTime
from daemon.memory_disk import MemoryDisk
from daemon.pulse import STEADY
from daemon.session.seams import (
    NotingDisk,
    RecordingClock,
    RecordingPulse,
    RecordingScheduler,
    RecordingVenue,
)


def test_the_clock_and_the_pulse_note_what_they_tell():
    noted = []
    time = VirtualTime(5)
    clock = RecordingClock(time, noted.append)
    assert (clock.now_ns(), clock.mono_ns()) == (5, 5)
    assert RecordingPulse(STEADY, noted.append).before_ns(9) == 0
    assert noted == [5, 5, 0]
    with pytest.raises(AssertionError):
        clock.resync()


def test_timers_are_numbered_as_they_are_asked_for_and_ring_by_their_number():
    time, rung = VirtualTime(), []
    scheduler = RecordingScheduler(time, lambda number, fn: rung.append((number, fn())))
    scheduler.call_at(20, lambda: "a")
    scheduler.call_at(10, lambda: "b")
    scheduler.call_at(15, lambda: "c").cancel()
    time.advance(30)
    assert rung == [(2, "b"), (1, "a")]


def test_a_venues_state_is_noted_and_what_is_asked_of_it_passes():
    asked, noted = [], []
    venue = SimpleNamespace(
        name="binance", can_amend=True, can_replace=True, up=True, losses=3, is_short=lambda: False,
        place=asked.append, cancel=asked.append, amend=None, query=None, clock_stepped=None, start=None,
        stop=None, snapshot=None, replace=lambda old, new: asked.append((old, new)),
    )  # fmt: skip
    recorded = RecordingVenue(venue, noted.append)
    assert (recorded.name, recorded.can_amend, recorded.can_replace) == ("binance", True, True)
    assert recorded.up
    assert not recorded.is_short()
    venue.up = False
    assert not recorded.up
    assert noted == [True, False, False]
    assert recorded.losses == 3
    recorded.place("order")
    recorded.replace("old", "new")
    assert asked == ["order", ("old", "new")]


def test_of_the_disk_it_keeps_what_a_start_read():
    disk = MemoryDisk()
    disk.replace(Path("j/00000001.journal"), b"12345678")
    disk.replace(Path("j/memories.checkpoint"), b"learnt")
    noting = NotingDisk(disk)
    assert noting.read(Path("j/00000001.journal")) == b"12345678"
    assert noting.journals == {"00000001.journal": 8}
    noting.truncate(Path("j/00000001.journal"), 5)
    noting.read(Path("j/memories.checkpoint"))
    assert (noting.journals, noting.memories) == ({"00000001.journal": 5}, b"learnt")
    assert noting.boot() == noting.booted == disk.boot()
    noting.remove(Path("j/00000001.journal"))
    assert noting.list(Path("j")) == [Path("j/memories.checkpoint")]
