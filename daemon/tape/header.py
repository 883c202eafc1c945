"""What a tape says of itself: in every segment's Arrow schema, so that a segment alone can be read.

The columns, in the order of the record:

    seq        int64    the entry's number in the session, from 0; what is missing was lost
    wire_ns    int64    when it was received, ns UTC
    stream     text     what it is of, in a dictionary: "feed/0", "snapshot/BTC/USDT", "cut/0", ...
    drain_end  bool     nothing more was readable behind it: the engine decided
    payload    binary   the bytes as they came
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pyarrow as pa

from daemon.errors import DECODE_ERRORS, FileFormatError
from daemon.instruments import Instrument, scale_of, scale_text

#: of tapes and their manifests: older is read, newer refused
FORMAT: Final = 1
#: keys of the schema's metadata
FORMAT_KEY: Final = b"tickd.format"
HEADER_KEY: Final = b"tickd.tape"

SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("wire_ns", pa.int64(), nullable=False),
        pa.field("stream", pa.dictionary(pa.int16(), pa.utf8()), nullable=False),
        pa.field("drain_end", pa.bool_(), nullable=False),
        pa.field("payload", pa.binary(), nullable=False),
    ]
)


class TapeHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Who recorded what: the same in every segment of a session."""

    format: int = FORMAT
    name: str
    exchange: str
    market: str
    streams: tuple[str, ...]  # that were asked for: trade, quote, depth
    instruments: tuple[Instrument, ...]  # whole: rules, and indices from 0
    started_ns: int
    version: str  # of tickd
    mode: str  # paper, live, demo; record: nobody traded
    #: what a session's proof needs beside its journal (daemon/tape/verify.py)
    session: dict[str, Any] = {}


_encoder = msgspec.json.Encoder(enc_hook=scale_text)
_decoder = msgspec.json.Decoder(TapeHeader, dec_hook=scale_of)


def schema_of(header: TapeHeader) -> pa.Schema:
    """Return the schema of a session's segments, with the header in its metadata."""
    return SCHEMA.with_metadata(
        {FORMAT_KEY: str(header.format).encode(), HEADER_KEY: _encoder.encode(header)}
    )


def header_of(schema: pa.Schema) -> TapeHeader:
    """Return the header in a schema; raises FileFormatError, its text to be put behind the file's name."""
    metadata = schema.metadata or {}
    written = metadata.get(FORMAT_KEY, b"")
    if not written.isdigit() or HEADER_KEY not in metadata:
        raise FileFormatError("is no tape: its Arrow schema says nothing of tickd; name another file")
    if int(written) > FORMAT:
        raise FileFormatError(
            f"was written by a newer tickd (format {int(written)}, ours is {FORMAT}): read it with that one"
        )
    if schema.remove_metadata() != SCHEMA:
        raise FileFormatError("has other columns than a tape of its format; name another file")
    try:
        return _decoder.decode(metadata[HEADER_KEY])
    except DECODE_ERRORS as error:
        raise FileFormatError(f"has a damaged header ({error}); name another file") from None
