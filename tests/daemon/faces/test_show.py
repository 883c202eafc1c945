from __future__ import annotations

import json
import struct
from types import SimpleNamespace

import pytest

from daemon.disk import RealDisk
from daemon.errors import UsageError
from daemon.events import Command
from daemon.faces import show
from daemon.faces.journal_table import Row
from daemon.orders import records
from daemon.orders.journal import SUFFIX
from daemon.status import Status


def status():
    return Status(name="t", mode="paper", version="1", state="READY", now_ns=1, uptime_s=2.0, quote="USDT")


def write_journal(folder):
    row = struct.pack("<2d", 0.5, -1.0)
    refused = records.REFUSE, 7, 8, 0, 0, *range(10)
    bodies = [
        records.pack(records.CommandTaken(5, Command("halt", "cli", "lunch"))),
        records.pack_action(*refused) + row,
    ]
    file = RealDisk().append(folder / f"00000001{SUFFIX}")
    file.write(records.header(synced=False) + b"".join(records.frame(body) for body in bodies))
    file.close()


def test_a_status_is_printed_for_people_or_programs(capsys):
    show.print_status(status(), as_json=True)
    assert json.loads(capsys.readouterr().out)["state"] == "READY"
    show.print_status(status(), as_json=False)
    said = capsys.readouterr().out
    assert "running" in said
    assert "ended READY" not in said


def test_a_journal_is_listed_record_by_record(tmp_path, capsys):
    write_journal(tmp_path)
    show.print_journal(tmp_path, as_json=False)
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["time", "(UTC)", *Row._fields[1:]]
    assert first.split()[2:] == ["halt", "cli:", "lunch"]
    assert "collar" in second
    show.print_journal(tmp_path, as_json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["command"] == {"verb": "halt", "source": "cli", "reason": "lunch"}
    assert second["row"] == [0.5, -1.0]
    assert first["offset"] == records.HEADER.size


def test_a_folder_without_a_journal_is_told(tmp_path):
    with pytest.raises(UsageError, match="holds no journal"):
        show.print_journal(tmp_path, as_json=False)


def test_one_orders_way_is_printed_for_people_or_programs_and_a_strange_one_named(tmp_path, capsys):
    run = records.Run(5, "one", 7, "1", [("maker", ["A/B"])], ["A/B"], "")
    placed = records.PLACE, 9, 3, 0, 0, *range(10)
    file = RealDisk().append(tmp_path / f"00000001{SUFFIX}")
    bodies = (records.pack(run), records.pack_action(*placed))
    file.write(records.header(synced=False) + b"".join(map(records.frame, bodies)))
    file.close()
    show.print_waterfall(tmp_path, "one-7-3", as_json=False)
    assert "  tick  " in capsys.readouterr().out
    show.print_waterfall(tmp_path, "one-7-3", as_json=True)
    first = json.loads(capsys.readouterr().out)
    assert (first["stage"], first["since_ns"], first["venue_ns"]) == ("tick", 0, None)
    with pytest.raises(UsageError, match="holds no order ''; tickd journal"):
        show.print_waterfall(tmp_path, "", as_json=False)
    with pytest.raises(UsageError, match="holds no order 'one-7-4'; tickd journal"):
        show.print_waterfall(tmp_path, "one-7-4", as_json=False)


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


def test_training_shows_progress_and_reports_what_it_made(tmp_path, monkeypatch, capsys):
    from daemon.research import train

    def stand_in(disk, out, *, seed, minutes, horizon_ms, on_step):
        on_step("growing trees")
        manifest = SimpleNamespace(command=f"tickd train --seed {seed}", metrics={"auc": 0.6})
        return SimpleNamespace(folder=out, manifest=manifest)

    monkeypatch.setattr(train, "train_synthetic", stand_in)
    show.train(tmp_path, seed=3, minutes=20, horizon_ms=1000, as_json=True)
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "folder": str(tmp_path),
        "command": "tickd train --seed 3",
        "metrics": {"auc": 0.6},
    }
    assert "training: growing trees" in err
    show.train(tmp_path, seed=3, minutes=20, horizon_ms=1000, as_json=False)
    assert "auc: 0.6" in capsys.readouterr().out
