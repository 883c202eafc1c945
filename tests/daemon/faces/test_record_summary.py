"""What a recording shows."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from daemon.faces.record_summary import line, progress, show, table
from daemon.tape.record import Recorded


@pytest.fixture
def recorded():
    return Recorded(
        folder="var/x/tape",
        exchange="okx",
        market="spot",
        symbols=["BTC/USDT", "ETH/USDT"],
        seconds=12.34,
        entries=1_234,
        events={"trade": 1, "quote": 2, "depth": 3, "snapshot": 4},
        errors={"json": 5},
        gaps={"gap": 6},
        reconnects=7,
        bytes=8_000_000,
        segments=9,
        dropped=0,
        lost_from=-1,
        failure="",
    )


def drawn(recorded):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table(recorded))
    return capture.get()


def test_the_table_says_what_a_person_asks(recorded):
    text = drawn(recorded)
    for part in (
        "recorded into var/x/tape",
        "okx spot: BTC/USDT, ETH/USDT",
        "12.3 s, 7 reconnects",
        "1,234, 8.00 MB in 9 segments",
        "1 trade, 2 quote, 3 depth, 4 snapshot",
        "json 5, gap 6",
        "nothing",
    ):
        assert part in text
    recorded.segments = 1
    assert "8.00 MB in 1 segment " in drawn(recorded)
    recorded.dropped, recorded.lost_from = 3, 77
    assert "3 entries, from 77 on" in drawn(recorded)


def test_json_has_all_there_is(recorded, capsys):
    show(recorded, as_json=True)
    assert json.loads(capsys.readouterr().out).keys() == set(Recorded.__struct_fields__)
    show(recorded, as_json=False)
    assert "recorded into" in capsys.readouterr().out


def test_a_line_says_how_it_goes():
    recorder = SimpleNamespace(
        dropped=0, failure="", written=12_345, bytes_written=3_200_000, lag_ns=80_000_000
    )
    recording = SimpleNamespace(recorder=recorder, connections=SimpleNamespace(connected=True), age_s=1_000.0)
    assert line(recording) == "1,000 s, connected: 12,345 entries, 3.2 MB, 80 ms behind"
    recorder.dropped, recorder.failure, recording.connections.connected = 2, "full", False
    assert line(recording) == (
        "1,000 s, NOT connected: 12,345 entries, 3.2 MB, 80 ms behind, 2 entries LOST; full"
    )


def test_nothing_is_shown_where_nobody_looks(capsys):
    with progress(Console(stderr=True)) as tell:
        tell(None)
    assert capsys.readouterr().err == ""
