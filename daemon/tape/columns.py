"""The Parquet tables of typed ticks, and their rows as columns of integers (kernels.columns).

Arrays go to Arrow and back by their buffers: `pyarrow.array` imports pandas wherever that is installed, which
takes half a second, and copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pyarrow as pa

from kernels.columns import (
    D_COLUMNS,
    D_END,
    D_EXCH_NS,
    D_FIRST,
    D_LAST,
    D_PREV,
    D_PRICE,
    D_SEQ,
    D_SIDE,
    D_SIZE,
    D_SNAPSHOT,
    D_WIRE_NS,
    T_A,
    T_B,
    T_C,
    T_COLUMNS,
    T_D,
    T_END,
    T_EXCH_NS,
    T_ID,
    T_KIND,
    T_SEQ,
    T_SIDE,
    T_WIRE_NS,
)
from kernels.dtypes import QUOTE, TRADE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

Table = Literal["ticks", "depth", "bars"]
_INT64: Final = pa.int64()
TICKS: Final = pa.schema(
    [
        pa.field("seq", _INT64, nullable=False),
        pa.field("wire_ns", _INT64, nullable=False),
        pa.field("exch_ns", _INT64),
        pa.field("drain_end", pa.bool_(), nullable=False),
        pa.field("kind", pa.int8(), nullable=False),
        pa.field("trade_id", _INT64),
        pa.field("side", pa.int8()),
        pa.field("price", _INT64),
        pa.field("size", _INT64),
        pa.field("quote_id", _INT64),
        pa.field("bid", _INT64),
        pa.field("bid_size", _INT64),
        pa.field("ask", _INT64),
        pa.field("ask_size", _INT64),
    ]
)
DEPTH: Final = pa.schema(
    [
        pa.field("seq", _INT64, nullable=False),
        pa.field("wire_ns", _INT64, nullable=False),
        pa.field("exch_ns", _INT64),
        pa.field("drain_end", pa.bool_(), nullable=False),
        pa.field("snapshot", pa.bool_(), nullable=False),
        pa.field("first_id", _INT64),
        pa.field("last_id", _INT64),
        pa.field("prev_id", _INT64),
        pa.field("side", pa.int8(), nullable=False),
        pa.field("price", _INT64, nullable=False),
        pa.field("size", _INT64, nullable=False),
    ]
)
BARS: Final = pa.schema(
    [
        pa.field(name, _INT64, nullable=False)
        for name in (
            "open_ns", "end_ns", "open", "high", "low", "close", "volume", "money", "trades", "taker_volume"
        )
    ]
)  # fmt: skip
SCHEMAS: Final[dict[Table, pa.Schema]] = {"ticks": TICKS, "depth": DEPTH, "bars": BARS}


def column(values: NDArray[Any], missing: Bools | None = None) -> pa.Array:
    """Return integers as an Arrow array of their type; `missing` ones are null."""
    values = np.ascontiguousarray(values)
    valid = None
    if missing is not None and missing.any():
        valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(_TYPES[values.dtype], len(values), [valid, pa.py_buffer(values)])


def packed(values: Bools) -> pa.Array:
    """Return truths as an Arrow array."""
    bits = pa.py_buffer(np.packbits(values, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])


def nulls(array: pa.Array) -> Bools:
    """Return where an array has none."""
    if not array.null_count:
        return np.zeros(len(array), np.bool_)
    return ~_bits(array.buffers()[0], array.offset, len(array))


def numbers(array: pa.Array, missing: int = 0) -> NDArray[Any]:
    """Return an array's integers, 0 and 1 of truths, and `missing` where it has none."""
    if array.type == pa.bool_():
        return _bits(array.buffers()[1], array.offset, len(array))
    dtype: np.dtype[Any] = next(dtype for dtype, one in _TYPES.items() if one == array.type)
    data = array.buffers()[1]
    if data is None:
        return np.full(len(array), missing).astype(dtype)
    values: NDArray[Any] = np.frombuffer(data, dtype, count=len(array), offset=array.offset * dtype.itemsize)
    return np.where(nulls(array), missing, values) if array.null_count else values


def _bits(data: pa.Buffer, offset: int, count: int) -> Bools:
    bits: Bools = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").view(np.bool_)
    return bits[offset : offset + count]


