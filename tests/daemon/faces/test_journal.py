from __future__ import annotations

import csv
import json
import struct

import pytest
from pyarrow import parquet

from daemon.disk import RealDisk
from daemon.errors import JournalError, UsageError
from daemon.events import Command
from daemon.faces import journal as module
from daemon.faces.journal_table import Row
from daemon.faces.journal_views import VIEWS
from daemon.options import JournalOptions
from daemon.orders import records
from daemon.orders.journal import SUFFIX

NS = 1_700_000_000_000_000_000


def run(folder, **more):
    assert module.run(JournalOptions(folder=folder, **more)) == 0


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


def test_a_journal_is_listed_record_by_record(tmp_path, capsys):
    write_journal(tmp_path)
    run(tmp_path)
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["time", "(UTC)", *Row._fields[1:]]
    assert first.split()[2:] == ["halt", "cli:", "lunch"]
    assert "collar" in second
    run(tmp_path, json=True)
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["command"] == {"verb": "halt", "source": "cli", "reason": "lunch", "rebase": False}
    assert second["row"] == [0.5, -1.0]
    assert first["offset"] == records.HEADER.size


def test_a_folder_without_a_journal_is_told(tmp_path):
    with pytest.raises(UsageError, match="holds no journal"):
        run(tmp_path)


def test_one_orders_way_is_printed_for_people_or_programs_and_a_strange_one_named(tmp_path, capsys):
    begun = records.Run(5, "one", 7, "1", [("maker", ["A/B"])], ["A/B"], "")
    placed = records.PLACE, 9, 3, 0, 0, *range(10)
    file = RealDisk().append(tmp_path / f"00000001{SUFFIX}")
    bodies = (records.pack(begun), records.pack_action(*placed))
    file.write(records.header(synced=False) + b"".join(map(records.frame, bodies)))
    file.close()
    run(tmp_path, waterfall="one-7-3")
    assert "  tick  " in capsys.readouterr().out
    run(tmp_path, waterfall="one-7-3", json=True)
    first = json.loads(capsys.readouterr().out)
    assert (first["stage"], first["since_ns"], first["venue_ns"]) == ("tick", 0, None)
    with pytest.raises(UsageError, match="holds no order ''; tickd journal"):
        run(tmp_path, waterfall="")
    with pytest.raises(UsageError, match="holds no order 'one-7-4'; tickd journal"):
        run(tmp_path, waterfall="one-7-4")


# --- rows -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("view", ["records", *VIEWS])
def test_every_view_is_printed_and_exported_alike(folder, tmp_path, capsys, view):
    run(folder, show=view)
    header, *lines = capsys.readouterr().out.splitlines()
    assert lines
    comma, columns = tmp_path / "a.csv", tmp_path / "a.parquet"
    run(folder, show=view, csv=comma)
    run(folder, show=view, parquet=columns)
    assert capsys.readouterr().out.splitlines() == [
        f"{len(lines)} rows are in {comma}",
        f"{len(lines)} rows are in {columns}",
    ]
    with comma.open(newline="") as file:
        written = list(csv.DictReader(file))
    table = parquet.read_table(columns)
    assert [{name: cell or "" for name, cell in row.items()} for row in table.to_pylist()] == written
    assert header.split()[2:] == list(written[0])[1:]
    assert all(row["time"].endswith("Z") and len(row["time"]) == 30 for row in written)
    if view != "records":
        run(folder, show=view, json=True)
        objects = list(map(json.loads, capsys.readouterr().out.splitlines()))
        assert [{name: cell or "" for name, cell in one.items()} for one in objects] == written


