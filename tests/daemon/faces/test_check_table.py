"""What a check of a backtest prints."""

from __future__ import annotations

import json

from daemon.faces.check_table import show
from daemon.research.parity import Parity

GIVEN = {
    "file": "f",
    "symbol": "A/B",
    "strategy": "s",
    "events": 1,
    "decisions": 2,
    "requests": 3,
    "fills": 4,
}


def test_people_read_what_holds_in_one_line_whatever_is_in_it(capsys):
    show(Parity(**GIVEN, same=True, text="[bold]all[/] " + "the same " * 30), as_json=False)
    assert capsys.readouterr().out == "[bold]all[/] " + "the same " * 30 + "\n"


def test_programs_are_told_all(capsys):
    show(Parity(**GIVEN, same=True, text="the same"), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        **GIVEN,
        "same": True,
        "difference": None,
        "text": "the same",
    }
