from __future__ import annotations

from shutil import rmtree

from daemon.session.entries import decode
from daemon.tape.reader import read_tape

SECOND = 1_000_000_000


def test_the_header_names_run_and_journal(session):
    header = read_tape(session).header
    assert session.name == f"s-{header.session['run']}"
    assert header.session["journal"].endswith("journal")
    assert [one.symbol for one in header.instruments] == ["BTC/USDT"]
    assert header.mode == "paper"


def test_the_first_entry_says_how_it_began(entries, session):
    name, (begin,) = decode(entries[0].payload)
    assert name == "begin"
    assert begin.run == read_tape(session).header.session["run"]
    assert (begin.paper, begin.venue, begin.memories, begin.journals) == (True, "paper", None, {})
    assert set(begin.hashes) == {"0 ema_cross"}


def test_a_person_is_told_of_a_tape_that_cannot_be_written(tmp_path, new_session):
    run = new_session(tmp_path)
    told = []
    run.core.orders.observers.append(told.append)
    run.tape.on_alarm("the disk is full")
    assert [(one.kind, one.text) for one in told] == [("tape", "the disk is full")]
    run.end_of_tape()


def test_what_a_paper_venues_waits_were_drawn_from_is_on_the_record(new_session, verified, tmp_path):
    quick = new_session(tmp_path / "quick", latency_in_us=1000, latency_out_us=2000)
    quick.play(60)
    quick.end()
    measured = f"measured:{tmp_path / 'quick' / 'journal'}"
    session = new_session(tmp_path / "drawn", latency=measured, start_ns=quick.time.now_ns() + SECOND)
    session.play(20)
    path = session.end()
    rmtree(tmp_path / "quick")
    verdict = verified(path)
    assert (verdict.difference, verdict.complete) == (None, True)
    assert session.core.tally.fills > 0
