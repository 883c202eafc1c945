"""What a fetch prints."""

from __future__ import annotations

import json

import msgspec

from daemon.faces.fetch_summary import show
from daemon.fetch.asking import Counts
from daemon.fetch.verb import Fetched
from daemon.tape.dirty import Finding, Place

RESULT = Fetched(
    out="data",
    exchange="binance",
    market="spot",
    what="klines",
    interval="1m",
    source="http://x",
    symbols=["BTC/USDT", "ETH/USDT"],
    first="2024-08-08",
    last="2024-08-09",
    days=3,
    there=1,
    absent=0,
    rows=4_320,
    bytes=9_876,
    asked=Counts(requests=6),
    findings={},
    seconds=0.5,
)


def test_people_see_what_came_and_what_it_took(capsys):
    show(RESULT, as_json=False)
    told = capsys.readouterr().out
    for text in (
        "fetched to data", "klines 1m of BTC/USDT, ETH/USDT (spot)",
        "2024-08-08 to 2024-08-09: 3 fetched, 1 were there", "4,320 in 9,876 bytes",
        "6 requests of http://x ",
    ):  # fmt: skip
        assert text in told
    for text in ("archive", "again", "waiting"):
        assert text not in told


def test_what_was_not_there_was_repeated_and_waited_for_is_told(capsys):
    asked = Counts(requests=1_234, again=2, waited_s=61.0)
    show(msgspec.structs.replace(RESULT, absent=4, asked=asked), as_json=False)
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())  # it may be wrapped
    assert "4 not in the archive" in told
    assert "1,234 requests of http://x, 2 of them again, 61.0 s of waiting for weight" in told


def test_findings_are_told_by_instrument(capsys):
    gap = Finding(2, [Place("a", 3, "t", "trade id 7 after 5")])
    show(msgspec.structs.replace(RESULT, findings={"BTCUSDT": {"gap": gap}}), as_json=False)
    assert "BTCUSDT: 2 gap (the first in row 3: trade id 7 after 5)" in capsys.readouterr().out


def test_programs_get_all_of_it(capsys):
    show(RESULT, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(msgspec.json.encode(RESULT))
