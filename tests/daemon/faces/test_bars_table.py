from __future__ import annotations

from daemon.faces import bars_table
from daemon.tape.bars import COLUMNS, BarsResult


def made(**more: object) -> BarsResult:
    row = dict.fromkeys(COLUMNS, "1.25") | {"open_ns": "1723161300000000000", "complete": "1"}
    return BarsResult(
        file="f",
        symbol="BTC/USDT",
        by="every 60 s",
        clock="exchange",
        bars=7,
        trades=1_234,
        last=[row],
        **more,
    )


def test_a_bar_is_a_line_and_an_incomplete_one_is_marked(capsys):
    result = made()
    bars_table.show(result, as_json=False)
    printed = capsys.readouterr().out
    assert "2024-08-08T23:55:00.000000000Z" in printed
    assert "the last 1 of 7 bars" in printed
    assert "incomplete" not in printed
    result.last[0]["complete"] = "0"
    bars_table.show(result, as_json=False)
    assert "incomplete" in capsys.readouterr().out


def test_no_number_is_cut_however_narrow_the_screen(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    result = made()
    result.last[0]["volume"] = "123456.00000001"
    bars_table.show(result, as_json=False)
    assert "123456.00000001" in capsys.readouterr().out


def test_the_sentence_tells_faults_or_that_there_were_none():
    assert bars_table.sentence(made(empty=2)) == "1,234 trades, 2 intervals without one; faults: none"
    said = bars_table.sentence(made(missed=3, ignored=2, errors={"json": 1}))
    assert said.endswith("faults: trades missed 3, without price or quantity 2, frames refused (json) 1")


def test_programs_get_one_object(capsys):
    bars_table.show(made(), as_json=True)
    assert '"bars":7' in capsys.readouterr().out