def test_what_is_chosen_is_all_that_is_printed(folder, capsys):
    def count(**more):
        run(folder, **more)
        return len(capsys.readouterr().out.splitlines()) - ("json" not in more)

    assert (count(show="fills"), count(show="fills", last=2)) == (3, 2)
    assert count(show="fills", symbol="btcusdt") == 3
    assert count(show="orders", kind="rest", strategy="maker") == 5
    assert count(kind="trade") == count(kind="trade", json=True) == 3
    assert count(since_ns=NS + 1_000_000_000, until_ns=NS + 4_000_000_000) < count() < count(json=True)
    assert count(json=True, last=4) == 4
    assert count(show="fills", since_ns=NS + 1) == 0  # none there, but no name is wrong


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"symbol": "BTC/USD"}, r"holds no symbol 'BTC/USD' \(did you mean 'BTC/USDT'\?\)"),
        ({"symbol": "?"}, r"holds no symbol '\?' \(it has BTC/USDT\)"),
        ({"strategy": "makr"}, r"holds no strategy 'makr' \(did you mean 'maker'\?\)"),
        ({"show": "orders", "order": "x-1-1"}, r"holds no order 'x-1-1' \(tickd journal lists them\)"),
        ({"json": True, "kind": "trad"}, r"holds no kind 'trad' \(did you mean 'trade'\?\)"),
        ({"summary": True, "symbol": "ETH/USDT"}, r"holds no symbol 'ETH/USDT'"),
        ({"order": "x-1-1"}, "holds no order 'x-1-1'; tickd journal"),
        ({"show": "commands", "symbol": "BTC/USDT"}, "commands tell of no symbol: leave --symbol out"),
        ({"show": "fills", "summary": True}, "--show and --summary are two questions: ask one"),
        ({"summary": True, "last": 3}, "--summary takes no --last; --show does, of rows"),
        ({"order": "a", "symbol": "b"}, "--order takes no --symbol"),
        ({"waterfall": "a", "since_ns": 1}, "--waterfall takes no --since"),
    ],
)
def test_what_cannot_be_answered_is_said_in_one_sentence(folder, capsys, asked, said):
    with pytest.raises(UsageError, match=said):
        run(folder, **asked)
    assert capsys.readouterr().out == ""


def test_two_files_at_once_and_a_file_that_exists_are_refused(folder, tmp_path):
    there = tmp_path / "there.csv"
    there.write_text("mine")
    with pytest.raises(UsageError, match="two files of one reading"):
        run(folder, csv=tmp_path / "a", parquet=tmp_path / "b")
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        run(folder, csv=there)
    assert there.read_text() == "mine"


# --- damage -----------------------------------------------------------------------------------------------
def test_a_torn_tail_is_told_beside_what_stands_before_it(folder, capsys):
    (path,) = folder.glob(f"*{SUFFIX}")
    run(folder)
    whole, _ = capsys.readouterr()
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"torn")
    for question in ({}, {"summary": True}, {"show": "orders"}):
        run(folder, **question)
        out, err = capsys.readouterr()
        assert out
        assert f"ends in 4 bytes of no whole record, from offset {size} on: they are left out" in err
    run(folder)
    assert capsys.readouterr().out == whole


@pytest.mark.parametrize(
    "question", [{}, {"summary": True}, {"show": "fills"}, {"order": "x"}, {"json": True}]
)
def test_a_damaged_journal_is_refused_with_file_and_offset(folder, tmp_path, capsys, question):
    (path,) = folder.glob(f"*{SUFFIX}")
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data + records.frame(records.pack_mark(len(data))))
    with pytest.raises(
        JournalError, match=rf"{path.name} is damaged at offset {records.HEADER.size} of"
    ) as raised:
        run(folder, **question)
    assert raised.value.exit_code == 1
    if "show" in question:
        with pytest.raises(JournalError):
            run(folder, csv=tmp_path / "never.csv")
        assert not (tmp_path / "never.csv").exists()
    assert capsys.readouterr().out == ""


# --- one order --------------------------------------------------------------------------------------------
def test_an_order_is_explained_to_people_and_programs(folder, busy, capsys):
    cid = f"test-{busy.ids.run}-2"
    run(folder, order=cid)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2023-11-14T22:13:20.000000000Z  strategy maker, run ")
    run(folder, order=cid, json=True)
    assert [
        f"{one['time']}  {one['what']}" for one in map(json.loads, capsys.readouterr().out.splitlines())
    ] == lines


def test_a_summary_is_a_table_or_an_object(folder, capsys):
    run(folder, summary=True)
    maker = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("maker "))
    assert maker.split()[:6] == ["maker", "BTC/USDT", "0.00899", "3", "8.99", "0.72"]
    run(folder, summary=True, json=True, strategy="maker")
    summary = json.loads(capsys.readouterr().out)
    assert (summary["lines"][0]["realised"], summary["totals"][0]["fees"]) == ("3", "0.72")