_TYPES: Final[dict[np.dtype[Any], pa.DataType]] = {
    np.dtype(np.int64): pa.int64(),
    np.dtype(np.int8): pa.int8(),
}


def no_ticks(rows: int = 0) -> Ints:
    """Return room for trades and quotes."""
    return np.zeros((T_COLUMNS, rows), np.int64)


def no_depth(rows: int = 0) -> Ints:
    """Return room for levels."""
    return np.zeros((D_COLUMNS, rows), np.int64)


def ticks_table(t: Ints) -> pa.Table:
    """Return trades and quotes as their Parquet table."""
    quote = t[T_KIND] == QUOTE
    trade = ~quote
    no_id = t[T_ID] < 0
    columns = [
        column(t[T_SEQ]),
        column(t[T_WIRE_NS]),
        column(t[T_EXCH_NS], t[T_EXCH_NS] == 0),
        packed(t[T_END] != 0),
        column(t[T_KIND].astype(np.int8)),
        column(t[T_ID], quote | no_id),
        column(t[T_SIDE].astype(np.int8), quote | (t[T_SIDE] == 0)),
        column(t[T_A], quote),
        column(t[T_B], quote),
        column(t[T_ID], trade | no_id),
        column(t[T_A], trade),
        column(t[T_B], trade),
        column(t[T_C], trade),
        column(t[T_D], trade),
    ]
    return pa.Table.from_arrays(columns, schema=TICKS)


def depth_table(d: Ints) -> pa.Table:
    """Return levels as their Parquet table."""
    columns = [
        column(d[D_SEQ]),
        column(d[D_WIRE_NS]),
        column(d[D_EXCH_NS], d[D_EXCH_NS] == 0),
        packed(d[D_END] != 0),
        packed(d[D_SNAPSHOT] != 0),
        *(column(d[one], d[one] < 0) for one in (D_FIRST, D_LAST, D_PREV)),
        column(d[D_SIDE].astype(np.int8)),
        column(d[D_PRICE]),
        column(d[D_SIZE]),
    ]
    return pa.Table.from_arrays(columns, schema=DEPTH)


def bars_table(b: Ints) -> pa.Table:
    """Return bars, int64[columns of BARS, n], as their Parquet table."""
    return pa.Table.from_arrays([column(values) for values in b], schema=BARS)


def ticks_columns(batch: pa.RecordBatch) -> Ints:
    """Return a batch of the ticks table as columns."""
    t = no_ticks(batch.num_rows)
    kind = _read(batch, "kind", 0)
    trade = kind == TRADE
    t[T_SEQ], t[T_WIRE_NS] = _read(batch, "seq", 0), _read(batch, "wire_ns", 0)
    t[T_EXCH_NS], t[T_END] = _read(batch, "exch_ns", 0), _read(batch, "drain_end", 0)
    t[T_KIND], t[T_SIDE] = kind, _read(batch, "side", 0)
    t[T_ID] = np.where(trade, _read(batch, "trade_id", -1), _read(batch, "quote_id", -1))
    t[T_A] = np.where(trade, _read(batch, "price", 0), _read(batch, "bid", 0))
    t[T_B] = np.where(trade, _read(batch, "size", 0), _read(batch, "bid_size", 0))
    t[T_C], t[T_D] = _read(batch, "ask", 0), _read(batch, "ask_size", 0)
    return t


def depth_columns(batch: pa.RecordBatch) -> Ints:
    """Return a batch of the depth table as columns."""
    d = no_depth(batch.num_rows)
    for column, name, missing in (
        (D_SEQ, "seq", 0),
        (D_WIRE_NS, "wire_ns", 0),
        (D_EXCH_NS, "exch_ns", 0),
        (D_END, "drain_end", 0),
        (D_SNAPSHOT, "snapshot", 0),
        (D_FIRST, "first_id", -1),
        (D_LAST, "last_id", -1),
        (D_PREV, "prev_id", -1),
        (D_SIDE, "side", 0),
        (D_PRICE, "price", 0),
        (D_SIZE, "size", 0),
    ):
        d[column] = _read(batch, name, missing)
    return d


def _read(batch: pa.RecordBatch, name: str, missing: int) -> NDArray[Any]:
    return numbers(batch.column(name), missing)
