"""Old segments of tapes: deleted by age and by quota, the oldest first, and never a running session's newest.

A session that is not closed counts as running until its manifest is DEAD_NS behind; nobody but its own
recorder touches it before. The manifest says which segments are gone before they go. What a killed session
left unlisted goes by age with the rest: it is at most a day younger than what is listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from daemon.errors import FileFormatError
from daemon.tape.manifest import NAME, SUFFIX, Manifest, decode, encode

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config import TapeConfig
    from daemon.seams import Disk

DAY_NS: Final = 86_400_000_000_000
#: longer than the longest segment, so that a session that runs is never taken for a dead one
DEAD_NS: Final = 2 * DAY_NS


class Limits:
    """What a configuration allows to stand on disk."""

    def __init__(self, config: TapeConfig) -> None:
        self._days = config.retention_days
        self.bytes_max = int(config.quota_gb * 1e9)  # 0: any

    def before_ns(self, now_ns: int) -> int:
        """Return what has to be newer to stay; 0: anything stays."""
        return now_ns - self._days * DAY_NS if self._days else 0


def expire(disk: Disk, own: Path, own_manifest: Manifest, now_ns: int, limits: Limits) -> set[str]:
    """Delete what older sessions beside the folder `own` may not keep.

    Returns the names of own segments that have to go as well; raises OSError.
    """
    before_ns = limits.before_ns(now_ns)
    sessions = {own: own_manifest}
    for folder in disk.folders(own.parent):
        if folder != own and (found := _ended(disk, folder, now_ns)) is not None:
            sessions[folder] = found
    ages = sorted(
        (folder == own, one.last_ns, folder, one.file, one.bytes)
        for folder, manifest in sessions.items()
        for one in manifest.segments
        if not one.expired
    )
    left = sum(size for *_, size in ages)
    doomed: dict[Path, set[str]] = {}
    for _, last_ns, folder, name, size in ages:
        if last_ns < before_ns or (limits.bytes_max and left > limits.bytes_max):
            doomed.setdefault(folder, set()).add(name)
            left -= size
    for folder, manifest in sessions.items():
        if folder != own:
            _delete(disk, folder, manifest, doomed.get(folder, set()), before_ns)
    return doomed.get(own, set())


def without(manifest: Manifest, names: set[str]) -> Manifest:
    """Return the manifest once these segments are to go; what went before is forgotten."""
    segments = tuple(
        msgspec.structs.replace(one, expired=one.file in names)
        for one in manifest.segments
        if not one.expired
    )
    return msgspec.structs.replace(manifest, segments=segments)


def _ended(disk: Disk, folder: Path, now_ns: int) -> Manifest | None:
    """Return the manifest of a session that nobody writes to any more, None where it is odd."""
    try:
        manifest = decode(disk.read(folder / NAME))
    except (FileNotFoundError, FileFormatError):
        return None
    return manifest if manifest.closed or _newest_ns(manifest) < now_ns - DEAD_NS else None


def _newest_ns(manifest: Manifest) -> int:
    return max((one.last_ns for one in manifest.segments), default=manifest.started_ns)


def _delete(disk: Disk, folder: Path, manifest: Manifest, names: set[str], before_ns: int) -> None:
    listed = {one.file for one in manifest.segments}
    old = _newest_ns(manifest) + DAY_NS < before_ns
    for path in disk.list(folder):
        if old and path.suffix == SUFFIX and path.name not in listed:
            disk.remove(path)
    if names:
        remove(disk, folder, {one.file for one in manifest.segments if one.expired})
        disk.replace(folder / NAME, encode(without(manifest, names)))
        remove(disk, folder, names)


def remove(disk: Disk, folder: Path, names: set[str]) -> None:
    """Delete those of these segments that are there: whoever was to do it may have been killed."""
    for path in disk.list(folder):
        if path.name in names:
            disk.remove(path)
