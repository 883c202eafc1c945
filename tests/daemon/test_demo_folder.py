from __future__ import annotations

from pathlib import Path

import pytest

from daemon.demo_folder import FOLDER, DemoFolder
from daemon.disk import RealDisk
from daemon.errors import TickdError

JOURNAL, TAPE = FOLDER / "journal", FOLDER / "tape"
KEPT = JOURNAL / "00000001.journal"
SESSION = TAPE / "demo-1" / "00000001.arrows"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def folder():
    return DemoFolder(JOURNAL, TAPE)


def traded(name):
    """Leave what a demo leaves that has traded."""
    one = folder()
    one.prepare(f"# of {name}")
    for path in (KEPT, SESSION):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    one.begin()
    one.release()


def left():
    return {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob("*") if path.is_file()}


def of(name):
    parts = {"demo.toml": f"# of {name}", "journal/00000001.journal": name}
    return {**parts, "tape/demo-1/00000001.arrows": name}


def test_a_demo_that_trades_takes_the_place_of_the_one_before():
    traded("first")
    assert left() == of("first")
    traded("second")
    assert left() == of("second")
    assert {path.name for path in FOLDER.iterdir()} == {"demo.toml", "journal", "tape"}


def test_a_demo_that_is_refused_leaves_what_the_one_before_it_left():
    traded("first")
    one = folder()
    one.prepare("# refused")
    assert not KEPT.exists()  # its daemon begins with nothing
    JOURNAL.mkdir(parents=True)
    KEPT.write_text("half a start")
    one.release()
    assert left() == of("first")


def test_a_demo_that_was_killed_before_it_traded_costs_neither():
    traded("first")
    killed = folder()
    killed.prepare("# killed")
    JOURNAL.mkdir(parents=True)
    KEPT.write_text("half a start")
    killed._disk.release()  # as its end does
    one = folder()
    one.prepare("# refused")
    one.release()
    assert left() == of("first")


def test_a_demo_that_began_keeps_what_it_traded_whatever_is_left_of_the_one_before(monkeypatch):
    traded("first")
    one = folder()
    one.prepare("# of second")
    for path in (KEPT, SESSION):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("second")
    with monkeypatch.context() as patched:
        patched.setattr("daemon.demo_folder.shutil.rmtree", lambda *_, **__: None)  # another user's files
        one.begin()
    one.release()
    kept = left()
    assert {name: kept[name] for name in of("second")} == of("second")
    traded("third")
    assert left() == of("third")


@pytest.mark.parametrize("held", ["lock", "journal/lock"])
def test_a_demo_that_runs_here_already_is_left_alone_from_its_first_moment(held):
    first = RealDisk()
    first.lock(FOLDER / held)  # a start, or a daemon by hand: neither answers on a socket yet
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text("kept")
    one = folder()
    with pytest.raises(TickdError, match="a demo is running in var/demo already"):
        one.prepare("")
    one.release()
    assert not one.config.exists()
    assert KEPT.read_text() == "kept"
    first.release()
    one.prepare("")
    assert one.config.exists()
    assert not KEPT.exists()
    one.release()
    assert KEPT.read_text() == "kept"


def test_what_cannot_be_written_is_named():
    Path("var").write_text("taken")
    with pytest.raises(TickdError, match="var/demo cannot be written"):
        folder().prepare("")
