"""Typed ticks to other forms: CSV of exact decimals, and arrays of events for hftbacktest.

Both are written under a temporary name, private, and appear whole or not at all. A CSV is written in bounded
memory; an array is put together in memory, 64 bytes an event.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from daemon.errors import TickdError, UsageError
from daemon.tape.columns import column, nulls
from daemon.tape.forms.npz import (
    EV_BBO,
    EV_BUY,
    EV_CLEAR,
    EV_DEPTH,
    EV_EXCH,
    EV_LOCAL,
    EV_SELL,
    EV_SNAPSHOT,
    EV_TRADE,
    EVENT,
)
from daemon.tape.ticks import places, read_header, read_ticks
from kernels.columns import (
    D_EXCH_NS,
    D_LAST,
    D_PRICE,
    D_SEQ,
    D_SIDE,
    D_SIZE,
    D_SNAPSHOT,
    D_WIRE_NS,
    T_A,
    T_B,
    T_C,
    T_D,
    T_EXCH_NS,
    T_ID,
    T_KIND,
    T_SEQ,
    T_SIDE,
    T_WIRE_NS,
)
from kernels.dtypes import QUOTE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from daemon.tape.ticks import Block

    Ints = NDArray[np.int64]

_FILE_MODE: Final = 0o600
# what a row of CSV is
_KINDS: Final = ("trade", "quote", "depth", "snapshot")
_QUOTED: Final = 1
_SIDES: Final = ("sell", "", "buy")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield what becomes a new file once everything is written; raises UsageError where there is one."""
    if path.exists():
        raise UsageError(f"{path} is there already and is not overwritten: name another --out, or remove it")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.touch(_FILE_MODE)
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise TickdError(f"{path} could not be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


# --- CSV --------------------------------------------------------------------------------------------------
def write_csv(source: Path, path: Path) -> int:
    """Write every trade, quote and level, a row each, in order; return how many."""
    header = read_header(source)
    price, size = places(header.tick), places(header.lot)
    rows = 0
    with whole_file(path) as file:
        writer: pa_csv.CSVWriter | None = None
        for block in read_ticks(source):
            batch = _batch(block, price, size)
            if writer is None:
                writer = pa_csv.CSVWriter(
                    file, batch.schema, write_options=pa_csv.WriteOptions(quoting_style="none")
                )
            writer.write_batch(batch)
            rows += batch.num_rows
        if writer is not None:
            writer.close()
    return rows


def _batch(block: Block, price_places: int, size_places: int) -> pa.RecordBatch:
    ticks, depth = block
    quote = ticks[T_KIND] == QUOTE
    kinds = np.concatenate([quote.astype(np.int64), 2 + depth[D_SNAPSHOT]])
    none = np.full(depth.shape[1], -1)
    order = np.argsort(np.concatenate([ticks[T_SEQ], depth[D_SEQ]]), kind="stable")

    def both(of_ticks: Ints, of_depth: Ints) -> Ints:
        return np.concatenate([of_ticks, of_depth])[order]

    kinds = kinds[order]
    quoted = kinds == _QUOTED
    empty = both(np.zeros_like(ticks[T_SIDE]), (depth[D_SIDE] == 0).astype(np.int64)) != 0
    exch = both(ticks[T_EXCH_NS], depth[D_EXCH_NS])
    ids = both(ticks[T_ID], depth[D_LAST])
    return pa.RecordBatch.from_pydict(
        {
            "seq": column(both(ticks[T_SEQ], depth[D_SEQ])),
            "wire_ns": column(both(ticks[T_WIRE_NS], depth[D_WIRE_NS])),
            "exch_ns": column(exch, exch == 0),
            "kind": _words(kinds, _KINDS),
            "id": column(ids, ids < 0),
            "side": _words(both(ticks[T_SIDE], depth[D_SIDE]) + 1, _SIDES),
            "price": _decimals(both(ticks[T_A], depth[D_PRICE]), price_places, empty),
            "size": _decimals(both(ticks[T_B], depth[D_SIZE]), size_places, empty),
            "ask": _decimals(both(ticks[T_C], none), price_places, ~quoted),
            "ask_size": _decimals(both(ticks[T_D], none), size_places, ~quoted),
        }
    )


def _words(numbers: Ints, words: tuple[str, ...]) -> pa.Array:
    """Return numbers as the words they stand for."""
    return pa.DictionaryArray.from_arrays(column(numbers), pa.array(words)).cast(pa.string())


def _decimals(counts: Ints, decimals: int, missing: NDArray[np.bool_]) -> pa.Array:
    """Return counts of 10**-decimals as exact numbers."""
    words = np.empty((len(counts), 2), np.int64)
    words[:, 0], words[:, 1] = counts, counts >> 63
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    found = pa.Array.from_buffers(pa.decimal128(38, decimals), len(counts), [valid, pa.py_buffer(words)])
    assert int(nulls(found).sum()) == int(missing.sum())
    return found.cast(pa.string())


# --- hftbacktest ------------------------------------------------------------------------------------------
def write_npz(source: Path, path: Path) -> int:
    """Write events, in the order of both clocks, as array `data`; return how many."""
    header = read_header(source)
    price, size = 10.0 ** places(header.tick), 10.0 ** places(header.lot)
    parts = [_events(block, price, size) for block in read_ticks(source)]
    events = in_order_of_both(np.concatenate(parts) if parts else np.zeros(0, EVENT))
    with whole_file(path) as file:
        np.savez_compressed(file, data=events)
    return len(events)


def _events(block: Block, price: float, size: float) -> NDArray[np.void]:
    """Return a block's events in the order they were received; two of a quote, bid and ask."""
    ticks, depth = block
    quotes = ticks[:, ticks[T_KIND] == QUOTE]
    trades = ticks[:, ticks[T_KIND] != QUOTE]
    levels = depth[:, depth[D_SIDE] != 0]
    clears = _clears(levels)
    whole = np.where(levels[D_SNAPSHOT] != 0, EV_SNAPSHOT, EV_DEPTH)
    # rows, their kind, side, price and size, and their rank among those of one seq
    parts = [
        (trades, EV_TRADE, trades[T_SIDE], trades[T_A], trades[T_B], 1),
        (quotes, EV_BBO, np.ones(quotes.shape[1]), quotes[T_A], quotes[T_B], 1),
        (quotes, EV_BBO, -np.ones(quotes.shape[1]), quotes[T_C], quotes[T_D], 2),
        (clears, EV_CLEAR, clears[D_SIDE], clears[D_PRICE], np.zeros(clears.shape[1]), 0),
        (levels, whole, levels[D_SIDE], levels[D_PRICE], levels[D_SIZE], 1),
    ]
    found, keys = [], []
    for rows, kind, sides, prices, sizes, rank in parts:
        one = np.zeros(rows.shape[1], EVENT)
        flags = np.where(sides > 0, EV_BUY, np.where(sides < 0, EV_SELL, 0))
        one["ev"] = kind | flags | EV_EXCH | EV_LOCAL
        # seq and both times are the same columns in both tables
        one["local_ts"], one["exch_ts"] = rows[T_WIRE_NS], rows[T_EXCH_NS]
        one["px"], one["qty"] = prices / price, sizes / size
        found.append(one)
        keys.append(np.stack([rows[T_SEQ], np.full(rows.shape[1], rank)]))
    events, key = np.concatenate(found), np.concatenate(keys, axis=1)
    return events[np.lexsort((key[1], key[0]))]


def _clears(levels: Ints) -> Ints:
    """Return a row for each side of each whole book, at its worst price: what is up to there is gone."""
    book = levels[:, levels[D_SNAPSHOT] != 0]
    found = []
    for side in (1, -1):
        mine = book[:, book[D_SIDE] == side]
        order = np.lexsort((mine[D_PRICE] * side, mine[D_SEQ]))
        mine = mine[:, order]
        found.append(mine[:, np.diff(mine[D_SEQ], prepend=-1) != 0])
    return np.concatenate(found, axis=1)


def in_order_of_both(events: NDArray[np.void]) -> NDArray[np.void]:
    """Return events such that those for each processor stand in the order of its clock.

    They come as they were received. An event without the exchange's stamp gets that of the latest before it.
    One that was sent before another that came earlier stands twice: where the exchange made it, and where it
    came.
    """
    latest = np.maximum.accumulate(events["exch_ts"])
    events["exch_ts"] = np.where(events["exch_ts"] == 0, latest, events["exch_ts"])
    first = events["exch_ts"][events["exch_ts"] > 0][:1]
    if len(first):
        events["exch_ts"][events["exch_ts"] == 0] = first[0]
    received = np.argsort(events["local_ts"], kind="stable")
    events = events[received]
    latest = np.maximum.accumulate(events["exch_ts"])
    late = events["exch_ts"] < latest
    copies = events[late]
    copies["ev"] &= ~np.uint64(EV_LOCAL)
    events["ev"][late] &= ~np.uint64(EV_EXCH)
    # before the first that the exchange made later
    places_of = np.searchsorted(latest, copies["exch_ts"], side="right") - 0.5
    at = np.concatenate([np.arange(len(events)), places_of])
    everything = np.concatenate([events, copies])
    return everything[np.lexsort((everything["exch_ts"], at))]


#: what writes ticks in another form, by the name's end
EXPORTS: Final = {".csv": write_csv, ".npz": write_npz}
