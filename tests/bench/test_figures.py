from __future__ import annotations

import json

import pytest

from tests.bench.figures import Report, figure, machine, show


def made(ratio_min=2.0):
    return figure(
        "a run", "ms", "a peer", [1.0, 2.0, 4.0], [3.0, 4.0, 20.0], samples=300, ratio_min=ratio_min
    )


def test_a_ratio_is_of_neighbours_and_theirs_to_ours():
    one = made()
    assert (one.ratio.low, one.ratio.median, one.ratio.high) == (2.5, 3.0, 4.0)
    assert (one.ours.median, one.theirs.median, one.rounds) == (2.0, 4.0, 3)


@pytest.mark.parametrize(("wanted", "reached"), [(3.0, True), (3.1, False), (None, None)])
def test_the_median_ratio_is_what_has_to_reach(wanted, reached):
    assert made(wanted).reached is reached


def test_programs_get_one_object(capsys):
    show(Report(machine="a machine", seed=4, figures=[made()], notes=["a note"]), as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["figures"][0]["ratio"] == {"low": 2.5, "median": 3.0, "high": 4.0}
    assert (said["machine"], said["seed"], said["notes"]) == ("a machine", 4, ["a note"])


def test_people_get_every_column_however_narrow_their_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show(Report(machine=machine(), seed=4, figures=[made(), made(9.0)], notes=["a note"]), as_json=False)
    said = capsys.readouterr().out
    for text in ("2 (1.5-3) ms", "3 (2.5-4)", "at least 9", "not reached", "300 in 3", "a note", "seed 4"):
        assert text in said
