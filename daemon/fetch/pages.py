"""Binance's answers to questions about the past, as columns of text that daemon/tape/forms/rows.py reads.

Whatever is wrong in a row is found there, as in a file that is converted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from daemon.tape.forms.layouts import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from daemon.fetch.days import Kind

    Ints = NDArray[np.int64]


class Single(msgspec.Struct):
    """A trade."""

    id: int
    price: str
    qty: str
    time: int
    maker: bool = msgspec.field(name="isBuyerMaker")


class _Aggregate(msgspec.Struct):
    id: int = msgspec.field(name="a")
    price: str = msgspec.field(name="p")
    qty: str = msgspec.field(name="q")
    time: int = msgspec.field(name="T")
    maker: bool = msgspec.field(name="m")
    first: int = msgspec.field(name="f")
    last: int = msgspec.field(name="l")


#: opened, open, high, low, close, volume, closed, money, trades, the taker's volume and money, nothing
_Kline = tuple[int, str, str, str, str, str, int, str, int, str, str, str]
_KLINE_COLUMNS: Final = {
    "open_time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5, "close_time": 6,
    "quote_volume": 7, "count": 8, "taker_volume": 9,
}  # fmt: skip
_TRADE_COLUMNS: Final = ("id", "price", "size", "exch", "maker")

_decode_trades = msgspec.json.Decoder(list[Single]).decode
_decode_aggregates = msgspec.json.Decoder(list[_Aggregate]).decode
_decode_klines = msgspec.json.Decoder(list[_Kline]).decode


def layout_of(kind: Kind) -> Layout:
    """Return what the columns of a kind's pages are."""
    columns = tuple(_KLINE_COLUMNS) if kind == "klines" else _TRADE_COLUMNS
    return Layout(
        form="fetch",
        kind="bars" if kind == "klines" else "trades",
        columns=columns,
        roles={name: name for name in columns},
        contiguous=kind != "klines",
    )


class Page(msgspec.Struct):
    """Some rows in the order that they came in."""

    rows: Sequence[Any]
    ids: Ints  # ascending; of klines their open times
    times_ms: Ints  # of klines: when each ends

    def part(self, first: int, end: int) -> Page:
        """Return the rows from one up to, and without, another."""
        return Page(self.rows[first:end], self.ids[first:end], self.times_ms[first:end])


def read_klines(body: bytes) -> Page:
    """Return klines; raises ValueError, as the others do."""
    rows = _decode_klines(body)
    return Page(rows, _ascending([row[0] for row in rows]), _ints([row[6] for row in rows]) + 1)


def read_trades(body: bytes) -> Page:
    """Return single trades."""
    rows = _decode_trades(body)
    return Page(rows, _ascending([row.id for row in rows]), _ints([row.time for row in rows]))


def read_aggregates(body: bytes) -> Page:
    """Return trades that are aggregates of those by one order at one price."""
    rows = _decode_aggregates(body)
    return Page(rows, _ascending([row.id for row in rows]), _ints([row.time for row in rows]))


READ: Final[dict[Kind, Callable[[bytes], Page]]] = {
    "klines": read_klines,
    "trades": read_trades,
    "aggTrades": read_aggregates,
}


def batch_of(kind: Kind, rows: Sequence[Any]) -> pa.RecordBatch:
    """Return rows of pages as columns of text; of many at once, since each column costs what it costs."""
    texts: dict[str, Sequence[str]]
    if kind == "klines":
        columns = list(zip(*rows, strict=True)) or [()] * 12
        texts = {name: columns[k] for name, k in _KLINE_COLUMNS.items()}
        for name in ("open_time", "close_time", "count"):
            texts[name] = list(map(str, texts[name]))
    else:
        texts = {
            "id": [str(one.id) for one in rows],
            "price": [one.price for one in rows],
            "size": [one.qty for one in rows],
            "exch": [str(one.time) for one in rows],
            "maker": ["true" if one.maker else "false" for one in rows],
        }
    return pa.RecordBatch.from_arrays([_texts(one) for one in texts.values()], names=list(texts))


def _ints(values: Sequence[int]) -> Ints:
    try:
        return np.array(values, np.int64)
    except OverflowError:
        raise ValueError("a number is beyond what can be") from None


def _ascending(ids: Sequence[int]) -> Ints:
    found = _ints(ids)
    if np.any(found[1:] <= found[:-1]):
        raise ValueError("the rows are not in order")
    return found


def _texts(texts: Sequence[str]) -> pa.Array:
    """Return an Arrow array of text, by its buffers (see daemon/tape/columns.py)."""
    ends = np.zeros(len(texts) + 1, np.int32)
    data = "".join(texts).encode()
    sizes: Iterable[int] = map(len, texts)
    if not data.isascii():  # it is no number, and will be told of as such
        sizes = (len(one.encode()) for one in texts)
    np.cumsum(np.fromiter(sizes, np.int32, len(texts)), out=ends[1:])
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(data)])
