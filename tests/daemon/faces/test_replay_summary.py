from __future__ import annotations

import json

import pytest
from rich.console import Console

from daemon.faces.replay_summary import show, table
from daemon.status import OrderCounts
from daemon.tape.replay import ReplayResult


@pytest.fixture
def result():
    return ReplayResult(
        file="a.gz",
        symbols=["BTC/USDT"],
        strategies=["ema_cross", "ml"],
        traded_by=["pairs"],
        events={"trade": 9757, "quote": 28040, "depth": 3451, "snapshot": 1},
        errors={"json": 2},
        last_error="frame refused",
        gaps={"gap": 1},
        resyncs=1,
        books_unsynced=["BTC/USDT"],
        trades_missed=3,
        depths_dropped=0,
        backwards=5,
        decisions=41_249,
        orders=OrderCounts(placed=1_039, cancelled=7, fills=49, refusals={"collar": 12}),
        positions={"BTC/USDT": -0.001},
        pnl={"USDT": -1234.56789},
        decision_digest="c624916b896fab8c",
        order_digest="fa295a0ba58dcc88",
        seconds=0.5,
        events_per_s=82_498.4,
        bare_seconds=0.25,
        ratio=2.0,
    )


def drawn(result) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table(result))
    return capture.get()


def test_the_table_says_what_a_person_asks(result):
    text = drawn(result)
    for part in (
        "replay of a.gz",
        "BTC/USDT",
        "ema_cross, ml",
        "recorded with",
        "pairs",
        "9,757 trade, 28,040 quote, 3,451 depth, 1 snapshot",
        "json 2, gap 1",
        "trades missed 3, entries that run backwards 5",
        "NOT in sync",
        "41,249",
        "1,039 placed, 7 cancelled, 49 fills",
        "collar 12",
        "-0.001",
        "-1,234.5679",
        "82,498 events/s, 2.00x the bare gunzip and decode",
        "c624916b896fab8c",
        "fa295a0ba58dcc88",
    ):
        assert part in text


def test_nothing_bad_is_said_plainly(result):
    result.errors, result.gaps, result.books_unsynced, result.orders = {}, {}, [], OrderCounts()
    result.trades_missed = result.backwards = 0
    text = drawn(result)
    assert text.count("none") == 2
    assert "nothing" in text
    assert "in sync" in text
    assert "NOT" not in text


def test_json_is_one_object_a_line_with_all_there_is(result, capsys):
    show([result, result], as_json=True)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == second
    assert first.keys() == set(ReplayResult.__struct_fields__)
    assert first["events"]["trade"] == 9757


def test_a_table_is_printed_for_each_replay(result, capsys):
    show([result, result], as_json=False)
    assert capsys.readouterr().out.count("replay of a.gz") == 2
