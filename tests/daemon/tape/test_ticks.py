"""Reading typed ticks: in order, from a time on, in bounded memory, and never what is not ours."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from daemon.errors import FileFormatError, UsageError
from daemon.tape import partitions
from daemon.tape.columns import DEPTH, TICKS, no_depth, no_ticks
from daemon.tape.partitions import TickWriter
from daemon.tape.ticks import (
    METADATA,
    Block,
    Header,
    open_part,
    places,
    read_header,
    read_ticks,
    rescale,
    step,
)
from kernels.columns import D_PRICE, D_SEQ, D_SIDE, D_WIRE_NS, T_A, T_B, T_KIND, T_SEQ, T_WIRE_NS
from kernels.dtypes import TRADE

DAY_NS = 86_400_000_000_000


def header(**more):
    common = {"exchange": "binance", "market": "spot", "symbol": "BTC/USDT", "exchange_symbol": "BTCUSDT"}
    return Header(**{**common, "tick": "0.01", "lot": "0.001", **more})


def block(events):
    """Return rows of (seq, levels): a tick where levels is 0, so many levels else."""
    ticks = [seq for seq, levels in events if not levels]
    depth = [seq for seq, levels in events for _ in range(levels)]
    t, d = no_ticks(len(ticks)), no_depth(len(depth))
    t[T_SEQ], t[T_WIRE_NS], t[T_KIND] = ticks, np.array(ticks, np.int64) * 10, TRADE
    t[T_A] = t[T_B] = 1 + np.array(ticks, np.int64)
    d[D_SEQ], d[D_WIRE_NS], d[D_SIDE] = depth, np.array(depth, np.int64) * 10, 1
    d[D_PRICE] = np.arange(len(depth))
    return Block(t, d)


def write(root, *blocks, **more):
    writer = TickWriter(root, header(**more))
    for one in blocks:
        writer.add(one)
    return writer.commit()


def order(blocks):
    """Return the seqs in the order of blocks, each with how many rows it has; checks the blocks' own."""
    seen = []
    for one in blocks:
        mine = np.concatenate([one.ticks[T_SEQ], one.depth[D_SEQ]])
        assert (np.diff(one.ticks[T_SEQ]) > 0).all()
        assert (np.diff(one.depth[D_SEQ]) >= 0).all()
        if seen and len(mine):
            assert mine.min() > seen[-1][0]
        seen += [
            (int(seq), int(count)) for seq, count in zip(*np.unique(mine, return_counts=True), strict=True)
        ]
    return seen


