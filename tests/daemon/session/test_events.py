from __future__ import annotations

from daemon.session.entries import CORE, READS, encode, encode_reads
from daemon.session.events import Events
from daemon.tape.reader import Entry


def tape(*entries):
    return [Entry(seq, 10 + seq, stream, True, payload) for seq, (stream, payload) in enumerate(entries)]


def call(name, *arguments):
    return CORE, encode((name, arguments))


FRAME = ("feed/0", b"{}")


def test_what_stands_behind_an_entry_belongs_to_it():
    entries = tape(
        call("timer", 3),
        (READS, encode_reads(4, [7, 8])),
        call("append_failed", 4, 28, "full", False),
        call("raised", "ValueError"),
        FRAME,
        FRAME,
    )
    first, second = Events(entries)
    assert (first.name, first.arguments, first.reads, first.records) == ("timer", [3], [7, 8], 4)
    assert (first.failures, first.raised) == (((4, 28, "full", False),), "ValueError")
    assert (second.name, second.entry.stream, second.records) == ("", "feed/0", -1)


def test_without_an_end_the_last_is_left_out_for_its_readings_may_be_missing():
    events = Events(tape(FRAME, FRAME, call("stop")))
    assert len(list(events)) == 2
    assert not events.closed


def test_the_end_is_the_last_that_counts():
    for behind in ([], [(READS, encode_reads(1, [2]))], [(READS, encode_reads(1, [2])), call("timer", 9)]):
        events = Events(tape(FRAME, call("close"), *behind))
        assert [event.name for event in events] == ["", "close"]
        assert events.closed


def test_a_hole_ends_it_before_what_may_be_incomplete():
    whole = tape(FRAME, FRAME, FRAME, FRAME)
    events = Events([*whole[:2], *whole[3:]])
    assert [event.entry.seq for event in events] == [0]
    assert events.lost_from == 2
    assert list(Events([])) == []
