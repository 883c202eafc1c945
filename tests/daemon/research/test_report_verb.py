from __future__ import annotations

from html.parser import HTMLParser

import pytest

from daemon.cli import main
from daemon.errors import TickdError, UsageError
from daemon.options import BacktestOptions
from daemon.research.backtest_verb import backtest
from daemon.research.report_verb import backtest_with_page


def test_the_command_writes_a_page_of_the_very_backtest_and_overwrites_nothing(swung, tmp_path, capsys):
    path = tmp_path / "report.html"
    assert main(["backtest", str(swung), "--html", str(path), "--no-reruns", "--json"]) == 0
    text = path.read_text()
    alone = backtest(BacktestOptions(path=swung))
    assert alone.decision_digest in text
    assert f"{alone.net:,.4f}, after fees" in text
    HTMLParser().feed(text)
    before = path.read_bytes()
    assert main(["backtest", str(swung), "--html", str(path)]) == 2
    assert "exists and is not overwritten" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_is_told_in_a_sentence(swung, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TickdError, match="cannot be written"):
        backtest_with_page(BacktestOptions(path=swung, reruns=False), tmp_path / "file" / "report.html")


def test_a_file_that_is_there_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        backtest_with_page(BacktestOptions(path=tmp_path / "none"), tmp_path)
