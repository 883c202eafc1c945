"""The worker's half of the recorder: segments on disk, packed once they are closed, and the manifest."""

from __future__ import annotations

from collections import Counter, deque
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.errors import TickdError
from daemon.tape.intake import size_of
from daemon.tape.keeping import Limits, expire, remove, without
from daemon.tape.manifest import NAME, Manifest, Segment, encode, segment_name
from daemon.tape.segment import END, Packer, Rows, begin_segment, messages

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import TapeConfig
    from daemon.seams import Appender, Disk
    from daemon.tape.header import TapeHeader

#: entries that go to the disk in one write
_WRITE_ROWS: Final = 4096
_SECOND_NS: Final = 1_000_000_000
#: between two looks at what is too old or too much
_HOUR_NS: Final = 3_600 * _SECOND_NS


class Writer:
    """Everything that touches the disk; called in the worker, one call at a time.

    What it does raises OSError where the disk cannot, and goes on from there when it is called again. It is
    made before trading begins: the first use of Arrow takes long.
    """

    def __init__(
        self, disk: Disk, folder: Path, header: TapeHeader, names: list[str], config: TapeConfig
    ) -> None:
        self.number = 0  # of the newest segment
        self.path = folder  # of what was touched last
        self.bytes_written = 0
        self._disk = disk
        self._folder = folder
        self._head = begin_segment(header)
        self._names = names  # of the streams, by number; it grows
        self._bytes_max = config.segment_mb << 20
        self._age_ns_max = config.segment_s * _SECOND_NS
        self._newest: _Live | None = None
        self.done = 0  # entries written of the rows that are being written
        self._closed: deque[_Live] = deque()  # segments that are not listed
        self._packer: Packer | None = None
        self._packed: bytes | None = None  # what the disk had no room for
        self._held = False  # packing waits for better times
        self._manifest = Manifest(name=header.name, started_ns=header.started_ns)
        self._sealed = False  # the manifest on disk is this one
        self._now_ns = 0
        self._limits = Limits(config)
        self._looked_ns = 0  # for what is too old
        Packer(self._head + messages(["warm"], Rows(0, [0], [0], [True], [b""])) + END).step()

    def begin_round(self, now_ns: int, lost_from: int, dropped: int) -> bool:
        """Learn the time and what was lost; leave a segment that is old, and renew the manifest."""
        self._now_ns = now_ns
        self._change(lost_from=lost_from, dropped=dropped)
        if self._newest is not None and now_ns - self._newest.began_ns >= self._age_ns_max:
            self.end_segment()
        self._seal()
        if not 0 <= now_ns - self._looked_ns < _HOUR_NS:
            self._looked_ns = now_ns
            self._expire()
        return True

    @property
    def bytes_kept(self) -> int:
        """Return the bytes of the listed segments."""
        return sum(one.bytes for one in self._manifest.segments if not one.expired)

    # --- segments -------------------------------------------------------------------------------------------
    def write(self, rows: Rows) -> int:
        """Append entries, beginning a segment where there is none; return what they took of the room."""
        while self.done < len(rows.payloads):
            live = self._newest or self._begin_segment()
            part = rows.cut(self.done, self.done + _WRITE_ROWS)
            data = messages(self._names, part)
            self.path = live.path
            live.file.write(data)
            self.bytes_written += len(data)
            live.count(part)
            self.done += len(part.payloads)
            if live.raw_bytes >= self._bytes_max:
                self.end_segment()
        self.done = 0
        return size_of(rows)

    def _begin_segment(self) -> _Live:
        self.path = self._folder / segment_name(self.number + 1)
        file = self._disk.append(self.path)
        try:
            file.write(self._head)
        except OSError:
            file.close()
            self._disk.remove(self.path)
            raise
        self.number += 1
        self.bytes_written += len(self._head)
        self._newest = _Live(self.path, file, self._now_ns)
        return self._newest

    def end_segment(self) -> bool:
        """Close the newest segment."""
        if (live := self._newest) is not None:
            self.path = live.path
            live.file.write(END)
            live.file.close()
            self.bytes_written += len(END)
            self._newest = None
            self._closed.append(live)
            self._held = False
        return True

    def pack(self) -> bool:
        """Pack a step of the oldest closed segment; return whether there may be more to do."""
        if self._held or not self._closed:
            return False
        live = self._closed[0]
        self.path = live.path
        try:
            if self._packed is None:
                self._packer = self._packer or Packer(self._disk.read(live.path))
                self._packed = self._packer.step()
            if self._packed is not None:
                self._disk.replace(live.path, self._packed)
                self._list(self._packed)
        except (OSError, TickdError):
            self._held = True
            raise
        return True

    def close(self) -> bool:
        """List what could not be packed as it is, and seal the manifest for good."""
        while self._closed:
            self.path = self._closed[0].path
            self._list(self._disk.read(self.path))
        self._change(closed=self._newest is None)
        self._seal()
        return True

    def _expire(self) -> None:
        """Delete what is too old or too much, our own closed segments last."""
        names = expire(self._disk, self._folder, self._manifest, self._now_ns, self._limits)
        if names:
            remove(self._disk, self._folder, {one.file for one in self._manifest.segments if one.expired})
            self._change(segments=without(self._manifest, names).segments)
            self._seal()
            remove(self._disk, self._folder, names)

    # --- the manifest ---------------------------------------------------------------------------------------
    def _list(self, data: bytes) -> None:
        """Put the oldest closed segment, of these bytes, into the manifest."""
        live = self._closed.popleft()
        self._packer = self._packed = None
        self._change(segments=(*self._manifest.segments, live.entry(self._names, data)))
        self._seal()

    def _change(self, **members: Any) -> None:
        changed = msgspec.structs.replace(self._manifest, **members)
        if changed != self._manifest:
            self._manifest, self._sealed = changed, False

    def _seal(self) -> None:
        if not self._sealed:
            self.path = self._folder / NAME
            self._disk.replace(self.path, encode(self._manifest))
            self._sealed = True


class _Live:
    """A segment that is not listed yet, and what the manifest will say of it."""

    def __init__(self, path: Path, file: Appender, began_ns: int) -> None:
        self.path = path
        self.file = file
        self.began_ns = began_ns
        self.raw_bytes = 0
        self._entries = 0
        self._first_seq = self._last_seq = 0
        self._first_ns = self._last_ns = 0
        self._streams: Counter[int] = Counter()

    def count(self, rows: Rows) -> None:
        """Take entries that were written."""
        first_ns, last_ns = min(rows.wires_ns), max(rows.wires_ns)
        if not self._entries:
            self._first_seq, self._first_ns, self._last_ns = rows.first_seq, first_ns, last_ns
        self._entries += len(rows.payloads)
        self._last_seq = rows.first_seq + len(rows.payloads) - 1
        self._first_ns, self._last_ns = min(self._first_ns, first_ns), max(self._last_ns, last_ns)
        self._streams.update(rows.streams)
        self.raw_bytes += sum(map(len, rows.payloads))

    def entry(self, names: list[str], data: bytes) -> Segment:
        """Return what the manifest says, once these are its bytes."""
        return Segment(
            file=self.path.name,
            sha256=sha256(data).hexdigest(),
            bytes=len(data),
            entries=self._entries,
            first_seq=self._first_seq,
            last_seq=self._last_seq,
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            streams={names[number]: count for number, count in sorted(self._streams.items())},
        )
