"""Rows of text into a file that was not there before: CSV or Parquet.

Every column is text: decimals keep all their digits, and times their nanoseconds. A file is whole or is not
there at all.
"""

from __future__ import annotations

import csv
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from daemon.errors import TickdError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: rows that are in memory at once, and a row group of Parquet
_BATCH: Final = 16_384


def check_target(path: Path) -> None:
    """Raise UsageError where `path` cannot become a file: before any work is done."""
    if path.exists():
        raise UsageError(_exists(path))
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")


def write_csv(path: Path, fields: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> int:
    """Write a header and the rows; return how many."""
    count = 0
    with _whole(path), path.open("x", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(fields)
        for batch in _batches(rows):
            writer.writerows(batch)
            count += len(batch)
    return count


def write_parquet(path: Path, fields: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> int:
    """Write the rows, compressed by zstd, what is empty as null; return how many."""
    import pyarrow as pa  # noqa: PLC0415 - 0.1 s, and needed here alone
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - likewise

    schema = pa.schema([(name, pa.string()) for name in fields])
    count = 0
    with (
        _whole(path),
        path.open("xb") as file,
        ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for batch in _batches(rows):
            columns = zip(*batch, strict=True)
            arrays = [pa.array([cell or None for cell in column], pa.string()) for column in columns]
            writer.write_table(pa.table(arrays, schema=schema))
            count += len(batch)
    return count


def _batches(rows: Iterable[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    several = iter(rows)
    while batch := list(islice(several, _BATCH)):
        yield batch


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Remove what was written of `path` unless all of it was."""
    try:
        yield
    except FileExistsError as error:  # since it was looked for
        raise UsageError(_exists(path)) from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise TickdError(f"{path} could not be written ({error.strerror or error})") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _exists(path: Path) -> str:
    return f"{path} exists and is not overwritten: name another file, or remove it"
