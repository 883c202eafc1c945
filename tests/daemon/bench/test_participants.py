from pathlib import Path

import pytest

from daemon.bench import participants as who
from daemon.config import load
from daemon.errors import TickdError
from daemon.options import LatencyOptions

URL = "http://127.0.0.1:9"
OPTIONS = LatencyOptions(symbols=2)


def test_the_daemon_runs_live_with_nothing_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = who.config("ours", URL, OPTIONS, Path("models/demo"))
    path = who.prepare(given)
    read = load(path, {})
    assert (read.mode, read.venue.kind, read.loop.spin) == ("live", "binance", True)
    assert read.feed.symbols == ("B000/USDT", "B001/USDT")
    assert [one.symbols for one in read.strategy] == [("B000/USDT",), ("B001/USDT",)]
    assert all(one.model for one in read.strategy)
    assert read.venue.ws_url == "ws://127.0.0.1:9/ours/ws-api/v3"
    assert read.journal.sync == "group"
    assert who.daemon_command(path)[2:5] == ["daemon.cli", "run", str(path)]
    assert "--live" in who.daemon_command(path)


def test_an_earlier_journal_is_cleared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = who.FOLDER / "journal" / "00000001.journal"
    old.parent.mkdir(parents=True)
    old.touch()
    who.prepare(who.config("ours", URL, OPTIONS, Path("m")))
    assert not old.exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("var").touch()
    with pytest.raises(TickdError, match="start the bench in a folder of yours"):
        who.prepare(who.config("ours", URL, OPTIONS, Path("m")))


@pytest.mark.parametrize(
    ("name", "mode", "spins"),
    [
        (who.FLOOR_SPIN, "epoll", True),
        (who.FLOOR_SLEEP, "spin", False),
        (who.ECHO, "spin", True),
        (who.ECHO, "epoll", False),
        (who.NAIVE, "spin", False),
    ],
)
def test_who_spins(name, mode, spins):
    command = who.peer_command(name, URL, LatencyOptions(mode=mode), Path("models/demo"))
    assert ("--spin" in command) is spins
    assert f"{URL}/{name}" in command


def test_the_exchange_has_the_symbols_that_are_asked_for():
    assert who.exchange_command(OPTIONS)[3:6] == ["exchange", "--symbols", "2"]
