from __future__ import annotations

import pytest

from daemon.events import ExecutionReport
from daemon.faces.waterfall import NOTE, steps, waterfall
from daemon.orders import records as r
from kernels import dtypes as d

NS = 1_700_000_000_123_456_789
US = 1000
CID = "one-7-3"
RUN = r.Run(NS, "one", 7, "0.1.0", [("maker", ["BTC/USDT"])], ["BTC/USDT"], "", [("0.01", "0.00001")])
ACTION = (d.PLACE, 0, 0, d.REST, 2, d.BUY, 6_000_150, 123, 0, 0)
PLACED = r.Placed(NS, 3, 0, 0, ACTION, b"")


def report(kind, after_us, *, cid=CID, **more):
    return ExecutionReport(kind=kind, client_order_id=cid, instrument=0, wire_ns=NS + after_us * US, **more)


def lines(*journal):
    return [(one.stage, one.since_ns, one.step_ns, one.venue_ns) for one in steps([RUN, *journal], CID)]


def test_an_order_is_followed_from_its_tick_to_its_last_fill():
    new = report("NEW", 900, status="NEW", exch_ns=NS + 400 * US)
    half = report("TRADE", 5_000, status="PARTIALLY_FILLED", last_ticks=6_000_150, last_lots=60)
    rest = report("TRADE", 1_005_000, status="FILLED", last_ticks=6_000_150, last_lots=63)
    assert lines(PLACED, new, half, rest) == [
        ("tick", 0, 0, None),
        ("first word", 900 * US, 900 * US, 400 * US),
        ("fill", 5000 * US, 4100 * US, None),
        ("fill, end", 1005000 * US, 1000000 * US, None),
    ]


def test_one_word_may_be_the_first_a_fill_and_the_end():
    fill = report("TRADE", 20, status="FILLED", last_ticks=6_000_150, last_lots=123)
    assert lines(PLACED, fill)[1] == ("first word, fill, end", 20 * US, 20 * US, None)


def test_what_was_asked_for_is_a_step_of_its_own():
    asked = r.Asked(NS + 50 * US, CID, 0)
    gone = report("CANCELED", 70, status="CANCELED")
    assert lines(PLACED, report("NEW", 10), asked, gone)[2:] == [
        ("asked", 50 * US, 40 * US, None),
        ("end", 70 * US, 20 * US, None),
    ]


@pytest.mark.parametrize("kind", ["TIMEOUT", "NOT_FOUND"])
def test_silence_is_not_the_venues_word(kind):
    voided = r.Voided(NS + 90 * US, CID)
    told = [stage for stage, *_ in lines(PLACED, report(kind, 10), voided)]
    assert told == ["tick", "", "settled, end"]
    assert lines(PLACED, report(kind, 10), report("NEW", 20))[2][0] == "first word"


def test_other_orders_are_not_told_of():
    other = r.Placed(NS, 4, 0, 0, ACTION, b"")
    assert len(lines(PLACED, other, report("NEW", 10, cid="one-7-4"), report("NEW", 20))) == 2
    assert list(steps([RUN, other], CID)) == []


def test_a_table_names_its_columns_and_says_what_it_cannot_tell():
    header, tick, word, note = waterfall(list(steps([RUN, PLACED, report("NEW", 900)], CID)))
    assert header.index("since us") + len("since us") == tick.index("0.0") + len("0.0")
    assert ("place" in tick, "60001.50" in tick, "0.00123" in tick) == (True, True, True)
    assert word.split()[2:6] == ["first", "word", "900.0", "900.0"]
    assert note == NOTE
