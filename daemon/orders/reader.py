"""Reading the journal again: the records since the last checkpoint, torn tails cut, damage refused.

A bad frame is a torn tail when nothing proves that it was once durable: no mark behind it names a later
offset (or, in a journal that is never synced, no sound frame follows it). Then it is cut off; its orders
are found again at the venue. Otherwise what was promised to be safe is damaged, and the daemon does not
start on it. Zeros at the end are no tail, but space that was reserved and not used: no frame begins with one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from daemon.errors import JournalError, unread
from daemon.orders.journal import SUFFIX
from daemon.orders.records import (
    BODY_BYTES_MAX,
    FRAME,
    HEADER,
    MAGIC,
    MARK,
    RUN,
    VERSION,
    Checkpoint,
    Marked,
    Run,
    header,
    unpack,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from daemon.orders.records import Record
    from daemon.seams import Disk

_SMALLEST: Final = FRAME.size + 1


class History(NamedTuple):
    """What the journal remembers: the records from the last whole checkpoint on."""

    records: list[Record]
    run_last: int  # the highest run number seen, 0 for none
    cut: list[str]  # a sentence for each torn tail that was cut


class Segment(NamedTuple):
    """One file, scanned."""

    offsets: list[int]
    end: int  # where the sound part ends
    lost: int  # bytes of a torn tail behind it
    size: int


def read_history(disk: Disk, folder: Path) -> History:
    """Return what a start needs, cutting a torn tail; raises JournalError for damage and foreign files."""
    newest_first: list[list[Record]] = []
    cut: list[str] = []
    for path in reversed(segments(disk, folder)):
        data = _read(disk, path)
        segment = scan(data, path)
        if segment.end < segment.size:
            disk.truncate(path, segment.end)
        if segment.lost:
            cut.append(
                f"the journal {path} ended in {segment.lost} bytes of no whole record, "
                f"cut at offset {segment.end}"
            )
        records = list(_records(data, segment, path))
        newest_first.append(records)
        if len(records) > 1 and isinstance(records[0], Run) and isinstance(records[1], Checkpoint):
            break
    records = [record for part in reversed(newest_first) for record in part]
    runs = [record.run for record in records if isinstance(record, Run)]
    return History(records, max(runs, default=0), cut)


def read_all(
    disk: Disk, folder: Path, on_cut: Callable[[str], object] | None = None
) -> Iterator[tuple[Path, int, Record]]:
    """Yield (file, offset, record) of the whole journal, oldest first; raises JournalError.

    A file is looked through before its first record is told, and one file at a time is in memory. `on_cut` is
    told a sentence for each torn tail: the files stay as they are, a daemon may be writing.
    """
    for path in segments(disk, folder):
        data = _read(disk, path)
        segment = scan(data, path)
        for at, record in zip(segment.offsets, _records(data, segment, path), strict=True):
            yield path, at, record
        if segment.lost and on_cut is not None:
            on_cut(
                f"the journal {path} ends in {segment.lost} bytes of no whole record, from offset "
                f"{segment.end} on: they are left out"
            )
        del data, segment


def bodies(disk: Disk, path: Path) -> Iterator[bytes]:
    """Yield the bytes of one file's records, sync marks among them; raises JournalError. Cuts nothing."""
    data = _read(disk, path)
    for at in scan(data, path).offsets:
        size, _ = FRAME.unpack_from(data, at)
        yield data[at + FRAME.size : at + FRAME.size + size]


def scan(data: bytes, path: Path) -> Segment:
    """Find a file's frames and where its sound part ends; raises JournalError, naming the damaged offset."""
    filled = len(data.rstrip(b"\0"))
    if _is_newborn(data, filled):
        return Segment([], 0, filled, len(data))
    synced = _check_header(data, path)
    offsets: list[int] = []
    at = HEADER.size
    while (body := _frame_at(data, at)) is not None:
        offsets.append(at)
        at += FRAME.size + len(body)
    if at < filled and _was_durable(data, at, filled, synced=synced):
        raise JournalError(
            f"the journal {path} is damaged at offset {at} of {len(data)}: restore the file from a copy, or "
            "move the journal away and start with no open orders at the venue"
        )
    return Segment(offsets, at, max(filled - at, 0), len(data))


