"""Columns of integers to Arrow and back, exact in every bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from daemon.tape import columns
from kernels.columns import D_COLUMNS, D_ROW, D_SIDE, T_COLUMNS, T_ROW
from kernels.dtypes import QUOTE, TRADE

INT = some.integers(-(2**63), 2**63 - 1)
POSITIVE = some.integers(1, 2**63 - 1)


@some.composite
def ticks(draw):
    count = draw(some.integers(0, 20))
    rows = []
    for _ in range(count):
        kind = draw(some.sampled_from((TRADE, QUOTE)))
        quote = kind == QUOTE
        rows.append(
            [
                draw(INT), 0, draw(INT), draw(some.integers(0, 2**63 - 1)), draw(some.integers(0, 1)), kind,
                draw(some.integers(-1, 2**63 - 1)), 0 if quote else draw(some.integers(-1, 1)), draw(INT),
                draw(INT), draw(INT) if quote else 0, draw(INT) if quote else 0,
            ]
        )  # fmt: skip
    return np.array(rows, np.int64).reshape(count, T_COLUMNS).T.copy()


@settings(max_examples=100)
@given(ticks())
def test_ticks_come_back_as_they_were(rows):
    table = columns.ticks_table(rows)
    assert table.schema == columns.TICKS
    table.validate(full=True)
    for batch in table.to_batches():
        back = columns.ticks_columns(batch)
        back[T_ROW] = rows[T_ROW]
        assert (back == rows).all()


@settings(max_examples=100)
@given(arrays.arrays(np.int64, some.tuples(some.just(D_COLUMNS), some.integers(0, 9)), elements=POSITIVE))
def test_levels_come_back_as_they_were(rows):
    rows[4:6] %= 2
    rows[D_SIDE] = rows[D_SIDE] % 3 - 1
    table = columns.depth_table(rows)
    table.validate(full=True)
    for batch in table.to_batches():
        back = columns.depth_columns(batch)
        back[D_ROW] = rows[D_ROW]
        assert (back == rows).all()


def test_what_is_missing_is_null_and_a_slice_is_read_from_its_beginning():
    array = columns.column(np.arange(20), np.arange(20) % 3 == 0)
    assert array.to_pylist()[:4] == [None, 1, 2, None]
    part = array.slice(9, 4)
    assert columns.numbers(part, -1).tolist() == [-1, 10, 11, -1]
    assert columns.nulls(part).tolist() == [True, False, False, True]
    assert columns.numbers(columns.packed(np.arange(20) % 2 == 0).slice(3, 3)).tolist() == [
        False,
        True,
        False,
    ]


def test_the_columns_of_one_kind_are_null_in_the_other():
    rows = columns.no_ticks(2)
    rows[5] = TRADE, QUOTE
    trade, quote = columns.ticks_table(rows).to_pylist()
    assert (trade["bid"], trade["quote_id"], quote["price"], quote["side"]) == (None, None, None, None)
    assert (trade["price"], quote["ask"], trade["exch_ns"]) == (0, 0, None)


def test_bars_are_plain_columns():
    table = columns.bars_table(np.arange(20, dtype=np.int64).reshape(10, 2))
    assert table.schema == columns.BARS
    assert table.column("taker_volume").to_pylist() == [18, 19]


def test_no_conversion_imports_pandas():
    code = (
        "import sys, numpy as np; from daemon.tape.columns import *;"
        "ticks_columns(ticks_table(no_ticks(3)).to_batches()[0]); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
