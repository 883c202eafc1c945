from __future__ import annotations

import subprocess
import sys

import pytest

from daemon import cli
from daemon.errors import TickdError, UsageError
from daemon.new_strategy import run


def test_its_test_passes_and_fails_once_the_strategy_is_another(root, tmp_path):
    assert run("reversal", tmp_path) == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_reversal.py"]

    def test():
        return subprocess.run(
            command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False
        )

    passed = test()
    assert "4 passed" in passed.stdout, passed.stdout
    path = tmp_path / "reversal.py"
    path.write_text(path.read_text().replace("zscore <= -params", "zscore >= params"))
    assert test().returncode == 1


def test_the_command_says_what_to_do_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new", "strategy", "mine", "--folder", "own"]) == 0
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["mine.py", "test_mine.py"]
    said = capsys.readouterr().out
    assert "own/mine.py and own/test_mine.py are written" in said
    assert "tickd demo --strategy own/mine.py" in said


@pytest.mark.parametrize("name", ["a-b", "1st", "class", "", "größer", "json", "ml", "../x"])
def test_a_name_that_cannot_be_imported_or_is_another_s_is_refused(name, tmp_path):
    with pytest.raises(UsageError):
        run(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py"])
def test_what_exists_is_left_as_it_is(there, tmp_path):
    (tmp_path / there).write_text("# of a person's\n")
    with pytest.raises(UsageError, match=f"{there} exists already"):
        run("mine", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [there]


def test_a_folder_that_cannot_be_written_is_one_sentence_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TickdError, match=r"below cannot be written \("):
        run("mine", tmp_path / "file" / "below")