def began_ns(disk: Disk, path: Path) -> int:
    """Return when a segment began with the whole state, 0 where it does not; raises JournalError."""
    data = _read(disk, path)
    records = _records(data, scan(data, path), path)
    first, second = next(records, None), next(records, None)
    return second.now_ns if isinstance(first, Run) and isinstance(second, Checkpoint) else 0


def last_run(disk: Disk, folder: Path) -> Run | None:
    """Return the newest run on record, None where there is none; raises JournalError, and cuts nothing."""
    for path in reversed(segments(disk, folder)):
        data = _read(disk, path)
        runs = [record for record in _records(data, scan(data, path), path) if isinstance(record, Run)]
        if runs:
            return runs[-1]
    return None


def segments(disk: Disk, folder: Path) -> list[Path]:
    """Return the journal's files, oldest first."""
    return [path for path in disk.list(folder) if path.suffix == SUFFIX]


def _read(disk: Disk, path: Path) -> bytes:
    try:
        return disk.read(path)
    except OSError as error:
        raise JournalError(f"the journal {path} {unread(error)}") from error


def _is_newborn(data: bytes, filled: int) -> bool:
    """Whether a file was being born when its writer or the machine ended: it has no whole header yet.

    Its space is reserved before its header is written, and a power cut can take the header's page alone, or
    garble it; then nothing of it was promised.
    """
    if len(data) < HEADER.size:
        return True
    if filled < HEADER.size:
        return data[HEADER.size - 4 : HEADER.size] != crc32(data[: HEADER.size - 4]).to_bytes(4, "little")
    if _was_durable(data, 0, filled, synced=True):
        return False
    return not any(data[: HEADER.size]) or _is_garbled(data)


def _is_garbled(data: bytes) -> bool:
    """Whether a header that is none is one of ours, of a journal that is synced: its first record says so."""
    head = data[: HEADER.size]
    if head[-4:] == crc32(head[:-4]).to_bytes(4, "little") and head.startswith(MAGIC):
        return False
    near = (
        sum(ours == found for ours, found in zip(header(synced=True), head, strict=True)) >= HEADER.size // 2
    )
    first = _frame_at(data, HEADER.size)
    if not near or first is None:
        return near and not any(_frame_at(data, at) for at in range(HEADER.size, len(data)))
    if first[0] != RUN:
        return False
    run = unpack(first)
    assert isinstance(run, Run)
    return run.sync != "os"


def _check_header(data: bytes, path: Path) -> bool:
    magic, version, synced, crc = HEADER.unpack_from(data)
    if magic != MAGIC or crc != crc32(data[: HEADER.size - 4]):
        raise JournalError(
            f"the journal {path} is damaged at offset 0, or no journal: restore it from a copy"
        )
    if version > VERSION:
        raise JournalError(
            f"the journal {path} has format {version}; this version reads up to {VERSION}: update"
        )
    return bool(synced)


def _frame_at(data: bytes, at: int) -> bytes | None:
    if at + _SMALLEST > len(data):
        return None
    size, crc = FRAME.unpack_from(data, at)
    start = at + FRAME.size
    if not 0 < size <= BODY_BYTES_MAX or start + size > len(data):
        return None
    body = data[start : start + size]
    return body if crc32(body, size) == crc else None


def _was_durable(data: bytes, bad: int, filled: int, *, synced: bool) -> bool:
    """Whether what stands at `bad` was once promised to be safe; from `filled` on there are only zeros."""
    at = bad + 1
    while at < filled:
        body = _frame_at(data, at)
        if body is None:
            at += 1
            continue
        if not synced:
            return True
        if body[0] == MARK:
            mark = unpack(body)
            assert isinstance(mark, Marked)
            if mark.offset > bad:
                return True
        at += FRAME.size + len(body)
    return False


def _records(data: bytes, segment: Segment, path: Path) -> Iterator[Record]:
    for at in segment.offsets:
        start = at + FRAME.size
        size, _ = FRAME.unpack_from(data, at)
        try:
            yield unpack(data[start : start + size])
        except ValueError as error:
            raise JournalError(
                f"the journal {path} holds at offset {at} what cannot be read: {error}"
            ) from error
