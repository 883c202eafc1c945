from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from daemon.faces import show
from daemon.options import TrainOptions
from daemon.status import Status


def status():
    return Status(name="t", mode="paper", version="1", state="READY", now_ns=1, uptime_s=2.0, quote="USDT")


def test_a_status_is_printed_for_people_or_programs(capsys):
    show.print_status(status(), as_json=True)
    assert json.loads(capsys.readouterr().out)["state"] == "READY"
    show.print_status(status(), as_json=False)
    said = capsys.readouterr().out
    assert "running" in said
    assert "ended READY" not in said


def test_watching_reads_the_socket_until_interrupted(tmp_path, monkeypatch):
    looks = []

    def fetch(path):
        looks.append(path)
        if len(looks) == 3:
            raise KeyboardInterrupt
        return status()

    monkeypatch.setattr(show, "fetch_status", fetch)
    show.watch_socket(tmp_path / "a.sock", 0.0)
    assert looks == [tmp_path / "a.sock"] * 3


@pytest.mark.parametrize(
    ("answers", "code", "said"),
    [
        ([["0.1 BTC of a", "1 open order"], ["0.1 BTC of a"], ["0.1 BTC of a"], []], 0, [
            "0.1 BTC of a; 1 open order", "0.1 BTC of a",
            "flatten is done: no order stands, nothing but dust is held",
        ]),
        ([["0.1 BTC of a"], None], 0, ["0.1 BTC of a", "flatten has ended: trading was resumed"]),
        ([["0.1 BTC of a"]] * 9, 1, [
            "0.1 BTC of a", "flatten is not done after 0.02 s and goes on; see tickd state",
        ]),
    ],
)  # fmt: skip
def test_a_flatten_is_followed_until_it_is_done_resumed_or_takes_too_long(
    monkeypatch, tmp_path, capsys, answers, code, said
):
    monkeypatch.setattr("daemon.faces.terminal._FLAT_S", 0.005)
    left = iter(answers)
    monkeypatch.setattr(show, "fetch_status", lambda path: replace(status(), flatten_left=next(left)))
    assert show.follow_flatten(tmp_path / "a.sock", 0.02) == code
    assert capsys.readouterr().out.splitlines() == said


def test_training_shows_progress_and_reports_what_it_made(tmp_path, monkeypatch, capsys):
    from daemon.research import train

    def stand_in(disk, out, *, seed, minutes, horizon_ms, on_step):
        on_step("growing trees")
        manifest = SimpleNamespace(command=f"tickd train --seed {seed}", metrics={"auc": 0.6})
        return SimpleNamespace(folder=out, manifest=manifest)

    monkeypatch.setattr(train, "train_synthetic", stand_in)
    options = TrainOptions(path=None, out=tmp_path, seed=3, minutes=20, horizon_ms=1000, json=True)
    show.train(options)
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "folder": str(tmp_path),
        "command": "tickd train --seed 3",
        "metrics": {"auc": 0.6},
    }
    assert "training: growing trees" in err
    show.train(replace(options, json=False))
    assert "auc: 0.6" in capsys.readouterr().out
