"""What is wrong with data is counted, located, and the same however it is cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.dirty import PLACES_MAX, Checks, sentence, utc
from daemon.tape.ticks import Block
from kernels.columns import (
    D_FIRST,
    D_LAST,
    D_PREV,
    D_ROW,
    D_SEQ,
    D_SNAPSHOT,
    D_WIRE_NS,
    T_EXCH_NS,
    T_ID,
    T_KIND,
    T_ROW,
    T_WIRE_NS,
)
from kernels.dtypes import QUOTE, TRADE

HOUR_NS = 3_600_000_000_000


def trades(*ids, kind=TRADE, wire=None, exch=None):
    t = no_ticks(len(ids))
    t[T_ID], t[T_KIND], t[T_ROW] = ids, kind, np.arange(len(ids)) + 1
    t[T_WIRE_NS] = np.arange(len(ids)) if wire is None else wire
    t[T_EXCH_NS] = 0 if exch is None else exch
    return Block(t, no_depth())


def updates(*ids, snapshot=()):
    """Return depth rows of (seq, first, last, prev)."""
    d = no_depth(len(ids))
    for row, (seq, first, last, prev) in enumerate(ids):
        d[[D_SEQ, D_ROW, D_WIRE_NS, D_FIRST, D_LAST, D_PREV, D_SNAPSHOT], row] = (
            seq, row + 1, seq, first, last, prev, seq in snapshot
        )  # fmt: skip
    return Block(no_ticks(), d)


def found(*blocks, **more):
    checks = Checks(**more)
    for one in blocks:
        checks.look(one)
    return {kind: (one.count, [place.row for place in one.first]) for kind, one in checks.findings.items()}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ((5, 6, 7), {}),
        ((5, 6, 8, 9), {"gap": (1, [3])}),
        ((5, 5, 7), {"gap": (2, [2, 3]), "duplicate": (1, [2])}),
        ((5, 6, 5, 6, 7), {"gap": (1, [3]), "duplicate": (2, [3, 4])}),
        ((5, -1, 6), {}),
    ],
)
def test_trade_ids_that_do_not_follow_and_those_that_come_again(ids, expected):
    assert found(trades(*ids)) == expected


def test_ids_of_another_rule_are_not_gaps():
    assert found(trades(5, 9, 9), trade_ids="growing") == {"duplicate": (1, [3])}
    assert found(trades(5, 9, 3), trade_ids="names") == {}


def test_quotes_may_leave_ids_out_but_not_repeat_them():
    assert found(trades(5, 9, 9, 12, kind=QUOTE)) == {"duplicate": (1, [3])}


def test_an_id_of_what_was_left_out_is_no_gap():
    checks = Checks()
    checks.leave_out(np.array([6, 7]))
    checks.look(trades(5, 8, 10))
    assert {kind: one.count for kind, one in checks.findings.items()} == {"gap": 1}
    assert checks.left_out == 2


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        # spot: the first id is the next after the last, or the update overlaps it
        (((0, 1, 3, -1), (1, 4, 4, -1), (2, 4, 6, -1)), {}),
        (((0, 1, 3, -1), (1, 5, 6, -1)), {"gap": (1, [2])}),
        (((0, 1, 3, -1), (1, 1, 3, -1)), {"gap": (1, [2]), "duplicate": (1, [2])}),
        # futures: each says the one before
        (((0, 1, 3, 0), (1, 9, 12, 3), (2, 13, 14, 12)), {}),
        (((0, 1, 3, 0), (1, 4, 12, 5)), {"gap": (1, [2])}),
        # levels of one update, and a whole book between two
        (((0, 1, 3, -1), (0, 1, 3, -1), (1, 4, 4, -1)), {}),
        (((0, 1, 3, -1), (7, 90, 90, -1), (8, 4, 4, -1)), {}),
        # nothing numbered
        (((0, -1, -1, -1), (1, -1, -1, -1)), {}),
    ],
)
def test_a_chain_of_depth_updates_is_held_to_its_markets_rule(ids, expected):
    assert found(updates(*ids, snapshot={7})) == expected


def test_disorder_and_clocks_that_do_not_agree():
    assert found(trades(1, 2, 3, wire=[5, 4, 6])) == {"disorder": (1, [2])}
    far = [HOUR_NS * 2, HOUR_NS * 2, HOUR_NS * 3]
    assert found(trades(1, 2, 3, wire=far, exch=[HOUR_NS, 0, HOUR_NS * 2 - 1])) == {"clock": (1, [3])}


def test_bars_that_leave_time_out_stand_twice_or_run_backwards():
    checks = Checks()
    opens = np.array([0, 60, 180, 180, 60])
    checks.look_at_bars(opens, opens + 60, np.arange(5) + 1)
    checks.look_at_bars(opens[:0], opens[:0], opens[:0])
    assert {kind: one.count for kind, one in checks.findings.items()} == {
        "gap": 1, "duplicate": 1, "disorder": 1
    }  # fmt: skip


events = some.lists(some.tuples(some.sampled_from((TRADE, QUOTE)), some.integers(1, 9)), max_size=30)


@settings(max_examples=200)
@given(events, some.lists(some.integers(0, 30), max_size=4))
def test_however_it_is_cut_the_same_is_found(rows, cuts):
    whole = trades(
        *(number for _, number in rows), kind=[kind for kind, _ in rows], wire=[n for _, n in rows]
    )
    edges = sorted({0, len(rows), *(one for one in cuts if one < len(rows))})
    parts = [
        Block(whole.ticks[:, a:b], whole.depth) for a, b in zip(edges, edges[1:] or [len(rows)], strict=False)
    ]
    assert found(*parts) == found(whole)


def test_the_first_ones_are_told_and_all_are_counted():
    checks = Checks()
    checks.file = "a.csv"
    checks.look(trades(*range(1, 60, 2)))
    (finding,) = checks.findings.values()
    assert (finding.count, len(finding.first)) == (29, PLACES_MAX)
    assert finding.first[0].file == "a.csv"
    assert finding.first[0].text == "trade id 3 after 1"
    checks.note("frame", 7, 0, "json: cut off")
    assert sentence(checks.findings) == (
        "29 gap (the first in row 2: trade id 3 after 1), 1 frame (the first in row 7: json: cut off)"
    )


def test_times_are_told_to_the_nanosecond():
    assert utc(1_723_161_253_937_085_768) == "2024-08-08T23:54:13.937085768Z"
    assert utc(-5) == "-5 ns"
