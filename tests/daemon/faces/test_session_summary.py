from __future__ import annotations

import json
from io import StringIO

from rich.console import Console

from daemon.faces.session_summary import show, table
from daemon.session.difference import Found
from daemon.session.verify import Verdict


def verdict(**more):
    usual = {"session": "tape/s-1", "run": 1, "events": 1200, "until": "then", "records": 7}
    usual |= {"records_of_session": 9, "digests": 2, "complete": False, "why_short": "the tape has no end"}
    return Verdict(**(usual | more))


def text(one):
    console = Console(width=200, record=True, file=StringIO())
    console.print(table(one))
    return console.export_text()


def test_a_table_says_how_far_it_came():
    assert "so far: the tape has no end" in text(verdict())
    assert "to its end" in text(verdict(complete=True, why_short=""))
    assert "7 of 9" in text(verdict())


def test_the_first_difference_stands_in_it():
    found = Found(
        text="at event 5 it differs", seq=5, stream="feed/0", event="x", order="s-1-3",
        feature="feature mid", session="1.0", replay="2.0", since="a", until="b",
    )  # fmt: skip
    shown = text(verdict(difference=found, changed=["params.qty 1 is 2"]))
    for part in ("NO", "5 of feed/0", "s-1-3", "feature mid", "1.0", "2.0", "a to b", "params.qty 1 is 2"):
        assert part in shown


def test_programs_get_all_of_it(capsys):
    show(verdict(), as_json=True)
    assert json.loads(capsys.readouterr().out)["records_of_session"] == 9
