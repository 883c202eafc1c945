from __future__ import annotations

import builtins
import errno

import pytest
from pyarrow import parquet

from daemon.errors import TickdError, UsageError
from daemon.faces import exports

FIELDS = ("time", "price")
ROWS = [("2023-11-14T22:13:20.123456789Z", "0.000000000000000001"), ("b", ""), ("c,d", '"1"')]


def test_csv_holds_every_digit_and_quotes_what_needs_it(tmp_path):
    path = tmp_path / "a.csv"
    assert exports.write_csv(path, FIELDS, ROWS) == 3
    assert path.read_bytes().decode() == (
        'time,price\n2023-11-14T22:13:20.123456789Z,0.000000000000000001\nb,\n"c,d","""1"""\n'
    )


def test_parquet_holds_text_and_null_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "_BATCH", 2)
    path = tmp_path / "a.parquet"
    assert exports.write_parquet(path, FIELDS, iter(ROWS)) == 3
    file = parquet.ParquetFile(path)
    assert [str(one.type) for one in file.schema_arrow] == ["string", "string"]
    assert file.num_row_groups == 2
    rows = [tuple(row.values()) for row in file.read().to_pylist()]
    assert rows == [tuple(cell or None for cell in row) for row in ROWS]


@pytest.mark.parametrize("write", [exports.write_csv, exports.write_parquet])
def test_no_rows_are_a_file_with_its_columns_alone(tmp_path, write):
    assert write(tmp_path / "a", FIELDS, []) == 0
    assert (tmp_path / "a").stat().st_size > 0


@pytest.mark.parametrize("write", [exports.write_csv, exports.write_parquet])
def test_a_file_that_cannot_be_whole_is_not_left_behind(tmp_path, write):
    path = tmp_path / "a"

    def torn(error):
        yield ROWS[0]
        raise error

    with pytest.raises(ValueError, match="the journal"):
        write(path, FIELDS, torn(ValueError("the journal")))
    assert not path.exists()
    with pytest.raises(TickdError, match=r"could not be written \(No space left on device\)"):
        write(path, FIELDS, torn(OSError(errno.ENOSPC, "No space left on device")))
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        write(path, FIELDS, ROWS)
    assert path.read_text() == "mine"


def test_a_target_is_looked_at_before_any_work(tmp_path):
    exports.check_target(tmp_path / "new")
    with pytest.raises(UsageError, match="exists and is not overwritten"):
        exports.check_target(tmp_path)
    with pytest.raises(UsageError, match="there is no folder"):
        exports.check_target(tmp_path / "no" / "a.csv")


def test_csv_never_imports_pyarrow(tmp_path, monkeypatch):
    real = builtins.__import__

    def importing(name, *more):
        assert not name.startswith("pyarrow")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", importing)
    exports.check_target(tmp_path / "a.csv")
    exports.write_csv(tmp_path / "a.csv", FIELDS, ROWS)
