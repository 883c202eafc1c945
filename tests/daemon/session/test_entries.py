from __future__ import annotations

from decimal import Decimal

import pytest

from daemon.errors import FileFormatError
from daemon.events import Balance, Command, ExecutionReport, VenueSnapshot, VenueStatus
from daemon.session.entries import ARGUMENTS, Begin, begin_of, decode, decode_reads, encode, encode_reads
from daemon.tape.reader import Entry

REPORT = ExecutionReport("TRADE", "s-1-1", 0, 5, commission=Decimal("0.10"), trade_id=7)
SNAPSHOT = VenueSnapshot({"USDT": Balance(Decimal("1.50"), Decimal(0))}, [], [REPORT], 9, positions={0: -3})
BEGIN = Begin(
    run=3, paper=True, venue="paper", can_amend=True, can_replace=False, memories=b"\0\1",
    journals={"00000001.journal": 12}, boot=("b", 5), hashes={"0 ema": {"model": "x"}},
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("begin", [BEGIN]),
        ("timer", [5]),
        ("on_report", [REPORT]),
        ("meet", [SNAPSHOT, 4]),
        ("meet", [None, 4]),
        ("command", [Command("resume", "cli", rebase=True)]),
        ("on_venue_status", [VenueStatus(up=True, reason="x", wire_ns=1)]),
        ("take_symbols", [[(0, "BREAK", "binance"), (1, "TRADING", "okx")]]),
        ("start", []),
        ("append_failed", [3, 28, "No space left on device", False]),
    ],
)
def test_a_call_is_read_as_it_was_noted(name, arguments):
    assert decode(encode((name, arguments))) == (name, arguments)
    assert name in ARGUMENTS


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (encode(("fly", [])), "does not know"),
        (encode(("timer", [])), "0 arguments"),
        (encode(("timer", ["x"])), "cannot be read"),
        (b"\xc1", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(payload, says):
    with pytest.raises(FileFormatError, match=says):
        decode(payload)


def test_readings_are_integers_of_64_bits():
    assert decode_reads(encode_reads(7, [1, -2, True, 2**62])) == (7, [1, -2, 1, 2**62])
    assert decode_reads(encode_reads(0, [])) == (0, [])
    for payload in (b"", b"123"):
        with pytest.raises(FileFormatError):
            decode_reads(payload)


def test_how_a_session_began_is_in_its_first_entry_alone():
    first = Entry(0, 5, "core", False, encode(("begin", (BEGIN,))))
    assert begin_of(first) == BEGIN
    assert begin_of(first._replace(stream="feed/0")) is None
    assert begin_of(first._replace(seq=1)) is None
    assert begin_of(first._replace(payload=encode(("start", ())))) is None
