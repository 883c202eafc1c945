"""A sweep's file: what it is a sweep of in the first line, and each trial as one line of JSON as it ends.

A sweep that was interrupted goes on from it. A last line that is torn is cut off; a file of another sweep is
refused, by what differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from daemon.errors import DECODE_ERRORS, FileFormatError, UsageError, unread

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.disk import AppendFile, RealDisk

FORMAT: Final = 1


class TrialLine(msgspec.Struct, kw_only=True):
    """One trial; figures as `tickd backtest --json` has them, without its list of round trips."""

    window: int  # of a walk-forward, from 0 on; 0 too where there is none
    trial: int  # from 0 on, in the order of the search
    values: dict[str, str]
    figures: dict[str, Any] = {}
    unsaid: dict[str, str] = {}  # why a figure is null
    skew: float | None = None  # of the changes of equity, as the next
    kurtosis: float | None = None  # of a normal one 3
    error: str = ""  # why there are no figures


class Head(msgspec.Struct, kw_only=True):
    """What a sweep is of: two with the same head have the same trials."""

    tickd_sweep: int = FORMAT
    data: str  # a digest of the record's events, as the next two
    strategy: str
    model: str
    base: dict[str, Any]  # the configuration that the trials vary
    ranges: dict[str, list[str]]
    search: dict[str, Any]
    point_s: int
    walk_forward: int


class _Version(msgspec.Struct):
    tickd_sweep: int


class SweepLog:
    """The file, or none: then nothing is kept."""

    def __init__(self, disk: RealDisk, path: Path | None, head: Head) -> None:
        """Open it, and read what is there; raises FileFormatError, and UsageError for another sweep's."""
        self._path = path
        self._file: AppendFile | None = None
        self.known: dict[tuple[int, int], TrialLine] = {}
        if path is None:
            return
        try:
            data = disk.read(path)
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise UsageError(f"the sweep's file {path} {unread(error)}") from None
        whole = data[: data.rfind(b"\n") + 1]
        if data:
            self._read(path, data, whole, head)
        try:
            if len(whole) < len(data):
                disk.truncate(path, len(whole))
            self._file = disk.append(path)
        except OSError as error:
            raise _unwritten(path, error) from None
        if not whole:
            self._write(head)

    def add(self, line: TrialLine) -> None:
        """Keep a trial; raises FileFormatError where it cannot be written."""
        self._write(line)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _read(self, path: Path, data: bytes, whole: bytes, head: Head) -> None:
        lines = whole.splitlines()
        if not lines:
            if not b'{"tickd_sweep":'.startswith(data[:15]):
                raise UsageError(f"{path} is no sweep's file; name another --out")
            return  # its first line is torn
        try:
            version = msgspec.json.decode(lines[0], type=_Version).tickd_sweep
        except DECODE_ERRORS:
            raise UsageError(f"{path} is no sweep's file; name another --out") from None
        if version > FORMAT:
            raise FileFormatError(f"{path} was written by a newer tickd (format {version}, ours is {FORMAT})")
        try:
            theirs = msgspec.json.decode(lines[0], type=Head)
            for line in lines[1:]:
                one = msgspec.json.decode(line, type=TrialLine)
                self.known[one.window, one.trial] = one
        except DECODE_ERRORS as error:
            at = f"behind its {len(self.known):,} first trials ({error})"
            raise FileFormatError(f"{path} is damaged {at}; name another --out") from None
        odd = _differing(msgspec.to_builtins(theirs), msgspec.to_builtins(head))
        if odd:
            raise UsageError(f"{path} is of another sweep: {', '.join(odd)} differ; name another --out")

    def _write(self, line: TrialLine | Head) -> None:
        if self._file is None or self._path is None:
            return
        try:
            self._file.write(msgspec.json.encode(line) + b"\n")
        except OSError as error:
            raise _unwritten(self._path, error) from None


def _unwritten(path: Path, error: OSError) -> FileFormatError:
    return FileFormatError(f"the sweep's file {path} cannot be written ({error.strerror or error})")


def _differing(theirs: Any, ours: Any, where: str = "") -> list[str]:
    """Return the keys at which two trees differ."""
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return [where] if theirs != ours else []
    found = []
    for key in {**theirs, **ours}:
        below = f"{where}.{key}" if where else str(key)
        found += _differing(theirs.get(key), ours.get(key), below)
    return found
