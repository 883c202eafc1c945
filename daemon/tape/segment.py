"""One segment of a tape as bytes: entries to Arrow IPC messages and back. No file is opened here.

While a session runs its newest segment grows by whole messages, each of a few hundred entries, quickly
compressed. Once closed it is packed anew in large batches (`Packer`), a step at a time, so that neither the
worker nor the interpreter is held for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from daemon.errors import FileFormatError
from daemon.tape.header import SCHEMA, header_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from daemon.tape.header import TapeHeader

#: what ends an Arrow stream
END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
#: entries turned into Arrow's form in one go: for some 50 us the interpreter belongs to the worker
LIVE_ROWS: Final = 256
_LIVE_LEVEL: Final = 1
#: a closed segment's batches
PACKED_ROWS: Final = 4096
_PACKED_BYTES: Final = 4 << 20
_PACKED_LEVEL: Final = 9
_ERRORS: Final = (pa.ArrowException, OSError, ValueError)


class Rows(NamedTuple):
    """Consecutive entries by their columns, all of one length."""

    first_seq: int
    streams: list[int]
    wires_ns: list[int]
    lasts: list[bool]
    payloads: list[bytes]

    def cut(self, begin: int, end: int) -> Rows:
        """Return the entries from one to before another."""
        return Rows(
            self.first_seq + begin,
            self.streams[begin:end],
            self.wires_ns[begin:end],
            self.lasts[begin:end],
            self.payloads[begin:end],
        )


def begin_segment(header: TapeHeader) -> bytes:
    """Return a segment's first bytes."""
    return schema_of(header).serialize().to_pybytes()  # type: ignore[no-any-return]


_PREFIX: Final = len(SCHEMA.serialize())


def messages(names: Sequence[str], rows: Rows) -> bytes:
    """Return entries as the messages that a live segment grows by; names: of the streams, by number."""
    sink = pa.BufferOutputStream()
    known = _column(pa.utf8(), len(names), *_joined([name.encode() for name in names]))
    with pa.ipc.new_stream(sink, SCHEMA, options=_options(_LIVE_LEVEL)) as writer:
        for begin in range(0, len(rows.payloads), LIVE_ROWS):
            writer.write_batch(_batch(known, rows.cut(begin, begin + LIVE_ROWS)))
    return sink.getvalue()[_PREFIX : -len(END)].to_pybytes()  # type: ignore[no-any-return]


def _batch(names: pa.Array, rows: Rows) -> pa.RecordBatch:
    """Return entries as one batch."""
    count = len(rows.payloads)
    streams = _column(pa.int16(), count, np.array(rows.streams, np.int16))
    columns = [
        _column(pa.int64(), count, np.arange(rows.first_seq, rows.first_seq + count)),
        _column(pa.int64(), count, np.array(rows.wires_ns, np.int64)),
        pa.DictionaryArray.from_arrays(streams, names),
        _column(pa.bool_(), count, np.packbits(np.array(rows.lasts, np.bool_), bitorder="little")),
        _column(pa.binary(), count, *_joined(rows.payloads)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _joined(parts: Sequence[bytes]) -> tuple[NDArray[np.int32], bytes]:
    """Return the buffers of texts: where each ends, and all of them."""
    ends = np.zeros(len(parts) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, parts), np.int32, len(parts)), out=ends[1:])
    return ends, b"".join(parts)


def _column(kind: pa.DataType, count: int, *parts: object) -> pa.Array:
    """Return a column without nulls over its buffers; `pa.array` would import pandas, if it is there."""
    return pa.Array.from_buffers(kind, count, [None, *map(pa.py_buffer, parts)])


def _options(level: int) -> pa.ipc.IpcWriteOptions:
    """Compress in the calling thread alone: the other cores are for trading."""
    return pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", level), use_threads=False)


def integers(column: pa.Array) -> NDArray[Any]:
    """Return a column of int64 or int16 without copying; Arrow's own `to_numpy` would import pandas too."""
    kind = np.int16 if column.type == pa.int16() else np.int64
    return np.frombuffer(column.buffers()[1], kind)[column.offset : column.offset + len(column)]


# --- reading ------------------------------------------------------------------------------------------------
class Scan:
    """A segment's batches, as far as they are whole.

    size: bytes up to the end of the last whole message, once `batches` has ended; `problem` says then why
    it did not go on, "" where the segment ended as it should or, still growing, at a whole message.
    """

    def __init__(self, data: pa.Buffer) -> None:
        """Read its header; raises FileFormatError, its text to be put behind the file's name."""
        self._data = data
        self._source = pa.BufferReader(data)
        try:
            self._reader = pa.ipc.open_stream(self._source)
        except _ERRORS:
            raise FileFormatError(
                f"is no tape, or torn within its header: {len(data)} bytes, of which Arrow can read none;"
                " name another file"
            ) from None
        self.schema: pa.Schema = self._reader.schema
        self.header = header_of(self.schema)
        self.size: int = self._source.tell()
        self.ended = False  # by its own word: nothing will follow
        self.problem = ""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield each batch that is whole."""
        newest = -1
        while True:
            try:
                batch = self._reader.read_next_batch()
                batch.validate(full=True)
                seqs = integers(batch.column(0))
                if not len(seqs) or seqs[0] <= newest or (np.diff(seqs) <= 0).any():
                    raise ValueError("its entries are out of order")
            except StopIteration:
                break
            except _ERRORS as error:
                self.problem = str(error).splitlines()[0] or "it is damaged"
                return
            newest = int(seqs[-1])
            self.size = self._source.tell()
            yield batch
        end = self._data[self.size :].to_pybytes()
        self.ended = end == END
        if self.ended:
            self.size += len(END)
        elif end:
            self.problem = "what follows is no message"


# --- closed segments ----------------------------------------------------------------------------------------
class Packer:
    """Packs a closed segment anew, one batch each `step`."""

    def __init__(self, data: bytes) -> None:
        self._scan = Scan(pa.py_buffer(data))
        self._batches = self._scan.batches()
        self._sink = pa.BufferOutputStream()
        self._writer = pa.ipc.new_stream(self._sink, self._scan.schema, options=_options(_PACKED_LEVEL))

    def step(self) -> Any:
        """Pack one batch more, and return None; after the last, the whole segment as a buffer of bytes.

        Raises FileFormatError.
        """
        found: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in self._batches:
            found.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if rows >= PACKED_ROWS or size >= _PACKED_BYTES:
                break
        if found:
            self._writer.write_batch(pa.concat_batches(found))
            return None
        if self._scan.problem:
            raise FileFormatError(f"is damaged at offset {self._scan.size}: {self._scan.problem}")
        self._writer.close()
        return self._sink.getvalue()  # not copied: megabytes, while nobody else could run
