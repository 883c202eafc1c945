"""Files of ticks appear whole or not at all, a folder a day, a row group at a time."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from daemon.errors import TickdError, UsageError
from daemon.tape import partitions
from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.partitions import TickWriter, folder_of
from daemon.tape.ticks import Block, Header, read_header, read_ticks
from kernels.columns import T_A, T_KIND, T_SEQ, T_WIRE_NS
from kernels.dtypes import TRADE

DAY_NS = 86_400_000_000_000
HEADER = Header(
    exchange="binance",
    market="usdm",
    symbol="BTC/USDT:USDT",
    exchange_symbol="BTCUSDT",
    tick="0.1",
    lot="0.001",
)


def block(begin, count, wire_ns=DAY_NS, step_ns=1):
    ticks = no_ticks(count)
    ticks[T_SEQ] = np.arange(begin, begin + count)
    ticks[T_KIND] = TRADE
    ticks[T_A] = 1
    ticks[T_WIRE_NS] = wire_ns + np.arange(count) * step_ns
    return Block(ticks, no_depth())


def files(root):
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def test_a_symbol_is_a_folder_whatever_signs_it_has(tmp_path):
    assert folder_of(tmp_path, HEADER) == tmp_path / "exchange=binance" / "symbol=BTC-USDT_USDT"


def test_nothing_has_its_name_before_the_end_and_then_it_is_private(tmp_path):
    writer = TickWriter(tmp_path, HEADER)
    writer.add(block(0, 5))
    assert not [one for one in files(tmp_path) if not one.rpartition("/")[2].startswith(".")]
    (written,) = writer.commit()
    name = "exchange=binance/symbol=BTC-USDT_USDT/date=1970-01-02/ticks-00000.parquet"
    assert files(tmp_path) == [name]
    path = tmp_path / name
    assert (written.path, written.rows, written.bytes) == (str(path), 5, path.stat().st_size)
    assert path.stat().st_mode & 0o777 == 0o600


def test_row_groups_and_parts_are_cut_where_they_are_full(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "GROUP_ROWS", 10)
    monkeypatch.setattr(partitions, "PART_ROWS", 20)
    writer = TickWriter(tmp_path, HEADER)
    for begin in range(0, 52, 4):
        writer.add(block(begin, 4))
    written = writer.commit()
    assert [one.rows for one in written] == [20, 20, 12]
    assert pq.ParquetFile(written[0].path).metadata.num_row_groups == 2
    rows = np.concatenate([one.ticks for one in read_ticks(tmp_path)], axis=1)
    assert rows[T_SEQ].tolist() == list(range(52))


def test_what_goes_over_midnight_is_cut_and_what_comes_late_gets_a_part_of_its_own(tmp_path):
    writer = TickWriter(tmp_path, HEADER)
    for begin, day in enumerate((1, 2, 3, 1)):
        writer.add(block(begin * 2, 2, day * DAY_NS - 1))
    written = writer.commit()
    days = [(one.path.rpartition("date=")[2], one.rows) for one in sorted(written, key=lambda one: one.path)]
    assert [rows for _, rows in days] == [1, 1, 2, 1, 2, 1]
    assert days[1][0] == "1970-01-01/ticks-00001.parquet"


def test_a_day_that_is_there_is_refused_before_anything_is_written_and_stays(tmp_path):
    first = TickWriter(tmp_path, HEADER)
    first.add(block(0, 5))
    first.commit()
    before = files(tmp_path)
    second = TickWriter(tmp_path, HEADER)
    with pytest.raises(UsageError, match="is there already and is not overwritten"):
        second.add(block(0, 5))
    second.abandon()
    assert files(tmp_path) == before


def test_an_abandoned_writer_leaves_neither_files_nor_its_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "GROUP_ROWS", 10)
    root = tmp_path / "ticks"
    writer = TickWriter(root, HEADER)
    writer.add(block(0, 15))
    writer.abandon()
    assert not root.exists()


def test_what_was_published_is_removed_too_where_the_rest_fails(tmp_path, monkeypatch):
    writer = TickWriter(tmp_path / "ticks", HEADER)
    writer.add(block(0, 4, 2 * DAY_NS - 2))
    publish = partitions.TableFile.publish
    calls = []

    def fail(self):
        calls.append(self)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return publish(self)

    monkeypatch.setattr(partitions.TableFile, "publish", fail)
    with pytest.raises(OSError, match="No space"):
        writer.commit()
    writer.abandon()
    assert files(tmp_path) == []


def test_finer_steps_are_taken_over_until_something_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "GROUP_ROWS", 10)
    finer = msgspec.structs.replace(HEADER, tick="0.01")
    writer = TickWriter(tmp_path, HEADER)
    writer.add(block(0, 4))

    def tenfold(one):
        one.ticks[T_A] *= 10

    assert writer.widen(finer, tenfold)
    writer.add(block(4, 7))
    assert not writer.widen(finer, tenfold)
    (written,) = writer.commit()
    assert read_header(tmp_path).tick == "0.01"
    rows = np.concatenate([one.ticks for one in read_ticks(tmp_path)], axis=1)
    assert rows[T_A].tolist() == [10] * 4 + [1] * 7
    assert written.rows == 11


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path):
    (tmp_path / "ticks").write_text("a file")
    writer = TickWriter(tmp_path / "ticks", HEADER)
    with pytest.raises(TickdError, match="cannot be made"):
        writer.add(block(0, 5))


def test_who_says_what_its_files_are_may_replace_them_and_have_one_without_rows(tmp_path):
    for rows in (0, 5, 3):
        writer = TickWriter(tmp_path, HEADER, {b"mark": b"%d" % rows})
        writer.add(block(0, rows))
        if not rows:
            writer.touch(1, "ticks")
        (written,) = writer.commit()
        metadata = pq.read_schema(written.path).metadata
        assert (written.rows, metadata[b"mark"]) == (rows, b"%d" % rows)
        assert sum(one.ticks.shape[1] for one in read_ticks(tmp_path)) == rows
    with pytest.raises(UsageError, match="is there already"):
        TickWriter(tmp_path, HEADER).add(block(0, 1))


def test_the_first_of_a_day_s_files_is_seen_last(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "GROUP_ROWS", 2)
    monkeypatch.setattr(partitions, "PART_ROWS", 2)
    seen = []
    publish = partitions.TableFile.publish

    def watch(file):
        seen.append(file.path.name)
        return publish(file)

    monkeypatch.setattr(partitions.TableFile, "publish", watch)
    writer = TickWriter(tmp_path, HEADER)
    writer.add(block(0, 6))
    names = [one.path.rpartition("/")[2] for one in writer.commit()]
    assert names == [f"ticks-0000{k}.parquet" for k in range(3)]
    assert seen == names[::-1]
