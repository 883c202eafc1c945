from __future__ import annotations

import json
import shutil

import pytest

from daemon import cli
from daemon.errors import EXIT_DONE, EXIT_USAGE
from tests.daemon.session.conftest import START_NS, Session

SECOND = 10**9


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A paper session of 20 s, whose market was silent for 8 s, and whose connection was cut for 2."""
    one = Session(tmp_path_factory.mktemp("session"))
    one.play(10)
    one.time.advance(one.time.now_ns() + 8 * SECOND)
    one.play(5, seed=2)
    one.ways.disconnected([0])
    one.time.advance(one.time.now_ns() + 2 * SECOND)
    one.play(5, seed=3)
    return one.end()


def report(capsys, *words):
    assert cli.main(["report", *map(str, words)]) == EXIT_DONE
    return capsys.readouterr().out


def test_a_journal_is_reported_for_people_and_programs(folder, capsys):
    assert "orders: FILLED 2, REJECTED 1" in report(capsys, folder)
    told = json.loads(report(capsys, folder, "--json"))
    assert told["orders"] == {"FILLED": 2, "REJECTED": 1, "CANCELED": 1, "UNKNOWN": 1}
    assert told["tape"] is None


def test_a_session_of_a_tape_is_its_run_with_the_gaps_of_its_feed(session, capsys):
    told = json.loads(report(capsys, session, "--json"))
    (ran,) = told["runs"]
    assert (ran["mode"], ran["exchange"], ran["strategies"]) == (
        "paper",
        "binance",
        {"ema_cross": ["BTC/USDT"]},
    )
    assert ran["begin"] == "2023-11-14T22:13:20.000000000Z"
    assert ran["end"] is not None
    assert told["feed"]["frames"] == 400
    gaps = [(one["seconds"], one["cut"], one["connection"]) for one in told["feed"]["listed"]]
    assert gaps == [(8.05, False, 0), (2.05, True, 0)]
    assert sum(told["orders"].values()) == told["summary"]["totals"][0]["orders"] > 0
    assert told["first_words"]["count"] > 0
    assert "was silent for 8.050 s" in report(capsys, session)


def test_the_journal_can_have_moved_and_a_run_be_named(session, tmp_path, capsys):
    journal = shutil.copytree(session.parent.parent / "journal", tmp_path / "elsewhere")
    there = json.loads(report(capsys, session, "--journal", journal, "--json"))
    run = there["runs"][0]["run"]
    alone = json.loads(report(capsys, journal, "--run", run, "--json"))
    assert there["journal"] == str(journal)
    for same in ("runs", "orders", "results", "summary", "first_words"):
        assert there[same] == alone[same]
    assert run * SECOND < START_NS


def test_a_page_is_written_once(folder, tmp_path, capsys):
    target = tmp_path / "page.html"
    report(capsys, folder, "--html", target)
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert cli.main(["report", str(folder), "--html", str(target)]) == EXIT_USAGE
    assert "page.html exists" in capsys.readouterr().err


def test_what_is_no_session_is_said_in_a_sentence(folder, session, tmp_path, capsys):
    (empty := tmp_path / "empty").mkdir()
    for words, sentence in (
        ((empty,), "holds no segment of a tape"),
        ((tmp_path / "none",), "does not exist"),
        ((folder, "--run", "5"), "holds no run 5 (it has 122163200)"),
        ((folder, "--journal", folder), "is a journal itself: leave --journal out"),
        ((session, "--run", "5"), "leave --run out, or name the journal's folder"),
        ((session, "--journal", empty), "holds no journal: name the one that the session wrote (--journal)"),
        # a number of a run is not enough: both have the same
        ((session, "--journal", folder), "is the journal of test, and the tape is of s: name the one"),
    ):
        assert cli.main(["report", *map(str, words)]) != EXIT_DONE
        told = capsys.readouterr()
        assert sentence in told.err
        assert told.err.count("\n") == 1
        assert told.out == ""
