"""Reading a tape: a session's folder, or one segment of it; entries in the order of the record.

Closed segments must be, to the byte, what the manifest says. What no manifest lists is the live tail of a
session, running or killed: it is read as far as its messages are whole, and `cuts` says where that ended.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from pathlib import Path  # noqa: TC003 - NamedTuple keeps its annotations
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa

from daemon.errors import FileFormatError, unread
from daemon.tape import manifest as manifests
from daemon.tape.manifest import NAME, SUFFIX, Manifest
from daemon.tape.segment import Scan, integers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.tape.header import TapeHeader
    from daemon.tape.manifest import Segment

#: of the sessions in a folder, so many are named
_SESSIONS_NAMED: Final = 5


class Entry(NamedTuple):
    """One entry of the record."""

    seq: int
    wire_ns: int
    stream: str
    last: bool
    payload: bytes


class Batch(NamedTuple):
    """Entries by their columns, all of one length."""

    seqs: list[int]
    wires_ns: list[int]
    streams: list[str]
    lasts: list[bool]
    payloads: list[bytes]


class Cut(NamedTuple):
    """Where a segment that nobody closed stopped being whole."""

    path: Path
    offset: int  # bytes of it that were read
    seq: int  # of the next entry: the first that may be missing
    reason: str

    def __str__(self) -> str:
        return f"{self.path} is cut at byte {self.offset}, before entry {self.seq}: {self.reason}"


def _instead(folder: Path) -> str:
    """Return which folder to name in place of one that holds no tape itself: the sessions in it, if any."""
    sessions = sorted({one.parent for one in folder.glob(f"*/*{SUFFIX}")})
    if not sessions:
        return "name another folder"
    listed = ", ".join(map(str, sessions[-_SESSIONS_NAMED:]))
    if len(sessions) == 1:
        return f"name the session in it, {listed}"
    more = f" the last of {len(sessions):,} are" if len(sessions) > _SESSIONS_NAMED else ""
    return f"name one of the sessions in it,{more} {listed}"


class Tape:
    """A session's record, or one segment of it; iterates Entry in order of seq.

    manifest: None where there is none. cuts: complete once all has been read.
    """

    def __init__(self, path: Path) -> None:
        """Find its segments and read its header; raises FileFormatError."""
        self.path = path
        folder = path if path.is_dir() else path.parent
        self.manifest = _read_manifest(folder / NAME)
        listed = {one.file: one for one in self.manifest.segments} if self.manifest is not None else {}
        names = sorted({one.name for one in folder.glob(f"*{SUFFIX}")} | listed.keys())
        if not path.is_dir():
            names = [path.name]
        self.segments: list[tuple[Path, Segment | None]] = [
            (folder / name, one)
            for name in names
            if not ((one := listed.get(name)) is not None and one.expired)
        ]
        self.cuts: list[Cut] = []
        if self.closed and (stray := next((one for one, listed in self.segments if listed is None), None)):
            raise FileFormatError(f"{stray} is no part of its closed session: move it out of the folder")
        if not self.segments:
            raise FileFormatError(f"{path} holds no segment of a tape (*{SUFFIX}): {_instead(folder)}")
        first = _scan(*self.segments[0])
        self.header: TapeHeader = first.header
        self._schema = first.schema

    @property
    def lost_from(self) -> int:
        """Return the first entry that the recorder could not write; -1: none."""
        return self.manifest.lost_from if self.manifest is not None else -1

    @property
    def closed(self) -> bool:
        """Whether the session ended well, so that nothing is missing behind the last entry."""
        return self.manifest is not None and self.manifest.closed

    def last_ns(self) -> int:
        """Return the latest wire time on it so far; what no manifest lists is read for it."""
        newest_ns = 0
        for path, listed in self.segments:
            if listed is not None:
                newest_ns = max(newest_ns, listed.last_ns)
                continue
            for batch in _scan(path, None).batches():
                newest_ns = max(newest_ns, int(integers(batch.column("wire_ns")).max()))
        return newest_ns

    def __iter__(self) -> Iterator[Entry]:
        for batch in self.batches():
            yield from map(Entry, *batch)

    def batches(self, begin: int = 0) -> Iterator[Batch]:
        """Yield its entries by columns, from a segment's number in `segments` on.

        Raises FileFormatError for a closed segment that is not what it was, and for what is no tape.
        """
        self.cuts = []
        newest = -1
        for path, listed in self.segments[begin:]:
            scan = _scan(path, listed)
            if not scan.schema.equals(self._schema, check_metadata=True):
                raise FileFormatError(
                    f"{path} is of another session than the segment before it; keep them apart"
                )
            for batch in scan.batches():
                found = _columns(batch)
                if found.seqs[0] <= newest:
                    raise FileFormatError(f"{path} begins with entry {found.seqs[0]}, after {newest}")
                newest = found.seqs[-1]
                yield found
            if scan.problem:
                self.cuts.append(Cut(path, scan.size, newest + 1, scan.problem))


def read_tape(path: Path) -> Tape:
    """Return the tape in a session's folder, or in one segment; raises FileFormatError."""
    return Tape(path)


def _read_manifest(path: Path) -> Manifest | None:
    try:
        with path.open("rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileFormatError(f"{path} {unread(error)}") from None
    try:
        return manifests.decode(data)
    except FileFormatError as error:
        raise FileFormatError(f"{path} {error}") from None


def _scan(path: Path, listed: Segment | None) -> Scan:
    """Open a segment, and compare it with what the manifest says."""
    try:
        with path.open("rb") as file:
            data = pa.py_buffer(file.read())
    except OSError as error:
        raise FileFormatError(f"{path} {unread(error, 'copy the whole folder of the session')}") from None
    if listed is not None:
        if len(data) != listed.bytes:
            raise FileFormatError(
                f"{path} is damaged: it ends at byte {len(data)} of {listed.bytes}; copy it again"
            )
        if sha256(data).hexdigest() != listed.sha256:
            raise FileFormatError(f"{path} is damaged: its SHA-256 is not the manifest's; copy it again")
    try:
        return Scan(data)
    except FileFormatError as error:
        raise FileFormatError(f"{path} {error}") from None


def _columns(batch: pa.RecordBatch) -> Batch:
    """Return a batch as Python's own objects."""
    seqs, wires_ns, streams, lasts, payloads = batch.columns
    names = streams.dictionary.to_pylist()
    _, where, text = payloads.buffers()
    ends = np.frombuffer(where, np.int32)[payloads.offset :][: len(batch) + 1].tolist()
    data = text.to_pybytes() if text is not None else b""
    bits = np.unpackbits(np.frombuffer(lasts.buffers()[1], np.uint8), bitorder="little")
    return Batch(
        integers(seqs).tolist(),
        integers(wires_ns).tolist(),
        [names[number] for number in integers(streams.indices).tolist()],
        bits[lasts.offset :][: len(batch)].astype(np.bool_).tolist(),
        [data[begin:end] for begin, end in pairwise(ends)],
    )
