"""What a conversion prints, and its bar."""

from __future__ import annotations

import io

from rich.console import Console

from daemon.faces.convert_summary import Advance, show
from daemon.tape.convert import Converted, Input
from daemon.tape.dirty import Finding, Place
from daemon.tape.partitions import Written


def result(**findings):
    read = Input(file="a.zip", form="binance", symbol="BTC/USDT", bytes=9, checksum=True, trades=3)
    return Converted(
        inputs=[read],
        outputs=[Written("ticks-00000.parquet", "ticks", 3, 30)],
        findings={"binance BTC/USDT": findings} if findings else {},
        left_out=0,
        ticks=3,
        rows=3,
        bytes=30,
        bytes_per_tick=10.0,
        bytes_per_row=10.0,
        seconds=0.5,
    )


def test_a_clean_file_is_said_to_be_clean(capsys):
    show(result(), as_json=False)
    said = capsys.readouterr().out
    assert "no gap" in said
    assert "3 trades" in said
    assert "10.00 a tick" in said


def test_faults_are_told_with_their_rows(capsys):
    show(result(gap=Finding(2, [Place("a.zip", 1_234, "t", "trade id 7 after 5")])), as_json=False)
    said = capsys.readouterr().out
    assert "1,234" in said
    assert "gap" in said


def advance_on(terminal):
    now = [0]
    out = io.StringIO()
    with Advance(Console(file=out, force_terminal=terminal, width=80), lambda: now[0]) as advance:
        advance.to("a.zip", 0.1)
        early = out.getvalue()
        now[0] = 1_100_000_000
        advance.to("a.zip", 0.5)
        advance.to("b.zip", 2.0)
    return early, out.getvalue()


def test_a_bar_appears_after_a_second_and_on_a_terminal_alone():
    early, late = advance_on(terminal=True)
    assert early == ""
    assert "a.zip" in late
    assert advance_on(terminal=False) == ("", "")
