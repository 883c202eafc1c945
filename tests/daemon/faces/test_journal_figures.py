from __future__ import annotations

import pytest

from daemon.faces.journal_figures import figures
from daemon.faces.journal_summary import Line, Summary

BEGIN, END = "2023-11-14T22:13:20.000000000Z", "2023-11-14T23:13:20.500000000Z"


def summary(*lines, **more):
    given = {"begin": BEGIN, "end": END, "records": 1234, "runs": 1, "halts": 0, "halted_s": 0.0}
    given |= {"halted": False, "funding": {}, "notes": [], "totals": []}
    return Summary(lines=list(lines), **given | more)


def test_lines_and_totals_stand_in_one_table_with_what_is_unknown_marked():
    line = Line(strategy="maker", instrument="A/B", quote="B", position="-1.5", orders=2000, maker_share=0.25)
    total = Line(strategy="", instrument="", quote="B", orders=2000)
    other = Line(strategy="", instrument="A/B", quote="B", fills=1)
    first, _, header, *rows = figures(summary(line, other, totals=[total]))
    assert first == "2023-11-14 22:13:20.000000 to 2023-11-14 23:13:20.500000 UTC, 1,234 records, 1 run"
    assert header.split()[:4] == ["strategy", "instrument", "position", "realised"]
    assert rows[0].split() == [
        "maker",
        "A/B",
        "-1.5",
        "-",
        "-",
        "-",
        "-",
        "-",
        "-",
        "2,000",
        "0",
        "25.0%",
        "0",
    ]
    assert rows[1].startswith("others'")
    assert rows[2].split()[:4] == ["in", "all", "B", "-"]


def test_what_fits_no_table_is_told_below_it():
    line = Line(
        strategy="maker",
        instrument="A/B",
        quote="B",
        mark="1.5",
        mark_time=BEGIN,
        slippage="0.2",
        slippage_bps=1.234,
        limit_slippage="-0.3",
        limit_slippage_bps=-2.5,
        fees_paid={"B": "0.1"},
        rejections={"-2010": 3},
        unsent=1300,
        refusals={"collar": 1200},
        unknown=2,
        unknown_s=4.0,
        unknown_s_max=3.0,
    )
    *_, details, halts, _, note = figures(
        summary(line, halts=2, halted_s=5.0, halted=True, notes=["so it is"])
    )
    assert details == (
        "maker on A/B: valued at 1.5, the last trade, 2023-11-14 22:13:20.000000; "
        "slippage against the orders' own prices -0.3 (-2.50 bps); 0.1 B paid in fees; "
        "rejected with code -2010: 3; refused for collar: 1,200; never sent: 1,300; "
        "UNKNOWN 2 times, 4.000 s in all, 3.000 s at most"
    )
    assert halts == "halts: 2, 5.000 s in all, and still is"
    assert note == "so it is"
    told = list(figures(summary(line, runs=3, runs_cut=2, last_run_open=True)))
    assert "2 runs before the last have no end on record" in told[-3]
    assert "the last run has no end on record yet" in told[-2]
    told = list(figures(summary(line, funding={"": {"USDT": "-0.1"}, "A/B": {"B": "2", "C": "-1"}})))
    assert "funding of which the instrument is not told yet: -0.1 USDT" in told
    assert "funding on A/B: 2 B, -1 C" in told


@pytest.mark.parametrize(
    ("exact", "shown"),
    [
        ("-4.049137283333333333", "-4.04913728"),
        ("123456789012345678901234.123456785", "123456789012345678901234.12345678"),
        ("0.000000004999999999", "0.000000004999999999"),
        ("1.999999999999999999", "2"),
        ("0.10", "0.10"),
        (None, "-"),
    ],
)
def test_amounts_are_shown_with_eight_decimals(exact, shown):
    line = Line(strategy="maker", instrument="A/B", quote="B", realised=exact)
    _, _, _, row, *_ = figures(summary(line))
    assert row.split()[3] == shown


def test_a_single_doubt_is_one():
    told = list(figures(summary(Line(strategy="maker", instrument="A/B", quote="B", unknown=1))))
    assert any("UNKNOWN 1 time, 0.000 s in all" in row for row in told)


def test_a_time_without_records_says_so():
    assert list(figures(summary(begin=None, end=None))) == ["nothing is on record in that time"]
