from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from daemon.events import Command
from daemon.session.entries import CORE, READS, decode, decode_reads
from daemon.spans import STAGES
from daemon.tape.reader import read_tape


def test_everything_is_on_the_tape_in_the_order_in_which_it_was_processed(entries):
    names = Counter(decode(one.payload)[0] for one in entries if one.stream == CORE)
    assert decode(entries[0].payload)[0] == "begin"
    assert names["second"] == 30
    assert names["connect"] == names["snapshot"] == names["meet"] == names["close"] == 1
    assert names["timer"] > 300  # the engine's watch, and what the paper venue sends and reports
    assert sum(one.stream == "feed/0" for one in entries) == 600
    assert all(one.last for one in entries if one.stream == "feed/0")
    assert [one.seq for one in entries] == list(range(len(entries)))
    times = [one.wire_ns for one in entries]
    assert times == sorted(times)


def test_a_tick_that_changes_nothing_costs_one_entry(entries):
    behind = [after.stream for one, after in pairwise(entries) if one.stream == "feed/0"]
    assert behind.count(READS) < 300


def test_readings_say_how_far_the_journal_is(entries):
    counts = [decode_reads(one.payload)[0] for one in entries if one.stream == READS]
    assert counts == sorted(counts)


def test_an_exception_is_noted_and_goes_on(tmp_path, new_session):
    run = new_session(tmp_path)
    run.core.engine.on_command = lambda command: 1 / 0
    with pytest.raises(ZeroDivisionError):
        run.core.doors.command(Command("halt", "cli"))
    path = run.end_of_tape()
    noted = [decode(one.payload) for one in read_tape(path) if one.stream == CORE]
    assert ("raised", ["ZeroDivisionError"]) in noted


def test_a_cut_and_a_book_have_their_streams(tmp_path, new_session):
    run = new_session(tmp_path)
    run.quote(100.0)
    run.ways.disconnected([0])
    run.desk.books(run.feed)(0, b"{}", 7)
    last = list(read_tape(run.end_of_tape()))
    streams = [one.stream for one in last]
    assert "cut/0" in streams
    book = last[streams.index("snapshot/BTC/USDT")]
    assert (book.wire_ns, book.payload) == (7, b"{}")


def test_the_slowest_tick_is_told_with_its_entry(tmp_path, new_session, monkeypatch):
    run = new_session(tmp_path)
    run.quote(100.0)
    monkeypatch.setattr(run.core.engine, "_stamp_ns", lambda: run.time.now_ns() + 5_000)
    run.quote(101.0)
    monkeypatch.undo()
    run.quote(102.0)
    slow = run.core.spans.slowest(run.time.now_ns())[STAGES.index("decode")]
    found = [one for one in read_tape(run.end_of_tape()) if one.seq == slow.seq]
    assert [(one.stream, b'"b":"101.00"' in one.payload) for one in found] == [("feed/0", True)]
    assert slow.span_s == 5e-6


def test_no_secret_can_be_on_it(session):
    header = read_tape(session).header
    assert set(header.session) == {"run", "journal"}