@settings(max_examples=60)
@given(some.lists(some.integers(0, 3), min_size=1, max_size=60), some.integers(1, 9))
def test_ticks_and_levels_come_back_in_one_order_however_groups_are_cut(tmp_path_factory, levels, rows):
    events = list(enumerate(levels))
    root = tmp_path_factory.mktemp("ticks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "GROUP_ROWS", rows)
        patch.setattr(partitions, "PART_ROWS", 3 * rows)
        write(root, block(events))
    assert order(read_ticks(root)) == [(seq, max(count, 1)) for seq, count in events]
    assert order(read_ticks(root, depth=False)) == [(seq, 1) for seq, count in events if not count]


def test_it_begins_and_ends_where_it_is_asked_to(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "GROUP_ROWS", 7)
    write(tmp_path, block([(seq, seq % 3) for seq in range(100)]))
    found = order(read_ticks(tmp_path, since_ns=400, until_ns=500))
    assert [seq for seq, _ in found] == list(range(40, 50))
    assert order(read_ticks(tmp_path, since_ns=10_000)) == []


def test_days_follow_one_another_though_each_counts_anew(tmp_path):
    for day in (1, 0):
        one = block([(seq, seq % 2) for seq in range(5)])
        one.ticks[T_WIRE_NS] += day * DAY_NS
        one.depth[D_WIRE_NS] += day * DAY_NS
        write(tmp_path, one)
    times = np.concatenate([one.ticks[T_WIRE_NS] for one in read_ticks(tmp_path)])
    assert (times // DAY_NS).tolist() == [0, 0, 0, 1, 1, 1]
    assert (np.diff(times) > 0).all()


def test_days_of_other_steps_are_read_in_the_finest(tmp_path):
    write(tmp_path, block([(1, 0), (2, 1)]), tick="0.1", lot="1")
    later = block([(1, 0)])
    later.ticks[T_WIRE_NS] += DAY_NS
    write(tmp_path, later, tick="0.001", lot="0.01")
    found = read_header(tmp_path)
    assert (found.tick, found.lot) == ("0.001", "0.01")
    rows = np.concatenate([one.ticks for one in read_ticks(tmp_path)], axis=1)
    assert rows[[T_A, T_B]].T.tolist() == [[200, 200], [2, 2]]


def test_one_file_is_a_record_too(tmp_path):
    ticks, depth = write(tmp_path, block([(1, 0), (2, 2)]))
    assert order(read_ticks(tmp_path / ticks.path)) == [(1, 1)]
    assert order(read_ticks(tmp_path / depth.path)) == [(2, 2)]


def test_memory_does_not_grow_with_the_record(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "GROUP_ROWS", 1_000)
    write(tmp_path, block([(seq, 0) for seq in range(60_000)]))
    tracemalloc.start()
    total = sum(one.ticks.shape[1] for one in read_ticks(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 60_000
    assert peak < 12 * 8 * 60_000 / 4


def test_rows_are_counted_in_finer_steps_in_place():
    one = block([(3, 0), (4, 2)])
    rescale(one, (1, 1), (2, 3, 0))
    assert (one.ticks[T_A, 0], one.ticks[T_B, 0]) == (40, 400)
    assert one.depth[D_PRICE].tolist() == [0, 10]


def test_steps_are_powers_of_ten():
    assert [step(n) for n in (0, 1, 3)] == ["1", "0.1", "0.001"]
    assert [places(step(n)) for n in range(9)] == list(range(9))


# --- what is not ours ---------------------------------------------------------------------------------------
def refused(path):
    with pytest.raises(FileFormatError) as refusal:
        list(read_ticks(path))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_truncated_file_is_refused_with_its_size(tmp_path):
    (written,) = write(tmp_path, block([(seq, 0) for seq in range(100)]))
    path = tmp_path / written.path
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert f"it ends at byte {len(whole) - 10}" in refused(path)
    path.write_bytes(whole[:200] + bytes(300) + whole[500:])
    assert "row group 0" in refused(path)


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "ticks-00000.parquet"
    pq.write_table(pa.table({"a": pa.array([1])}), path)
    assert "not of tickd convert" in refused(path)
    path.write_bytes(b"")
    assert "no whole Parquet file" in refused(path)
    assert "does not exist" in refused(tmp_path / "none.parquet")


def test_a_newer_format_is_refused_by_its_number(tmp_path):
    path = tmp_path / "ticks-00000.parquet"
    newer = TICKS.with_metadata({METADATA: json.dumps({"format": 2, "surprise": 1}).encode()})
    pq.write_table(newer.empty_table(), path)
    assert "newer tickd (format 2, ours is 1)" in refused(path)


def test_other_columns_than_the_header_says_are_refused(tmp_path):
    path = tmp_path / "ticks-00000.parquet"
    said = json.dumps({
        "format": 1, "table": "ticks", "exchange": "x", "market": "spot", "symbol": "A/B",
        "exchange_symbol": "AB", "tick": "1", "lot": "1",
    })  # fmt: skip
    pq.write_table(DEPTH.with_metadata({METADATA: said.encode()}).empty_table(), path)
    assert "other columns than a file of ticks" in refused(path)
    pq.write_table(TICKS.with_metadata({METADATA: b'{"format":1}'}).empty_table(), path)
    assert "a header that cannot be read" in refused(path)


def test_a_folder_of_bars_is_refused_for_what_it_is(tmp_path):
    day = tmp_path / "date=2024-08-08"
    day.mkdir()
    (day / "bars-00000.parquet").touch()
    assert "holds bars and no ticks: " in refused(tmp_path)
    write(tmp_path, block([(1, 0)]))
    assert read_header(tmp_path).symbol == "BTC/USDT"  # beside ticks they do no harm


def test_a_folder_without_ticks_and_one_of_two_instruments_are_refused(tmp_path):
    assert "holds no ticks" in refused(tmp_path)
    write(tmp_path, block([(1, 0)]))
    write(tmp_path, block([(1, 0)]), symbol="ETH/USDT")
    with pytest.raises(UsageError, match="holds several instruments"):
        list(read_ticks(tmp_path))
    assert order(read_ticks(tmp_path / "exchange=binance" / "symbol=ETH-USDT")) == [(1, 1)]
    (day,) = (tmp_path / "exchange=binance" / "symbol=ETH-USDT").iterdir()
    assert order(read_ticks(day)) == [(1, 1)]


def test_a_header_is_what_was_written(tmp_path):
    (written,) = write(tmp_path, block([(1, 0)]), source="capture", tickd="0.1.0")
    file, said = open_part(tmp_path / written.path)
    file.close()
    assert said == header(source="capture", tickd="0.1.0", table="ticks")
