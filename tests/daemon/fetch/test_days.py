from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daemon.errors import FileFormatError, TickdError, UsageError
from daemon.fetch.days import DAY_NS, SETTLED_NS, Day, Store, Wanted, date_of, is_settled, read_mark
from daemon.tape.columns import no_depth, no_ticks
from daemon.tape.forms.base import FinerGridError, Grid, Series, State
from daemon.tape.ticks import GROUP_ROWS, Block, read_header, read_ticks
from kernels.columns import T_A, T_B, T_ID, T_KIND, T_SEQ, T_WIRE_NS
from kernels.dtypes import TRADE

SERIES = Series(
    exchange="binance", market="spot", symbol="BTC/USDT", exchange_symbol="BTCUSDT", clock="exchange"
)
TRADES = Wanted(SERIES, "trades", "")
KLINES = Wanted(SERIES, "klines", "1m")
DAY = 20_000
OVER_NS = (DAY + 1) * DAY_NS + SETTLED_NS


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path, 60_000_000_000)


def trades(rows, first=0, day=DAY):
    ticks = no_ticks(rows)
    ticks[T_KIND], ticks[T_A], ticks[T_B] = TRADE, 5, 7
    ticks[T_SEQ] = ticks[T_ID] = np.arange(first, first + rows)
    ticks[T_WIRE_NS] = day * DAY_NS + ticks[T_SEQ]
    return Block(ticks, no_depth())


def bars(rows):
    found = np.ones((10, rows), np.int64)
    found[0] = DAY * DAY_NS + np.arange(rows) * 60_000_000_000
    return found


def read(store):
    """Return a day's rows as one array."""
    return np.concatenate([one.ticks for one in read_ticks(store.folder(TRADES, DAY))], axis=1)


NOTHING = Block(no_ticks(), no_depth())


def begin(store, wanted=TRADES, asked_ns=OVER_NS, grid=Grid(1, 1, 1)):  # noqa: B008 - a constant
    return Day(store, wanted, DAY, asked_ns, State({SERIES.key: grid}))


def test_a_day_is_settled_a_minute_after_its_end():
    assert date_of(DAY) == "2024-10-04"
    assert not is_settled(DAY, OVER_NS - 1)
    assert is_settled(DAY, OVER_NS)


def test_a_day_is_seen_once_it_is_whole(store):
    day = begin(store)
    day.add(trades(3), None)
    assert not store.has(TRADES, DAY, OVER_NS)
    assert not list(store.root.rglob("*.parquet"))
    day.commit()
    day.abandon()  # of what is whole nothing is taken back
    assert store.has(TRADES, DAY, OVER_NS)
    assert store.has(TRADES, DAY, OVER_NS * 2)
    assert read(store)[T_ID].tolist() == [0, 1, 2]


def test_what_was_begun_leaves_nothing(store):
    day = begin(store)
    day.add(trades(GROUP_ROWS + 1), None)  # a row group is on the disk
    assert list(store.root.rglob("*.tmp"))
    day.abandon()
    assert not list(store.root.iterdir())


def test_what_was_ended_at_once_is_cleared(store):
    day = begin(store)
    day.add(trades(GROUP_ROWS), None)
    assert not store.has(TRADES, DAY, OVER_NS)
    store.clear(TRADES, DAY)
    assert not [one for one in store.root.rglob("*") if one.is_file()]


def test_a_day_that_was_not_over_lives_for_its_time(store):
    asked_ns = OVER_NS - 1
    begin(store, asked_ns=asked_ns).commit()
    assert store.has(TRADES, DAY, asked_ns + 59_999_999_999)
    assert not store.has(TRADES, DAY, asked_ns + 60_000_000_000)
    assert not store.has(TRADES, DAY, asked_ns - 1)  # by a clock that was wrong
    day = begin(store)
    day.add(trades(2), None)
    day.commit()  # in its place
    assert store.has(TRADES, DAY, OVER_NS * 2)
    assert read(store).shape[1] == 2


def test_a_day_without_rows_is_a_file_without_rows(store):
    (file,) = begin(store, KLINES).commit()
    assert file.rows == 0
    assert store.has(KLINES, DAY, OVER_NS)
    begin(store).commit()
    assert list(read_ticks(store.folder(TRADES, DAY))) == []


def test_other_data_in_its_place_is_refused(store):
    begin(store).commit()
    with pytest.raises(UsageError, match="holds trades, which is not overwritten"):
        store.has(TRADES._replace(kind="aggTrades"), DAY, OVER_NS)
    path = store.folder(TRADES, DAY) / "ticks-00000.parquet"
    pq.write_table(pa.table({}), path)
    with pytest.raises(UsageError, match="is of no tickd fetch and is not overwritten"):
        store.has(TRADES, DAY, OVER_NS)
    path.write_bytes(b"PAR1")
    assert read_mark(path) is None
    assert not store.has(TRADES, DAY, OVER_NS)
    path.write_bytes(b"")
    assert not store.has(TRADES, DAY, OVER_NS)
    pq.write_table(pa.table({}).replace_schema_metadata({"tickd.fetch": "{}"}), path)
    with pytest.raises(UsageError, match="was fetched by another version of tickd"):
        read_mark(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_mark(path)


def test_rows_that_wait_are_counted_by_a_finer_grid(store):
    day = begin(store)
    day.add(trades(1), None)
    day.state.widen(SERIES, Grid(3, 2, 1))
    day.add(trades(1, first=1), None)
    day.commit()
    assert read(store)[[T_A, T_B]].tolist() == [[500, 5], [70, 7]]
    header = read_header(store.folder(TRADES, DAY))
    assert (header.tick, header.lot) == ("0.001", "0.01")


def test_bars_too(store):
    day = begin(store, KLINES)
    day.add(NOTHING, bars(1))
    day.state.widen(SERIES, Grid(2, 3, 4))
    day.add(NOTHING, bars(2)[:, 1:])
    day.commit()
    table = pq.read_table(store.folder(KLINES, DAY) / "bars-00000.parquet", partitioning=None)
    first, second = table.select(table.column_names[2:]).to_pylist()
    assert list(first.values()) == [10, 10, 10, 10, 100, 1000, 1, 100]
    assert set(second.values()) == {1}


def test_what_is_written_already_begins_anew_with_a_finer_grid(store):
    day = begin(store)
    day.add(trades(GROUP_ROWS), None)
    day.state.widen(SERIES, Grid(3, 1, 1))
    with pytest.raises(FinerGridError):
        day.add(trades(1, first=GROUP_ROWS), None)
    day.abandon()


def test_rows_of_another_day_are_refused(store):
    day = begin(store)
    for other in (DAY - 1, DAY + 1):
        with pytest.raises(FileFormatError, match="BTCUSDT trades of 2024-10-04 has rows of another day"):
            day.add(trades(1, day=other), None)


def test_a_disk_that_takes_nothing_is_told(store, monkeypatch):
    from daemon.tape import partitions

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(partitions.TableFile, "write", full)
    day = begin(store)
    with pytest.raises(TickdError, match="No space left on device"):
        day.add(trades(GROUP_ROWS), None)
    day.abandon()
    day = begin(store, KLINES)
    day.add(NOTHING, bars(1))
    with pytest.raises(TickdError, match="No space left on device"):
        day.commit()
    day.abandon()
    assert not list(store.root.rglob("*.parquet"))
