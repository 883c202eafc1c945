"""Captures to ticks: every frame of every capture, the decimals exact, faults counted."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import numpy as np
import pytest

from daemon.errors import FileFormatError
from daemon.tape.capture import read_frames
from daemon.tape.forms.base import FinerGridError, Grid, State
from daemon.tape.forms.captures import Captures, compile_kernels
from kernels import frames
from kernels.columns import (
    D_LAST,
    D_PRICE,
    D_SEQ,
    D_SIDE,
    D_SIZE,
    D_SNAPSHOT,
    T_A,
    T_B,
    T_C,
    T_D,
    T_KIND,
    T_SEQ,
)
from kernels.dtypes import QUOTE, TRADE

COUNTS = {
    "binance-spot-btcusdt-20240808.gz": (9_757, 28_040, 3_451, 1),
    "binance-usdm-btcusdt-20240808.gz": (21_313, 66_089, 6_551, 1),
}
STAMP = 1_723_161_254_000_000_000


def read(path, grids=None):
    """Return (tick columns, depth columns, grid, findings) of a capture."""
    grids = grids or {}
    while True:
        state = State(grids)
        try:
            pieces = list(Captures().pieces(path, state))
            break
        except FinerGridError as finer:
            grids = {finer.key: finer.grid}
    ticks = np.concatenate([one.block.ticks for one in pieces], axis=1)
    depth = np.concatenate([one.block.depth for one in pieces], axis=1)
    (checks,) = state.checks.values()
    return ticks, depth, state.grids[pieces[0].series.key], checks.findings


def expected(path, grid):
    """Return what json and Decimal make of a capture: rows of trades and quotes, rows of levels."""

    def price(text):
        return int(Decimal(text).scaleb(grid.price_places))

    def size(text):
        return int(Decimal(text).scaleb(grid.size_places))

    ticks, levels = [], []
    for seq, (_, payload) in enumerate(read_frames(path)):
        said = json.loads(payload)
        data = said.get("data", said)
        if "t" in data:
            ticks.append((seq, TRADE, price(data["p"]), size(data["q"]), 0, 0))
        elif "b" in data and isinstance(data["b"], str):
            ticks.append((seq, QUOTE, price(data["b"]), size(data["B"]), price(data["a"]), size(data["A"])))
        else:
            whole = "lastUpdateId" in data
            last = data["lastUpdateId"] if whole else data["u"]
            mine = [
                (seq, last, whole, side, price(one[0]), size(one[1]))
                for side, name in ((1, "bids" if whole else "b"), (-1, "asks" if whole else "a"))
                for one in data[name]
            ]
            levels += mine or [(seq, last, whole, 0, 0, 0)]
    return ticks, levels


def agree(path):
    ticks, depth, grid, findings = read(path)
    slow_ticks, slow_levels = expected(path, grid)
    assert ticks[[T_SEQ, T_KIND, T_A, T_B, T_C, T_D]].T.tolist() == [list(one) for one in slow_ticks]
    mine = depth[[D_SEQ, D_LAST, D_SNAPSHOT, D_SIDE, D_PRICE, D_SIZE]].T.tolist()
    assert mine == [list(one) for one in slow_levels]
    return ticks, depth, findings


def test_a_made_up_capture_is_what_json_and_decimals_make_of_it(lines_of, capture_of):
    _, _, findings = agree(capture_of(lines_of(3_000)))
    assert findings == {}


@pytest.mark.parametrize("name", COUNTS)
def test_a_real_capture_is_whole_exact_and_clean(captures, name):
    ticks, depth, findings = agree(captures / name)
    trades = int((ticks[T_KIND] == TRADE).sum())
    books = len(np.unique(depth[D_SEQ, depth[D_SNAPSHOT] == 1]))
    updates = len(np.unique(depth[D_SEQ])) - books
    assert (trades, ticks.shape[1] - trades, updates, books) == COUNTS[name]
    assert findings == {}
    # every reader passes the same types: a second version would be compiled in the middle of a conversion
    assert [len(one.signatures) for one in (frames.split, frames.read)] == [1, 1]


def test_two_captures_over_midnight_are_one_record(captures):
    state = State({("binance", "BTC/USD:BTC"): Grid(1, 0)})
    ticks = [
        one.block.ticks
        for day in (8, 9)
        for one in Captures().pieces(captures / f"binance-coinm-btcusd_perp-2024080{day}.gz", state)
    ]
    rows = np.concatenate(ticks, axis=1)
    assert int((rows[T_KIND] == TRADE).sum()) == 5_235
    assert (np.diff(rows[T_SEQ]) > 0).all()
    (checks,) = state.checks.values()
    assert checks.findings == {}
    assert state.seq == 98_386


def test_frames_that_cannot_be_are_located_and_left_out(lines_of, capture_of):
    lines = lines_of(300)
    lines[200] = lines[200][:-20] + b"}"
    lines[250] = b'%d {"stream":"ethusdt@trade","data":{}}' % STAMP
    ticks, depth, _, findings = read(capture_of(lines))
    frame = findings["frame"]
    assert (frame.count, [one.row for one in frame.first]) == (2, [201, 251])
    assert frame.first[0].text.startswith(("json: ", "type: "))
    assert not set(ticks[T_SEQ]) & {200, 250}
    assert not set(depth[D_SEQ]) & {200, 250}


def test_a_frame_of_another_shape_is_read_as_well(lines_of, capture_of):
    lines = lines_of(300)
    spaced = [one.replace(b'":', b'": ') if n % 3 else one for n, one in enumerate(lines)]
    plain, odd = read(capture_of(lines)), read(capture_of(spaced))
    assert (plain[0] == odd[0]).all()
    assert (plain[1] == odd[1]).all()


def test_a_number_with_more_decimals_than_all_before_it_gives_them_as_many(lines_of, capture_of):
    lines = lines_of(2_000)
    at = next(n for n in range(1_500, 2_000) if b"@trade" in lines[n])
    lines[at] = lines[at].replace(b'"q":"0.00123"', b'"q":"0.001234567"')
    path = capture_of(lines)
    state = State({})
    (piece,) = Captures().pieces(path, state)
    assert state.grids[piece.series.key].size_places == 9
    agree(path)


def test_levels_with_more_decimals_are_exact_too(lines_of, capture_of):
    lines = lines_of(1_000)
    at = next(n for n in range(500, 1_000) if b"@depth" in lines[n])
    lines[at] = lines[at].replace(b'.5"]', b'.50000123"]')
    agree(capture_of(lines))


def test_a_trade_without_a_price_is_no_print_and_no_gap(capture_of):
    def trade(number, price="1.5", kind="MARKET"):
        return (
            f'{STAMP + number} {{"stream":"btcusdt@trade","data":{{"e":"trade","E":1,"T":1723161254000,'
            f'"s":"BTCUSDT","t":{number},"p":"{price}","q":"1","X":"{kind}","m":false}}}}'
        ).encode()

    lines = [trade(1), trade(2), trade(3), trade(4, "0", "NA"), trade(5), trade(7)]
    ticks, _, _, findings = read(capture_of(lines))
    assert ticks.shape[1] == 5
    assert [one.row for one in findings["gap"].first] == [6]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: [*lines[:50], b"not a frame"], "line 51 is no frame"),
        (
            lambda lines: [*lines[:50], b"9999999999999999999 {}"],
            "line 51 is stamped 9999999999999999999, which",
        ),
    ],
)
def test_a_line_that_is_none_is_refused_with_its_number(lines_of, capture_of, change, sentence):
    with pytest.raises(FileFormatError, match=sentence):
        read(capture_of(change(lines_of(100))))


def test_a_truncated_capture_is_refused(lines_of, tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines_of(2_000)))[:-50])
    with pytest.raises(FileFormatError, match="truncated gzip: it ends at byte"):
        read(path)


def test_kernels_compiled_beforehand_are_those_that_read(lines_of, capture_of):
    compile_kernels()
    read(capture_of(lines_of(100)))
    assert [len(one.signatures) for one in (frames.split, frames.read)] == [1, 1]
