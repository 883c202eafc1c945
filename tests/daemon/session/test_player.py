from __future__ import annotations

import pytest

from daemon.errors import FileFormatError
from daemon.session.entries import CORE, NESTED, READS, decode, decode_reads, encode, encode_reads
from daemon.session.player import (
    NumberedScheduler,
    ReadClock,
    ReadPulse,
    UnknownTimerError,
)


def test_the_clock_tells_what_was_read_and_counts_what_was_not():
    clock = ReadClock()
    clock.load([5, 7])
    assert (clock.now_ns(), clock.mono_ns(), clock.more) == (5, 7, 0)
    assert ReadPulse(clock).before_ns(1) == 7  # nothing is left: as the last
    assert clock.more == 1
    clock.load([1, 2])
    assert clock.left == 2
    with pytest.raises(AssertionError):
        clock.resync()


def test_timers_fire_by_number_once_and_not_after_a_cancel():
    rung = []
    scheduler = NumberedScheduler()
    scheduler.call_at(1, lambda: rung.append("a"))
    scheduler.call_at(2, lambda: rung.append("b")).cancel()
    scheduler.ring(1)
    for number in (1, 2, 3):
        with pytest.raises(UnknownTimerError):
            scheduler.ring(number)
    assert rung == ["a"]


def _place(entries, name):
    return next(at for at, one in enumerate(entries) if one.stream == CORE and decode(one.payload)[0] == name)


def test_a_timer_that_the_replay_never_asked_for_is_a_difference(entries, forged, verified):
    at = _place(entries, "timer")
    other = entries[at]._replace(payload=encode(("timer", [9999])))
    found = verified(forged([*entries[:at], other, *entries[at + 1 :]])).difference
    assert found.seq == at
    assert "the session raised nothing, and the replay UnknownTimerError" in found.text


@pytest.mark.parametrize(("more", "word"), [(1, "fewer"), (-1, "more")])
def test_readings_that_are_too_many_or_too_few_are_a_difference(entries, forged, verified, more, word):
    at = _place(entries, "start") + 1
    assert entries[at].stream == READS
    records, reads = decode_reads(entries[at].payload)
    other = [*reads, reads[-1]] if more > 0 else reads[:-1]
    forgery = entries[at]._replace(payload=encode_reads(records, other))
    found = verified(forged([*entries[:at], forgery, *entries[at + 1 :]])).difference
    assert f"the replay read 1 {word} times" in found.text


def test_a_call_within_a_call_cannot_be_replayed(entries, forged, verified):
    at = _place(entries, "timer")
    other = entries[at]._replace(payload=encode((NESTED, ["on_report"])))
    with pytest.raises(FileFormatError, match=f"cannot be verified from seq {at} on"):
        verified(forged([*entries[:at], other, *entries[at:]]))
